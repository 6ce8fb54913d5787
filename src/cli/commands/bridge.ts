/** `bridge`: bots on chat platforms, from nothing to a working one. */
import { every, wakefulClock } from '../../base/clock.ts';
import type { BridgeCheckReport, BridgeRow } from '../../daemon/admin/methods-bridge.ts';
import { loadConfig } from '../../daemon/config.ts';
import { type App, amountOption, type CommandGroup, usage } from '../app.ts';
import { amount, showTable } from '../show.ts';
import { printable, shortDid } from '../terminal.ts';
import { createWizard } from '../wizard.ts';
import { BRIDGE_GUIDES, type BridgeGuide } from './bridge-guides.ts';

/** Bots on chat platforms. */
export const bridgeCommands: CommandGroup = (program, run) => {
  const bridge = program
    .command('bridge')
    .description('bots on Telegram and Discord that ask agents for people');
  bridge
    .command('setup')
    .description(
      'say what to make on the platform, check the token, and start the bot or give it another token',
    )
    .argument('[platform]', 'telegram or discord')
    .addHelpText(
      'after',
      '\nThe token is asked for, or read from standard input; it never stands in a command.\n\nExample:\n  $ sahara bridge setup telegram\n  $ sahara bridge setup discord --no-input < token.txt',
    )
    .action(run(setup));
  bridge
    .command('check')
    .description('what is wrong with a bot, in words')
    .argument('[platform]', 'telegram or discord; without it each that has a token')
    .addHelpText('after', '\nExample:\n  $ sahara bridge check telegram')
    .action(run(check));
  bridge
    .command('list')
    .description('bots of this peer and how they do')
    .addHelpText('after', '\nExample:\n  $ sahara bridge list')
    .action(run(list));
  bridge
    .command('remove')
    .description('stop a bot and forget its token; its books stay')
    .argument('<platform>', 'telegram or discord')
    .addHelpText('after', '\nExample:\n  $ sahara bridge remove discord')
    .action(run(remove));
  bridge
    .command('run')
    .description('run bots alone, until Ctrl-C, with a daemon elsewhere that asks and pays for them')
    .addHelpText('after', RUN_HELP)
    .action(run(runAlone));
  bridge
    .command('link')
    .description('allow a bot to spend what you pay in for you, by the code that it gave you')
    .argument('<code>', 'what the bot answers to /link')
    .option('--per-call <amount>', 'most for one answer, SAHARA', '0.01')
    .option('--per-day <amount>', 'most in a day, SAHARA', '0.1')
    .option('--total <amount>', 'most in all, SAHARA', '1')
    .option('--days <count>', 'until when, at most 366', '30')
    .addHelpText('after', '\nExample:\n  $ sahara bridge link AQ5zYWhh... --total 0.5 --days 7')
    .action(run(link));
};

const RUN_HELP = `
The daemon there has an address in bridges.listen and the same SAHARA_BRIDGE_TOKEN, of at least 24 characters.

Example:
  $ export SAHARA_HOME=~/.sahara-bot SAHARA_BRIDGE_DAEMON=http://127.0.0.1:4180 SAHARA_BRIDGE_TOKEN=... SAHARA_TELEGRAM_TOKEN=...
  $ sahara bridge run`;

async function runAlone({ terminal, home, environment, signal }: App): Promise<void> {
  const { SAHARA_BRIDGE_DAEMON: url, SAHARA_BRIDGE_TOKEN: token } = environment;
  if (!url || !URL.canParse(url))
    throw usage('SAHARA_BRIDGE_DAEMON names no daemon, such as http://127.0.0.1:4180');
  if (!token) throw usage('SAHARA_BRIDGE_TOKEN is not set');
  const config = loadConfig({ file: { path: home.config, required: false }, environment });
  // Other commands start faster without what runs bots in memory.
  const { startLoneBridges } = await import('../../daemon/bridges-alone.ts');
  const bridges = await startLoneBridges({ home, config, environment }, { url, token });
  try {
    const names = bridges.rows().map(({ platform }) => platform);
    if (names.length === 0) throw usage('neither SAHARA_TELEGRAM_TOKEN nor SAHARA_DISCORD_TOKEN is set');
    terminal.note(`Running: ${names.join(', ')}. What happens stands in ${home.log}.`);
    await untilAsked(signal);
  } finally {
    await bridges.stop();
  }
}

/** Resolves at Ctrl-C and when the system asks to end. */
async function untilAsked(signal: AbortSignal): Promise<void> {
  // Something has to keep the process alive: the timers of bots do not.
  const cancel = every(wakefulClock, 60_000, () => undefined);
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
    process.once('SIGTERM', () => resolve());
  });
  cancel();
}

