/** `auction`: a question to whoever offers best. */
import type { AuctionInput } from '../../daemon/admin/methods.ts';
import { type App, amountOption, type CommandGroup, countOption, usage } from '../app.ts';
import { showOffers } from '../show-market.ts';
import { keepEvidence, readQuestion, showAnswer } from './ask.ts';

interface AuctionOptions {
  readonly skill?: string;
  readonly agent?: string;
  readonly language?: readonly string[];
  readonly maxPrice?: string;
  readonly units?: string;
  readonly wait?: string;
  readonly offers?: string;
  readonly timeout?: string;
  readonly receipt?: string;
  readonly list?: boolean;
}

/** A question to whoever offers best. */
export const auctionCommands: CommandGroup = (program, run) => {
  program
    .command('auction')
    .description(
      'ask around for offers and put a question to the best; the question itself goes to nobody else',
    )
    .argument('[question...]', 'the question; read from standard input when left out')
    .option('--skill <name>', 'any agent with this skill; when one does not take it, the next best is asked')
    .option('--agent <agent>', 'only this agent, at whichever host offers best')
    .option('--language <tag...>', 'any of these languages')
    .option('--max-price <amount>', 'most that it may cost, in SAHARA')
    .option('--units <count>', 'units of answer that offers are compared for', '300')
    .option('--wait <ms>', 'how long to wait for offers', '2000')
    .option('--offers <count>', 'how many offers are enough', '8')
    .option('--timeout <seconds>', 'how long to wait for the answer')
    .option('--receipt <file>', 'also save the evidence bundle here')
    .option('--list', 'show the offers and ask nobody')
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara auction --skill answer "How does a payee get paid?" --max-price 0.01',
    )
    .action(run(auction));
};

async function auction(app: App, words: readonly string[], options: AuctionOptions): Promise<void> {
  if (options.skill === undefined && options.agent === undefined) {
    throw usage('auction needs --skill or --agent');
  }
  const question = words.length > 0 ? words.join(' ') : await readQuestion();
  if (question.trim() === '') throw usage('There is no question');
  const input = inputOf(question, options);
  if (options.list === true) return list(app, input);
  const { end } = await showAnswer(app, app.client.stream('auction', input, { signal: app.signal }));
  await keepEvidence(app, end, options.receipt);
}

async function list(app: App, input: AuctionInput): Promise<void> {
  const { terminal } = app;
  for await (const event of app.client.stream('auction', input, { signal: app.signal })) {
    if (event.type === 'offers') terminal.result(event.offers, () => showOffers(app, event.offers));
  }
}

function inputOf(question: string, options: AuctionOptions): AuctionInput {
  const { skill, agent, language, units = '300', wait = '2000', offers = '8', timeout } = options;
  const priceMax = amountOption('--max-price', options.maxPrice);
  return {
    question,
    ...(skill !== undefined && { skill }),
    ...(agent !== undefined && { agent }),
    ...(language !== undefined && { languages: language }),
    ...(priceMax !== undefined && { priceMax }),
    outputUnits: countOption('--units', units),
    waitMs: countOption('--wait', wait),
    offersMax: countOption('--offers', offers),
    ...(timeout !== undefined && { deadlineMs: countOption('--timeout', timeout) * 1000 }),
    ...(options.list === true && { listOnly: true }),
  };
}
