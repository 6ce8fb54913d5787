/** `audit`: one file that proves what the ledger says of a call, an asset or a DID. */
import { writeFile } from 'node:fs/promises';
import { nativeSuite } from '../../protocol/suite-native.ts';
import type { Expectation } from '../../protocol/verdict.ts';
import { type AuditVerdict, verifyAudit } from '../../protocol/verify-audit.ts';
import type { App, CommandGroup } from '../app.ts';
import { showCheckpoint, showOwnCheckpoint } from '../checkpoint.ts';
import { clip, printable } from '../terminal.ts';

/** Longest sentence of an audit that is shown, characters. */
const SENTENCE_MAX = 600;

/** Files that prove what the ledger says. */
export const auditCommands: CommandGroup = (program, run) => {
  program
    .command('audit')
    .description('write one file that proves what the ledger says of a call, an asset or a DID')
    .argument('<of>', 'first characters of a receipt of yours; an asset; or a DID')
    .option('-o, --out <file>', 'where to', 'sahara.audit')
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara audit handbook --out handbook.audit\n  $ sahara verify handbook.audit',
    )
    .action(run(write));
};

async function write(app: App, of: string, { out }: { readonly out: string }): Promise<void> {
  const reply = await app.client.call('audit', { of }, { signal: app.signal });
  const file = new Uint8Array(Buffer.from(reply.audit, 'base64'));
  await writeFile(out, file);
  app.terminal.result({ about: reply.about, height: reply.height, sizeBytes: file.length, file: out }, () => {
    app.terminal.line(
      `Wrote ${out}: ${file.length} bytes that prove the ${reply.about} at block ${reply.height}. Anybody can check it:  sahara verify ${out}`,
    );
    showOwnCheckpoint(app, file, out);
  });
}

/** Says in sentences what an audit file proves and what it does not. */
export function showAudit(
  app: App,
  file: Uint8Array,
  options: { readonly name: string; readonly expected: Expectation },
): void {
  const { terminal } = app;
  const { name, expected } = options;
  const verdict = verifyAudit(nativeSuite, file, expected);
  terminal.result(verdict, () => {
    showVerdict(app, verdict, name);
    if (!verdict.ok && expected.through === undefined) showCheckpoint(app, file, name);
  });
  if (!verdict.ok) process.exitCode = 1;
}

function showVerdict({ terminal }: App, { steps, summary }: AuditVerdict, name: string): void {
  for (const { check, ok, detail } of steps) {
    const mark = ok ? terminal.paint('green', '✓') : terminal.paint('red', '✗');
    terminal.line(`${mark} ${check.padEnd(12)} ${clip(detail, 100)}`);
  }
  terminal.line();
  if (summary === undefined) {
    const why = steps.find(({ ok }) => !ok)?.detail ?? 'a check failed';
    terminal.line(`${terminal.paint('red', 'Not proved')}: ${printable(why)}.`);
    return;
  }
  terminal.line(`${terminal.paint('green', 'Proved')}, as of block ${summary.height} of ${summary.network}:`);
  for (const line of summary.proven) terminal.line(`  ${clip(line, SENTENCE_MAX)}`);
  terminal.line(`${terminal.paint('dim', 'Not proved')} by ${name}:`);
  for (const line of summary.unproven) terminal.line(`  ${clip(line, SENTENCE_MAX)}`);
}
