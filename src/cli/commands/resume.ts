/** `resume`: goes on with a call that a crash or a broken connection left open, here or at another peer. */
import { readFile, writeFile } from 'node:fs/promises';
import { SaharaError } from '../../base/errors.ts';
import type { ResumeInput } from '../../daemon/admin/methods.ts';
import type { App, CommandGroup } from '../app.ts';
import { shortId } from '../terminal.ts';
import { keepEvidence, showAnswer } from './ask.ts';

interface ResumeOptions {
  readonly ticket?: string;
  readonly saveTicket?: string;
  readonly receipt?: string;
  readonly stop?: boolean;
}

/** Going on with calls. */
export const resumeCommands: CommandGroup = (program, run) => {
  program
    .command('resume')
    .description(
      'go on with a call that was left over; its answer comes from the first word, and is paid once',
    )
    .argument('[call]', 'first characters of its id; the newest one when left out')
    .option('--ticket <file>', 'a call of another peer with the same operator key')
    .option('--save-ticket <file>', 'only save what another peer needs to go on with it')
    .option('--receipt <file>', 'also save the evidence bundle here')
    .option('--stop', 'only to stop it: what was delivered is paid, nothing else')
    .addHelpText('after', '\nExample:\n  $ sahara resume 3f9a --receipt call.bundle')
    .action(run(resume));
};

async function resume(app: App, call: string | undefined, options: ResumeOptions): Promise<void> {
  const { terminal, client, signal } = app;
  if (options.saveTicket !== undefined) {
    const { callId, ticket } = await client.call('resume.ticket', { callId: call ?? '' }, { signal });
    await writeFile(options.saveTicket, Buffer.from(ticket, 'base64'), { mode: 0o600 });
    terminal.note(
      `Saved call ${shortId(callId)} to ${options.saveTicket}. Who has the file can read the question.`,
    );
    return;
  }
  const input: ResumeInput = {
    ...(call !== undefined && { callId: call.toLowerCase() }),
    ...(options.ticket !== undefined && { ticket: await readTicketFile(options.ticket) }),
    ...(options.stop === true && { stop: true }),
  };
  const { end } = await showAnswer(app, client.stream('resume', input, { signal }));
  await keepEvidence(app, end, options.receipt);
}

async function readTicketFile(file: string): Promise<string> {
  try {
    return (await readFile(file)).toString('base64');
  } catch (cause) {
    throw new SaharaError('file-missing', { path: file }, { cause });
  }
}
