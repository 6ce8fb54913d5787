import { toHex } from '../../src/base/bytes.ts';
import { type CallParent, callOpening, callRequest } from '../../src/protocol/call.ts';
import type { CallBudget, CallContext, Envelope } from '../../src/protocol/envelope.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import {
  certify,
  keyOf,
  type Made,
  makeTree,
  NETWORK,
  NOW_MS,
  type Plan,
  parentsOf,
  sign,
} from '../../test/calls/tree-maker.ts';
import type { Vectors } from './file.ts';

interface PlacedCase {
  readonly name: string;
  /** A `call-opening` in its wire form. */
  readonly opening: string;
}

interface RefusedCase extends PlacedCase {
  readonly code: string;
  /** Which part of the budget, for `budget-exceeded`. */
  readonly what?: string;
}

type Change = (sound: Envelope, index: number) => Envelope;

const request = callRequest.encode({
  cardHash: new Uint8Array(32),
  skill: 'answer',
  question: 'Who?',
  context: [],
  priceMax: 102n,
  cover: 0n,
  outputUnitsMax: 1,
  deadlineMs: 20_000,
  seed: undefined,
});

/** Agent i of operator i asks agent i + 1. */
function planOf(number: number, length: number): Plan {
  return {
    agent: number,
    operator: number,
    price: { perCall: 100n, perInputUnit: 1n, perOutputUnit: 1n },
    inputUnits: 1,
    outputUnits: 1,
    finish: 'done',
    skill: 'answer',
    free: false,
    slack: 0n,
    children: number < length ? [planOf(number + 1, length)] : [],
  };
}

interface Line {
  readonly made: readonly Made[];
  readonly parents: readonly CallParent[];
}

/** A line of calls, each below the one before. */
function lineOf(length: number, change: Change = (same) => same): Line {
  const top = makeTree(planOf(1, length), {
    envelope: (sound, { agent }) => {
      const bound = agent === length ? { ...sound, bodyHash: suite.sha256(request) } : sound;
      return change(bound, agent - 1);
    },
  });
  const made = [top, ...[...top.below].reverse()];
  return {
    made,
    parents: parentsOf(
      made,
      made.map((_, i) => i + 1),
    ),
  };
}

function openingOf({ made }: Line, parents: readonly CallParent[]): string {
  const last = made.at(-1) as Made;
  const plain = { voucher: undefined, offer: undefined, work: undefined };
  return toHex(callOpening.encode({ envelope: last.signedEnvelope, request, ...plain, parents }));
}

const inContext =
  (at: number, change: Partial<CallContext>): Change =>
  (sound, index) =>
    index === at && sound.context ? { ...sound, context: { ...sound.context, ...change } } : sound;

const granting =
  (at: number, change: Partial<CallBudget>): Change =>
  (sound, index) =>
    index === at && sound.context?.budget
      ? { ...sound, context: { ...sound.context, budget: { ...sound.context.budget, ...change } } }
      : sound;

const changed =
  (at: number, change: Partial<Envelope>): Change =>
  (sound, index) =>
    index === at ? { ...sound, ...change } : sound;

const other = new Uint8Array(16).fill(9);
const toFirst: Change = changed(2, { to: { kind: 'agent', name: keyOf('agent', 1).publicKey } });
const secondAgent = keyOf('agent', 2).publicKey;

type Shown = (parents: readonly CallParent[]) => readonly CallParent[];

const swapped =
  (at: number, change: (parent: CallParent) => CallParent): Shown =>
  (parents) =>
    parents.map((parent, i) => (i === at ? change(parent) : parent));

const forge = (parent: CallParent): CallParent => ({
  ...parent,
  envelope: sign(keyOf('payer', 9), 'call', parent.envelope.payload),
});
const unsign = (parent: CallParent): CallParent => ({
  ...parent,
  envelope: { ...parent.envelope, signature: new Uint8Array(0) },
});
const certifiedBy =
  (operator: number, agent: Uint8Array, change = {}): ((parent: CallParent) => CallParent) =>
  (parent) => ({ ...parent, certificate: certify(keyOf('operator', operator), agent, change) });

