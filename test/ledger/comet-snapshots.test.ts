import { afterEach, expect, test } from 'vitest';
import { createMemoryStore } from '../../src/base/store.ts';
import type { Signed } from '../../src/protocol/signing.ts';
import { until } from '../mesh/support.ts';
import { cometNetwork, DrivenLedger } from './comet-support.ts';
import { alice, bob, signAction } from './support.ts';

const open: DrivenLedger[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function drive(...args: Parameters<typeof DrivenLedger.open>): Promise<DrivenLedger> {
  const driven = await DrivenLedger.open(...args);
  open.push(driven);
  return driven;
}

const network = cometNetwork();

function pay({ ledger }: DrivenLedger, nonce: number): Signed {
  const action = { type: 'transfer', to: bob.publicKey, amount: 1n, memo: undefined } as const;
  return signAction(ledger.network, alice, nonce, action);
}

async function snapshots({ client }: DrivenLedger) {
  return (await client.ask({ listSnapshots: {} })).listSnapshots?.snapshots ?? [];
}

/** A node of five blocks that made a snapshot of the fourth, under consensus height 5. */
async function settled(): Promise<DrivenLedger> {
  const driven = await drive(network, createMemoryStore(), { snapshotEveryBlocks: 4 });
  await driven.block();
  for (let nonce = 0; nonce < 4; nonce++) await driven.block({ messages: [pay(driven, nonce)] });
  await until(async () => (await snapshots(driven)).length === 1);
  return driven;
}

test('ENG-40: a node without a block begins from a snapshot whose header consensus certified, and goes on from there', async () => {
  const driven = await settled();
  const [snapshot] = await snapshots(driven);
  expect(snapshot).toMatchObject({ height: 5n, format: 1, chunks: 1 });
  if (snapshot === undefined) return;
  const appHash = driven.ledger.head().headerHash;
  const { chunk } = (await driven.client.ask({ loadSnapshotChunk: { height: 5n, format: 1, chunk: 0 } }))
    .loadSnapshotChunk ?? { chunk: new Uint8Array(0) };

  const store = createMemoryStore();
  const joining = await drive(network, store);
  const offer = async (changes: object) =>
    (await joining.client.ask({ offerSnapshot: { snapshot, appHash, ...changes } })).offerSnapshot?.result;
  expect(await offer({ appHash: new Uint8Array(32) })).toBe(3);
  expect(await offer({ snapshot: { ...snapshot, format: 2 } })).toBe(4);
  expect(await offer({ snapshot: { ...snapshot, metadata: Uint8Array.of(1) } })).toBe(5);
  expect(await offer({})).toBe(1);
  const apply = async (bytes: Uint8Array) =>
    (await joining.client.ask({ applySnapshotChunk: { index: 0, chunk: bytes, sender: 'somebody' } }))
      .applySnapshotChunk;
  expect(await apply(Uint8Array.of(7))).toMatchObject({
    result: 3,
    refetchChunks: [0],
    rejectSenders: ['somebody'],
  });
  expect(await apply(chunk)).toMatchObject({ result: 1 });
  expect(joining.ledger.head()).toEqual(driven.ledger.head());
  expect((await joining.client.ask({ info: {} })).info).toMatchObject({
    lastBlockHeight: 5n,
    lastBlockAppHash: appHash,
  });
  expect(joining.ledger.validators()).toEqual(driven.ledger.validators());
  joining.height = 5;
  const messages = [pay(driven, 4)];
  expect(await joining.block({ messages })).toEqual(await driven.block({ messages }));
  expect(await joining.ledger.verify()).toMatchObject({ faults: [], base: 4, height: 5 });

  const again = await drive(network, store);
  expect(again.ledger.head()).toEqual(driven.ledger.head());
  // Who has blocks takes no snapshot any more.
  const late = await again.client.ask({ offerSnapshot: { snapshot, appHash } });
  expect(late.offerSnapshot?.result).toBe(2);
});

test('ENG-40: a snapshot that is not what its header says leaves a node as it was', async () => {
  const driven = await settled();
  const [snapshot] = await snapshots(driven);
  if (snapshot === undefined) throw new RangeError('no snapshot');
  const shelf = createMemoryStore();
  const left = async (): Promise<number> => {
    let count = 0;
    for await (const _ of shelf.entries({ gte: Uint8Array.of(3) })) count++;
    return count;
  };
  // Of a snapshot that it took before it was stopped.
  await shelf.batch([
    { type: 'put', key: Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 9), value: new Uint8Array(9) },
  ]);
  const other = await drive(cometNetwork({ name: 'other' }), createMemoryStore(), { shelf });
  expect(await left()).toBe(0);
  const appHash = driven.ledger.head().headerHash;
  const offered = await other.client.ask({ offerSnapshot: { snapshot, appHash } });
  expect(offered.offerSnapshot?.result).toBe(1);
  const before = other.ledger.head();
  const { chunk } = (await driven.client.ask({ loadSnapshotChunk: { height: 5n, format: 1, chunk: 0 } }))
    .loadSnapshotChunk ?? { chunk: new Uint8Array(0) };
  const answer = await other.client.ask({ applySnapshotChunk: { index: 0, chunk, sender: 'somebody' } });
  expect(answer.applySnapshotChunk?.result).toBe(5);
  expect(await left()).toBe(0);
  expect(other.ledger.head()).toEqual(before);
  expect(await other.block({ messages: [pay(other, 0)] })).toMatchObject({ txResults: [{ code: 0 }] });
});
