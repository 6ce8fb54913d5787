/** A payee with channels from several payers on a ledger of its own: real books, a real ledger. */
import { systemClock as clock } from '../../src/base/clock.ts';
import { silentLog as log } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { createWallet, type Wallet } from '../../src/daemon/wallet.ts';
import { createLedgerClient } from '../../src/ledger/client.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { createGenesis } from '../../src/ledger/genesis.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { createPayeeBook, type PayeeBook } from '../../src/payment/payee-book.ts';
import type { Hash } from '../../src/protocol/ids.ts';
import { voucher as voucherSchema } from '../../src/protocol/payment.ts';
import { createTickSigner, createVerifier, signOne, type Verifier } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { createSigner, nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { channelId } from '../../src/protocol/transaction.ts';

const seeded = (value: number): Signer => createSigner(new Uint8Array(32).fill(value));

/** Deposit of each channel, grains. */
export const DEPOSIT = 5_000_000n;

export interface ManyChannels extends AsyncDisposable {
  readonly ledger: Ledger;
  readonly wallet: Wallet;
  readonly book: PayeeBook;
  readonly payers: readonly Signer[];
  readonly channels: readonly Hash[];
  /** Charges `amount` on the channel of payer `i`; `signer` signs its voucher. */
  charge(i: number, amount: bigint, signer?: Signer): Promise<void>;
}

/** `trusting`: the book takes vouchers whoever signed them, as the ledger does not. */
export async function openMany(
  count: number,
  { trusting = false }: { readonly trusting?: boolean } = {},
): Promise<ManyChannels> {
  const [operator, agent] = [seeded(1), seeded(2)];
  const payers = Array.from({ length: count }, (_, i) => seeded(10 + i));
  const accounts = payers.map(({ publicKey }) => ({ owner: publicKey, balance: 10n * DEPOSIT }));
  const genesis = createGenesis({ sequencer: operator.publicKey, createdAtMs: 1 }, { accounts });
  const ledger = await createEmbeddedLedger(
    { store: createMemoryStore(), suite, clock, log, signer: operator },
    genesis,
  );
  const { network } = ledger;
  const wallet = createWallet({ ledger, signer: operator, clock, log, store: createMemoryStore() });
  await wallet.funded;
  const channels = await Promise.all(
    payers.map(async (signer) => {
      const client = createLedgerClient({ ledger, signer, suite, clock });
      await client.send({ type: 'open-channel', payee: operator.publicKey, deposit: DEPOSIT });
      return channelId(suite, network, signer.publicKey, operator.publicKey, 0);
    }),
  );
  const trustingVerifier: Verifier = { check: async () => undefined };
  const book = createPayeeBook({
    suite,
    clock,
    network,
    verifier: trusting ? trustingVerifier : createVerifier(suite),
    store: createMemoryStore(),
    channels: wallet.channels,
    operator: createTickSigner({ suite, signer: operator, network }),
  });
  const asset = new Uint8Array(32).fill(7);
  const zeros = new Uint8Array(32);
  let sequence = 0;
  const charge: ManyChannels['charge'] = async (i, amount, signer) => {
    const [payer, channel] = [payers[i] ?? operator, channels[i] ?? zeros];
    const terms = {
      ...{ network, channel, lane: 0, ceiling: DEPOSIT, sequence: ++sequence },
      ...{ receiptCount: 0, receiptRoot: zeros, receiptTotal: 0n, notAfterMs: undefined },
    };
    const payload = voucherSchema.encode(terms);
    const callId = crypto.getRandomValues(new Uint8Array(16));
    const request = { callId, payer: payer.publicKey, requestHash: zeros, agentAsset: asset };
    const voucher = signOne(suite, signer ?? payer, network, { type: 'voucher', payload });
    const hold = await book.admit({ ...request, voucher, amountMax: amount, holdMs: 60_000 });
    await hold.commit(
      {
        ...{ version: 1, network, callId, agent: agent.publicKey, payee: operator.publicKey },
        ...{ payer: payer.publicKey, requestHash: zeros, responseHash: zeros, deliveries: 1 },
        ...{ cardHash: zeros, manifestHash: zeros, modelDigest: zeros, skill: undefined, seed: undefined },
        ...{ finish: 'done', inputUnits: 1, outputUnits: 1, expenses: 0n, amount },
        price: { perCall: amount, perInputUnit: 0n, perOutputUnit: 0n },
        shares: [{ asset, role: 'agent', ppm: 1_000_000, amount }],
        ...{ attributionRule: 'test/1', startedAtMs: 1, finishedAtMs: 2 },
      },
      createTickSigner({ suite, signer: agent, network }),
    );
  };
  return {
    ...{ ledger, wallet, book, payers, channels, charge },
    async [Symbol.asyncDispose]() {
      wallet.stop();
      await ledger.stop();
    },
  };
}
