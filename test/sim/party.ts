/** One party: an operator with keys and a disk, which runs, goes down and runs again. What it runs is all real. */
import { type CallRecords, openCallRecords } from '../../src/agent/call-records.ts';
import { type Caller, createCaller } from '../../src/agent/caller.ts';
import { createHost, type Host } from '../../src/agent/host.ts';
import { type OpenCalls, openOpenCalls } from '../../src/agent/open-calls.ts';
import type { CallTransport, PayeePort } from '../../src/agent/ports.ts';
import { openQuotaBook } from '../../src/agent/quota.ts';
import { openRunningCalls } from '../../src/agent/running-calls.ts';
import { equalBytes, toHex, utf8 } from '../../src/base/bytes.ts';
import type { Clock } from '../../src/base/clock.ts';
import { type Log, type LogFacts, silentLog } from '../../src/base/log.ts';
import { openReplayStore, type ReplayStore } from '../../src/base/replay.ts';
import { prefixed, type Store } from '../../src/base/store.ts';
import { startClaiming } from '../../src/daemon/claiming.ts';
import { createPaymentPeers, servePayments } from '../../src/daemon/payment-peers.ts';
import { createWallet, type Wallet } from '../../src/daemon/wallet.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import type { BlockEvent, Ledger } from '../../src/ledger/ledger.ts';
import { createLedgerSync } from '../../src/ledger/sync.ts';
import { createDirectory, type Directory } from '../../src/mesh/directory.ts';
import type { CallStream } from '../../src/mesh/interface.ts';
import { type Claimer, createClaimer } from '../../src/payment/claimer.ts';
import { recoverTail } from '../../src/payment/journal.ts';
import { createPayeeBook, type PayeeBook } from '../../src/payment/payee-book.ts';
import { PayerBook } from '../../src/payment/payer-book.ts';
import type { Card } from '../../src/protocol/card.ts';
import type { Hash } from '../../src/protocol/ids.ts';
import {
  createTickSigner,
  createVerifier,
  type Signed,
  signed,
  type TickSigner,
} from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import type { Random } from '../fuzz/random.ts';
import { createScriptedAnswerer, type Knowledge } from './answerer.ts';
import { type CrashKind, Disk } from './disk.ts';
import { borrowLedger } from './lend.ts';
import { SimMesh } from './mesh.ts';
import { type ClockFault, createClock, type Life } from './time.ts';
import type { World } from './world.ts';

/** An agent of a party. */
export interface SimAgent {
  readonly signer: Signer;
  readonly card: Card;
  readonly signedCard: Signed;
  readonly cardHash: Hash;
  readonly knowledge: Knowledge;
}

/** What runs while a party is up. */
export interface Running {
  readonly life: Life;
  readonly clock: Clock;
  readonly mesh: SimMesh;
  readonly ledger: Ledger;
  readonly wallet: Wallet;
  readonly operator: TickSigner;
  readonly replay: ReplayStore;
  readonly payee: PayeeBook;
  readonly payer: PayerBook;
  readonly claimer: Claimer;
  readonly directory: Directory;
  readonly records: CallRecords;
  readonly host: Host;
  readonly caller: Caller;
  readonly openCalls: OpenCalls;
  readonly transport: CallTransport;
}

/** What a party is made of. */
export interface PartyParts {
  readonly world: World;
  readonly name: string;
  readonly signer: Signer;
  readonly peerId: string;
  readonly random: Random;
  readonly clockFault: ClockFault;
  /** Parties to keep a connection to. */
  readonly keep: readonly string[];
  /** Who keeps the ledger for it; absent: it follows every block itself. */
  readonly lender?: (() => Party) | undefined;
}

/** How a party differs from an honest one. */
export interface Temper {
  /** Puts something between the host and the payee's book. */
  payee?: (book: PayeeBook) => PayeePort;
  /** Watches or changes the host's side of each call. */
  hostStream?: (stream: CallStream) => CallStream;
  /** Signs for the operator where it pays. */
  payingSigner?: (signer: TickSigner) => TickSigner;
  /** Replaces the clock of the directory. */
  directoryClock?: (clock: Clock) => Clock;
  /** Forgets which messages were taken. */
  replay?: (store: ReplayStore) => ReplayStore;
}

