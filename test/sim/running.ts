/** What one run of a party consists of: the parts of the daemon, put together as the daemon does, on a world's effects. */
import { type CallRecords, openCallRecords } from '../../src/agent/call-records.ts';
import { type Caller, createCaller } from '../../src/agent/caller.ts';
import { createHost, type Host } from '../../src/agent/host.ts';
import { type OpenCalls, openOpenCalls } from '../../src/agent/open-calls.ts';
import type { CallTransport } from '../../src/agent/ports.ts';
import { openQuotaBook } from '../../src/agent/quota.ts';
import { openRunningCalls, type RunningCalls } from '../../src/agent/running-calls.ts';
import { equalBytes, utf8 } from '../../src/base/bytes.ts';
import type { Clock } from '../../src/base/clock.ts';
import { type Log, type LogFacts, silentLog } from '../../src/base/log.ts';
import type { Dice } from '../../src/base/random.ts';
import { openReplayStore, type ReplayStore } from '../../src/base/replay.ts';
import { prefixed, type Store } from '../../src/base/store.ts';
import { startClaiming } from '../../src/daemon/claiming.ts';
import { startDisputes } from '../../src/daemon/disputes.ts';
import type { VoucherSecrets } from '../../src/daemon/keys.ts';
import { createPaymentPeers, type PaymentPeers, servePayments } from '../../src/daemon/payment-peers.ts';
import { createTrust } from '../../src/daemon/trust.ts';
import { openVoucherKeys, type VoucherKeys } from '../../src/daemon/voucher-keys.ts';
import { createWallet, type Wallet } from '../../src/daemon/wallet.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { createLedgerSync } from '../../src/ledger/sync.ts';
import { createDirectory, type Directory } from '../../src/mesh/directory.ts';
import { type Claimer, createClaimer } from '../../src/payment/claimer.ts';
import { recoverTail } from '../../src/payment/journal.ts';
import { createPayeeBook, type PayeeBook } from '../../src/payment/payee-book.ts';
import { openPayeeRun } from '../../src/payment/payee-run.ts';
import { PayerBook } from '../../src/payment/payer-book.ts';
import { hasFadingVoucher } from '../../src/payment/voucher-signer.ts';
import {
  createTickSigner,
  createVerifier,
  signed,
  type TickSigner,
  type Verifier,
} from '../../src/protocol/signing.ts';
import type { Suite } from '../../src/protocol/suite.ts';
import { createScriptedAnswerer } from './answerer.ts';
import { borrowLedger } from './lend.ts';
import { SimMesh } from './mesh.ts';
import type { Party, SimAgent } from './party.ts';
import { createClock, type Life } from './time.ts';
import type { World } from './world.ts';

/** What runs while a party is up. */
export interface Running extends Ground, Books {
  readonly records: CallRecords;
  readonly host: Host;
  readonly caller: Caller;
  readonly openCalls: OpenCalls;
  readonly transport: CallTransport;
}

interface Ground {
  readonly party: Party;
  readonly world: World;
  readonly life: Life;
  readonly suite: Suite;
  readonly network: string;
  readonly clock: Clock;
  readonly dice: Dice;
  readonly log: Log;
  readonly defer: (run: () => void) => void;
  readonly storeOf: (name: string) => Store;
  readonly verifier: Verifier;
  readonly operator: TickSigner;
  readonly mesh: SimMesh;
  readonly ledger: Ledger;
  readonly wallet: Wallet;
}

interface Books {
  readonly replay: ReplayStore;
  readonly running: RunningCalls;
  readonly payee: PayeeBook;
  readonly claimer: Claimer;
  readonly directory: Directory;
  readonly paymentPeers: PaymentPeers;
  readonly payer: PayerBook;
  readonly voucherKeys: VoucherKeys;
}

const RESOLVE_EVERY_MS = 5_000;

/** Opens everything of `party` on what its disk holds. `joined` hears of its place in the network at once. */
export async function openRunning(
  party: Party,
  life: Life,
  joined: (mesh: SimMesh) => void,
): Promise<Running> {
  const ground = await openGround(party, life, joined);
  const books = await openBooks(ground);
  const records = await openCallRecords({ store: ground.storeOf('calls'), clock: ground.clock });
  const host = await openHost(ground, books, records);
  return { ...ground, ...books, records, host, ...(await openCaller(ground, books, records)) };
}

