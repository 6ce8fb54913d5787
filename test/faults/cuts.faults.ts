/**
 * A metered call over the mesh's own sessions, cut at every byte of each direction, greetings included. Whatever the
 * byte, the call ends, both books agree afterwards, and nothing that was not delivered is charged; and whatever the
 * byte, a caller that comes back gets the whole answer for the price of one.
 */
import { describe, expect, it } from 'vitest';
import type { Answerer } from '../../src/agent/ports.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { receipt as receiptSchema } from '../../src/protocol/payment.ts';
import { AGENT_ASSET, Channels, createRig, openChannel, type Rig } from '../calls/rig.ts';
import type { Way } from './proxy.ts';
import { type CutPlace, createWire, type Wire } from './wire.ts';

/** Thousands of calls, one after the other. */
const TIMEOUT_MS = 900_000;
const STRIDE = process.env.FAULTS_SHORT === undefined ? 1 : 61;
const PIECES = 16;
const PIECE = 'Sand moves by night and rests. ';
const ANSWER = PIECE.repeat(PIECES);

const telling: Answerer = {
  answer: () => ({
    parts: (async function* () {
      for (let i = 0; i < PIECES; i++) yield { type: 'delta', text: PIECE, citations: [] } as const;
      yield { type: 'end', finish: 'done' } as const;
    })(),
    shares: () => ({ rule: 'test/1', shares: [{ asset: AGENT_ASSET, role: 'agent', ppm: 1_000_000 }] }),
  }),
};

interface Stage {
  readonly rig: Rig;
  /** Where the next wires are cut, in order; later ones are whole. */
  readonly cuts: CutPlace[];
  readonly wires: Wire[];
}

async function setUp(options: { readonly resumes: boolean }): Promise<Stage> {
  const cuts: CutPlace[] = [];
  const wires: Wire[] = [];
  const rig = await createRig({
    card: {
      price: { perCall: 100n, perInputUnit: 1n, perOutputUnit: 2n },
      limits: { questionBytes: 4096, outputUnits: 1_000, deadlineMs: 60_000, concurrency: 64 },
    },
    answerer: telling,
    channels: new Channels(openChannel(10n ** 15n)),
    connect: (serve) => {
      const wire = createWire(serve, cuts.shift());
      wires.push(wire);
      return wire.openCall();
    },
    ...(options.resumes && { peerId: 'peer-caller' }),
    hostOptions: options.resumes ? {} : { resumeGraceMs: 0 },
    callerOptions: { stepAmount: 0n, stepUnits: 32, trustReceipts: 1_000_000 },
  });
  return { rig, cuts, wires };
}

const ask = ({ caller, target }: Rig): ReturnType<Rig['caller']['ask']> =>
  caller.ask({ target, question: 'How does sand move?', priceMax: 3_000n, payment: 'paid' });

interface Books {
  readonly charged: bigint;
  readonly receipts: number;
}

async function booksOf({ payee }: Rig): Promise<Books> {
  let books: Books = { charged: 0n, receipts: 0 };
  for await (const lane of payee.lanes.all())
    books = { charged: books.charged + lane.charged, receipts: books.receipts + lane.count };
  return books;
}

/** Waits for both sides' books to say the same with nothing held; answers with them. */
async function agreed(rig: Rig): Promise<Books> {
  while (rig.host.running > 0) await new Promise((resolve) => setImmediate(resolve));
  expect(await rig.payer.resolveUnknown()).toBe(0);
  const books = await booksOf(rig);
  const { charged = 0n, reserved = 0n, receipts = 0 } = rig.payer.balances()[0] ?? {};
  expect({ charged, receipts }).toEqual(books);
  expect(reserved).toBe(0n);
  return books;
}

/** Bytes of one whole call each way. */
async function sizes(stage: Stage): Promise<Readonly<Record<Way, number>>> {
  const { text, evidence } = await ask(stage.rig).result;
  expect(text).toBe(ANSWER);
  expect(evidence.checkpoints.length).toBeGreaterThan(1);
  return { ...(stage.wires.at(-1)?.passed ?? { up: 0, down: 0 }) };
}

const places = (way: Way, bytes: number): readonly CutPlace[] =>
  Array.from({ length: Math.ceil(bytes / STRIDE) }, (_, i) => ({ way, bytes: i * STRIDE }));

describe.each<Way>(['up', 'down'])('a metered call cut at every byte %s', (way) => {
  it(
    'CALL-40 PAY-20: ends, and the books agree on what was delivered',
    async () => {
      const stage = await setUp({ resumes: false });
      const { rig, cuts } = stage;
      const bytes = (await sizes(stage))[way];
      let before = await agreed(rig);
      for (const place of places(way, bytes)) {
        cuts.push(place);
        const call = ask(rig);
        const result = await call.result.catch((error: unknown) => error as SaharaError);
        const after = await agreed(rig);
        const [cost, receipts] = [after.charged - before.charged, after.receipts - before.receipts];
        const at = `${way} ${place.bytes} of ${bytes}`;
        expect(receipts, at).toBeLessThanOrEqual(1);
        if (receipts === 0) expect(cost, at).toBe(0n);
        if (result instanceof SaharaError) expect(result.code, at).not.toBe('internal');
        else expect(result.amount, at).toBe(cost);
        const ended = await rig.payee.endingOf(call.callId);
        const receipt = typeof ended === 'object' ? receiptSchema.decode(ended.receipt.payload) : undefined;
        expect(receipt?.amount ?? 0n, at).toBe(cost);
        before = after;
      }
    },
    TIMEOUT_MS,
  );

  it(
    'CALL-61 CALL-76: is gone on with over another wire, and costs one answer',
    async () => {
      const stage = await setUp({ resumes: true });
      const { rig, cuts } = stage;
      const bytes = (await sizes(stage))[way];
      let before = await agreed(rig);
      for (const place of places(way, bytes)) {
        cuts.push(place);
        const at = `${way} ${place.bytes} of ${bytes}`;
        const call = ask(rig);
        const result = await call.result.catch((error: unknown) => error as SaharaError);
        const after = await agreed(rig);
        if (result instanceof SaharaError) {
          // Cut before the opening was there: nothing was said, and nothing costs anything.
          expect(result.facts.outcome ?? 'unsent', `${at}: ${result.message}`).toMatch(/uncharged|unsent/);
          expect(after, at).toEqual(before);
        } else {
          expect(result.text, at).toBe(ANSWER);
          expect(after, at).toEqual({
            charged: before.charged + result.amount,
            receipts: before.receipts + 1,
          });
        }
        before = after;
      }
    },
    TIMEOUT_MS,
  );
});
