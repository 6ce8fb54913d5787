import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { SaharaError } from '../../src/base/errors.ts';
import { auditAsset, auditDid } from '../../src/daemon/audits.ts';
import { explore } from '../../src/ledger/explorer.ts';
import { type Audit, audit, looksLikeAudit, readAudit } from '../../src/protocol/audit.ts';
import { didOf } from '../../src/protocol/ids.ts';
import { AUDIT_BYTES_MAX } from '../../src/protocol/limits.ts';
import { nativeSuite } from '../../src/protocol/suite-native.ts';
import { portableSuite } from '../../src/protocol/suite-portable.ts';
import { explain, verify } from '../../src/protocol/verifier.ts';
import { verifyAudit } from '../../src/protocol/verify-audit.ts';
import { alice, bob, carol } from '../ledger/support.ts';
import { auditFiles, openLedger, tell } from './audit-files.ts';

let files: Awaited<ReturnType<typeof auditFiles>>;
beforeAll(async () => {
  files = await auditFiles();
});

const { signal } = new AbortController();
const said = (file: Uint8Array): string => explain(verify(file)).join('\n');
const failing = (file: Uint8Array): string => {
  const last = verifyAudit(nativeSuite, file).steps.at(-1);
  expect(last?.ok).toBe(false);
  return `${last?.check}: ${last?.detail}`;
};
const bent = (file: Uint8Array, change: (read: Audit) => Partial<Audit>): Uint8Array => {
  const read = readAudit(file);
  return audit.encode({ ...read, ...change(read) });
};

