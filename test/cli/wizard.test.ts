import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { SaharaError } from '../../src/base/errors.ts';
import { createWizard, type Wizard } from '../../src/cli/wizard.ts';

interface Seat {
  readonly wizard: Wizard;
  readonly input: PassThrough;
  readonly stop: AbortController;
  /** What was shown so far. */
  readonly shown: () => string;
}

/** A wizard whose user has typed `lines`. */
function seat(...lines: readonly string[]): Seat {
  return seatAt(new PassThrough(), lines);
}

function seatAt(input: PassThrough, lines: readonly string[] = []): Seat {
  const [output, stop] = [new PassThrough(), new AbortController()];
  let shown = '';
  output.on('data', (data) => {
    shown += String(data);
  });
  for (const line of lines) input.write(`${line}\n`);
  const wizard = createWizard({ input, output }, { signal: stop.signal });
  return { wizard, input, stop, shown: () => shown };
}

const codeOf = (asking: Promise<unknown>): Promise<unknown> =>
  asking.then(
    () => 'none',
    (error: unknown) => (error instanceof SaharaError ? error.code : error),
  );

describe('the wizard', () => {
  it('takes answers in turn, and what an empty line means', async () => {
    const { wizard, shown } = seat('  bees ', '', 'last');
    expect(await wizard.ask({ text: 'Its name' })).toBe('bees');
    expect(await wizard.ask({ text: 'Price', fallback: '0.001' })).toBe('0.001');
    expect(await wizard.ask({ text: 'More', fallback: '' })).toBe('last');
    expect(shown()).toContain('Price [0.001]: ');
    wizard.close();
  });

  it('asks again, saying what was wrong', async () => {
    const { wizard, shown } = seat('', 'BAD', 'good');
    const fault = (answer: string): string | undefined =>
      answer === 'good' ? undefined : 'Only good will do.';
    expect(await wizard.ask({ text: 'Word', fault })).toBe('good');
    expect(shown()).toContain('An answer is needed.');
    expect(shown()).toContain('Only good will do.');
    wizard.close();
  });

  it('takes one of a list by its number or its name', async () => {
    const choices = [
      { name: 'tea', about: 'leaves' },
      { name: 'coffee', about: 'beans' },
    ];
    const { wizard } = seat('2', 'tea', '', '9', 'coffee');
    expect((await wizard.choose('Which?', choices)).name).toBe('coffee');
    expect((await wizard.choose('Which?', choices)).name).toBe('tea');
    expect((await wizard.choose('Which?', choices)).name).toBe('tea');
    expect((await wizard.choose('Which?', choices)).name).toBe('coffee');
    wizard.close();
  });

  it('shows nothing of a secret, now or later, and all of what comes after it', async () => {
    const { wizard, input, shown } = seatAt(Object.assign(new PassThrough(), { isTTY: true }));
    const fault = (answer: string): string | undefined =>
      answer.startsWith('token') ? undefined : 'That is no token.';
    const secret = wizard.ask({ text: 'Token', fault, secret: true });
    for (const key of 'hunter2\r') input.write(key);
    await expect.poll(shown).toContain('That is no token.');
    for (const key of 'token-one\r') input.write(key);
    expect(await secret).toBe('token-one');
    const name = wizard.ask({ text: 'Name' });
    const arrowUp = '\x1b[A';
    for (const keys of [arrowUp, ...'bees\r']) input.write(keys);
    expect(await name).toBe('bees');
    const text = stripVTControlCharacters(shown());
    expect(text).toContain('Token: ');
    expect(text).toContain('Name: bees');
    expect(text).not.toMatch(/hunter|token-one/);
    wizard.close();
  });

  it('ends where the input ends, and when it is stopped', async () => {
    const over = seat('one');
    over.input.end();
    expect(await over.wizard.ask({ text: 'First' })).toBe('one');
    expect(await codeOf(over.wizard.ask({ text: 'Second' }))).toBe('cancelled');
    const stopped = seat();
    const asking = codeOf(stopped.wizard.ask({ text: 'Anything' }));
    stopped.stop.abort();
    expect(await asking).toBe('cancelled');
    stopped.wizard.close();
  });
});
