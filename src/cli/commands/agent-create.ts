/** `agent create`: from a folder of documents to an agent that is live, priced and tried. */
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { formatAmount, parseAmount } from '../../base/amount.ts';
import { nearestNames } from '../../base/nearest.ts';
import {
  AGENT_TEMPLATES,
  type AgentChoices,
  type AgentTemplate,
  manifestOfTemplate,
} from '../../daemon/agent-templates.ts';
import { type App, type CommandGroup, countOption, usage } from '../app.ts';
import { priceOf } from '../show.ts';
import { plural, shortDid } from '../terminal.ts';
import { createWizard, type Wizard } from '../wizard.ts';
import { tryAgent } from './agent-trial.ts';
import { importDocuments, tellLedgerKept } from './vault.ts';

interface CreateOptions {
  readonly template?: string;
  readonly name?: string;
  readonly documents?: string;
  readonly description?: string;
  readonly price?: string;
  readonly free?: string;
  readonly example?: readonly string[];
  readonly model?: string;
  readonly endpoint?: string;
}

/** Makes agents; it goes below `agent`. */
export const agentCreateCommands: CommandGroup = (agent, run) => {
  const kinds = AGENT_TEMPLATES.map(({ name, about }) => `  ${name.padEnd(18)}${about}`).join('\n');
  agent
    .command('create')
    .description(
      'make an agent from a folder of documents: imported, priced, live and tried; asks for what is left out',
    )
    .option('--template <kind>', 'what kind of agent')
    .option('--name <name>', 'its name')
    .option('--documents <path>', 'file or folder that it answers from')
    .option('--description <text>', 'what it knows')
    .option('--price <amount>', 'price of a call in SAHARA')
    .option('--free <calls>', 'free calls of each caller and day')
    .option('--example <question...>', 'questions that it answers; it is tried with them')
    .option(
      '--model <name>',
      'a model that writes the answers; without one they are quoted from the documents',
    )
    .option(
      '--endpoint <url>',
      'OpenAI-compatible endpoint of that model; without one it is a model of this home',
    )
    .addHelpText(
      'after',
      `\nKinds:\n${kinds}\n\nExamples:\n  $ sahara agent create\n  $ sahara agent create --template community-faq --name faq --documents ~/faq`,
    )
    .action(run(create));
};

async function create(app: App, options: CreateOptions): Promise<void> {
  const { template, choices, documents } = await chosen(app, options);
  const { client, terminal, signal } = app;
  const { name, vault } = choices;
  if ((await client.call('agent.list', {}, { signal })).some((row) => row.name === name)) {
    throw usage(
      `There is an agent ${name} already: choose another --name, or see  sahara agent show ${name}`,
    );
  }
  const manifest = (examples: readonly string[]): string =>
    manifestOfTemplate(template, { ...choices, examples });
  if (!(await client.call('vault.list', {}, { signal })).some((row) => row.name === vault)) {
    tellLedgerKept(app, await client.call('vault.create', { name: vault }, { signal }));
  }
  await importDocuments(app, vault, documents);
  const stop = terminal.progress('Registering the agent and its contributors on the ledger');
  let row = await client
    .call('agent.add', { manifest: manifest(choices.examples) }, { signal })
    .finally(stop);
  let examples = choices.examples;
  if (examples.length === 0) {
    examples = await answerable(app, name);
    if (examples.length > 0) {
      const input = { manifest: manifest(examples), replace: true };
      row = await client.call('agent.add', input, { signal });
    }
  }
  const failed = examples.length === 0 ? 0 : await tryAgent(app, name, GROUNDED_MIN_PPM);
  terminal.result({ ...row, examples, failed }, () => {
    terminal.line(`${terminal.paint('green', name)} is live: ${priceOf(row)}, ${shortDid(row.did)}.`);
    if (examples.length === 0) {
      terminal.line(
        'It has no questions to be tried with: add some to its manifest (tests), see docs/agents.md.',
      );
    }
    terminal.line(`Ask it:          sahara ask ${name} "..."`);
    terminal.line(
      `Change it:       sahara agent show ${name} > ${name}.yaml, then  sahara agent add ${name}.yaml --replace`,
    );
    terminal.line('What it earns:   sahara earnings');
  });
  if (failed > 0) process.exitCode = 1;
}

const GROUNDED_MIN_PPM = 800_000;

interface Chosen {
  readonly template: AgentTemplate;
  readonly choices: AgentChoices;
  readonly documents: string;
}

/** What the options say, and for the rest what the user answers; without a user, defaults where there are any. */
async function chosen(app: App, options: CreateOptions): Promise<Chosen> {
  if (options.endpoint !== undefined && options.model === undefined) {
    throw usage('--endpoint needs --model, the name of the model there');
  }
  checkOptions(options);
  if (!app.terminal.interactive) return withoutQuestions(options);
  const wizard = createWizard({ input: process.stdin, output: process.stderr }, { signal: app.signal });
  try {
    return await withQuestions(wizard, options);
  } finally {
    wizard.close();
  }
}

function checkOptions({ template, price, free, name }: CreateOptions): void {
  if (template !== undefined) templateOf(template);
  if (price !== undefined) must(priceFault(price), '--price');
  if (free !== undefined && free !== '0') countOption('--free', free);
  if (name !== undefined) must(nameFault(name), '--name');
}

