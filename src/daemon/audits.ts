/**
 * Makes audit files: asks the ledger to prove whatever the verifier will read, until nothing is missing, all of it
 * against one header. The verifier's own reading decides what is needed, so that a file never lacks anything.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { explore } from '../ledger/explorer.ts';
import type { Ledger, ProvedEntry, ProvedState } from '../ledger/ledger.ts';
import { STATE_KEYS_ASKED_MAX } from '../ledger/limits.ts';
import {
  AUDIT_FORMAT,
  type AuditedLane,
  type AuditedTransaction,
  type AuditSubject,
  audit,
} from '../protocol/audit.ts';
import { AuditReader, keysOf } from '../protocol/audit-reader.ts';
import { tellSubject } from '../protocol/audit-subjects.ts';
import { blockHeader, genesis } from '../protocol/block.ts';
import { type CertifiedHeader, checkpointOf } from '../protocol/certified-header.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import {
  AUDIT_BYTES_MAX,
  AUDIT_CLAIMS_MAX,
  AUDIT_LISTED_MAX,
  AUDIT_RECORDS_MAX,
} from '../protocol/limits.ts';
import { charge } from '../protocol/payment.ts';
import type { Signed } from '../protocol/signing.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import { claimsOf, transaction } from '../protocol/transaction.ts';
import { verifyAudit } from '../protocol/verify-audit.ts';

/** How often a ledger may move on while a file is made of it. */
const RESTARTS_MAX = 16;

type AuditLedger = Pick<
  Ledger,
  'network' | 'genesis' | 'mode' | 'base' | 'head' | 'blocks' | 'lookup' | 'proof' | 'prove' | 'listed'
>;

interface Waiting {
  readonly signal: AbortSignal;
}

/** The audit of a call, given its evidence. */
export function auditReceipt(ledger: AuditLedger, bundle: Uint8Array, waiting: Waiting): Promise<Uint8Array> {
  return make(ledger, { subject: { type: 'receipt', bundle }, transactions: [] }, waiting);
}

/** The audit of an asset: its lineage, and the latest transactions that paid or moved it, where blocks are here. */
export async function auditAsset(ledger: AuditLedger, asset: Hash, waiting: Waiting): Promise<Uint8Array> {
  const children = (await ledger.listed('children', asset, waiting)).slice(0, AUDIT_LISTED_MAX);
  const transactions = await latest(ledger, { asset });
  const lanes = new Map<string, AuditedLane>();
  for (const { transaction: message } of transactions) {
    for (const claim of claimsOf(transaction.decode(message.payload).action)) {
      const { channel, lane } = charge.decode(claim.charge.payload);
      const paid = claim.attribution.some((one) => equalBytes(one.asset, asset));
      if (paid && lanes.size < AUDIT_LISTED_MAX) lanes.set(`${toHex(channel)}/${lane}`, { channel, lane });
    }
  }
  const subject: AuditSubject = { type: 'asset', asset, lanes: [...lanes.values()], children };
  return make(ledger, { subject, transactions }, waiting);
}

/** The audit of a DID: its account, keys, channels, assets, stakes and rewards, and the latest it sent. */
export async function auditDid(ledger: AuditLedger, did: PublicKey, waiting: Waiting): Promise<Uint8Array> {
  const some = async (kind: 'channels' | 'assets'): Promise<readonly Hash[]> =>
    (await ledger.listed(kind, did, waiting)).slice(0, AUDIT_LISTED_MAX);
  const subject: AuditSubject = {
    type: 'did',
    did,
    channels: await some('channels'),
    assets: await some('assets'),
  };
  return make(ledger, { subject, transactions: await latest(ledger, { sender: did }) }, waiting);
}

/** The latest transactions of a kind that took effect, with their proofs; none where the blocks are not kept. */
async function latest(
  ledger: AuditLedger,
  about: { readonly asset?: Hash; readonly sender?: PublicKey },
): Promise<readonly AuditedTransaction[]> {
  if (ledger.mode === 'light') return [];
  const { found } = await explore(nativeSuite, ledger, {
    ...about,
    effective: true,
    limit: AUDIT_CLAIMS_MAX,
  });
  // An asset's own registration and those that name it are in the state.
  const telling = found.filter(
    ({ action }) => about.asset === undefined || action?.type !== 'register-asset',
  );
  const proofs = await Promise.all(telling.map(({ id }) => ledger.proof(id)));
  return proofs.flatMap((proof) => proof ?? []);
}

