/** What is held against what was claimed on a channel, for people. */
import type { ChallengeLane, ChallengeReport } from '../daemon/admin/types-dispute.ts';
import type { App } from './app.ts';
import { amount } from './show.ts';
import { plural, shortDid, shortId } from './terminal.ts';

/** Prints a report: lane by lane what is held, what was claimed, the evidence, what it brings and why not. */
export function showChallenge({ terminal }: App, report: ChallengeReport): void {
  const { channel, payee, ended, dryRun, lanes } = report;
  terminal.line(`Channel ${shortId(channel)} to ${shortDid(payee)}${ended ? ', which has ended' : ''}.`);
  for (const lane of lanes) {
    terminal.line(`\nLane ${lane.lane}`);
    for (const [name, text] of rowsOf(lane, dryRun)) {
      terminal.line(`  ${terminal.paint('dim', name.padEnd(9))} ${text}`);
    }
  }
}

function rowsOf(lane: ChallengeLane, dryRun: boolean): readonly (readonly [string, string])[] {
  const { receipts, charged, paid, claimedTotal, claimed, evidence, proven, brings, why } = lane;
  const rows: (readonly [string, string])[] = [
    ['held', `${plural(receipts, 'receipt')}, ${amount(charged)}`],
    [
      'paid',
      claimedTotal === undefined ? amount(paid) : `${amount(paid)}, for claims of ${amount(claimedTotal)}`,
    ],
  ];
  for (const one of claimed) {
    rows.push([
      'claimed',
      `${amount(one.total)} for ${plural(one.receipts, 'receipt')}, which nothing here explains`,
    ]);
  }
  if (lane.frozenAt !== undefined) {
    rows.push(['frozen', `at ${amount(lane.frozenAt)}; ${amount(lane.returned ?? '0')} came back`]);
  }
  if (evidence !== undefined) {
    rows.push([
      'evidence',
      `${EVIDENCE[evidence] ?? evidence}; at most ${amount(proven ?? '0')} can be true`,
    ]);
  }
  if (brings !== undefined) {
    const { refund, stake, reward, beyond } = brings;
    rows.push([
      'brings',
      `${amount(refund)} of ${amount(beyond)} paid too much, and ${amount(reward)} for whoever sends it`,
    ]);
    rows.push(['costs', `the payee ${amount(stake)} of its stake`]);
  }
  if (why !== undefined) rows.push(['result', WHY[why](lane)]);
  else if (dryRun) rows.push(['result', 'it would be sent; nothing was, because of --dry-run']);
  return rows;
}

const EVIDENCE: Readonly<Record<string, string>> = {
  'two-charges': 'two charges for the same number of receipts',
  'falling-total': 'a charge of more receipts that totals less',
  'bad-sum': 'a charge that is not the sum of its receipts',
  'contradicted-receipt': 'a charge that counts a receipt for more than it says',
};

const WHY: Readonly<Record<NonNullable<ChallengeLane['why']>, (lane: ChallengeLane) => string>> = {
  agrees: () => 'nothing to challenge: what was claimed is what was charged',
  won: ({ height, taken }) =>
    `the challenge is in block ${height ?? '?'}: it cost the payee ${amount(taken ?? '0')} of its stake`,
  'frozen-already': () => 'somebody else had the lane frozen as low',
  'no-proof': () => 'more was claimed than is held here, and nothing that the payee signed proves it wrong',
  'no-stake': () =>
    'the payee has no stake that gives anything back; a challenge freezes the lane all the same',
  'too-late': () => 'the channel ended too long ago, or its lane was never paid',
  'worth-nothing': () => 'the payee has no stake, and nothing is left in the deposit to keep',
  refused: () => 'the ledger refused the evidence',
};
