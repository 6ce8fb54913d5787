/** `id`: the keys of this home. They work on files, so no daemon is needed. */
import { readFile, writeFile } from 'node:fs/promises';
import { SaharaError } from '../../base/errors.ts';
import { runningPid } from '../../daemon/home.ts';
import { readAdopted } from '../../daemon/key-marks.ts';
import { agentKeyName, OPERATOR_KEY, passphraseOf } from '../../daemon/keys.ts';
import { type Keystore, openKeystore } from '../../daemon/keystore.ts';
import { didOf } from '../../protocol/ids.ts';
import type { App, CommandGroup } from '../app.ts';
import { showTable } from '../show.ts';

interface KeyOptions {
  readonly agent?: string;
}

/** The keys of this home. */
export const idCommands: CommandGroup = (program, run) => {
  const id = program.command('id').description('keys: show, export, import');
  id.command('show')
    .description('who you are, and which keys are here')
    .addHelpText('after', '\nExample:\n  $ sahara id show')
    .action(run(show));
  id.command('export')
    .description('write a key to a file; whoever has it is you')
    .argument('<file>', 'where to')
    .option('--agent <name>', 'the key of this agent instead of your own')
    .addHelpText('after', '\nExample:\n  $ sahara id export operator.key')
    .action(run(exportKey));
  id.command('import')
    .description('take a key that was exported; before the first start of a home')
    .argument('<file>')
    .option('--agent <name>', 'as the key of this agent instead of your own')
    .addHelpText('after', '\nExample:\n  $ SAHARA_HOME=~/.sahara-two sahara id import operator.key')
    .action(run(importKey));
};

function keystore(app: App): Promise<Keystore> {
  const passphrase = passphraseOf(app.environment);
  return openKeystore(app.home.keys, passphrase === undefined ? {} : { passphrase });
}

function keyName(options: KeyOptions): string {
  return options.agent === undefined ? OPERATOR_KEY : agentKeyName(options.agent);
}

async function show(app: App): Promise<void> {
  const keys = await (await keystore(app)).list();
  const own = keys.find(({ name }) => name === OPERATOR_KEY);
  if (own === undefined) throw new SaharaError('key-missing', { name: OPERATOR_KEY, path: app.home.keys });
  const adopted = await readAdopted(app.home.keys);
  const did = adopted === undefined ? own.did : didOf(adopted.did);
  const rows = keys.map((key) => ({ name: key.name, did: key.did, encrypted: key.encrypted }));
  app.terminal.result({ did, keys: rows }, () => {
    app.terminal.line(did);
    app.terminal.line();
    const cells = rows.map(({ name, did, encrypted }) => [name, encrypted ? 'encrypted' : 'plain', did]);
    showTable(app, ['KEY', 'AT REST', 'DID'], cells);
  });
}

async function exportKey(app: App, file: string, options: KeyOptions): Promise<void> {
  const text = await (await keystore(app)).export(keyName(options));
  await writeFile(file, text, { mode: 0o600, flag: 'wx' }).catch((error: unknown) => {
    throw new SaharaError(
      'usage',
      { reason: `${file} cannot be written, or is there already` },
      { cause: error },
    );
  });
  app.terminal.result({ file }, () =>
    app.terminal.line(`Wrote ${file}. Whoever has this file is you: keep it safe.`),
  );
}

async function importKey(app: App, file: string, options: KeyOptions): Promise<void> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new SaharaError('file-missing', { path: file }, { cause: error });
  });
  const pid = runningPid(app.home);
  if (pid !== undefined && (await isUp(app)))
    throw new SaharaError('home-in-use', { path: app.home.root, pid });
  const key = await (await keystore(app)).import(keyName(options), text);
  app.terminal.result({ name: key.name, did: key.did }, () =>
    app.terminal.line(`This home is now ${key.did}.`),
  );
}

async function isUp(app: App): Promise<boolean> {
  return app.client.call('status', {}).then(
    () => true,
    () => false,
  );
}
