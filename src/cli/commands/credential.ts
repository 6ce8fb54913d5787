/** `credential`: what somebody contributed and earned, as a W3C credential that is read and checked anywhere. */
import { readFile, writeFile } from 'node:fs/promises';
import { systemClock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import { checkCredential } from '../../daemon/credentials.ts';
import { type App, type CommandGroup, countOption } from '../app.ts';
import { amount } from '../show.ts';
import { plainName, plural, printable, shortId } from '../terminal.ts';

/** Credentials for contributions. */
export const credentialCommands: CommandGroup = (program, run) => {
  const credential = program
    .command('credential')
    .description('what somebody contributed and earned, for others to read and check');
  credential
    .command('issue')
    .description('state what a DID’s share of an asset is and what it earned, with proof from the ledger')
    .argument('<asset>', 'its whole id')
    .option('--for <did>', 'whose share; your own when left out')
    .option('--days <count>', 'for how long it counts', '365')
    .option('-o, --out <file>', 'where to; otherwise it is printed')
    .addHelpText('after', '\nExample:\n  $ sahara credential issue ASSET --out credential.json')
    .action(run(issue));
  credential
    .command('verify')
    .description('check a credential: no daemon, no network')
    .argument('<file>')
    .option('--network <name>', 'full name of the network that it must be of')
    .addHelpText('after', '\nExample:\n  $ sahara credential verify credential.json')
    .action(run(verify));
};

interface IssueOptions {
  readonly for?: string;
  readonly days: string;
  readonly out?: string;
}

async function issue(app: App, asset: string, options: IssueOptions): Promise<void> {
  const { for: subject, out } = options;
  const days = countOption('--days', options.days);
  const input = { asset, days, ...(subject !== undefined && { subject }) };
  const reply = await app.client.call('credential.issue', input, { signal: app.signal });
  if (out !== undefined) await writeFile(out, `${reply.credential}\n`);
  app.terminal.result(
    out === undefined ? JSON.parse(reply.credential) : { file: out, serial: reply.serial },
    () => {
      app.terminal.line(out === undefined ? reply.credential : `Saved to ${out}.`);
      app.terminal.note(`Take it back with:  sahara identity revoke ${reply.serial}`);
    },
  );
}

async function verify(app: App, file: string, options: { readonly network?: string }): Promise<void> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new SaharaError('file-missing', { path: file }, { cause: error });
  });
  const verdict = checkCredential(text, { nowMs: systemClock.nowMs(), network: options.network });
  app.terminal.result(verdict, () => {
    const { terminal } = app;
    terminal.line(`${terminal.paint('green', 'Proved')}: ${verdict.subject}`);
    terminal.line(
      `owns ${verdict.sharePpm / 10_000} % of ${plainName(verdict.name, 60)} (${printable(verdict.kind)} ${shortId(verdict.asset)}) and had earned ${amount(verdict.earnedGrains)} by block ${verdict.height} of ${verdict.network}.`,
    );
    terminal.line(`The issuer counted ${plural(verdict.receipts, 'receipt')}: ${verdict.issuer}`);
    terminal.line(
      `It counts until ${verdict.validUntil} unless the issuer took it back (serial ${verdict.serial}), which only the ledger tells.`,
    );
  });
}
