/** `standing`: what other peers think of this one, and what it thinks of them, in words. */
import { formatAmount } from '../../base/amount.ts';
import { errorText } from '../../base/error-text.ts';
import { isErrorCode, SaharaError } from '../../base/errors.ts';
import type { StandingOfMe, StandingReport, StandingRow } from '../../daemon/admin/types.ts';
import type { App, CommandGroup } from '../app.ts';
import { plural, printable, shortDid } from '../terminal.ts';

/** What other peers think of this one, and what it thinks of them. */
export const standingCommands: CommandGroup = (program, run) => {
  program
    .command('standing')
    .argument('[who]', 'a peer id, an agent, or the DID of a caller; default: everybody')
    .description('what others think of this peer and what it thinks of them, and why')
    .addHelpText('after', '\nExample:\n  $ sahara standing guide')
    .action(run(standing));
};

async function standing(app: App, who: string | undefined): Promise<void> {
  const input = who === undefined ? {} : { of: who };
  const report = await app.client.call('standing', input, { signal: app.signal });
  app.terminal.result(report, () => show(app, report));
}

function show({ terminal }: App, { ofMe, held }: StandingReport): void {
  const { paint } = terminal;
  terminal.line(paint('bold', 'What others think of this peer'));
  if (ofMe.length === 0) terminal.line('  No other peer to ask: none is connected.');
  for (const answer of ofMe) {
    terminal.line(`\n  ${paint('cyan', answer.by)}`);
    for (const line of wordsOfMe(answer)) terminal.line(`    ${line}`);
  }
  terminal.line(`\n${paint('bold', 'What this peer thinks of others')}`);
  if (held.length === 0) terminal.line('  Nothing was counted of anybody yet.');
  for (const row of held) {
    terminal.line(`\n  ${paint('cyan', nameOf(row))}`);
    for (const line of words(row)) terminal.line(`    ${line}`);
  }
  terminal.line(
    `\n${paint('dim', 'What was counted fades with time, so sums are less than what was paid.')}`,
  );
}

function wordsOfMe({ stranger, thinks, failure }: StandingOfMe): readonly string[] {
  if (failure !== undefined) {
    const code = isErrorCode(failure.code) ? failure.code : 'internal';
    return [`It did not say: ${errorText(new SaharaError(code, failure.facts)).what}`];
  }
  const lines = thinks.flatMap((row) => [
    row.kind === 'peer' ? 'Of this peer:' : `Of your key ${shortDid(row.subject)}:`,
    ...words(row).map((line) => `  ${line}`),
  ]);
  if (!stranger) return lines;
  return [
    ...lines,
    'Your key is a stranger there: it may be asked for work while that peer is busy. A channel to its operator, or one answered call, ends that.',
  ];
}

function nameOf({ kind, subject }: StandingRow): string {
  return kind === 'peer' ? `peer ${printable(subject)}` : `caller ${printable(subject)}`;
}

/** A standing in sentences: what was counted, what follows, what would change it. */
export function words(row: StandingRow): readonly string[] {
  const { facts, step, points, limits } = row;
  const counted =
    facts.length === 0 ? 'Nothing was counted.' : `Counted: ${facts.map(factWords).join(', ')}.`;
  const state =
    step === 0
      ? 'In good standing.'
      : `Limits lowered by ${plural(step, 'step')}, for ${plural(points, 'point')}.`;
  const limit = limits.map(({ perSecond, atOnce }) => `${perSecond} calls a second, ${atOnce} at a time`);
  return [
    counted,
    `${state}${limit.length > 0 ? ` Limits: ${limit.join('; ')}.` : ''}`,
    ...(step === 0 ? [] : [better(row)]),
  ];
}

function better({ betterAfterMs, betterAfterCalls }: StandingRow): string {
  const time = betterAfterMs === undefined ? 'some time' : waiting(betterAfterMs);
  const calls =
    betterAfterCalls === undefined ? '' : `, or after ${plural(betterAfterCalls, 'answered call')}`;
  return `One step better after ${time} without another fault${calls}.`;
}

function waiting(ms: number): string {
  const minutes = Math.max(1, Math.ceil(ms / 60_000));
  return minutes < 120 ? plural(minutes, 'minute') : `${Math.ceil(minutes / 60)} hours`;
}

const FACTS: Readonly<Record<string, string>> = {
  cut: 'calls whose stream broke',
  'stream-broken': 'streams that broke the rules',
  'calls-refused': 'calls begun too fast',
  'question-broken': 'questions that broke the rules',
  'questions-refused': 'questions asked too fast',
  'gossip-rejected': 'gossip that no honest peer passes on',
  'gossip-excess': 'gossip too fast',
  'probe-failed': 'probes without an answer',
  'probe-answered': 'probes answered',
};

function factWords({ fact, count }: StandingRow['facts'][number]): string {
  if (fact === 'paid') return `paid ${formatAmount(BigInt(count))}`;
  if (fact === 'answered') return `${plural(count, 'call')} answered`;
  if (fact.startsWith('refused:')) return `${count} × refused (${printable(fact.slice('refused:'.length))})`;
  return `${count} × ${FACTS[fact] ?? printable(fact)}`;
}
