/** `stake`, `rewards`, `fees`: money behind roles, what it earns, and what everything costs. */
import { readFile } from 'node:fs/promises';
import { SaharaError } from '../../base/errors.ts';
import type {
  BondRow,
  DelegationRow,
  FeesReport,
  LeavingRow,
  RewardRow,
  StakeReply,
  StakeReport,
} from '../../daemon/admin/types-stake.ts';
import { BOND_ROLES, type BondRole } from '../../protocol/actions-stake.ts';
import { type App, amountOption, type CommandGroup, usage } from '../app.ts';
import { amount, showTable } from '../show.ts';
import { plural, shortDid, shortId } from '../terminal.ts';

interface BondOptions {
  readonly role: string;
  readonly commission?: string;
}

/** Stakes, rewards and fees. */
export const stakeCommands: CommandGroup = (program, run) => {
  const stake = program.command('stake').description('money behind a role: bond, delegate, take back');
  const role = ['--role <role>', `one of ${BOND_ROLES.join(', ')}`, 'provider'] as const;
  stake
    .command('show')
    .description('what stands behind your roles, and what you delegated')
    .argument('[did]', 'yours when left out')
    .addHelpText('after', '\nExample:\n  $ sahara stake show')
    .action(run(show));
  stake
    .command('bond')
    .description('put your money behind a role of yours; it pays for offences in that role')
    .argument('<amount>', 'in SAHARA; 0 to lower the commission only')
    .option(...role)
    .option('--commission <percent>', 'what you keep of rewards before they are shared with who delegates')
    .addHelpText('after', '\nExample:\n  $ sahara stake bond 10 --commission 20')
    .action(run(bond));
  stake
    .command('unbond')
    .description('begin to take your bond back')
    .argument('<amount>', 'in SAHARA')
    .option(...role)
    .addHelpText('after', '\nExample:\n  $ sahara stake unbond 10')
    .action(run(unbond));
  stake
    .command('delegate')
    .description("put your money behind somebody else's role, and share in its rewards and offences")
    .argument('<operator>', 'DID of an operator, or the name of an agent of theirs')
    .argument('<amount>', 'in SAHARA')
    .option(...role)
    .addHelpText('after', '\nExample:\n  $ sahara stake delegate guide 5')
    .action(run(delegate));
  stake
    .command('undelegate')
    .description('begin to take a delegation back')
    .argument('<operator>', 'DID of an operator, or the name of an agent of theirs')
    .argument('<amount>', 'in SAHARA')
    .option(...role)
    .addHelpText('after', '\nExample:\n  $ sahara stake undelegate guide 5')
    .action(run(undelegate));
  stake
    .command('release')
    .description('have everything paid out that was taken back and is due')
    .argument('[did]', 'whose; yours when left out')
    .addHelpText('after', '\nExample:\n  $ sahara stake release')
    .action(run(release));
  stake
    .command('report-double-signing')
    .description(
      'bring two headers of one height that one proposer signed; it pays for that, and you get a part',
    )
    .argument('<file>', 'what `sahara ledger evidence` wrote')
    .addHelpText('after', '\nExample:\n  $ sahara stake report-double-signing two-headers.evidence')
    .action(run(report));
  program
    .command('rewards')
    .description('what you earned out of fees as a provider, and by which claims')
    .argument('[did]', 'whose; yours when left out')
    .option('--collect', 'have everything paid out that is due')
    .addHelpText('after', '\nExample:\n  $ sahara rewards\n  $ sahara rewards --collect')
    .action(run(rewards));
  program
    .command('fees')
    .description('what a transaction and a bond cost on this network')
    .addHelpText('after', '\nExample:\n  $ sahara fees')
    .action(run(fees));
};

async function fees(app: App): Promise<void> {
  const report = await app.client.call('fees', {}, { signal: app.signal });
  app.terminal.result(report, () => {
    for (const [name, text] of feeLines(report))
      app.terminal.line(`${app.terminal.paint('dim', name.padEnd(12))} ${text}`);
  });
}

