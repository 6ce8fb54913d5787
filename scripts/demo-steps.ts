/** The steps of the demo from an agent's documents to who earned what. Every claim that they print is checked. */
import { existsSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatAmount } from '../src/base/amount.ts';
import { plainName } from '../src/cli/terminal.ts';
import type { AskEnd, AskEvent, StatusReport } from '../src/daemon/admin/types.ts';
import type { Finished, Peer } from './peers.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PRICE = '0.002';
/** What the contributor wrote, and what the host itself adds. */
const CONTRIBUTED = ['docs'];
const OWN = ['README.md', 'ARCHITECTURE.md', 'SECURITY.md', 'spec'];

const color = process.stdout.isTTY && !process.env.NO_COLOR;
export const bold = (text: string): string => (color ? `\x1b[1m${text}\x1b[22m` : text);
const dim = (text: string): string => (color ? `\x1b[2m${text}\x1b[22m` : text);

/** Says what comes now. */
export function chapter(number: number, title: string): void {
  console.log(`\n${bold(`${number}. ${title}`)}`);
}

/** The host makes an agent out of its own and the contributor’s documents. */
export async function publish(host: Peer, contributor: Peer): Promise<void> {
  chapter(2, 'The host makes an agent out of its own and the contributor’s documents');
  const { did } = await contributor.client.call('status', {});
  await must(host, ['vault', 'create', 'guide']);
  for (const name of OWN.filter((part) => existsSync(join(ROOT, part)))) {
    // Test vectors are no knowledge.
    const path = join(host.home.root, name);
    await cp(join(ROOT, name), path, {
      recursive: true,
      filter: (from) => !from.endsWith(`${sep}vectors`),
    });
    await must(host, ['vault', 'add', 'guide', path, '--licence', 'Apache-2.0']);
    await rm(path, { recursive: true });
  }
  for (const name of CONTRIBUTED) {
    const added = await must(host, [
      'vault',
      'add',
      'guide',
      join(ROOT, name),
      '--contributor',
      did,
      '--licence',
      'CC-BY-4.0',
    ]);
    console.log(`   ${name}/ belongs to the contributor; ${added.stdout.trim()}`);
  }
  const agent = await must(host, ['agent', 'add', '--name', 'guide', '--vault', 'guide', '--price', PRICE]);
  console.log(`   ${agent.stdout.split('\n')[0]}`);
}

/** The caller asks, once it has heard of the agent, and gets a whole answer with its receipt. */
export async function ask(caller: Peer, question: string): Promise<AskEnd> {
  chapter(3, `The caller asks over the mesh: ${question}`);
  await until(
    'the caller hears of the agent',
    async () => (await caller.client.call('agents', { waitMs: 5000 })).length > 0,
  );
  console.log();
  const events: AskEvent[] = [];
  for await (const event of caller.client.stream('ask', { agent: 'guide', question })) {
    events.push(event);
    show(event);
  }
  const end = events.find((event) => event.type === 'end');
  check(end?.type === 'end', 'the answer has an end');
  check(end.finish === 'done' || end.finish === 'nothing-found', `the answer is whole (${end.finish})`);
  const cited = events.some((event) => event.type === 'delta' && event.citations.length > 0);
  check(cited || end.finish === 'nothing-found', 'the answer cites its sources');
  listSources(events);
  console.log(`\n   ${bold('Receipt')} ${end.callId}`);
  const explained = await must(caller, ['explain', end.path]);
  for (const line of explained.stdout.trim().split('\n')) console.log(`   ${line}`);
  return end;
}

function show(event: AskEvent): void {
  if (event.type === 'progress') console.log(dim(`   ${event.detail}\n`));
  if (event.type === 'delta') {
    const marks = [...new Set(event.citations.map(({ source }) => `[${source + 1}]`))].join('');
    process.stdout.write(`${event.text}${marks}`);
  }
}

function listSources(events: readonly AskEvent[]): void {
  const cited = new Set(
    events.flatMap((event) => (event.type === 'delta' ? event.citations.map(({ source }) => source) : [])),
  );
  console.log('\n');
  for (const event of events) {
    if (event.type !== 'source' || !cited.has(event.index)) continue;
    console.log(dim(`   [${event.index + 1}] ${event.document}  ${event.title}`));
  }
}

/** The host claims what it is owed. */
export async function settle(host: Peer): Promise<void> {
  chapter(4, 'The host claims; the ledger settles');
  await must(host, ['channel', 'claim']);
  const rows = await host.client.call('ledger.transactions', { limit: 50 });
  const claim = rows.find(({ type }) => type === 'claim');
  check(claim !== undefined && claim.code === 0, 'the claim took effect');
  console.log(`   block ${claim.height}: ${claim.summary}`);
}

/** Collects, and holds every share against what was paid. */
export async function earnings(parts: {
  readonly host: Peer;
  readonly contributor: Peer;
  readonly end: AskEnd;
  readonly hosting: StatusReport;
}): Promise<void> {
  const { host, contributor, end } = parts;
  chapter(5, 'Who earned what');
  const before = await balances(host, contributor);
  await follow(contributor, host);
  await must(host, ['collect']);
  await follow(contributor, host);
  await must(contributor, ['collect']);
  const { assets } = await host.client.call('earnings', {});
  let sum = 0n;
  for (const share of end.shares) {
    const asset = assets.find((row) => row.asset === share.asset);
    check(asset?.received === share.amount, `${share.name} received exactly its share on the ledger`);
    console.log(
      `   ${formatAmount(BigInt(share.amount)).padEnd(22)} ${asset.mine ? 'host' : 'contributor'}, for ${share.role} (${plainName(share.name, 60)})`,
    );
    sum += BigInt(share.amount);
  }
  check(sum === BigInt(end.amount), 'the shares sum to the price');
  const after = await balances(host, contributor);
  const moved = after.host - before.host + (after.contributor - before.contributor);
  check(moved === sum, `owners hold what was paid: ${moved} of ${sum} grains`);
  console.log(`   ${formatAmount(sum).padEnd(22)} together: exactly what the caller paid`);
  console.log(`   the contributor's account grew by ${formatAmount(after.contributor - before.contributor)}`);
}

async function balances(
  host: Peer,
  contributor: Peer,
): Promise<{ readonly host: bigint; readonly contributor: bigint }> {
  const of = async (peer: Peer): Promise<bigint> => {
    const { did } = await peer.client.call('status', {});
    const [account] = await host.client.call('ledger.accounts', { did });
    return BigInt(account?.balance ?? '0');
  };
  return { host: await of(host), contributor: await of(contributor) };
}

/** Waits until `peer` has executed every block that `host` has. */
async function follow(peer: Peer, host: Peer): Promise<void> {
  const { height } = await host.client.call('ledger.status', {});
  await until(
    'the ledger is followed',
    async () => (await peer.client.call('ledger.status', {})).height >= height,
  );
}

/** What the program says; throws when it fails. */
export async function must(peer: Peer, args: readonly string[]): Promise<Finished> {
  const finished = await peer.sahara(args);
  if (finished.code === 0) return finished;
  throw new Error(`${peer.name}: sahara ${args.join(' ')}\n${finished.stdout}${finished.stderr}`);
}

/** Waits for at most a minute. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const untilMs = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > untilMs) throw new Error(`waited too long until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Throws when something does not hold. */
export function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`this does not hold: ${what}`);
}
