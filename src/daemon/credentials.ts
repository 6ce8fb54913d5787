/**
 * Credentials for contributions: what a DID's share of an asset is and what it has earned, as a W3C Verifiable
 * Credential that anybody can read and check without a network. Shares and amounts are those of the ledger's state and
 * come with their proof; how many receipts they came from, the issuer counts and vouches for.
 */
import { equalBytes, fromHex, toHex } from '../base/bytes.ts';
import { invariant, SaharaError } from '../base/errors.ts';
import { identityKey } from '../ledger/identities.ts';
import { ASSETS, REVENUES, stateKey } from '../ledger/records.ts';
import { IDENTITIES } from '../ledger/records-identity.ts';
import { block, blockHeader, genesis as genesisSchema, networkOf } from '../protocol/block.ts';
import { certifiedHeader, openCertified } from '../protocol/certified-header.ts';
import {
  checkProof,
  isObject,
  type Json,
  type JsonObject,
  readJson,
  withProof,
} from '../protocol/data-integrity.ts';
import { didOf, type Hash, type PublicKey, publicKeyOf } from '../protocol/ids.ts';
import { charge } from '../protocol/payment.ts';
import { dueToOwners } from '../protocol/revenue.ts';
import { stateProof, verifyStateProof } from '../protocol/state-proof.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import { claimsOf, transaction } from '../protocol/transaction.ts';
import type { CredentialReply } from './admin/types-identity.ts';
import type { Core } from './core.ts';

/** What credentials are issued with. */
export type CredentialParts = Pick<Core, 'ledger' | 'key' | 'clock' | 'dice' | 'network' | 'choice'>;

/** What a credential is to say. */
export interface CredentialOrder {
  /** The asset's id, 64 hexadecimal digits. */
  readonly asset: string;
  readonly subject: PublicKey;
  readonly lifeMs: number;
}

const CONTEXT: Json = ['https://www.w3.org/ns/credentials/v2', { '@vocab': 'urn:sahara:credentials:1:' }];

/** Issues a credential. Throws `asset-unknown`, `usage` for who has no share, `ledger-light`, `cancelled`. */
export async function issueCredential(
  parts: CredentialParts,
  order: CredentialOrder,
  options: { readonly signal: AbortSignal },
): Promise<CredentialReply> {
  const { ledger, key, clock, dice, network, choice } = parts;
  const id = fromHex(order.asset.toLowerCase());
  if (id?.length !== 32 || (await ledger.read(({ asset }) => asset(id), options)) === undefined) {
    throw new SaharaError('asset-unknown', { asset: order.asset });
  }
  const { header, entries: proofs } = await ledger.prove(keysOf(id, key.publicKey), options);
  invariant(header, 'an asset is registered in a block');
  const { height } = blockHeader.decode(header.payload);
  const facts = factsOf(
    id,
    order.subject,
    proofs.map(({ value }) => value),
  );
  const receipts = await receiptsFor(parts, { id, height }, options.signal);
  const serial = dice.bytes(16);
  const issuer = didOf(key.publicKey);
  const nowMs = clock.nowMs();
  const document: JsonObject = {
    '@context': CONTEXT,
    id: `urn:sahara:credential:${toHex(serial)}`,
    type: ['VerifiableCredential', 'ContributionCredential'],
    issuer,
    validFrom: dateOf(nowMs),
    validUntil: dateOf(nowMs + order.lifeMs),
    credentialSubject: {
      id: didOf(order.subject),
      contributedTo: { id: `urn:sahara:asset:${toHex(id)}`, kind: facts.kind, name: facts.name, network },
      sharePpm: facts.ppm,
      earnedGrains: String(facts.earned),
      receipts,
      height,
    },
    credentialStatus: {
      id: `urn:sahara:revocation:${network}:${issuer}:${toHex(serial)}`,
      type: 'SaharaRevocation',
      statusPurpose: 'revocation',
    },
    evidence: [
      {
        type: 'SaharaStateProof',
        genesis: base64(choice.genesis),
        header: base64(certifiedHeader.encode(header)),
        records: proofs.map(({ value, proof }) => ({
          ...(value !== undefined && { value: base64(value) }),
          proof: base64(stateProof.encode(proof)),
        })),
      },
    ],
  };
  const secured = withProof(
    nativeSuite,
    { publicKey: key.signing, sign: (message) => key.sign(message) },
    document,
    { created: dateOf(nowMs) },
  );
  return { credential: JSON.stringify(secured, undefined, 2), serial: toHex(serial) };
}