function feeLines(report: FeesReport): readonly (readonly [string, string])[] {
  const { transaction, toRewards } = report;
  const toProposer = String(BigInt(transaction) - BigInt(toRewards));
  return [
    ['transaction', `${amount(transaction)}, whatever it does`],
    ['of that', `${amount(toRewards)} into the reward pool, ${amount(toProposer)} to who makes the block`],
    ['bond', `at least ${amount(report.bondMin)} for a role; back after ${report.unbondBlocks} blocks`],
    ['offence', `${report.slashPpm / 10_000} % of a stake, beside what the wronged get`],
    ['epoch', `${report.epoch}; the next begins at block ${report.nextEpochAt}`],
  ];
}

/** Says what it will cost, before it is sent. */
async function tellFee(app: App): Promise<void> {
  const { transaction } = await app.client.call('fees', {}, { signal: app.signal });
  const text =
    transaction === '0' ? 'Transactions are free on this network.' : `Fee: ${amount(transaction)}.`;
  app.terminal.note(text);
}

async function show(app: App, did: string | undefined): Promise<void> {
  const report = await app.client.call('stake.show', did === undefined ? {} : { did }, {
    signal: app.signal,
  });
  app.terminal.result(report, () => showStake(app, report));
}

function showStake(app: App, report: StakeReport): void {
  const { terminal } = app;
  if (report.bonds.length === 0 && report.delegated.length === 0) {
    terminal.line('Nothing at stake. `sahara stake bond` puts money behind a role.');
    return;
  }
  if (report.bonds.length > 0) {
    const cells = report.bonds.map((bond) => [
      bond.role,
      `${amount(bond.own)}${bond.stands || bond.own === '0' ? '' : ' (too little)'}`,
      `${amount(bond.delegated)} by ${bond.delegations.length}`,
      `${bond.commissionPpm / 10_000} %`,
      leavingText(bond),
    ]);
    showTable(app, ['ROLE', 'OWN', 'DELEGATED', 'COMMISSION', 'ON ITS WAY BACK'], cells);
  }
  if (report.delegated.length === 0) return;
  terminal.line();
  const cells = report.delegated.map((one) => [
    shortDid(one.did),
    one.role,
    amount(one.amount),
    leavingText(one),
  ]);
  showTable(app, ['DELEGATED TO', 'ROLE', 'AMOUNT', 'ON ITS WAY BACK'], cells);
}

function leavingText({ leaving }: Pick<BondRow | DelegationRow, 'leaving'>): string {
  const text = ({ amount: grains, releaseAt, due }: LeavingRow): string =>
    `${amount(grains)} ${due ? 'due' : `at block ${releaseAt}`}`;
  return leaving.length === 0 ? '-' : leaving.map(text).join(', ');
}

async function bond(app: App, text: string, options: BondOptions): Promise<void> {
  const grains = needed(text);
  const commission = options.commission === undefined ? undefined : ppmOf(options.commission);
  await tellFee(app);
  const input = { role: roleOf(options.role), amount: grains };
  await reply(app, () =>
    app.client.call(
      'stake.bond',
      { ...input, ...(commission !== undefined && { commissionPpm: commission }) },
      { signal: app.signal },
    ),
  );
}

async function unbond(app: App, text: string, options: BondOptions): Promise<void> {
  const input = { role: roleOf(options.role), amount: needed(text) };
  await tellFee(app);
  await reply(app, () => app.client.call('stake.unbond', input, { signal: app.signal }));
}

async function delegate(app: App, to: string, text: string, options: BondOptions): Promise<void> {
  const input = { to, role: roleOf(options.role), amount: needed(text) };
  await tellFee(app);
  await reply(app, () => app.client.call('stake.delegate', input, { signal: app.signal }));
}

async function undelegate(app: App, to: string, text: string, options: BondOptions): Promise<void> {
  const input = { to, role: roleOf(options.role), amount: needed(text) };
  await tellFee(app);
  await reply(app, () => app.client.call('stake.undelegate', input, { signal: app.signal }));
}

async function release(app: App, did: string | undefined): Promise<void> {
  await tellFee(app);
  const input = did === undefined ? {} : { did };
  await reply(app, () => app.client.call('stake.release', input, { signal: app.signal }));
}

