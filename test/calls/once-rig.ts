import { openCallRecords } from '../../src/agent/call-records.ts';
import { type AskRequest, type Caller, createCaller } from '../../src/agent/caller.ts';
import { createHost, type Host } from '../../src/agent/host.ts';
import { type OpenCalls, openOpenCalls } from '../../src/agent/open-calls.ts';
import type { Answerer, CallStream, OncePayee, OncePayer } from '../../src/agent/ports.ts';
import { openQuotaBook } from '../../src/agent/quota.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { systemDice } from '../../src/base/random.ts';
import { openReplayStore } from '../../src/base/replay.ts';
import { createMemoryStore, prefixed, type Store } from '../../src/base/store.ts';
import { createCallPayer } from '../../src/daemon/paying-calls.ts';
import { createWallet, type Wallet } from '../../src/daemon/wallet.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { createOnceBook } from '../../src/payment/once-book.ts';
import { createPayeeBook } from '../../src/payment/payee-book.ts';
import type { Card } from '../../src/protocol/card.ts';
import { card as cardSchema } from '../../src/protocol/card.ts';
import type { Hash } from '../../src/protocol/ids.ts';
import { createTickSigner, createVerifier, signed, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { type Action, assetId } from '../../src/protocol/transaction.ts';
import { alice, bob, suite, testGenesis } from '../ledger/support.ts';
import { Channels, cardOf, keys, quotingAnswerer } from './rig.ts';
import { createStreamPair, type PairOptions } from './stream-pair.ts';

/** What a call of the agent here costs, grains. */
export const PRICE = 5_000n;

/** A real ledger with an asset of the agent: alice, who runs the agent, makes its blocks, and bob has money. */
export interface OnceTown {
  readonly ledger: Ledger;
  readonly asset: Hash;
  readonly wallet: Wallet;
  /** Where the payer keeps what it signed. */
  readonly payerStore: Store;
  stop(): Promise<void>;
}

export async function startOnceTown(): Promise<OnceTown> {
  const parts = { store: createMemoryStore(), suite, clock: systemClock, log: silentLog, signer: alice };
  const genesis = testGenesis({ faucet: undefined });
  const ledger = await createEmbeddedLedger(parts, { ...genesis, sequencer: alice.publicKey });
  const common = { ledger, clock: systemClock, log: silentLog };
  const operator = createWallet({ ...common, signer: alice, store: createMemoryStore() });
  const { nonce } = await operator.send(AGENT_ASSET_ACTION);
  const wallet = createWallet({ ...common, signer: bob, store: createMemoryStore() });
  return {
    ledger,
    asset: assetId(suite, ledger.network, alice.publicKey, nonce),
    wallet,
    payerStore: createMemoryStore(),
    async stop() {
      operator.stop();
      wallet.stop();
      await ledger.stop();
    },
  };
}

const AGENT_ASSET_ACTION: Action = {
  type: 'register-asset',
  kind: 'agent',
  name: 'guide',
  owners: [{ owner: alice.publicKey, ppm: 1_000_000 }],
  parents: [],
  commitment: { scheme: 'sahara-manifest-1', root: new Uint8Array(32), sizeBytes: 0 },
  licence: 'Apache-2.0',
  terms: undefined,
  replaces: undefined,
  bounty: 0,
};

/** How a pair of caller and host differs from the plain one. */
export interface OnceOptions {
  readonly card?: Partial<Card>;
  readonly answerer?: Answerer;
  readonly pair?: PairOptions;
  /** The disks of host and caller: a second rig over them is both after a restart. */
  readonly hostStore?: Store;
  readonly callerStore?: Store;
  readonly clock?: Clock;
  readonly payer?: (real: OncePayer) => OncePayer;
  readonly payee?: (real: OncePayee) => OncePayee | undefined;
  readonly by?: Signer;
  /** Limits of what the host keeps of calls. */
  readonly records?: Parameters<typeof openCallRecords>[1];
}

/** A caller and a host on one ledger. */
export interface OnceRig {
  readonly caller: Caller;
  readonly host: Host;
  readonly openCalls: OpenCalls;
  readonly card: Card;
  readonly payer: OncePayer;
  /** Every frame's kind that the caller sent, stream by stream. */
  readonly sent: number[][];
  request(change?: Partial<AskRequest>): AskRequest;
  /** A stream to the host. */
  open(): CallStream;
}

export async function createOnceRig(town: OnceTown, options: OnceOptions = {}): Promise<OnceRig> {
  const { ledger, wallet } = town;
  const { network } = ledger;
  const clock = options.clock ?? systemClock;
  const hostStore = options.hostStore ?? createMemoryStore();
  const callerStore = options.callerStore ?? createMemoryStore();
  const at = (store: Store, name: string): Store => prefixed(store, utf8(name));
  const tick = (signer: Signer) => createTickSigner({ suite, signer, network });
  const card = cardOf({
    network,
    operator: alice.publicKey,
    asset: town.asset,
    price: { perCall: PRICE, perInputUnit: 0n, perOutputUnit: 0n },
    ...options.card,
  });
  const signedCard = signOne(suite, keys.agent, network, { type: 'card', payload: cardSchema.encode(card) });
  const verifier = createVerifier(suite);
  const answerer = options.answerer ?? quotingAnswerer();
  const cardHash = suite.sha256(signed.encode(signedCard));
  const hosted = { card, cardHash, signer: tick(keys.agent), answerer };
  const payee = createPayeeBook({
    ...{ suite, verifier, clock, network, channels: new Channels(), operator: tick(alice) },
    store: at(hostStore, 'p'),
  });
  const used = await openReplayStore({ clock, store: at(hostStore, 'u') });
  const book = createOnceBook({ suite, clock, network, sequencer: alice.publicKey, used });
  const once = options.payee === undefined ? book : options.payee(book);
  const host = createHost({
    ...{ suite, verifier, clock, network, payee, log: silentLog },
    ...(once && { once }),
    replay: await openReplayStore({ clock, store: at(hostStore, 'r') }),
    records: await openCallRecords({ clock, store: at(hostStore, 'c') }, options.records),
    quota: await openQuotaBook({ clock, store: at(hostStore, 'q') }),
    agents: { find: (agent) => (Buffer.from(agent).equals(card.agent) ? hosted : undefined) },
  });
  const sent: number[][] = [];
  const open = (): CallStream => {
    const kinds: number[] = [];
    sent.push(kinds);
    const { caller: near, host: far } = createStreamPair({
      ...options.pair,
      tap: (frame, from, index) => {
        if (from === 'caller') kinds.push(frame.kind);
        return options.pair?.tap?.(frame, from, index) ?? frame;
      },
    });
    host.serve(far);
    return near;
  };
  const real = createCallPayer({ ledger, wallet, suite, clock, store: town.payerStore });
  const payer = options.payer?.(real) ?? real;
  const openCalls = await openOpenCalls({ store: at(callerStore, 'o'), clock });
  const caller = createCaller(
    {
      ...{ suite, verifier: createVerifier(suite), clock, dice: systemDice, network, openCalls },
      operator: tick(options.by ?? bob),
      transport: { peerId: 'peer-caller', openCall: async () => open() },
      once: payer,
      records: await openCallRecords({ clock, store: at(callerStore, 'c') }),
    },
    { stopTimeoutMs: 1_000, resumeForMs: 3_000 },
  );
  return {
    ...{ caller, host, openCalls, card, payer, sent, open },
    request: (change) => ({
      target: { peerId: 'peer-host', card: signedCard },
      ...{ question: 'How does a payee get paid?', priceMax: 10_000n, payment: 'once', ...change },
    }),
  };
}
