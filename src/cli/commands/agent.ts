/** `agent`: what this peer hosts. */
import { readFile } from 'node:fs/promises';
import { formatAmount, parseAmount } from '../../base/amount.ts';
import { SaharaError } from '../../base/errors.ts';
import type { AgentSearchRow } from '../../daemon/admin/types-agent.ts';
import { type App, type CommandGroup, countOption, usage } from '../app.ts';
import { priceOf, showTable } from '../show.ts';
import { bytesText } from '../show-merge.ts';
import { shortDid } from '../terminal.ts';
import { agentCreateCommands } from './agent-create.ts';
import { agentMovingCommands } from './agent-moving.ts';
import { agentTrialCommands } from './agent-trial.ts';
import { agentVersionCommands } from './agent-versions.ts';
import { tellLedgerKept } from './vault.ts';

interface AddOptions {
  readonly name?: string;
  readonly vault?: readonly string[];
  readonly price?: string;
  readonly free?: string;
  readonly description?: string;
  readonly replace?: boolean;
}

/** What this peer hosts. */
export const agentCommands: CommandGroup = (program, run) => {
  const agent = program.command('agent').description('agents that this peer hosts');
  agent
    .command('add')
    .description('host an agent: from a manifest, or from a name and a vault')
    .argument('[manifest]', 'YAML file')
    .option('--name <name>', 'without a manifest: its name')
    .option('--vault <name...>', 'without a manifest: the vaults that it answers from')
    .option('--price <amount>', 'without a manifest: price of a call in SAHARA', '0.001')
    .option('--free <calls>', 'without a manifest: free calls per caller and day')
    .option('--description <text>', 'without a manifest: what it knows')
    .option('--replace', 'replace the agent of this name')
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara agent add --name notes --vault notes --price 0.001\n  $ sahara agent add notes.yaml',
    )
    .action(run(add));
  agent
    .command('list')
    .description('what is hosted here')
    .addHelpText('after', '\nExample:\n  $ sahara agent list')
    .action(run(list));
  agent
    .command('remove')
    .description('stop hosting an agent; its key, name and asset stay')
    .argument('<name>')
    .addHelpText('after', '\nExample:\n  $ sahara agent remove notes')
    .action(run(remove));
  agentCreateCommands(agent, run);
  agentTrialCommands(agent, run);
  agentVersionCommands(agent, run);
  agentMovingCommands(agent, run);
};

async function add(app: App, file: string | undefined, options: AddOptions): Promise<void> {
  const manifest = file === undefined ? manifestOf(options) : await readManifest(file);
  const stop = app.terminal.progress('Registering the agent and its contributors on the ledger');
  const replace = options.replace === true;
  const row = await app.client.call('agent.add', { manifest, replace }, { signal: app.signal }).finally(stop);
  app.terminal.result(row, () => {
    app.terminal.line(
      `${app.terminal.paint('green', row.name)} is live: ${priceOf(row)}, ${shortDid(row.did)}.`,
    );
    if (row.note !== undefined) app.terminal.line(app.terminal.paint('yellow', row.note));
    if (row.model !== undefined) {
      const { name, needBytes } = row.model;
      app.terminal.line(`It answers with ${name}, which needs about ${bytesText(needBytes)} of memory.`);
    }
    if (row.search !== undefined) app.terminal.line(`Search: ${searchText(row.search)}`);
    tellLedgerKept(app, row);
    app.terminal.line(`Ask it:  sahara ask ${row.name} "..."`);
  });
}

async function readManifest(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new SaharaError('file-missing', { path: file }, { cause: error });
  }
}

function manifestOf(options: AddOptions): string {
  const { name, vault, description } = options;
  if (name === undefined || vault === undefined) throw usage('It takes a manifest, or --name and --vault');
  const price = parseAmount(options.price ?? '0.001');
  if (price === undefined) {
    throw usage(`--price takes an amount in SAHARA such as 0.002, not "${options.price}"`);
  }
  const calls = options.free === undefined ? 0 : countOption('--free', options.free);
  // JSON is YAML.
  return JSON.stringify({
    name,
    description: description ?? `Answers from ${vault.join(', ')}.`,
    vaults: vault,
    price: { perCall: formatAmount(price), ...(calls > 0 && { freePerCaller: { calls } }) },
  });
}

async function list(app: App): Promise<void> {
  const rows = await app.client.call('agent.list', {}, { signal: app.signal });
  app.terminal.result(rows, () => {
    if (rows.length === 0) {
      app.terminal.line('No agents here. Host one:  sahara agent add --name NAME --vault VAULT');
      return;
    }
    const cells = rows.map((row) => [
      row.name,
      priceOf(row),
      row.backend,
      row.vaults.join(', ') || '-',
      row.did,
    ]);
    showTable(app, ['AGENT', 'PRICE', 'BACKEND', 'VAULTS', 'DID'], cells);
    for (const row of rows) {
      if (row.search !== undefined) app.terminal.line(`${row.name}: ${searchText(row.search)}`);
      if (row.note !== undefined) app.terminal.line(`${row.name}: ${row.note}`);
    }
  });
}

/** What helps an agent to find passages, and what is in its way. */
function searchText({ embedder, vectors = 0, of = 0, reranker, note }: AgentSearchRow): string {
  const parts = [
    ...(embedder === undefined ? [] : [`${vectors} of ${of} passages have vectors by ${embedder}`]),
    ...(reranker === undefined ? [] : [`${reranker} orders what is found`]),
  ];
  return note === undefined ? parts.join('; ') : `${parts.join('; ')}; found without it for now: ${note}`;
}

async function remove(app: App, name: string): Promise<void> {
  await app.client.call('agent.remove', { name }, { signal: app.signal });
  app.terminal.result({ removed: name }, () => app.terminal.line(`${name} is no longer hosted here.`));
}
