/** A payee that claims more than it charged, found out by its payer's daemon (PAY-62 to PAY-64). */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type HeldCall, newestCall, overClaim } from '../../scripts/lying-payee.ts';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { eventually, LOOPBACK, must } from './support.ts';

const QUESTION = 'How many days of leave does everybody have?';
const BOND = 10_000_000_000n;

let peers: Peers;
let first: Peer;
let folder = '';
let join_: readonly string[] = [];
beforeAll(async () => {
  peers = await createPeers();
  first = await peers.add('first');
  const { addresses } = await first.start(...LOOPBACK, '--guide-host', 'never');
  join_ = [...LOOPBACK, '--bootstrap', addresses[0] ?? ''];
  folder = join(first.home.root, 'documents');
  await mkdir(folder);
  await writeFile(
    join(folder, 'leave.md'),
    '# Leave\n\nEverybody has thirty days of paid leave in a year.\n',
  );
});
afterAll(() => peers.clear());

/** A payee with a stake and an agent that is paid by the word; by its name. */
async function liarCalled(name: string): Promise<{ readonly liar: Peer; readonly did: string }> {
  const liar = await peers.add(name);
  const { did } = await liar.start(...join_, '--ledger-mode', 'full');
  await eventually('it has money', async () => {
    const [row] = await liar.client.call('ledger.accounts', {});
    return BigInt(row?.balance ?? '0') > BOND ? row : undefined;
  });
  await must(liar, 'stake', 'bond', '10', '--role', 'provider');
  await must(liar, 'vault', 'create', 'rumours');
  await must(liar, 'vault', 'add', 'rumours', folder);
  const price = { perCall: 1_000_000, perOutputUnit: 1_000_000 };
  const manifest = { name, vaults: ['rumours'], price, split: { operator: '100%' } };
  await liar.client.call('agent.add', { manifest: JSON.stringify(manifest) });
  return { liar, did };
}

/** Has `payer` ask the liar, which is then killed: a stop would claim what is honestly due. */
async function askLiar(payer: Peer, liar: Peer): Promise<HeldCall> {
  await eventually('the liar is listed', async () =>
    (await payer.client.call('agents', {})).find(({ name }) => name === liar.name),
  );
  const before = new Set(await readdir(payer.home.receipts));
  await must(payer, 'ask', liar.name, QUESTION);
  const held = await newestCall(payer, before);
  await liar.kill();
  return held;
}

const disputeOf = async (payer: Peer) => (await payer.client.call('status', {})).disputes?.[0];
const challenges = async (): Promise<number> => {
  const rows = await first.client.call('ledger.transactions', { limit: 256 });
  return rows.filter(({ type }) => type === 'challenge').length;
};

describe('a payee that claims more than it charged', () => {
  it('PAY-62 PAY-63: is challenged by its payer’s daemon, which was killed over it, and gives back what it took', async () => {
    const payer = await peers.add('payer');
    const { ledger } = await payer.start(...join_, '--ledger-mode', 'full');
    const { liar, did } = await liarCalled('liar');
    const held = await askLiar(payer, liar);
    const id =
      (await payer.client.call('channel.list', {})).find(({ other }) => other === did)?.id ??
      expect.fail('a channel');
    expect(await must(payer, 'channel', 'challenge', id, '--dry-run')).toContain('nothing to challenge');
    // The next transaction that it writes down is its challenge, and it dies over it.
    await payer.stop();
    payer.environment.SAHARA_FAULTS = 'wallet:kept=kill';
    await payer.start(...join_, '--ledger-mode', 'full');
    delete payer.environment.SAHARA_FAULTS;
    const lie = await overClaim({ liar, peer: first, network: ledger.network }, held);
    const beyond = lie.claimed - lie.charged;
    expect(beyond).toBeGreaterThan(0n);
    await payer.ended;
    await payer.start(...join_, '--ledger-mode', 'full');
    const won = await eventually(
      'the challenge is won',
      async () => {
        const dispute = await disputeOf(payer);
        return dispute?.state === 'won' ? dispute : undefined;
      },
      60_000,
    );
    expect(won).toMatchObject({ payee: did, returned: String(beyond), proven: String(lie.charged) });
    expect(await challenges()).toBe(1);
    const shown = await must(payer, 'channel', 'challenge', id);
    expect(shown).toContain('two charges for the same number of receipts');
    expect(shown).toContain('the challenge is in block');
    expect(await must(payer, 'status')).toContain('came back');
    expect(await challenges()).toBe(1);
    const { stakes } = await first.client.call('ledger.account', { did });
    const own = BigInt(stakes.find(({ role }) => role === 'provider')?.own ?? '0');
    expect(BOND - own).toBe(BigInt(won.taken ?? '0'));
    for (const peer of [first, payer]) {
      expect(JSON.parse(await must(peer, 'ledger', 'verify', '--json'))).toMatchObject({ sound: true });
    }
  });

  it('PAY-64: is found out by a light payer where the claim was the first, and proven', async () => {
    const payer = await peers.add('light');
    const { ledger } = await payer.start(...join_, '--ledger-mode', 'light');
    expect(ledger.role).toBe('light');
    const { liar, did } = await liarCalled('second');
    const held = await askLiar(payer, liar);
    const lie = await overClaim({ liar, peer: first, network: ledger.network }, held);
    const won = await eventually(
      'the challenge is won',
      async () => {
        const dispute = await disputeOf(payer);
        return dispute?.state === 'won' ? dispute : undefined;
      },
      60_000,
    );
    expect(won).toMatchObject({ payee: did, proven: String(lie.charged) });
    const frozen = await first.client.call('ledger.channel', { id: won.channel });
    expect(frozen.lanes[0]?.frozenAt).toBe(String(lie.charged));
    expect(await challenges()).toBe(2);
  });
});