async function report(app: App, path: string): Promise<void> {
  const file = await readFile(path).catch((error: unknown) => {
    throw new SaharaError('file-missing', { path }, { cause: error });
  });
  await tellFee(app);
  const stop = app.terminal.progress('Waiting for the ledger');
  const evidence = file.toString('base64');
  const answer = await app.client.call('stake.report', { evidence }, { signal: app.signal }).finally(stop);
  app.terminal.result(answer, () =>
    app.terminal.line(`Proved: it cost ${amount(answer.moved)} of what stood behind who signed both.`),
  );
}

async function reply(app: App, call: () => Promise<StakeReply>): Promise<void> {
  const stop = app.terminal.progress('Waiting for the ledger');
  const answer = await call().finally(stop);
  app.terminal.result(answer, () => {
    if (answer.transactions.length === 0) app.terminal.line('Nothing is due yet.');
    else if (answer.moved !== '0') app.terminal.line(`Released ${amount(answer.moved)}.`);
    showStake(app, answer.stake);
  });
}

async function rewards(
  app: App,
  did: string | undefined,
  options: { readonly collect?: boolean },
): Promise<void> {
  const input = did === undefined ? {} : { did };
  if (options.collect === true) {
    await tellFee(app);
    const stop = app.terminal.progress('Waiting for the ledger');
    const answer = await app.client.call('rewards.collect', input, { signal: app.signal }).finally(stop);
    app.terminal.result(answer, () => {
      if (answer.collected.length === 0) app.terminal.line('Nothing is due.');
      for (const { epoch, moved } of answer.collected) app.terminal.line(`Epoch ${epoch}: ${amount(moved)}.`);
    });
    return;
  }
  const report = await app.client.call('rewards', input, { signal: app.signal });
  app.terminal.result(report, () => showRewards(app, report.rewards));
}

const STATES: Readonly<Record<RewardRow['state'], string>> = {
  running: 'so far',
  due: 'to collect',
  collected: 'paid',
  expired: 'expired',
};

function showRewards(app: App, rows: readonly RewardRow[]): void {
  if (rows.length === 0) {
    app.terminal.line(
      'Nothing earned out of fees. Rewards are for providers with a bond, by what they settle.',
    );
    return;
  }
  const cells = rows.map((row) => [
    String(row.epoch),
    `${amount(row.reward)} ${STATES[row.state]}`,
    amount(row.settled),
    `${shareText(row)} of ${amount(row.pool)}`,
    amount(row.contributed),
    String(row.claims),
  ]);
  showTable(app, ['EPOCH', 'REWARD', 'SETTLED', 'SHARE', 'AT MOST', 'CLAIMS'], cells);
  for (const row of rows) showCauses(app, row);
}

function shareText({ weight, allWeight }: RewardRow): string {
  if (allWeight === '0') return '-';
  return `${Number((BigInt(weight) * 1000n) / BigInt(allWeight)) / 10} %`;
}

function showCauses({ terminal }: App, row: RewardRow): void {
  terminal.line();
  terminal.line(`Epoch ${row.epoch} because of`);
  for (const { channel, lane, receiptRoot, receipts, amount: paid } of row.causes)
    terminal.line(
      `  ${amount(paid)} on channel ${shortId(channel)} lane ${lane}: ${plural(receipts, 'receipt')} under ${shortId(receiptRoot)}`,
    );
  const more = row.claims - row.causes.length;
  if (more > 0) terminal.line(`  and ${plural(more, 'more claim')}; all under ${shortId(row.causesRoot)}`);
}

function needed(text: string): string {
  const grains = amountOption('<amount>', text);
  if (grains === undefined) throw usage('an amount is needed');
  return grains;
}

function roleOf(text: string): BondRole {
  const role = BOND_ROLES.find((one) => one === text);
  if (role === undefined) throw usage(`"${text}" is not a role: ${BOND_ROLES.join(', ')}`);
  return role;
}

function ppmOf(percent: string): number {
  const ppm = /^\d{1,3}(\.\d{1,4})?$/.test(percent) ? Math.round(Number(percent) * 10_000) : -1;
  if (ppm < 0 || ppm > 1_000_000) throw usage(`"${percent}" is no percentage from 0 to 100`);
  return ppm;
}
