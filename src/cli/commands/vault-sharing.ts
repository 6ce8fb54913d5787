/** `vault` beyond documents and passages: grants, the access log, exports, deletion, verification, watched folders. */
import { resolve, sep } from 'node:path';
import type { Command } from 'commander';
import { systemClock } from '../../base/clock.ts';
import type { GrantRow, TransferEvent, VaultVerification } from '../../daemon/admin/methods-vault.ts';
import { type App, countOption, type Runner, usage } from '../app.ts';
import { showTable } from '../show.ts';
import { clip, plural, shortDid } from '../terminal.ts';

const PURPOSES = ['answer', 'train', 'label', 'export'] as const;
type Purpose = (typeof PURPOSES)[number];

/** Adds them to the group `vault`. */
export function addVaultSharing(vault: Command, run: Runner): void {
  addGrants(vault, run);
  addFiles(vault, run);
  vault
    .command('forget')
    .description('destroy a document for good: its key, its passages, its words in the index')
    .argument('<vault>')
    .argument('<document>', 'its name, as `vault add` told it')
    .addHelpText('after', '\nExample:\n  $ sahara vault forget notes notes/diary.md')
    .action(run(forget));
  vault
    .command('verify')
    .description('check every passage, and what differs from what an asset committed to')
    .argument('<vault>')
    .option('--asset <id>', 'asset on the ledger; without one only the passages are checked')
    .addHelpText('after', '\nExample:\n  $ sahara vault verify notes --asset 4f1c...')
    .action(run(verify));
  vault
    .command('watch')
    .description('keep the vault as a folder is, from now on')
    .argument('[vault]', 'without it: what is watched')
    .argument('[folder]')
    .option('--stop', 'watch it no more; its documents stay')
    .option('--contributor <did>', 'whose knowledge it is and who earns for it; default you')
    .option('--licence <name>', 'terms it comes under, such as CC-BY-4.0')
    .option('--consent <text>', 'how those whose words it holds agreed; needed for chats')
    .addHelpText('after', '\nExample:\n  $ sahara vault watch notes ~/Documents/notes')
    .action(run(watch));
}

function addGrants(vault: Command, run: Runner): void {
  vault
    .command('grant')
    .description('give somebody the key to what the vault holds now')
    .argument('<vault>')
    .argument('<did>', 'who may read')
    .requiredOption('--purpose <list>', `what for: ${PURPOSES.join(', ')}`)
    .option('--expires <time>', 'until when: such as 12h, 30d or 2027-01-31; default no end')
    .option('--out <file>', 'file for the reader; default VAULT.grant')
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara vault grant notes did:key:z6Mk... --purpose answer --expires 30d',
    )
    .action(run(grant));
  vault
    .command('revoke')
    .description('take the grants of a reader back: what comes from now on stays closed to them')
    .argument('<vault>')
    .argument('<did>')
    .addHelpText('after', '\nExample:\n  $ sahara vault revoke notes did:key:z6Mk...')
    .action(run(revoke));
  vault
    .command('grants')
    .description('who may read, what for and until when')
    .argument('<vault>')
    .addHelpText('after', '\nExample:\n  $ sahara vault grants notes')
    .action(run(grants));
  vault
    .command('log')
    .description('who did what with the vault, for which purpose and when')
    .argument('<vault>')
    .option('-n, --limit <count>', 'how many', '50')
    .addHelpText('after', '\nExample:\n  $ sahara vault log notes -n 10')
    .action(run(log));
}

function addFiles(vault: Command, run: Runner): void {
  vault
    .command('export')
    .description(
      'write the vault into a file or folder: readable, or sealed (to a DID, or for holders of grants)',
    )
    .argument('<vault>')
    .argument('<path>', 'file, or folder (readable only)')
    .option('--to <did>', 'sealed, with a grant for this reader')
    .option('--sealed', 'sealed, for those who have a grant')
    .option('--purpose <list>', `what the reader may use it for: ${PURPOSES.join(', ')}`, 'answer')
    .option('--expires <time>', 'until when: such as 12h, 30d or 2027-01-31; default no end')
    .addHelpText('after', '\nExample:\n  $ sahara vault export notes notes.vault --to did:key:z6Mk...')
    .action(run(exportVault));
  vault
    .command('import')
    .description('take in what `vault export` wrote')
    .argument('<vault>')
    .argument('<path>')
    .option('--grant <file>', 'grant that opens it; default the one that came with it')
    .addHelpText('after', '\nExample:\n  $ sahara vault import copy notes.vault')
    .action(run(importVault));
}

interface GrantOptions {
  readonly purpose: string;
  readonly expires?: string;
  readonly out?: string;
}

