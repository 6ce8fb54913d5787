/**
 * The second half of the lineage demo: a payee signs a higher charge for receipts that it has already charged and claims by
 * it. Its payer's daemon finds it out by the charge that it holds, and challenges it without being asked to.
 */
import { readdir } from 'node:fs/promises';
import { balanceOf, check, LOCAL, money, run, say, until } from './lineage-steps.ts';
import { type HeldCall, newestCall, overClaim } from './lying-payee.ts';
import type { Peer } from './peers.ts';

const BOND = '10';
const PRICE = { perCall: 1_000_000, perOutputUnit: 1_000_000 };

/** Who takes part, and where transactions are handed in. */
export interface LieParts {
  readonly host: Peer;
  readonly payer: Peer;
  readonly liar: Peer;
  /** Address of the host. */
  readonly address: string;
  /** What the liar's agent answers from. */
  readonly folder: string;
  readonly question: string;
}

/** Plays it. Resolves with the liar's DID. */
export async function catchLiar(parts: LieParts): Promise<string> {
  const { host, payer, liar } = parts;
  const { did, network } = await beginLiar(parts);
  const held = await askLiar(parts);
  // What the daemon itself would claim is honest; it stops before it does more.
  await liar.stop();
  const bondBefore = await ownBond(host, did);
  const lie = await overClaim({ liar, peer: host, network }, held);
  const beyond = lie.claimed - lie.charged;
  check(beyond > 0n, 'the voucher reserves more than was charged');
  say(
    `The liar signs a second charge for the same ${lie.calls} call and claims ${money(lie.claimed)} instead of ${money(lie.charged)}: the ledger pays it (block ${lie.height}).`,
  );
  let height = 0;
  let lost = 0n;
  await until('the payer’s daemon has challenged it', async () => {
    const { disputes = [] } = await payer.client.call('status', {});
    const won = disputes.find(({ payee, state }) => payee === did && state === 'won');
    if (won === undefined) return false;
    check(won.returned === String(beyond), 'the payer gets back exactly what was paid too much');
    [height, lost] = [won.height ?? 0, BigInt(won.taken ?? '0')];
    return true;
  });
  const taken = bondBefore - (await ownBond(host, did));
  check(taken === lost && taken > beyond, 'the stake lost what the ledger says, and more than the damage');
  say(
    `The payer’s daemon holds the claim against the charge that it has, and wins its challenge by itself (block ${height}): ${money(beyond)} goes back to the payer; the liar’s stake of ${money(bondBefore)} loses ${money(taken)}.`,
  );
  const id = Buffer.from(lie.channel).toString('hex');
  const channel = await payer.client.call('ledger.channel', { id });
  check(channel.lanes[0]?.frozenAt === String(lie.charged), 'the lane is frozen at the honest total');
  return did;
}

async function beginLiar({
  liar,
  address,
  folder,
  host,
}: LieParts): Promise<{ did: string; network: string }> {
  const { did, ledger } = await liar.start(...LOCAL, '--ledger-mode', 'full', '--bootstrap', address);
  await until('the liar has money', async () => (await balanceOf(host, did)) > 0n);
  await run(liar, 'stake', 'bond', BOND, '--role', 'provider');
  await run(liar, 'vault', 'create', 'rumours');
  const added = await liar.sahara(['vault', 'add', 'rumours', folder]);
  check(added.code === 0, `the liar’s documents are taken: ${added.stderr}`);
  const manifest = { name: 'liar', vaults: ['rumours'], price: PRICE, split: { operator: '100%' } };
  await liar.client.call('agent.add', { manifest: JSON.stringify(manifest) });
  say(
    `A fifth person puts ${money(await ownBond(host, did))} behind its role as provider and hosts an agent that is paid by the word.`,
  );
  return { did, network: ledger.network };
}

async function ownBond(peer: Peer, did: string): Promise<bigint> {
  const { stakes } = await peer.client.call('ledger.account', { did });
  return BigInt(stakes.find(({ role }) => role === 'provider')?.own ?? '0');
}

/** One paid call, and what the payer holds of it afterwards. */
async function askLiar({ payer, question }: LieParts): Promise<HeldCall> {
  await until('the liar is listed', async () =>
    (await payer.client.call('agents', {})).some(({ name }) => name === 'liar'),
  );
  const before = new Set(await readdir(payer.home.receipts));
  const asked = await payer.sahara(['ask', 'liar', question]);
  check(asked.code === 0, `the liar answers: ${asked.stderr}`);
  return newestCall(payer, before);
}
