import { describe, expect, it } from 'vitest';
import { systemClock as clock } from '../../src/base/clock.ts';
import { silentLog as log } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { makeRoom, type RoomParts } from '../../src/daemon/channels.ts';
import { Turns } from '../../src/daemon/turns.ts';
import { createWallet } from '../../src/daemon/wallet.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { createGenesis } from '../../src/ledger/genesis.ts';
import { PayerBook } from '../../src/payment/payer-book.ts';
import { createTickSigner, createVerifier } from '../../src/protocol/signing.ts';
import { createSigner, nativeSuite as suite } from '../../src/protocol/suite-native.ts';

const seeded = (value: number): ReturnType<typeof createSigner> =>
  createSigner(new Uint8Array(32).fill(value));
const signal = new AbortController().signal;

/** A payer with a wallet on a ledger of its own. */
async function payerWith(channelDeposit: string): Promise<RoomParts & AsyncDisposable> {
  const signer = seeded(1);
  const genesis = createGenesis({ sequencer: signer.publicKey, createdAtMs: 1 });
  const ledger = await createEmbeddedLedger(
    { store: createMemoryStore(), suite, clock, log, signer },
    genesis,
  );
  const wallet = createWallet({ ledger, signer, clock, log, store: createMemoryStore() });
  const { network } = ledger;
  const payer = await PayerBook.open({
    suite,
    clock,
    network,
    verifier: createVerifier(suite),
    store: createMemoryStore(),
    channels: wallet.channels,
    peer: { ask: () => Promise.reject(new Error('nobody is asked')) },
    operator: createTickSigner({ suite, signer, network }),
  });
  return {
    ledger,
    wallet,
    network,
    payer,
    config: { wallet: { channelDeposit } },
    async [Symbol.asyncDispose]() {
      wallet.stop();
      await ledger.stop();
    },
  };
}

describe('room for calls', () => {
  it('PAY-39: first calls at once to one payee share one channel; another payee gets its own', async () => {
    await using parts = await payerWith('1');
    const [payee, other] = [seeded(2).publicKey, seeded(3).publicKey];
    const rooms = await Promise.all(
      Array.from({ length: 12 }, () => makeRoom(parts, { payee: payee, needed: 1_000n }, { signal })),
    );
    expect(rooms.filter((room) => room === 'opened')).toHaveLength(1);
    expect(rooms.filter((room) => room === 'there')).toHaveLength(11);
    await makeRoom(parts, { payee: other, needed: 1_000n }, { signal });
    expect(parts.ledger.channelsOf(parts.wallet.publicKey)).toHaveLength(2);
  });

  it('PAY-39: what one of them adds serves the others only as far as it reaches', async () => {
    await using parts = await payerWith('1');
    const payee = seeded(2).publicKey;
    const needed = 400_000_000n;
    const rooms = await Promise.all(
      Array.from({ length: 6 }, () => makeRoom(parts, { payee, needed }, { signal })),
    );
    // One SAHARA carries two of these calls, two carry five.
    expect(rooms).toEqual(['opened', 'there', 'filled', 'there', 'there', 'filled']);
    const [channel] = parts.ledger.channelsOf(parts.wallet.publicKey);
    expect(channel?.deposit).toBe(3_000_000_000n);
  });

  it('PAY-39: an attempt that fails or is cancelled holds up none after it', async () => {
    const turns = new Turns();
    const stop = new AbortController();
    const begun = Promise.withResolvers<void>();
    const failing = turns.take('a', () => begun.promise.then(() => Promise.reject(new Error('no'))), {
      signal,
    });
    const cancelled = turns.take('a', () => Promise.resolve('never'), { signal: stop.signal });
    const last = turns.take('a', () => Promise.resolve('mine'), { signal });
    stop.abort();
    await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' });
    begun.resolve();
    await expect(failing).rejects.toThrow('no');
    expect(await last).toBe('mine');
  });
});
