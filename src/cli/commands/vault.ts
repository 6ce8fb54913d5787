/** `vault`: documents in, passages out. */
import { resolve } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { explainError } from '../../base/error-text.ts';
import { isErrorCode, SaharaError } from '../../base/errors.ts';
import type { AdminFailure, ImportEvent } from '../../daemon/admin/types.ts';
import { type App, type CommandGroup, countOption } from '../app.ts';
import { showTable } from '../show.ts';
import { clip, plural, shortDid } from '../terminal.ts';
import { TransferRate, transferLine } from '../transfer.ts';
import { addVaultLabels } from './vault-labels.ts';
import { addVaultSharing } from './vault-sharing.ts';

interface AddOptions {
  readonly contributor?: string;
  readonly licence?: string;
  readonly consent?: string;
}

/** Documents in, passages out. */
export const vaultCommands: CommandGroup = (program, run) => {
  const vault = program.command('vault').description('stores of knowledge that agents answer from');
  vault
    .command('create')
    .description('make an empty vault')
    .argument('<name>')
    .addHelpText('after', '\nExample:\n  $ sahara vault create notes')
    .action(run(create));
  vault
    .command('add')
    .description('import a file or a folder: text, Markdown, HTML, PDF, Word, CSV, JSON, code, chats')
    .argument('<vault>')
    .argument('<path>', 'file or folder')
    .option('--contributor <did>', 'whose knowledge it is and who earns for it; default you')
    .option('--licence <name>', 'terms it comes under, such as CC-BY-4.0')
    .option('--consent <text>', 'how those whose words it holds agreed; needed for chats')
    .addHelpText('after', '\nExample:\n  $ sahara vault add notes ~/Documents/notes')
    .action(run(importDocuments));
  vault
    .command('list')
    .description('what is there')
    .addHelpText('after', '\nExample:\n  $ sahara vault list')
    .action(run(list));
  vault
    .command('search')
    .description('passages that fit a query')
    .argument('<vault>')
    .argument('<query...>')
    .option('-n, --limit <count>', 'how many', '5')
    .addHelpText('after', '\nExample:\n  $ sahara vault search notes closing a channel')
    .action(run(search));
  vault
    .command('remove')
    .description('delete a vault and everything in it')
    .argument('<name>')
    .addHelpText('after', '\nExample:\n  $ sahara vault remove notes')
    .action(run(remove));
  addVaultLabels(vault, run);
  addVaultSharing(vault, run);
};

async function create(app: App, name: string): Promise<void> {
  const row = await app.client.call('vault.create', { name }, { signal: app.signal });
  app.terminal.result(row, () => {
    app.terminal.line(`Made the vault ${row.name}. Fill it:  sahara vault add ${row.name} FOLDER`);
    tellLedgerKept(app, row);
  });
}

/** Says that the home keeps the whole ledger from now on. */
export function tellLedgerKept(app: App, { ledgerKept }: { readonly ledgerKept?: number }): void {
  if (ledgerKept === undefined) return;
  app.terminal.line(
    `This home was a light client; as a host it keeps the whole ledger now, up to block ${ledgerKept}.`,
  );
}

/** Imports a file or a folder into a vault and shows what becomes of it. Throws `document-unreadable` when every file was refused. */
export async function importDocuments(
  app: App,
  vault: string,
  path: string,
  options: AddOptions = {},
): Promise<void> {
  const { contributor, licence, consent } = options;
  const input = { vault, path: resolve(path), contributor, licence, consent };
  const { terminal } = app;
  const rate = new TransferRate();
  const done = { files: 0, refused: 0, sizeBytes: 0 };
  let all = { files: 0, sizeBytes: 0 };
  const stop = terminal.progress(`Looking at ${path}`);
  try {
    for await (const event of app.client.stream('vault.add', input, { signal: app.signal })) {
      if (terminal.json) terminal.line(JSON.stringify(event));
      if (event.type === 'started') {
        stop();
        all = { files: event.files ?? 0, sizeBytes: event.sizeBytes ?? 0 };
      } else if (event.type === 'total') {
        terminal.live();
        if (!terminal.json) terminal.line(totals(event));
        continue;
      } else {
        done.files++;
        if (event.type === 'skipped') done.refused++;
        done.sizeBytes += event.sizeBytes ?? 0;
      }
      if (event.type === 'skipped' && !terminal.json) {
        terminal.live();
        const name = clip(event.name, 60);
        terminal.note(`${terminal.paintError('yellow', 'skipped')} ${name}: ${reasonOf(event.refusal)}`);
      }
      const bar = transferLine(
        done.sizeBytes,
        all.sizeBytes,
        rate.at(systemClock.monotonicMs(), done.sizeBytes),
      );
      terminal.live(`${bar}  ${done.files}/${all.files} files`);
    }
  } finally {
    stop();
    terminal.live();
  }
  if (done.refused > 0 && done.refused === done.files) throw noneTaken(path, done.refused);
}

/** The failure of an import that kept nothing; why, each file was told. */
function noneTaken(path: string, files: number): SaharaError {
  const reason =
    files === 1
      ? 'It was not imported, for the reason above'
      : `None of its ${files} files was imported, for the reasons above`;
  const advice = `Mend or convert ${files === 1 ? 'it' : 'them'} and add ${files === 1 ? 'it' : 'them'} again`;
  return new SaharaError('document-unreadable', { path, reason, advice });
}

function totals(event: ImportEvent): string {
  return `${plural(event.documents ?? 0, 'document')}, ${plural(event.chunks ?? 0, 'passage')} in ${event.name}.`;
}

/** Why a document was left out, without its name: that stands in front. */
function reasonOf(failure: AdminFailure | undefined): string {
  if (failure === undefined || !isErrorCode(failure.code)) return 'it could not be read.';
  const { document: _document, path: _path, ...facts } = failure.facts;
  return explainError({ code: failure.code, facts });
}

async function list(app: App): Promise<void> {
  const rows = await app.client.call('vault.list', {}, { signal: app.signal });
  app.terminal.result(rows, () => {
    if (rows.length === 0) app.terminal.line('No vaults. Make one:  sahara vault create NAME');
    else {
      const cells = rows.map((row) => [
        row.name,
        String(row.documents),
        String(row.chunks),
        row.contributors.map(shortDid).join(', ') || '-',
      ]);
      showTable(app, ['VAULT', 'DOCUMENTS', 'PASSAGES', 'CONTRIBUTORS'], cells);
    }
  });
}

async function search(
  app: App,
  vault: string,
  query: readonly string[],
  options: { readonly limit: string },
): Promise<void> {
  const limit = countOption('--limit', options.limit);
  const input = { vault, query: query.join(' '), limit };
  const rows = await app.client.call('vault.search', input, { signal: app.signal });
  app.terminal.result(rows, () => {
    if (rows.length === 0) app.terminal.line('Nothing fits.');
    rows.forEach((row, i) => {
      const title = row.title === '' ? '' : `  ${app.terminal.paint('dim', clip(row.title, 70))}`;
      app.terminal.line(`${app.terminal.paint('cyan', `[${i + 1}]`)} ${clip(row.document, 70)}${title}`);
      app.terminal.line(`    ${clip(row.text, 240)}`);
    });
  });
}

async function remove(app: App, name: string): Promise<void> {
  await app.client.call('vault.remove', { name }, { signal: app.signal });
  app.terminal.result({ removed: name }, () => app.terminal.line(`Removed the vault ${name}.`));
}
