import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { askWhole, eventually, LOOPBACK, must } from './support.ts';

/**
 * `kill -9` while calls run: of the caller, of the agent's host, and of the peer that orders the ledger. Whatever the
 * moment, both sides agree afterwards on what was charged, the ledger adds up, and nothing needs a hand.
 */
let peers: Peers;
let ledger: Peer;
let host: Peer;
let caller: Peer;
let delivered = 0n;
const PRICE = 2_000_000n;
let flags: { readonly ledger: readonly string[]; readonly others: readonly string[] };

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

beforeAll(async () => {
  peers = await createPeers();
  [ledger, host, caller] = [await peers.add('ledger'), await peers.add('host'), await peers.add('caller')];
  const own = [...LOOPBACK, '--guide-host', 'never', '--mesh-port', String(await freePort())];
  const { addresses } = await ledger.start(...own);
  flags = { ledger: own, others: [...LOOPBACK, '--bootstrap', addresses[0] ?? ''] };
  await host.start(...flags.others, '--guide-host', 'always');
  await caller.start(...flags.others);
  await eventually('the guide is listed', async () => (await caller.client.call('agents', {})).at(0));
  // The channel stands before anything dies.
  delivered += BigInt(
    (await askWhole(caller, { agent: 'guide', question: 'What is a voucher?' })).end.amount,
  );
});
afterAll(() => peers.clear());

const START: Readonly<Record<string, () => Promise<unknown>>> = {
  ledger: () => ledger.start(...flags.ledger),
  host: () => host.start(...flags.others, '--guide-host', 'always'),
  caller: () => caller.start(...flags.others),
};

/** A volley of questions of which any number may fail; answers with what the finished ones cost. */
async function volley(count: number): Promise<bigint> {
  const questions = Array.from(
    { length: count },
    (_, i) => `What is a voucher, and what is charge number ${i}?`,
  );
  const ends = await Promise.allSettled(
    questions.map((question) => askWhole(caller, { agent: 'guide', question })),
  );
  return ends.reduce(
    (sum, end) => (end.status === 'fulfilled' ? sum + BigInt(end.value.end.amount) : sum),
    0n,
  );
}

async function agree(): Promise<void> {
  await eventually('both sides agree on what was charged', async () => {
    const [mine] = (await caller.client.call('channel.list', {})).filter(({ role }) => role === 'payer');
    const [theirs] = (await host.client.call('channel.list', {})).filter(({ role }) => role === 'payee');
    const payments = (await caller.client.call('doctor', {})).find(({ name }) => name === 'payments');
    const idle = payments?.found.startsWith('0 SAHARA') === true;
    const same = mine?.charged === theirs?.charged && mine?.calls === theirs?.calls;
    if (!idle || !same || mine === undefined) return undefined;
    // Every answer that was delivered is paid, none twice; a call that was cut before its first word cost nothing.
    expect(BigInt(mine.charged) % PRICE).toBe(0n);
    expect(BigInt(mine.charged)).toBeLessThanOrEqual(BigInt(mine.calls) * PRICE);
    expect(BigInt(mine.charged)).toBeGreaterThanOrEqual(delivered);
    return mine;
  });
}

describe('kill -9', () => {
  it.each([
    ['caller', 5],
    ['caller', 60],
    ['host', 5],
    ['host', 60],
    ['host', 250],
    ['ledger', 30],
  ])('of the %s, %i ms into a volley', async (name, afterMs) => {
    const victim = { ledger, host, caller }[name];
    const running = volley(8);
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    await victim?.kill();
    // Back while its calls are still open: whoever called the others goes on with them.
    await START[name]?.();
    delivered += await running;
    await eventually('the agent answers again', async () => {
      const { end } = await askWhole(caller, { agent: 'guide', question: 'What is a grain?' });
      delivered += BigInt(end.amount);
      return end;
    });
    await agree();
  });

  it('leaves a ledger on which everything adds up', async () => {
    await eventually('the host claims', async () => {
      await must(host, 'channel', 'claim');
      const [row] = await host.client.call('channel.list', {});
      return row?.claimed === row?.charged ? row : undefined;
    });
    const [channel] = await host.client.call('channel.list', {});
    const { assets } = await host.client.call('earnings', {});
    expect(assets.reduce((sum, { received }) => sum + BigInt(received), 0n)).toBe(
      BigInt(channel?.charged ?? '-1'),
    );
    const { height } = await ledger.client.call('ledger.status', {});
    for (const peer of [ledger, host, caller]) {
      await eventually('every peer follows', async () =>
        (await peer.client.call('ledger.status', {})).height >= height ? true : undefined,
      );
      // Who only calls has no blocks to replay.
      if (peer !== caller) expect(await peer.client.call('ledger.verify', {})).toMatchObject({ sound: true });
    }
    const roots = await Promise.all(
      [ledger, host, caller].map((peer) => peer.client.call('ledger.status', {})),
    );
    expect(new Set(roots.map(({ stateRoot }) => stateRoot)).size).toBe(1);
  });
});