async function openGround(party: Party, life: Life, joined: (mesh: SimMesh) => void): Promise<Ground> {
  const { world, random, keep, lender } = party.parts;
  const { scheduler, net, keys, network, genesis } = world;
  const { suite } = keys;
  const clock = createClock(scheduler, party.clockFault, life);
  const defer = (run: () => void): void => void scheduler.after(0, run, life);
  const log = logOf(party, world);
  const store = party.disk.open(life);
  const storeOf = (name: string): Store => prefixed(store, utf8(`${name}/`));
  const mesh = new SimMesh({ net, life, clock, peerId: party.peerId, network, keep });
  joined(mesh);
  const ledger = lender
    ? borrowLedger(world, lender(), life)
    : await createEmbeddedLedger(
        {
          store: storeOf('ledger'),
          suite,
          clock,
          log,
          signer: party.signer,
          network: createLedgerSync({ mesh, clock, log }, { network }),
          defer,
        },
        genesis,
      );
  ledger.onBlock((event) => {
    for (const tell of party.borrowers) tell(event);
  });
  return {
    party,
    world,
    life,
    suite,
    network,
    clock,
    dice: { bytes: (length) => random.bytes(length) },
    log,
    defer,
    storeOf,
    verifier: createVerifier(suite),
    operator: createTickSigner({ suite, signer: party.signer, network, defer }),
    mesh,
    ledger,
    wallet: createWallet({ ledger, signer: party.signer, suite, clock, log, store: storeOf('wallet') }),
  };
}

async function openBooks(ground: Ground): Promise<Books> {
  const { party, world, life, suite, clock, log, storeOf, mesh, ledger, wallet, network, verifier } = ground;
  const replay = await openReplayStore({ clock, store: storeOf('replay') });
  const tail = party.disk.openTail(life);
  await recoverTail(storeOf('payee'), tail);
  // The book gathers what commits in a tick itself, so its signer need not wait for another.
  const charges = createTickSigner({ suite, signer: party.signer, network, defer: queueMicrotask });
  const { channels } = wallet;
  const run = await openPayeeRun({ store: storeOf('payee'), dice: ground.dice, boot: party.boot });
  const running = await openRunningCalls({ store: storeOf('running') });
  const payee = createPayeeBook({
    ...ground,
    store: storeOf('payee'),
    tail,
    channels,
    operator: charges,
    lane: party.temper.lane ?? run.lane,
    kept: running,
  });
  servePayments(mesh, { book: payee, verifier, clock, replay, network });
  const claimer = createClaimer(
    { book: payee, channels, ledger: wallet.claims, clock, log },
    { amountMin: world.plan.claimMin, ageMs: 20_000, everyMs: 10_000 },
  );
  const { lanes } = payee;
  const fading = (id: Uint8Array): Promise<boolean> =>
    hasFadingVoucher({ network, verifier, channels, lanes }, id);
  startClaiming({ ledger, claimer, payee: party.signer.publicKey, clock, log, fading });
  const { probesPerRound } = world.plan;
  const directoryClock = party.temper.directoryClock?.(clock) ?? clock;
  const directory = createDirectory({ ...ground, clock: directoryClock }, { network, probesPerRound });
  const hostsOf = (key: Uint8Array): readonly string[] =>
    directory
      .agents()
      .filter((agent) => equalBytes(agent.operator, key))
      .flatMap((agent) => agent.hosts.map(({ peerId }) => peerId));
  const paymentPeers = createPaymentPeers({ mesh, store: storeOf('payees'), hostsOf });
  const operator = party.temper.payingSigner?.(ground.operator) ?? ground.operator;
  const voucherKeys = await openVoucherKeys({
    ...{ network, suite, ledger, wallet, clock, log },
    secrets: secretsOf(ground),
    store: storeOf('voucher-keys'),
  });
  const payer = await PayerBook.open({
    ...ground,
    voucherKeys,
    store: storeOf('payer'),
    channels,
    peer: paymentPeers,
    operator,
  });
  resolveRegularly(payer, clock);
  const trust = createTrust({ ledger, clock });
  await startDisputes({ ledger, wallet, verifier, trust, clock, log, storeOf, payer });
  return { replay, running, payee, claimer, directory, paymentPeers, payer, voucherKeys };
}

