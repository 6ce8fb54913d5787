/**
 * A light client: it keeps one header and no state, asks nodes for what it needs to know, and believes what they
 * prove against a header that the sequencer signed. A node can refuse to answer or be behind; it cannot lie, and it
 * cannot take the client back behind a header that it has seen. What no node tells it, it does not know: a network
 * of nodes that all withhold new blocks looks quiet.
 */
import { equalBytes } from '../../base/bytes.ts';
import { asSaharaError, invariant, SaharaError } from '../../base/errors.ts';
import type { Store } from '../../base/store.ts';
import type { Genesis } from '../../protocol/block.ts';
import type { Hash, PublicKey } from '../../protocol/ids.ts';
import type { Suite } from '../../protocol/suite.ts';
import { transactionId } from '../../protocol/transaction.ts';
import { checkInclusion } from '../inclusion.ts';
import type { Asset, Channel, Inclusion, InclusionProof, LedgerHead } from '../ledger.ts';
import {
  HEADERS_ANSWER_BYTES_MAX,
  HEADERS_ANSWERED_MAX,
  PEERS_ASKED_MAX,
  STATE_ANSWER_BYTES_MAX,
  STATE_KEYS_ASKED_MAX,
} from '../limits.ts';
import { nameOf } from '../names.ts';
import { type Account, accountIn, assetIn, channelIn, type ReadRecord } from '../queries.ts';
import { GRANTS, type GrantRecord, licenseeId, stateKey } from '../records.ts';
import type { LedgerMesh } from '../sync.ts';
import { verifyStateProof } from '../tree-hash.ts';
import { type Equivocation, type HeaderChain, type OpenedHeader, openHeaderChain } from './headers.ts';
import {
  HEADERS_PROTOCOL,
  headersAnswer,
  headersQuestion,
  STATE_PROTOCOL,
  type StateAnswer,
  type StateQuestion,
  stateAnswer,
  stateQuestion,
} from './messages.ts';

/** Parts of a light client. */
export interface LightClientParts {
  readonly suite: Suite;
  readonly genesis: Genesis;
  /** Whom to ask. */
  readonly ask: Pick<LedgerMesh, 'peers' | 'request'>;
  /** Its own: keeps the latest header, and evidence. */
  readonly store: Store;
}

/** Options of a light client. */
export interface LightClientOptions {
  /** How long one peer may take to answer, milliseconds. Default 15,000. */
  readonly requestTimeoutMs: number;
}

/** Defaults of a light client. */
export const LIGHT_CLIENT_DEFAULTS: LightClientOptions = { requestTimeoutMs: 15_000 };

/** What was proved, and at which head. */
export interface Proved<T> {
  readonly value: T;
  readonly head: LedgerHead;
}

/** A transaction that is in the ledger, with everything that proves it. */
export interface ProvedInclusion {
  readonly inclusion: Inclusion;
  readonly proof: InclusionProof;
}

interface Waiting {
  readonly signal?: AbortSignal;
}

/**
 * Answers with proofs only. Every question goes to up to 8 peers, another one first each time, until one proves its
 * answer. Rejects with `state-unproven` and the last peer's reason when none did, with `ledger-halted` once the
 * sequencer said two things, and with `cancelled`.
 */
export interface LightClient {
  readonly network: string;
  /** The latest verified header. */
  head(): LedgerHead;
  /** The two headers that halted it. */
  evidence(): Equivocation | undefined;
  /** Follows the headers of up to 8 peers to the latest; those that fail are passed over if one answers. */
  follow(options?: Waiting): Promise<LedgerHead>;
  account(key: PublicKey, options?: Waiting): Promise<Proved<Account>>;
  channel(id: Hash, options?: Waiting): Promise<Proved<Channel | undefined>>;
  /** An asset with its revenue. */
  asset(id: Hash, options?: Waiting): Promise<Proved<Asset | undefined>>;
  /** A bought licence. */
  grant(asset: Hash, licensee: PublicKey, options?: Waiting): Promise<Proved<GrantRecord | undefined>>;
  /**
   * Whatever `about` reads, at most 128 records, all at one head. `about` is called again whenever more was read for
   * it: until then records that it asks for seem absent.
   */
  read<T>(about: (read: ReadRecord) => T, options?: Waiting): Promise<Proved<T>>;
  /** A transaction in the ledger; `undefined` when no peer that was asked knows it, which proves nothing. */
  inclusion(id: Hash, options?: Waiting): Promise<ProvedInclusion | undefined>;
}

/** Rounds in which a question may find out what else it has to read. */
const READ_ROUNDS_MAX = 6;
/** Answers of one peer that may be overtaken by what others told meanwhile. */
const OVERTAKEN_MAX = 3;

