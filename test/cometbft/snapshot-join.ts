import { expect } from 'vitest';
import { fieldsOf } from '../../src/ledger/engines/comet/rpc.ts';
import type { Net } from './net.ts';
import type { NodeSetup } from './support.ts';

/** Starts a node that joins by state sync, from the second block of consensus as the first node tells it. */
export async function joinBySnapshot(net: Net, number: number, more: Partial<NodeSetup> = {}): Promise<void> {
  const signal = AbortSignal.timeout(20_000);
  const { signed_header: header } = fieldsOf(await net.at(0).rpc.call('commit', { height: '2' }, { signal }));
  const { hash } = fieldsOf(fieldsOf(fieldsOf(header).commit).block_id);
  const rpc = net.all.slice(0, 2).map(({ host, rpc: port }) => `http://${host}:${port}`);
  await net.start(number, { ...more, files: { stateSync: { rpc, height: 2, hash: String(hash) } } });
  await net.level(net.at(0).ledger.head().height);
  expect(net.at(number).ledger.base).toBeGreaterThan(0);
}
