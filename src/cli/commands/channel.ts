/** `channel`: prepaid balances with the operators whose agents you ask, and of those who ask yours. */
import type { ChannelRow } from '../../daemon/admin/types.ts';
import { type App, amountOption, type CommandGroup } from '../app.ts';
import { amount, showTable } from '../show.ts';
import { shortDid, shortId } from '../terminal.ts';

/** Prepaid balances. */
export const channelCommands: CommandGroup = (program, run) => {
  const channel = program.command('channel').description('payment channels: open, claim, close');
  channel
    .command('list')
    .description('channels where this peer pays or is paid')
    .addHelpText('after', '\nExample:\n  $ sahara channel list')
    .action(run(list));
  channel
    .command('open')
    .description('put a deposit aside for an operator; `ask` does it by itself')
    .argument('<payee>', 'DID of an operator, or the name of an agent of theirs')
    .option('--deposit <amount>', 'in SAHARA')
    .addHelpText('after', '\nExample:\n  $ sahara channel open guide --deposit 2')
    .action(run(open));
  channel
    .command('claim')
    .description('have the ledger pay out what callers owe, now')
    .argument('[channel]', 'first characters of its id; all when left out')
    .addHelpText('after', '\nExample:\n  $ sahara channel claim\n  $ sahara channel claim 5f2a')
    .action(run(claim));
  channel
    .command('close')
    .description('end a channel; the rest of the deposit returns to the payer')
    .argument('<channel>', 'first characters of its id')
    .addHelpText('after', '\nExample:\n  $ sahara channel close 5f2a')
    .action(run(close));
};

async function list(app: App): Promise<void> {
  const rows = await app.client.call('channel.list', {}, { signal: app.signal });
  app.terminal.result(rows, () => {
    if (rows.length === 0) app.terminal.line('No channels. The first paid `sahara ask` opens one.');
    else show(app, rows);
  });
}

function show(app: App, rows: readonly ChannelRow[]): void {
  const cells = rows.map((row) => [
    shortId(row.id),
    row.role === 'payer' ? 'you pay' : 'pays you',
    shortDid(row.other),
    row.closeAtHeight === undefined ? row.state : `${row.state} at ${row.closeAtHeight}`,
    amount(row.deposit),
    amount(row.charged),
    amount(row.claimed),
    String(row.calls),
  ]);
  showTable(app, ['CHANNEL', 'ROLE', 'WITH', 'STATE', 'DEPOSIT', 'CHARGED', 'CLAIMED', 'CALLS'], cells);
}

async function open(app: App, payee: string, options: { readonly deposit?: string }): Promise<void> {
  const deposit = amountOption('--deposit', options.deposit);
  const stop = app.terminal.progress('Waiting for the ledger');
  const row = await app.client
    .call('channel.open', { payee, ...(deposit !== undefined && { deposit }) }, { signal: app.signal })
    .finally(stop);
  app.terminal.result(row, () =>
    app.terminal.line(`Opened ${shortId(row.id)} to ${shortDid(row.other)} with ${amount(row.deposit)}.`),
  );
}

async function claim(app: App, channel: string | undefined): Promise<void> {
  const stop = app.terminal.progress('Waiting for the ledger');
  const rows = await app.client
    .call('channel.claim', channel === undefined ? {} : { channel }, { signal: app.signal })
    .finally(stop);
  app.terminal.result(rows, () => {
    if (rows.length === 0) app.terminal.line('Nothing to claim.');
    else show(app, rows);
  });
}

async function close(app: App, channel: string): Promise<void> {
  const stop = app.terminal.progress('Waiting for the ledger');
  const row = await app.client.call('channel.close', { channel }, { signal: app.signal }).finally(stop);
  const text =
    row.state === 'closing'
      ? `${shortId(row.id)} closes at height ${row.closeAtHeight}; until then the payee can claim.`
      : `${shortId(row.id)} is closed; the payee has ${amount(row.claimed)}, the rest went back to the payer.`;
  app.terminal.result(row, () => app.terminal.line(text));
}
