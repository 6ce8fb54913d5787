/**
 * The whole line with three peers in three processes: a host with an agent and the ledger, a contributor who owns
 * some of the agent's documents, and a caller who asks and pays. `npm run demo -- "question"`. Every claim that it
 * prints is checked; it exits 0 only when all of them hold.
 */
import { join } from 'node:path';
import { formatAmount } from '../src/base/amount.ts';
import type { AskEnd, StatusReport } from '../src/daemon/admin/types.ts';
import { ask, bold, chapter, check, earnings, must, publish, settle, until } from './demo-steps.ts';
import { createPeers, type Peer, type Peers } from './peers.ts';

const DEFAULT_QUESTION = 'How does a payee get paid if the payer disappears?';
const LOCAL = [
  '--mesh-host',
  '127.0.0.1',
  '--mesh-mdns',
  'false',
  '--mesh-dht',
  'false',
  '--guide-host',
  'never',
];

process.exitCode = await demo(process.argv.slice(2).join(' ').trim() || DEFAULT_QUESTION);

async function demo(question: string): Promise<number> {
  const peers = await createPeers();
  const interrupted = (): void => {
    void peers.clear().finally(() => process.exit(130));
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    await play(peers, question);
    return 0;
  } catch (error) {
    console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    await peers.clear();
  }
}

async function play(peers: Peers, question: string): Promise<void> {
  const [host, contributor, caller] = [
    await peers.add('host'),
    await peers.add('contributor'),
    await peers.add('caller'),
  ];
  const hosting = await begin(host, contributor, caller);
  await publish(host, contributor);
  const end = await ask(caller, question);
  await settle(host);
  await earnings({ host, contributor, end, hosting });
  await prove(peers, caller, end);
}

async function begin(host: Peer, contributor: Peer, caller: Peer): Promise<StatusReport> {
  chapter(1, 'Three peers start, each a process of its own');
  const hosting = await host.start(...LOCAL);
  const [address] = hosting.addresses;
  check(address !== undefined, 'the host has an address');
  const [contributing, calling] = await Promise.all([
    contributor.start(...LOCAL, '--bootstrap', address),
    caller.start(...LOCAL, '--bootstrap', address),
  ]);
  console.log(`   host         ${hosting.did}  orders the ledger of ${hosting.ledger.network}`);
  console.log(`   contributor  ${contributing.did}`);
  console.log(
    `   caller       ${calling.did}  has ${formatAmount(BigInt(calling.balance))}, ledger: ${calling.ledger.role}`,
  );
  check(
    calling.ledger.role === 'light',
    'the caller keeps no ledger: it has its own records proved by its peers',
  );
  return hosting;
}

async function prove(peers: Peers, caller: Peer, end: AskEnd): Promise<void> {
  chapter(6, 'The evidence, verified with every daemon stopped');
  const file = join(caller.home.root, 'call.bundle');
  await until('the settlement is in the bundle', async () => {
    await must(caller, ['bundle', end.callId, file]);
    const verdict = await caller.sahara(['verify', file, '--json']);
    return verdict.code === 0 && 'settlement' in (JSON.parse(verdict.stdout) as object);
  });
  await peers.stop();
  const verdict = await must(caller, ['verify', file]);
  for (const line of verdict.stdout.trimEnd().split('\n')) console.log(`   ${line}`);
  console.log(`\n${bold('Everything holds.')}`);
}
