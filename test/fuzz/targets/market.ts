/** What strangers gossip and hand in on the market: requests for offers, offers, and observations of calls. */
import { SaharaError } from '../../../src/base/errors.ts';
import { createMeasures } from '../../../src/mesh/measures.ts';
import { createObservationRules } from '../../../src/mesh/observation-rules.ts';
import { createOfferRules } from '../../../src/mesh/offer-rules.ts';
import { expectedPrice, scoreOf } from '../../../src/mesh/offer-score.ts';
import { OFFER_BYTES_MAX } from '../../../src/protocol/limits.ts';
import { observation } from '../../../src/protocol/observation.ts';
import { offerFault, offerRequest, offer as offerSchema } from '../../../src/protocol/offer.ts';
import { receipt } from '../../../src/protocol/payment.ts';
import { signed } from '../../../src/protocol/signing.ts';
import * as sample from '../../protocol/sample.ts';
import { sampleBytes } from '../../protocol/samples.ts';
import type { Random } from '../random.ts';
import { changedRecord } from '../records.ts';
import { checkWeight, decodeStrictly, holds, type TargetMaker } from '../target.ts';

const now = { wallMs: sample.NOW_MS, monotonicMs: 0 };
const samplesOf = (wanted: string): readonly Uint8Array[] =>
  sampleBytes()
    .filter(({ name }) => name === wanted)
    .map(({ encoded }) => encoded);
const cardHash = sample.suite.sha256(signed.encode(sample.tell(sample.sampleStory()).card));

function takeRequest(input: Uint8Array): void {
  const said = decodeStrictly(offerRequest, input);
  const rules = createOfferRules({ network: sample.network });
  if (rules.judge(said, said.peerId, now) !== 'accept') throw new SaharaError('malformed');
  holds(rules.mark(said, now), 'a request is answered');
  holds(!rules.mark(said, now), 'a request is answered once');
  holds(rules.judge(said, said.peerId, now) === 'ignore', 'a known request goes no further');
}

function takeOffer(input: Uint8Array): void {
  const made = decodeStrictly(offerSchema, input);
  const reason = offerFault(made, {
    network: sample.network,
    payer: sample.payer.publicKey,
    card: sample.sampleCard,
    cardHash,
    skill: 'answer',
    inputUnits: 10,
    issuedAtMs: sample.NOW_MS,
  });
  const wish = { inputUnits: 10, outputUnits: 100, ceiling: 1_000_000n, deadlineMs: 30_000 };
  const score = scoreOf({ offer: made, measured: undefined }, wish);
  holds(score >= 0 && score <= 1, `a score is between 0 and 1, not ${score}`);
  if (reason !== undefined) throw new SaharaError('offer-invalid', { reason });
  const { price } = sample.sampleCard;
  const published = expectedPrice({ ...made, price }, wish);
  holds(expectedPrice(made, wish) <= published, 'an offer is not dearer than its card');
}

function takeObservation(input: Uint8Array): void {
  const seen = decodeStrictly(observation, input);
  const said = receipt.decode(seen.receipt.payload);
  const rules = createObservationRules({ network: sample.network });
  const around = { author: 'somebody', now, isHost: () => true };
  if (rules.judge(seen, said, around) !== 'accept') throw new SaharaError('malformed');
  rules.mark(said, now);
  holds(rules.judge(seen, said, around) === 'ignore', 'a call is told of once');
  const measures = createMeasures({ clock: { monotonicMs: () => 0 } });
  measures.put(seen, said, { stake: 10n, own: false });
  checkWeight(measures.of(said.agent, seen.peerId), input.length);
}

const requests = samplesOf('offer-request').map((encoded) => {
  const said = offerRequest.decode(encoded);
  const addresses = said.addresses.map((address) => `${address}/p2p/${said.peerId}`);
  return offerRequest.encode({ ...said, addresses });
});
const offers = samplesOf('offer').map((encoded) =>
  offerSchema.encode({ ...offerSchema.decode(encoded), cardHash }),
);

const PLAIN: readonly {
  readonly name: string;
  readonly corpus: readonly Uint8Array[];
  readonly take: (input: Uint8Array) => void;
}[] = [
  { name: 'market-request', corpus: requests, take: takeRequest },
  { name: 'market-offer', corpus: offers, take: takeOffer },
  { name: 'market-observation', corpus: samplesOf('observation'), take: takeObservation },
];

/** The market. */
export const MARKET_TARGETS: readonly TargetMaker[] = PLAIN.map(({ name, corpus, take }) => ({
  name,
  create: () => ({
    name,
    sizeBytesMax: OFFER_BYTES_MAX,
    corpus,
    bend: (seed: Uint8Array, random: Random) => changedRecord(seed, random, corpus),
    take,
  }),
}));
