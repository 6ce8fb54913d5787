/**
 * Small proofs of life. Every peer asks a few hosts at a time, drawn by lot, to sign a number with the agent's key; who
 * does not is off this peer's list until it does. Each peer believes its own probes only: were failures told around,
 * a liar could take a host off other lists, or aim everybody's probes at it.
 */
import { equalBytes } from '../base/bytes.ts';
import { type Clock, timeoutSignal } from '../base/clock.ts';
import { asSaharaError, type ErrorCode, SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Dice } from '../base/random.ts';
import { PROTOCOL_VERSION } from '../protocol/ids.ts';
import { probe, probeAnswer } from '../protocol/probe.ts';
import { signed, type TickSigner, type Verifier } from '../protocol/signing.ts';
import type { DirectoryState, HostEntry, Instant } from './directory-state.ts';
import type { Mesh, PeerConduct } from './interface.ts';
import { AUTHORS_FOLLOWED_MAX } from './limits.ts';
import { createPaces } from './paces.ts';
import { pickHosts } from './probe-plan.ts';

/** The protocol under which a host proves that it serves an agent. */
export const PROBE_PROTOCOL = '/sahara/probe/1';

/** Probes of this peer, made and answered. */
export interface Probes {
  /** Probes what a peer hosts now: it was lost, or has come back. */
  check(peerId: string): Promise<void>;
  /** Takes a host off the list that did not answer; without an agent, for all of its agents. */
  failed(peerId: string, agent: Uint8Array | undefined): void;
  stop(): Promise<void>;
}

/** What probes work with. */
export interface ProbesParts {
  readonly mesh: Pick<Mesh, 'peerId' | 'peers' | 'request' | 'serve'>;
  readonly verifier: Verifier;
  readonly clock: Clock;
  readonly dice: Dice;
  readonly log: Log;
  readonly state: DirectoryState;
  readonly now: () => Instant;
  /** Tells that the list has changed. */
  readonly changed: () => void;
  /** What signs for an agent that is announced here. */
  readonly signerOf: (agent: Uint8Array) => TickSigner | undefined;
  /** Who counts what hosts do. Default: nobody. */
  readonly conduct?: PeerConduct | undefined;
  /** Makes sure of a connection to a host. */
  readonly reach: (host: HostEntry, options: { readonly signal: AbortSignal }) => Promise<void>;
}

/** How probes behave. */
export interface ProbesOptions {
  readonly network: string;
  /** Time between two rounds, milliseconds; each is between half and one and a half of it. */
  readonly probeIntervalMs: number;
  /** Hosts probed in a round. */
  readonly probesPerRound: number;
  /** Longest wait for an answer, dialling included, milliseconds. */
  readonly probeTimeoutMs: number;
}

/** A host that proved itself is left alone for so many rounds. */
const REST_ROUNDS = 3;
const ANSWER_BYTES_MAX = 1_024;
const PROBES_AT_A_TIME = 64;
/** What one peer, and all together, may ask in a second; and at once. */
const PER_PEER = { ratePerSecond: 2, burst: 32 };
const TOGETHER = { ratePerSecond: 200, burst: 400 };

/** What a probe says: of the agent, of the whole peer, or nothing. */
type Outcome = 'alive' | 'agent-gone' | 'peer-gone' | 'unclear';

const UNCLEAR: ReadonlySet<ErrorCode> = new Set(['overloaded', 'rate-limited', 'cancelled', 'internal']);
const OF_AGENT: ReadonlySet<ErrorCode> = new Set(['agent-unknown', 'malformed', 'signature-invalid']);

