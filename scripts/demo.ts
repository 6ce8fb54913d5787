/**
 * The whole line with three peers in three processes: a host with an agent and the ledger, a contributor who owns
 * some of the agent's documents, and a caller who asks and pays. `npm run demo -- "question"`. With `--validators 4` the
 * ledger is ordered by as many validators under CometBFT instead of by the host; all else is the same. Every claim that
 * it prints is checked; it exits 0 only when all of them hold.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { formatAmount } from '../src/base/amount.ts';
import type { AskEnd, StatusReport } from '../src/daemon/admin/types.ts';
import { portsInRow } from '../test/cometbft/ports.ts';
import { beginNetwork } from './demo-network.ts';
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

const { values, positionals } = parseArgs({
  options: { validators: { type: 'string', default: '0' } },
  allowPositionals: true,
});
process.exitCode = await demo(positionals.join(' ').trim() || DEFAULT_QUESTION, Number(values.validators));

async function demo(question: string, validators: number): Promise<number> {
  const peers = await createPeers(validators > 0 ? cometOf() : {});
  const interrupted = (): void => {
    void peers.clear().finally(() => process.exit(130));
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    await play(peers, question, validators);
    return 0;
  } catch (error) {
    console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    await peers.clear();
  }
}

/** Where CometBFT is, which the demo builds where it is not on this machine yet. */
function cometOf(): Readonly<Record<string, string>> {
  if (process.env.COMETBFT_BIN !== undefined) return {};
  const script = fileURLToPath(new URL('install-cometbft', import.meta.url));
  const { status, stdout, stderr } = spawnSync(script, { encoding: 'utf8' });
  check(status === 0, `CometBFT is there: ${stderr.trim()}`);
  return { COMETBFT_BIN: stdout.trim() };
}

interface Cast {
  readonly host: Peer;
  readonly contributor: Peer;
  readonly caller: Peer;
  readonly hosting: StatusReport;
}

async function play(peers: Peers, question: string, validators: number): Promise<void> {
  const cast = validators > 0 ? await beginAmong(peers, validators) : await begin(peers);
  const { host, contributor, caller, hosting } = cast;
  await publish(host, contributor);
  const end = await ask(caller, question);
  await settle(host);
  await earnings({ host, contributor, end, hosting });
  await prove(peers, caller, end);
}

async function beginAmong(peers: Peers, count: number): Promise<Cast> {
  chapter(1, `${count} validators start, each a process of its own, and a caller who runs no node`);
  const port = await portsInRow(2 * count);
  const begun = await beginNetwork(peers, { validators: count, port, flags: LOCAL });
  const { validators, caller, hosting } = begun;
  const [host, contributor] = validators;
  check(host !== undefined && contributor !== undefined, 'there are two validators or more');
  const calling = await caller.client.call('status', {});
  console.log(`   ${count} validators order the ledger of ${hosting.ledger.network}`);
  console.log(`   host         ${hosting.did}, one of them; the contributor is another`);
  console.log(
    `   caller       ${calling.did}  has ${formatAmount(BigInt(calling.balance))}, ledger: ${calling.ledger.role}`,
  );
  check(
    calling.ledger.role === 'light',
    'the caller keeps no ledger: validators prove to it what they decided',
  );
  return { host, contributor, caller, hosting };
}

async function begin(peers: Peers): Promise<Cast> {
  const host = await peers.add('host');
  const contributor = await peers.add('contributor');
  const caller = await peers.add('caller');
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
  return { host, contributor, caller, hosting };
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
