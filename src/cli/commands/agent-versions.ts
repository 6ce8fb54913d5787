/** `agent show`, `versions` and `rollback`: what an agent was and is hosted with. */
import { systemClock } from '../../base/clock.ts';
import type { AgentVersionRow } from '../../daemon/admin/types-agent.ts';
import { type App, type CommandGroup, countOption, usage } from '../app.ts';
import { showTable } from '../show.ts';
import { ago } from '../terminal.ts';

/** What an agent was and is hosted with; they go below `agent`. */
export const agentVersionCommands: CommandGroup = (agent, run) => {
  agent
    .command('show')
    .description('the manifest that an agent is hosted with, or was')
    .argument('<name>')
    .option('--version <number>', 'an earlier one')
    .addHelpText('after', '\nExample:\n  $ sahara agent show notes > notes.yaml')
    .action(run(show));
  agent
    .command('versions')
    .description('every manifest that an agent was hosted with')
    .argument('<name>')
    .addHelpText('after', '\nExample:\n  $ sahara agent versions notes')
    .action(run(versions));
  agent
    .command('rollback')
    .description('host an agent again as it was before; that becomes its newest version')
    .argument('<name>')
    .option('--to <number>', 'which version; default the one before the newest')
    .addHelpText('after', '\nExample:\n  $ sahara agent rollback notes --to 3')
    .action(run(rollback));
};

async function show(app: App, name: string, options: { readonly version?: string }): Promise<void> {
  const rows = await rowsOf(app, name);
  const wanted = options.version === undefined ? undefined : countOption('--version', options.version);
  const row = rows.find((each) => (wanted === undefined ? each.current : each.version === wanted));
  if (row === undefined) throw usage(`${name} has no version ${wanted}: see  sahara agent versions ${name}`);
  app.terminal.result(row, () => app.terminal.line(row.manifest.trimEnd()));
}

async function versions(app: App, name: string): Promise<void> {
  const rows = await rowsOf(app, name);
  app.terminal.result(rows, () => {
    const now = systemClock.nowMs();
    const cells = rows.map((row) => [
      String(row.version),
      ago(row.keptAtMs, now),
      row.current ? 'hosted now' : '',
    ]);
    showTable(app, ['VERSION', 'SINCE', ''], cells);
  });
}

async function rollback(app: App, name: string, options: { readonly to?: string }): Promise<void> {
  const version = options.to === undefined ? undefined : countOption('--to', options.to);
  const row = await app.client.call(
    'agent.rollback',
    { name, ...(version !== undefined && { version }) },
    { signal: app.signal },
  );
  app.terminal.result(row, () => {
    app.terminal.line(`${row.name} is live as it was. Try it:  sahara agent test ${row.name}`);
  });
}

function rowsOf(app: App, name: string): Promise<readonly AgentVersionRow[]> {
  return app.client.call('agent.versions', { name }, { signal: app.signal });
}
