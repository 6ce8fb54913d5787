/** `status`, `doctor`, `logs`: what runs, what is wrong, what was written. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { formatAmount } from '../../base/amount.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import type { BridgeRow } from '../../daemon/admin/methods-bridge.ts';
import type { ModelsReport } from '../../daemon/admin/methods-model.ts';
import type { Finding, LedgerReport, StatusReport } from '../../daemon/admin/types.ts';
import type { DisputeRow } from '../../daemon/admin/types-dispute.ts';
import { type App, type CommandGroup, countOption, exitCodeOf } from '../app.ts';
import { examineHome } from '../doctor.ts';
import { plural, type Style, shortDid, shortId } from '../terminal.ts';

/** What runs, what is wrong, what was written. */
export const statusCommands: CommandGroup = (program, run) => {
  program
    .command('status')
    .description('what runs here: addresses, peers, ledger, balance')
    .addHelpText('after', '\nExample:\n  $ sahara status --json | jq .balance')
    .action(run(status));
  program
    .command('doctor')
    .description('what is wrong, and how to mend it')
    .addHelpText('after', '\nExample:\n  $ sahara doctor')
    .action(run(doctor));
  program
    .command('logs')
    .description('the last lines of the daemon log')
    .option('-n, --lines <count>', 'how many', '40')
    .addHelpText('after', '\nExample:\n  $ sahara logs -n 100')
    .action(run(logs));
};

async function status(app: App): Promise<void> {
  const report = await app.client.call('status', {}, { signal: app.signal });
  app.terminal.result(report, () => showStatus(app, report));
}

function showStatus({ terminal }: App, report: StatusReport): void {
  const rows: (readonly [string, string])[] = [
    ['peer', report.peerId],
    ['you', report.did],
    ['network', `${report.ledger.network} (this peer is ${ROLES[report.ledger.role]})`],
    ['ledger', ledgerLine(report.ledger)],
    ...lightRows(report.ledger),
    ['balance', formatAmount(BigInt(report.balance))],
    ['agents', report.agents.join(', ') || 'none'],
    ['vaults', report.vaults.join(', ') || 'none'],
    ...modelRows(report.models),
    ...(report.bridges ?? []).map((row) => ['bridge', bridgeLine(row)] as const),
    ['peers', report.peers.length === 0 ? 'none connected' : plural(report.peers.length, 'peer')],
    ['home', report.home],
    [
      'running',
      `${duration(report.upMs)}, process ${report.pid}, ${Math.round(report.memoryBytes / 1e6)} MB`,
    ],
  ];
  for (const dispute of report.disputes ?? []) rows.push(['dispute', disputeLine(dispute)]);
  for (const [name, text] of rows) terminal.line(`${terminal.paint('dim', name.padEnd(8))} ${text}`);
  for (const peer of report.peers) {
    const latency = peer.latencyMs === undefined ? '' : `  ${Math.round(peer.latencyMs)} ms`;
    terminal.line(`         ${peer.peerId}  ${peer.direction}${latency}`);
  }
  const [address] = report.addresses;
  if (address !== undefined) terminal.line(`\nOthers join with:  sahara up --bootstrap ${address}`);
}

function bridgeLine({ platform, state, running, reason }: BridgeRow): string {
  const wrong = reason === undefined ? '' : `: ${reason}`;
  return `${platform} ${state}${wrong}${running === 0 ? '' : `, ${plural(running, 'message')} under way`}`;
}

function disputeLine({ channel, payee, state, taken, returned, unexplained }: DisputeRow): string {
  const on = `${shortDid(payee)} on channel ${shortId(channel)}`;
  if (state === undefined) return `${plural(unexplained, 'claim')} of ${on} for receipts that are not here`;
  const stakes = `its stake lost ${formatAmount(BigInt(taken ?? '0'))}`;
  if (state === 'won') return `${on} lied: ${stakes}, ${formatAmount(BigInt(returned ?? '0'))} came back`;
  return `${on} contradicts itself: ${DISPUTES[state]}; see \`sahara channel challenge\``;
}

const DISPUTES: Readonly<Record<NonNullable<DisputeRow['state']>, string>> = {
  open: 'a challenge is on its way',
  won: 'a challenge was won',
  frozen: 'somebody else has challenged it',
  worthless: 'a challenge would bring nothing',
  refused: 'the ledger refused the challenge',
};