/** Starts to probe and to answer probes. */
export function createProbes(parts: ProbesParts, options: ProbesOptions): Probes {
  const { mesh, clock, dice, log, state, now } = parts;
  const stopping = new AbortController();
  const unserve = serveProbes(parts, options.network);
  let cancel = (): void => {};
  let round: Promise<void> = Promise.resolve();

  /** Who is alone cannot tell whose fault it is that nobody answers. */
  const isAlone = (): boolean => mesh.peers().length === 0;
  const failed: Probes['failed'] = (peerId, agent) => {
    // Who probes nobody could never take it back.
    const forgiving = options.probesPerRound === 0 || isAlone();
    const shown = forgiving ? state.remove(peerId, agent) : state.suspend(peerId, agent, now());
    if (shown) parts.changed();
  };
  const look = async (host: HostEntry): Promise<Outcome> => {
    const outcome = await ask(parts, options, host, stopping.signal);
    if (stopping.signal.aborted || outcome === 'unclear') return 'unclear';
    if (outcome === 'alive') {
      parts.conduct?.note(host.peerId, 'probe-answered');
      if (state.restore(host.peerId, host.agent, now())) parts.changed();
      return outcome;
    }
    const agent = outcome === 'agent-gone' ? host.agent : undefined;
    log.debug('host does not answer', { peer: host.peerId, outcome });
    if (!isAlone()) parts.conduct?.note(host.peerId, 'probe-failed');
    failed(host.peerId, agent);
    return outcome;
  };
  const next = (): void => {
    const lot = (dice.bytes(1)[0] ?? 0) / 256;
    cancel = clock.after(options.probeIntervalMs * (0.5 + lot), () => {
      const restedSinceMs = clock.monotonicMs() - REST_ROUNDS * options.probeIntervalMs;
      const plan = { dice, count: options.probesPerRound, here: mesh.peerId, restedSinceMs };
      round = Promise.all(pickHosts(state.hosts(now()), plan).map(look)).then(() => {
        if (!stopping.signal.aborted) next();
      });
    });
  };
  if (options.probesPerRound > 0) next();

  return {
    failed,
    async check(peerId) {
      if (options.probesPerRound === 0) return;
      for (const host of state.hosts(now()).filter((entry) => entry.peerId === peerId)) {
        if ((await look(host)) === 'peer-gone') return;
      }
    },
    async stop() {
      stopping.abort();
      cancel();
      unserve();
      await round;
    },
  };
}

/** Asks one host to prove that it serves its agent. Never throws. */
async function ask(
  parts: ProbesParts,
  options: ProbesOptions,
  host: HostEntry,
  stopping: AbortSignal,
): Promise<Outcome> {
  const { mesh, dice } = parts;
  const { network, probeTimeoutMs } = options;
  const { agent, peerId } = host;
  const signal = AbortSignal.any([stopping, timeoutSignal(parts.clock, probeTimeoutMs)]);
  const nonce = dice.bytes(32);
  const expected = { version: PROTOCOL_VERSION, network, agent, host: peerId, asker: mesh.peerId, nonce };
  try {
    await parts.reach(host, { signal });
    const asking = { signal, timeoutMs: probeTimeoutMs, answerBytesMax: ANSWER_BYTES_MAX };
    const answer = signed.decode(
      await mesh.request(peerId, PROBE_PROTOCOL, probe.encode({ agent, nonce }), asking),
    );
    if (!equalBytes(answer.payload, probeAnswer.encode(expected))) return 'agent-gone';
    const fault = await parts.verifier.check(network, 'probe-answer', agent, answer);
    return fault ? 'agent-gone' : 'alive';
  } catch (error) {
    const { code } = asSaharaError(error);
    // A wait that was given up here says that nobody answered, unless this peer itself stops.
    if (code === 'cancelled' && !stopping.aborted) return 'peer-gone';
    return UNCLEAR.has(code) ? 'unclear' : OF_AGENT.has(code) ? 'agent-gone' : 'peer-gone';
  }
}

/** Signs what peers ask for the agents that are announced here. */
function serveProbes(parts: ProbesParts, network: string): () => void {
  const { mesh, clock, signerOf } = parts;
  const paces = createPaces({ ...PER_PEER, namesMax: AUTHORS_FOLLOWED_MAX });
  const together = createPaces({ ...TOGETHER, namesMax: 1 });
  return mesh.serve(PROBE_PROTOCOL, {
    requestBytesMax: 128,
    answerBytesMax: ANSWER_BYTES_MAX,
    concurrencyMax: PROBES_AT_A_TIME,
    async handle(body, from) {
      const { agent, nonce } = probe.decode(body);
      const nowMs = clock.monotonicMs();
      if (!paces.take(from, nowMs) || !together.take('', nowMs)) {
        throw new SaharaError('rate-limited', { what: 'probes', perSecond: PER_PEER.ratePerSecond });
      }
      const signer = signerOf(agent);
      if (signer === undefined) throw new SaharaError('agent-unknown', { reason: 'not hosted here' });
      const said = {
        version: PROTOCOL_VERSION,
        network,
        agent,
        host: mesh.peerId,
        asker: from,
        nonce,
      };
      return signed.encode(await signer.sign('probe-answer', probeAnswer.encode(said)));
    },
  });
}
