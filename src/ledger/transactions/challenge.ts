/** Evidence against the payee of a channel: it freezes a lane at what can be true and costs the payee its bond. */
import { SaharaError } from '../../base/errors.ts';
import { verifyChain } from '../../protocol/certificate.ts';
import { evidenceId, laneOf, type OpenedEvidence, provenTotal } from '../../protocol/evidence-channel.ts';
import { didOf, type Hash, type PublicKey } from '../../protocol/ids.ts';
import { signersOf } from '../identities.ts';
import { type ChannelRecord, laneId } from '../records.ts';
import type { EndedRecord, Freeze } from '../records-channel.ts';
import { revocationId } from '../records-identity.ts';
import type { ResultName } from '../result-codes.ts';
import { slash } from '../stake.ts';
import type { State } from '../state.ts';
import { evidenceStatements, isSigned } from '../statements.ts';
import { NEW_LANE, withLane } from './claim.ts';
import { done, type Handler, refuse, type TransactionContext } from './context.ts';

/** A lane that is accused: what it paid, how far it is frozen, and how it is frozen further. */
interface AccusedLane {
  readonly paid: bigint;
  readonly frozen: Freeze | undefined;
  freeze(freeze: Freeze): void;
}

/**
 * Freezes the lane at the highest total that the evidence leaves possible; what was paid beyond it goes back to the
 * payer out of the payee's own bond, as far as an offence leaves of it. It moves all that the stake lost.
 * Refusals in order: `channel-unknown` (also one that ended too long ago), `evidence-malformed`, `evidence-mismatch`,
 * `evidence-unproven`, `channel-unknown` again where the lane of an ended one paid nothing, `lanes-exhausted`,
 * `lane-frozen`, `evidence-signature-invalid`.
 */
export const challenge: Handler<'challenge'> = (context, { channel: id }) => {
  const { suite, network, state, sender, evidence: opened } = context;
  const parties = partiesAt(context, id);
  if (parties === undefined) return refuse('channel-unknown');
  if (opened === undefined) return refuse('evidence-malformed');
  const number = laneOf(opened, { network, channel: id, payee: parties.payee });
  if (number === undefined) return refuse('evidence-mismatch');
  const total = provenTotal(suite, opened);
  if (total === undefined) return refuse('evidence-unproven');
  const lane = accusedLane(state, id, number);
  if (typeof lane === 'string') return refuse(lane);
  if (lane.frozen !== undefined && lane.frozen.total <= total) return refuse('lane-frozen');
  if (!isProven(context, opened, parties.payee)) return refuse('evidence-signature-invalid');

  const returned = lane.frozen?.returned ?? 0n;
  const beyond = lane.paid - total - returned;
  const { taken, compensation } = slash(state, context, {
    did: parties.payee,
    role: 'provider',
    evidence: evidenceId(suite, network, opened),
    compensation: beyond > 0n ? beyond : 0n,
    to: parties.payer,
    informer: sender,
  });
  lane.freeze({ total, returned: returned + compensation });
  return done(taken);
};

/** The parties of a channel, or of one that ended and can still be challenged. */
function partiesAt({ state, height }: TransactionContext, id: Hash): ChannelRecord | EndedRecord | undefined {
  const ended = state.ended.get(id);
  return state.channels.get(id) ?? (ended !== undefined && ended.until >= height ? ended : undefined);
}

function accusedLane(state: State, id: Hash, lane: number): AccusedLane | Exclude<ResultName, 'ok'> {
  const channel = state.channels.get(id);
  if (channel !== undefined) return openLane(state, id, channel, lane) ?? 'lanes-exhausted';
  return endedLane(state, id, lane) ?? 'channel-unknown';
}

/** A lane that was never claimed on is frozen all the same, before it can be. */
function openLane(state: State, id: Hash, channel: ChannelRecord, lane: number): AccusedLane | undefined {
  const lanes = withLane(channel.lanes, lane);
  if (lanes === undefined) return undefined;
  const known = state.lanes.get(laneId(id, lane)) ?? NEW_LANE;
  return {
    paid: known.paid,
    frozen: known.frozen,
    freeze(frozen) {
      state.lanes.set(laneId(id, lane), { ...known, frozen });
      state.channels.set(id, { ...channel, lanes });
    },
  };
}

/** Of a channel that ended only lanes that paid are remembered; another one cannot be claimed on any more. */
function endedLane(state: State, id: Hash, lane: number): AccusedLane | undefined {
  const ended = state.ended.get(id);
  const known = ended?.lanes.find((one) => one.lane === lane);
  if (ended === undefined || known === undefined) return undefined;
  return {
    paid: known.paid,
    frozen: known.frozen,
    freeze(frozen) {
      const lanes = ended.lanes.map((one) => (one === known ? { ...one, frozen } : one));
      state.ended.set(id, { ...ended, lanes });
    },
  };
}

/** Whether the payee signed its charges, and an agent that it named the receipt. */
function isProven(context: TransactionContext, opened: OpenedEvidence, payee: PublicKey): boolean {
  const { state, signatures } = context;
  const statements = evidenceStatements(state, accountableSince(context), opened, payee);
  if (!statements.every((statement) => isSigned(signatures, statement))) return false;
  return opened.receipt === undefined || isNamed(context, opened, payee);
}

/**
 * Keys whose time was over before this height prove nothing any more. Each has as long beyond its last claim as a channel
 * beyond its end, so that nobody claims on a lie in the last block in which a key counts, and is rid of it.
 */
function accountableSince({ height, genesis }: Pick<TransactionContext, 'height' | 'genesis'>): number {
  return height - genesis.parameters.closeDelayBlocks;
}

/**
 * Whether the payee's certificates named the agent when the receipt was made. An agent's clock is its own word: what
 * it says of the time counts against its payee, who chose it. A certificate that was taken back on the ledger counts
 * for as long as it takes to end a channel, so that nobody disowns an agent to escape its receipts.
 */
function isNamed(
  context: TransactionContext,
  { receipt, evidence }: OpenedEvidence,
  payee: PublicKey,
): boolean {
  if (receipt === undefined || evidence.type !== 'contradicted-receipt') return false;
  const { suite, network, state, height, genesis, signatures } = context;
  const { agent, finishedAtMs } = receipt.terms;
  const signer = (issuer: PublicKey): PublicKey =>
    signersOf(state, issuer, accountableSince(context)).find((publicKey) =>
      evidence.chain.some((message) => signatures.check({ type: 'certificate', publicKey, message })),
    ) ?? issuer;
  try {
    verifyChain(suite, evidence.chain, {
      network,
      root: payee,
      subject: { kind: 'key', id: agent },
      capability: `serve:agent/${didOf(agent)}`,
      nowMs: finishedAtMs,
      trust: {
        signersOf: (issuer) => [signer(issuer)],
        isRevoked: (issuer, serial) => {
          const revoked = state.revocations.get(revocationId(issuer, serial));
          return revoked !== undefined && revoked.since + genesis.parameters.closeDelayBlocks < height;
        },
      },
    });
    return true;
  } catch (error) {
    if (error instanceof SaharaError && error.code === 'certificate-invalid') return false;
    throw error;
  }
}