async function grant(app: App, vault: string, reader: string, options: GrantOptions): Promise<void> {
  const out = resolve(options.out ?? `${vault}.grant`);
  const input = {
    vault,
    reader,
    purposes: purposesOf(options.purpose),
    expiresAtMs: timeOf(options.expires),
    out,
  };
  const row = await app.client.call('vault.grant', input, { signal: app.signal });
  app.terminal.result({ ...row, file: out }, () => {
    const until = row.expiresAtMs === undefined ? 'without end' : `until ${dateOf(row.expiresAtMs)}`;
    app.terminal.line(`${shortDid(row.reader)} may read ${vault} for ${row.purposes.join(', ')}, ${until}.`);
    app.terminal.line(`Send them ${out} and what \`sahara vault export ${vault} FILE --sealed\` writes.`);
  });
}

async function revoke(app: App, vault: string, reader: string): Promise<void> {
  const row = await app.client.call('vault.revoke', { vault, reader }, { signal: app.signal });
  app.terminal.result(row, () => {
    if (row.revoked === 0) app.terminal.line(`${shortDid(reader)} has no grant of ${vault}.`);
    else {
      app.terminal.line(
        `Took back ${plural(row.revoked, 'grant')}. What comes from now on stays closed to them;`,
      );
      app.terminal.line('what they could read before cannot be taken back.');
    }
  });
}

async function grants(app: App, vault: string): Promise<void> {
  const rows = await app.client.call('vault.grants', { vault }, { signal: app.signal });
  app.terminal.result(rows, () => {
    if (rows.length === 0) app.terminal.line('Nobody was given a key.');
    else showTable(app, ['READER', 'FOR', 'STATE', 'GIVEN', 'UNTIL'], rows.map(grantCells));
  });
}

function grantCells(row: GrantRow): string[] {
  const until = row.expiresAtMs === undefined ? '-' : dateOf(row.expiresAtMs);
  return [shortDid(row.reader), row.purposes.join(', '), row.state, dateOf(row.grantedAtMs), until];
}

async function log(app: App, vault: string, options: { readonly limit: string }): Promise<void> {
  const limit = countOption('--limit', options.limit);
  const rows = await app.client.call('vault.log', { vault, limit }, { signal: app.signal });
  app.terminal.result(rows, () => {
    if (rows.length === 0) app.terminal.line('Nothing was done with it yet.');
    const cells = rows.map(({ atMs, who, action, purpose, count, about }) => [
      dateOf(atMs),
      who.startsWith('did:') ? shortDid(who) : who,
      action,
      purpose,
      String(count),
      clip(about.startsWith('did:') ? shortDid(about) : about, 40),
    ]);
    if (cells.length > 0) showTable(app, ['WHEN', 'WHO', 'WHAT', 'FOR', 'COUNT', 'ABOUT'], cells);
  });
}

interface ExportOptions {
  readonly to?: string;
  readonly sealed?: boolean;
  readonly purpose: string;
  readonly expires?: string;
}

async function exportVault(app: App, vault: string, path: string, options: ExportOptions): Promise<void> {
  const { to, sealed } = options;
  const purposes = purposesOf(options.purpose);
  const place = `${resolve(path)}${path.endsWith(sep) ? sep : ''}`;
  const input = { vault, path: place, to, sealed, purposes, expiresAtMs: timeOf(options.expires) };
  const { documents } = await follow(app, app.client.stream('vault.export', input, { signal: app.signal }));
  const how =
    to === undefined
      ? sealed === true
        ? ', sealed'
        : ', readable for everybody'
      : `, sealed to ${shortDid(to)}`;
  if (!app.terminal.json) app.terminal.line(`Wrote ${plural(documents, 'document')} to ${place}${how}.`);
}

async function importVault(
  app: App,
  vault: string,
  path: string,
  options: { readonly grant?: string },
): Promise<void> {
  const grantFile = options.grant === undefined ? undefined : resolve(options.grant);
  const input = { vault, path: resolve(path), grant: grantFile };
  const { documents, later } = await follow(
    app,
    app.client.stream('vault.import', input, { signal: app.signal }),
  );
  if (app.terminal.json) return;
  app.terminal.line(`Took in ${plural(documents, 'document')}.`);
  if (later > 0)
    app.terminal.line(`${plural(later, 'document')} came later than the grant and stayed closed.`);
}

/** Shows how far a transfer is; how many documents there were. */
async function follow(
  app: App,
  events: AsyncIterable<TransferEvent>,
): Promise<{ readonly documents: number; readonly later: number }> {
  let documents = 0;
  let later = 0;
  try {
    for await (const event of events) {
      if (app.terminal.json) app.terminal.line(JSON.stringify(event));
      if (event.type === 'document') documents++;
      if (event.type === 'later') later += event.documents ?? 0;
      if (event.type === 'total') documents = event.documents ?? documents;
      else app.terminal.live(`${documents}${event.of === undefined ? '' : ` of ${event.of}`} documents`);
    }
  } finally {
    app.terminal.live();
  }
  return { documents, later };
}