/** What a credential that was checked says. */
export interface CredentialVerdict {
  readonly issuer: string;
  /** The key that signed, where it is not the issuer's first. */
  readonly key: string;
  readonly subject: string;
  readonly asset: string;
  readonly name: string;
  readonly kind: string;
  readonly network: string;
  readonly sharePpm: number;
  readonly earnedGrains: string;
  readonly receipts: number;
  readonly height: number;
  readonly validUntil: string;
  /** With this the issuer takes it back: whether that happened only a ledger tells. */
  readonly serial: string;
}

/**
 * Checks the credential in `text` without a network: its proof, its dates, and that the state of a signed block holds
 * what it says. Throws `malformed`, `version-unsupported`, `signature-invalid`, `expired`, `not-yet-valid`,
 * `bundle-invalid` with the reason.
 */
export function checkCredential(
  text: string,
  expected: { readonly nowMs: number; readonly network?: string | undefined },
): CredentialVerdict {
  const { document, key } = checkProof(nativeSuite, readJson(text));
  const issuer = textAt(document, 'issuer');
  const subject = objectAt(document, 'credentialSubject');
  const about = objectAt(subject, 'contributedTo');
  checkShape(document);
  checkDates(document, expected.nowMs);
  const did = publicKeyOf(textAt(subject, 'id'));
  const asset = fromHex(textAt(about, 'id').replace('urn:sahara:asset:', ''));
  if (did === undefined || asset?.length !== 32) throw refused('It names no DID or no asset');
  const state = readEvidence(document);
  if (expected.network !== undefined && expected.network !== state.network) {
    throw refused(`It is of ${state.network}, not of ${expected.network}`);
  }
  const by = publicKeyOf(issuer);
  if (by === undefined) throw refused('Its issuer is not a DID of a key');
  const values = state.values(keysOf(asset, by));
  const facts = factsOf(asset, did, values);
  const [, , identity] = values;
  const signing = identity === undefined ? by : IDENTITIES.schema.decode(identity).key;
  if (!equalBytes(signing, key)) throw refused('Its issuer signed with another key at that height');
  const said: readonly (readonly [unknown, unknown, string])[] = [
    [about.network, state.network, 'network'],
    [about.kind, facts.kind, 'kind'],
    [about.name, facts.name, 'name'],
    [subject.sharePpm, facts.ppm, 'share'],
    [subject.earnedGrains, String(facts.earned), 'earnings'],
    [subject.height, state.height, 'height'],
  ];
  for (const [stated, proved, what] of said) {
    if (stated !== proved) throw refused(`Its ${what} is not what the ledger holds`);
  }
  const { receipts } = subject;
  if (typeof receipts !== 'number' || !Number.isSafeInteger(receipts) || receipts < 0) {
    throw refused('It counts no receipts');
  }
  return {
    issuer,
    key: didOf(key),
    subject: didOf(did),
    asset: toHex(asset),
    name: facts.name,
    kind: facts.kind,
    network: state.network,
    sharePpm: facts.ppm,
    earnedGrains: String(facts.earned),
    receipts,
    height: state.height,
    validUntil: textAt(document, 'validUntil'),
    serial: textAt(document, 'id').replace('urn:sahara:credential:', ''),
  };
}

interface Facts {
  readonly kind: string;
  readonly name: string;
  readonly ppm: number;
  /** Grains that the ledger owes or has paid to the subject. */
  readonly earned: bigint;
}

/** What an asset's two records say of an owner. Throws `usage` for one without a share. */
function factsOf(id: Hash, subject: PublicKey, values: readonly (Uint8Array | undefined)[]): Facts {
  const [assetValue, revenueValue] = values;
  if (assetValue === undefined || revenueValue === undefined) {
    throw new SaharaError('asset-unknown', { asset: toHex(id) });
  }
  const { definition } = ASSETS.schema.decode(assetValue);
  const { received } = REVENUES.schema.decode(revenueValue);
  if (definition.type !== 'register-asset') throw new SaharaError('asset-unknown', { asset: toHex(id) });
  const at = definition.owners.findIndex(({ owner }) => equalBytes(owner, subject));
  const share = definition.owners[at];
  if (share === undefined) {
    throw new SaharaError('usage', { reason: `${didOf(subject)} has no share of this asset` });
  }
  const earned = dueToOwners(received, definition)[at] ?? 0n;
  return { kind: definition.kind, name: definition.name, ppm: share.ppm, earned };
}

