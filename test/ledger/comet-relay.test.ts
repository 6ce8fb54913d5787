/** How what waits gets to CometBFT: by real requests, to a server that a test answers for. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { RELAY_BATCH_MAX, RELAY_REQUESTS_MAX } from '../../src/ledger/engines/comet/limits.ts';
import { createCometRpc } from '../../src/ledger/engines/comet/rpc.ts';
import { tickHeight } from '../../src/ledger/engines/comet/ticks.ts';
import { type Signed, signed } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { channelId, transaction } from '../../src/protocol/transaction.ts';
import { until } from '../mesh/support.ts';
import { cometNetwork, DrivenLedger } from './comet-support.ts';
import { alice, bob, person, signAction, suite } from './support.ts';

interface Asked {
  readonly id: number;
  readonly bytes: Uint8Array;
  readonly sender: string;
  readonly nonce: number;
}

/** A node's RPC that keeps what it is asked, and answers when the test says. */
class FakeNode {
  readonly batches: (readonly Asked[])[] = [];
  /** How often a block was asked for that nothing else asks for. */
  ticks = 0;
  /** What each is answered; `undefined`: a full mempool. */
  verdict: (one: Asked) => number | undefined = () => 0;
  holding = false;
  open = 0;
  openMax = 0;
  readonly #held: (() => void)[] = [];
  readonly server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
    request.on('end', () => this.#take(text, response));
  });

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get asked(): readonly Asked[] {
    return this.batches.flat();
  }

  release(): void {
    this.holding = false;
    for (const answer of this.#held.splice(0)) answer();
  }

  #take(text: string, response: ServerResponse): void {
    const requests = JSON.parse(text) as { id: number; params: { tx: string } }[];
    if (requests.every(({ params }) => tickHeight(Buffer.from(params.tx, 'base64')) !== undefined)) {
      this.ticks++;
      response.end(JSON.stringify({ jsonrpc: '2.0', id: 0, result: { code: 0 } }));
      return;
    }
    const batch = requests.map(({ id, params }): Asked => {
      const bytes = new Uint8Array(Buffer.from(params.tx, 'base64'));
      const { sender, nonce } = transaction.decode(signed.decode(bytes).payload);
      return { id, bytes, sender: Buffer.from(sender).toString('hex'), nonce };
    });
    this.batches.push(batch);
    this.openMax = Math.max(this.openMax, ++this.open);
    const answer = (): void => {
      this.open--;
      const answers = batch.map((one) => {
        const code = this.verdict(one);
        const error = { code: -32603, message: 'Internal error', data: 'mempool is full' };
        return { jsonrpc: '2.0', id: one.id, ...(code === undefined ? { error } : { result: { code } }) };
      });
      response.end(JSON.stringify(answers.length === 1 ? answers[0] : answers));
    };
    if (this.holding) this.#held.push(answer);
    else answer();
  }
}

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function begin(repeatMs = 60_000): Promise<{ readonly node: FakeNode; readonly driven: DrivenLedger }> {
  const node = new FakeNode();
  const url = await node.start();
  closing.push(
    () =>
      new Promise((resolve) => {
        node.server.closeAllConnections();
        node.server.close(resolve);
      }),
  );
  const driven = await DrivenLedger.open(cometNetwork(), undefined, { url, repeatMs });
  closing.push(() => driven.close());
  return { node, driven };
}

const PEOPLE = Array.from({ length: 40 }, (_, i) => person(`relayed ${i}`));

const paid = ({ ledger }: DrivenLedger, by: Signer, nonce: number): Signed =>
  signAction(ledger.network, by, nonce, { type: 'transfer', to: bob.publicKey, amount: 1n, memo: undefined });

/** Hands in so many of each; what becomes of them is the test's business. */
function submitAll(driven: DrivenLedger, each: number): readonly Signed[] {
  const messages = Array.from({ length: each }, (_, nonce) =>
    PEOPLE.map((by) => paid(driven, by, nonce)),
  ).flat();
  for (const message of messages) driven.ledger.submit(message).catch(() => {});
  return messages;
}

