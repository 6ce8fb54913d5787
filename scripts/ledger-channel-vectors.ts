/** What `ledger-vectors.ts` tells about channels: a story for the recorded network, and evidence by itself. */
import { toHex } from '../src/base/bytes.ts';
import { contradictionOf } from '../src/protocol/evidence-build.ts';
import {
  type Evidence,
  evidenceId,
  evidence as evidenceSchema,
  laneOf,
  openEvidence,
  provenTotal,
} from '../src/protocol/evidence-channel.ts';
import { release } from '../src/protocol/payment.ts';
import { signOne } from '../src/protocol/signing.ts';
import type { Signer } from '../src/protocol/suite.ts';
import { type Action, channelId } from '../src/protocol/transaction.ts';
import {
  agentCertificate,
  chargeOf,
  countedFor,
  type LanePlace,
  laneClaim,
  leafAt,
  receiptOf,
  voucherOf,
} from '../test/ledger/lane.ts';
import { alice, type Bench, bob, carol, person, suite } from '../test/ledger/support.ts';

type Run = (...steps: readonly (readonly [Signer, Action])[]) => Promise<void>;

/** Withdrawals, voucher keys, a batch, challenges and a payment without a channel: each taken and each refused. */
export async function channelStory({ network, nonce, queries }: StoryBench, run: Run): Promise<void> {
  const channel = channelId(suite, network, alice.publicKey, bob.publicKey, nonce(alice));
  const [hot, cold] = [person('hot'), person('cold')];
  const place: LanePlace = { network, channel, lane: 0, payer: alice, payee: bob, agent: person('agent') };
  const set = (key: Signer | undefined): Action => ({
    type: 'set-voucher-key',
    channel,
    key: key?.publicKey,
  });
  const claims = (by: Signer, amount: bigint, lane = 0) => {
    const here = { ...place, lane };
    return laneClaim(here, chargeOf(here, countedFor(here, [amount])), voucherOf(here, amount, by));
  };
  await run([alice, { type: 'open-channel', payee: bob.publicKey, deposit: 5_000_000n }]);
  await run([alice, set(hot)], [alice, set(hot)], [bob, set(cold)], [alice, set(cold)]);
  await run([bob, { type: 'claim', ...claims(hot, 100n) }], [bob, { type: 'claim', ...claims(carol, 200n) }]);
  const batch = [claims(cold, 300n), claims(carol, 400n), claims(alice, 50n, 1)];
  await run([bob, { type: 'claim-batch', claims: batch }], [bob, { type: 'claim-batch', claims: [] }]);
  const request = (amount: bigint): Action => ({ type: 'request-withdraw', channel, amount });
  await run([alice, request(1_000_000n)], [alice, request(1n)], [bob, { type: 'cancel-withdraw', channel }]);
  await run([alice, { type: 'cancel-withdraw', channel }], [alice, request(2_000_000n)]);
  await run();
  await run();
  await run();
  const released = (sequence: number): Action => {
    const payload = release.encode({ network, channel, depositAfter: 1_500_000n, sequence });
    return { type: 'withdraw', channel, release: signOne(suite, bob, network, { type: 'release', payload }) };
  };
  await run([alice, released(0)], [alice, released(queries.channel(channel)?.revision ?? 0)]);
  const high = chargeOf(place, countedFor(place, [300n]));
  const low = chargeOf(place, countedFor(place, [120n]));
  const lie = contradictionOf(suite, high, low);
  if (lie === undefined) throw new Error('the story is wrong');
  const challenge = (evidence: Evidence): Action => ({ type: 'challenge', channel, evidence });
  await run([bob, { type: 'bond', role: 'provider', amount: 1_000_000_000n, commission: undefined }]);
  await run(
    [carol, challenge({ type: 'two-charges', first: high, second: high })],
    [carol, challenge(lie)],
    [carol, challenge(lie)],
  );
  const reference = new Uint8Array(16).fill(6);
  await run([carol, { type: 'pay', payee: bob.publicKey, asset: undefined, amount: 9n, reference }]);
  await run([bob, { type: 'close-by-payee', channel, claim: undefined }]);
  for (let i = 0; i < 4; i++) await run();
}

