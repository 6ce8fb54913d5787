/** `ledger block`, `transaction`, `account`, `channel`, `find`, `assets`, `search`, `evidence`: what stands in the ledger. */
import { writeFile } from 'node:fs/promises';
import { systemClock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import type { TransactionRow } from '../../daemon/admin/types.ts';
import { type App, type CommandGroup, countOption, usage } from '../app.ts';
import { amount, showTable } from '../show.ts';
import { ago, plainName, shortDid, shortId } from '../terminal.ts';

interface FindOptions {
  readonly sender?: string;
  readonly kind?: string;
  readonly asset?: string;
  readonly channel?: string;
  readonly before?: string;
  readonly limit: string;
}

/** What stands in the ledger; they go below `ledger`. */
export const explorerCommands: CommandGroup = (ledger, run) => {
  ledger
    .command('block')
    .description('one block and its transactions')
    .argument('<height>')
    .addHelpText('after', '\nExample:\n  $ sahara ledger block 12')
    .action(run(showBlock));
  ledger
    .command('transaction')
    .description('one transaction, and what it gave')
    .argument('<id>', 'its id, or the first characters of it')
    .addHelpText('after', '\nExample:\n  $ sahara ledger transaction 3f2a91')
    .action(run(showTransaction));
  ledger
    .command('account')
    .description('a DID: its money, keys, channels, assets and stakes')
    .argument('<did>')
    .addHelpText('after', '\nExample:\n  $ sahara ledger account did:key:z6Mk...')
    .action(run(showAccount));
  ledger
    .command('channel')
    .description('a channel, its lanes and what they paid')
    .argument('<id>', 'its whole id')
    .addHelpText('after', '\nExample:\n  $ sahara ledger channel 3f2a...')
    .action(run(showChannel));
  ledger
    .command('evidence')
    .description('write two headers of one height that the sequencer signed, where this peer came upon them')
    .argument('<file>', 'where to')
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara ledger evidence two-headers.evidence\n\nA peer that is not halted brings it to the ledger: `sahara stake report-double-signing`.\nWhere validators decide, the file holds both headers with the votes for them, for people to look into.',
    )
    .action(run(writeEvidence));
  ledger
    .command('find')
    .description('transactions of somebody, of a kind, or about an asset or a channel, the latest first')
    .option('--sender <did>')
    .option('--kind <kind>', 'such as claim, collect, challenge')
    .option('--asset <id>', 'its whole id')
    .option('--channel <id>', 'its whole id')
    .option('--before <place>', 'where the page before ended')
    .option('-n, --limit <count>', 'how many', '20')
    .addHelpText('after', '\nExample:\n  $ sahara ledger find --kind challenge')
    .action(run(find));
  ledger
    .command('assets')
    .description('what was registered, the latest first')
    .option('--before <place>', 'where the page before ended')
    .option('-n, --limit <count>', 'how many', '20')
    .addHelpText('after', '\nExample:\n  $ sahara ledger assets -n 50')
    .action(run((app, options: FindOptions) => find(app, { ...options, kind: 'register-asset' })));
  ledger
    .command('search')
    .description('whatever a text may mean: a height, a DID, an id, part of the name of an asset')
    .argument('<text>')
    .addHelpText('after', '\nExample:\n  $ sahara ledger search handbook')
    .action(run(search));
};

/** Of a batch of claims of which some took effect (LEDGER-112). */
const IN_PART = 143;

function resultWord(code: number): string {
  if (code === 0) return 'done';
  return code === IN_PART ? 'done in part' : `refused ${code}`;
}

/** Transactions as a table. */
export function showTransactions(app: App, rows: readonly TransactionRow[]): void {
  const cells = rows.map((row) => [
    String(row.height),
    shortId(row.id),
    row.type,
    shortDid(row.sender),
    resultWord(row.code),
    plainName(row.summary, 70),
  ]);
  showTable(app, ['HEIGHT', 'TRANSACTION', 'KIND', 'SENDER', 'RESULT', 'WHAT'], cells);
}

function showFacts({ terminal }: App, facts: readonly (readonly [name: string, text: string])[]): void {
  for (const [name, text] of facts) terminal.line(`${terminal.paint('dim', name.padEnd(12))} ${text}`);
}

