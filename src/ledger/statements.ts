/**
 * The signed records inside a transaction: who has to have signed each, by the keys that count at a height. Execution
 * asks for them one by one; before a block they are verified together, off the event loop.
 */
import { SaharaError } from '../base/errors.ts';
import type { ClaimBody } from '../protocol/actions-channel.ts';
import { certificate } from '../protocol/certificate.ts';
import type { OpenedEvidence } from '../protocol/evidence-channel.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import type { Signed } from '../protocol/signing.ts';
import { type Action, claimsOf } from '../protocol/transaction.ts';
import { signersOf } from './identities.ts';
import type { OpenedRecords } from './prepare.ts';
import type { ChannelRecord } from './records.ts';
import type { SignatureBook } from './signatures.ts';
import type { State } from './state.ts';

/** A signed record, and the keys of which one has to have signed it. */
export interface Statement {
  /** The name of its type. */
  readonly type: string;
  readonly message: Signed;
  /** In the order in which they are tried. */
  readonly signers: readonly PublicKey[];
}

/** Whether one of its signers signed a statement. */
export function isSigned(signatures: SignatureBook, { type, message, signers }: Statement): boolean {
  return signers.some((publicKey) => signatures.check({ type, publicKey, message }));
}

/** Verifies statements off the event loop, so that `isSigned` finds the verdicts. */
export async function verifyStatements(
  signatures: SignatureBook,
  statements: readonly Statement[],
): Promise<void> {
  await Promise.all(
    statements.map(async ({ type, message, signers }) => {
      for (const publicKey of signers) if (await signatures.verify({ type, publicKey, message })) return;
    }),
  );
}

/** Every statement in an action about channels that are known. With the height 0, all keys that may still count. */
export function statementsIn(
  state: State,
  height: number,
  { action, opened }: { readonly action: Action; readonly opened: OpenedRecords },
): readonly Statement[] {
  if (action.type === 'withdraw') {
    const channel = state.channels.get(action.channel);
    return channel === undefined ? [] : [releaseStatement(state, height, action.release, channel)];
  }
  if (action.type === 'challenge') {
    const parties = partiesOf(state, action.channel);
    if (parties === undefined || opened.evidence === undefined) return [];
    return evidenceStatements(state, height, opened.evidence, parties.payee);
  }
  return claimsOf(action).flatMap((body) => {
    const channel = state.channels.get(body.channel);
    return channel === undefined ? [] : claimStatements(state, height, body, channel);
  });
}

/** The voucher and the charge of a claim. */
export function claimStatements(
  state: State,
  height: number,
  body: ClaimBody,
  channel: ChannelRecord,
): readonly [Statement, Statement] {
  return [
    { type: 'voucher', message: body.voucher, signers: voucherSigners(state, height, channel) },
    { type: 'charge', message: body.charge, signers: signersOf(state, channel.payee, height) },
  ];
}

/** Who signs a channel's vouchers: its own present key, the payer, and former keys of both that still count. */
function voucherSigners(
  state: State,
  height: number,
  { payer, voucherKeys }: ChannelRecord,
): readonly PublicKey[] {
  const payers = signersOf(state, payer, height);
  if (voucherKeys.length === 0) return payers;
  const present = voucherKeys.filter(({ until }) => until === undefined);
  const former = voucherKeys.filter(({ until }) => until !== undefined && until >= height);
  return [...present.map(({ key }) => key), ...payers, ...former.map(({ key }) => key)];
}

/** The payee's release of a deposit. */
export function releaseStatement(
  state: State,
  height: number,
  message: Signed,
  { payee }: ChannelRecord,
): Statement {
  return { type: 'release', message, signers: signersOf(state, payee, height) };
}

/**
 * The charges, the receipt and the certificates of evidence against `payee`; unreadable certificates have no signer. Keys
 * count whose time was not over before the height `since`.
 */
export function evidenceStatements(
  state: State,
  since: number,
  { charges, receipt, evidence }: OpenedEvidence,
  payee: PublicKey,
): readonly Statement[] {
  const statements: Statement[] = charges.map(({ message }) => ({
    type: 'charge',
    message,
    signers: signersOf(state, payee, since),
  }));
  if (receipt === undefined || evidence.type !== 'contradicted-receipt') return statements;
  const { message, terms } = receipt;
  statements.push({ type: 'receipt', message, signers: signersOf(state, terms.agent, since) });
  for (const link of evidence.chain) {
    const issuer = issuerOf(link);
    const signers = issuer === undefined ? [] : signersOf(state, issuer, since);
    statements.push({ type: 'certificate', message: link, signers });
  }
  return statements;
}

function issuerOf(link: Signed): PublicKey | undefined {
  try {
    return certificate.decode(link.payload).issuer;
  } catch (error) {
    if (error instanceof SaharaError && error.code === 'malformed') return undefined;
    throw error;
  }
}

/** Payer and payee of a channel that exists, or that ended and is still remembered. */
export function partiesOf(
  state: State,
  id: Hash,
): { readonly payer: PublicKey; readonly payee: PublicKey } | undefined {
  return state.channels.get(id) ?? state.ended.get(id);
}
