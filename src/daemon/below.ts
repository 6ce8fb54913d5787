/**
 * How agents of this home ask others while they answer: found as a person's question would find them, paid from this
 * operator's channels, with the evidence kept beside that of calls made by hand.
 */

import type { CallRecords } from '../agent/call-records.ts';
import { createCaller } from '../agent/caller.ts';
import type { ChildCallsParts } from '../agent/child-calls.ts';
import { toHex } from '../base/bytes.ts';
import type { Directory } from '../mesh/directory.ts';
import { BUNDLE_FORMAT, bundle } from '../protocol/bundle.ts';
import { card as cardSchema } from '../protocol/card.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import type { AgentKeeper } from './agents.ts';
import { type ChannelParts, makeRoom } from './channels.ts';
import { findAgent, targetOf } from './finding.ts';
import { createCallsOut } from './gateway.ts';
import { partiesOf, proveKeys } from './key-proofs.ts';
import type { KnownNames } from './known-names.ts';
import type { PaymentPeers } from './payment-peers.ts';
import { saveReceipt } from './receipts.ts';

/** What agents ask others with. */
export interface BelowParts extends ChannelParts {
  readonly directory: Directory;
  readonly records: CallRecords;
  readonly paymentPeers: PaymentPeers;
  readonly knownNames: KnownNames;
}

/** What the agents of `agents` ask others with. */
export function createBelow(
  parts: BelowParts,
  agents: Pick<AgentKeeper, 'transport' | 'ownTarget'>,
): ChildCallsParts {
  const { verifier, clock, dice, network, operator, records, payer, log, home, choice } = parts;
  const common = { suite: nativeSuite, verifier, clock, dice, network, operator, records };
  const { workBitsDone: workBitsMax } = parts.config.calls;
  return {
    clock,
    log,
    caller: createCaller({ ...common, transport: createCallsOut(parts), payer }, { workBitsMax }),
    // The agents' own transport stands only once they do.
    own: createCaller({
      ...common,
      transport: { openCall: (peerId, options) => agents.transport.openCall(peerId, options) },
    }),
    async find(name, { signal }) {
      const listing = await findAgent(parts, name, signal);
      const own = agents.ownTarget(listing.agent);
      return { own: own !== undefined, target: own ?? (await targetOf(parts, listing, signal)) };
    },
    async makeRoom(payee, needed, options) {
      await makeRoom(parts, { payee, needed }, options);
    },
    async ended({ callId, evidence, receipt }, target) {
      const file = {
        format: BUNDLE_FORMAT,
        genesis: choice.genesis,
        ...evidence,
        settlement: undefined,
        keys: await proveKeys(parts, partiesOf(evidence), receipt.channel),
      };
      await saveReceipt(home.receipts, toHex(callId), bundle.encode(file));
      if (receipt.channel === undefined) return;
      await parts.paymentPeers.met(cardSchema.decode(target.card.payload).operator, target.peerId);
    },
  };
}