async function forget(app: App, vault: string, document: string): Promise<void> {
  const row = await app.client.call('vault.forget', { vault, document }, { signal: app.signal });
  app.terminal.result(row, () => {
    const { names, chunks, commitments } = row;
    app.terminal.line(
      `Forgot ${names.map((name) => clip(name, 60)).join(', ')}: ${plural(chunks, 'passage')}.`,
    );
    app.terminal.line(
      'Its key and its passages are destroyed and off the disk. Its words leave the sealed index in the background, from some seconds on.',
    );
    app.terminal.line('Exports and backups that were made before still hold it.');
    if (commitments === 0) return;
    app.terminal.line(
      `It stands in ${plural(commitments, 'earlier commitment')}: on the ledger that is one hash over everything, from which`,
    );
    app.terminal.line(
      `nothing can be read. To commit to what is there now:  sahara asset commit --vault ${vault}`,
    );
  });
}

async function verify(app: App, vault: string, options: { readonly asset?: string }): Promise<void> {
  const input = { vault, asset: options.asset };
  const stop = app.terminal.progress(`Checking every passage of ${vault}`);
  const row = await app.client.call('vault.verify', input, { signal: app.signal }).finally(stop);
  app.terminal.result(row, () => showVerification(app, row));
  if (!row.matches) process.exitCode = 1;
}

function showVerification(
  app: App,
  { vault, asset, matches, damaged, since, committed, now }: VaultVerification,
): void {
  for (const name of damaged) app.terminal.line(`damaged  ${clip(name, 70)}`);
  if (asset === undefined) {
    if (matches) app.terminal.line(`Every passage of ${vault} is what its id says.`);
    return;
  }
  if (matches) {
    app.terminal.line(`${vault} holds exactly what the asset committed to.`);
    return;
  }
  app.terminal.line(`${vault} is not what the asset committed to.`);
  app.terminal.line(`  committed  ${committed}`);
  app.terminal.line(`  now        ${now}`);
  if (since === undefined) {
    app.terminal.line(
      'What differs cannot be said: the commitment was not made from this vault, or long ago.',
    );
    return;
  }
  for (const name of since.added) app.terminal.line(`  added      ${clip(name, 70)}`);
  for (const name of since.changed) app.terminal.line(`  changed    ${clip(name, 70)}`);
  for (const name of since.removed) app.terminal.line(`  removed    ${clip(name, 70)}`);
}

interface WatchOptions {
  readonly stop?: boolean;
  readonly contributor?: string;
  readonly licence?: string;
  readonly consent?: string;
}

async function watch(
  app: App,
  vault: string | undefined,
  folder: string | undefined,
  options: WatchOptions,
): Promise<void> {
  if (vault === undefined || folder === undefined) {
    const rows = await app.client.call('vault.watches', {}, { signal: app.signal });
    app.terminal.result(rows, () => {
      if (rows.length === 0)
        app.terminal.line('Nothing is watched. Watch a folder:  sahara vault watch VAULT FOLDER');
      const cells = rows.map((row) => [row.vault, row.path, String(row.files), row.fault ?? 'ok']);
      if (cells.length > 0) showTable(app, ['VAULT', 'FOLDER', 'FILES', 'STATE'], cells);
    });
    return;
  }
  const path = resolve(folder);
  if (options.stop === true) {
    const row = await app.client.call('vault.unwatch', { vault, path }, { signal: app.signal });
    app.terminal.result(row, () =>
      app.terminal.line(`${path} is watched no more; its documents stay in ${vault}.`),
    );
    return;
  }
  const { contributor, licence, consent } = options;
  const stop = app.terminal.progress(`Reading ${path}`);
  const row = await app.client
    .call('vault.watch', { vault, path, contributor, licence, consent }, { signal: app.signal })
    .finally(stop);
  app.terminal.result(row, () =>
    app.terminal.line(`${vault} follows ${path}: ${plural(row.files, 'file')} now.`),
  );
}

function purposesOf(text: string): Purpose[] {
  const wanted = text.split(/[,\s]+/).filter((word) => word !== '');
  const unknown = wanted.find((word) => !PURPOSES.some((purpose) => purpose === word));
  if (unknown !== undefined || wanted.length === 0) {
    throw usage(`--purpose takes ${PURPOSES.join(', ')} or several of them with commas, not "${text}"`);
  }
  return PURPOSES.filter((purpose) => wanted.includes(purpose));
}

const UNITS_MS: Readonly<Record<string, number>> = { h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** The moment that `12h`, `30d`, `2w` from now, or a date, is. Throws `usage`. */
export function timeOf(text: string | undefined, flag = '--expires'): number | undefined {
  if (text === undefined) return undefined;
  const [, count, unit] = /^(\d{1,4})([hdw])$/.exec(text) ?? [];
  const unitMs = unit === undefined ? undefined : UNITS_MS[unit];
  if (unitMs !== undefined) return systemClock.nowMs() + Number(count) * unitMs;
  const date = /^\d{4}-\d{2}-\d{2}(?:T[\d:.]+Z?)?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(date))
    throw usage(`${flag} takes 12h, 30d, 2w or a date such as 2027-01-31, not "${text}"`);
  return date;
}

/** A moment to the minute, in UTC. */
export function dateOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 16).replace('T', ' ');
}
