/** `channel`: prepaid balances with the operators whose agents you ask, and of those who ask yours. */
import type { ChannelRow, WithdrawalRow } from '../../daemon/admin/types.ts';
import type { ChallengeReport } from '../../daemon/admin/types-dispute.ts';
import { type App, amountOption, type CommandGroup, usage } from '../app.ts';
import { amount, showTable } from '../show.ts';
import { showChallenge } from '../show-challenge.ts';
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
  channel
    .command('withdraw')
    .description('take a part of the deposit back; the channel goes on')
    .argument('<channel>', 'first characters of its id')
    .argument('[amount]', 'in SAHARA')
    .option('--announce', 'without asking the payee: it leaves after the delay of the network')
    .option('--cancel', 'take an announced withdrawal back')
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara channel withdraw 5f2a 0.5\n  $ sahara channel withdraw 5f2a --cancel',
    )
    .action(run(withdraw));
  channel
    .command('challenge')
    .description(
      'hold what was claimed against what was charged, and prove to the ledger what the payee lied about',
    )
    .argument('<channel>', 'first characters of its id; one that ended, too')
    .option('--dry-run', 'show it and send nothing')
    .addHelpText('after', '\nExample:\n  $ sahara channel challenge 5f2a --dry-run')
    .action(run(challenge));
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

interface WithdrawOptions {
  readonly announce?: boolean;
  readonly cancel?: boolean;
}

async function withdraw(
  app: App,
  channel: string,
  text: string | undefined,
  options: WithdrawOptions,
): Promise<void> {
  const { client, signal, terminal } = app;
  const grains = amountOption('<amount>', text);
  if ((options.cancel === true) === (grains !== undefined)) {
    throw usage('Say how much to withdraw, or --cancel.');
  }
  const stop = terminal.progress('Waiting for the payee and the ledger');
  const announce = options.announce === true;
  const row = await (grains === undefined
    ? client.call('channel.withdraw.cancel', { channel }, { signal })
    : client.call('channel.withdraw', { channel, amount: grains, announce }, { signal })
  ).finally(stop);
  terminal.result(row, () => terminal.line(withdrawn(row)));
}

function withdrawn(row: WithdrawalRow): string {
  const id = shortId(row.channel.id);
  const sum = amount(row.amount);
  if (row.way === 'released') return `${sum} left ${id}; ${amount(row.channel.deposit)} are still in it.`;
  if (row.way === 'cancelled') return `${sum} stay in ${id}.`;
  const why = row.payeeAway ? 'The payee did not answer. ' : '';
  const seconds = Math.ceil((row.finalInMs ?? 0) / 1000);
  return `${why}${sum} leave ${id} at height ${row.finalAtHeight}, in about ${seconds} s; what is owed is claimed before.`;
}

async function challenge(app: App, channel: string, options: { readonly dryRun?: boolean }): Promise<void> {
  const { client, signal, terminal } = app;
  const dryRun = options.dryRun === true;
  const stop = terminal.progress(dryRun ? 'Comparing' : 'Comparing, and waiting for the ledger');
  const report: ChallengeReport = await client
    .call('channel.challenge', { channel, dryRun }, { signal })
    .finally(stop);
  terminal.result(report, () => showChallenge(app, report));
}
