/** `agent test`: asks an agent what its manifest says that it has to answer. */
import type { AgentTestEvent } from '../../daemon/admin/types-agent.ts';
import { type App, type CommandGroup, usage } from '../app.ts';
import { clip, plural } from '../terminal.ts';

interface TrialOptions {
  readonly grounded: string;
}

/** Tries an agent; it goes below `agent`. */
export const agentTrialCommands: CommandGroup = (agent, run) => {
  agent
    .command('test')
    .description('ask an agent of this peer what its manifest says it can answer; costs nothing')
    .argument('<name>')
    .option('--grounded <percent>', 'least share of an answer that must rest on what it cites', '80')
    .addHelpText('after', '\nExample:\n  $ sahara agent test notes')
    .action(run(test));
};

async function test(app: App, name: string, options: TrialOptions): Promise<void> {
  const percent = Number(options.grounded);
  if (!/^\d{1,3}(\.\d{1,4})?$/.test(options.grounded) || percent > 100) {
    throw usage(`--grounded takes a percentage from 0 to 100, not "${options.grounded}"`);
  }
  const failed = await tryAgent(app, name, Math.round(percent * 10_000));
  if (failed > 0) process.exitCode = 1;
}

/** Tries an agent and shows what came of it. How many questions it failed is returned. */
export async function tryAgent(app: App, name: string, groundedMin: number): Promise<number> {
  const { terminal } = app;
  let failed = 0;
  let stop = terminal.progress(`Asking ${name}`);
  try {
    const events = app.client.stream('agent.test', { name, groundedMin }, { signal: app.signal });
    for await (const event of events) {
      stop();
      if (terminal.json) terminal.line(JSON.stringify(event));
      else if (event.type === 'test') showTest(app, event);
      if (event.type === 'total') {
        failed = event.failed;
        if (!terminal.json) showTotal(app, event);
      } else stop = terminal.progress(`Asking ${name}`);
    }
  } finally {
    stop();
  }
  return failed;
}

function showTest({ terminal }: App, event: Extract<AgentTestEvent, { type: 'test' }>): void {
  terminal.line(
    `${event.passed ? terminal.paint('green', 'passed') : terminal.paint('red', 'FAILED')}  ${event.question}`,
  );
  if (event.answer !== undefined && event.answer !== '') {
    terminal.line(`        ${terminal.paint('dim', clip(event.answer.replace(/\s+/g, ' '), 120))}`);
  }
  for (const fault of event.faults) terminal.line(`        ${fault}`);
  if (event.documents === undefined || event.documents.length === 0) return;
  const grounded = `${Math.floor((event.groundedPpm ?? 0) / 10_000)} % grounded`;
  terminal.line(`        ${grounded}, from ${clip(event.documents.join(', '), 80)}, ${event.tookMs ?? 0} ms`);
}

function showTotal({ terminal }: App, { passed, failed }: Extract<AgentTestEvent, { type: 'total' }>): void {
  const all = plural(passed + failed, 'question');
  terminal.line(failed === 0 ? `${all}, all as they should be.` : `${all}, ${failed} not as they should be.`);
}
