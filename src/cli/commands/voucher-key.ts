/** `channel voucher-key`: a key that signs the vouchers of one channel and nothing else. */
import type { VoucherKeyRow } from '../../daemon/admin/methods-voucher-key.ts';
import { type App, type CommandGroup, usage } from '../app.ts';
import { amount } from '../show.ts';
import { shortDid, shortId } from '../terminal.ts';

const CHANGES = ['set', 'rotate', 'revoke'] as const;

/** Voucher keys. It hangs under `channel`, whose commands come before. */
export const voucherKeyCommands: CommandGroup = (program, run) => {
  const channel = program.commands.find((command) => command.name() === 'channel');
  channel
    ?.command('voucher-key')
    .description('a key for the vouchers of one channel, bound to its deposit')
    .argument('<channel>', 'first characters of its id')
    .argument('[action]', 'show, set, rotate or revoke', 'show')
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara channel voucher-key 5f2a set\n  $ sahara channel voucher-key 5f2a rotate',
    )
    .action(run(voucherKey));
};

async function voucherKey(app: App, channel: string, action: string): Promise<void> {
  const { client, signal, terminal } = app;
  const change = CHANGES.find((one) => one === action);
  if (change === undefined && action !== 'show') {
    throw usage(`"${action}" is none of show, set, rotate and revoke`);
  }
  const stop = terminal.progress('Waiting for the ledger');
  const row = await client
    .call('channel.voucherKey', { channel, ...(change && { change }) }, { signal })
    .finally(stop);
  terminal.result(row, () => {
    for (const line of told(row)) terminal.line(line);
  });
}

function told({ channel, key, signs, pending, former, bound }: VoucherKeyRow): readonly string[] {
  const id = shortId(channel);
  const lines = [
    key === undefined
      ? `${id} has no voucher key: your account's key signs its vouchers.`
      : `${id} has the voucher key ${shortDid(key)}; it can promise the payee ${amount(bound)} at most.`,
  ];
  if (key !== undefined && !signs) {
    lines.push("That key does not sign here: your account's key signs, which counts as well.");
  }
  if (pending !== undefined) lines.push(`${shortDid(pending)} waits for the ledger; ask for the same again.`);
  for (const one of former) {
    lines.push(`What ${shortDid(one.key)} signed before can be claimed up to height ${one.until}.`);
  }
  return lines;
}
