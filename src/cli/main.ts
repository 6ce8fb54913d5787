/** The `sahara` command. */
import { Command, CommanderError } from 'commander';
import { errorText } from '../base/error-text.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { VERSION } from '../daemon/version.ts';
import { type Action, type App, createApp, exitCodeOf, type GlobalOptions, type Runner } from './app.ts';
import { COMMAND_GROUPS } from './commands.ts';

/** Runs one command line and answers its exit code. */
async function main(args: readonly string[]): Promise<number> {
  const outcome = { code: 0 };
  const program = createProgram((code) => {
    outcome.code = code;
  });
  // A reader that leaves early, such as `head`, is no failure.
  process.stdout.on('error', (error) => {
    if ('code' in error && error.code === 'EPIPE') process.exit(0);
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return outcome.code;
  } catch (error) {
    const json = args.includes('--json');
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    // Without a command the help has been printed, which says all.
    if (error instanceof CommanderError && error.code === 'commander.help' && !json) return 2;
    return report(misunderstood(error), { json });
  }
}

function createProgram(done: (code: number) => void): Command {
  const program = new Command('sahara')
    .description('Ask knowledge agents over a peer-to-peer mesh, host your own, and see who earns what.')
    .version(VERSION, '--version')
    .enablePositionalOptions()
    .configureHelp({ sortSubcommands: false, showGlobalOptions: false })
    .addHelpText('after', FIRST_STEPS);
  for (const group of COMMAND_GROUPS) group(program, runnerOf(done));
  for (const command of [program, ...everyCommand(program)]) withCommonOptions(command);
  return program;
}

/** The options that stand before or after a command's name. Failures are rendered like all others, not printed here. */
function withCommonOptions(command: Command): void {
  command
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .option('--home <folder>', 'folder of the daemon to talk to (or SAHARA_HOME)')
    .option('--json', 'results as JSON, one value a line')
    .option('--no-input', 'never ask anything');
}

/** A command line that commander did not understand, as our own failure; anything else as it is. */
function misunderstood(error: unknown): unknown {
  if (!(error instanceof CommanderError)) return error;
  const isHelp = error.code === 'commander.help';
  // Such as `error: unknown option '--jsn'\n(Did you mean --json?)`.
  const said = error.message
    .replace(/^error: /, '')
    .replace(/\s+/g, ' ')
    .replace(/\.$/, '');
  return new SaharaError('usage', { reason: isHelp ? 'The command is missing' : said }, { cause: error });
}

const FIRST_STEPS = `
First steps:
  $ sahara up                                  start this peer
  $ sahara ask guide "What is a voucher?"      ask from a second terminal
  $ sahara receipts                            see what it cost, and prove it

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the daemon is not running.`;

function everyCommand(command: Command): readonly Command[] {
  return command.commands.flatMap((below) => [below, ...everyCommand(below)]);
}

function runnerOf(done: (code: number) => void): Runner {
  return <A extends readonly unknown[]>(action: Action<A>) =>
    async (...args: unknown[]): Promise<void> => {
      const command = args[args.length - 1] as Command;
      const options: GlobalOptions = commonOptions(command);
      const app: App = createApp(options);
      try {
        // Commander hands over what the command declares, then the command itself.
        await action(app, ...(args.slice(0, -1) as unknown as A));
      } catch (error) {
        done(report(error, { json: options.json === true, app }));
      }
    };
}

/** The common options, wherever on the line they stand: the nearest to the command's name counts. */
function commonOptions(command: Command): GlobalOptions {
  const levels: Command[] = [];
  for (let at: Command | null = command; at !== null; at = at.parent) levels.unshift(at);
  const opts = levels.map((level): GlobalOptions => level.opts());
  const home = opts.findLast((each) => each.home !== undefined)?.home;
  return {
    json: opts.some((each) => each.json === true),
    input: opts.every((each) => each.input !== false),
    ...(home !== undefined && { home }),
  };
}

/** Prints a failure: what, why, next; or its code and facts under `--json`. */
function report(error: unknown, context: { readonly json: boolean; readonly app?: App }): number {
  const failure = asSaharaError(error);
  if (context.json) {
    process.stdout.write(`${JSON.stringify({ error: { code: failure.code, facts: failure.facts } })}\n`);
  } else {
    const { what, why, next } = errorText(failure);
    const paint = context.app?.terminal.paintError ?? ((_style, text) => text);
    process.stderr.write(`${paint('red', 'Error')} ${what} ${paint('dim', `(${failure.code})`)}\n`);
    for (const sentence of [why, next]) if (sentence !== '') process.stderr.write(`  ${sentence}\n`);
  }
  if (
    process.env.SAHARA_DAEMON_LOG_LEVEL === 'debug' &&
    error instanceof Error &&
    !(error instanceof SaharaError)
  ) {
    process.stderr.write(`${error.stack ?? ''}\n`);
  }
  return exitCodeOf(failure.code);
}

const code = await main(process.argv.slice(2));
if (code !== 0) process.exitCode = code;
