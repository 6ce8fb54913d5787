/** Calls and questions about payments: what a caller sends to a host and a host to a caller. */
import { openCallRecords } from '../../../src/agent/call-records.ts';
import { createHost } from '../../../src/agent/host.ts';
import { openQuotaBook } from '../../../src/agent/quota.ts';
import { concat, equalBytes } from '../../../src/base/bytes.ts';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import { SaharaError } from '../../../src/base/errors.ts';
import { silentLog } from '../../../src/base/log.ts';
import { openReplayStore } from '../../../src/base/replay.ts';
import { createMemoryStore } from '../../../src/base/store.ts';
import { createPayeeBook } from '../../../src/payment/payee-book.ts';
import { answerPaymentQuery } from '../../../src/payment/payment-service.ts';
import {
  CALL_FRAME,
  type CallOpening,
  callEnding,
  callOpening,
  callRequest,
} from '../../../src/protocol/call.ts';
import { card as cardSchema } from '../../../src/protocol/card.ts';
import { envelope } from '../../../src/protocol/envelope.ts';
import { type Voucher, voucher } from '../../../src/protocol/payment.ts';
import {
  PAYMENT_QUERY_BYTES_MAX,
  type PaymentQuery,
  paymentAnswer,
  paymentQuery,
} from '../../../src/protocol/payment-query.ts';
import { createVerifier, type Signed, signed, signOne } from '../../../src/protocol/signing.ts';
import { nativeSuite as suite } from '../../../src/protocol/suite-native.ts';
import {
  CHANNEL,
  Channels,
  cardOf,
  createRig,
  keys,
  NETWORK,
  openChannel,
  QUESTION,
  quotingAnswerer,
  tick,
} from '../../calls/rig.ts';
import { createStreamPair } from '../../calls/stream-pair.ts';
import { changedBytes } from '../bytes.ts';
import type { Random } from '../random.ts';
import { changedRecord } from '../records.ts';
import { holds, type Target, type TargetMaker } from '../target.ts';

const NOW_MS = 1_790_000_000_000;
const clock: Clock = { ...systemClock, nowMs: () => NOW_MS };
const card = cardOf({ free: { calls: 1_000_000_000, windowSeconds: 3600 } });
const signedCard = signOne(suite, keys.agent, NETWORK, { type: 'card', payload: cardSchema.encode(card) });
const cardHash = suite.sha256(signed.encode(signedCard));
const filled = (value: number, length: number): Uint8Array => new Uint8Array(length).fill(value);

/** A host and its payee's book, both at `NOW_MS`. */
async function createHosting() {
  const verifier = createVerifier(suite);
  const store = createMemoryStore;
  const channels = new Channels(openChannel(10n ** 15n));
  const operator = tick(keys.operator);
  const payee = createPayeeBook({
    suite,
    verifier,
    clock,
    store: store(),
    channels,
    network: NETWORK,
    operator,
  });
  const hosted = { card, cardHash, signer: tick(keys.agent), answerer: quotingAnswerer() };
  const replay = await openReplayStore({ clock, store: store() });
  const host = createHost({
    suite,
    verifier,
    clock,
    network: NETWORK,
    replay,
    payee,
    records: await openCallRecords({ clock, store: store() }),
    quota: await openQuotaBook({ clock, store: store() }),
    log: silentLog,
    agents: { find: (agent) => (equalBytes(agent, card.agent) ? hosted : undefined) },
  });
  return { host, service: { book: payee, verifier, clock, replay, network: NETWORK } };
}

function soundOpening(fill: number, promise?: Partial<Voucher>): Uint8Array {
  const request = callRequest.encode({
    cardHash,
    skill: 'explain',
    question: QUESTION,
    context: [{ role: 'user', text: 'Hello' }],
    priceMax: 1_000n,
    cover: 1_000n,
    outputUnitsMax: 100,
    deadlineMs: 30_000,
    seed: 7,
  });
  const asked = envelope.encode({
    version: 1,
    network: NETWORK,
    id: filled(fill, 16),
    from: keys.payer.publicKey,
    to: { kind: 'agent', name: keys.agent.publicKey },
    sequence: fill,
    issuedAtMs: NOW_MS,
    expiresAtMs: NOW_MS + 60_000,
    context: undefined,
    bodyType: 'call',
    bodyHash: suite.sha256(request),
    extensions: new Map([['note', filled(1, 4)]]),
  });
  const promised = {
    ...{ network: NETWORK, channel: CHANNEL, lane: 0, ceiling: 10n ** 12n, sequence: 0, receiptCount: 0 },
    ...{ receiptRoot: filled(0, 32), receiptTotal: 0n, notAfterMs: undefined },
  };
  return callOpening.encode({
    envelope: signOne(suite, keys.payer, NETWORK, { type: 'call', payload: asked }),
    request,
    voucher:
      promise &&
      signOne(suite, keys.payer, NETWORK, {
        type: 'voucher',
        payload: voucher.encode({ ...promised, ...promise }),
      }),
    offer: undefined,
    work: undefined,
    parents: [],
  });
}

