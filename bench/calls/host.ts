/** The host's process: one mesh whose agent is paid, one whose agent is free, one that only answers frames. */
import type { Answerer } from '../../src/agent/ports.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { openMesh, serveAgent } from './serve.ts';
import { ANSWER, cardOf, type HostReady } from './shared.ts';

const answerer: Answerer = {
  answer: () => ({
    parts: (async function* () {
      yield { type: 'delta', text: ANSWER, citations: [] };
      yield { type: 'end', finish: 'done' };
    })(),
    shares: () => ({
      rule: 'bench/1',
      shares: [{ asset: cardOf(true).asset, role: 'agent', ppm: 1_000_000 }],
    }),
  }),
};

/** Answers each call's first frame with one of the answer's size, and nothing else. */
async function serveBare(): Promise<string> {
  const node = await openMesh();
  const body = utf8(ANSWER);
  node.serveCalls((stream) => {
    stream.consume({
      frame: () => {
        stream.send({ kind: 2, body });
        stream.end();
      },
      end: () => {},
      fail: () => {},
    });
  });
  return node.addresses()[0] ?? '';
}

const [paid, free, bare] = [
  await serveAgent(cardOf(true), answerer),
  await serveAgent(cardOf(false), answerer),
  await serveBare(),
];
const ready: HostReady = {
  paid: paid.address,
  free: free.address,
  bare,
  cards: { paid: paid.card, free: free.card },
};
process.send?.(ready);
process.once('disconnect', () => process.exit(0));
