/** `watchtower`: a peer that claims for you while you are away, or being one for others. */
import { errorText } from '../../base/error-text.ts';
import { isErrorCode, SaharaError } from '../../base/errors.ts';
import type { WatchtowerReport } from '../../daemon/admin/methods-watchtower.ts';
import type { App, CommandGroup } from '../app.ts';
import { amount, showTable } from '../show.ts';
import { plural, printable, shortDid, shortId } from '../terminal.ts';

/** Peers that claim for those who are away. */
export const watchtowerCommands: CommandGroup = (program, run) => {
  const watchtower = program
    .command('watchtower')
    .description('have a peer claim for you while you are away, or do it for others');
  watchtower
    .command('use')
    .description('leave claims with this peer from now on; it can pay them to nobody else')
    .argument('<peer>', 'address or peer id, as its `sahara status` prints them; none: with nobody')
    .addHelpText('after', '\nExample:\n  $ sahara watchtower use /ip4/203.0.113.7/tcp/4101/p2p/12D3Koo...')
    .action(run(use));
  watchtower
    .command('serve')
    .description('watch channels for others; claims that you make cost you their fee')
    .argument('<on>', 'on or off')
    .addHelpText('after', '\nExample:\n  $ sahara watchtower serve on')
    .action(run(serve));
  watchtower
    .command('status')
    .description('what is watched and since when')
    .addHelpText('after', '\nExample:\n  $ sahara watchtower status')
    .action(run(status));
};

async function use(app: App, peer: string): Promise<void> {
  const stop = app.terminal.progress('Asking the peer');
  const report = await app.client
    .call('watchtower.use', peer === 'none' ? {} : { peer }, { signal: app.signal })
    .finally(stop);
  app.terminal.result(report, () =>
    app.terminal.line(
      report.using === undefined
        ? 'Claims are left with nobody any more.'
        : `${printable(report.using.peer)} claims for you from now on, should you be away.`,
    ),
  );
}

async function serve(app: App, on: string): Promise<void> {
  if (on !== 'on' && on !== 'off') throw new SaharaError('usage', { reason: 'say on or off' });
  const report = await app.client.call('watchtower.serve', { on: on === 'on' }, { signal: app.signal });
  app.terminal.result(report, () =>
    app.terminal.line(
      report.serving === undefined
        ? 'This peer is no watchtower. What it watched is kept for when it is one again.'
        : `This peer is a watchtower: ${plural(report.serving.lanes, 'lane')} watched.`,
    ),
  );
}

async function status(app: App): Promise<void> {
  const report = await app.client.call('watchtower.status', {}, { signal: app.signal });
  app.terminal.result(report, () => show(app, report));
}

function show(app: App, { serving, using }: WatchtowerReport): void {
  const { terminal } = app;
  if (using === undefined) terminal.line('Nobody watches for this peer.');
  else {
    terminal.line(`Watched by ${printable(using.peer)}.`);
    const last = using.lastAtMs === undefined ? 'nothing yet' : `last at ${timeOf(using.lastAtMs)}`;
    terminal.line(`  Claims left with it: ${last}.`);
    if (using.failure !== undefined) {
      const code = isErrorCode(using.failure) ? using.failure : 'internal';
      terminal.line(`  It could not be asked: ${errorText(new SaharaError(code)).what}`);
    }
    for (const { channel, verdict } of using.refused) {
      terminal.line(
        `  Not taken for channel ${shortId(channel)}: ${VERDICTS[verdict] ?? printable(verdict)}.`,
      );
    }
  }
  if (serving === undefined) {
    terminal.line('This peer watches for nobody.');
    return;
  }
  const { lanes, payees, claims, paid, watched } = serving;
  terminal.line(`This peer watches ${plural(lanes, 'lane')} for ${plural(payees, 'payee')}.`);
  terminal.line(`  Since it started: ${plural(claims, 'claim')}, which paid ${amount(paid)}.`);
  if (watched.length === 0) return;
  showTable(
    app,
    ['CHANNEL', 'LANE', 'FOR', 'FROM', 'PROMISED', 'SINCE'],
    watched.map((row) => [
      shortId(row.channel),
      String(row.lane),
      shortDid(row.payee),
      shortDid(row.payer),
      amount(row.promised),
      timeOf(row.sinceMs),
    ]),
  );
}

const VERDICTS: Readonly<Record<string, string>> = {
  'channel-unknown': 'it knows no such channel',
  older: 'it holds a later claim',
  full: 'it has no place left',
  unverified: 'it could not verify the claim',
};

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