function must(fault: string | undefined, option: string): void {
  if (fault !== undefined) throw usage(`${option}: ${fault.replace(/\.$/, '')}`);
}

function withoutQuestions(options: CreateOptions): Promise<Chosen> {
  const { template, name, documents } = options;
  const missing = Object.entries({ '--template': template, '--name': name, '--documents': documents })
    .filter(([, value]) => value === undefined)
    .map(([option]) => option);
  if (missing.length > 0) throw usage(`Nobody can be asked here, so it takes ${missing.join(', ')}`);
  return complete(options, {
    template: templateOf(template ?? ''),
    name: name ?? '',
    documents: documents ?? '',
    price: options.price,
    free: options.free,
    examples: options.example ?? [],
  });
}

async function withQuestions(wizard: Wizard, options: CreateOptions): Promise<Chosen> {
  const template =
    options.template === undefined
      ? await wizard.choose('What kind of agent?', AGENT_TEMPLATES)
      : templateOf(options.template);
  const documents =
    options.documents ??
    (await wizard.ask({
      text: `Folder or file that it answers from (${template.documents})`,
      fault: documentsFault,
    }));
  const suggested = basename(resolve(documents))
    .toLowerCase()
    .replace(/\.[^.]*$/, '')
    .replace(/[^a-z0-9]+/g, '-');
  const fallback = nameFault(suggested) === undefined ? suggested : template.name;
  const name = options.name ?? (await wizard.ask({ text: 'Its name', fallback, fault: nameFault }));
  const price =
    options.price ??
    (await wizard.ask({ text: 'Price of a call in SAHARA', fallback: template.price, fault: priceFault }));
  const free =
    options.free ??
    (await wizard.ask({
      text: 'Free calls of each caller and day',
      fallback: String(template.freeCalls),
      fault: (text) => (/^\d{1,6}$/.test(text) ? undefined : 'A whole number, 0 for none.'),
    }));
  const examples = options.example ?? (await questions(wizard));
  return complete(options, { template, name, documents, price, free, examples });
}

async function questions(wizard: Wizard): Promise<readonly string[]> {
  const asked: string[] = [];
  while (asked.length < EXAMPLES_MAX) {
    const text =
      asked.length === 0
        ? 'A question that people will ask it (empty: chosen from the documents)'
        : 'Another (empty: no more)';
    const answer = await wizard.ask({ text, fallback: '' });
    if (answer === '') break;
    asked.push(answer);
  }
  return asked;
}

const EXAMPLES_MAX = 8;

async function complete(
  options: CreateOptions,
  answers: {
    readonly template: AgentTemplate;
    readonly name: string;
    readonly documents: string;
    readonly price: string | undefined;
    readonly free: string | undefined;
    readonly examples: readonly string[];
  },
): Promise<Chosen> {
  const { template, name, examples, free, price = template.price } = answers;
  must(await documentsFault(answers.documents), '--documents');
  if (examples.length > EXAMPLES_MAX) throw usage(`--example takes at most ${EXAMPLES_MAX} questions`);
  const { model, endpoint, description } = options;
  const backend =
    model === undefined
      ? undefined
      : endpoint === undefined
        ? { kind: 'llama', model }
        : { kind: 'openai', endpoint, model };
  return {
    template,
    documents: resolve(answers.documents),
    choices: {
      name,
      vault: name,
      description: description ?? `It ${template.about}.`,
      perCall: parseAmount(price) ?? 0n,
      freeCalls: free === undefined ? template.freeCalls : Number(free),
      examples,
      ...(backend && { backend }),
    },
  };
}

function templateOf(name: string): AgentTemplate {
  const template = AGENT_TEMPLATES.find((each) => each.name === name);
  if (template) return template;
  const names = AGENT_TEMPLATES.map((each) => each.name);
  const [near] = nearestNames(name, names);
  throw usage(
    `There is no kind "${name}"${near ? `; did you mean ${near}?` : ''} Kinds: ${names.join(', ')}`,
  );
}

async function documentsFault(path: string): Promise<string | undefined> {
  const found = await stat(resolve(path)).catch(() => undefined);
  return found === undefined ? `There is nothing at ${resolve(path)}.` : undefined;
}

function nameFault(name: string): string | undefined {
  return /^[a-z0-9][a-z0-9_-]{0,48}$/.test(name)
    ? undefined
    : 'A name of lower-case letters, digits, - and _, at most 49 long.';
}

function priceFault(price: string): string | undefined {
  return parseAmount(price) === undefined
    ? `An amount in SAHARA such as ${formatAmount(1_000_000n)} or 0.002.`
    : undefined;
}

/** Questions that an agent answers, from the headings of its documents. */
async function answerable({ client, signal, terminal }: App, name: string): Promise<readonly string[]> {
  const stop = terminal.progress('Looking for questions that it answers');
  const found = await client.call('agent.questions', { name }, { signal }).finally(stop);
  if (found.length > 0)
    terminal.note(`Found ${plural(found.length, 'question')} in its headings that it answers.`);
  return found;
}
