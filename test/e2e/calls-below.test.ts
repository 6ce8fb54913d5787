import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { nativeSuite } from '../../src/protocol/suite-native.ts';
import { verifyBundle } from '../../src/protocol/verify-bundle.ts';
import { eventually, LOOPBACK, must } from './support.ts';

const QUESTION = 'How does a payee get paid if the payer disappears?';

let peers: Peers;
/** Begins the network and hosts the guide and the desk; hosts the library; only asks. */
let first: Peer;
let second: Peer;
let caller: Peer;

const delegate = (name: string, perCall: string, ask: readonly object[]): string =>
  JSON.stringify({ name, price: { perCall }, backend: { kind: 'delegate', ask } });

async function listed(peer: Peer, ...names: readonly string[]): Promise<void> {
  await eventually(`${names.join(' and ')} at ${peer.name}`, async () => {
    const agents = await peer.client.call('agents', {});
    return names.every((name) => agents.some((agent) => agent.name === name)) ? true : undefined;
  });
}

interface Item {
  readonly agent: string;
  readonly own: string;
  readonly below: string;
  readonly total: string;
  readonly calls: readonly Item[];
}

const itemsOf = (item: Item): readonly Item[] => [item, ...item.calls.flatMap(itemsOf)];

beforeAll(async () => {
  peers = await createPeers();
  [first, second, caller] = [await peers.add('first'), await peers.add('second'), await peers.add('caller')];
  const { addresses } = await first.start(...LOOPBACK);
  for (const peer of [second, caller]) await peer.start(...LOOPBACK, '--bootstrap', addresses[0] ?? '');
  await listed(second, 'guide');
  const library = delegate('library', '0.001 SAHARA', [{ agent: 'guide' }]);
  await second.client.call('agent.add', { manifest: library });
  await listed(first, 'library');
  const desk = delegate('desk', '0.0005 SAHARA', [{ agent: 'library', budget: '60 %' }, { agent: 'guide' }]);
  await first.client.call('agent.add', { manifest: desk });
  await listed(caller, 'desk', 'library', 'guide');
});
afterAll(() => peers.clear());

describe('agents that ask agents', () => {
  const file = (): string => join(caller.home.root, 'desk.bundle');

  it('answer with the words of others, within a budget, and are billed (CALL-80, CALL-86, RCPT-47)', async () => {
    const printed = await must(
      caller,
      ...['ask', 'desk', QUESTION, '--budget', '0.02', '--max-price', '0.05', '--receipt', file()],
    );
    expect(printed).toMatch(/library:\s.*even if the payer disappears/s);
    expect(printed).toContain('guide:');
    expect(printed).toContain('paid 0.0035 SAHARA, 0.003 SAHARA of it for 3 calls below');
    const bill = await must(caller, 'bill', file());
    expect(bill).toContain(
      'Proved: 0.0035 SAHARA, the sum of what 4 calls cost (0.0035 SAHARA); 3 calls below it.',
    );
    const whole = JSON.parse(await must(caller, 'bill', file(), '--json'));
    const items = itemsOf(whole.bill);
    expect(items.map(({ own }) => own).sort()).toEqual(['0', '1000000', '2000000', '500000']);
    expect(items.reduce((sum, { own }) => sum + BigInt(own), 0n)).toBe(BigInt(whole.total));
    expect(whole.total).toBe('3500000');
  });

  it('is proved where nothing runs, and explained (RCPT-33, RCPT-47)', async () => {
    const nobody = await peers.add('nobody');
    expect(await must(nobody, 'verify', file())).toMatch(/✓ calls +3 calls below: 0\.003 SAHARA/);
    expect(await must(nobody, 'explain', file())).toContain('Together: 0.003 SAHARA.');
    expect(await must(nobody, 'bill', file())).toContain('Proved: 0.0035 SAHARA');
    const sound = await readFile(file());
    const altered = join(caller.home.root, 'altered.bundle');
    const step = Math.floor(sound.length / 50);
    for (let at = 40; at < sound.length; at += step) {
      const bytes = Buffer.from(sound);
      bytes[at] = (bytes[at] ?? 0) ^ 4;
      // There is no bill without a summary, as the command shows for the first of them.
      expect(verifyBundle(nativeSuite, bytes).summary, `byte ${at}`).toBeUndefined();
      if (at > 40) continue;
      await writeFile(altered, bytes);
      expect((await nobody.sahara(['bill', altered])).code, `byte ${at}`).toBe(1);
    }
  });

  it('is paid out on the ledger, the expenses to whoever had them (RCPT-6)', async () => {
    const before = BigInt((await first.client.call('earnings', {})).balance);
    await must(first, 'channel', 'claim');
    const [made] = await caller.client.call('receipts', {});
    await eventually('the caller sees it settled', async () => {
      const [row] = await caller.client.call('receipts', {});
      return row?.settled === true ? row : undefined;
    });
    await must(caller, 'bundle', made?.callId ?? '', file());
    expect(await must(caller, 'verify', file())).toMatch(/Proved: desk answered .* settled in block \d+/);
    // What the desk paid the library came back to its operator at once; the rest is the assets'.
    const after = BigInt((await first.client.call('earnings', {})).balance);
    expect(after - before).toBeGreaterThan(2_000_000n);
    const [receipt] = await first.client.call('receipts', {});
    expect(receipt).toMatchObject({ agentName: 'library', amount: '3000000' });
  });

  it('refuse what the budget does not allow, before anybody is asked (CALL-85)', async () => {
    const refused = await caller.sahara(['ask', 'library', QUESTION, '--budget', '0.001']);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('(budget-exceeded)');
    expect(refused.stderr).toContain('It may cost 0.002 SAHARA, and 0.001 SAHARA of the budget is left.');
    const none = await caller.sahara(['ask', 'library', QUESTION]);
    expect(none.stderr).toContain('does not let anybody be asked further');
    const skilled = await caller.sahara(['ask', 'library', QUESTION, '--budget', '0.01', '--skills', 'sing']);
    expect(skilled.stderr).toContain('It asks for the skill any; allowed: sing.');
    const short = await caller.sahara([
      'ask',
      'library',
      QUESTION,
      '--max-price',
      '0.002',
      '--budget',
      '0.01',
    ]);
    expect(short.stderr).toContain('(price-above-max)');
  });
});
