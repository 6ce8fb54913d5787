/**
 * A disk that fills up under a daemon at work: it says so, loses nothing, charges and pays nothing meanwhile, and
 * works again once there is space, without a hand.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectSettled } from './settled.ts';
import { eventually, type Role, startTown, type Town } from './town.ts';
import { mountVolume, type Volume } from './volume.ts';

const volumes = new Map<Role, Volume>();
let town: Town;
let payee = '';
beforeAll(async () => {
  town = await startTown({
    prepare: async (role, peer) => {
      volumes.set(role, mountVolume(peer.home.root, 64));
    },
  });
  payee = (await town.of.host.client.call('status', {})).did;
});
afterAll(async () => {
  await town?.peers.stop();
  for (const volume of volumes.values()) volume.remove();
  await town?.stop();
});

const openChannel = (): Promise<unknown> =>
  town.of.caller.client.call('channel.open', { payee, deposit: '1000000000' });

/** Asks until an answer fails, and tells with what. */
const failure = (): Promise<string> =>
  eventually('the disk is felt', async () => (await town.ask('guide', 'What is a voucher?')).code);

async function expectFound(role: Role, name: string): Promise<void> {
  const finding = (await town.of[role].client.call('doctor', {})).find((row) => row.name === name);
  expect(finding).toMatchObject({ state: 'fault' });
  expect(finding?.next).not.toBe('');
}

describe('a full disk', () => {
  it('of the caller is named as that, and what was begun comes to its end later', async () => {
    volumes.get('caller')?.fill();
    expect(await failure()).toBe('disk-full');
    expect((await town.ask('guide', 'And again?')).code).toBe('disk-full');
    await expectFound('caller', 'disk');
    volumes.get('caller')?.empty();
    await expectSettled(town, 'full caller');
  });

  it('of the host is no charge, and callers are told to come again', async () => {
    volumes.get('host')?.fill();
    expect(['overloaded', 'peer-gone']).toContain(await failure());
    expect((await town.ask('guide', 'And again?')).code).toBe('overloaded');
    await expectFound('host', 'disk');
    volumes.get('host')?.empty();
    await expectSettled(town, 'full host');
  });

  it('of the peer that orders the ledger holds transactions up and loses none', async () => {
    const before = (await town.of.caller.client.call('channel.list', {})).length;
    volumes.get('ledger')?.fill();
    const opening = eventually('a block finds no space', async () => {
      const halted = (await town.of.ledger.client.call('doctor', {})).find(({ name }) => name === 'ledger');
      if (halted?.state === 'fault') return halted.found;
      // Nobody waits: what cannot be written now is written later.
      openChannel().catch(() => {});
      return undefined;
    });
    expect(await opening).toContain('halted');
    // Calls on channels that stand need no ledger.
    expect((await town.ask('guide', 'What is a grain?')).amount).toBe(2_000_000n);
    volumes.get('ledger')?.empty();
    await eventually('its daemon has begun anew', async () => {
      const found = (await town.of.ledger.client.call('doctor', {})).find(({ name }) => name === 'ledger');
      return found?.state === 'fault' ? undefined : found;
    });
    await expectSettled(town, 'full ledger');
    await eventually('a channel that was asked for stands', async () => {
      const { length } = await town.of.caller.client.call('channel.list', {});
      return length > before ? true : undefined;
    });
    await openChannel();
  });
});
