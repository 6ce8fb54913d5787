/**
 * A question that one transaction pays: no channel, one host, one id. What would not be answered is refused before
 * anything is paid; what was paid and not answered is asked again under the same id (`sahara resume`).
 */
import { toHex } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { card as cardSchema } from '../protocol/card.ts';
import type { AskInput } from './admin/methods.ts';
import type { AskEvent } from './admin/types.ts';
import { askEndOf, askEventOf } from './ask-events.ts';
import type { AskingParts } from './asking.ts';
import { findAgent, isNameOf, targetOf } from './finding.ts';
import { agentEvent, priceMaxOf } from './seeking.ts';

/** Asks and tells what happens. Throws `payment-invalid` where one transaction cannot pay the call, and what asking throws. */
export async function* askOnce(
  parts: AskingParts,
  input: AskInput,
  signal: AbortSignal,
): AsyncGenerator<AskEvent, void> {
  const { clock, callers, agents } = parts;
  const startedAtMs = clock.monotonicMs();
  if (input.race === true) throw unpayable('only one host of the agent is asked');
  if (input.budget !== undefined) throw unpayable('it has a budget');
  const listing = await findAgent(parts, input.agent, signal);
  if (agents.ownTarget(listing.agent)) throw unpayable('the agent is your own and costs nothing');
  const target = await targetOf(parts, listing, signal);
  const card = cardSchema.decode(target.card.payload);
  const { question, context, skill, deadlineMs } = input;
  const call = callers.remote.ask(
    {
      ...{ target, question, priceMax: priceMaxOf({ parts, input }), payment: 'once' },
      ...(context !== undefined && { context }),
      ...(skill !== undefined && { skill }),
      ...(deadlineMs !== undefined && { deadlineMs }),
    },
    { signal },
  );
  try {
    yield { type: 'call', callId: toHex(call.callId) };
    yield agentEvent(card);
    for await (const event of call.events()) {
      const told = askEventOf(event);
      if (told !== undefined) yield told;
    }
    const result = await call.result;
    if (isNameOf(listing, input.agent)) await parts.knownNames.met(listing.name, listing.did);
    const end = await askEndOf(parts, card, result);
    yield { type: 'end', ...end, tookMs: Math.round(clock.monotonicMs() - startedAtMs) };
  } finally {
    // Who leaves early stops the agent.
    call.stop();
  }
}

function unpayable(reason: string): SaharaError {
  return new SaharaError('payment-invalid', { reason });
}