/** How many receipts the claims up to a height counted that paid the asset: the highest count of each lane. */
async function receiptsFor(
  { ledger }: CredentialParts,
  of: { readonly id: Hash; readonly height: number },
  signal: AbortSignal,
): Promise<number> {
  const lanes = new Map<string, number>();
  for (let next = ledger.base + 1; next <= of.height; ) {
    signal.throwIfAborted();
    const blocks = await ledger.blocks(next);
    if (blocks.length === 0) break;
    for (const wire of blocks.slice(0, of.height - next + 1)) {
      for (const { payload } of block.decode(wire).transactions) countReceipts(payload, of.id, lanes);
    }
    next += blocks.length;
  }
  return [...lanes.values()].reduce((sum, count) => sum + count, 0);
}

function countReceipts(payload: Uint8Array, id: Hash, lanes: Map<string, number>): void {
  for (const claim of claimsOf(transaction.decode(payload).action)) {
    if (!claim.attribution.some(({ asset }) => equalBytes(asset, id))) continue;
    const { channel, lane, sequence } = charge.decode(claim.charge.payload);
    const name = `${toHex(channel)}/${lane}`;
    lanes.set(name, Math.max(lanes.get(name) ?? 0, sequence));
  }
}

/** The network, the height and the records that the evidence of a credential proves. */
function readEvidence(document: JsonObject): {
  readonly network: string;
  readonly height: number;
  /** What the state holds under keys, in the order of the evidence. */
  values(keys: readonly Uint8Array[]): readonly (Uint8Array | undefined)[];
} {
  const { evidence } = document;
  const first = Array.isArray(evidence) ? evidence[0] : undefined;
  if (!isObject(first)) throw refused('It comes without evidence');
  const genesisBytes = bytesAt(first, 'genesis');
  const network = networkOf(nativeSuite, genesisBytes);
  const message = certifiedHeader.decode(bytesAt(first, 'header'));
  const { sequencer } = genesisSchema.decode(genesisBytes);
  const { height, stateRoot } = openCertified(
    nativeSuite,
    { network, sequencer },
    message,
    'its block',
  ).header;
  const records = first.records;
  if (!Array.isArray(records) || records.length !== 3) throw refused('Its evidence proves no records');
  return {
    network,
    height,
    values: (keys) =>
      keys.map((stated, i) => {
        const entry: Json | undefined = records[i];
        if (!isObject(entry)) throw refused('Its evidence proves no records');
        const value = entry.value === undefined ? undefined : bytesAt(entry, 'value');
        const proof = stateProof.decode(bytesAt(entry, 'proof'));
        if (!verifyStateProof(nativeSuite, stateRoot, { key: stated, value }, proof)) {
          throw refused('The state of its block does not hold the records');
        }
        return value;
      }),
  };
}

/** The state keys of what is proved: the asset, what it received, and the issuer's keys. */
function keysOf(asset: Hash, issuer: PublicKey): readonly Uint8Array[] {
  return [stateKey(ASSETS, asset), stateKey(REVENUES, asset), identityKey(issuer)];
}

function checkShape({ '@context': context, type }: JsonObject): void {
  const [base] = Array.isArray(context) ? context : [];
  if (base !== 'https://www.w3.org/ns/credentials/v2') throw refused('It is no credential of version 2');
  const kinds = Array.isArray(type) ? type : [];
  if (!kinds.includes('VerifiableCredential') || !kinds.includes('ContributionCredential')) {
    throw refused('It is another kind of credential');
  }
}

function checkDates(document: JsonObject, nowMs: number): void {
  const from = Date.parse(textAt(document, 'validFrom'));
  const until = Date.parse(textAt(document, 'validUntil'));
  if (!(from <= until)) throw refused('Its dates make no sense');
  if (nowMs < from) throw new SaharaError('not-yet-valid', { what: 'credential' });
  if (nowMs > until) throw new SaharaError('expired', { what: 'credential' });
}

function textAt(object: JsonObject, name: string): string {
  const value = object[name];
  if (typeof value === 'string') return value;
  throw refused(`It has no ${name}`);
}

function objectAt(object: JsonObject, name: string): JsonObject {
  const value = object[name];
  if (isObject(value)) return value;
  throw refused(`It has no ${name}`);
}

function bytesAt(object: JsonObject, name: string): Uint8Array {
  return new Uint8Array(Buffer.from(textAt(object, name), 'base64'));
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

/** An XML Schema dateTime, UTC, to the second. */
function dateOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

function refused(reason: string): SaharaError {
  return new SaharaError('bundle-invalid', { reason });
}