/** Keys for vouchers, as files of the party's disk. */
function secretsOf({ party, world: { keys }, storeOf }: Ground): VoucherSecrets {
  const store = storeOf('voucher-secrets');
  const put = (key: Uint8Array, value?: Uint8Array): Promise<void> =>
    store.batch([value === undefined ? { type: 'del', key } : { type: 'put', key, value }], { sync: true });
  return {
    async make() {
      const seed = keys.suite.sha256(utf8(`voucher key ${party.voucherKeysMade++} of ${party.name}`)).slice();
      const { publicKey } = keys.signer(seed);
      await put(publicKey, seed);
      return publicKey;
    },
    async of(key) {
      const seed = await store.get(key);
      return seed && keys.signer(seed.slice());
    },
    async all() {
      const found: Uint8Array[] = [];
      for await (const [key] of store.entries()) found.push(key.slice());
      return found;
    },
    destroy: (key) => put(key),
  };
}

/** As the daemon does: asks payees about calls that were cut, until none is left. */
function resolveRegularly(payer: PayerBook, clock: Clock): void {
  const look = (): void => {
    payer
      .resolveUnknown()
      .catch(() => {})
      .finally(() => clock.after(RESOLVE_EVERY_MS, look));
  };
  clock.after(1_000, look);
}

async function openHost(ground: Ground, books: Books, records: CallRecords): Promise<Host> {
  const { party, world, life, suite, network, defer, storeOf, clock, mesh } = ground;
  const hosted = party.agents.map((agent) => {
    const signer = createTickSigner({ suite, signer: agent.signer, network, defer });
    return {
      agent,
      card: agent.card,
      cardHash: agent.cardHash,
      signer: world.truth.watchSigner(signer, party),
      answerer: createScriptedAnswerer({
        scheduler: world.scheduler,
        life,
        knowledge: agent.knowledge,
        agentAsset: agent.card.asset,
      }),
    };
  });
  const host = createHost(
    {
      ...ground,
      replay: books.replay,
      payee: world.truth.watchPayee(party.temper.payee?.(books.payee) ?? books.payee, party, life),
      records,
      quota: await openQuotaBook({ store: storeOf('quota'), clock }),
      agents: { find: (key) => hosted.find(({ card }) => equalBytes(card.agent, key)) },
      running: books.running,
    },
    { resumeGraceMs: world.plan.resumeGraceMs },
  );
  if (hosted.length > 0) {
    mesh.serveCalls((stream) => {
      const tempered = party.temper.hostStream?.(stream) ?? stream;
      host.serve(world.truth.watchHost(tempered, party));
    });
  }
  await host.recover();
  for (const { agent, signer } of hosted) announce(books.directory, host, { agent, signer });
  return host;
}

function announce(
  directory: Directory,
  host: Host,
  { agent, signer }: { readonly agent: SimAgent; readonly signer: TickSigner },
): void {
  const { card } = agent;
  directory.announce({
    signer,
    card: signed.encode(agent.signedCard),
    describe: () => ({
      operator: card.operator,
      name: card.name,
      skills: [],
      perCall: card.price.perCall,
      modelDigest: card.model.digest,
      ...host.loadOf(card.agent),
    }),
  });
}

async function openCaller(
  ground: Ground,
  { payer, paymentPeers }: Books,
  records: CallRecords,
): Promise<Pick<Running, 'caller' | 'openCalls' | 'transport'>> {
  const { party, world, storeOf, clock, mesh } = ground;
  const transport: CallTransport = {
    openCall: async (peerId) => world.truth.watchCaller(await mesh.openCall(peerId), party),
  };
  const openCalls = await openOpenCalls({ store: storeOf('open'), clock });
  const { stepAmount, resumeForMs } = world.plan;
  const caller = createCaller(
    {
      ...ground,
      clock: party.temper.callerClock?.(clock) ?? clock,
      transport,
      payer: world.truth.stakes.watch(payer, party),
      records,
      openCalls,
    },
    { stepAmount, stepUnits: 32, resumeForMs },
  );
  for (const other of world.parties) {
    if (other.agents.length > 0 && other !== party) {
      await paymentPeers.met(other.signer.publicKey, other.peerId);
    }
  }
  return { caller, openCalls, transport };
}

/** What a person would be told goes into the trace. */
function logOf(party: Party, { trace }: World): Log {
  const tell = (event: string, facts?: LogFacts): void =>
    trace.say(`log ${party.name}: ${event} ${JSON.stringify(facts ?? {})}`);
  const log: Log = { ...silentLog, warn: tell, error: tell, child: () => log };
  return log;
}
