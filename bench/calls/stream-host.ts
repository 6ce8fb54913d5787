/** The host of `bench/stream.ts`: two agents on one paced backend, and that backend by itself. */
import type { Answerer, AnswerPart } from '../../src/agent/ports.ts';
import { serveAgent } from './serve.ts';
import { cardOf, type StreamReady, type StreamTimes } from './shared.ts';

const WORDS = 400;
const WORD_EVERY_MS = 2;

/** A word every two milliseconds by the clock, however late the timers are. */
async function* words(): AsyncGenerator<AnswerPart> {
  const startedMs = performance.now();
  for (let word = 1; word <= WORDS; word++) {
    const waitMs = startedMs + word * WORD_EVERY_MS - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    yield { type: 'delta', text: 'word ', citations: [] };
  }
  yield { type: 'end', finish: 'done' };
}

const answerer: Answerer = {
  answer: () => ({
    parts: words(),
    shares: () => ({
      rule: 'bench/1',
      shares: [{ asset: cardOf(true).asset, role: 'agent', ppm: 1_000_000 }],
    }),
  }),
};

async function bare(): Promise<StreamTimes> {
  const askedMs = performance.now();
  let firstMs = 0;
  let lastMs = 0;
  let count = 0;
  for await (const part of words()) {
    if (part.type !== 'delta') continue;
    count++;
    lastMs = performance.now();
    if (count === 1) firstMs = lastMs - askedMs;
  }
  return { firstMs, wordsPerSecond: (1_000 * (count - 1)) / (lastMs - askedMs - firstMs) };
}

const card = cardOf(true);
const priced = { ...card, price: { perCall: 0n, perInputUnit: 0n, perOutputUnit: 1n } };
const ready: StreamReady = {
  whole: await serveAgent(card, answerer),
  pieces: await serveAgent(priced, answerer),
};
process.on('message', () => {
  void bare().then((times) => process.send?.(times));
});
process.send?.(ready);
process.once('disconnect', () => process.exit(0));
