import { must } from './evidence.ts';
import { type Offer, offerFault, offer as offerSchema } from './offer.ts';
import { checkSigned, type Signed } from './signing.ts';
import type { Suite } from './suite.ts';
import { inputUnits } from './units.ts';
import type { ReceiptContext } from './verify-receipt.ts';

/** The offer that prices a call, checked against the call and its card. Throws `bundle-invalid`, `malformed`. */
export function checkOffer(suite: Suite, context: ReceiptContext, message: Signed): Offer {
  const { network, card, cardHash, envelope, request } = context;
  const made = offerSchema.decode(message.payload);
  const fault = checkSigned(suite, network, 'offer', card.agent, message);
  must(fault === undefined, 'the offer is not signed by the agent');
  const wrong = offerFault(made, {
    network,
    payer: envelope.from,
    card,
    cardHash,
    skill: request.skill,
    inputUnits: inputUnits(request),
    issuedAtMs: envelope.issuedAtMs,
  });
  must(wrong === undefined, `the offer does not hold: ${wrong}`);
  must(request.outputUnitsMax <= made.outputUnitsMax, 'more units were asked for than the offer holds for');
  return made;
}
