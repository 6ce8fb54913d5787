/** `pay`: money to somebody, outside of channels. */
import { toHex } from '../../base/bytes.ts';
import { asSaharaError } from '../../base/errors.ts';
import { systemDice } from '../../base/random.ts';
import { publicKeyOf } from '../../protocol/ids.ts';
import { type App, amountOption, type CommandGroup, usage } from '../app.ts';
import { amount } from '../show.ts';
import { shortDid } from '../terminal.ts';

interface PayOptions {
  readonly memo?: string;
  readonly reference?: string;
  readonly new?: boolean;
}

/** Payments. */
export const payCommands: CommandGroup = (program, run) => {
  program
    .command('pay')
    .description('pay somebody directly; it is in a block when this returns, and cannot be taken back')
    .argument('<did>', 'who gets it')
    .argument('<amount>', 'in SAHARA')
    .option('--memo <text>', 'a few words that everybody can read on the ledger')
    .option('--reference <hex>', 'of a payment that was cut off: it is not paid a second time')
    .option('--new', 'pay a DID that the ledger has never seen')
    .addHelpText('after', '\nExample:\n  $ sahara pay did:key:z6Mk... 2.5 --memo "for the dataset"')
    .action(run(pay));
};

async function pay(app: App, to: string, text: string, options: PayOptions): Promise<void> {
  const { terminal, client, signal } = app;
  const grains = amountOption('pay', text);
  if (grains === undefined) throw usage('How much is missing');
  if (publicKeyOf(to) === undefined) throw usage(`"${to}" is not a DID such as did:key:z6Mk...`);
  const { memo, reference = toHex(systemDice.bytes(16)) } = options;
  if (!/^[0-9a-f]{32}$/.test(reference)) throw usage('--reference takes 32 hexadecimal digits');
  const { transaction: fee } = await client.call('fees', {}, { signal });
  const costs = fee === '0' ? 'Transactions are free on this network.' : `Fee: ${amount(fee)}.`;
  terminal.note(`Paying ${amount(grains)} to ${shortDid(to)}. ${costs}`);
  const input = {
    ...{ to, amount: grains, reference },
    ...(memo !== undefined && { memo }),
    ...(options.new === true && { unseen: true }),
  };
  const stop = terminal.progress('Waiting for the ledger');
  const paying = client.call('pay', input, { signal }).finally(stop);
  const paid = await paying.catch((error: unknown) => {
    // Refused for good is not cut off.
    const { code } = asSaharaError(error);
    if (code !== 'usage' && code !== 'tx-refused' && code !== 'too-large') {
      terminal.note(
        `To learn what became of it without paying twice, repeat it with --reference ${reference}`,
      );
    }
    throw error;
  });
  terminal.result(paid, () => {
    terminal.line(
      `${paid.before ? 'Was paid before' : 'Paid'} ${amount(paid.amount)} to ${paid.to}${paid.before ? '; nothing was paid now' : ''}.`,
    );
    const at = new Date(paid.timeMs).toISOString();
    terminal.line(`block        ${paid.height}, transaction ${paid.index + 1} of ${paid.count}, ${at}`);
    terminal.line(`transaction  ${paid.transaction}`);
    terminal.line(`reference    ${paid.reference}`);
    terminal.line(`balance      ${amount(paid.balance)}`);
  });
}