async function showBlock(app: App, height: string): Promise<void> {
  const at = /^\d{1,15}$/.test(height) ? Number(height) : 0;
  if (at < 1) throw usage(`A block has a whole number from 1, not "${height}"`);
  const report = await app.client.call('ledger.block', { height: at }, { signal: app.signal });
  app.terminal.result(report, () => {
    showFacts(app, [
      ['height', String(report.height)],
      ['made', ago(report.timeMs, systemClock.nowMs())],
      ['by', report.proposer],
      ['state', report.stateRoot],
      ['before it', report.previous],
      ['transactions', String(report.count)],
    ]);
    if (report.rows.length === 0) return;
    app.terminal.line();
    showTransactions(app, report.rows);
  });
}

async function writeEvidence(app: App, file: string): Promise<void> {
  const { evidence } = await app.client.call('ledger.evidence', {}, { signal: app.signal });
  if (evidence === undefined)
    throw new SaharaError('usage', {
      reason: 'This peer knows of no two headers of one height',
      next: 'A light peer keeps them as soon as it comes upon them, and `sahara status` says so',
    });
  await writeFile(file, Buffer.from(evidence, 'base64'));
  app.terminal.result({ file }, () => app.terminal.line(`Wrote two headers of one height to ${file}.`));
}

async function showTransaction(app: App, id: string): Promise<void> {
  const report = await app.client.call(
    'ledger.transaction',
    { id: id.toLowerCase() },
    { signal: app.signal },
  );
  app.terminal.result(report, () =>
    showFacts(app, [
      ['transaction', report.id],
      ['block', `${report.height}, number ${report.index}, ${ago(report.timeMs, systemClock.nowMs())}`],
      ['sender', `${report.sender}, its number ${report.nonce}`],
      ['kind', report.type],
      ['what', plainName(report.summary, 160)],
      ['result', resultWord(report.code)],
      ['moved', amount(report.moved)],
    ]),
  );
}

async function showAccount(app: App, did: string): Promise<void> {
  const report = await app.client.call('ledger.account', { did }, { signal: app.signal });
  app.terminal.result(report, () => {
    showFacts(app, [
      ['account', report.did],
      ['balance', amount(report.balance)],
      ['sent', `${report.nonce} transactions`],
      ['key', report.key],
      ...report.retired.map(({ key, retiredAt }): [string, string] => [
        'former key',
        `${key}, until block ${retiredAt}`,
      ]),
      ...report.guardians.map((guardian): [string, string] => ['guardian', guardian]),
      ...report.stakes.map(({ role, own, delegated }): [string, string] => [
        'stake',
        `${role}: ${amount(own)} of its own, ${amount(delegated)} of others`,
      ]),
      ...report.channels.map((id): [string, string] => ['channel', id]),
      ...report.assets.map(({ asset, kind, name }): [string, string] => [
        'asset',
        `${asset} ${kind} ${plainName(name, 60)}`,
      ]),
    ]);
  });
}

async function showChannel(app: App, id: string): Promise<void> {
  const report = await app.client.call('ledger.channel', { id: id.toLowerCase() }, { signal: app.signal });
  const { withdrawal, until } = report;
  app.terminal.result(report, () =>
    showFacts(app, [
      ['channel', report.id],
      ['from', report.payer],
      ['to', report.payee],
      ['state', until === undefined ? report.state : `${report.state}, block ${until}`],
      ['paid', `${amount(report.claimed)} of ${amount(report.deposit)}`],
      ...(withdrawal
        ? [['withdrawal', `${amount(withdrawal.amount)} at block ${withdrawal.at}`] as const]
        : []),
      ...report.lanes.map(({ lane, paid, frozenAt }): [string, string] => [
        `lane ${lane}`,
        `${amount(paid)}${frozenAt === undefined ? '' : `, frozen at ${amount(frozenAt)}`}`,
      ]),
    ]),
  );
}

async function find(app: App, options: FindOptions): Promise<void> {
  const { sender, kind, asset, channel, before, limit } = options;
  const report = await app.client.call(
    'ledger.explore',
    { sender, kind, asset, channel, before, limit: countOption('--limit', limit) },
    { signal: app.signal },
  );
  app.terminal.result(report, () => {
    if (report.rows.length === 0) app.terminal.line('Nothing found.');
    else showTransactions(app, report.rows);
  });
  if (report.next !== undefined) app.terminal.note(`There may be more:  --before ${report.next}`);
}

async function search(app: App, text: string): Promise<void> {
  const hits = await app.client.call('ledger.search', { text }, { signal: app.signal });
  app.terminal.result(hits, () => {
    if (hits.length === 0) app.terminal.line('Nothing found.');
    else
      showTable(
        app,
        ['KIND', 'ID', 'WHAT'],
        hits.map(({ kind, id, words }) => [kind, id, plainName(words, 80)]),
      );
  });
}