describe('an audit file', () => {
  it('holds, and is known by its first bytes (RCPT-60, RCPT-61)', () => {
    for (const file of Object.values(files)) {
      expect(looksLikeAudit(file)).toBe(true);
      for (const suite of [nativeSuite, portableSuite]) {
        const verdict = verifyAudit(suite, file);
        expect(verdict.steps.filter(({ ok }) => !ok)).toEqual([]);
        expect(verdict.steps.map(({ check }) => check)).toEqual([
          'audit',
          'network',
          'block',
          'records',
          'subject',
          'transactions',
          'whole',
        ]);
      }
      expect(verify(file).ok).toBe(true);
    }
    expect(looksLikeAudit(new Uint8Array(3))).toBe(false);
  });

  it('of an asset tells what it is made of, who keeps what, and where its money came from (RCPT-64, RCPT-67)', () => {
    const text = said(files.asset);
    expect(text).toContain(`model “model” was registered by ${didOf(bob.publicKey)}`);
    expect(text).toContain('these keep: 80 % model, 20 % notes.');
    expect(text).toContain('trained-on “notes” for 20 %');
    expect(text).toContain('0.0000007 SAHARA came from 1 lane of open channels');
    expect(text).toContain('one of 2 versions: “model”, “model 2”');
    expect(text).toMatch(
      /Block 6: claim \(lane 0, 1 receipt, 900 grains in all\) by did:key:\w+ moved 900 grains/,
    );
    expect(said(files.dataset)).toContain('0.00000014 SAHARA from 2 assets made from it');
  });

  it('of a DID tells its account, keys, channels, assets, stakes and what it sent (RCPT-65, RCPT-66)', () => {
    const text = said(files.did);
    expect(text).toMatch(/was retired in block 9 and counts for vouchers and charges up to block 12/);
    expect(text).toContain('1 of 1 guardians can recover it');
    expect(text).toContain(`from ${didOf(carol.publicKey)} has paid 0.0000009 SAHARA of 1 SAHARA`);
    expect(text).toContain('It owns 100 % of model “model”');
    expect(text).toContain('2 SAHARA of its own and 0 SAHARA of others stand behind its role as provider');
    expect(text).toContain('Not proved: That these are all its channels');
    expect(text).toContain('In epoch 0 it settled 0.0000009 SAHARA by 1 claim');
  });

  it('of a call tells what its evidence and the ledger say (RCPT-63)', () => {
    const text = said(files.receipt);
    expect(text).toMatch(/all 19 checks of its evidence hold/);
    expect(text).toContain('counts this call');
    expect(text).toContain('never registered its keys');
    expect(text).toMatch(/No asset \w+ is registered: its part goes to the payee/);
  });

  it('is refused with any byte changed (RCPT-62)', { timeout: 120_000 }, () => {
    const file = files.dataset;
    const { ok } = verifyAudit(nativeSuite, file);
    expect(ok).toBe(true);
    for (let at = 0; at < file.length; at += 1) {
      const changed = file.slice();
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      expect(verifyAudit(nativeSuite, changed).ok, `byte ${at}`).toBe(false);
    }
  });

  it('is refused with bytes of the larger ones changed, cut or added (RCPT-62)', () => {
    const kinds = fc.constantFrom(files.asset, files.did, files.receipt);
    fc.assert(
      fc.property(kinds, fc.nat(), fc.integer({ min: 1, max: 255 }), (file, place, mask) => {
        const changed = file.slice();
        changed[place % file.length] = (changed[place % file.length] ?? 0) ^ mask;
        const cut = file.subarray(0, place % file.length);
        return !verify(changed).ok && !verifyAudit(nativeSuite, cut).ok;
      }),
      { numRuns: 60 },
    );
    expect(verify(new Uint8Array([...files.did, 0])).ok).toBe(false);
  });

  it('says in words what does not hold (RCPT-61)', () => {
    const { asset, did } = files;
    expect(verifyAudit(nativeSuite, asset, { network: 'other-1' }).steps.at(-1)?.detail).toMatch(
      /not of other-1/,
    );
    expect(failing(new Uint8Array(AUDIT_BYTES_MAX + 1))).toMatch(
      /audit: this is no audit file \(larger than/,
    );
    expect(failing(bent(asset, () => ({ format: 'sahara/audit/2' })))).toMatch(/not a sahara\/audit\/1/);
    expect(failing(bent(asset, () => ({ header: readAudit(files.receipt).header })))).toMatch(
      /block: .*another network/,
    );
    expect(failing(bent(asset, ({ records }) => ({ records: records.toReversed() })))).toMatch(
      /not in order/,
    );
    expect(failing(bent(asset, ({ records }) => ({ records: records.slice(1) })))).toMatch(
      /1 record that it needs/,
    );
    const spare = readAudit(did).records.find(({ key }) => key[0] === 0x40);
    const more = [...readAudit(asset).records, ...(spare ? [spare] : [])].sort((a, b) =>
      Buffer.compare(a.key, b.key),
    );
    expect(failing(bent(asset, () => ({ records: more })))).toBe(
      'whole: it holds records that nothing asks for',
    );
    expect(
      failing(
        bent(asset, ({ transactions: [one, ...rest] }) => ({
          transactions: [one, one, ...rest].flatMap((t) => t ?? []),
        })),
      ),
    ).toMatch(/there twice/);
    const foreign = readAudit(did).transactions.slice(0, 1);
    expect(failing(bent(asset, () => ({ transactions: foreign })))).toMatch(/nothing to do with/);
    expect(
      failing(
        bent(asset, ({ transactions: [one] }) => ({
          transactions: one ? [{ ...one, result: { code: 0, moved: 1n } }] : [],
        })),
      ),
    ).toMatch(/a result is not in its block/);
  });

  it('is not made before there is a block, and not of what is not there (LEDGER-160)', async () => {
    const ledger = await openLedger();
    const empty = auditDid(ledger, alice.publicKey, { signal });
    await expect(empty).rejects.toMatchObject({ code: 'state-unproven' });
    await ledger.stop();
    const told = await tell();
    const unknown = auditAsset(told.ledger, new Uint8Array(32).fill(1), { signal });
    await expect(unknown).rejects.toBeInstanceOf(SaharaError);
    await told.ledger.stop();
  });
});

describe('looking through blocks', () => {
  it('finds by sender, kind, asset and channel, page by page (LEDGER-161)', async () => {
    const { ledger, model, notes, channel } = await tell();
    const kinds = async (query: Omit<Parameters<typeof explore>[2], 'limit'>): Promise<readonly string[]> =>
      (await explore(nativeSuite, ledger, { ...query, limit: 100 })).found.map(
        ({ action }) => action?.type ?? '',
      );
    expect(await kinds({})).toHaveLength(10);
    expect(await kinds({ channel })).toEqual(['claim', 'open-channel']);
    expect(await kinds({ asset: model })).toEqual([
      'collect-path',
      'claim',
      'register-asset',
      'register-asset',
    ]);
    expect(await kinds({ asset: notes })).toEqual(['collect-path', ...Array(3).fill('register-asset')]);
    expect(await kinds({ sender: carol.publicKey, kind: 'transfer' })).toEqual(['transfer']);
    const heights: number[] = [];
    let before: { readonly height: number; readonly index: number } | undefined;
    do {
      const page = await explore(nativeSuite, ledger, { limit: 3, ...(before && { before }) });
      heights.push(...page.found.map(({ height }) => height));
      before = page.next;
    } while (before !== undefined);
    expect(heights).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    await ledger.stop();
  });
});