interface Wanted {
  readonly subject: AuditSubject;
  readonly transactions: readonly AuditedTransaction[];
}

async function make(ledger: AuditLedger, wanted: Wanted, waiting: Waiting): Promise<Uint8Array> {
  const proved = new Map<string, ProvedEntry & { readonly key: Uint8Array }>();
  let header: Signed | undefined;
  let restarts = 0;
  for (;;) {
    const missing = missingOf(ledger, wanted, proved, header);
    if (missing.length === 0 && header !== undefined) break;
    if (proved.size + missing.length > AUDIT_RECORDS_MAX)
      throw new SaharaError('too-large', { what: 'audit', limit: AUDIT_RECORDS_MAX });
    const keys = missing.length > 0 ? missing : [new Uint8Array(1)];
    const state = await proveSome(ledger, keys.slice(0, STATE_KEYS_ASKED_MAX), waiting);
    if (header !== undefined && !equalBytes(header.payload, state.header.payload)) {
      if (++restarts > RESTARTS_MAX)
        throw new SaharaError('state-unproven', { reason: 'The ledger moved on with every answer' });
      proved.clear();
    }
    header = state.header;
    for (const [i, key] of missing.slice(0, STATE_KEYS_ASKED_MAX).entries()) {
      const entry = state.entries[i];
      if (entry !== undefined) proved.set(toHex(key), { ...entry, key });
    }
  }
  return written(ledger, wanted, { header, records: proved });
}

async function proveSome(
  ledger: AuditLedger,
  keys: readonly Uint8Array[],
  waiting: Waiting,
): Promise<ProvedState & { readonly header: Signed }> {
  const { header, entries } = await ledger.prove(keys, waiting);
  if (header === undefined)
    throw new SaharaError('state-unproven', { reason: 'There is no block yet that could prove anything' });
  return { header, entries };
}

/** Keys that the verifier would ask for and that are not proved yet. Throws what it would refuse. */
function missingOf(
  { network, head }: AuditLedger,
  { subject, transactions }: Wanted,
  proved: ReadonlyMap<string, ProvedEntry>,
  header: Signed | undefined,
): readonly Uint8Array[] {
  const reader = new AuditReader(new Map([...proved].map(([name, { value }]) => [name, value])));
  const height = header === undefined ? head().height : blockHeader.decode(header.payload).height;
  try {
    tellSubject({ suite: nativeSuite, network, height, reader }, subject);
    for (const { transaction: message } of transactions)
      keysOf(reader, transaction.decode(message.payload).sender);
  } catch (error) {
    // What is missing may be why it does not hold yet.
    if (reader.missing().length === 0) throw error;
  }
  return reader.missing();
}

function written(
  ledger: AuditLedger,
  { subject, transactions }: Wanted,
  proved: {
    readonly header: CertifiedHeader;
    readonly records: ReadonlyMap<string, ProvedEntry & { readonly key: Uint8Array }>;
  },
): Uint8Array {
  const { height } = blockHeader.decode(proved.header.payload);
  const file = audit.encode({
    format: AUDIT_FORMAT,
    genesis: genesis.encode(ledger.genesis),
    header: proved.header,
    subject,
    records: [...proved.records]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { key, value, proof }]) => ({ key, value, proof })),
    transactions: transactions.filter((one) => blockHeader.decode(one.header.payload).height <= height),
  });
  if (file.length > AUDIT_BYTES_MAX)
    throw new SaharaError('too-large', { what: 'audit', limit: AUDIT_BYTES_MAX });
  const { ok, steps } = verifyAudit(nativeSuite, file, {
    through: checkpointOf(nativeSuite, proved.header),
  });
  if (!ok) throw new SaharaError('bundle-invalid', { reason: steps.at(-1)?.detail ?? '' });
  return file;
}