/** Each loaded model, and how busy all of them are. */
function modelRows(models: ModelsReport | undefined): readonly (readonly [string, string])[] {
  if (models === undefined) return [];
  const { loaded, queued, running, tokensPerSecond } = models;
  const rate = tokensPerSecond === undefined ? '' : `, ${tokensPerSecond.toFixed(1)} tokens/s`;
  const rows = loaded.map(({ name, state, gpu, bytes, contexts, running: busy }) => {
    const place = state === 'loading' ? 'loading' : gpu === undefined || gpu === 'none' ? 'cpu' : gpu;
    const work = `${plural(contexts, 'context')}, ${plural(busy, 'answer')} under way`;
    return ['models', `${name} (${place}, ${Math.ceil(bytes / 1e6)} MB): ${work}`] as const;
  });
  return [...rows, ['queue', `${queued} waiting, ${running} under way${rate}`]];
}

const ROLES: Readonly<Record<LedgerReport['role'], string>> = {
  sequencer: 'its sequencer',
  follower: 'its follower',
  light: 'a light client of it',
};

function ledgerLine({ role, height, headHash }: LedgerReport): string {
  return `${role === 'light' ? 'light, ' : ''}height ${height}, head ${shortId(headHash)}`;
}

/** What a light client knows, and by whom. */
function lightRows({ light }: LedgerReport): readonly (readonly [string, string])[] {
  if (light === undefined) return [];
  const { headerHeight, provedHeight, channels, peers, warning, evidence, conflict, consensus } = light;
  const rows: (readonly [string, string])[] = [
    [
      'proofs',
      `own records at block ${provedHeight} of ${headerHeight}, ${plural(channels, 'channel')}; ${peers.answering} of ${plural(peers.connected, 'peer')} answer`,
    ],
  ];
  if (peers.fault !== undefined) rows.push(['no proof', `by ${peers.faultOf ?? 'a peer'}: ${peers.fault}`]);
  if (consensus !== undefined)
    rows.push([
      'voters',
      `${plural(consensus.validators, 'validator')}, believed by block ${consensus.height} of consensus until ${new Date(consensus.untilMs).toISOString().slice(0, 16)}Z`,
    ]);
  if (warning !== undefined) rows.push(['warning', warning]);
  if (conflict !== undefined) rows.push(['conflict', conflict]);
  if (evidence !== undefined) rows.push(['evidence', `two headers of one height: ${evidence.join(' and ')}`]);
  return rows;
}

function duration(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return `${Math.floor(ms / 1000)} s`;
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const MARKS: Readonly<Record<Finding['state'], readonly [Style, string]>> = {
  ok: ['green', '✓'],
  note: ['yellow', '•'],
  fault: ['red', '✗'],
};

async function doctor(app: App): Promise<void> {
  let stopped = false;
  const findings = await app.client.call('doctor', {}, { signal: app.signal }).catch((error: unknown) => {
    if (asSaharaError(error).code !== 'daemon-not-running') throw error;
    stopped = true;
    return examineHome(app);
  });
  app.terminal.result(findings, () => {
    const wide = Math.max(...findings.map(({ name }) => name.length));
    for (const finding of findings) {
      const [style, mark] = MARKS[finding.state];
      app.terminal.line(`${app.terminal.paint(style, mark)} ${finding.name.padEnd(wide)}  ${finding.found}`);
      if (finding.next !== undefined) app.terminal.line(`  ${' '.repeat(wide)}  → ${finding.next}`);
    }
  });
  if (stopped) process.exitCode = exitCodeOf('daemon-not-running');
  else if (findings.some(({ state }) => state === 'fault')) process.exitCode = 1;
}

async function logs(app: App, options: { readonly lines: string }): Promise<void> {
  const wanted = countOption('--lines', options.lines);
  const last: string[] = [];
  try {
    for await (const line of createInterface({ input: createReadStream(app.home.log) })) {
      last.push(line);
      if (last.length > wanted) last.shift();
    }
  } catch (error) {
    throw new SaharaError('file-missing', { path: app.home.log }, { cause: error });
  }
  for (const line of last) app.terminal.line(app.terminal.json ? line : readable(line));
}

const LEVELS: Readonly<Record<number, string>> = { 20: 'debug', 30: 'info ', 40: 'warn ', 50: 'error' };

function readable(line: string): string {
  try {
    const { level, time, msg, ...facts } = JSON.parse(line) as Record<string, unknown>;
    const rest = Object.entries(facts).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
    const at = new Date(Number(time)).toISOString().slice(0, 19).replace('T', ' ');
    return [at, LEVELS[Number(level)] ?? level, msg, ...rest].join(' ');
  } catch {
    return line;
  }
}
