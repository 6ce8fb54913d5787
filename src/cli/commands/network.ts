/** `network`: networks of several validators that do not trust each other. */
import { systemClock } from '../../base/clock.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import type { RulesReport } from '../../daemon/admin/methods-network.ts';
import { joinLightly } from '../../daemon/comet/light-home.ts';
import { initNetwork, joinNetwork } from '../../daemon/comet/making.ts';
import { readOwnNode } from '../../daemon/comet/network-file.ts';
import { findComet } from '../../daemon/comet/process.ts';
import { blockNameAt, networkStatus } from '../../daemon/comet/status.ts';
import { passphraseOf } from '../../daemon/keys.ts';
import { type App, type CommandGroup, countOption, exitCodeOf, usage } from '../app.ts';
import { blockIn, heightIn } from '../named-block.ts';
import { showTable } from '../show.ts';
import { plural, shortDid } from '../terminal.ts';

interface Place {
  readonly host: string;
  readonly port: string;
}

/** Networks of several validators. */
export const networkCommands: CommandGroup = (program, run) => {
  const network = program
    .command('network')
    .description('a ledger of several validators that do not trust each other, under CometBFT');
  network
    .command('init')
    .description('make the homes of the validators with which a network begins')
    .requiredOption('--validators <count>', 'how many')
    .option('--name <name>', 'what people call the network', 'local')
    .option('--into <folder>', 'a new folder for the homes and the network’s file', 'network')
    .option('--host <address>', 'address at which the nodes reach each other', '127.0.0.1')
    .option('--port <port>', 'first of their ports; each node takes two', '26656')
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara network init --validators 4\n  $ SAHARA_HOME=network/validator-1 sahara up',
    )
    .action(run(init));
  network
    .command('join')
    .description(
      'make this home a node of a network, or, with --light, a home that believes its validators without one',
    )
    .argument('<file>', 'the network’s file, as `network init` wrote it')
    .option('--host <address>', 'address at which other nodes reach this one', '127.0.0.1')
    .option('--port <port>', 'first of its two ports', '26656')
    .option(
      '--snapshot <addresses...>',
      'begin with a snapshot instead of executing every block: RPC addresses of two nodes or more, which have to say the same',
    )
    .option('--light', 'no node and no CometBFT: the home calls agents and believes what is proved to it')
    .option(
      '--trust <height:hash>',
      'with --light: a block of consensus, of this week, from somebody you trust; needed once a network is older than a week',
    )
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara network join network/network.json --light\n  $ sahara up --bootstrap ADDRESS\n\n  $ SAHARA_HOME=~/.sahara-five sahara network join network/network.json --port 26670\n  $ sahara network join network.json --snapshot http://192.0.2.7:26657 http://192.0.2.8:26657\n\nThe node executes every block. It votes once its operator has a bond as a validator:\nsahara stake bond 10 --role validator',
    )
    .action(run(join));
  network
    .command('status')
    .description('how the node of this home stands, and who votes')
    .option('--block <height>', 'only the name of one block of consensus, for who verifies by way of it')
    .addHelpText('after', '\nExample:\n  $ sahara network status\n  $ sahara network status --block 120000')
    .action(run(status));
  network
    .command('upgrade')
    .description('vote for the next version of the network’s rules, from a block on')
    .option('--at <height>', 'first block of the ledger by the new rules')
    .option('--version <number>', 'which version (default: the next one)')
    .option('--cancel', 'vote for calling off what was decided')
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara network upgrade --at 120000\n\nMore than two thirds of all votes decide; where one peer orders transactions, it alone. Whose program does not know\nthe rules by then ends before that block and says so; with a newer program it goes on there.',
    )
    .action(run(upgrade));
};

async function init(
  app: App,
  options: Place & { readonly validators: string; readonly name: string; readonly into: string },
): Promise<void> {
  await findComet(app.environment);
  const made = await initNetwork({
    folder: options.into,
    name: options.name,
    validators: countOption('--validators', options.validators),
    host: options.host,
    port: portOption(options.port),
    createdAtMs: systemClock.nowMs(),
    passphrase: passphraseOf(app.environment),
  });
  app.terminal.result(made, () => {
    app.terminal.line(`Made ${made.network}. Start its validators:`);
    for (const home of made.homes) app.terminal.line(`  SAHARA_HOME=${home} sahara up`);
    app.terminal.line(`Who joins needs ${made.file}: sahara network join ${made.file}`);
  });
}

async function join(
  app: App,
  file: string,
  options: Place & { readonly light?: true; readonly trust?: string; readonly snapshot?: readonly string[] },
): Promise<void> {
  if (options.light === true && options.snapshot !== undefined)
    throw usage('--snapshot is for nodes: with --light there is none');
  if (options.light === true) return joinLight(app, file, options.trust);
  if (options.trust !== undefined)
    throw usage('--trust goes with --light: a node executes every block itself');
  await findComet(app.environment);
  const { host, snapshot = [] } = options;
  if (!snapshot.every(isHttp)) throw usage('--snapshot takes addresses such as http://192.0.2.7:26657');
  const nowMs = systemClock.nowMs();
  const plan = { host, port: portOption(options.port), snapshot, nowMs, signal: app.signal };
  const joined = await joinNetwork(app.home, file, plan);
  app.terminal.result(joined, () => {
    app.terminal.line(`${joined.home} is a node of ${joined.network} from its next start on: sahara up`);
    if (joined.trusted === undefined) return;
    app.terminal.line(
      `It begins with a snapshot, and trusts block ${joined.trusted} of consensus, of which all of these nodes say the same.`,
    );
  });
}

