/** `earnings`, `receipts`, `collect`, `lineage`: who earned what and why, and what was spent. */
import { systemClock } from '../../base/clock.ts';
import type { EarningsReport } from '../../daemon/admin/types.ts';
import { type App, type CommandGroup, countOption } from '../app.ts';
import { amount, showTable } from '../show.ts';
import { showKin } from '../show-assets.ts';
import { ago, clip, plainName, shortDid, shortId } from '../terminal.ts';

/** Who earned what, and what was spent. */
export const moneyCommands: CommandGroup = (program, run) => {
  program
    .command('earnings')
    .description('what your agents, documents and models have earned')
    .addHelpText('after', '\nExample:\n  $ sahara earnings')
    .action(run(earnings));
  program
    .command('collect')
    .description('move what assets have received on to their owners and parents')
    .argument('[asset]', 'its id; for your own also the name or first characters; all of yours when left out')
    .option('--path', 'its ancestors too, in one transaction: whatever something is due from')
    .option('--all', 'all of yours, which is also what no asset means')
    .addHelpText('after', '\nExample:\n  $ sahara collect\n  $ sahara collect handbook --path')
    .action(run(collect));
  program
    .command('lineage')
    .description('what an asset is made of, what was made of it, its licence, and who keeps what it earns')
    .argument('<asset>', 'its id; for your own also the name or first characters')
    .addHelpText('after', '\nExample:\n  $ sahara lineage guide')
    .action(run(lineage));
  program
    .command('receipts')
    .description('calls made from here: what they cost and whether they are settled')
    .option('-n, --limit <count>', 'how many', '20')
    .addHelpText('after', '\nExample:\n  $ sahara receipts\n  $ sahara verify RECEIPT')
    .action(run(receipts));
};

async function earnings(app: App): Promise<void> {
  const report = await app.client.call('earnings', {}, { signal: app.signal });
  app.terminal.result(report, () => showEarnings(app, report));
}

function showEarnings(app: App, report: EarningsReport): void {
  app.terminal.line(`balance    ${amount(report.balance)}`);
  app.terminal.line(
    `unclaimed  ${amount(report.unclaimed)}  (callers owe it; the ledger pays it out at the next claim)`,
  );
  if (report.lost !== '0') {
    app.terminal.line(`lost       ${amount(report.lost)}  (its channels ended before they were claimed)`);
  }
  if (report.assets.length === 0) return;
  app.terminal.line();
  const cells = report.assets.map((row) => [
    shortId(row.asset),
    row.kind,
    plainName(row.name, 40),
    row.mine ? 'you' : shortDid(row.owner),
    amount(row.received),
    amount(row.collected),
  ]);
  showTable(app, ['ASSET', 'KIND', 'NAME', 'OWNER', 'RECEIVED', 'COLLECTED'], cells);
}

async function lineage(app: App, asset: string): Promise<void> {
  const report = await app.client.call('lineage', { asset }, { signal: app.signal });
  app.terminal.result(report, () => {
    const { terminal } = app;
    terminal.line(`${plainName(report.name, 60)}  (${report.kind} ${shortId(report.asset)})`);
    terminal.line(`received   ${amount(report.received)}`);
    terminal.line(`licence    ${plainName(report.licence, 60) || 'none stated'}`);
    for (const words of report.terms ?? []) terminal.line(`           ${words}`);
    for (const { owner, ppm } of report.owners)
      terminal.line(`owner      ${shortDid(owner)}  ${ppm / 10_000} %`);
    for (const [i, version] of report.versions.entries()) {
      if (report.versions.length > 1) terminal.line(`version ${i + 1}  ${shortId(version.asset)}`);
    }
    showKin(app, 'made of', report.madeOf);
    showKin(app, 'made into', report.madeInto);
    if (report.royalties.length > 1) showKin(app, 'who keeps what it receives', report.royalties);
  });
}

async function collect(
  app: App,
  asset: string | undefined,
  options: { readonly path?: boolean },
): Promise<void> {
  const stop = app.terminal.progress('Waiting for the ledger');
  const input = { ...(asset !== undefined && { asset }), ...(options.path === true && { path: true }) };
  const rows = await app.client.call('collect', input, { signal: app.signal }).finally(stop);
  app.terminal.result(rows, () => {
    if (rows.length === 0) app.terminal.line('Nothing to collect.');
    for (const row of rows) {
      app.terminal.line(`${shortId(row.asset)}  ${plainName(row.name, 40)}  moved ${amount(row.moved)}`);
      for (const share of row.to) {
        const who =
          share.as === 'parent' ? plainName(share.name, 40) || shortId(share.who) : shortDid(share.who);
        app.terminal.line(`    ${share.as.padEnd(6)}  ${who}  ${amount(share.amount)}`);
      }
    }
  });
}

async function receipts(app: App, options: { readonly limit: string }): Promise<void> {
  const limit = countOption('--limit', options.limit);
  const rows = await app.client.call('receipts', { limit }, { signal: app.signal });
  app.terminal.result(rows, () => {
    if (rows.length === 0) {
      app.terminal.line('No receipts. Ask something:  sahara ask guide "What is a voucher?"');
      return;
    }
    const cells = rows.map((row) => [
      shortId(row.callId),
      ago(row.atMs, systemClock.nowMs()),
      clip(row.agentName, 20),
      row.amount === '0' ? 'free' : amount(row.amount),
      row.amount === '0' ? '-' : row.settled ? 'settled' : 'owed',
      clip(row.question, 60),
    ]);
    showTable(app, ['RECEIPT', 'WHEN', 'AGENT', 'PAID', 'LEDGER', 'QUESTION'], cells);
  });
}
