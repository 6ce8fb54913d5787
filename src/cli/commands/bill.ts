/** `bill`: what a call and every call below it cost, proved from the evidence alone. */
import { formatDecimal } from '../../base/amount.ts';
import { toHex } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { type BilledCall, billLines } from '../../protocol/bill.ts';
import type { BundleSummary } from '../../protocol/bundle-summary.ts';
import type { PriceSchedule } from '../../protocol/card.ts';
import { didOf } from '../../protocol/ids.ts';
import { nativeSuite } from '../../protocol/suite-native.ts';
import { verifyBundle } from '../../protocol/verify-bundle.ts';
import type { App, CommandGroup } from '../app.ts';
import { EVIDENCE_ARGUMENT, readEvidence } from '../evidence.ts';
import { amount, showTable } from '../show.ts';
import { clip, plural, shortDid } from '../terminal.ts';

/** The bill of a call. */
export const billCommands: CommandGroup = (program, run) => {
  program
    .command('bill')
    .description('what a call and every call below it cost, item by item, proved from its evidence alone')
    .argument('<call>', EVIDENCE_ARGUMENT)
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara ask desk "What is a voucher?" --budget 0.02\n  $ sahara bill 3f2a',
    )
    .action(run(bill));
};

async function bill(app: App, name: string): Promise<void> {
  const verdict = verifyBundle(nativeSuite, await readEvidence(app, name));
  const { summary } = verdict;
  if (summary === undefined) {
    const failed = verdict.steps.find(({ ok }) => !ok);
    throw new SaharaError('bundle-invalid', { reason: `${failed?.check}: ${failed?.detail}` });
  }
  app.terminal.result(plain(summary), () => show(app, summary));
}

/** The bill without byte strings and big integers; amounts are grains. */
function plain({ callId, agentName, network, payer, bill: top }: BundleSummary): object {
  return { callId, agentName, network, payer, total: String(top.total), bill: item(top) };
}

function item(call: BilledCall): object {
  const { skill, finish, inputUnits, outputUnits, price, own, below, total } = call;
  return {
    callId: toHex(call.callId),
    agent: didOf(call.agent),
    operator: didOf(call.operator),
    payer: didOf(call.payer),
    skill: skill ?? null,
    finish,
    inputUnits,
    outputUnits,
    price: {
      perCall: String(price.perCall),
      perInputUnit: String(price.perInputUnit),
      perOutputUnit: String(price.perOutputUnit),
    },
    own: String(own),
    below: String(below),
    total: String(total),
    calls: call.children.map(item),
  };
}

function show(app: App, { callId, agentName, question, bill: top }: BundleSummary): void {
  const { terminal } = app;
  const lines = billLines(top);
  terminal.line(`Call ${callId.slice(0, 12)} to ${clip(agentName, 40)}: “${clip(question, 80)}”`);
  terminal.line();
  showTable(
    app,
    ['agent', 'skill', 'units', 'price', 'own', 'below', 'total'],
    lines.map((line) => [
      `${'  '.repeat(line.level)}${line.level === 0 ? clip(agentName, 32) : shortDid(didOf(line.agent))}`,
      clip(line.skill ?? '-', 24),
      `${line.inputUnits} + ${line.outputUnits}`,
      priceText(line.price),
      formatDecimal(line.own),
      formatDecimal(line.below),
      formatDecimal(line.total),
    ]),
  );
  terminal.line();
  const own = lines.reduce((sum, line) => sum + line.own, 0n);
  const made = lines.length === 1 ? 'no calls below it' : `${plural(lines.length - 1, 'call')} below it`;
  terminal.line(
    `${terminal.paint('green', 'Proved')}: ${amount(String(top.total))}, the sum of what ${plural(lines.length, 'call')} cost (${amount(String(own))}); ${made}.`,
  );
}

/** A price in SAHARA: of the call, of a unit asked and of a unit answered, as far as they are not 0. */
function priceText({ perCall, perInputUnit, perOutputUnit }: PriceSchedule): string {
  const units = [
    [perInputUnit, 'asked'],
    [perOutputUnit, 'said'],
  ] as const;
  const parts = units.filter(([price]) => price > 0n).map(([price, of]) => `${formatDecimal(price)}/${of}`);
  return [formatDecimal(perCall), ...parts].join(' + ');
}
