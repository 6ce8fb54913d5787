/** `ask` and `chat`: a question, a streamed answer, its sources, its price and its proof. */
import { copyFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { SaharaError } from '../../base/errors.ts';
import type { AskInput } from '../../daemon/admin/methods.ts';
import type { AskEnd, AskEvent } from '../../daemon/admin/types.ts';
import { type App, amountOption, type CommandGroup, countOption, usage } from '../app.ts';
import { AnswerPrinter, amount } from '../show.ts';

interface AskOptions {
  readonly maxPrice?: string;
  readonly budget?: string;
  readonly skill?: string;
  readonly timeout?: string;
  readonly receipt?: string;
}

/** A question, or many. */
export const askCommands: CommandGroup = (program, run) => {
  program
    .command('ask')
    .description('ask an agent; the answer streams with its sources, price and receipt')
    .argument('<agent>', 'name, DID, or the first characters of one')
    .argument('[question...]', 'the question; read from standard input when left out')
    .option('--max-price <amount>', 'most that it may cost, in SAHARA')
    .option('--skill <name>', 'which of its skills')
    .option('--timeout <seconds>', 'how long to wait for the answer')
    .option('--receipt <file>', 'also save the evidence bundle here')
    .addHelpText('after', '\nExample:\n  $ sahara ask guide "How does a payee get paid?" --max-price 0.01')
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

async function ask(app: App, agent: string, words: readonly string[], options: AskOptions): Promise<void> {
  const question = words.length > 0 ? words.join(' ') : await readQuestion();
  if (question.trim() === '') throw usage('There is no question');
  const input = inputOf(agent, question, options);
  const { end } = await answer(app, input);
  if (options.receipt !== undefined) {
    await copyFile(end.path, options.receipt);
    app.terminal.note(
      `Saved the evidence to ${options.receipt}. Prove it:  sahara verify ${options.receipt}`,
    );
  }
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
  };
}

async function readQuestion(): Promise<string> {
  if (process.stdin.isTTY) throw usage('The question is missing');
  let text = '';
  process.stdin.setEncoding('utf8');
  for await (const part of process.stdin) text += part;
  return text;
}

/** Streams one answer and tells how it ended. */
export async function answer(
  app: App,
  input: AskInput,
): Promise<{ readonly end: AskEnd; readonly text: string }> {
  const { terminal } = app;
  const printer = new AnswerPrinter(terminal);
  let stopSpinning = terminal.progress('Looking for the agent');
  let end: AskEnd | undefined;
  try {
    for await (const event of app.client.stream('ask', input, { signal: app.signal })) {
      stopSpinning();
      stopSpinning = () => {};
      if (terminal.json) terminal.line(JSON.stringify(event));
      else if (event.type === 'progress') stopSpinning = showStep(app, event);
      else if (event.type === 'agent') stopSpinning = terminal.progress(`${event.name} is answering`);
      else printer.event(event);
      if (event.type === 'end') end = event;
    }
  } finally {
    stopSpinning();
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
  const context: { role: 'user' | 'agent'; text: string }[] = [];
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
    const { end, text } = await answer(app, { ...input, context: context.slice(-CONTEXT_TURNS) });
    spent += BigInt(end.amount);
    context.push({ role: 'user', text: line }, { role: 'agent', text });
    ask();
  }
  reader.close();
  app.terminal.note(`The conversation cost ${amount(String(spent))}.`);
}

/** Earlier turns that go along with a question. */
const CONTEXT_TURNS = 16;

function withinBudget(input: AskInput, left: bigint | undefined): AskInput {
  if (left === undefined) return input;
  const asked = input.priceMax === undefined ? left : BigInt(input.priceMax);
  return { ...input, priceMax: String(asked < left ? asked : left) };
}
