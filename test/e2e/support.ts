/** Shared by the tests of whole processes. */
import { expect } from 'vitest';
import type { Peer } from '../../scripts/peers.ts';
import type { AskInput } from '../../src/daemon/admin/methods.ts';
import type { AskEnd, AskEvent } from '../../src/daemon/admin/types.ts';

/** Flags of a daemon on loopback that nobody finds by chance. */
export const LOOPBACK: readonly string[] = [
  ...['--mesh-host', '127.0.0.1'],
  ...['--mesh-mdns', 'false'],
  ...['--mesh-dht', 'false'],
];

/** Waits until `holds` gives a value. */
export async function eventually<T>(
  what: string,
  holds: () => Promise<T | undefined>,
  withinMs = 150_000,
): Promise<T> {
  const untilMs = Date.now() + withinMs;
  for (;;) {
    const value = await holds().catch(() => undefined);
    if (value !== undefined) return value;
    if (Date.now() > untilMs) throw new Error(`waited too long for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Asks and gathers the whole answer. */
export async function askWhole(
  peer: Peer,
  input: AskInput,
): Promise<{ readonly events: readonly AskEvent[]; readonly text: string; readonly end: AskEnd }> {
  const events: AskEvent[] = [];
  for await (const event of peer.client.stream('ask', input)) events.push(event);
  const end = events.at(-1);
  if (end?.type !== 'end') throw new Error('the answer has no end');
  const text = events.map((event) => (event.type === 'delta' ? event.text : '')).join('');
  return { events, text, end };
}

/** Runs a command that must succeed. */
export async function must(peer: Peer, ...args: readonly string[]): Promise<string> {
  const finished = await peer.sahara(args);
  expect(finished.code, `sahara ${args.join(' ')}: ${finished.stderr}${finished.stdout}`).toBe(0);
  return finished.stdout;
}

/** A peer that begins a network and hosts the guide, and one that joins it. */
export async function startPair(host: Peer, caller: Peer): Promise<string> {
  const { addresses } = await host.start(...LOOPBACK);
  const [address = ''] = addresses;
  await caller.start(...LOOPBACK, '--bootstrap', address);
  await eventually('the guide is listed', async () => (await caller.client.call('agents', {})).at(0));
  return address;
}
