/** `whosaid`: whether a text carries the mark of an agent here. */
import { readFile } from 'node:fs/promises';
import { SaharaError } from '../../base/errors.ts';
import type { WhosaidReport } from '../../daemon/admin/methods-model.ts';
import { type App, type CommandGroup, usage } from '../app.ts';
import { showTable } from '../show.ts';

/** Longest text, characters. */
const TEXT_MAX = 1_000_000;

/** Whether a text carries a mark. */
export const whosaidCommands: CommandGroup = (program, run) => {
  program
    .command('whosaid')
    .description('whether a text carries the mark of an agent here (backend llama with watermark: true)')
    .argument('<file>', 'text file, or - for standard input')
    .option('--agent <name>', 'hold it against the mark of this agent alone')
    .addHelpText('after', '\nExample:\n  $ sahara whosaid letter.txt')
    .action(run(whosaid));
};

async function whosaid(app: App, file: string, { agent }: { readonly agent?: string }): Promise<void> {
  const text = file === '-' ? await standardInput() : await textOf(file);
  if (text.trim() === '') throw usage('The text is empty');
  if (text.length > TEXT_MAX) throw usage(`The text has more than ${TEXT_MAX} characters`);
  const stop = app.terminal.progress('Counting');
  const report = await app.client.call('whosaid', { text, agent }, { signal: app.signal }).finally(stop);
  app.terminal.result(report, () => show(app, report));
}

async function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: unknown) => {
    throw new SaharaError('file-missing', { path }, { cause: error });
  });
}

async function standardInput(): Promise<string> {
  process.stdin.setEncoding('utf8');
  let text = '';
  for await (const piece of process.stdin) {
    text += piece;
    if (text.length > TEXT_MAX) break;
  }
  return text;
}

const VERDICTS: Readonly<Record<WhosaidReport['verdict'], string>> = {
  marked: 'carries the mark of',
  'not-shown': 'shows the mark of no agent here',
  'too-short': 'is too short to say: about a hundred tokens are needed, more where little was to choose',
};

function show({ terminal, ...app }: App, report: WhosaidReport): void {
  const { verdict, scores, keys, tokens, repeated } = report;
  const [best] = scores;
  const whose = verdict === 'marked' ? ` ${best?.agent ?? ''}` : '';
  terminal.line(`The text ${VERDICTS[verdict]}${whose}.`);
  const cells = scores.map(({ agent, scored, z, p, pAll }) => [
    agent,
    String(scored),
    z.toFixed(2),
    chance(p),
    chance(pAll),
  ]);
  showTable({ terminal, ...app }, ['AGENT', 'TOKENS', 'Z', 'BY CHANCE', `OVER ${keys} KEYS`], cells);
  if (repeated > tokens / 4) {
    terminal.line(`${repeated} of ${tokens} tokens repeat what stood before: such a text can carry little.`);
  }
  terminal.line(
    verdict === 'marked'
      ? 'It says that most of these words were chosen with that key, not who sent them; who has the key can mark anything.'
      : 'That proves nothing: other words, a translation, facts, quotations or low temperature leave no mark, and so does anybody else.',
  );
}

/** A probability as people read it. */
function chance(p: number): string {
  return p >= 0.001 ? p.toFixed(3) : p.toExponential(1);
}
