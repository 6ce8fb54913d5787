import { type CallRecords, openCallRecords } from '../../src/agent/call-records.ts';
import { type Caller, type CallerOptions, type CallTarget, createCaller } from '../../src/agent/caller.ts';
import { createHost, type Host, type HostOptions, type HostParts } from '../../src/agent/host.ts';
import type { Answerer, AnswerPart, CallStream } from '../../src/agent/ports.ts';
import { openQuotaBook } from '../../src/agent/quota.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { systemDice } from '../../src/base/random.ts';
import { openReplayStore } from '../../src/base/replay.ts';
import { createMemoryStore, prefixed, type Store } from '../../src/base/store.ts';
import type { Tail } from '../../src/base/tail.ts';
import { createPayeeBook, type PayeeBook, type PayeeBookOptions } from '../../src/payment/payee-book.ts';
import { PayerBook } from '../../src/payment/payer-book.ts';
import { answerPaymentQuery } from '../../src/payment/payment-service.ts';
import type { ChannelInfo, ChannelView } from '../../src/payment/ports.ts';
import type { Source } from '../../src/protocol/call.ts';
import type { Card } from '../../src/protocol/card.ts';
import { card as cardSchema } from '../../src/protocol/card.ts';
import {
  createTickSigner,
  createVerifier,
  signed,
  signOne,
  type TickSigner,
} from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { createSigner, nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { createStreamPair, type PairOptions } from './stream-pair.ts';

export const NETWORK = 'test-0000000000000000';

const seeded = (value: number): Signer => createSigner(new Uint8Array(32).fill(value));

export const keys: Readonly<Record<'payer' | 'operator' | 'agent' | 'stranger' | 'contributor', Signer>> = {
  payer: seeded(1),
  operator: seeded(2),
  agent: seeded(3),
  stranger: seeded(4),
  contributor: seeded(5),
};

export const hash = (value: number): Uint8Array => new Uint8Array(32).fill(value);

export const AGENT_ASSET: Uint8Array = hash(0xa0);
export const KNOWLEDGE_ASSET: Uint8Array = hash(0xb0);
export const CHANNEL: Uint8Array = hash(0xc0);

export function tick(signer: Signer): TickSigner {
  return createTickSigner({ suite, signer, network: NETWORK });
}

/** Channels as a ledger would show them; tests change the entries. */
export class Channels implements ChannelView {
  readonly all: ChannelInfo[] = [];

  constructor(...channels: ChannelInfo[]) {
    this.all.push(...channels);
  }

  channel(id: Uint8Array): ChannelInfo | undefined {
    return this.all.find((channel) => Buffer.from(channel.id).equals(id));
  }

  between(payer: Uint8Array, payee: Uint8Array): readonly ChannelInfo[] {
    return this.all.filter(
      (channel) => Buffer.from(channel.payer).equals(payer) && Buffer.from(channel.payee).equals(payee),
    );
  }

  change(id: Uint8Array, change: Partial<ChannelInfo>): void {
    const at = this.all.findIndex((channel) => Buffer.from(channel.id).equals(id));
    this.all[at] = { ...(this.all[at] as ChannelInfo), ...change };
  }
}

export function openChannel(deposit = 1_000_000n): ChannelInfo {
  const { payer, operator } = keys;
  return {
    id: CHANNEL,
    payer: payer.publicKey,
    payee: operator.publicKey,
    deposit,
    claimed: 0n,
    state: 'open',
    leaving: 0n,
    revision: 0,
    lanes: [],
  };
}

export const PASSAGE =
  'A payee claims with the last voucher. The voucher stays valid when the payer disappears. Nothing else is needed.';

export const source: Source = {
  chunk: hash(0xd0),
  document: 'settlement.md',
  title: 'Channels',
  text: PASSAGE,
  contributor: keys.contributor.publicKey,
  asset: KNOWLEDGE_ASSET,
  licence: 'CC-BY-4.0',
};

/** Quotes the passage sentence by sentence and earns for it: a small real answerer. */
export function quotingAnswerer(
  options: { readonly before?: (part: number, signal: AbortSignal) => Promise<void> | void } = {},
): Answerer {
  return {
    answer(job, { signal }) {
      return {
        parts: quote(job.outputUnitsMax, options.before, signal),
        shares: ({ citations }) => ({
          rule: 'test/1',
          shares:
            citations.length === 0
              ? [{ asset: AGENT_ASSET, role: 'agent', ppm: 1_000_000 }]
              : [
                  { asset: KNOWLEDGE_ASSET, role: 'knowledge', ppm: 700_001 },
                  { asset: AGENT_ASSET, role: 'agent', ppm: 299_999 },
                ],
        }),
      };
    },
  };
}

async function* quote(
  unitsMax: number,
  before: ((part: number, signal: AbortSignal) => Promise<void> | void) | undefined,
  signal: AbortSignal,
): AsyncGenerator<AnswerPart> {
  yield { type: 'source', source };
  let at = 0;
  for (const [part, sentence] of PASSAGE.split(/(?<=\.) /).entries()) {
    await before?.(part, signal);
    signal.throwIfAborted();
    const text = part === 0 ? sentence : ` ${sentence}`;
    const start = at === 0 ? 0 : at + 1;
    at += utf8(text).length;
    const sourceStart = PASSAGE.indexOf(sentence);
    yield {
      type: 'delta',
      text,
      citations: [{ start, end: at, source: 0, sourceStart, sourceEnd: sourceStart + sentence.length }],
    };
  }
  yield { type: 'end', finish: unitsMax < 18 ? 'length' : 'done' };
}

export function cardOf(change: Partial<Card> = {}): Card {
  return {
    version: 1,
    network: NETWORK,
    agent: keys.agent.publicKey,
    operator: keys.operator.publicKey,
    name: 'guide',
    description: 'Answers from the documents of Sahara.',
    languages: ['en'],
    skills: [{ name: 'explain', description: 'Explains.', examples: [] }],
    price: { perCall: 100n, perInputUnit: 1n, perOutputUnit: 2n },
    free: { calls: 0, windowSeconds: 3600 },
    limits: { questionBytes: 4096, outputUnits: 100, deadlineMs: 60_000, concurrency: 64 },
    licence: 'Apache-2.0',
    manifestHash: hash(0xe0),
    model: { name: 'extractive/2', digest: hash(0xe1), determinism: 'exact' },
    asset: AGENT_ASSET,
    issuedAtMs: 1_700_000_000_000,
    operatorCertificate: new Uint8Array(0),
    ...change,
  };
}

/** How a rig differs from the plain one. */
export interface RigOptions {
  readonly card?: Partial<Card>;
  readonly answerer?: Answerer;
  readonly channels?: Channels;
  readonly pair?: PairOptions;
  readonly payeeStore?: Store;
  /** In front of the payee's store. Default: none. */
  readonly payeeTail?: Tail;
  /** The lane that the payee serves. Default 0. */
  readonly payeeLane?: number;
  readonly payerStore?: Store;
  readonly hostStore?: Store;
  readonly callerStore?: Store;
  readonly book?: Partial<PayeeBookOptions>;
  readonly stopTimeoutMs?: number;
  readonly callerOptions?: Partial<CallerOptions>;
  /** The caller's peer id; without one it does not go on with calls that broke. */
  readonly peerId?: string;
  readonly clock?: Clock;
  /** Over the host's parts and options. */
  readonly hostParts?: Partial<HostParts>;
  readonly hostOptions?: Partial<HostOptions>;
  /** Opens a stream whose far end it has the host serve. Default: a pair inside this process. */
  readonly connect?: (serve: (stream: CallStream) => void) => Promise<CallStream>;
  /** Every stream is handed over before the host takes it. */
  readonly onStream?: (caller: CallStream, host: CallStream) => void;
}

/** A caller and a host joined by streams inside this process, with the real books between them. */
export interface Rig {
  readonly caller: Caller;
  readonly host: Host;
  readonly payee: PayeeBook;
  readonly payer: PayerBook;
  readonly channels: Channels;
  readonly target: CallTarget;
  readonly card: Card;
  readonly records: { readonly caller: CallRecords; readonly host: CallRecords };
  /** Sends a raw opening and answers what came back. */
  raw(
    body: Uint8Array,
    from?: string,
  ): Promise<{
    readonly kinds: number[];
    readonly code?: string;
    readonly frames: { kind: number; body: Uint8Array }[];
  }>;
}

export async function createRig(options: RigOptions = {}): Promise<Rig> {
  const clock = options.clock ?? systemClock;
  const channels = options.channels ?? new Channels(openChannel());
  const hostStore = options.hostStore ?? createMemoryStore();
  const callerStore = options.callerStore ?? createMemoryStore();
  const at = (store: Store, name: string): Store => prefixed(store, utf8(name));
  const card = cardOf(options.card);
  const signedCard = signOne(suite, keys.agent, NETWORK, { type: 'card', payload: cardSchema.encode(card) });
  const cardHash = suite.sha256(signed.encode(signedCard));
  const verifier = createVerifier(suite);
  const payee = createPayeeBook(
    {
      suite,
      verifier,
      clock,
      store: options.payeeStore ?? createMemoryStore(),
      ...(options.payeeTail !== undefined && { tail: options.payeeTail }),
      channels,
      network: NETWORK,
      operator: tick(keys.operator),
      ...(options.payeeLane !== undefined && { lane: options.payeeLane }),
    },
    options.book,
  );
  const hosted = {
    card,
    cardHash,
    signer: tick(keys.agent),
    answerer: options.answerer ?? quotingAnswerer(),
  };
  const replay = await openReplayStore({ clock, store: at(hostStore, 'r') });
  const records = {
    host: await openCallRecords({ clock, store: at(hostStore, 'c') }),
    caller: await openCallRecords({ clock, store: at(callerStore, 'c') }),
  };
  const hostParts: HostParts = {
    suite,
    verifier,
    clock,
    network: NETWORK,
    replay,
    payee,
    records: records.host,
    quota: await openQuotaBook({ clock, store: at(hostStore, 'q') }),
    log: silentLog,
    agents: { find: (agent) => (Buffer.from(agent).equals(card.agent) ? hosted : undefined) },
  };
  const host = createHost({ ...hostParts, ...options.hostParts }, options.hostOptions);
  const open = (pair: PairOptions = {}): CallStream => {
    const { caller: near, host: far } = createStreamPair({ ...options.pair, ...pair });
    options.onStream?.(near, far);
    host.serve(far);
    return near;
  };
  const service = { book: payee, verifier, clock, replay, network: NETWORK };
  const operator = tick(keys.payer);
  const payer = await PayerBook.open({
    suite,
    verifier: createVerifier(suite),
    clock,
    store: options.payerStore ?? createMemoryStore(),
    channels,
    network: NETWORK,
    operator,
    peer: { ask: (_payee, body) => answerPaymentQuery(service, body) },
  });
  const caller = createCaller(
    {
      suite,
      verifier: createVerifier(suite),
      clock,
      dice: systemDice,
      network: NETWORK,
      operator,
      transport: {
        ...(options.peerId !== undefined && { peerId: options.peerId }),
        openCall: async () => options.connect?.((stream) => host.serve(stream)) ?? open(),
      },
      payer,
      records: records.caller,
    },
    { stopTimeoutMs: options.stopTimeoutMs ?? 1_000, ...options.callerOptions },
  );
  const raw: Rig['raw'] = async (body, from = 'peer-caller') => {
    const stream = open({ peerIds: { caller: from, host: 'peer-host' } });
    stream.send({ kind: 1, body });
    const frames: { kind: number; body: Uint8Array }[] = [];
    try {
      for await (const frame of stream.frames()) frames.push(frame);
      return { kinds: frames.map(({ kind }) => kind), frames };
    } catch (error) {
      const { code } = error as { code: string };
      return { kinds: frames.map(({ kind }) => kind), frames, code };
    }
  };
  return {
    caller,
    host,
    payee,
    payer,
    channels,
    card,
    records,
    raw,
    target: { peerId: 'peer-host', card: signedCard },
  };
}

export const QUESTION = 'How does a payee get paid if the payer disappears?';
