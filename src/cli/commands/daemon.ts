/** `up`: the daemon itself, in the foreground. */
import { existsSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { Option } from 'commander';
import { systemClock } from '../../base/clock.ts';
import { explainError } from '../../base/error-text.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import type { StatusReport } from '../../daemon/admin/types.ts';
import type { Daemon } from '../../daemon/compose.ts';
import { configTemplate, loadConfig } from '../../daemon/config.ts';
import { CONFIG_OPTIONS, type Config, type ConfigOption } from '../../daemon/config-schema.ts';
import { VERSION } from '../../daemon/version.ts';
import type { App, CommandGroup } from '../app.ts';
import { amount } from '../show.ts';
import { plural } from '../terminal.ts';
import { answer } from './ask.ts';

type Flags = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/** The daemon. */
export const daemonCommands: CommandGroup = (program, run) => {
  const up = program
    .command('up')
    .description('run this peer until Ctrl-C')
    .option('--config <file>', 'configuration file')
    .option('--bootstrap <address...>', 'same as --mesh-bootstrap')
    .addHelpText('after', UP_HELP);
  for (const option of CONFIG_OPTIONS) {
    up.addOption(flagOf(option));
    // As is usual; hidden, for `--name false` says the same.
    if (option.type === 'boolean') up.addOption(new Option(option.flag.replace('--', '--no-')).hideHelp());
  }
  up.action(run(runDaemon));
  program
    .command('config')
    .description('print a configuration file with every option and its default')
    .addHelpText('after', '\nExample:\n  $ sahara config > config.yaml\n  $ sahara up --config config.yaml')
    .action(run(async (app) => app.terminal.write(configTemplate())));
  program
    .command('down')
    .description('stop the daemon; running calls finish first')
    .addHelpText('after', '\nExample:\n  $ sahara down')
    .action(
      run(async (app) => {
        await app.client.call('stop', {}, { signal: app.signal });
        app.terminal.result({ stopping: true }, () =>
          app.terminal.line('The daemon finishes its calls and stops.'),
        );
      }),
    );
};

const UP_HELP = `
Every option can also stand in the configuration file (sahara config) or in a variable such as SAHARA_MESH_PORT.

Examples:
  $ sahara up
  $ sahara up --mesh-port 4101
  $ SAHARA_HOME=~/.sahara-two sahara up --bootstrap /ip4/192.0.2.7/tcp/4101/p2p/12D3Koo...`;

function flagOf(option: ConfigOption): Option {
  const about = `${option.about} (default: ${written(option.fallback)})`;
  // Without a value the flag means true.
  if (option.type === 'boolean') return new Option(`${option.flag} [true|false]`, about);
  return new Option(option.type === 'list' ? `${option.flag} <values...>` : `${option.flag} <value>`, about);
}

/** A default as a person reads it. */
function written(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(', ');
  return value === undefined || value === '' ? 'none' : String(value);
}

function configOf(app: App, flags: Flags): Config {
  const named = typeof flags.config === 'string' ? flags.config : undefined;
  const given = new Map<string, string | readonly string[]>();
  for (const option of CONFIG_OPTIONS) {
    const value = flags[new Option(option.flag).attributeName()];
    if (value === true) given.set(option.path, 'true');
    else if (value === false) given.set(option.path, 'false');
    else if (typeof value === 'string' || Array.isArray(value)) given.set(option.path, value);
  }
  if (Array.isArray(flags.bootstrap)) given.set('mesh.bootstrap', flags.bootstrap);
  const required = named !== undefined || app.environment.SAHARA_CONFIG !== undefined;
  return loadConfig({
    file: { path: named ?? app.home.config, required },
    environment: app.environment,
    flags: given,
  });
}

async function runDaemon(app: App, flags: Flags): Promise<void> {
  const { terminal, home, environment } = app;
  const { SAHARA_FAULTS: faults } = environment;
  // For the tests of faults, see `docs/faults.md`.
  if (faults !== undefined) (await import('../../daemon/fault-plan.ts')).orderFaults(faults);
  const config = configOf(app, flags);
  const stopping = stopSignals(config.daemon.drainMs);
  const begin = async (): Promise<Daemon> => {
    const stopSpinning = terminal.progress('Starting');
    try {
      // Other commands start faster without the whole daemon in memory.
      const { startDaemon } = await import('../../daemon/compose.ts');
      return await startDaemon(
        { home, config, environment },
        {
          signal: stopping.signal,
          tell: (text) => terminal.note(text),
          faults: { source: process, end: () => process.exit(1) },
        },
      );
    } finally {
      stopSpinning();
    }
  };
  let daemon = await begin();
  if (!existsSync(home.config) && home.config.startsWith(home.root))
    writeFileSync(home.config, configTemplate(), { mode: 0o600 });
  const report = await daemon.status();
  terminal.result(report, () => greet(app, report, daemon));
  const asking = terminal.interactive ? firstQuestion(app, report, stopping.signal) : Promise.resolve();
  let failure: SaharaError | undefined;
  for (;;) {
    const why = await whyAnew(daemon, stopping.asked);
    if (why instanceof SaharaError) failure = why;
    if (typeof why !== 'string') break;
    terminal.note(`${why}: starting anew.`);
    await daemon.stop();
    daemon = await begin();
  }
  terminal.note('Stopping: no new calls, running ones finish.');
  await daemon.stop();
  await asking;
  terminal.note('Stopped.');
  // A library's timer or socket must not hold a daemon that has let go of everything.
  systemClock.after(EXIT_MS, () => process.exit());
  if (failure !== undefined) throw failure;
}

/** How long a failure has to be told before the process ends, milliseconds. */
const EXIT_MS = 100;

/** Waits until the daemon shall end; answers why it cannot go on, or why it shall begin anew instead. */
function whyAnew(daemon: Daemon, asked: Promise<void>): Promise<string | SaharaError | undefined> {
  return Promise.race([
    Promise.race([asked, daemon.stopped]).then(() => undefined),
    daemon.failed,
    daemon.regained.then(() => 'The disk was full and has space again'),
    daemon.adopted.then(() => 'This home acts for another DID now'),
  ]);
}

interface StopSignals {
  readonly signal: AbortSignal;
  readonly asked: Promise<void>;
}

/** The first signal drains, the second one forces; so does a drain that takes far too long. */
function stopSignals(drainMs: number): StopSignals {
  const controller = new AbortController();
  process.removeAllListeners('SIGINT');
  const asked = new Promise<void>((resolve) => {
    const first = (): void => {
      if (controller.signal.aborted) process.exit(130);
      controller.abort(new SaharaError('cancelled'));
      systemClock.after(drainMs + FORCE_MARGIN_MS, () => process.exit(1));
      resolve();
    };
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, first);
  });
  return { signal: controller.signal, asked };
}