async function setup(app: App, name: string | undefined): Promise<void> {
  const { terminal, client, signal } = app;
  const wizard = terminal.interactive
    ? createWizard({ input: process.stdin, output: process.stderr }, { signal })
    : undefined;
  try {
    const guide =
      name === undefined && wizard
        ? await wizard.choose('Which platform?', Object.values(BRIDGE_GUIDES))
        : guideOf(name);
    for (const line of guide.steps) terminal.note(line);
    const token = wizard
      ? await wizard.ask({ text: 'Token (not shown)', fault: (text) => guide.fault(text), secret: true })
      : await tokenFrom(guide);
    const stop = terminal.progress('Asking the platform');
    const report = await client.call('bridge.set', { platform: guide.name, token }, { signal }).finally(stop);
    terminal.result(report, () => {
      showCheck(app, report);
      terminal.line();
      for (const line of guide.after(report)) terminal.line(line);
    });
  } finally {
    wizard?.close();
  }
}

/** The token on standard input. */
async function tokenFrom(guide: BridgeGuide): Promise<string> {
  let text = '';
  for await (const part of process.stdin) text += String(part);
  const token = text.trim();
  const fault = guide.fault(token);
  if (fault !== undefined) throw usage(`standard input holds no token: ${fault}`);
  return token;
}

async function check(app: App, name: string | undefined): Promise<void> {
  const { terminal, client, signal } = app;
  const platforms =
    name === undefined
      ? (await client.call('bridge.list', {}, { signal })).map(({ platform }) => platform)
      : [guideOf(name).name];
  if (platforms.length === 0) throw usage('no bridge has a token yet: sahara bridge setup');
  const reports: BridgeCheckReport[] = [];
  for (const platform of platforms) reports.push(await client.call('bridge.check', { platform }, { signal }));
  terminal.result(reports, () => {
    for (const report of reports) showCheck(app, report);
  });
  if (reports.some(({ findings }) => findings.some(({ state }) => state === 'fault'))) process.exitCode = 1;
}

async function list(app: App): Promise<void> {
  const rows = await app.client.call('bridge.list', {}, { signal: app.signal });
  app.terminal.result(rows, () => showRows(app, rows));
}

async function remove(app: App, name: string): Promise<void> {
  const { name: platform } = guideOf(name);
  const rows = await app.client.call('bridge.remove', { platform }, { signal: app.signal });
  app.terminal.result(rows, () => {
    app.terminal.line(`The ${platform} bot is stopped and its token forgotten.`);
    showRows(app, rows);
  });
}

interface LinkOptions {
  readonly perCall: string;
  readonly perDay: string;
  readonly total: string;
  readonly days: string;
}

async function link(app: App, code: string, options: LinkOptions): Promise<void> {
  const { terminal, client, signal } = app;
  const days = /^\d{1,3}$/.test(options.days) ? Number(options.days) : 0;
  if (days < 1 || days > 366) throw usage(`--days takes a whole number from 1 to 366, not "${options.days}"`);
  const [callMax = '0', dayMax = '0', max = '0'] = [
    amountOption('--per-call', options.perCall),
    amountOption('--per-day', options.perDay),
    amountOption('--total', options.total),
  ];
  const granted = await client.call('bridge.link', { code, callMax, dayMax, max, days }, { signal });
  terminal.result(granted, () => {
    const until = new Date(granted.expiresAtMs).toISOString().slice(0, 10);
    terminal.line(
      `${printable(granted.user)} may spend up to ${amount(max)} of what you pay in: ${amount(callMax)} an answer, ${amount(dayMax)} a day, until ${until}.`,
    );
    terminal.line(`\n1. Send this to the bot, in a direct chat:\n\n/link ${granted.grant}\n`);
    terminal.line(`2. Pay in what may be spent; /unlink pays the rest back to you at any time:\n`);
    terminal.line(`sahara pay ${granted.bridge} AMOUNT`);
    terminal.line(
      `\nThe bot belongs to ${shortDid(granted.bridge)}, who keeps what you pay in until it is spent or paid back.`,
    );
  });
}

function guideOf(name: string | undefined): BridgeGuide {
  const guide = Object.values(BRIDGE_GUIDES).find((one) => one.name === name);
  if (guide === undefined) throw usage('say telegram or discord');
  return guide;
}

const MARKS = { ok: ['green', '✓'], note: ['yellow', '•'], fault: ['red', '✗'] } as const;

function showCheck({ terminal }: App, { platform, name, findings, invite }: BridgeCheckReport): void {
  terminal.line(`${platform}: ${printable(name)}`);
  for (const { state, found, next } of findings) {
    const [style, mark] = MARKS[state];
    terminal.line(`${terminal.paint(style, mark)} ${printable(found)}`);
    if (next !== undefined) terminal.line(`  → ${next}`);
  }
  terminal.line(`  ${invite}`);
}

function showRows(app: App, rows: readonly BridgeRow[]): void {
  if (rows.length === 0) {
    app.terminal.line('No bridge has a token yet. `sahara bridge setup` begins one.');
    return;
  }
  showTable(
    app,
    ['PLATFORM', 'STATE', 'TOKEN', 'UNDER WAY', 'WHAT IS WRONG'],
    rows.map((row) => [
      row.platform,
      row.state,
      row.tokenFrom === 'kept' ? 'kept here' : 'environment',
      String(row.running),
      row.reason ?? '',
    ]),
  );
}
