/**
 * Payers tell what their calls took, so that nobody need believe what agents say of themselves. Who speaks shows the
 * agent's receipt, so only somebody who was answered can; what was verified goes into the measures that order hosts.
 */
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { PROTOCOL_VERSION } from '../protocol/ids.ts';
import { OBSERVATION_BYTES_MAX } from '../protocol/limits.ts';
import { type Observation, observation } from '../protocol/observation.ts';
import { type Receipt, receipt as receiptSchema } from '../protocol/payment.ts';
import { type Signed, signed, type TickSigner, type Verifier } from '../protocol/signing.ts';
import type { Instant } from './directory-state.ts';
import type { Mesh, Verdict } from './interface.ts';
import type { Measures } from './measures.ts';
import { createObservationRules } from './observation-rules.ts';
import { topicName } from './topics.ts';

/** A call of this peer as it saw it. */
export interface SeenCall {
  /** The agent's receipt, checked. */
  readonly receipt: Signed;
  /** The peer that answered. */
  readonly peerId: string;
  readonly firstMs: number;
  readonly totalMs: number;
  readonly ahead: number;
}

/** What calls took, told and heard. */
export interface Observations {
  /** Takes a call of this peer, and tells others of it unless that was done too lately. Never throws. */
  observe(call: SeenCall): Promise<void>;
  stop(): void;
}

/** What observations work with. */
export interface ObservationsParts {
  readonly mesh: Pick<Mesh, 'subscribe' | 'publish'>;
  readonly verifier: Verifier;
  readonly clock: Clock;
  readonly log: Log;
  /** The payer's key. */
  readonly payer: TickSigner;
  readonly measures: Measures;
  /** Whether a peer is listed as a host of an agent. */
  readonly isHost: (agent: Uint8Array, peerId: string) => boolean;
  /** Grains that the receipt's channel locks on the ledger from its payer for its payee; 0 when it does not. */
  readonly stakeOf: (receipt: Receipt) => bigint | Promise<bigint>;
}

/** How observations behave. */
export interface ObservationsOptions {
  readonly network: string;
  /** Tells others what calls of this peer took. Default true. */
  readonly tell: boolean;
}

const MILLISECONDS_MAX = 0xffff_ffff;

/** Listens to what others observed, and tells what this peer does. */
export function createObservations(
  parts: ObservationsParts,
  given: { readonly network: string } & Partial<ObservationsOptions>,
): Observations {
  const options = { tell: true, ...given };
  const { mesh, clock, log, measures, verifier } = parts;
  const { network } = options;
  const topic = topicName(network, 'observations');
  const rules = createObservationRules({ network });
  const now = (): Instant => ({ wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() });

  // Where nobody proves the channel, it weighs nothing.
  const stakeOf = async (receipt: Receipt): Promise<bigint> => {
    try {
      return await parts.stakeOf(receipt);
    } catch {
      return 0n;
    }
  };

  const take = async (message: Uint8Array, author: string): Promise<Verdict> => {
    const read = decoded(message);
    if (!read) return 'reject';
    const { seen, receipt } = read;
    const around = (): Parameters<typeof rules.judge>[2] => ({ author, now: now(), isHost: parts.isHost });
    const verdict = rules.judge(seen, receipt, around());
    if (verdict !== 'accept') return verdict;
    if (await verifier.check(network, 'observation', seen.payer, read.message)) return 'reject';
    if (await verifier.check(network, 'receipt', receipt.agent, seen.receipt)) return 'reject';
    // Another one of this payer may have been taken while this one was being verified.
    if (!rules.mayTell(receipt, now())) return 'ignore';
    rules.mark(receipt, now());
    measures.put(seen, receipt, { stake: await stakeOf(receipt), own: false });
    return 'accept';
  };
  const unsubscribe = mesh.subscribe(topic, {
    sizeBytesMax: OBSERVATION_BYTES_MAX,
    validate: (message, _from, author) => take(message, author),
    deliver: () => {},
  });

  const tell = async (seen: Observation): Promise<void> => {
    const message = signed.encode(await parts.payer.sign('observation', observation.encode(seen)));
    if (message.length <= OBSERVATION_BYTES_MAX) await mesh.publish(topic, message);
  };
  return {
    async observe(call) {
      try {
        const receipt = receiptSchema.decode(call.receipt.payload);
        const seen = observationOf(call, {
          network,
          payer: parts.payer.publicKey,
          issuedAtMs: clock.nowMs(),
        });
        measures.put(seen, receipt, { stake: await stakeOf(receipt), own: true });
        if (!options.tell || !rules.mayTell(receipt, now())) return;
        rules.mark(receipt, now());
        await tell(seen);
      } catch (error) {
        log.debug('observation not told', { reason: String(error) });
      }
    },
    stop: unsubscribe,
  };
}

function observationOf(
  call: SeenCall,
  by: { readonly network: string; readonly payer: Uint8Array; readonly issuedAtMs: number },
): Observation {
  const firstMs = Math.min(MILLISECONDS_MAX, Math.max(0, Math.round(call.firstMs)));
  const totalMs = Math.min(MILLISECONDS_MAX, Math.max(firstMs, Math.round(call.totalMs)));
  const { peerId, receipt, ahead } = call;
  return { version: PROTOCOL_VERSION, ...by, peerId, receipt, firstMs, totalMs, ahead };
}

function decoded(
  bytes: Uint8Array,
): { readonly message: Signed; readonly seen: Observation; readonly receipt: Receipt } | undefined {
  try {
    const message = signed.decode(bytes);
    const seen = observation.decode(message.payload);
    return { message, seen, receipt: receiptSchema.decode(seen.receipt.payload) };
  } catch {
    return undefined;
  }
}
