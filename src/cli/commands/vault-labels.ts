/** `vault label`: who may have passages of what in answers. */
import type { Command } from 'commander';
import type { LabelRow } from '../../daemon/admin/methods-vault.ts';
import { type App, type Runner, usage } from '../app.ts';
import { showTable } from '../show.ts';
import { clip, plural, shortDid } from '../terminal.ts';
import { dateOf, timeOf } from './vault-sharing.ts';

const ASSET_PREFIX = 'licence:';

/** Adds it to the group `vault`. */
export function addVaultLabels(vault: Command, run: Runner): void {
  vault
    .command('label')
    .description('say who may have passages of a document, a folder or the whole vault in answers')
    .argument('<vault>')
    .argument(
      '[place]',
      'name of a document, of a folder with / behind it, or / for all; without it: what is there',
    )
    .option(
      '--readers <list>',
      'everyone (the label goes), nobody, granted (holders of grants for answers), DIDs, licence:ASSET; several with commas',
    )
    .option('--until <time>', 'when that ends: such as 12h, 30d or 2027-01-31; then nobody; default no end')
    .addHelpText(
      'after',
      '\nExamples:\n  $ sahara vault label notes\n  $ sahara vault label notes notes/internal/ --readers granted,did:key:z6Mk...',
    )
    .action(run(label));
}

interface LabelOptions {
  readonly readers?: string;
  readonly until?: string;
}

async function label(
  app: App,
  vault: string,
  place: string | undefined,
  options: LabelOptions,
): Promise<void> {
  if (place === undefined) return list(app, vault);
  if (options.readers === undefined)
    throw usage('It takes --readers: everyone, nobody, granted, DIDs, licence:ASSET');
  const words = options.readers.split(/[,\s]+/).filter((word) => word !== '');
  if (words.length === 0) throw usage('--readers takes at least one word; `nobody` closes it to all');
  if (words.includes('everyone')) {
    if (words.length > 1) throw usage('--readers everyone stands alone: it takes the label away');
    const row = await app.client.call('vault.unlabel', { vault, place }, { signal: app.signal });
    app.terminal.result(row, () =>
      app.terminal.line(row.dropped ? `${place} has no label any more.` : `${place} had no label.`),
    );
    return;
  }
  const input = { vault, place, ...readersOf(words), untilMs: timeOf(options.until, '--until') };
  const row = await app.client.call('vault.label', input, { signal: app.signal });
  app.terminal.result(row, () => {
    const until = row.untilMs === undefined ? '' : `, until ${dateOf(row.untilMs)}`;
    app.terminal.line(`Passages of ${place} are for ${readersText(row)}${until}.`);
    if (row.documents > 0) app.terminal.line(`It counts for ${plural(row.documents, 'document')} now.`);
    else
      app.terminal.line(
        'No document stands under it now. A folder ends with /, and names are as `vault add` told them.',
      );
  });
}

function readersOf(words: readonly string[]): Pick<LabelRow, 'granted' | 'readers' | 'licences'> {
  const named = words.filter((word) => word !== 'granted' && word !== 'nobody');
  if (words.includes('nobody') && words.length > 1) throw usage('--readers nobody stands alone');
  const licences = named
    .filter((word) => word.startsWith(ASSET_PREFIX))
    .map((word) => word.slice(ASSET_PREFIX.length));
  const readers = named.filter((word) => !word.startsWith(ASSET_PREFIX));
  const unknown = readers.find((word) => !word.startsWith('did:'));
  if (unknown !== undefined)
    throw usage(`--readers takes everyone, nobody, granted, DIDs and licence:ASSET, not "${unknown}"`);
  return { granted: words.includes('granted'), readers, licences };
}

async function list(app: App, vault: string): Promise<void> {
  const rows = await app.client.call('vault.labels', { vault }, { signal: app.signal });
  app.terminal.result(rows, () => {
    if (rows.length === 0) {
      app.terminal.line('No labels: passages of everything here may stand in answers to everyone.');
      return;
    }
    const cells = rows.map((row) => [
      clip(row.place, 50),
      readersText(row),
      row.untilMs === undefined ? '-' : dateOf(row.untilMs),
      String(row.documents),
    ]);
    showTable(app, ['PLACE', 'READERS', 'UNTIL', 'DOCUMENTS'], cells);
  });
}

function readersText({ granted, readers, licences }: LabelRow): string {
  const words = [
    ...(granted ? ['holders of grants'] : []),
    ...readers.map(shortDid),
    ...licences.map((asset) => `licence ${asset.slice(0, 8)}`),
  ];
  return words.length === 0 ? 'nobody' : words.join(', ');
}
