/**
 * What everything in the daemon stands on: home, store, keys, network, mesh, ledger, wallet and the payment books,
 * started in this order. Agents, calls and the admin API come on top in `compose.ts`.
 */
import { openRunningCalls, type RunningCalls } from '../agent/running-calls.ts';
import { openStanding, type StandingBook } from '../agent/standing.ts';
import { parseAmount } from '../base/amount.ts';
import { equalBytes, toHex, utf8 } from '../base/bytes.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { BUSY_STORE, openLevelStore } from '../base/level-store.ts';
import { createLog, type Log } from '../base/log.ts';
import { type Dice, systemDice } from '../base/random.ts';
import { openReplayStore, type ReplayStore } from '../base/replay.ts';
import { prefixed, type Store } from '../base/store.ts';
import { openFileTail } from '../base/tail.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { createLedgerSync } from '../ledger/sync.ts';
import type { Mesh } from '../mesh/interface.ts';
import { createMesh } from '../mesh/mesh.ts';
import type { MeshOptions } from '../mesh/options.ts';
import { type Claimer, createClaimer } from '../payment/claimer.ts';
import { recoverTail } from '../payment/journal.ts';
import { createOnceBook, type OnceBook } from '../payment/once-book.ts';
import { createPayeeBook, type PayeeBook } from '../payment/payee-book.ts';
import { openPayeeRun } from '../payment/payee-run.ts';
import { hasFadingVoucher } from '../payment/voucher-signer.ts';
import { genesis as genesisSchema } from '../protocol/block.ts';
import { eagerSuite } from '../protocol/eager-suite.ts';
import type { Hash } from '../protocol/ids.ts';
import {
  createTickSigner,
  createTrustedVerifier,
  createVerifier,
  type TickSigner,
  type Verifier,
} from '../protocol/signing.ts';
import { createSigner, nativeSuite, swiftSuite } from '../protocol/suite-native.ts';
import { systemBoot } from './boot.ts';
import { claimPollMs, startClaiming } from './claiming.ts';
import { openCometHome } from './comet/home-ledger.ts';
import { joinedLightly } from './comet/light-home.ts';
import { readOwnNode } from './comet/network-file.ts';
import type { Config } from './config-schema.ts';
import type { FaultHandling } from './faults.ts';
import { chooseNetwork, type NetworkChoice, serveGenesis } from './genesis.ts';
import { createFileMark } from './head-mark.ts';
import { claimHome, type Home, homeInUse, prepareHome, rotateLog } from './home.ts';
import { type HomeLedger, openHomeLedger } from './home-ledger.ts';
import { type DaemonKeys, openKeys, passphraseOf } from './keys.ts';
import type { Lifecycle } from './lifecycle.ts';
import { createOperatorKey, followKey, holding, type OperatorKey } from './operator-key.ts';
import { servePayments } from './payment-peers.ts';
import { certifyPeer } from './peer-certificate.ts';
import { pruneReceipts } from './receipts.ts';
import { watchRetiring } from './retiring.ts';
import { openScratch } from './scratch.ts';
import { sealedStore } from './sealed-store.ts';
import { type SpaceWatch, watchSpace } from './space.ts';
import { conductOf } from './standing.ts';
import { createTrust, type LedgerTrust } from './trust.ts';
import { VERSION } from './version.ts';
import { openVoucherKeys, type VoucherKeys } from './voucher-keys.ts';
import { createWallet, type Wallet } from './wallet.ts';

