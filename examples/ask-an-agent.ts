/**
 * Ask an agent on another peer, through the same admin API that the command line uses.
 * Starts two peers in temporary homes, asks one from the other, and checks that every citation is real.
 */
import assert from 'node:assert/strict';
import { createPeers } from '../scripts/peers.ts';
import type { AskEvent } from '../src/daemon/admin/types.ts';

const LOCAL = ['--mesh-host', '127.0.0.1', '--mesh-mdns', 'false', '--mesh-dht', 'false'];

const peers = await createPeers();
try {
  const host = await peers.add('host');
  const caller = await peers.add('caller');
  const { addresses } = await host.start(...LOCAL);
  await caller.start(...LOCAL, '--bootstrap', addresses[0] ?? '');

  const sources: Extract<AskEvent, { type: 'source' }>[] = [];
  let answer = '';
  let citations = 0;
  for await (const event of caller.client.stream('ask', { agent: 'guide', question: 'What is a voucher?' })) {
    if (event.type === 'source') sources.push(event);
    if (event.type !== 'delta') continue;
    answer += event.text;
    for (const { start, end, source, sourceStart, sourceEnd } of event.citations) {
      const quoted = Buffer.from(answer).subarray(start, end);
      const original = Buffer.from(sources[source]?.text ?? '').subarray(sourceStart, sourceEnd);
      assert.equal(quoted.toString(), original.toString(), 'a citation quotes its source word for word');
      citations += 1;
    }
  }
  assert.ok(citations > 0, 'the answer cites something');
  console.log(`${answer}\n\n${citations} citations out of ${sources.length} passages, all word for word.`);
} finally {
  await peers.clear();
}
