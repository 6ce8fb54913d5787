/** The host of `bench/sealed.ts`, and in a process below it the gateway. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createGateway } from '../../src/agent/gateway.ts';
import type { Answerer, CallFrame, CallStream } from '../../src/agent/ports.ts';
import { nativeSealCipher as cipher } from '../../src/agent/sealed-cipher.ts';
import { throughDoor } from '../../src/agent/sealed-door.ts';
import { systemClock as clock } from '../../src/base/clock.ts';
import { silentLog as log } from '../../src/base/log.ts';
import { systemDice as dice } from '../../src/base/random.ts';
import { sendableError as sendable } from '../../src/mesh/sendable.ts';
import { createSealKey, createUnsealer } from '../../src/protocol/seal.ts';
import { openMesh, serveAgent } from './serve.ts';
import { ANSWER, cardOf, NETWORK, type SealedReady } from './shared.ts';

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

// The seed of the agent's key in `shared.ts`.
const key = await createSealKey(new Uint8Array(32).fill(13));
const common = {
  unsealer: createUnsealer({ network: NETWORK, cipher, dice }),
  clock,
  sendable,
  keyOf: () => key,
  answer: async () => new Uint8Array(0),
};

async function serveGateway(): Promise<string> {
  const mesh = await openMesh();
  const gateway = createGateway({ transport: mesh, clock, log });
  mesh.serveCalls((stream) => {
    const carry = (source: AsyncIterator<CallFrame>, request: Uint8Array): void => {
      void gateway.carry({ stream, source, request });
    };
    throughDoor({ ...common, carry }, stream).consume({ frame: () => {}, end: () => {}, fail: () => {} });
  });
  process.once('message', async (address: string) => {
    await mesh.connect(address);
    process.send?.('joined');
  });
  return mesh.addresses()[0] ?? '';
}

if (process.argv.includes('--gateway')) {
  process.send?.(await serveGateway());
} else {
  const enter = (stream: CallStream): CallStream => throughDoor({ ...common, carry: () => {} }, stream);
  const { address, card } = await serveAgent(cardOf(true), answerer, enter);
  const below = fork(fileURLToPath(import.meta.url), ['--gateway'], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [gateway] = (await once(below, 'message')) as [string];
  below.send(address);
  await once(below, 'message');
  const ready: SealedReady = { host: address, gateway, card };
  process.send?.(ready);
}
process.once('disconnect', () => process.exit(0));