/** One party of a story. */
export class Party {
  readonly name: string;
  readonly signer: Signer;
  readonly peerId: string;
  readonly clockFault: ClockFault;
  readonly disk: Disk;
  readonly agents: SimAgent[] = [];
  readonly temper: Temper = {};
  /** Told of each block that this party has executed. */
  readonly borrowers: Set<(event: BlockEvent) => void> = new Set();
  /** Crashes by kind. */
  readonly crashes: Record<CrashKind, number> = { kill: 0, power: 0, lost: 0 };
  /** What runs now; absent while the party is down or starting. */
  running: Running | undefined;
  /** Virtual time at which it went down for the last time. */
  downSinceMs = 0;
  #life: Life | undefined;
  readonly #parts: PartyParts;
  #runs = 0;

  constructor(parts: PartyParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.signer = parts.signer;
    this.peerId = parts.peerId;
    this.clockFault = parts.clockFault;
    const { scheduler, options } = parts.world;
    this.disk = new Disk(scheduler, parts.random, { forgetful: options.mutation === 'forgetful-disk' });
  }

  /** Whether it runs or is starting. */
  get up(): boolean {
    return this.#life?.alive === true;
  }

  /** Runs on what its disk holds. */
  async start(): Promise<void> {
    const { world } = this.#parts;
    const life: Life = { name: `${this.name}#${++this.#runs}`, alive: true };
    this.#life = life;
    world.trace.say(`start ${life.name}`);
    // What fails with the life that it belongs to is nobody's any more.
    const running = await this.#open(life);
    if (!life.alive) return;
    this.running = running;
    world.trace.say(`up ${life.name}`);
  }

