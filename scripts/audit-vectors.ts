/** Writes the vectors of audit files: `node scripts/audit-vectors.ts`. Deliberately, and only when the format changes. */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { toHex } from '../src/base/bytes.ts';
import { type Audit, audit, readAudit } from '../src/protocol/audit.ts';
import { nativeSuite } from '../src/protocol/suite-native.ts';
import { verifyAudit } from '../src/protocol/verify-audit.ts';
import { auditFiles } from '../test/daemon/audit-files.ts';

// The ledgers' timers keep no process alive.
const alive = setInterval(() => {}, 1_000);
const files = await auditFiles();
clearInterval(alive);
const bent = (file: Uint8Array, change: (read: Audit) => Partial<Audit>): Uint8Array => {
  const read = readAudit(file);
  return audit.encode({ ...read, ...change(read) });
};
const { asset, did, receipt } = files;
const strange = readAudit(did)
  .records.filter(({ key }) => key[0] === 0x40)
  .slice(0, 1);
const byKey = (a: { readonly key: Uint8Array }, b: { readonly key: Uint8Array }): number =>
  Buffer.compare(a.key, b.key);
const FAULTS: readonly (readonly [name: string, file: Uint8Array])[] = [
  ['another format', bent(asset, () => ({ format: 'sahara/audit/2' }))],
  ['header of another network', bent(asset, () => ({ header: readAudit(receipt).header }))],
  ['records out of order', bent(asset, ({ records }) => ({ records: records.toReversed() }))],
  ['a record left out', bent(asset, ({ records }) => ({ records: records.slice(1) }))],
  [
    'a record changed',
    bent(asset, ({ records }) => ({
      records: records.map((one, i) => (i === 0 ? { ...one, value: undefined } : one)),
    })),
  ],
  ['a record too many', bent(asset, ({ records }) => ({ records: [...records, ...strange].sort(byKey) }))],
  [
    'a transaction twice',
    bent(asset, ({ transactions }) => ({ transactions: [...transactions, ...transactions] })),
  ],
  [
    'a transaction of something else',
    bent(asset, () => ({ transactions: readAudit(did).transactions.slice(0, 1) })),
  ],
  [
    'another result',
    bent(asset, ({ transactions }) => ({
      transactions: transactions.map((one) => ({ ...one, result: { code: 0, moved: 1n } })),
    })),
  ],
  [
    'a DID with a channel that is not there',
    bent(did, ({ subject }) => ({
      subject: subject.type === 'did' ? { ...subject, channels: [new Uint8Array(32)] } : subject,
    })),
  ],
];
const text = {
  about: 'Audit files (RCPT-60 to RCPT-67). `check` names the first check that an invalid one fails.',
  valid: Object.entries(files).map(([name, file]) => {
    const { summary } = verifyAudit(nativeSuite, file);
    return { name, hex: toHex(file), network: summary?.network, height: summary?.height };
  }),
  invalid: FAULTS.map(([name, file]) => ({
    name,
    hex: toHex(file),
    check: verifyAudit(nativeSuite, file).steps.find(({ ok }) => !ok)?.check,
  })),
};
const path = fileURLToPath(new URL('../spec/vectors/audit.json', import.meta.url));
await writeFile(path, `${JSON.stringify(text, null, 1)}\n`);
