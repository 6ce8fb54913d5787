/** `stake.*` and `rewards`: money behind roles, and what it earns. */
import { toHex } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { twoHeaders } from '../../protocol/actions-stake.ts';
import { didOf, type PublicKey, publicKeyOf } from '../../protocol/ids.ts';
import { nativeSuite } from '../../protocol/suite-native.ts';
import type { Action } from '../../protocol/transaction.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type { RewardsReport, StakeReply } from '../admin/types-stake.ts';
import type { Running } from '../compose.ts';
import { delegationsOf, feesOf, rewardRows, stakeReport } from '../stake.ts';
import { keyOf } from './ledger.ts';

/** What the handlers need of what runs. */
export type StakeParts = Pick<Running, 'ledger' | 'wallet'> & {
  readonly directory: Pick<Running['directory'], 'find'>;
  readonly knownNames: Pick<Running['knownNames'], 'of'>;
};

type StakeNames = Extract<keyof AdminHandlers, 'fees' | `stake.${string}` | `rewards${string}`>;

/** The stakes and rewards of this operator, and reads of those of others. */
export function stakeHandlers(running: StakeParts): Pick<AdminHandlers, StakeNames> {
  const { ledger, wallet } = running;
  const own = wallet.publicKey;
  const whose = (did: string | undefined): PublicKey => (did === undefined ? own : keyOf(did));
  const operatorOf = async (text: string): Promise<PublicKey> =>
    publicKeyOf(text) ?? running.directory.find(text, await running.knownNames.of(text)).operator;
  const send = (action: Action, signal: AbortSignal): Promise<StakeReply> =>
    sendAll(running, [action], signal);
  return {
    fees: async () => feesOf(ledger),
    'stake.show': async ({ did }, signal) => stakeReport(ledger, whose(did), { signal }),
    'stake.bond': async ({ role, amount, commissionPpm: commission }, signal) =>
      send({ type: 'bond', role, amount: BigInt(amount), commission }, signal),
    'stake.unbond': async ({ role, amount }, signal) =>
      send({ type: 'unbond', role, amount: BigInt(amount) }, signal),
    'stake.delegate': async ({ to, role, amount }, signal) =>
      send({ type: 'delegate', did: await operatorOf(to), role, amount: BigInt(amount) }, signal),
    'stake.undelegate': async ({ to, role, amount }, signal) =>
      send({ type: 'undelegate', did: await operatorOf(to), role, amount: BigInt(amount) }, signal),
    'stake.release': async ({ did }, signal) =>
      sendAll(running, await releases(running, whose(did), signal), signal),
    'stake.report': async ({ evidence }, signal) =>
      send({ type: 'report-double-signing', ...twoHeadersIn(evidence) }, signal),
    rewards: async ({ did }, signal) => rewardsReport(running, whose(did), signal),
    'rewards.collect': async ({ did }, signal) => collectAll(running, whose(did), signal),
  };
}

function twoHeadersIn(text: string): ReturnType<typeof twoHeaders.decode> {
  try {
    return twoHeaders.decode(new Uint8Array(Buffer.from(text, 'base64')));
  } catch (error) {
    throw new SaharaError(
      'usage',
      {
        reason: 'The file does not hold two signed headers',
        next: 'A peer that came upon two headers writes them with `sahara ledger evidence FILE`',
      },
      { cause: error },
    );
  }
}

async function sendAll(
  { ledger, wallet }: StakeParts,
  actions: readonly Action[],
  signal: AbortSignal,
): Promise<StakeReply> {
  const transactions: string[] = [];
  let moved = 0n;
  for (const action of actions) {
    const { id, result } = await wallet.send(action, { signal });
    transactions.push(toHex(id));
    moved += result.moved;
  }
  const fees = ledger.genesis.parameters.transactionFee * BigInt(actions.length);
  const stake = await stakeReport(ledger, wallet.publicKey, { signal });
  return { stake, transactions, moved: String(moved), fees: String(fees) };
}

/** One release for each stake of which something is due to `owner`. */
async function releases(
  { ledger }: StakeParts,
  owner: PublicKey,
  signal: AbortSignal,
): Promise<readonly Action[]> {
  const bonds = await ledger.read(({ stakeOf }) => stakeOf(owner), { signal });
  const own = bonds.map(({ role, leaving }) => ({ did: owner, role, leaving }));
  const stakes = [...own, ...(await delegationsOf(ledger, owner, { signal }))];
  // A transaction that is sent now stands in the next block at the earliest.
  const next = ledger.head().height + 1;
  return stakes
    .filter(({ leaving }) => leaving.some(({ releaseAt }) => releaseAt <= next))
    .map(({ did, role }) => ({ type: 'release-bond', did, role, owner }));
}

async function rewardsReport(
  { ledger }: StakeParts,
  did: PublicKey,
  signal: AbortSignal,
): Promise<RewardsReport> {
  const rewards = await rewardRows({ ledger, suite: nativeSuite }, did, { signal });
  return { did: didOf(did), fees: feesOf(ledger), rewards };
}

async function collectAll(
  running: StakeParts,
  did: PublicKey,
  signal: AbortSignal,
): ReturnType<AdminHandlers['rewards.collect']> {
  const { rewards } = await rewardsReport(running, did, signal);
  const collected: { epoch: number; moved: string }[] = [];
  for (const { epoch } of rewards.filter(({ state, reward }) => state === 'due' && reward !== '0')) {
    const { result } = await running.wallet.send({ type: 'collect-reward', epoch, did }, { signal });
    collected.push({ epoch, moved: String(result.moved) });
  }
  return { rewards: await rewardsReport(running, did, signal), collected };
}