/** What the story reads. */
export interface StoryBench {
  readonly network: string;
  readonly queries: Bench['queries'];
  nonce(signer: Signer): number;
}

/** Evidence of every kind, with what it proves; and what proves nothing. */
export function evidenceVectors(): unknown {
  const network = 'sample-0123456789abcdef';
  const channel = new Uint8Array(32).fill(0xc0);
  const place: LanePlace = { network, channel, lane: 2, payer: alice, payee: bob, agent: person('agent') };
  const counted = countedFor(place, [10n, 20n, 30n, 5n, 7n]);
  const honest = chargeOf(place, counted);
  const shorter = chargeOf(place, countedFor(place, [10n, 20n]));
  const over = chargeOf(place, counted, { total: 100n });
  const under = chargeOf(place, counted, { total: 60n });
  const other = chargeOf(place, countedFor(place, [10n, 20n, 30n, 5n, 6n]));
  const chain = [agentCertificate(place)];
  const leaf = leafAt(counted, 2);
  const cases: readonly (readonly [string, Evidence])[] = [
    ['two charges for one sequence', { type: 'two-charges', first: honest, second: other }],
    ['the same charge twice', { type: 'two-charges', first: honest, second: honest }],
    ['charges for two sequences', { type: 'two-charges', first: honest, second: shorter }],
    [
      'charges of two lanes',
      { type: 'two-charges', first: honest, second: chargeOf({ ...place, lane: 3 }, counted) },
    ],
    [
      'a total that falls',
      { type: 'falling-total', earlier: chargeOf(place, countedFor(place, [90n])), later: honest },
    ],
    ['a total that rises', { type: 'falling-total', earlier: shorter, later: honest }],
    ['a total above the sum', { type: 'bad-sum', charge: over, leaf: leafAt(counted, 4) }],
    ['a total below the sum', { type: 'bad-sum', charge: under, leaf: leafAt(counted, 0) }],
    ['the right total', { type: 'bad-sum', charge: honest, leaf }],
    [
      'a path of another tree',
      { type: 'bad-sum', charge: over, leaf: leafAt(countedFor(place, [1n, 2n, 3n, 4n, 5n]), 0) },
    ],
    [
      'a path with another index',
      { type: 'bad-sum', charge: over, leaf: { ...leaf, path: { ...leaf.path, index: 1 } } },
    ],
    [
      'a total without receipts',
      { type: 'bad-sum', charge: chargeOf(place, [], { total: 4n }), leaf: undefined },
    ],
    ['nothing without receipts', { type: 'bad-sum', charge: chargeOf(place, []), leaf: undefined }],
    [
      'a receipt for less',
      { type: 'contradicted-receipt', charge: honest, leaf, receipt: receiptOf(place, 2, 12n), chain },
    ],
    [
      'a receipt for as much',
      { type: 'contradicted-receipt', charge: honest, leaf, receipt: receiptOf(place, 2, 30n), chain },
    ],
    [
      'a receipt of another sequence',
      { type: 'contradicted-receipt', charge: honest, leaf, receipt: receiptOf(place, 1, 12n), chain },
    ],
    [
      'a receipt for another payee',
      {
        type: 'contradicted-receipt',
        charge: honest,
        leaf,
        receipt: receiptOf({ ...place, payee: carol }, 2, 12n),
        chain,
      },
    ],
  ];
  return {
    about:
      'Evidence against the payee of a channel: the lane, the proven total, and the hash (LEDGER-107 to 110).',
    network,
    channel: toHex(channel),
    payee: toHex(bob.publicKey),
    cases: cases.map(([name, one]) => {
      const opened = openEvidence(one);
      if (opened === undefined) throw new Error(`${name} cannot be read`);
      const lane = laneOf(opened, { network, channel, payee: bob.publicKey });
      const total = provenTotal(suite, opened);
      return {
        name,
        evidence: toHex(evidenceSchema.encode(one)),
        lane: lane ?? null,
        total: total === undefined ? null : String(total),
        id: toHex(evidenceId(suite, network, opened)),
      };
    }),
  };
}
