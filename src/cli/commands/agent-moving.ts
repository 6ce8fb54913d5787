/** `agent export` and `import`: an agent moves to another host. */
import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { SaharaError } from '../../base/errors.ts';
import { type App, type CommandGroup, usage } from '../app.ts';
import { priceOf } from '../show.ts';
import { shortDid } from '../terminal.ts';
import { tellLedgerKept } from './vault.ts';

/** Agents that leave and come; they go below `agent`. */
export const agentMovingCommands: CommandGroup = (agent, run) => {
  agent
    .command('export')
    .description(
      'write an agent into a file for another operator: its key, name and manifests; vaults go by  vault export',
    )
    .argument('<name>')
    .argument('<file>', 'a new file; only its reader can open it')
    .option('--to <did>', 'who takes it; default you, as a backup')
    .addHelpText('after', '\nExample:\n  $ sahara agent export notes notes.agent --to did:key:z6Mk...')
    .action(run(give));
  agent
    .command('import')
    .description('host an agent out of a file that was made for you')
    .argument('<file>')
    .option('--trusted', 'also where it runs programs or uses secrets of this machine')
    .addHelpText('after', '\nExample:\n  $ sahara agent import notes.agent')
    .action(run(take));
};

async function give(app: App, name: string, file: string, options: { readonly to?: string }): Promise<void> {
  const { to } = options;
  const input = { name, ...(to !== undefined && { to }) };
  const { agent, reader } = await app.client.call('agent.export', input, { signal: app.signal });
  const path = resolve(file);
  await writeFile(path, Buffer.from(agent, 'base64'), { mode: 0o600, flag: 'wx' }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') throw usage(`${path} is there already: choose another name`);
      throw error;
    },
  );
  app.terminal.result({ file: path, reader }, () => {
    app.terminal.line(`${name} is in ${path}, for ${shortDid(reader)} alone. It holds the agent's key.`);
    app.terminal.line('It is still hosted here. When it is live elsewhere:');
    app.terminal.line(`  sahara agent remove ${name}`);
  });
}

async function take(app: App, file: string, options: { readonly trusted?: boolean }): Promise<void> {
  const bytes = await readFile(file).catch((error: unknown) => {
    throw new SaharaError('file-missing', { path: file }, { cause: error });
  });
  const stop = app.terminal.progress('Registering the agent and its contributors on the ledger');
  const input = { agent: bytes.toString('base64'), trusted: options.trusted === true };
  const row = await app.client.call('agent.import', input, { signal: app.signal }).finally(stop);
  app.terminal.result(row, () => {
    app.terminal.line(
      `${app.terminal.paint('green', row.name)} is live here: ${priceOf(row)}, ${shortDid(row.did)}, from ${shortDid(row.from)}.`,
    );
    tellLedgerKept(app, row);
    app.terminal.line(`Try it:  sahara agent test ${row.name}`);
  });
}
