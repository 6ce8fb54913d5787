/** What every step of the lineage demo does: says one line, checks it, waits, runs commands, reads the ledger. */
import { formatAmount } from '../src/base/amount.ts';
import type { Peer } from './peers.ts';

/** Flags of a peer that stays on this machine. */
export const LOCAL: readonly string[] = [
  ...['--mesh-host', '127.0.0.1', '--mesh-mdns', 'false', '--mesh-dht', 'false', '--guide-host', 'never'],
  ...['--wallet-channel-deposit', '5'],
];

const WAIT_MS_MAX = 60_000;
const POLL_MS = 50;
let told = 0;

/** One line that a person understands. */
export function say(text: string): void {
  told += 1;
  console.log(`${String(told).padStart(2)}. ${text}`);
}

/** Fails unless `holds`. */
export function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`this does not hold: ${what}`);
}

/** Waits until `holds`. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const untilMs = Date.now() + WAIT_MS_MAX;
  while (!(await holds())) {
    if (Date.now() > untilMs) throw new Error(`waited too long until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** What a command prints as JSON. Throws with what it printed when it fails. */
export async function run<T = unknown>(peer: Peer, ...args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await peer.sahara([...args, '--json']);
  if (code !== 0) throw new Error(`${peer.name}: sahara ${args.join(' ')}\n${stdout}${stderr}`);
  return JSON.parse(stdout) as T;
}

/** An account's balance as `peer` sees it, grains. */
export async function balanceOf(peer: Peer, did: string): Promise<bigint> {
  const [account] = await peer.client.call('ledger.accounts', { did });
  return BigInt(account?.balance ?? '0');
}

/** An amount for people, out of the API's text or grains. */
export function money(grains: string | bigint): string {
  return formatAmount(BigInt(grains));
}