async function joinLight(app: App, file: string, trust: string | undefined): Promise<void> {
  const named = trust === undefined ? undefined : blockIn('--trust', trust);
  const joined = await joinLightly(app.home, file, named);
  app.terminal.result(joined, () =>
    app.terminal.line(
      `${joined.home} believes the validators of ${joined.network} from its next start on, and runs no node. Start it with the address of a node’s daemon, which that one’s status tells:  sahara up --bootstrap ADDRESS`,
    ),
  );
}

/** What a home without a node believes; `false` where it has one, or is of no such network. */
async function lightStatus(app: App): Promise<boolean> {
  if ((await readOwnNode(app.home)) !== undefined) return false;
  const report = await app.client
    .call('ledger.status', {}, { signal: app.signal })
    .catch((error: unknown) => {
      if (asSaharaError(error).code === 'daemon-not-running') return undefined;
      throw error;
    });
  const { light } = report ?? {};
  if (report === undefined || (light?.consensus ?? light?.warning) === undefined) return false;
  const { consensus, warning, conflict } = light ?? {};
  const found = { network: report.network, light: true, height: report.height, consensus, warning, conflict };
  app.terminal.result(found, () => {
    if (warning !== undefined) app.terminal.line(`${report.network}, light. ${warning}`);
    if (conflict !== undefined) app.terminal.line(`${conflict}.`);
    if (consensus === undefined) return;
    const { height, hash, validators, untilMs } = consensus;
    app.terminal.line(
      `${report.network}, light: ledger at ${report.height}, by block ${height} of consensus of ${plural(validators, 'validator')}`,
    );
    app.terminal.line(
      `Others are believed by it until ${new Date(untilMs).toISOString()}. Its name: ${height}:${hash}`,
    );
  });
  return true;
}

async function status(app: App, options: { readonly block?: string }): Promise<void> {
  if (options.block !== undefined) {
    const height = heightIn('--block', options.block);
    const named = await blockNameAt(app.home, height, { signal: app.signal });
    return app.terminal.result(named, () => app.terminal.line(named.block));
  }
  if (await lightStatus(app)) return;
  const found = await networkStatus(app.home, { signal: app.signal });
  if ('running' in found) {
    process.exitCode = exitCodeOf('daemon-not-running');
    return app.terminal.result(found, () => {
      app.terminal.line(`${found.network}: CometBFT does not run and is started again. It said last:`);
      for (const line of found.lines) app.terminal.line(`  ${line}`);
    });
  }
  app.terminal.result(found, () => {
    const state = found.catchingUp ? 'catching up' : 'up to date';
    app.terminal.line(`${found.network}, consensus at ${found.height}, ${state}, ${found.peers} other nodes`);
    const rows = found.validators.map(({ key, power, first }) => [
      shortDid(key),
      power,
      first ? 'since the beginning' : '',
    ]);
    showTable(app, ['votes', 'power', ''], rows);
    if (found.block !== undefined) app.terminal.line(`Its last block’s name: ${found.block}`);
    showRules(app, found.rules);
  });
}

async function upgrade(
  app: App,
  options: { readonly at?: string; readonly version?: string; readonly cancel?: true },
): Promise<void> {
  const { signal } = app;
  const before = await app.client.call('network.rules', {}, { signal });
  const wanted = wantedUpgrade(before, options);
  const after = await app.client.call('network.approve', wanted, { signal });
  app.terminal.result(after, () => showRules(app, after));
}

function wantedUpgrade(
  { version, plan }: RulesReport,
  { at, version: named, cancel }: { readonly at?: string; readonly version?: string; readonly cancel?: true },
): { readonly version: number; readonly height: number } {
  if (cancel === true) {
    if (plan === undefined) throw usage('Nothing is decided that could be called off');
    return { version, height: plan.height };
  }
  if (at === undefined) throw usage('--at takes the first block by the new rules');
  const height = /^\d{1,15}$/.test(at) ? Number(at) : 0;
  if (height < 1) throw usage(`--at takes the height of a block, not "${at}"`);
  return { version: named === undefined ? version + 1 : countOption('--version', named), height };
}

function showRules(app: App, { version, known, height, plan, approvals }: RulesReport): void {
  const line = (text: string): void => app.terminal.line(text);
  line(`Rules of version ${version} at block ${height}; this program knows up to ${known}`);
  if (plan !== undefined) line(`Decided: version ${plan.version} from block ${plan.height} on`);
  for (const one of approvals)
    line(`${shortDid(one.did)} wants version ${one.version} from block ${one.height} on`);
}

function isHttp(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

function portOption(text: string): number {
  const port = countOption('--port', text);
  if (port < 1 || port > 65_534)
    throw new SaharaError('usage', { reason: '--port takes a port below 65535' });
  return port;
}
