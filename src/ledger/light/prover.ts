/** The asking half of a light client: one question at a time goes from peer to peer until one proves its answer. */
import { equalBytes } from '../../base/bytes.ts';
import { asSaharaError, invariant, SaharaError } from '../../base/errors.ts';
import type { CertifiedHeader } from '../../protocol/certified-header.ts';
import type { Hash } from '../../protocol/ids.ts';
import { LINEAGE_DEPTH_MAX } from '../../protocol/limits.ts';
import { verifyStateProof } from '../../protocol/state-proof.ts';
import { transactionId } from '../../protocol/transaction.ts';
import { type ClaimSought, chargeFor } from '../claim-index.ts';
import { checkPaths } from '../inclusion.ts';
import type { InclusionProof, LedgerHead, ProvedState } from '../ledger.ts';
import {
  HEADERS_ANSWER_BYTES_MAX,
  HEADERS_ANSWERED_MAX,
  LISTED_MAX,
  STATE_ANSWER_BYTES_MAX,
  STATE_KEYS_ASKED_MAX,
  STATE_KEYS_READ_MAX,
} from '../limits.ts';
import { type ListKind, listNumberOf } from '../listings.ts';
import { nameOf } from '../names.ts';
import { prepareTransaction } from '../prepare.ts';
import type { ReadRecord } from '../queries.ts';
import { stateKey } from '../records.ts';
import type { LightClientOptions, LightClientParts, Proved, ProvedInclusion } from './client.ts';
import { type HeaderChain, type OpenedHeader, openHeaderChain } from './headers.ts';
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
import { LightPeers } from './peers.ts';
import { Questions } from './questions.ts';

/** Rounds in which a question may find out what else it has to read. */
const READ_ROUNDS_MAX = LINEAGE_DEPTH_MAX + 4;
/** Answers of one peer that may be overtaken by what others told meanwhile. */
const OVERTAKEN_MAX = 3;

interface ProvedValues {
  readonly head: LedgerHead;
  readonly values: ReadonlyMap<string, Uint8Array | undefined>;
}

type ProvedAnswer = ProvedValues & ProvedState;

/** Whom an answer came from. */
interface Asked {
  readonly peerId: string;
  readonly signal: AbortSignal | undefined;
}

