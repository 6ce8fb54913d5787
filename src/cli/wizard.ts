/** Questions to whoever sits at the terminal, one after the other, each with what it takes and what it defaults to. */
import { createInterface } from 'node:readline/promises';
import { type Readable, Writable } from 'node:stream';
import { SaharaError } from '../base/errors.ts';

/** One question. */
export interface WizardQuestion {
  readonly text: string;
  /** What an empty line means; without one an answer is needed. */
  readonly fallback?: string;
  /** What is wrong with an answer, if anything; it is asked again. */
  readonly fault?: (answer: string) => Promise<string | undefined> | string | undefined;
  /** Nothing of the answer is shown while it is typed. Default false. */
  readonly secret?: boolean;
}

/** Asks questions. */
export interface Wizard {
  /** The answer, trimmed. Throws `cancelled` at the end of the input and when `signal` aborts. */
  ask(question: WizardQuestion): Promise<string>;
  /** The answer out of a list, by number or name. */
  choose<T extends { readonly name: string; readonly about: string }>(
    text: string,
    choices: readonly T[],
  ): Promise<T>;
  close(): void;
}

/** A wizard at `input` and `output`. */
export function createWizard(
  { input, output }: { readonly input: Readable; readonly output: Writable },
  { signal }: { readonly signal: AbortSignal },
): Wizard {
  const screen = createScreen(output);
  // By the input: the terminal itself would echo secrets unless readline reads it key by key. Nothing typed is
  // remembered, so that no later question brings a secret back.
  const terminal = 'isTTY' in input && input.isTTY === true;
  const reader = createInterface({ input, output: screen.stream, terminal, historySize: 0 });
  const lines = reader[Symbol.asyncIterator]();
  const say = (text: string): void => void output.write(`${text}\n`);
  const stopped = new Promise<never>((_, reject) => {
    const stop = (): void => reject(new SaharaError('cancelled'));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    reader.once('SIGINT', stop);
  });
  // Between questions nobody waits for it.
  stopped.catch(() => {});

  async function read(prompt: string, secret: boolean): Promise<IteratorResult<string>> {
    reader.setPrompt(prompt);
    reader.prompt();
    if (!secret || !terminal) return await Promise.race([lines.next(), stopped]);
    screen.hide(true);
    try {
      return await Promise.race([lines.next(), stopped]);
    } finally {
      screen.hide(false);
      say('');
    }
  }

  async function ask({ text, fallback, fault, secret = false }: WizardQuestion): Promise<string> {
    const prompt = fallback === undefined || fallback === '' ? `${text}: ` : `${text} [${fallback}]: `;
    for (;;) {
      const next = await read(prompt, secret);
      if (next.done) throw new SaharaError('cancelled');
      const line = next.value.trim();
      const answer = line === '' ? fallback : line;
      const wrong = answer === undefined ? 'An answer is needed.' : await fault?.(answer);
      if (answer !== undefined && wrong === undefined) return answer;
      say(`  ${wrong}`);
    }
  }

  return {
    ask,
    async choose(text, choices) {
      say(text);
      for (const [i, { name, about }] of choices.entries()) say(`  ${i + 1}  ${name.padEnd(18)}${about}`);
      const found = (answer: string): (typeof choices)[number] | undefined =>
        choices[Number(answer) - 1] ?? choices.find(({ name }) => name === answer);
      const answer = await ask({
        text: 'Number or name',
        fallback: '1',
        fault: (given) => (found(given) ? undefined : `Choose one of 1 to ${choices.length}.`),
      });
      const choice = found(answer);
      if (choice === undefined) throw new SaharaError('cancelled');
      return choice;
    },
    close: () => reader.close(),
  };
}

/** What readline draws on: `output`, of which nothing is written while it is hidden. */
function createScreen(output: Writable): { readonly stream: Writable; hide(hidden: boolean): void } {
  let hidden = false;
  const stream = new Writable({
    write(data, _encoding, done) {
      if (!hidden) output.write(data);
      done();
    },
  });
  // Readline breaks long lines by the width that it finds here.
  Object.defineProperty(stream, 'columns', { get: () => ('columns' in output ? output.columns : undefined) });
  return {
    stream,
    hide: (now) => {
      hidden = now;
    },
  };
}