/** Bends an opening; mostly it is bound and signed again, under an id of its own, so that later checks are reached. */
function bendOpening(seed: Uint8Array, random: Random, corpus: readonly Uint8Array[]): Uint8Array {
  const bent = changedRecord(seed, random, corpus);
  if (random.once(3)) return bent;
  try {
    return callOpening.encode(boundAgain(callOpening.decode(bent), random));
  } catch (error) {
    if (error instanceof SaharaError) return bent;
    throw error;
  }
}

function boundAgain(said: CallOpening, random: Random): CallOpening {
  const asked = envelope.decode(said.envelope.payload);
  const bound = { ...asked, bodyHash: suite.sha256(said.request), id: random.bytes(16) };
  const sign = (type: string, payload: Uint8Array): Signed =>
    signOne(suite, keys.payer, NETWORK, { type, payload });
  return {
    ...said,
    envelope: sign('call', envelope.encode(bound)),
    voucher: said.voucher && sign('voucher', said.voucher.payload),
  };
}

async function openingTarget(): Promise<Target> {
  const { host } = await createHosting();
  return {
    name: 'call-opening',
    // Rates, places and channels have their own answers.
    also: ['missing', 'unavailable'],
    sizeBytesMax: 1_100_000,
    corpus: [soundOpening(1), soundOpening(2, {}), soundOpening(3, { lane: 1, notAfterMs: NOW_MS + 9e6 })],
    bend: bendOpening,
    async take(input) {
      const pair = createStreamPair();
      host.serve(pair.host);
      pair.caller.send({ kind: CALL_FRAME.opening, body: input });
      let last = 0;
      for await (const { kind, body } of pair.caller.frames()) {
        last = kind;
        if (kind === CALL_FRAME.ending) callEnding.decode(body);
      }
      holds(last === CALL_FRAME.ending, 'a call ended without an ending');
    },
  };
}

/** One frame of an answer, replaced: its place, its kind and its body. */
const replaced = (at: number, kind: number, body: Uint8Array): Uint8Array =>
  concat(Uint8Array.of(at, kind), body);

async function answerTarget(): Promise<Target> {
  const corpus: Uint8Array[] = [];
  const honest = await createRig({
    pair: {
      tap(frame, from, index) {
        if (from === 'host') corpus.push(replaced(index, frame.kind, frame.body));
        return frame;
      },
    },
  });
  await honest.caller.ask({ target: honest.target, question: QUESTION, priceMax: 1_000n }).result;
  return {
    name: 'call-answer',
    also: ['missing', 'unavailable', 'cancelled'],
    sizeBytesMax: 1_048_576,
    corpus,
    bend(seed, random, all) {
      const at = random.once(4) ? random.below(6) : (seed[0] ?? 0);
      const kind = random.once(6) ? random.below(16) : (seed[1] ?? 0);
      const body = seed.subarray(2);
      const donors = all.map((other) => other.subarray(2));
      const bent = random.once(6) ? changedBytes(body, random) : changedRecord(body, random, donors);
      return replaced(at, kind, bent);
    },
    async take(input) {
      const [at = 0, kind = 0] = input;
      const { caller, target } = await createRig({
        stopTimeoutMs: 20,
        pair: {
          tap: (frame, from, index) =>
            from === 'host' && index === at ? { kind, body: input.subarray(2) } : frame,
        },
      });
      await caller.ask({ target, question: QUESTION, priceMax: 1_000n }).result;
    },
  };
}

function soundQuery(fill: number, ask: PaymentQuery['ask']): Uint8Array {
  const payload = paymentQuery.encode({
    network: NETWORK,
    payer: keys.payer.publicKey,
    payee: keys.operator.publicKey,
    id: filled(fill, 16),
    issuedAtMs: NOW_MS,
    ask,
  });
  return signed.encode(signOne(suite, keys.payer, NETWORK, { type: 'payment-query', payload }));
}

async function paymentTarget(): Promise<Target> {
  const { service } = await createHosting();
  return {
    name: 'payment-query',
    also: ['missing'],
    sizeBytesMax: PAYMENT_QUERY_BYTES_MAX + 1,
    corpus: [
      soundQuery(1, { type: 'ending', callId: filled(1, 16) }),
      soundQuery(2, { type: 'state', channel: CHANNEL, lane: 0, fromSequence: 0 }),
      soundQuery(3, { type: 'release', channel: CHANNEL, amount: 1n }),
    ],
    bend(seed, random, corpus) {
      if (random.once(3)) return changedRecord(seed, random, corpus);
      const payload = changedRecord(signed.decode(seed).payload, random, []);
      const again = signOne(suite, keys.payer, NETWORK, { type: 'payment-query', payload });
      return signed.encode({ ...again, payload: payload.subarray(0, 2_000) });
    },
    async take(input) {
      paymentAnswer.decode(await answerPaymentQuery(service, input));
    },
  };
}

/** Calls. */
export const CALL_TARGETS: readonly TargetMaker[] = [
  { name: 'call-opening', create: openingTarget },
  { name: 'call-answer', shortCount: 60, create: answerTarget },
  { name: 'payment-query', create: paymentTarget },
];