/** Asks peers, and believes what they prove. */
export class Prover {
  readonly chain: HeaderChain;
  readonly #parts: LightClientParts;
  readonly #options: LightClientOptions;
  readonly peers: LightPeers;
  readonly #questions: Questions;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: LightClientParts, options: LightClientOptions) {
    this.#parts = parts;
    this.#options = options;
    this.chain = openHeaderChain(parts);
    this.peers = new LightPeers(parts.ask);
    this.#questions = new Questions((peerId, question, signal) =>
      parts.ask.request(peerId, STATE_PROTOCOL, question, this.#limits(STATE_ANSWER_BYTES_MAX, signal)),
    );
  }

  async hear(message: CertifiedHeader): Promise<'later' | 'known'> {
    this.#demandRunning();
    const opened = this.chain.open(message);
    const known = this.chain.latest();
    if (opened.header.height > this.chain.head().height) return 'later';
    if (known?.header.height === opened.header.height) await this.chain.same(known, opened);
    return 'known';
  }

  async follow(signal: AbortSignal | undefined): Promise<LedgerHead> {
    let answered = false;
    let last: unknown;
    for (const peerId of this.#peers()) {
      try {
        await this.#followPeer(peerId, undefined, signal);
        this.peers.held(peerId);
        answered = true;
      } catch (error) {
        last = this.#passOver(peerId, error, signal);
      }
    }
    if (!answered) throw unproven(last);
    return this.chain.head();
  }

  async read<T>(
    about: (read: ReadRecord) => T,
    likely: readonly Uint8Array[],
    signal: AbortSignal | undefined,
  ): Promise<Proved<T>> {
    const keys = new Map(likely.map((key) => [nameOf(key), key]));
    let proved: ProvedValues | undefined;
    for (let round = 0; round < READ_ROUNDS_MAX; round++) {
      const { size } = keys;
      const value = attempt(() =>
        about((table, id) => {
          const key = stateKey(table, id);
          const name = nameOf(key);
          keys.set(name, key);
          const stored = proved?.values.get(name);
          return stored && table.schema.decode(stored);
        }),
      );
      invariant(keys.size <= STATE_KEYS_READ_MAX, 'one question reads at most 16,640 records');
      if (proved !== undefined && keys.size === size) return { value: value(), head: proved.head };
      proved = await this.#any(signal, (peerId) => this.#prove(peerId, [...keys.values()], signal));
    }
    throw new SaharaError('state-unproven', { reason: 'What was asked for changed with every answer' });
  }

  async prove(keys: readonly Uint8Array[], signal: AbortSignal | undefined): Promise<ProvedState> {
    invariant(keys.length <= STATE_KEYS_ASKED_MAX, 'at most 128 records are proved together');
    const { header, entries } = await this.#any(signal, (peerId) => this.#proveSome(peerId, keys, signal));
    return { header, entries };
  }

  async inclusion(id: Hash, signal: AbortSignal | undefined): Promise<ProvedInclusion | undefined> {
    return this.#known(signal, async (peerId) => {
      const answer = await this.#ask(peerId, { type: 'inclusion', id }, signal);
      if (answer.type !== 'inclusion') throw wrong('It answered another question');
      return answer.proof && this.#checkInclusion(id, answer.proof, { peerId, signal });
    });
  }

  async claim(sought: ClaimSought, signal: AbortSignal | undefined): Promise<InclusionProof | undefined> {
    const { suite } = this.#parts;
    return this.#known(signal, async (peerId) => {
      const answer = await this.#ask(peerId, { type: 'claim', ...sought }, signal);
      if (answer.type !== 'inclusion') throw wrong('It answered another question');
      const { proof } = answer;
      if (proof === undefined) return undefined;
      const { id, content } = prepareTransaction(suite, this.chain.network, proof.transaction);
      const terms = content.fault === undefined && chargeFor(content.transaction.action, sought);
      const counts = terms !== undefined && terms !== false && proof.result.code === 0;
      if (!counts) throw wrong('It proved another claim');
      return (await this.#checkInclusion(id, proof, { peerId, signal })).proof;
    });
  }

  async listed(kind: ListKind, key: Uint8Array, signal: AbortSignal | undefined): Promise<readonly Hash[]> {
    const found = new Map<string, Hash>();
    await this.#known(signal, async (peerId) => {
      const answer = await this.#ask(peerId, { type: 'listing', kind: listNumberOf(kind), key }, signal);
      if (answer.type !== 'listing') throw wrong('It answered another question');
      for (const id of answer.ids) if (found.size < LISTED_MAX) found.set(nameOf(id), id);
      return undefined;
    });
    return [...found.values()];
  }

  /** Asks peer by peer until one knows. Throws when none answered well. */
  async #known<T>(
    signal: AbortSignal | undefined,
    ask: (peerId: string) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    let last: unknown;
    let denied = false;
    for (const peerId of this.#peers()) {
      try {
        const known = await ask(peerId);
        this.peers.held(peerId);
        if (known !== undefined) return known;
        denied = true;
      } catch (error) {
        last = this.#passOver(peerId, error, signal);
      }
    }
    if (!denied) throw unproven(last);
    return undefined;
  }

  async #checkInclusion(id: Hash, proof: InclusionProof, from: Asked): Promise<ProvedInclusion> {
    const { suite } = this.#parts;
    const opened = await this.#open(proof.header, from).catch((error: unknown) => {
      const { code, facts } = asSaharaError(error);
      if (code !== 'block-invalid') throw error;
      throw wrong(`Its proof fails: ${facts.reason}`);
    });
    const fault = checkPaths(suite, opened.header, proof);
    if (fault !== undefined) throw wrong(`Its proof fails: ${fault}`);
    if (!equalBytes(transactionId(suite, this.chain.network, proof.transaction.payload), id))
      throw wrong('It proved another transaction');
    const known = this.chain.latest();
    const { height } = opened.header;
    if (known?.header.height === height) await this.chain.same(known, opened);
    const { index } = proof.transactionPath;
    return { inclusion: { id, height, index, result: proof.result }, proof };
  }

  /** The header of an answer. Where what is believed of consensus does not lead there, the peer is followed first. */
  async #open(message: CertifiedHeader, { peerId, signal }: Asked): Promise<OpenedHeader> {
    try {
      return this.chain.open(message);
    } catch (error) {
      if (message.consensus === undefined || asSaharaError(error).code !== 'state-unproven') throw error;
    }
    await this.#followPeer(peerId, undefined, signal);
    return this.chain.open(message);
  }

  /** Asks peer by peer until one proves its answer. */
  async #any<T>(signal: AbortSignal | undefined, ask: (peerId: string) => Promise<T>): Promise<T> {
    let last: unknown;
    for (const peerId of this.#peers()) {
      try {
        const answer = await ask(peerId);
        this.peers.held(peerId);
        return answer;
      } catch (error) {
        last = this.#passOver(peerId, error, signal);
      }
    }
    throw unproven(last);
  }

  /** The error of a peer that is passed over; throws what ends the whole question. */
  #passOver(peerId: string, error: unknown, signal: AbortSignal | undefined): unknown {
    this.#demandRunning();
    if (signal?.aborted) throw new SaharaError('cancelled');
    // A defect of ours; what a peer did wrong is one of our errors.
    if (!(error instanceof SaharaError)) throw error;
    this.peers.failed(peerId, error);
    return error;
  }

  #demandRunning(): void {
    const { halted } = this.chain.head();
    if (halted !== undefined) throw new SaharaError('ledger-halted', { reason: halted });
  }

  #peers(): readonly string[] {
    this.#demandRunning();
    return this.peers.order();
  }

  /** What one peer proves of any number of keys, at one head. */
  async #prove(
    peerId: string,
    keys: readonly Uint8Array[],
    signal: AbortSignal | undefined,
  ): Promise<ProvedValues> {
    for (let moved = 0; moved <= OVERTAKEN_MAX; moved++) {
      const parts: ProvedValues[] = [];
      for (let at = 0; at < Math.max(1, keys.length); at += STATE_KEYS_ASKED_MAX)
        parts.push(await this.#proveSome(peerId, keys.slice(at, at + STATE_KEYS_ASKED_MAX), signal));
      const [first] = parts;
      if (first && parts.every(({ head }) => head.height === first.head.height))
        return { head: first.head, values: new Map(parts.flatMap(({ values }) => [...values])) };
    }
    throw wrong('Its state moved on with every question');
  }

  async #proveSome(
    peerId: string,
    keys: readonly Uint8Array[],
    signal: AbortSignal | undefined,
  ): Promise<ProvedAnswer> {
    for (let overtaken = 0; ; overtaken++) {
      const { height } = this.chain.head();
      const answer = await this.#ask(peerId, { type: 'records', height, keys }, signal);
      if (answer.type !== 'records' || answer.entries.length !== keys.length)
        throw wrong('It answered another question');
      const header = answer.header && (await this.#open(answer.header, { peerId, signal }));
      if ((header?.header.height ?? 0) < height) throw wrong('Its state is older than what is known');
      const head = await this.#headOf(peerId, header, signal);
      if (head === undefined && overtaken < OVERTAKEN_MAX) continue;
      if (head === undefined) throw wrong('Its state is older than what is known');
      return { ...answer, head, values: this.#valuesOf(keys, answer, head.stateRoot) };
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
        const consensusFrom = this.chain.consensus.from;
        const question = { fromHeight: Math.max(1, height), count: HEADERS_ANSWERED_MAX, consensusFrom };
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
    return stateAnswer.decode(await this.#questions.ask(peerId, stateQuestion.encode(question), signal));
  }

  #limits(answerBytesMax: number, signal: AbortSignal | undefined) {
    return { answerBytesMax, timeoutMs: this.#options.requestTimeoutMs, ...(signal && { signal }) };
  }
}

/** Runs a job; what it throws is thrown by whoever asks for the value. Until all is read it may fail for want of it. */
function attempt<T>(job: () => T): () => T {
  try {
    const value = job();
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
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
