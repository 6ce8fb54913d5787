/** Proves which keys signed for the parties of a call, so that its evidence holds offline after they rotated. */
import { equalBytes, toHex } from '../base/bytes.ts';
import { asSaharaError } from '../base/errors.ts';
import { keyEvidenceOf } from '../ledger/key-evidence.ts';
import { blockHeader } from '../protocol/block.ts';
import type { Bundle } from '../protocol/bundle.ts';
import { card } from '../protocol/card.ts';
import { certificate, certificateChain } from '../protocol/certificate.ts';
import { envelope } from '../protocol/envelope.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import type { KeyEvidence } from '../protocol/key-evidence.ts';
import { KEY_EVIDENCE_CHANNELS_MAX, KEY_EVIDENCE_DIDS_MAX, KEY_HEIGHTS_MAX } from '../protocol/limits.ts';
import { receipt } from '../protocol/payment.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import { transaction } from '../protocol/transaction.ts';
import { readAnswer } from '../protocol/verify-answer.ts';
import type { Core } from './core.ts';
import type { VoucherKeys } from './voucher-keys.ts';

/** What keys are proved with. */
export type KeyProofParts = Pick<Core, 'ledger' | 'trust'> & {
  readonly voucherKeys?: Pick<VoucherKeys, 'evidence'>;
};

/**
 * The keys of those of `dids` whose present key is not their first, and the voucher keys of `channel` if this payer gave it
 * one; `undefined` when there is nothing of that, or when nobody proves it now.
 */
export async function proveKeys(
  parts: KeyProofParts,
  dids: readonly PublicKey[],
  channel?: Hash,
): Promise<readonly KeyEvidence[] | undefined> {
  const ofChannel = channel && (await parts.voucherKeys?.evidence(channel));
  const ofDids = await keysOf(parts, dids);
  const all = [ofChannel, ofDids].flatMap((one) => one ?? []);
  return all.length === 0 ? undefined : inOrder(all);
}

/** Key evidence as a bundle holds it: of rising heights, what is of one height together, the last `KEY_HEIGHTS_MAX`. */
export function inOrder(all: readonly KeyEvidence[]): readonly KeyEvidence[] {
  const at = new Map<number, KeyEvidence>();
  for (const one of all) {
    const { height } = blockHeader.decode(one.header.payload);
    const other = at.get(height);
    at.set(height, other === undefined ? one : together(other, one));
  }
  const heights = [...at].sort(([a], [b]) => a - b);
  return heights.slice(-KEY_HEIGHTS_MAX).map(([, evidence]) => evidence);
}

/** What two of one height say. Each proves itself, so that neither can change what the other says. */
function together(a: KeyEvidence, b: KeyEvidence): KeyEvidence {
  const dids = [...a.identities, ...b.identities].map((one) => [toHex(one.did), one] as const);
  const channels = [...(a.channels ?? []), ...(b.channels ?? [])].map(
    (one) => [toHex(one.channel), one] as const,
  );
  return {
    header: a.header,
    identities: [...new Map(dids).values()].slice(0, KEY_EVIDENCE_DIDS_MAX),
    channels:
      channels.length === 0 ? undefined : [...new Map(channels).values()].slice(0, KEY_EVIDENCE_CHANNELS_MAX),
  };
}

async function keysOf(
  { ledger, trust }: KeyProofParts,
  dids: readonly PublicKey[],
): Promise<KeyEvidence | undefined> {
  try {
    // Where keys have to be asked for, one that is not known yet would look like one that never changed.
    await Promise.all(dids.map((did) => trust.ready?.(did)));
    const rotated = dids.filter((did) => {
      const [key = did] = trust.signersOf(did, 'receipt') ?? [];
      return !equalBytes(key, did);
    });
    return await keyEvidenceOf(ledger, rotated);
  } catch (error) {
    // A call's evidence is kept all the same; it proves less.
    if (asSaharaError(error).code === 'state-unproven') return undefined;
    throw error;
  }
}

/** The channel on which a call was paid, if on one. */
export function channelOf({ ending }: Pick<Bundle, 'ending'>): Hash | undefined {
  return receipt.decode(ending.receipt.payload).channel;
}

/** Everybody whose signature stands in the evidence of a call and of its settlement, each once. */
export function partiesOf(
  evidence: Pick<Bundle, 'card' | 'opening' | 'ending' | 'deliveries'> & Partial<Pick<Bundle, 'settlement'>>,
): readonly PublicKey[] {
  const { agent, operator, operatorCertificate } = card.decode(evidence.card.payload);
  const { callId, payer, payee } = receipt.decode(evidence.ending.receipt.payload);
  const parties = [operator, payer, payee, agent, ...issuersOf(operatorCertificate)];
  for (const above of evidence.opening.parents) {
    parties.push(envelope.decode(above.envelope.payload).from, ...issuersOf(above.certificate));
  }
  const { children } = readAnswer(nativeSuite, callId, evidence.deliveries);
  for (const child of children) {
    const below = receipt.decode(child.receipt.payload);
    parties.push(below.payee, below.payer, below.agent);
  }
  const { settlement } = evidence;
  // Anybody may send a claim.
  if (settlement !== undefined) parties.push(transaction.decode(settlement.transaction.payload).sender);
  return [...new Map(parties.map((did) => [toHex(did), did])).values()];
}

/** Who signed the links of a chain. */
function issuersOf(chain: Uint8Array): readonly PublicKey[] {
  return certificateChain.decode(chain).map(({ payload }) => certificate.decode(payload).issuer);
}