const SHOWN: readonly (readonly [code: string, name: string, shown: Shown])[] = [
  ['malformed', 'a call above is left out', (parents) => parents.slice(1)],
  ['malformed', 'no call above is shown', () => []],
  ['malformed', 'the calls above in another order', (parents) => [...parents].reverse()],
  ['signature-missing', 'a call above without a signature', swapped(1, unsign)],
  ['signature-invalid', 'a call above signed by somebody else', swapped(0, forge)],
  [
    'certificate-invalid',
    'no certificates',
    swapped(0, (parent) => ({ ...parent, certificate: new Uint8Array(0) })),
  ],
  ['certificate-invalid', 'a certificate of another operator', swapped(1, certifiedBy(3, secondAgent))],
  ['certificate-invalid', 'a certificate for another agent', swapped(0, certifiedBy(1, secondAgent))],
  [
    'certificate-invalid',
    'a certificate to do something else',
    swapped(1, certifiedBy(2, secondAgent, { capabilities: ['read:*'] })),
  ],
  [
    'certificate-invalid',
    'a certificate that had ended',
    swapped(1, certifiedBy(2, secondAgent, { notAfterMs: NOW_MS - 40_000 })),
  ],
];

const STATED: readonly (readonly [code: string, name: string, change: Change, what?: string])[] = [
  ['network-mismatch', 'a call above of another network', changed(0, { network: 'other-0000000000000000' })],
  ['version-unsupported', 'a call above of another version', changed(0, { version: 2 })],
  ['malformed', 'a resumption above', changed(0, { bodyType: 'resume' })],
  ['malformed', 'another root above', inContext(1, { root: other })],
  ['malformed', 'another root', inContext(2, { root: other })],
  ['malformed', 'another call above', inContext(2, { parent: other })],
  ['malformed', 'a root with a call above it', inContext(0, { parent: other })],
  ['malformed', 'another depth', inContext(1, { depth: 2 })],
  ['budget-exceeded', 'no budget', inContext(1, { budget: undefined }), 'budget'],
  ['budget-exceeded', 'no budget at the root', inContext(0, { budget: undefined }), 'budget'],
  ['budget-exceeded', 'more levels than were granted', granting(0, { depth: 1 }), 'depth'],
  [
    'budget-exceeded',
    'a later end than was granted',
    granting(1, { deadlineMs: NOW_MS + 60_001 }),
    'deadline',
  ],
  [
    'budget-exceeded',
    'a budget of more than an hour',
    granting(0, { deadlineMs: NOW_MS + 3_600_001 }),
    'deadline',
  ],
  ['budget-exceeded', 'a skill that was not granted', granting(1, { skills: ['sing'] }), 'skills'],
  ['budget-exceeded', 'more skills than were granted', granting(0, { skills: ['answer'] }), 'skills'],
  ['budget-exceeded', 'a budget above the one above it', granting(0, { amount: 101n }), 'amount'],
  ['budget-exceeded', 'a price above the budget', granting(1, { amount: 101n }), 'amount'],
  ['call-cycle', 'an agent that already answers above', toFirst],
  [
    'budget-exceeded',
    'a price above the budget and a circle',
    both(granting(1, { amount: 101n }), toFirst),
    'amount',
  ],
];

function both(first: Change, second: Change): Change {
  return (sound, index) => second(first(sound, index), index);
}

/** Openings of calls that were made below others. */
export function budgetVectors(): Vectors<PlacedCase, RefusedCase> {
  const valid = (name: string, line: Line): PlacedCase => ({ name, opening: openingOf(line, line.parents) });
  const line = lineOf(3);
  return {
    about:
      'What openings show of calls above them (CALL-81 to CALL-84, CALL-89). Refused with `code`; `what` says which part of a budget does not allow the call. The opening itself is signed and its body the one signed for.',
    given: { network: NETWORK },
    valid: [
      valid('a root with a budget that it does not need', lineOf(1)),
      valid('a call below a root', lineOf(2)),
      valid('a call two levels down', line),
      valid('the deepest call', lineOf(17)),
      valid(
        'a root without a place in a tree',
        lineOf(1, (sound) => ({ ...sound, context: undefined })),
      ),
    ],
    invalid: [
      ...SHOWN.map(([code, name, shown]) => ({ name, opening: openingOf(line, shown(line.parents)), code })),
      ...STATED.map(([code, name, change, what]) => {
        const bad = lineOf(3, change);
        return { name, opening: openingOf(bad, bad.parents), code, ...(what && { what }) };
      }),
    ],
  };
}
