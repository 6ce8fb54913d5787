/** `ask` and `chat`: a question, a streamed answer, its sources, its price and its proof. */
import { copyFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import type { AskInput } from '../../daemon/admin/methods.ts';
import type { AskEnd, AskEvent } from '../../daemon/admin/types.ts';
import { CALL_DEPTH_MAX } from '../../protocol/limits.ts';
import { type App, amountOption, type CommandGroup, countOption, usage } from '../app.ts';
import { remembering, type Turn } from '../conversation.ts';
import { AnswerPrinter, amount } from '../show.ts';
import { showOffers } from '../show-market.ts';
import { plural } from '../terminal.ts';

interface AskOptions {
  readonly maxPrice?: string;
  readonly budget?: string;
  readonly depth?: string;
  readonly skills?: string;
  readonly skill?: string;
  readonly timeout?: string;
  readonly receipt?: string;
  readonly offers?: boolean;
  readonly race?: boolean;
  readonly once?: boolean;
}

/** A question, or many. */
export const askCommands: CommandGroup = (program, run) => {
  program
    .command('ask')
    .description('ask an agent; the answer streams with its sources, price and receipt')
    .argument('<agent>', 'name, DID, or the first characters of one')
    .argument('[question...]', 'the question; read from standard input when left out')
    .option('--max-price <amount>', 'most that it may cost, in SAHARA')
    .option('--budget <amount>', 'what the agent may spend on asking others; --max-price has to cover it too')
    .option('--depth <levels>', 'how deep it and they may go on asking', '3')
    .option('--skills <names>', 'skills that may be asked for with the budget, with commas between')
    .option('--skill <name>', 'which of its skills')
    .option('--timeout <seconds>', 'how long to wait for the answer')
    .option('--offers', 'have its hosts make offers first, and take the best')
    .option('--race', 'ask two of its hosts at once; the first word wins, the other is stopped at its price')
    .option(
      '--once',
      'pay by one transaction instead of a channel: no deposit, the price before the answer and not given back',
    )
    .option('--receipt <file>', 'also save the evidence bundle here')
    .addHelpText('after', ASK_HELP)
    .action(run(ask));
  program
    .command('chat')
    .description('a conversation with an agent; each answer is paid on its own')
    .argument('<agent>', 'name, DID, or the first characters of one')
    .option('--max-price <amount>', 'most that one answer may cost, in SAHARA')
    .option('--budget <amount>', 'most that the conversation may cost, in SAHARA')
    .addHelpText('after', '\nExample:\n  $ sahara chat guide --budget 0.05')
    .action(run(chat));
};

const ASK_HELP = `
When a host refuses or stays away, another host of the agent is asked. For another agent with the same skill:
  sahara auction --skill

Example:
  $ sahara ask guide "How does a payee get paid?" --max-price 0.01`;

async function ask(app: App, agent: string, words: readonly string[], options: AskOptions): Promise<void> {
  const question = words.length > 0 ? words.join(' ') : await readQuestion();
  if (question.trim() === '') throw usage('There is no question');
  const input = { ...inputOf(agent, question, options), ...budgetOf(options) };
  if (options.once === true) await checkOnce(app, options);
  const method = options.offers === true ? 'auction' : 'ask';
  const asking = showAnswer(app, app.client.stream(method, input, { signal: app.signal }));
  const { end } = await asking.catch((error: unknown) => {
    adviseOnce(app, asSaharaError(error), options.once === true);
    throw error;
  });
  await keepEvidence(app, end, options.receipt);
}

/** Says what paying by one transaction means. Throws `usage` for what it cannot pay. */
async function checkOnce({ client, signal, terminal }: App, options: AskOptions): Promise<void> {
  const other = (['offers', 'race', 'budget'] as const).find((name) => options[name] !== undefined);
  if (other !== undefined) {
    throw usage(
      `--once pays one call of one host at its card's price; --${other} takes a channel: leave --once out`,
    );
  }
  const { transaction: fee } = await client.call('fees', {}, { signal });
  const costs = fee === '0' ? 'transactions are free on this network' : `the fee is ${amount(fee)}`;
  terminal.note(
    `The price is paid before the answer (${costs}) and not given back, also when nothing is found. If no answer comes, it is asked for again without paying again.`,
  );
}

/** What to do about a call that failed for want of a deposit, or after it was paid. */
function adviseOnce({ terminal }: App, { code, facts }: SaharaError, once: boolean): void {
  if (!once && code === 'funds-insufficient') {
    terminal.note('A single call can be paid without a deposit: ask again with --once.');
  }
  if (!once || facts.callId === undefined) return;
  const call = String(facts.callId).slice(0, 8);
  if (facts.outcome === 'paid') {
    terminal.note(`It is paid. To get its answer without paying again:  sahara resume ${call}`);
  } else if (facts.outcome === 'unknown') {
    terminal.note(
      `To learn what became of the payment, and get the answer if it was made:  sahara resume ${call}`,
    );
  }
}

/** Copies the evidence of a call to where the user wants it. */
export async function keepEvidence(app: App, end: AskEnd, file: string | undefined): Promise<void> {
  if (file === undefined) return;
  await copyFile(end.path, file);
  app.terminal.note(`Saved the evidence to ${file}. Prove it:  sahara verify ${file}`);
}

function inputOf(agent: string, question: string, options: AskOptions): AskInput {
  const priceMax = amountOption('--max-price', options.maxPrice);
  const seconds = options.timeout === undefined ? undefined : countOption('--timeout', options.timeout);
  return {
    agent,
    question,
    ...(priceMax !== undefined && { priceMax }),
    ...(options.skill !== undefined && { skill: options.skill }),
    ...(seconds !== undefined && { deadlineMs: seconds * 1000 }),
    ...(options.race === true && { race: true }),
    ...(options.once === true && { once: true }),
  };
}

/** What the agent may spend on calls of its own. Throws `usage` for a depth or skills without a budget. */
function budgetOf({ budget, depth = '3', skills }: AskOptions): Pick<AskInput, 'budget'> {
  const amount = amountOption('--budget', budget);
  if (amount === undefined) {
    if (skills !== undefined || depth !== '3') throw usage('--depth and --skills belong to a --budget');
    return {};
  }
  const levels = countOption('--depth', depth);
  if (levels > CALL_DEPTH_MAX) throw usage(`--depth takes at most ${CALL_DEPTH_MAX} levels`);
  const names = skills?.split(',').map((skill) => skill.trim());
  if (names?.includes('')) throw usage('--skills takes names with commas between');
  return { budget: { amount, depth: levels, ...(names !== undefined && { skills: names }) } };
}

/** The question on standard input. Throws `usage` when that is a terminal. */
export async function readQuestion(): Promise<string> {
  if (process.stdin.isTTY) throw usage('The question is missing');
  let text = '';
  process.stdin.setEncoding('utf8');
  for await (const part of process.stdin) text += part;
  return text;
}

/** Streams one answer and tells how it ended. */
export function answer(app: App, input: AskInput): Promise<{ readonly end: AskEnd; readonly text: string }> {
  return showAnswer(app, app.client.stream('ask', input, { signal: app.signal }));
}

/** Shows an answer as it comes and tells how it ended. */
export async function showAnswer(
  app: App,
  events: AsyncIterable<AskEvent>,
): Promise<{ readonly end: AskEnd; readonly text: string }> {
  const { terminal } = app;
  let printer = new AnswerPrinter(terminal);
  let stopSpinning = terminal.progress('Looking for the agent');
  let end: AskEnd | undefined;
  try {
    for await (const event of events) {
      stopSpinning();
      stopSpinning = () => {};
      if (terminal.json) terminal.line(JSON.stringify(event));
      else if (event.type === 'progress') stopSpinning = showStep(app, event);
      else if (event.type === 'offers') showOffers(app, event.offers);
      else if (event.type === 'agent') {
        if (printer.text !== '') terminal.line('\n');
        printer = new AnswerPrinter(terminal);
        stopSpinning = terminal.progress(`${event.name} is answering`);
      } else printer.event(event);
      if (event.type === 'end') end = event;
    }
  } finally {
    stopSpinning();
    // What is printed next, such as a failure, begins a line of its own.
    if (end === undefined && printer.text !== '' && !terminal.json) terminal.line();
  }
  if (end === undefined) throw new SaharaError('peer-gone', { reason: 'the answer has no end' });
  return { end, text: printer.text };
}

function showStep(app: App, event: Extract<AskEvent, { type: 'progress' }>): () => void {
  app.terminal.note(app.terminal.paintError('dim', event.detail));
  return app.terminal.progress(event.detail);
}

async function chat(app: App, agent: string, options: AskOptions): Promise<void> {
  const budget = amountOption('--budget', options.budget);
  const reader = createInterface({
    input: process.stdin,
    output: app.terminal.interactive ? process.stderr : undefined,
  });
  reader.on('SIGINT', () => reader.close());
  const conversation: Turn[] = [];
  let spent = 0n;
  app.terminal.note(`Chat with ${agent}. An empty line or Ctrl-D ends it.`);
  const ask = (): void => {
    if (!app.terminal.interactive) return;
    reader.setPrompt('\n› ');
    reader.prompt();
  };
  ask();
  for await (const line of reader) {
    if (line.trim() === '') break;
    const left = budget === undefined ? undefined : BigInt(budget) - spent;
    const input = withinBudget(inputOf(agent, line, options), left);
    const { end, text } = await remembering(conversation, {
      ask: (context) => answer(app, { ...input, context }),
      shortened: (turns) => {
        const told = `The conversation is too long for the model: asked again with its last ${plural(turns, 'turn')}.`;
        app.terminal.note(app.terminal.paintError('dim', told));
      },
    });
    spent += BigInt(end.amount);
    conversation.push({ role: 'user', text: line }, { role: 'agent', text });
    ask();
  }
  reader.close();
  app.terminal.note(`The conversation cost ${amount(String(spent))}.`);
}

function withinBudget(input: AskInput, left: bigint | undefined): AskInput {
  if (left === undefined) return input;
  const asked = input.priceMax === undefined ? left : BigInt(input.priceMax);
  return { ...input, priceMax: String(asked < left ? asked : left) };
}