const FORCE_MARGIN_MS = 15_000;

function greet(app: App, report: StatusReport, daemon: Daemon): void {
  const { terminal } = app;
  const { role, network, height } = report.ledger;
  const rows: readonly (readonly [string, string])[] = [
    ['you', report.did],
    [
      'network',
      `${network}, height ${height}; this peer ${role === 'sequencer' ? 'orders its ledger' : 'follows its ledger'}`,
    ],
    ['peers', report.peers.length === 0 ? 'none yet' : plural(report.peers.length, 'peer')],
    ['balance', amount(report.balance)],
    ['agents', report.agents.join(', ') || 'none here'],
    ['home', report.home],
  ];
  terminal.line(`${terminal.paint('bold', 'Sahara')} ${VERSION}`);
  for (const [name, text] of rows) terminal.line(`  ${terminal.paint('dim', name.padEnd(8))} ${text}`);
  showHints(app, daemon.reachableAddress());
}

const FIRST_QUESTION = 'How does a payee get paid if the payer disappears?';

function showHints({ terminal, environment }: App, address: string | undefined): void {
  const { SAHARA_HOME } = environment;
  const name = commandName();
  terminal.line();
  terminal.line('Ask, from another terminal:');
  if (SAHARA_HOME) terminal.line(`  export SAHARA_HOME=${SAHARA_HOME}`);
  terminal.line(`  ${name} ask guide "${FIRST_QUESTION}"`);
  terminal.line('Make an agent of your own documents:');
  terminal.line(`  ${name} vault create notes`);
  terminal.line(`  ${name} vault add notes FOLDER`);
  terminal.line(`  ${name} agent add --name notes --vault notes --price 0.001`);
  if (address !== undefined) {
    terminal.line('Let others join:');
    terminal.line(`  ${name} up --bootstrap ${address}`);
  }
  terminal.line(terminal.paint('dim', 'Ctrl-C stops it.'));
}

/** How this user starts `sahara`: through npx in a checkout. */
function commandName(): string {
  const inCheckout =
    process.env.npm_lifecycle_event !== undefined || /bin[\\/]sahara\.js$/.test(process.argv[1] ?? '');
  return inCheckout ? 'npx sahara' : 'sahara';
}

/** In a terminal, questions can be typed right where the daemon runs. */
async function firstQuestion(app: App, report: StatusReport, signal: AbortSignal): Promise<void> {
  const agent = report.agents[0];
  if (agent === undefined) return;
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  // While a line is edited the terminal hands Ctrl-C to the reader and sends no signal.
  reader.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  app.terminal.line();
  try {
    for (;;) {
      const question = await reader.question(`Ask ${agent}: `, { signal });
      if (question.trim() === '') continue;
      try {
        await answer({ ...app, signal }, { agent, question });
      } catch (error) {
        app.terminal.note(explainError(asSaharaError(error)));
      }
    }
  } catch {
    // The terminal closed, or the daemon stops: there is nobody left to ask.
  } finally {
    reader.close();
  }
}
