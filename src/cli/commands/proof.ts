/** `verify` and `explain`: proof without a network, and the arithmetic in words. */
import { readFile, writeFile } from 'node:fs/promises';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import { looksLikeAudit } from '../../protocol/audit.ts';
import { billLines, readTree } from '../../protocol/bill.ts';
import { type Bundle, readBundle } from '../../protocol/bundle.ts';
import type { BundleSummary } from '../../protocol/bundle-summary.ts';
import { envelope } from '../../protocol/envelope.ts';
import { explainBill, explainReceipt } from '../../protocol/explain.ts';
import { receipt } from '../../protocol/payment.ts';
import { nativeSuite } from '../../protocol/suite-native.ts';
import type { Expectation } from '../../protocol/verdict.ts';
import { readAnswer } from '../../protocol/verify-answer.ts';
import { type BundleVerdict, verifyBundle } from '../../protocol/verify-bundle.ts';
import type { Decision } from '../../protocol/verify-consensus.ts';
import type { App, CommandGroup } from '../app.ts';
import { checkpointIn, showCheckpoint, showOwnCheckpoint } from '../checkpoint.ts';
import { EVIDENCE_ARGUMENT, readEvidence } from '../evidence.ts';
import { blockIn, blockName } from '../named-block.ts';
import { amount } from '../show.ts';
import { clip, printable, shortId } from '../terminal.ts';
import { showAudit } from './audit.ts';

/** Longest place of a fault that is shown, characters. */
const DETAIL_MAX = 240;

/** What a settlement that validators decided on rests on. */
const TRUSTED =
  'That rests on the validators with whom the network began, to whom its name commits, and on those who followed them: that no third of them ever signed anything false, also after they had left. To rest it on those of a later block, name one that you know: --through HEIGHT:HASH.';

interface RecomputeReport {
  readonly steps: readonly { readonly check: string; readonly ok: boolean; readonly detail: string }[];
  readonly notRepeated?: string;
}

interface VerifyOptions {
  readonly recompute?: boolean;
  readonly manifest?: string;
  readonly network?: string;
  readonly through?: string;
}

/** Proof without a network. */
export const proofCommands: CommandGroup = (program, run) => {
  program
    .command('verify')
    .description(
      'prove a call from its evidence, or what an audit file says, from the file alone: no daemon, no network',
    )
    .argument('<bundle>', EVIDENCE_ARGUMENT)
    .option('--network <name>', 'full name of the network that it must be of')
    .option(
      '--through <height:hash>',
      'a block of consensus that you know: what validators decided has to be proved by way of it',
    )
    .option('--recompute', 'also repeat who earned and, with the vaults of a running daemon, the answer')
    .option('--manifest <file>', "with --recompute: the agent's manifest, where it is not hosted here")
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara ask guide "What is a voucher?" --receipt call.bundle\n  $ sahara verify call.bundle',
    )
    .action(run(verify));
  program
    .command('explain')
    .description('the arithmetic of a receipt in words')
    .argument('<bundle>', EVIDENCE_ARGUMENT)
    .addHelpText('after', '\nExample:\n  $ sahara explain 3f2a')
    .action(run(explain));
  program
    .command('bundle')
    .description('save the evidence of one of your calls, with its settlement once there is one')
    .argument('<receipt>', 'first characters of its id')
    .argument('<file>', 'where to')
    .addHelpText('after', '\nExample:\n  $ sahara bundle 3f2a call.bundle')
    .action(run(save));
};

async function verify(app: App, name: string, options: VerifyOptions): Promise<void> {
  const expected = expectationOf(options);
  const file = await readEvidence(app, name);
  if (looksLikeAudit(file)) {
    showAudit(app, file, { name, expected });
    return;
  }
  const verdict = verifyBundle(nativeSuite, file, expected);
  const again = verdict.ok && options.recompute ? await recompute(app, file, options.manifest) : undefined;
  app.terminal.result({ ...plain(verdict), ...(again && { recomputed: again }) }, () => {
    show(app, verdict, name);
    if (!verdict.ok && expected.through === undefined) showCheckpoint(app, file, name);
    if (again !== undefined) showRecomputed(app, again);
  });
  if (!verdict.ok || again?.steps.some(({ ok }) => !ok)) process.exitCode = 1;
}

/** What a file is held against. Throws `usage`. */
function expectationOf({ network, through }: VerifyOptions): Expectation {
  return {
    ...(network !== undefined && { network }),
    ...(through !== undefined && { through: blockIn('--through', through) }),
  };
}

/** Repeats who earned from the file, and the answer where a daemon runs that has the vaults. */
async function recompute(app: App, file: Uint8Array, path: string | undefined): Promise<RecomputeReport> {
  const manifest = path === undefined ? undefined : await manifestText(path);
  // Vaults and backends are only loaded by who repeats something.
  const { recomputeFile } = await import('../../daemon/recompute.ts');
  const steps = recomputeFile({ file, manifest });
  if (!steps.every(({ ok }) => ok)) return { steps };
  const input = { bundle: Buffer.from(file).toString('base64'), ...(manifest !== undefined && { manifest }) };
  try {
    const reply = await app.client.call('receipts.recompute', input, { signal: app.signal });
    return { ...reply, steps: [...steps, ...reply.steps] };
  } catch (error) {
    if (asSaharaError(error).code !== 'daemon-not-running') throw error;
    return { steps, notRepeated: 'no daemon runs here whose vaults could repeat it' };
  }
}

async function manifestText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new SaharaError('file-missing', { path }, { cause: error });
  }
}

