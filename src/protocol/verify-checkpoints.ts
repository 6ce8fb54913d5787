/** Checks of the statements that an agent made while it was being paid: each must be a beginning of the whole. */
import { equalBytes } from '../base/bytes.ts';
import type { Delivery } from './bundle.ts';
import { CALL_FRAME, chainNext, chainStart, delta } from './call.ts';
import { type Checkpoint, callChild, checkpoint } from './checkpoint.ts';
import { envelope } from './envelope.ts';
import { must, mustMatch } from './evidence.ts';
import type { Hash } from './ids.ts';
import { chargeOf, costOf, type Receipt, receipt } from './payment.ts';
import type { Signed } from './signing.ts';
import type { Suite } from './suite.ts';
import { UnitCounter } from './units.ts';

/** What a call had delivered and cost at one moment. */
interface Standing {
  readonly chain: Hash;
  readonly outputUnits: number;
  readonly expenses: bigint;
}

/**
 * Checks the payloads of a call's checkpoints against its receipt and what was delivered; signatures are checked by
 * who calls. Throws `bundle-invalid` or `malformed`.
 */
export function checkCheckpoints(
  suite: Suite,
  final: Receipt,
  evidence: { readonly checkpoints: readonly Signed[]; readonly deliveries: readonly Delivery[] },
): void {
  if (evidence.checkpoints.length === 0) return;
  const standings = standingsOf(suite, final, evidence.deliveries);
  let before = 0n;
  for (const [index, { payload }] of evidence.checkpoints.entries()) {
    const stated = checkpoint.decode(payload);
    checkOne(stated, { index, final, standing: standings[stated.deliveries] });
    must(stated.amount >= before, `checkpoint ${index} is below the one before`);
    before = stated.amount;
  }
}

function checkOne(
  stated: Checkpoint,
  known: { readonly index: number; readonly final: Receipt; readonly standing: Standing | undefined },
): void {
  const { index, final, standing } = known;
  must(stated.network === final.network, `checkpoint ${index} is of another network`);
  mustMatch(stated.callId, final.callId, `checkpoint ${index} is of another call`);
  mustMatch(stated.channel, final.channel, `checkpoint ${index} is of another channel`);
  must(stated.sequence === index, `checkpoint ${index} carries the number ${stated.sequence}`);
  must(standing !== undefined, `checkpoint ${index} covers more than was delivered`);
  mustMatch(stated.chain, standing.chain, `checkpoint ${index} is over other deliveries`);
  must(stated.inputUnits === final.inputUnits, `checkpoint ${index} counts another question`);
  must(stated.outputUnits === standing.outputUnits, `checkpoint ${index} counts other units`);
  must(stated.expenses === standing.expenses, `checkpoint ${index} counts other calls`);
  const due = chargeOf(final.price, stated.inputUnits, stated.outputUnits) + stated.expenses;
  must(stated.amount === due, `${due} grains are due at checkpoint ${index}`);
}

/** Where the call stood after each number of deliveries. */
function standingsOf(suite: Suite, final: Receipt, deliveries: readonly Delivery[]): readonly Standing[] {
  const units = new UnitCounter();
  let chain = chainStart(suite, final.callId);
  let expenses = 0n;
  const standings: Standing[] = [{ chain, outputUnits: 0, expenses }];
  for (const { kind, body } of deliveries) {
    chain = chainNext(suite, chain, kind, body);
    if (kind === CALL_FRAME.delta) units.push(delta.decode(body).text);
    if (kind === CALL_FRAME.child) expenses += expenseOf(body, final);
    standings.push({ chain, outputUnits: units.count, expenses });
  }
  return standings;
}

function expenseOf(body: Uint8Array, final: Receipt): bigint {
  const child = callChild.decode(body);
  const { context } = envelope.decode(child.envelope.payload);
  const direct = context?.parent !== undefined && equalBytes(context.parent, final.callId);
  return direct ? costOf(receipt.decode(child.receipt.payload)) : 0n;
}
