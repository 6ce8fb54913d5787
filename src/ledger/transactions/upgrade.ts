/** Deciding by which rules a network goes on, and from when. */
import { equalBytes } from '../../base/bytes.ts';
import { ONLY } from '../records.ts';
import type { Approval, RulesRecord } from '../records-rules.ts';
import { rulesIn } from '../rules.ts';
import { done, type Handler, refuse, type Voter } from './context.ts';

/**
 * Counts the sender's vote for a version from a height on. More than two thirds of all votes for the same decide; for
 * the version in force they call off what was decided. Refusals in order: `not-voter`, `upgrade-version`,
 * `upgrade-height`.
 */
export const approveUpgrade: Handler<'approve-upgrade'> = (context, { version, height: at }) => {
  const { state, sender, height } = context;
  const voters = context.voters();
  if (!voters.some(({ did, power }) => equalBytes(did, sender) && power > 0)) return refuse('not-voter');
  const before = rulesIn(state);
  const calledOff = version === before.version && before.plan !== undefined;
  if (version !== before.version + 1 && !calledOff) return refuse('upgrade-version');
  const fits = calledOff ? at === before.plan?.height : at > height;
  if (!fits) return refuse('upgrade-height');
  const others = before.approvals.filter(
    ({ did }) => !equalBytes(did, sender) && voters.some((one) => equalBytes(one.did, did)),
  );
  const approvals = [...others, { did: sender, version, height: at }];
  state.rules.set(ONLY, decided(before, voters, approvals, { version, height: at }));
  return done();
};

/** The record once `approvals` are counted for `wanted`. */
function decided(
  before: RulesRecord,
  voters: readonly Voter[],
  approvals: readonly Approval[],
  wanted: Pick<Approval, 'version' | 'height'>,
): RulesRecord {
  const sum = (all: readonly Voter[]): bigint => all.reduce((total, { power }) => total + BigInt(power), 0n);
  const inFavour = voters.filter(({ did }) =>
    approvals.some(
      (one) => equalBytes(one.did, did) && one.version === wanted.version && one.height === wanted.height,
    ),
  );
  if (3n * sum(inFavour) <= 2n * sum(voters)) return { ...before, approvals };
  const plan = wanted.version === before.version ? undefined : wanted;
  return { ...before, plan, approvals: [] };
}