  /** Goes down at once, wherever it is. */
  crash(kind: CrashKind): void {
    if (!this.#life?.alive) return;
    const { world } = this.#parts;
    world.trace.say(`crash ${this.#life.name} ${kind}`);
    this.#life.alive = false;
    this.#mesh?.leave(kind === 'kill');
    this.running = undefined;
    this.#mesh = undefined;
    this.crashes[kind]++;
    this.downSinceMs = world.scheduler.nowMs;
    this.disk.crash(kind);
    world.truth.crashed(this, kind);
  }

  #mesh: SimMesh | undefined;

  async #open(life: Life): Promise<Running> {
    const { world, random, keep } = this.#parts;
    const { scheduler, net, keys, network, genesis } = world;
    const { suite } = keys;
    const clock = createClock(scheduler, this.clockFault, life);
    const dice = { bytes: (length: number) => random.bytes(length) };
    const defer = (run: () => void): void => void scheduler.after(0, run, life);
    const log = this.#log();
    const store = this.disk.open(life);
    const storeOf = (name: string): Store => prefixed(store, utf8(`${name}/`));
    const mesh = new SimMesh({ net, life, clock, peerId: this.peerId, network, keep });
    this.#mesh = mesh;
    const ledger = this.#parts.lender
      ? borrowLedger(world, this.#parts.lender(), life)
      : await createEmbeddedLedger(
          {
            store: storeOf('ledger'),
            suite,
            clock,
            log,
            signer: this.signer,
            network: createLedgerSync({ mesh, clock, log }, { network }),
            defer,
          },
          genesis,
        );
    ledger.onBlock((event) => {
      for (const tell of this.borrowers) tell(event);
    });
    const wallet = createWallet({ ledger, signer: this.signer, suite, clock, log, store: storeOf('wallet') });
    const verifier = createVerifier(suite);
    const operator = createTickSigner({ suite, signer: this.signer, network, defer });
    const opened = await openReplayStore({ clock, store: storeOf('replay') });
    const replay = this.temper.replay?.(opened) ?? opened;
    const tail = this.disk.openTail(life);
    await recoverTail(storeOf('payee'), tail);
    const charges = createTickSigner({ suite, signer: this.signer, network, defer: queueMicrotask });
    const common = { suite, verifier, clock, network, dice, defer };
    const payee = createPayeeBook({
      ...common,
      store: storeOf('payee'),
      tail,
      channels: wallet.channels,
      operator: charges,
    });
    servePayments(mesh, { book: payee, verifier, clock, replay, network });
    const claimer = createClaimer(
      { book: payee, channels: wallet.channels, ledger: wallet.claims, clock, log },
      { amountMin: world.plan.claimMin, ageMs: 20_000, everyMs: 10_000 },
    );
    startClaiming({ ledger, claimer, payee: this.signer.publicKey, clock, log });
    const directory = createDirectory(
      { mesh, suite, verifier, clock: this.temper.directoryClock?.(clock) ?? clock, dice, log },
      { network },
    );
    const records = await openCallRecords({ store: storeOf('calls'), clock });
    const quota = await openQuotaBook({ store: storeOf('quota'), clock });
    const hostsOf = (key: Uint8Array): readonly string[] =>
      directory
        .agents()
        .filter((agent) => equalBytes(agent.operator, key))
        .flatMap((agent) => agent.hosts.map(({ peerId }) => peerId));
    const paymentPeers = createPaymentPeers({ mesh, store: storeOf('payees'), hostsOf });
    const payer = await PayerBook.open({
      ...common,
      store: storeOf('payer'),
      channels: wallet.channels,
      peer: paymentPeers,
      operator: this.temper.payingSigner?.(operator) ?? operator,
    });
    this.#resolveRegularly(payer, clock);
    const hosted = this.agents.map((agent) => ({
      card: agent.card,
      cardHash: agent.cardHash,
      signer: world.truth.watchSigner(
        createTickSigner({ suite, signer: agent.signer, network, defer }),
        this,
      ),
      answerer: createScriptedAnswerer({
        scheduler,
        life,
        knowledge: agent.knowledge,
        agentAsset: agent.card.asset,
      }),
    }));
    const host = createHost(
      {
        ...common,
        replay,
        payee: this.temper.payee?.(payee) ?? payee,
        records,
        quota,
        log,
        agents: { find: (key) => hosted.find(({ card }) => equalBytes(card.agent, key)) },
        running: await openRunningCalls({ store: storeOf('running') }),
      },
      { resumeGraceMs: world.plan.resumeGraceMs },
    );
    if (hosted.length > 0) {
      mesh.serveCalls((stream) => {
        const tempered = this.temper.hostStream?.(stream) ?? stream;
        host.serve(world.truth.watchHost(tempered, this));
      });
    }
    await host.recover();
    for (const { card, signer } of hosted) {
      const agent = this.agents.find((own) => own.card === card);
      if (agent) this.#announce(directory, host, { agent, signer });
    }
    const transport: CallTransport = {
      openCall: async (peerId) => world.truth.watchCaller(await mesh.openCall(peerId), this),
    };
    const openCalls = await openOpenCalls({ store: storeOf('open'), clock });
    const { stepAmount, resumeForMs } = world.plan;
    const caller = createCaller(
      { ...common, operator, transport, payer: world.truth.watchPayer(payer, this), records, openCalls },
      { stepAmount, stepUnits: 32, resumeForMs },
    );
    for (const other of world.parties) {
      if (other.agents.length > 0 && other !== this)
        await paymentPeers.met(other.signer.publicKey, other.peerId);
    }
    return {
      life,
      clock,
      mesh,
      ledger,
      wallet,
      operator,
      replay,
      payee,
      payer,
      claimer,
      directory,
      records,
      host,
      caller,
      openCalls,
      transport,
    };
  }

  #announce(
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

  /** As the daemon does: asks payees about calls that were cut, until none is left. */
  #resolveRegularly(payer: PayerBook, clock: Clock): void {
    const look = (): void => {
      payer
        .resolveUnknown()
        .catch(() => {})
        .finally(() => clock.after(5_000, look));
    };
    clock.after(1_000, look);
  }

  /** What a person would be told goes into the trace. */
  #log(): Log {
    const { trace } = this.#parts.world;
    const tell = (event: string, facts?: LogFacts): void =>
      trace.say(`log ${this.name}: ${event} ${JSON.stringify(facts ?? {})}`);
    return { ...silentLog, warn: tell, error: tell };
  }

  /** How lines name it. */
  toString(): string {
    return this.name;
  }
}

/** The first characters of an id, for lines. */
export function short(bytes: Uint8Array): string {
  return toHex(bytes.subarray(0, 3));
}