/** Whether each sender's numbers rise by one. */
function inOrder(asked: readonly Asked[]): boolean {
  const next = new Map<string, number>();
  return asked.every(({ sender, nonce }) => {
    const wanted = next.get(sender) ?? 0;
    next.set(sender, wanted + 1);
    return nonce === wanted;
  });
}

test('ENG-63: what waits goes out in few requests of many, each sender’s in the order of their numbers', async () => {
  const { node, driven } = await begin();
  node.holding = true;
  const all = submitAll(driven, 30);
  await until(() => node.open > 0);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(node.openMax).toBeLessThanOrEqual(RELAY_REQUESTS_MAX);
  node.release();
  await until(() => node.asked.length >= all.length);
  expect(node.asked).toHaveLength(all.length);
  expect(inOrder(node.asked)).toBe(true);
  expect(node.openMax).toBeLessThanOrEqual(RELAY_REQUESTS_MAX);
  expect(node.batches.length).toBeLessThan(all.length / 10);
  for (const batch of node.batches) expect(batch.length).toBeLessThanOrEqual(RELAY_BATCH_MAX);
});

test('ENG-63: a sender whose transaction is refused waits with its later ones, and nobody else does', async () => {
  const { node, driven } = await begin(200);
  const [first] = PEOPLE;
  const stuck = Buffer.from(first?.publicKey ?? []).toString('hex');
  let full = true;
  node.verdict = ({ sender }) => (sender === stuck && full ? undefined : 0);
  submitAll(driven, 2);
  const others = (): number => node.asked.filter(({ sender }) => sender !== stuck).length;
  await until(() => others() === 2 * (PEOPLE.length - 1));
  full = false;
  const at = node.asked.length;
  await until(() => {
    const again = node.asked.slice(at).filter(({ sender }) => sender === stuck);
    return again.map(({ nonce }) => nonce).join() === '0,1';
  });
});

test('ENG-63: what no block has is handed in again as the same bytes, each time after a longer wait; what a block has is not', async () => {
  const { node, driven } = await begin(40);
  const [by] = PEOPLE;
  if (by === undefined) throw new RangeError('nobody');
  const message = paid(driven, by, 0);
  const waiting = driven.ledger.submit(message).catch(() => {});
  await until(() => node.asked.length >= 4);
  const wire = signed.encode(message);
  for (const { bytes } of node.asked) expect(bytes).toEqual(wire);
  await driven.block({ messages: [message] });
  await waiting;
  const { length } = node.asked;
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(node.asked.length).toBe(length);
});

test('ENG-7: a block that delays want and that does not come is asked for now and then, not all the time', async () => {
  const { node, driven } = await begin();
  const { network } = driven.ledger;
  const channel = channelId(suite, network, alice.publicKey, bob.publicKey, 0);
  const startMs = performance.now();
  await driven.block({
    messages: [
      signAction(network, alice, 0, { type: 'open-channel', payee: bob.publicKey, deposit: 1_000_000n }),
      signAction(network, alice, 1, { type: 'request-close', channel }),
    ],
  });
  // Due long ago by this machine's clock.
  await until(() => node.ticks >= 4);
  expect(node.ticks).toBeLessThanOrEqual((performance.now() - startMs) / 100 + 2);
  await driven.block({ afterMs: 10_000 });
  const { ticks } = node;
  await until(() => node.ticks > ticks);
});

test('an answer that breaks off is none, as from a node that is away', async () => {
  const text = (): Promise<string> => Promise.reject(new TypeError('terminated'));
  const rpc = createCometRpc(async () => ({ ok: true, text }), 'http://127.0.0.1:1');
  const stopped = AbortSignal.abort();
  await expect(rpc.status({ signal: new AbortController().signal })).rejects.toMatchObject({
    code: 'peer-unreachable',
  });
  await expect(rpc.status({ signal: stopped })).rejects.toMatchObject({ code: 'cancelled' });
});

test('a relay that is stopped leaves what is under way', async () => {
  const { node, driven } = await begin();
  node.holding = true;
  submitAll(driven, 1);
  await until(() => node.open > 0);
  await driven.ledger.stop();
  node.release();
  const { length } = node.batches;
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(node.batches.length).toBe(length);
});