/** A light client. Throws `network-mismatch` when the store is another network's. */
export function createLightClient(
  parts: LightClientParts,
  options: Partial<LightClientOptions> = {},
): LightClient {
  const client = new Client(parts, { ...LIGHT_CLIENT_DEFAULTS, ...options });
  const { chain } = client;
  const read = <T>(about: (read: ReadRecord) => T, { signal }: Waiting = {}): Promise<Proved<T>> =>
    client.read(about, signal);
  return {
    network: chain.network,
    head: () => chain.head(),
    evidence: () => chain.evidence(),
    follow: ({ signal } = {}) => client.follow(signal),
    account: (key, waiting) => read((from) => accountIn(from, key), waiting),
    channel: (id, waiting) => read((from) => channelIn(from, id), waiting),
    asset: (id, waiting) => read((from) => assetIn(from, id), waiting),
    grant: (asset, licensee, waiting) => read((from) => from(GRANTS, licenseeId(asset, licensee)), waiting),
    read,
    inclusion: (id, { signal } = {}) => client.inclusion(id, signal),
  };
}

interface ProvedValues {
  readonly head: LedgerHead;
  readonly values: ReadonlyMap<string, Uint8Array | undefined>;
}

class Client {
  readonly chain: HeaderChain;
  readonly #parts: LightClientParts;
  readonly #options: LightClientOptions;
  #turn = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: LightClientParts, options: LightClientOptions) {
    this.#parts = parts;
    this.#options = options;
    this.chain = openHeaderChain(parts);
  }

  async follow(signal: AbortSignal | undefined): Promise<LedgerHead> {
    let answered = false;
    let last: unknown;
    for (const peerId of this.#peers()) {
      try {
        await this.#followPeer(peerId, undefined, signal);
        answered = true;
      } catch (error) {
        last = this.#passOver(error, signal);
      }
    }
    if (!answered) throw unproven(last);
    return this.chain.head();
  }

  async read<T>(about: (read: ReadRecord) => T, signal: AbortSignal | undefined): Promise<Proved<T>> {
    const keys = new Map<string, Uint8Array>();
    let proved: ProvedValues | undefined;
    for (let round = 0; round < READ_ROUNDS_MAX; round++) {
      const { size } = keys;
      const value = about((table, id) => {
        const key = stateKey(table, id);
        const name = nameOf(key);
        keys.set(name, key);
        const stored = proved?.values.get(name);
        return stored && table.schema.decode(stored);
      });
      invariant(keys.size <= STATE_KEYS_ASKED_MAX, 'one question reads at most 128 records');
      if (proved !== undefined && keys.size === size) return { value, head: proved.head };
      proved = await this.#any(signal, (peerId) => this.#prove(peerId, [...keys.values()], signal));
    }
    throw new SaharaError('state-unproven', { reason: 'What was asked for changed with every answer' });
  }

  async inclusion(id: Hash, signal: AbortSignal | undefined): Promise<ProvedInclusion | undefined> {
    let last: unknown;
    let denied = false;
    for (const peerId of this.#peers()) {
      try {
        const answer = await this.#ask(peerId, { type: 'inclusion', id }, signal);
        if (answer.type !== 'inclusion') throw wrong('It answered another question');
        if (answer.proof !== undefined) return await this.#checkInclusion(id, answer.proof);
        denied = true;
      } catch (error) {
        last = this.#passOver(error, signal);
      }
    }
    if (!denied) throw unproven(last);
    return undefined;
  }

  async #checkInclusion(id: Hash, proof: InclusionProof): Promise<ProvedInclusion> {
    const { suite, genesis } = this.#parts;
    const { network } = this.chain;
    const checked = checkInclusion(suite, { network, sequencer: genesis.sequencer }, proof);
    if (typeof checked === 'string') throw wrong(`Its proof fails: ${checked}`);
    if (!equalBytes(transactionId(suite, network, proof.transaction.payload), id))
      throw wrong('It proved another transaction');
    const known = this.chain.latest();
    if (known?.header.height === checked.height) await this.chain.same(known, this.chain.open(proof.header));
    const { index } = proof.transactionPath;
    return { inclusion: { id, height: checked.height, index, result: proof.result }, proof };
  }

  /** Asks peer by peer until one proves its answer. */
  async #any<T>(signal: AbortSignal | undefined, ask: (peerId: string) => Promise<T>): Promise<T> {
    let last: unknown;
    for (const peerId of this.#peers()) {
      try {
        return await ask(peerId);
      } catch (error) {
        last = this.#passOver(error, signal);
      }
    }
    throw unproven(last);
  }

  /** The error of a peer that is passed over; throws what ends the whole question. */
  #passOver(error: unknown, signal: AbortSignal | undefined): unknown {
    this.#demandRunning();
    if (signal?.aborted) throw new SaharaError('cancelled');
    // A defect of ours; what a peer did wrong is one of our errors.
    if (!(error instanceof SaharaError)) throw error;
    return error;
  }

  #demandRunning(): void {
    const { halted } = this.chain.head();
    if (halted !== undefined) throw new SaharaError('ledger-halted', { reason: halted });
  }

  #peers(): readonly string[] {
    this.#demandRunning();
    const peers = this.#parts.ask.peers();
    const first = peers.length === 0 ? 0 : this.#turn++ % peers.length;
    const turned = [...peers.slice(first), ...peers.slice(0, first)];
    return turned.slice(0, PEERS_ASKED_MAX).map(({ peerId }) => peerId);
  }

  async #prove(
    peerId: string,
    keys: readonly Uint8Array[],
    signal: AbortSignal | undefined,
  ): Promise<ProvedValues> {
    for (let overtaken = 0; ; overtaken++) {
      const { height } = this.chain.head();
      const answer = await this.#ask(peerId, { type: 'records', height, keys }, signal);
      if (answer.type !== 'records' || answer.entries.length !== keys.length)
        throw wrong('It answered another question');
      const header = answer.header && this.chain.open(answer.header);
      if ((header?.header.height ?? 0) < height) throw wrong('Its state is older than what is known');
      const head = await this.#headOf(peerId, header, signal);
      if (head === undefined && overtaken < OVERTAKEN_MAX) continue;
      if (head === undefined) throw wrong('Its state is older than what is known');
      return { head, values: this.#valuesOf(keys, answer, head.stateRoot) };
    }
  }

  /** The head that an answer rests on, followed up to there; `undefined` when others have told of later ones. */
  async #headOf(
    peerId: string,
    target: OpenedHeader | undefined,
    signal: AbortSignal | undefined,
  ): Promise<LedgerHead | undefined> {
    if (target === undefined) return this.chain.latest() === undefined ? this.chain.head() : undefined;
    const { height, stateRoot, timeMs } = target.header;
    const ahead = height > this.chain.head().height;
    const met = ahead && (await this.#followPeer(peerId, target, signal));
    const known = this.chain.latest();
    if (known === undefined || known.header.height < height)
      throw wrong('Its headers do not lead to its state');
    if (known.header.height === height) await this.chain.same(known, target);
    else if (!met) return undefined;
    return { height, headerHash: target.hash, stateRoot, timeMs };
  }

  #valuesOf(
    keys: readonly Uint8Array[],
    answer: Extract<StateAnswer, { type: 'records' }>,
    root: Hash,
  ): ReadonlyMap<string, Uint8Array | undefined> {
    const values = new Map<string, Uint8Array | undefined>();
    for (const [i, key] of keys.entries()) {
      const entry = answer.entries[i];
      if (
        entry === undefined ||
        !verifyStateProof(this.#parts.suite, root, { key, value: entry.value }, entry.proof)
      )
        throw wrong('Its proof does not lead to the state root');
      values.set(nameOf(key), entry.value);
    }
    return values;
  }

  /**
   * Takes a peer's headers to its last, or past `target`; answers whether that was among them. One at a time: each run
   * begins at the head.
   */
  #followPeer(
    peerId: string,
    target: OpenedHeader | undefined,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const run = this.#last.then(async () => {
      let met = false;
      for (;;) {
        const { height } = this.chain.head();
        if (target !== undefined && height >= target.header.height) return met;
        const question = { fromHeight: Math.max(1, height), count: HEADERS_ANSWERED_MAX };
        const answer = await this.#parts.ask.request(
          peerId,
          HEADERS_PROTOCOL,
          headersQuestion.encode(question),
          this.#limits(HEADERS_ANSWER_BYTES_MAX, signal),
        );
        met = (await this.chain.take(headersAnswer.decode(answer), target)) || met;
        if (this.chain.head().height === height) return met;
      }
    });
    this.#last = run.catch(() => {});
    return run;
  }

  async #ask(peerId: string, question: StateQuestion, signal: AbortSignal | undefined): Promise<StateAnswer> {
    const limits = this.#limits(STATE_ANSWER_BYTES_MAX, signal);
    return stateAnswer.decode(
      await this.#parts.ask.request(peerId, STATE_PROTOCOL, stateQuestion.encode(question), limits),
    );
  }

  #limits(answerBytesMax: number, signal: AbortSignal | undefined) {
    return { answerBytesMax, timeoutMs: this.#options.requestTimeoutMs, ...(signal && { signal }) };
  }
}

function wrong(reason: string): SaharaError {
  return new SaharaError('state-unproven', { reason });
}

function unproven(last: unknown): SaharaError {
  if (last === undefined) return wrong('No peer is connected');
  const { facts, message } = asSaharaError(last);
  const reason = typeof facts.reason === 'string' ? facts.reason : message;
  return new SaharaError('state-unproven', { reason }, { cause: last });
}
