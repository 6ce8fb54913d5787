import { type CallRecords, openCallRecords } from '../../src/agent/call-records.ts';
import { type Caller, type CallerOptions, type CallTarget, createCaller } from '../../src/agent/caller.ts';
import { type OpenCalls, openOpenCalls } from '../../src/agent/open-calls.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { systemDice as dice } from '../../src/base/random.ts';
import { openReplayStore } from '../../src/base/replay.ts';
import { createMemoryStore, prefixed, type Store } from '../../src/base/store.ts';
import { createPayeeBook, type PayeeBook } from '../../src/payment/payee-book.ts';
import { PayerBook } from '../../src/payment/payer-book.ts';
import { answerPaymentQuery } from '../../src/payment/payment-service.ts';
import type { Card } from '../../src/protocol/card.ts';
import { card as cardSchema } from '../../src/protocol/card.ts';
import { createVerifier, signed, signOne } from '../../src/protocol/signing.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { RawAgent } from './raw-agent.ts';
import { Channels, cardOf, keys, NETWORK, openChannel, tick } from './rig.ts';
import type { PairOptions } from './stream-pair.ts';

/** How a rig of a caller differs from the plain one. */
export interface CallerRigOptions {
  readonly card?: Partial<Card>;
  readonly caller?: Partial<CallerOptions>;
  readonly deposit?: bigint;
  readonly clock?: Clock;
  readonly pair?: PairOptions;
  /** How many peers host the agent: `peer-host`, `peer-host-1` and so on. Default 1. */
  readonly hosts?: number;
}

/** One process of a caller: its books are in a store that another one can open after it. */
export interface CallerProcess {
  readonly caller: Caller;
  readonly payer: PayerBook;
  readonly openCalls: OpenCalls;
  readonly records: CallRecords;
}

/** A real caller with its real books, and an agent that says what the test has it say. */
export interface CallerRig extends CallerProcess {
  readonly agent: RawAgent;
  /** All hosts of the agent, and how each is asked. */
  readonly hosts: readonly RawAgent[];
  readonly targets: readonly CallTarget[];
  readonly payee: PayeeBook;
  readonly channels: Channels;
  readonly target: CallTarget;
  readonly store: Store;
  /** The same operator's caller over `store`, as the peer `peerId`: a restart, or another gateway peer. */
  process(store: Store, peerId?: string): Promise<CallerProcess>;
}

export async function createCallerRig(options: CallerRigOptions = {}): Promise<CallerRig> {
  const clock = options.clock ?? systemClock;
  const channels = new Channels(openChannel(options.deposit ?? 1_000_000n));
  const card = cardOf(options.card);
  const signedCard = signOne(suite, keys.agent, NETWORK, { type: 'card', payload: cardSchema.encode(card) });
  const cardHash = suite.sha256(signed.encode(signedCard));
  const verifier = createVerifier(suite);
  const payee = createPayeeBook({
    ...{ suite, verifier, clock, channels, network: NETWORK },
    store: createMemoryStore(),
    operator: tick(keys.operator),
  });
  const peerIds = Array.from({ length: options.hosts ?? 1 }, (_, i) => `peer-host${i === 0 ? '' : `-${i}`}`);
  const hosts = new Map(peerIds.map((peer) => [peer, new RawAgent({ card, cardHash, payee })]));
  const agent = hosts.get('peer-host') as RawAgent;
  const replay = await openReplayStore({ clock, store: createMemoryStore() });
  const service = { book: payee, verifier, clock, replay, network: NETWORK };

  const process: CallerRig['process'] = async (store, peerId = 'peer-caller') => {
    const operator = tick(keys.payer);
    const payer = await PayerBook.open({
      ...{ suite, verifier, clock, channels, network: NETWORK, operator },
      store: prefixed(store, utf8('p')),
      peer: { ask: (_payee, body) => answerPaymentQuery(service, body) },
    });
    const openCalls = await openOpenCalls({ clock, store: prefixed(store, utf8('o')) });
    const records = await openCallRecords({ clock, store: prefixed(store, utf8('c')) });
    const caller = createCaller(
      {
        ...{ suite, verifier, clock, dice, network: NETWORK, operator, payer, records, openCalls },
        transport: {
          peerId,
          openCall: (peer, how) =>
            (hosts.get(peer) ?? agent).transport(peerId, options.pair).openCall(peer, how),
        },
      },
      { stopTimeoutMs: 1_000, resumeForMs: 5_000, stepAmount: 0n, stepUnits: 32, ...options.caller },
    );
    return { caller, payer, openCalls, records };
  };
  const store = createMemoryStore();
  const targets = peerIds.map((peer) => ({ peerId: peer, card: signedCard }));
  const target = { peerId: 'peer-host', card: signedCard };
  const began = await process(store);
  return { ...began, agent, hosts: [...hosts.values()], targets, payee, channels, target, store, process };
}