function showRecomputed({ terminal }: App, { steps, notRepeated }: RecomputeReport): void {
  terminal.line();
  for (const { check, ok, detail } of steps) {
    const mark = ok ? terminal.paint('green', '✓') : terminal.paint('red', '✗');
    terminal.line(`${mark} ${check.padEnd(11)} ${clip(detail, DETAIL_MAX)}`);
  }
  const failed = steps.find(({ ok }) => !ok);
  const verdict = failed
    ? terminal.paint('red', 'Not what comes out')
    : terminal.paint('green', 'Recomputed');
  terminal.line(
    failed ? `${verdict}: ${clip(failed.detail, DETAIL_MAX)}.` : `${verdict}: all comes out the same.`,
  );
  if (steps.some(({ check }) => check === 'shares') && !steps.some(({ check }) => check === 'manifest'))
    terminal.line(
      'How the charge is split is as the agent states it: its manifest is not here (--manifest FILE).',
    );
  if (notRepeated !== undefined) terminal.line(`The answer itself was not repeated: ${notRepeated}.`);
}

/** The verdict without byte strings and big integers. */
function plain(verdict: BundleVerdict): object {
  const { summary } = verdict;
  return {
    ok: verdict.ok,
    steps: verdict.steps,
    ...(summary && {
      network: summary.network,
      callId: summary.callId,
      agent: summary.agent,
      operator: summary.operator,
      payer: summary.payer,
      question: summary.question,
      answer: summary.answer.text,
      amount: String(summary.receipt.amount),
      expenses: String(summary.receipt.expenses),
      calls: billLines(summary.bill).length,
      shares: summary.shares.map((share) => ({
        role: share.role,
        amount: String(share.amount),
        ppm: share.ppm,
        contributors: share.contributors,
      })),
      ...(summary.settlement && {
        settlement: settlementOf(summary.settlement),
      }),
    }),
  };
}

function settlementOf({ decision, chargeTotal, ...rest }: NonNullable<BundleSummary['settlement']>): object {
  const { power, powerOfAll, ...counts } = decision ?? {};
  return {
    ...rest,
    chargeTotal: String(chargeTotal),
    ...(decision && { decision: { ...counts, power: String(power), powerOfAll: String(powerOfAll) } }),
  };
}

function show({ terminal }: App, verdict: BundleVerdict, name: string): void {
  for (const step of verdict.steps) {
    const mark = step.ok ? terminal.paint('green', '✓') : terminal.paint('red', '✗');
    terminal.line(`${mark} ${step.check.padEnd(11)} ${clip(step.detail, 100)}`);
  }
  terminal.line();
  const { summary } = verdict;
  if (summary === undefined) {
    const failed = verdict.steps.find(({ ok }) => !ok);
    const why = failed?.check === 'bundle' ? `${name} is no evidence bundle` : failed?.detail;
    terminal.line(`${terminal.paint('red', 'Not proved')}: ${printable(why ?? 'a check failed')}.`);
    return;
  }
  const settled = summary.settlement
    ? `${summary.settlement.by === 'payment' ? 'paid by one transaction' : 'settled'} in block ${summary.settlement.height}${decidedBy(summary.settlement.decision)}`
    : summary.receipt.amount === 0n
      ? 'free'
      : 'not settled yet';
  terminal.line(
    `${terminal.paint('green', 'Proved')}: ${clip(summary.agentName, 40)} answered “${clip(summary.question, 80)}” for ${amount(String(summary.receipt.amount))}, ${settled}.`,
  );
  if (summary.settlement?.decision !== undefined) terminal.line(TRUSTED);
}

function decidedBy(decision: Decision | undefined): string {
  if (decision === undefined) return '';
  const { signed, voters, power, powerOfAll } = decision;
  return `, on which ${signed} of ${voters} validators decided, who count ${power} of ${powerOfAll}`;
}

/** Reads a bundle. Throws `bundle-invalid` for a file that is none. */
function bundleOf(name: string, file: Uint8Array): Bundle {
  try {
    return readBundle(file);
  } catch (error) {
    if (asSaharaError(error).code !== 'malformed') throw error;
    throw new SaharaError('bundle-invalid', { reason: `${name} is no evidence bundle` }, { cause: error });
  }
}

async function explain(app: App, name: string): Promise<void> {
  const evidence = bundleOf(name, await readEvidence(app, name));
  const final = receipt.decode(evidence.ending.receipt.payload);
  const { children } = readAnswer(nativeSuite, final.callId, evidence.deliveries);
  const top = { envelope: envelope.decode(evidence.opening.envelope.payload), receipt: final };
  const lines = [...explainReceipt(final), ...explainBill(readTree(top, children).bill)];
  app.terminal.result({ lines }, () => {
    for (const line of lines) app.terminal.line(line);
  });
  app.terminal.note(`Explained, not proved. Prove it:  sahara verify ${name}`);
}

async function save(app: App, name: string, file: string): Promise<void> {
  const reply = await app.client.call('receipts.bundle', { callId: name }, { signal: app.signal });
  const evidence = new Uint8Array(Buffer.from(reply.bundle, 'base64'));
  await writeFile(file, evidence);
  const checkpoint = checkpointIn(evidence);
  app.terminal.result(
    { callId: reply.callId, file, ...(checkpoint && { through: blockName(checkpoint) }) },
    () => {
      app.terminal.line(`Saved the evidence of ${shortId(reply.callId)} to ${file}.`);
      showOwnCheckpoint(app, evidence, file);
    },
  );
}
