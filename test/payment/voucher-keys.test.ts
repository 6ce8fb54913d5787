import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock as clock } from '../../src/base/clock.ts';
import { asSaharaError, SaharaError } from '../../src/base/errors.ts';
import { openReplayStore } from '../../src/base/replay.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { createPayeeBook, type PayeeBook, type PayeeHold } from '../../src/payment/payee-book.ts';
import { PayerBook } from '../../src/payment/payer-book.ts';
import { answerPaymentQuery } from '../../src/payment/payment-service.ts';
import { covers, hasFadingVoucher, type VoucherKeyring } from '../../src/payment/voucher-signer.ts';
import type { Hash, PublicKey } from '../../src/protocol/ids.ts';
import { type Voucher, voucher as voucherSchema } from '../../src/protocol/payment.ts';
import { paymentAnswer } from '../../src/protocol/payment-query.ts';
import {
  createTrustedVerifier,
  createVerifier,
  type Signed,
  signOne,
  type Trust,
} from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { createSigner, nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { AGENT_ASSET, CHANNEL, Channels, hash, keys, NETWORK, openChannel, tick } from '../calls/rig.ts';

const hot = [1, 2, 3, 4, 5, 6].map((fill) => createSigner(hash(0x50 + fill)));
const hotKey = (i: number): Signer => hot[i] ?? expect.fail('a key');
const callId = (fill: number): Uint8Array => new Uint8Array(16).fill(fill);

/** A voucher over `ceiling`, signed by `signer`. */
function voucherBy(signer: Signer, change: Partial<Voucher> = {}): Signed {
  const terms: Voucher = {
    network: NETWORK,
    channel: CHANNEL,
    lane: 0,
    ceiling: 100n,
    sequence: 1,
    receiptCount: 0,
    receiptRoot: new Uint8Array(32),
    receiptTotal: 0n,
    notAfterMs: undefined,
    ...change,
  };
  return signOne(suite, signer, NETWORK, { type: 'voucher', payload: voucherSchema.encode(terms) });
}

/** Gives the channel these voucher keys, the first without an end. */
function giveKeys(channels: Channels, present: Signer | undefined, ...former: readonly Signer[]): void {
  const now = present === undefined ? [] : [{ key: present.publicKey }];
  const before = former.map(({ publicKey }) => ({ key: publicKey, until: 50 }));
  channels.change(CHANNEL, { voucherKeys: [...now, ...before] });
}

function openPayee(channels: Channels, store: Store = createMemoryStore(), trust?: Trust): PayeeBook {
  const verifier = createVerifier(suite);
  return createPayeeBook({
    ...{ suite, clock, store, channels, network: NETWORK, operator: tick(keys.operator) },
    verifier: trust === undefined ? verifier : createTrustedVerifier(verifier, trust),
  });
}

let calls = 0;
function admit(book: PayeeBook, voucher: Signed, amountMax = 10n): Promise<PayeeHold> {
  const id = new Uint8Array(16);
  new DataView(id.buffer).setUint32(0, ++calls);
  return book.admit({
    ...{ callId: id, payer: keys.payer.publicKey, voucher, amountMax },
    ...{ requestHash: hash(1), agentAsset: AGENT_ASSET, holdMs: 60_000 },
  });
}

describe('a payee', () => {
  it('PAY-71: takes vouchers of the payer and of the channel’s present key, of nobody else', async () => {
    const channels = new Channels(openChannel(1_000n));
    const book = openPayee(channels);
    await admit(book, voucherBy(keys.payer));
    const byHot = voucherBy(hotKey(0), { sequence: 2 });
    await expect(admit(book, byHot)).rejects.toMatchObject({ code: 'voucher-invalid' });
    giveKeys(channels, hotKey(0));
    await admit(book, byHot);
    await admit(book, voucherBy(keys.payer, { sequence: 3 }));
    const foreign = voucherBy(keys.stranger, { sequence: 4 });
    await expect(admit(book, foreign)).rejects.toMatchObject({ code: 'voucher-invalid' });
    const unsigned = { ...byHot, signature: new Uint8Array(0) };
    await expect(admit(book, unsigned)).rejects.toMatchObject({
      code: 'voucher-invalid',
      facts: { reason: 'signature-missing' },
    });
  });

  it('PAY-71: serves nothing on what a replaced or revoked key signed, whichever voucher is offered', async () => {
    for (const next of [hotKey(1), undefined]) {
      const channels = new Channels(openChannel(1_000n));
      const book = openPayee(channels);
      giveKeys(channels, hotKey(0));
      const held = voucherBy(hotKey(0), { sequence: 5, ceiling: 500n });
      await admit(book, held);
      giveKeys(channels, next, hotKey(0));
      const stale = { code: 'voucher-stale', facts: { reason: 'another key signs for this channel' } };
      await expect(admit(book, held)).rejects.toMatchObject(stale);
      const higher = voucherBy(hotKey(0), { sequence: 6, ceiling: 600n });
      await expect(admit(book, higher)).rejects.toMatchObject(stale);
      // What says no more than the one held leaves that the one by which is charged.
      await expect(admit(book, voucherBy(keys.payer))).rejects.toMatchObject(stale);
      await admit(book, voucherBy(next ?? keys.payer, { sequence: 7, ceiling: 500n }));
      await admit(book, voucherBy(next ?? keys.payer, { sequence: 7, ceiling: 500n }));
    }
  });

  it('PAY-71: knows after a restart whose the voucher is that it holds', async () => {
    const channels = new Channels(openChannel(1_000n));
    const store = createMemoryStore();
    giveKeys(channels, hotKey(0));
    const before = openPayee(channels, store);
    const held = voucherBy(hotKey(0), { sequence: 5, ceiling: 500n });
    await admit(before, held);
    await before.flush();
    await admit(openPayee(channels, store), held);
    giveKeys(channels, hotKey(1), hotKey(0));
    await expect(admit(openPayee(channels, store), held)).rejects.toMatchObject({ code: 'voucher-stale' });
    // The ledger has forgotten the key.
    giveKeys(channels, hotKey(1));
    await expect(admit(openPayee(channels, store), held)).rejects.toMatchObject({ code: 'voucher-stale' });
    await admit(openPayee(channels, store), voucherBy(hotKey(1), { sequence: 6, ceiling: 500n }));
  });

  it('PAY-72: goes on with what it took, and takes more for it by the key that counts', async () => {
    const channels = new Channels(openChannel(1_000n));
    giveKeys(channels, hotKey(0));
    const book = openPayee(channels);
    const hold = await admit(book, voucherBy(hotKey(0)), 100n);
    giveKeys(channels, hotKey(1), hotKey(0));
    const late = { voucher: voucherBy(hotKey(0), { sequence: 2, ceiling: 200n }), amountMax: 200n };
    await expect(hold.extend(late)).rejects.toMatchObject({ code: 'voucher-stale' });
    const own = { voucher: voucherBy(keys.payer, { sequence: 3, ceiling: 200n }), amountMax: 200n };
    await hold.extend(own);
    const next = { voucher: voucherBy(hotKey(1), { sequence: 4, ceiling: 300n }), amountMax: 300n };
    await hold.extend(next);
  });

  it('PAY-72: a call that was taken before a restart goes on with the voucher that was kept for it', async () => {
    const channels = new Channels(openChannel(1_000n));
    giveKeys(channels, hotKey(1), hotKey(0));
    const book = openPayee(channels);
    const kept = { callId: callId(9), payer: keys.payer.publicKey, voucher: voucherBy(hotKey(0)) };
    const call = { requestHash: hash(1), agentAsset: AGENT_ASSET, amountMax: 10n, holdMs: 60_000 };
    await book.admit({ ...kept, ...call, taken: true });
    await expect(admit(book, voucherBy(hotKey(0)))).rejects.toMatchObject({ code: 'voucher-stale' });
  });

  it('PAY-71: waits for the block that its payer has heard of already', async () => {
    const channels = new Channels(openChannel(1_000n));
    let blocks = 0;
    const trust: Trust = {
      signersOf: () => undefined,
      isRevoked: () => false,
      version: () => 0,
      async later() {
        blocks++;
        giveKeys(channels, hotKey(0));
        return true;
      },
    };
    const book = openPayee(channels, createMemoryStore(), trust);
    await admit(book, voucherBy(hotKey(0)));
    expect(blocks).toBe(1);
    const foreign = voucherBy(keys.stranger, { sequence: 4 });
    await expect(admit(book, foreign)).rejects.toMatchObject({ code: 'voucher-invalid' });
  });

  it('PAY-73: tells which channels it has to claim on before a key counts no more', async () => {
    const channels = new Channels(openChannel(1_000n));
    giveKeys(channels, hotKey(0));
    const store = createMemoryStore();
    const book = openPayee(channels, store);
    const fading = (of: PayeeBook): Promise<boolean> => {
      const parts = { network: NETWORK, verifier: createVerifier(suite), channels };
      return hasFadingVoucher({ ...parts, lanes: of.lanes }, CHANNEL);
    };
    await admit(book, voucherBy(hotKey(0)));
    await book.flush();
    expect(await fading(book)).toBe(false);
    giveKeys(channels, hotKey(1), hotKey(0));
    expect(await fading(book)).toBe(true);
    expect(await fading(openPayee(channels, store))).toBe(true);
    await admit(book, voucherBy(hotKey(1), { sequence: 2 }));
    await book.flush();
    expect(await fading(book)).toBe(false);
    expect(await fading(openPayee(channels, store))).toBe(false);
  });
});

/** A keyring of these keys, which its payer was refused so often. */
function ringOf(...here: readonly Signer[]): VoucherKeyring & { refusals: number } {
  const ring = {
    refusals: 0,
    signerOf: (_channel: Hash, key: PublicKey) => {
      const found = here.find(({ publicKey }) => Buffer.from(publicKey).equals(key));
      return found && ring.refusals === 0 ? tick(found) : undefined;
    },
    keysOf: () => here.map(({ publicKey }) => publicKey),
    refused: () => {
      ring.refusals++;
    },
  };
  return ring;
}

/** Channels of a ledger that cannot be read the `dark`th time. */
class Unreadable extends Channels {
  failed = false;
  #reads = 0;
  readonly #dark: number;

  constructor(dark: number, ...of: ConstructorParameters<typeof Channels>) {
    super(...of);
    this.#dark = dark;
  }

  override channel(id: Hash): ReturnType<Channels['channel']> {
    if (++this.#reads !== this.#dark) return super.channel(id);
    this.failed = true;
    throw new SaharaError('peer-unreachable', { peer: 'ledger' });
  }
}

interface PayerSide {
  readonly channels: Channels;
  readonly ring: VoucherKeyring;
  readonly store?: Store;
  readonly payee?: PayeeBook;
  /** The voucher that the payee shows. */
  readonly shown?: Signed;
}

async function openPayer({ channels, ring, store, payee, shown }: PayerSide): Promise<PayerBook> {
  const state = { type: 'state', serves: 0, voucher: shown, charge: undefined, endings: [] } as const;
  const service = payee && {
    ...{ book: payee, verifier: createVerifier(suite), clock, network: NETWORK },
    replay: await openReplayStore({ clock, store: createMemoryStore() }),
  };
  return PayerBook.open({
    ...{ suite, clock, channels, network: NETWORK, voucherKeys: ring },
    verifier: createVerifier(suite),
    store: store ?? createMemoryStore(),
    operator: tick(keys.payer),
    peer: {
      ask: async (_payee, body) =>
        service === undefined ? paymentAnswer.encode(state) : answerPaymentQuery(service, body),
    },
  });
}

const payee = keys.operator.publicKey;
const isBy = (signer: Signer, signed: Signed | undefined): Promise<boolean> =>
  signed === undefined
    ? Promise.resolve(false)
    : createVerifier(suite)
        .check(NETWORK, 'voucher', signer.publicKey, signed)
        .then((fault) => fault === undefined);

describe('a payer', () => {
  it('PAY-71: signs with the key that the ledger has for the channel, if it is here, and else with its own', async () => {
    const channels = new Channels(openChannel(1_000n));
    const book = await openPayer({ channels, ring: ringOf(hotKey(0), hotKey(1)) });
    const sign = async (fill: number): Promise<Signed | undefined> =>
      (await book.reserve({ callId: callId(fill), payee, amountMax: 10n })).voucher;
    expect(await isBy(keys.payer, await sign(1))).toBe(true);
    giveKeys(channels, hotKey(0));
    expect(await isBy(hotKey(0), await sign(2))).toBe(true);
    giveKeys(channels, hotKey(1), hotKey(0));
    expect(await isBy(hotKey(1), await sign(3))).toBe(true);
    giveKeys(channels, hotKey(4), hotKey(1));
    expect(await isBy(keys.payer, await sign(4))).toBe(true);
    giveKeys(channels, undefined, hotKey(1));
    expect(await isBy(keys.payer, await sign(5))).toBe(true);
  });

  it('PAY-72: signs with its own key where the ledger cannot be read just then, and never hangs', async () => {
    let signed = 0;
    for (let dark = 1; dark <= 6; dark++) {
      const channels = new Unreadable(dark, openChannel(1_000n));
      giveKeys(channels, hotKey(0));
      const book = await openPayer({ channels, ring: ringOf(hotKey(0)) });
      const reserved = await book.reserve({ callId: callId(1), payee, amountMax: 10n }).then(
        ({ voucher }) => voucher,
        (error: unknown) => asSaharaError(error).code,
      );
      if (typeof reserved === 'string') expect(reserved).toBe('peer-unreachable');
      else if (channels.failed) {
        expect(await isBy(keys.payer, reserved)).toBe(true);
        signed++;
      } else expect(await isBy(hotKey(0), reserved)).toBe(true);
    }
    expect(signed).toBe(1);
  });

  it('PAY-72: signs anew by its own key when a payee refuses what the channel’s key signed', async () => {
    const channels = new Channels(openChannel(1_000n));
    giveKeys(channels, hotKey(0));
    // The payee's ledger is far behind.
    const ring = ringOf(hotKey(0));
    const book = await openPayer({ channels, ring });
    const first = await book.reserve({ callId: callId(1), payee, amountMax: 10n });
    const behind = openPayee(new Channels(openChannel(1_000n)));
    const refusal = await admit(behind, first.voucher ?? expect.fail('a voucher')).catch((error) => error);
    expect(refusal).toMatchObject({ code: 'voucher-invalid' });
    first.release(refusal);
    expect(ring.refusals).toBe(1);
    const again = await book.reserve({ callId: callId(1), payee, amountMax: 10n });
    await admit(behind, again.voucher ?? expect.fail('a voucher'));
  });

  it('PAY-73: takes over what it promised by a former key, and nothing that it cannot have promised', async () => {
    const channels = new Channels(openChannel(100_000n));
    const store = createMemoryStore();
    giveKeys(channels, hotKey(0));
    const ring = ringOf(hotKey(0), hotKey(1));
    const before = await openPayer({ channels, ring, store });
    const promised = await before.reserve({ callId: callId(1), payee, amountMax: 10n });
    const { voucher } = promised;
    promised.release();
    await before.flush();
    giveKeys(channels, hotKey(1));
    const reserve = async (shown: Signed | undefined): Promise<bigint> => {
      const book = await openPayer({ channels, ring, store, ...(shown && { shown }) });
      const held = await book.reserve({ callId: callId(2), payee, amountMax: 10n });
      held.release();
      await book.flush();
      return book.balances()[0]?.ceiling ?? 0n;
    };
    expect(await reserve(voucher)).toBeGreaterThanOrEqual(10n);
    const stolen = voucherBy(hotKey(0), { ceiling: 99_000n, sequence: 1_000_000 });
    for (const shown of [stolen, voucherBy(keys.stranger)]) {
      await expect(reserve(shown)).rejects.toMatchObject({ code: 'voucher-invalid' });
    }
    // By the payer's own key it may be another home of the same payer that promised it.
    expect(await reserve(voucherBy(keys.payer, { ceiling: 500n, sequence: 2_000 }))).toBeGreaterThanOrEqual(
      500n,
    );
  });
});

describe('both sides together', () => {
  it('PAY-71 PAY-72: whenever keys change, every call is taken at the second try, on a voucher that can be claimed', async () => {
    const change = fc.oneof(
      fc.record({ type: fc.constant('key' as const), key: fc.option(fc.integer({ min: 0, max: 5 })) }),
      fc.record({ type: fc.constant('call' as const), amount: fc.bigInt({ min: 1n, max: 50n }) }),
      fc.record({ type: fc.constant('payee restarts' as const) }),
      fc.record({ type: fc.constant('payer restarts' as const) }),
      fc.record({ type: fc.constant('forget' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 24 }), async (steps) => {
        const channels = new Channels(openChannel(1_000_000n));
        const [payeeStore, payerStore] = [createMemoryStore(), createMemoryStore()];
        const ring = ringOf(...hot);
        let book = openPayee(channels, payeeStore);
        let payer = await openPayer({ channels, ring, store: payerStore, payee: book });
        let id = 0;
        const former: Signer[] = [];
        let present: Signer | undefined;
        for (const step of steps) {
          if (step.type === 'key') {
            if (present !== undefined) former.unshift(present);
            present = step.key === null ? undefined : hotKey(step.key);
            giveKeys(channels, present, ...former.filter((one) => one !== present).slice(0, 3));
          }
          if (step.type === 'forget') {
            former.length = 0;
            giveKeys(channels, present);
          }
          if (step.type === 'payee restarts') {
            await book.flush();
            book = openPayee(channels, payeeStore);
          }
          if (step.type === 'payee restarts' || step.type === 'payer restarts') {
            await payer.flush();
            payer = await openPayer({ channels, ring, store: payerStore, payee: book });
          }
          if (step.type !== 'call') continue;
          id++;
          for (let attempt = 0; ; attempt++) {
            const held = await payer.reserve({ callId: callId(id), payee, amountMax: step.amount });
            try {
              const taken = await admit(book, held.voucher ?? expect.fail('a voucher'), step.amount);
              const { signer } = (await book.lanes.find(CHANNEL, 0))?.voucher ?? {};
              const channel = channels.channel(CHANNEL) ?? expect.fail('the channel');
              expect(signer !== undefined && covers(channel, signer)).toBe(true);
              taken.release();
              held.release();
              ring.refusals = 0;
              break;
            } catch (error) {
              if (attempt > 0) throw error;
              held.release(asSaharaError(error));
            }
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});
