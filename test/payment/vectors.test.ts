/** The vectors of vouchers and endings, put to the real books. */
import { describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { createPayeeBook, type PayeeBook } from '../../src/payment/payee-book.ts';
import { PayerBook } from '../../src/payment/payer-book.ts';
import type { ChannelInfo } from '../../src/payment/ports.ts';
import { paymentAnswer } from '../../src/protocol/payment-query.ts';
import { createTickSigner, createVerifier, signed } from '../../src/protocol/signing.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { Channels } from '../calls/rig.ts';
import { operator, payer } from '../protocol/sample.ts';
import { bytesOf, type Case, type VectorFile, vectors } from '../protocol/vector-files.ts';

const amount = (file: VectorFile, key: string): bigint => BigInt(String(file.given[key]));

function channelsOf(file: VectorFile, state: unknown): Channels {
  return new Channels({
    id: bytesOf(file.given, 'channel'),
    payer: bytesOf(file.given, 'payer'),
    payee: bytesOf(file.given, 'payee'),
    deposit: amount(file, 'deposit'),
    claimed: 0n,
    state: state === 'closing' ? 'closing' : 'open',
    leaving: 0n,
    revision: 0,
    lanes: [],
  });
}

function partsOf(file: VectorFile, channels: Channels) {
  const network = String(file.given.network);
  const verifier = createVerifier(suite);
  return { suite, verifier, clock: systemClock, store: createMemoryStore(), channels, network };
}

const tick = (signer: typeof payer, network: string) => createTickSigner({ suite, signer, network });

describe('voucher.json', () => {
  const file = vectors('voucher');

  async function offered(entry: Case): Promise<string> {
    const channels = channelsOf(file, 'open');
    const parts = partsOf(file, channels);
    const clock: Clock = { ...systemClock, nowMs: () => Number(file.given.nowMs) };
    const book = createPayeeBook({ ...parts, clock, operator: tick(operator, parts.network) });
    const id = bytesOf(file.given, 'channel');
    channels.change(id, { voucherKeys: [{ key: bytesOf(file.given, 'voucherKey') }] });
    await admit(book, 1, bytesOf(entry.held === undefined ? file.given : entry, 'held'));
    channels.change(id, { ...channelsOf(file, entry.state).all[0], voucherKeys: keysOf(entry) });
    const verdict = await admit(book, 2, bytesOf(entry, 'hex')).then(
      () => 'ok',
      (error: { readonly code: string }) => error.code,
    );
    return verdict;
  }

  function keysOf({ voucherKeys }: Case): NonNullable<ChannelInfo['voucherKeys']> {
    // JSON of our own file: each is a key with its end.
    const keys = (voucherKeys ?? []) as readonly { readonly key: string; readonly until: number | null }[];
    return keys.map(({ key, until }) => ({ key: bytesOf({ key }, 'key'), ...(until !== null && { until }) }));
  }

  async function admit(book: PayeeBook, call: number, voucher: Uint8Array): Promise<void> {
    const hold = await book.admit({
      callId: new Uint8Array(16).fill(call),
      payer: bytesOf(file.given, 'payer'),
      voucher: signed.decode(voucher),
      requestHash: new Uint8Array(32),
      agentAsset: new Uint8Array(32),
      amountMax: amount(file, 'amountMax'),
      holdMs: 1_000,
    });
    hold.release();
  }

  it.each(file.valid)('$name is taken (PAY-3, PAY-71)', async (entry) => {
    expect(await offered(entry)).toBe('ok');
  });

  it.each(file.invalid)('$name is refused as $code (PAY-3, PAY-4, PAY-5, PAY-6, PAY-71)', async (entry) => {
    expect(await offered(entry)).toBe(entry.code);
  });
});

describe('ending.json', () => {
  const file = vectors('ending');
  const nothing = paymentAnswer.encode({
    type: 'state',
    serves: 0,
    voucher: undefined,
    charge: undefined,
    endings: [],
  });

  interface Ending {
    readonly receipt: string;
    readonly charge: string;
  }

  async function settled(entry: Case): Promise<string> {
    const parts = partsOf(file, channelsOf(file, 'open'));
    const book = await PayerBook.open({
      ...parts,
      operator: tick(payer, parts.network),
      peer: { ask: async () => nothing },
    });
    const payee = bytesOf(file.given, 'payee');
    const amountMax = amount(file, 'amountMax');
    const earlier = await book.reserve({ callId: bytesOf(file.given, 'earlierCall'), payee, amountMax });
    const call = await book.reserve({ callId: bytesOf(file.given, 'callId'), payee, amountMax });
    // JSON of our own file: each is an ending.
    for (const before of entry.accepted as readonly Ending[]) await earlier.settle(endingOf({ ...before }));
    return call.settle(endingOf(entry)).then(
      () => 'ok',
      (error: { readonly code: string }) => error.code,
    );
  }

  const endingOf = (entry: Readonly<Record<string, unknown>>) => ({
    receipt: signed.decode(bytesOf(entry, 'receipt')),
    charge: signed.decode(bytesOf(entry, 'charge')),
  });

  it.each(file.valid)('$name: accepted (PAY-30, PAY-31)', async (entry) => {
    expect(await settled(entry)).toBe('ok');
  });

  it.each(file.invalid)('$name: receipt-invalid (PAY-30, PAY-31, PAY-32)', async (entry) => {
    expect(await settled(entry)).toBe('receipt-invalid');
  });
});
