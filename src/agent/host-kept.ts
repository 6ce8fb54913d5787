/** What is kept of a call to go on after a restart, and what is read from it. */
import { CALL_FRAME } from '../protocol/call.ts';
import { checkpoint } from '../protocol/checkpoint.ts';
import { signed } from '../protocol/signing.ts';
import type { CallTerms, ReadOpening } from './admission.ts';
import type { CallFrame } from './ports.ts';
import type { CallHead, KeptCall } from './running-calls.ts';

/** What a call began with, to be kept. */
export function headOf(
  { bytes, envelope }: Pick<ReadOpening, 'bytes' | 'envelope'>,
  { terms, startedAtMs }: { readonly terms: CallTerms; readonly startedAtMs: number },
  peerId: string,
): CallHead {
  const { hosted, ...priced } = terms;
  const { card, cardHash } = hosted;
  return { ...priced, callId: envelope.id, opening: bytes, peerId, startedAtMs, card, cardHash };
}

/** The frame of the checkpoint that was kept. */
export function checkpointOf({ at }: KeptCall): CallFrame {
  return { kind: CALL_FRAME.checkpoint, body: signed.encode(at.checkpoint) };
}

/** What calls below had cost at the checkpoint, grains. */
export function expensesOf({ at }: KeptCall): bigint {
  return checkpoint.decode(at.checkpoint.payload).expenses;
}
