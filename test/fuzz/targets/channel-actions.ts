/** Channel actions for the ledger's fuzzer: sound ones on a stage, and their inner records signed again once bent. */
import type { ClaimBody } from '../../../src/protocol/actions-channel.ts';
import { contradictionOf } from '../../../src/protocol/evidence-build.ts';
import type { Evidence } from '../../../src/protocol/evidence-channel.ts';
import type { Hash } from '../../../src/protocol/ids.ts';
import { release } from '../../../src/protocol/payment.ts';
import { type Signed, signOne } from '../../../src/protocol/signing.ts';
import type { Signer } from '../../../src/protocol/suite.ts';
import type { Action } from '../../../src/protocol/transaction.ts';
import {
  agentCertificate,
  chargeOf,
  countedFor,
  type LanePlace,
  laneClaim,
  leafAt,
  receiptOf,
  voucherOf,
} from '../../ledger/lane.ts';
import { alice, bob, carol, person, suite } from '../../ledger/support.ts';

const agent = person('agent');

/** Sound actions on an open channel from alice to bob whose deposit has not changed since, and on `other`. */
export function channelActions(
  network: string,
  channel: Hash,
  { deposit, other }: { readonly deposit: bigint; readonly other: Hash },
): readonly Action[] {
  const place: LanePlace = { network, channel, lane: 7, payer: alice, payee: bob, agent };
  const counted = countedFor(place, [40n, 60n]);
  const charged = chargeOf(place, counted);
  const claim = laneClaim(place, charged, voucherOf(place, 1_000n));
  const over = chargeOf(place, counted, { total: 900n });
  const lie = contradictionOf(suite, charged, over);
  const leaf = leafAt(counted, 1);
  const receipt = receiptOf(place, 1, 5n);
  const evidence: readonly Evidence[] = [
    ...(lie === undefined ? [] : [lie]),
    { type: 'falling-total', earlier: chargeOf(place, countedFor(place, [500n])), later: charged },
    { type: 'bad-sum', charge: over, leaf },
    { type: 'contradicted-receipt', charge: charged, leaf, receipt, chain: [agentCertificate(place)] },
  ];
  const terms = { network, channel, depositAfter: deposit / 2n, sequence: 0 };
  const released = signOne(suite, bob, network, { type: 'release', payload: release.encode(terms) });
  const reference = new Uint8Array(16).fill(1);
  return [
    { type: 'withdraw', channel, release: released },
    { type: 'request-withdraw', channel, amount: 9n },
    { type: 'cancel-withdraw', channel: other },
    { type: 'set-voucher-key', channel, key: carol.publicKey },
    { type: 'set-voucher-key', channel, key: undefined },
    ...evidence.map((one) => ({ type: 'challenge' as const, channel, evidence: one })),
    { type: 'pay', payee: bob.publicKey, asset: undefined, amount: 7n, reference },
    { type: 'claim-batch', claims: [claim, laneClaim(place, over, voucherOf(place, 2_000n))] },
  ];
}

/** `action` with the records inside it signed again by whoever signs them soundly. */
export function signedInside(network: string, action: Action): Action {
  const again = (signer: Signer, type: string, { payload }: Signed): Signed =>
    signOne(suite, signer, network, { type, payload });
  const claim = (body: ClaimBody): ClaimBody => ({
    ...body,
    voucher: again(alice, 'voucher', body.voucher),
    charge: again(bob, 'charge', body.charge),
  });
  switch (action.type) {
    case 'claim':
      return { ...action, ...claim(action) };
    case 'close-by-payee':
      return action.claim === undefined ? action : { ...action, claim: claim(action.claim) };
    case 'claim-batch':
      return { ...action, claims: action.claims.map(claim) };
    case 'withdraw':
      return { ...action, release: again(bob, 'release', action.release) };
    case 'challenge':
      return { ...action, evidence: evidenceAgain(action.evidence, again) };
    default:
      return action;
  }
}

function evidenceAgain(
  one: Evidence,
  again: (signer: Signer, type: string, message: Signed) => Signed,
): Evidence {
  switch (one.type) {
    case 'two-charges':
      return { ...one, first: again(bob, 'charge', one.first), second: again(bob, 'charge', one.second) };
    case 'falling-total':
      return { ...one, earlier: again(bob, 'charge', one.earlier), later: again(bob, 'charge', one.later) };
    case 'bad-sum':
      return { ...one, charge: again(bob, 'charge', one.charge) };
    case 'contradicted-receipt':
      return {
        ...one,
        charge: again(bob, 'charge', one.charge),
        receipt: again(agent, 'receipt', one.receipt),
        chain: one.chain.map((link) => again(bob, 'certificate', link)),
      };
  }
}