/** What a daemon is started with. */
export interface DaemonParts {
  readonly home: Home;
  readonly config: Config;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** How a start behaves. */
export interface StartOptions {
  /** Gives the start up. */
  readonly signal: AbortSignal;
  /** Tells a person what is being waited for or was found. */
  readonly tell: (text: string) => void;
  /** Where faults that nobody handled come from, and what ends the process after the stop. Absent: that is the embedding program's to do. */
  readonly faults?: FaultHandling;
}

/** Local parts: no network yet. */
export interface Ground extends DaemonParts {
  readonly clock: Clock;
  readonly dice: Dice;
  readonly log: Log;
  /** The part of the home's store under `name`. */
  readonly storeOf: (name: string) => Store;
  /** Whether what is written under the home finds space. */
  readonly space: SpaceWatch;
  readonly keys: DaemonKeys;
  /** File of what the payee's book has committed and the store not yet taken over. */
  readonly payeeTail: string;
}

/** The running foundations. */
export interface Core extends Ground {
  readonly choice: NetworkChoice;
  readonly network: string;
  readonly verifier: Verifier;
  /** Whatever key of the operator signs now. */
  readonly key: OperatorKey;
  /** Who signs for whom, as the ledger has it. */
  readonly trust: LedgerTrust;
  /** Signs for the operator. */
  readonly operator: TickSigner;
  /** What is thought of peers and callers. */
  readonly standing: StandingBook;
  readonly mesh: Mesh;
  readonly ledger: Ledger;
  /** How much of the ledger is kept here. */
  readonly homeLedger: HomeLedger;
  readonly wallet: Wallet;
  /** Keys for the vouchers of single channels that are paid from here. */
  readonly voucherKeys: VoucherKeys;
  readonly replay: ReplayStore;
  /** Calls of others that go on after a restart. */
  readonly running: RunningCalls;
  /** What callers owe to this operator. */
  readonly payee: PayeeBook;
  /** Single calls that callers paid by a transaction each. */
  readonly once: OnceBook;
  readonly claimer: Claimer;
}

/** Parts of the store that are about the machine and others, whoever it acts for. */
const OF_THE_MACHINE: ReadonlySet<string> = new Set([
  ...['network', 'mesh', 'shelf', 'ledger', 'snapshot'],
  ...['standing', 'replay', 'names', 'payees'],
]);

/** Parts of the store that hold what was asked and answered, and with it passages of vaults, and secrets of others. */
const OF_ANSWERS: ReadonlySet<string> = new Set([
  ...['calls', 'open', 'running', 'once', 'bridges', 'tokens', 'learning'],
]);

/** Opens home, log, store and keys. Throws `home-unreadable`, `home-in-use`, `store-corrupt`, `key-locked`. */
export async function openGround(parts: DaemonParts, life: Lifecycle): Promise<Ground> {
  const { home, config } = parts;
  prepareHome(home);
  const store = await life.start(
    'store',
    () =>
      openLevelStore(home.store, BUSY_STORE).catch((error: unknown) => {
        throw homeInUse(home, error);
      }),
    (open) => open.close(),
  );
  rotateLog(home);
  const log = createLog({ level: config.daemon.logLevel, path: home.log });
  life.logTo(log);
  claimHome(home, systemClock.nowMs());
  const keys = await openKeys(home.keys, passphraseOf(parts.environment));
  const answersKey = await keys.answersKey();
  await pruneReceipts(home.receipts);
  // What a DID owes, is owed and began stays apart from what the home had under another one.
  const { publicKey: did } = keys.operator;
  const whose = equalBytes(did, keys.first) ? '' : `${toHex(did)}/`;
  const space = await life.start(
    'space',
    () => watchSpace({ clock: systemClock, log, path: home.root }),
    (watch) => watch.stop(),
  );
  const watched = space.store(store);
  log.info('starting', { version: VERSION, home: home.root });
  return {
    ...parts,
    clock: systemClock,
    dice: systemDice,
    log,
    keys,
    space,
    storeOf(name) {
      const part = prefixed(watched, utf8(`${OF_THE_MACHINE.has(name) ? '' : whose}${name}/`));
      return OF_ANSWERS.has(name) ? sealedStore(part, answersKey, systemDice) : part;
    },
    payeeTail: `${home.payeeTail}${whose && `.${whose.slice(0, -1)}`}`,
  };
}

/** Finds the network, joins the mesh and opens ledger, wallet and the payee's book. */
export async function startCore(ground: Ground, life: Lifecycle, options: StartOptions): Promise<Core> {
  const { clock, dice, log, config, home, keys, storeOf } = ground;
  const { bootstrap, mdns } = config.mesh;
  const { name, genesis: file, searchMs, closeDelayBlocks, epochBlocks, transactionFee } = config.network;
  const rules = { closeDelayBlocks, epochBlocks, transactionFee: parseAmount(transactionFee) ?? 0n };
  const mark = createFileMark(home.headMark);
  const choice = await chooseNetwork(
    { store: storeOf('network'), mark, operator: keys.operator.publicKey, log, clock, dice },
    { name, file, searchMs, rules, bootstrap, mdns: mdns && !config.mesh.private, ...options },
  );
  const { network } = choice;
  const peer = createSigner(keys.peerSeed).publicKey;
  const key = createOperatorKey(keys.operator, keys.signing);
  const certified = (): Uint8Array => certifyPeer({ network, clock, operator: key, peer });
  const standing = await life.start(
    'standing',
    () => openStanding({ store: storeOf('standing'), clock }),
    (open) => open.flushed(),
  );
  const mesh = await life.start(
    'mesh',
    () =>
      createMesh(
        { peerSeed: keys.peerSeed, store: storeOf('mesh'), clock, dice, log, conduct: conductOf(standing) },
        { ...meshOptions(ground, network), certificate: certified() },
      ),
    (running) => running.stop(),
  );
  serveGenesis(mesh, choice.genesis);
  const sync = await life.start(
    'ledger network',
    () =>
      createLedgerSync(
        { mesh, clock, log, shelf: { suite: nativeSuite, store: storeOf('shelf') } },
        { network },
      ),
    (running) => running.stop(),
  );
  const ownNode = await readOwnNode(home);
  const scratch = (): ReturnType<typeof openScratch> => openScratch(home);
  const homeLedger = await life.start(
    'ledger',
    async () =>
      ownNode === undefined
        ? openHomeLedger({
            ...{ home, config, clock, log, mesh, mark, storeOf, scratch },
            genesis: genesisSchema.decode(choice.genesis),
            operator: keys.operator,
            network: sync,
            joined: await joinedLightly(storeOf('network')),
          })
        : openCometHome(
            {
              ...{ home, clock, log, keys, storeOf, scratch, peers: sync },
              environment: ground.environment,
              keepBlocks: config.ledger.keepBlocks,
            },
            ownNode,
          ),
    (running) => running.stop(),
  );
  const { ledger } = homeLedger;
  const trust = await life.start(
    'trust',
    () => createTrust({ ledger, clock }),
    (open) => open.stop(),
  );
  key.onUse(() => mesh.present(certified()));
  await life.start(
    'operator key',
    () => followKey({ key, keys, ledger, trust, log }),
    (unfollow) => unfollow(),
  );
  const wallet = await life.start(
    'wallet',
    () => createWallet({ ledger, signer: key, clock, log, store: storeOf('wallet') }),
    (running) => running.stop(),
  );
  const voucherKeys = await openVoucherKeys({
    ...{ network, ledger, wallet, clock, log },
    secrets: keys.vouchers,
    store: storeOf('voucher-keys'),
  });
  const verifier = createTrustedVerifier(createVerifier(eagerSuite(swiftSuite)), trust);
  const operator = holding(createTickSigner({ suite: nativeSuite, signer: key, network }), key);
  const standOn = { key, trust, network, mesh, ledger, wallet, voucherKeys, verifier };
  const books = await openBooks({ ...ground, ...standOn }, life);
  return { ...ground, ...standOn, homeLedger, choice, standing, operator, ...books };
}

async function openBooks(
  parts: Ground & Pick<Core, 'key' | 'trust' | 'network' | 'mesh' | 'ledger' | 'wallet' | 'verifier'>,
  life: Lifecycle,
): Promise<Pick<Core, 'replay' | 'running' | 'payee' | 'once' | 'claimer'>> {
  const {
    clock,
    dice,
    log,
    config,
    payeeTail,
    key,
    storeOf,
    space,
    network,
    mesh,
    ledger,
    wallet,
    verifier,
  } = parts;
  const replay = await life.start(
    'replay store',
    () => openReplayStore({ clock, store: storeOf('replay') }),
    (open) => open.close(),
  );
  const tail = await life.start(
    'payee tail',
    () => space.tail(openFileTail(payeeTail)),
    (open) => open.close(),
  );
  const running = await life.start(
    'running calls',
    () => openRunningCalls({ store: storeOf('running') }),
    (open) => open.flushed(),
  );
  // The book gathers what commits in a tick itself, so its signer need not wait for another.
  const charges = createTickSigner({
    suite: nativeSuite,
    signer: key,
    network,
    defer: queueMicrotask,
  });
  const { book: payee } = await life.start(
    'payee book',
    async () => {
      const store = storeOf('payee');
      await recoverTail(store, tail);
      const run = await openPayeeRun({ store, dice, boot: systemBoot() });
      const book = createPayeeBook({
        suite: nativeSuite,
        verifier,
        clock,
        store,
        tail,
        channels: wallet.channels,
        network,
        operator: charges,
        lane: run.lane,
        kept: running,
      });
      return { book, run };
    },
    async ({ book, run }) => {
      await book.flush();
      await run.end();
    },
  );
  const used = await life.start(
    'payments of single calls',
    () => openReplayStore({ clock, store: storeOf('once') }),
    (open) => open.close(),
  );
  const { sequencer } = ledger.genesis;
  const once = createOnceBook({ suite: nativeSuite, clock, network, sequencer, used });
  await life.start('payment answers', () =>
    servePayments(mesh, { book: payee, verifier, clock, replay, network }),
  );
  const claimer = createClaimer(
    { book: payee, channels: wallet.channels, ledger: wallet.claims, clock, log },
    {
      amountMin: parseAmount(config.wallet.claimMin) ?? 0n,
      ageMs: config.wallet.claimEverySeconds * 1000,
      everyMs: claimPollMs(ledger.genesis.parameters),
    },
  );
  await life.start(
    'claimer',
    () => {
      const fading = (id: Hash): Promise<boolean> =>
        hasFadingVoucher({ network, verifier, channels: wallet.channels, lanes: payee.lanes }, id);
      return startClaiming({ ledger, claimer, payee: wallet.publicKey, clock, log, fading });
    },
    (stop) => stop(),
  );
  await life.start(
    'retired keys',
    () => watchRetiring({ ledger, claimer, payee: wallet.publicKey, clock, log, trust: parts.trust }),
    (unwatch) => unwatch(),
  );
  return { replay, running, payee, once, claimer };
}

function meshOptions({ config }: Ground, network: string): Partial<MeshOptions> {
  const { host, port, websocketPort, bootstrap, mdns, dht, relay } = config.mesh;
  const at = `/${host.includes(':') ? 'ip6' : 'ip4'}/${host}/tcp`;
  return {
    network,
    listen: [`${at}/${port}`, ...(websocketPort < 0 ? [] : [`${at}/${websocketPort}/ws`])],
    bootstrap,
    mdns,
    dht: dht ? 'auto' : 'off',
    relayServer: relay,
    private: config.mesh.private,
    agentVersion: `sahara/${VERSION}`,
    drainMs: config.daemon.drainMs,
  };
}
