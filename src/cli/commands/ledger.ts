/** `ledger`: accounts, transactions, and whether it all adds up. */
import { systemClock } from '../../base/clock.ts';
import { asSaharaError } from '../../base/errors.ts';
import type { LedgerReport } from '../../daemon/admin/types.ts';
import type { Home } from '../../daemon/home.ts';
import {
  exportLedger,
  importLedger,
  type LedgerFileReport,
  pruneLedger,
  restoreLedger,
  snapshotLedger,
} from '../../daemon/ledger-files.ts';
import { type Action, type App, type CommandGroup, countOption } from '../app.ts';
import { amount, showTable } from '../show.ts';
import { ago } from '../terminal.ts';
import { explorerCommands, showTransactions } from './explorer.ts';

const SEQUENCER_WARNING =
  "With the key of the network's sequencer, take only what holds its last block:\notherwise it would sign other blocks of the same heights, and every peer would halt.";

/** Accounts, transactions, and whether it all adds up. */
export const ledgerCommands: CommandGroup = (program, run) => {
  const ledger = program.command('ledger').description('accounts, transactions, supply');
  ledger
    .command('status')
    .description('height, roots, supply, who orders transactions')
    .addHelpText('after', '\nExample:\n  $ sahara ledger status')
    .action(run(status));
  ledger
    .command('accounts')
    .description('balances; yours when none is named')
    .argument('[did]')
    .addHelpText('after', '\nExample:\n  $ sahara ledger accounts')
    .action(run(accounts));
  ledger
    .command('transactions')
    .description('the latest transactions')
    .option('-n, --limit <count>', 'how many', '20')
    .addHelpText('after', '\nExample:\n  $ sahara ledger transactions -n 5')
    .action(run(transactions));
  ledger
    .command('verify')
    .description('re-check every block, signature, root and the supply')
    .addHelpText('after', '\nExample:\n  $ sahara ledger verify')
    .action(run(verify));
  ledger
    .command('export')
    .description('write the genesis and every block to a file, while the daemon is stopped')
    .argument('<file>', 'a new file')
    .addHelpText('after', '\nExample:\n  $ sahara down && sahara ledger export ledger.sahara')
    .action(run(fileCommand(exportLedger, (path, at) => `Wrote everything up to ${at} to ${path}.`)));
  ledger
    .command('import')
    .description('execute the blocks of an exported ledger, before the first start of a home')
    .argument('<file>')
    .addHelpText(
      'after',
      `\nExample:\n  $ SAHARA_HOME=~/.sahara-two sahara ledger import ledger.sahara\n\n${SEQUENCER_WARNING}`,
    )
    .action(run(fileCommand(importLedger, (_, at) => `Executed everything up to ${at}.`)));
  ledger
    .command('prune')
    .description('drop the bodies of old blocks; a daemon that runs does it between the blocks that come')
    .requiredOption('--keep <count>', 'how many of the latest blocks stay')
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara ledger prune --keep 10000\n\nBlocks about channels that still exist stay as well. What went cannot be exported,\nhanded to other peers or proven from here any more; balances and channels can.',
    )
    .action(run(prune));
  ledger
    .command('snapshot')
    .description('write the present state to a folder, while the daemon is stopped')
    .argument('<folder>', 'a new folder')
    .addHelpText('after', '\nExample:\n  $ sahara down && sahara ledger snapshot state')
    .action(run(fileCommand(snapshotLedger, (path, at) => `Wrote the state after ${at} to ${path}.`)));
  ledger
    .command('restore')
    .description('begin from a snapshot, before the first start of a home')
    .argument('<folder>')
    .addHelpText(
      'after',
      `\nExample:\n  $ SAHARA_HOME=~/.sahara-two sahara ledger restore state\n\n${SEQUENCER_WARNING}`,
    )
    .action(run(fileCommand(restoreLedger, (path, at) => `Restored the state after ${at} from ${path}.`)));
  explorerCommands(ledger, run);
};

/** A command that works on the stopped home and a path. */
function fileCommand(
  work: (home: Home, path: string, options: { readonly signal: AbortSignal }) => Promise<LedgerFileReport>,
  sentence: (path: string, at: string) => string,
): Action<[path: string]> {
  return async (app, path) => {
    const report = await work(app.home, path, { signal: app.signal });
    app.terminal.result(report, () =>
      app.terminal.line(sentence(path, `block ${report.height} of ${report.network}`)),
    );
  };
}

async function prune(app: App, options: { readonly keep: string }): Promise<void> {
  const keep = countOption('--keep', options.keep);
  const { signal } = app;
  const report = await app.client.call('ledger.prune', { keep }, { signal }).catch((error: unknown) => {
    if (asSaharaError(error).code !== 'daemon-not-running') throw error;
    return pruneLedger(app.home, keep, { signal });
  });
  app.terminal.result(report, () =>
    app.terminal.line(
      `Dropped ${report.removed} blocks of ${report.network}. Blocks from ${report.base + 1} to ${report.height} are here.`,
    ),
  );
}

async function status(app: App): Promise<void> {
  const report = await app.client.call('ledger.status', {}, { signal: app.signal });
  app.terminal.result(report, () => show(app, report));
}

function show({ terminal }: App, report: LedgerReport): void {
  const rows: readonly (readonly [string, string])[] = [
    ['network', report.network],
    ['role', `this peer is its ${report.role}`],
    report.validators === undefined
      ? ['sequencer', report.sequencer]
      : ['validators', `${report.validators} (sahara network status names them)`],
    ['height', String(report.height)],
    ['head', report.headHash],
    ['state', report.stateRoot],
    ['last block', report.blockTimeMs === 0 ? 'none yet' : ago(report.blockTimeMs, systemClock.nowMs())],
    ['supply', amount(report.supply)],
    ['faucet', report.faucet ? 'yes: free test money on this network' : 'no'],
  ];
  for (const [name, text] of rows) terminal.line(`${terminal.paint('dim', name.padEnd(10))} ${text}`);
}

async function accounts(app: App, did: string | undefined): Promise<void> {
  const rows = await app.client.call('ledger.accounts', did === undefined ? {} : { did }, {
    signal: app.signal,
  });
  app.terminal.result(rows, () => {
    const cells = rows.map((row) => [row.did, amount(row.balance), String(row.nonce)]);
    showTable(app, ['ACCOUNT', 'BALANCE', 'TRANSACTIONS'], cells);
  });
}

async function transactions(app: App, options: { readonly limit: string }): Promise<void> {
  const limit = countOption('--limit', options.limit);
  const rows = await app.client.call('ledger.transactions', { limit }, { signal: app.signal });
  app.terminal.result(rows, () => {
    if (rows.length === 0) {
      app.terminal.line('No transactions yet.');
      return;
    }
    showTransactions(app, rows);
  });
}

async function verify(app: App): Promise<void> {
  const stop = app.terminal.progress('Re-executing every block');
  const verdict = await app.client.call('ledger.verify', {}, { signal: app.signal }).finally(stop);
  app.terminal.result(verdict, () => {
    if (verdict.sound) {
      app.terminal.line(
        `${app.terminal.paint('green', 'Sound')}: ${verdict.height} blocks, ${verdict.transactions} transactions, supply ${amount(verdict.supply)}.`,
      );
    } else
      app.terminal.line(`${app.terminal.paint('red', 'Not sound')}: ${verdict.fault ?? 'unknown fault'}`);
    for (const gap of verdict.unchecked) app.terminal.line(`Not checked: ${gap}.`);
  });
  if (!verdict.sound) process.exitCode = 1;
}
