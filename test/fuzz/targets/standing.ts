/** Questions about standing: what a peer sends to a host. */
import { openStanding } from '../../../src/agent/standing.ts';
import { answerStanding, askStanding } from '../../../src/agent/standing-service.ts';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import { createMemoryStore } from '../../../src/base/store.ts';
import { createTickSigner, createVerifier } from '../../../src/protocol/signing.ts';
import { STANDING_QUESTION_BYTES_MAX, standingAnswer } from '../../../src/protocol/standing.ts';
import { createSigner, nativeSuite as suite } from '../../../src/protocol/suite-native.ts';
import { changedRecord } from '../records.ts';
import type { Target, TargetMaker } from '../target.ts';

const NETWORK = 'test-0000000000000000';
const PEER = '12D3KooWQ5fN2yzvZh1Uq2q4mFmzKvGZzWYC8gDU9xBPm2Xb8uVt';
const clock: Clock = { ...systemClock, nowMs: () => 1_790_000_000_000 };

async function questionTarget(): Promise<Target> {
  const common = { suite, clock, network: NETWORK, peerId: PEER };
  const host = {
    ...common,
    verifier: createVerifier(suite),
    standing: await openStanding({ store: createMemoryStore(), clock }),
    limitsOf: () => ({ stranger: true, peer: [], caller: [] }),
  };
  const asker = {
    ...common,
    dice: { bytes: (length: number) => new Uint8Array(length).fill(1) },
    operator: createTickSigner({ suite, signer: createSigner(new Uint8Array(32).fill(1)), network: NETWORK }),
  };
  const corpus: Uint8Array[] = [];
  const request = (_peer: string, body: Uint8Array): Promise<Uint8Array> => {
    corpus.push(body);
    return answerStanding(host, body, PEER);
  };
  await askStanding({ ...asker, request }, PEER);
  return {
    name: 'standing-question',
    sizeBytesMax: STANDING_QUESTION_BYTES_MAX + 1,
    corpus,
    bend: changedRecord,
    async take(input) {
      standingAnswer.decode(await answerStanding(host, input, PEER));
    },
  };
}

/** Questions about standing. */
export const STANDING_TARGETS: readonly TargetMaker[] = [
  { name: 'standing-question', create: questionTarget },
];
