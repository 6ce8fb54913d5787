import { describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { type ClaimKeys, openClaimKeys } from '../../src/daemon/claim-keys.ts';
import { blockHeader } from '../../src/protocol/block.ts';
import type { PublicKey } from '../../src/protocol/ids.ts';
import type { KeyEvidence } from '../../src/protocol/key-evidence.ts';
import { filled, operator, payer } from '../protocol/sample.ts';
import { proveKeys, recordOf, rotated } from '../protocol/sample-keys.ts';

const CHANNEL = filled(0xf0);
const charge = { payload: new Uint8Array(0), signature: new Uint8Array(64), sides: 0, siblings: [] };

/** The keys kept in `store`; each claim is seen one block later, when the payee has its `turn`th key. */
async function open(store: Store, world: { height: number; turn: number }): Promise<ClaimKeys> {
  return openClaimKeys({
    log: silentLog,
    store,
    partiesOf: () => [payer.publicKey, operator.publicKey],
    async prove(dids): Promise<KeyEvidence> {
      const key = (did: PublicKey): PublicKey =>
        Buffer.from(did).equals(operator.publicKey) ? filled(world.turn) : rotated.payer.publicKey;
      return proveKeys(
        dids.map((did) => [did, recordOf(key(did))]),
        { height: ++world.height },
      );
    },
  });
}

const heights = async (keys: ClaimKeys): Promise<readonly number[]> =>
  (await keys.of(CHANNEL)).map(({ header }) => blockHeader.decode(header.payload).height);

describe('keys at the time of claims', () => {
  it('ID-38: are kept once for as long as nobody rotates, and found again', async () => {
    const [store, world] = [createMemoryStore(), { height: 100, turn: 1 }];
    const keys = await open(store, world);
    for (let i = 0; i < 3; i++) await keys.note({ channel: CHANNEL, charge, sender: operator.publicKey });
    expect(await heights(keys)).toEqual([101]);
    world.turn = 2;
    await keys.note({ channel: CHANNEL, charge, sender: operator.publicKey });
    expect(await heights(await open(store, world))).toEqual([101, 104]);
  });

  it('ID-38: of the parties do not leave for those of others who send claims', async () => {
    const [store, world] = [createMemoryStore(), { height: 200, turn: 1 }];
    let keys = await open(store, world);
    await keys.note({ channel: CHANNEL, charge, sender: operator.publicKey });
    for (let i = 0; i < 40; i++) await keys.note({ channel: CHANNEL, charge, sender: filled(0x10 + i) });
    expect(await heights(keys)).toEqual([201, ...Array.from({ length: 15 }, (_, i) => 227 + i)]);
    // The same after a restart, and then for keys of their own.
    keys = await open(store, world);
    for (world.turn = 2; world.turn < 22; world.turn++) {
      await keys.note({ channel: CHANNEL, charge, sender: operator.publicKey });
    }
    const last = await heights(keys);
    expect(last).toHaveLength(16);
    expect(last).toEqual(Array.from({ length: 16 }, (_, i) => 246 + i));
  });
});
