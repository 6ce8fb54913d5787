import { type CallRecords, openCallRecords } from '../../src/agent/call-records.ts';
import { createHost, type Host, type HostOptions } from '../../src/agent/host.ts';
import type { Answerer, AnswerPart, CallFrame, PayeePort } from '../../src/agent/ports.ts';
import { openQuotaBook } from '../../src/agent/quota.ts';
import {
  openRunningCalls,
  type RunningCalls,
  type RunningCallsOptions,
} from '../../src/agent/running-calls.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type { SaharaError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { openReplayStore } from '../../src/base/replay.ts';
import { createMemoryStore, prefixed, type Store } from '../../src/base/store.ts';
import { createPayeeBook, type PayeeBook } from '../../src/payment/payee-book.ts';
import {
  CALL_FRAME,
  type CallOpening,
  callEnding,
  callOpening,
  callRequest,
  chainNext,
  chainStart,
  delta,
  progress,
} from '../../src/protocol/call.ts';
import type { Card } from '../../src/protocol/card.ts';
import {
  type Checkpoint,
  callResume,
  callVoucher,
  checkpoint,
  type ResumeRequest,
  resumeRequest,
} from '../../src/protocol/checkpoint.ts';
import { type Envelope, envelope } from '../../src/protocol/envelope.ts';
import { type Receipt, receipt, voucher } from '../../src/protocol/payment.ts';
import { createVerifier, type Signed, signed, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { AGENT_ASSET, CHANNEL, Channels, cardOf, keys, NETWORK, openChannel, QUESTION, tick } from './rig.ts';
import { createStreamPair, type End, type PairOptions } from './stream-pair.ts';

/** Grains of the question alone under the card of `cardOf`. */
export const LEAST = 110n;
/** Grains of one word. */
export const WORD = 2n;

/** How a host under test differs from the plain one. */
export interface HostRigOptions {
  readonly card?: Partial<Card>;
  readonly answerer?: Answerer;
  /** Stands for the disk: a second rig over it is the host after a restart. */
  readonly store?: Store;
  readonly channels?: Channels;
  readonly clock?: Clock;
  readonly host?: Partial<HostOptions>;
  readonly running?: Partial<RunningCallsOptions>;
  readonly pair?: PairOptions;
  /** The payee's port as the host sees it. */
  readonly payee?: (book: PayeeBook) => PayeePort;
}

/** A host with its real books, spoken to in frames. */
export interface HostRig {
  readonly host: Host;
  readonly payee: PayeeBook;
  readonly records: CallRecords;
  readonly running: RunningCalls;
  readonly channels: Channels;
  readonly store: Store;
  /** Everything charged so far, grains. */
  charged(): Promise<bigint>;
  /** Everything that was kept is on the store. */
  flushed(): Promise<void>;
  stream(peerId?: string): Wire;
}

export async function createHostRig(options: HostRigOptions = {}): Promise<HostRig> {
  const clock = options.clock ?? systemClock;
  const store = options.store ?? createMemoryStore();
  const at = (name: string): Store => prefixed(store, utf8(name));
  const channels = options.channels ?? new Channels(openChannel());
  const card = cardOf(options.card);
  const cardHash = suite.sha256(signed.encode(cardMark()));
  const verifier = createVerifier({
    ...suite,
    verifyAsync: async (...signature) => suite.verify(...signature),
  });
  const running = await openRunningCalls({ store: at('r') }, options.running);
  const operator = tick(keys.operator);
  const book = { suite, verifier, clock, channels, network: NETWORK, operator, kept: running };
  const payee = createPayeeBook({ ...book, store: at('p') });
  const records = await openCallRecords({ clock, store: at('c') });
  const replay = await openReplayStore({ clock, store: at('m') });
  const hosted = {
    card,
    cardHash,
    signer: tick(keys.agent),
    answerer: options.answerer ?? wordAnswerer(100),
  };
  const host = createHost(
    {
      ...{ suite, verifier, clock, network: NETWORK, replay, records, running, log: silentLog },
      payee: options.payee?.(payee) ?? payee,
      quota: await openQuotaBook({ clock, store: at('q') }),
      agents: { find: (agent) => (Buffer.from(agent).equals(card.agent) ? hosted : undefined) },
    },
    options.host,
  );
  return {
    host,
    payee,
    records,
    running,
    channels,
    store,
    async charged() {
      let sum = 0n;
      for await (const lane of payee.lanes.all()) sum += lane.charged;
      return sum;
    },
    async flushed() {
      await Promise.all([payee.flush(), records.flushed(), replay.flushed(), running.flushed()]);
    },
    stream(peerId = 'peer-caller') {
      const pair = createStreamPair({ ...options.pair, peerIds: { caller: peerId, host: 'peer-host' } });
      host.serve(pair.host);
      return new Wire(pair.caller, peerId);
    },
  };
}

/** What stands for the signed card: its caller and its host only compare the hash. */
function cardMark(): Signed {
  return signOne(suite, keys.agent, NETWORK, { type: 'card', payload: utf8('guide') });
}

/** Says `count` words, one at a time, as fast as they are asked for; `made` counts them. */
export function wordAnswerer(
  count: number,
  options: {
    readonly before?: (word: number, signal: AbortSignal) => Promise<void> | void;
    readonly parts?: readonly AnswerPart[];
    /** The words, by position. Default: the same at every run. */
    readonly word?: (at: number) => string;
  } = {},
): Answerer & { made: number } {
  const answerer = {
    made: 0,
    answer: (_job: unknown, { signal }: { readonly signal: AbortSignal }) => ({
      parts: (async function* (): AsyncGenerator<AnswerPart> {
        for (const part of options.parts ?? []) yield part;
        for (let at = 0; at < count; at++) {
          await options.before?.(at, signal);
          signal.throwIfAborted();
          answerer.made++;
          yield { type: 'delta', text: options.word?.(at) ?? `word${at} `, citations: [] };
        }
        yield { type: 'end', finish: 'done' };
      })(),
      shares: () => ({
        rule: 'test/1',
        shares: [{ asset: AGENT_ASSET, role: 'agent' as const, ppm: 1_000_000 }],
      }),
    }),
  };
  return answerer;
}

/** A stream to the host, with everything that came on it. */
export class Wire {
  readonly frames: CallFrame[] = [];
  readonly checkpoints: Checkpoint[] = [];
  /** What the host said by `progress`. */
  readonly stages: string[] = [];
  readonly end: End;
  readonly peerId: string;
  /** Why the stream broke, if it did. */
  failure: SaharaError | undefined;
  ended = false;
  #changed: () => void = () => {};

  constructor(end: End, peerId: string) {
    this.end = end;
    this.peerId = peerId;
    end.consume({
      frame: (kind, body) => {
        this.frames.push({ kind, body: body.slice() });
        if (kind === CALL_FRAME.progress) this.stages.push(progress.decode(body).stage);
        if (kind === CALL_FRAME.checkpoint) {
          this.checkpoints.push(checkpoint.decode(signed.decode(body).payload));
        }
        this.#changed();
      },
      end: () => {
        this.ended = true;
        this.#changed();
      },
      fail: (error) => {
        this.failure = error;
        this.#changed();
      },
    });
  }

  get over(): boolean {
    return this.ended || this.failure !== undefined;
  }

  get kinds(): readonly number[] {
    return this.frames.map(({ kind }) => kind);
  }

  /** What was delivered. */
  get deliveries(): readonly CallFrame[] {
    return this.frames.filter(({ kind }) => DELIVERED.has(kind));
  }

  get text(): string {
    return textOf(this.frames);
  }

  get receipt(): Receipt | undefined {
    const ending = this.frames.find(({ kind }) => kind === CALL_FRAME.ending);
    return ending && receipt.decode(callEnding.decode(ending.body).receipt.payload);
  }

  get receiptBytes(): string | undefined {
    const ending = this.frames.find(({ kind }) => kind === CALL_FRAME.ending);
    return ending && Buffer.from(ending.body).toString('hex');
  }

  send(kind: number, body: Uint8Array = new Uint8Array(0)): void {
    this.end.send({ kind, body });
  }

  /** Says that nobody reads any more. */
  cancel(): void {
    this.end.cancel();
    this.ended = true;
  }

  /** Resolves once `wanted`, or when the stream is over. */
  async until(wanted: () => boolean = () => false): Promise<void> {
    while (!wanted() && !this.over) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }
}

/** The text of what was delivered in `frames`. */
export function textOf(frames: readonly CallFrame[]): string {
  const deltas = frames.filter(({ kind }) => kind === CALL_FRAME.delta);
  return deltas.map(({ body }) => delta.decode(body).text).join('');
}

const DELIVERED: ReadonlySet<number> = new Set([CALL_FRAME.delta, CALL_FRAME.source, CALL_FRAME.child]);

/** What a raw call differs in from the plain one, which is fully covered. */
export interface RawCall {
  readonly id: number;
  readonly cover?: bigint;
  readonly priceMax?: bigint;
  readonly outputUnitsMax?: number;
  readonly deadlineMs?: number;
  readonly from?: Signer;
  readonly free?: boolean;
  readonly envelope?: Partial<Envelope>;
  readonly clock?: Clock;
}

export const callIdOf = (id: number): Uint8Array => new Uint8Array(16).fill(id);

/** Vouchers of the payer for the one channel, each above the one before. */
export class Purse {
  ceiling = 0n;
  sequence = 0;

  /** A voucher that raises the ceiling by `more`. */
  more(more: bigint): Signed {
    this.ceiling += more;
    return this.sign(this.ceiling, ++this.sequence);
  }

  sign(ceiling: bigint, sequence: number, channel: Uint8Array = CHANNEL): Signed {
    const terms = {
      ...{ network: NETWORK, channel, lane: 0, ceiling, sequence },
      ...{ receiptCount: 0, receiptRoot: new Uint8Array(32), receiptTotal: 0n, notAfterMs: undefined },
    };
    return signOne(suite, keys.payer, NETWORK, { type: 'voucher', payload: voucher.encode(terms) });
  }
}

/** An opening in its wire form. Without a purse it has no voucher. */
export function openingOf(call: RawCall, purse: Purse | undefined): Uint8Array {
  const clock = call.clock ?? systemClock;
  const { priceMax = 1_000n, outputUnitsMax = 100, deadlineMs = 60_000, from = keys.payer } = call;
  const cover = call.cover ?? priceMax;
  const request = callRequest.encode({
    cardHash: suite.sha256(signed.encode(cardMark())),
    skill: undefined,
    question: QUESTION,
    context: [],
    ...{ priceMax, cover, outputUnitsMax, deadlineMs, seed: undefined },
  });
  const opened = envelopeOf(
    { id: callIdOf(call.id), type: 'call', body: request, clock, from },
    call.envelope,
  );
  const opening: CallOpening = {
    envelope: signOne(suite, from, NETWORK, { type: 'call', payload: envelope.encode(opened) }),
    request,
    voucher: purse?.more(cover),
    ...{ offer: undefined, work: undefined, parents: [] },
  };
  return callOpening.encode(opening);
}

/** A `voucher` frame's body that covers `cover` by raising the purse's ceiling by `more`. */
export function topUpOf(cover: bigint, voucherOf: Signed): Uint8Array {
  return callVoucher.encode({ cover, voucher: voucherOf });
}

/** What a raw resumption differs in from the plain one. */
export interface RawResume extends Partial<ResumeRequest> {
  readonly from?: Signer;
  readonly voucher?: Signed;
  readonly envelope?: Partial<Envelope>;
  readonly clock?: Clock;
  readonly nonce?: Uint8Array;
}

let nonces = 0;

/** A resumption in its wire form by who has `had`. */
export function resumeOf(id: number, had: readonly CallFrame[], change: RawResume = {}): Uint8Array {
  const {
    from = keys.payer,
    clock = systemClock,
    voucher: added,
    envelope: edit,
    nonce,
    ...request
  } = change;
  const body = resumeRequest.encode({
    callId: callIdOf(id),
    peer: 'peer-caller',
    deliveries: had.length,
    chain: chainOf(id, had),
    cover: 0n,
    ...request,
  });
  const own = new Uint8Array(16);
  new DataView(own.buffer).setUint32(0, ++nonces);
  own[15] = 1;
  const opened = envelopeOf({ id: nonce ?? own, type: 'resume', body, clock, from }, edit);
  const message = signOne(suite, from, NETWORK, { type: 'resume', payload: envelope.encode(opened) });
  return callResume.encode({ envelope: message, body, voucher: added });
}

/** The chain over `frames` of a call. */
export function chainOf(id: number, frames: readonly CallFrame[]): Uint8Array {
  return frames.reduce(
    (chain, { kind, body }) => chainNext(suite, chain, kind, body),
    chainStart(suite, callIdOf(id)),
  );
}

function envelopeOf(
  said: {
    readonly id: Uint8Array;
    readonly type: string;
    readonly body: Uint8Array;
    readonly clock: Clock;
    readonly from: Signer;
  },
  change: Partial<Envelope> = {},
): Envelope {
  const issuedAtMs = said.clock.nowMs();
  return {
    version: 1,
    network: NETWORK,
    id: said.id,
    from: said.from.publicKey,
    to: { kind: 'agent', name: keys.agent.publicKey },
    sequence: 0,
    issuedAtMs,
    expiresAtMs: issuedAtMs + 120_000,
    context: undefined,
    bodyType: said.type,
    bodyHash: suite.sha256(said.body),
    extensions: new Map(),
    ...change,
  };
}

/** What a process that is killed leaves behind: nothing that comes later is written. */
export async function snapshot(store: Store): Promise<Store> {
  const copy = createMemoryStore();
  const operations = [];
  for await (const [key, value] of store.entries()) operations.push({ type: 'put' as const, key, value });
  await copy.batch(operations);
  return copy;
}

/** Lets everything happen that waits for no timer. */
export async function settle(turns = 30): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A clock that a test moves. */
export class TestClock implements Clock {
  #now = 1_700_000_000_000;
  #timers: { readonly atMs: number; readonly run: () => void }[] = [];

  nowMs(): number {
    return this.#now;
  }

  monotonicMs(): number {
    return this.#now;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#now + delayMs, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Moves on by `ms`; what is due runs in its order. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.#now + ms;
    for (;;) {
      const due = this.#timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== due);
      this.#now = Math.max(this.#now, due.atMs);
      due.run();
      await settle();
    }
    this.#now = untilMs;
    await settle();
  }
}
