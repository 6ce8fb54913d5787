/** Questions to whoever sits at the terminal, one after the other, each with what it takes and what it defaults to. */
import { createInterface } from 'node:readline/promises';
import type { Readable, Writable } from 'node:stream';
import { SaharaError } from '../base/errors.ts';

/** One question. */
export interface WizardQuestion {
  readonly text: string;
  /** What an empty line means; without one an answer is needed. */
  readonly fallback?: string;
  /** What is wrong with an answer, if anything; it is asked again. */
  readonly fault?: (answer: string) => Promise<string | undefined> | string | undefined;
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
  const reader = createInterface({ input, output });
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

  async function ask({ text, fallback, fault }: WizardQuestion): Promise<string> {
    for (;;) {
      reader.setPrompt(fallback === undefined || fallback === '' ? `${text}: ` : `${text} [${fallback}]: `);
      reader.prompt();
      const next = await Promise.race([lines.next(), stopped]);
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
