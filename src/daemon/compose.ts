/**
 * The daemon: the one place where everything is put together. Parts start in order and stop in reverse; a start that
 * fails stops what had started. Stopping refuses new calls, lets the running ones end, and leaves everything on disk.
 */
import { type CallRecords, openCallRecords } from '../agent/call-records.ts';
import { type OpenCalls, openOpenCalls } from '../agent/open-calls.ts';
import { openQuotaBook } from '../agent/quota.ts';
import { equalBytes } from '../base/bytes.ts';
import { systemClock } from '../base/clock.ts';
import { asSaharaError, type SaharaError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import type { Offers } from '../mesh/offers.ts';
import { PayerBook } from '../payment/payer-book.ts';
import type { PublicKey } from '../protocol/ids.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import type { AdminHandlers } from './admin/methods.ts';
import { createAdminServer } from './admin/server.ts';
import type { StatusReport } from './admin/types.ts';
import { type AgentKeeper, createAgentKeeper } from './agents.ts';
import { createAsk } from './asking.ts';
import type { AssetBook } from './assets.ts';
import { createAuction } from './auction.ts';
import type { Bridges } from './bridges.ts';
import { startBridging } from './bridging.ts';
import { type Callers, createCallers } from './callers.ts';
import { type CertificateBook, openCertificateBook } from './certificates.ts';
import { type Core, type DaemonParts, openGround, type StartOptions, startCore } from './core.ts';
import { type Disputes, startDisputes } from './disputes.ts';
import { watchFaults } from './faults.ts';
import { questionsBehindGateways, serveViaCards } from './gateway.ts';
import { fillGuide, GUIDE, guideManifest } from './guide.ts';
import { agentHandlers } from './handlers/agent.ts';
import { assetHandlers } from './handlers/asset.ts';
import { bridgeHandlers } from './handlers/bridge.ts';
import { collectHandlers } from './handlers/collect.ts';
import { explorerHandlers } from './handlers/explorer.ts';
import { identityHandlers } from './handlers/identity.ts';
import { ledgerHandlers } from './handlers/ledger.ts';
import { lineageHandlers } from './handlers/lineage.ts';
import { modelHandlers } from './handlers/model.ts';
import { moneyHandlers } from './handlers/money.ts';
import { networkHandlers } from './handlers/network.ts';
import { payHandlers } from './handlers/pay.ts';
import { stakeHandlers } from './handlers/stake.ts';
import { standingHandlers } from './handlers/standing.ts';
import { statusHandlers, statusReport } from './handlers/status.ts';
import { vaultHandlers } from './handlers/vault.ts';
import { vaultSharingHandlers } from './handlers/vault-sharing.ts';
import { voucherKeyHandlers } from './handlers/voucher-key.ts';
import { watchtowerHandlers } from './handlers/watchtower.ts';
import { startKnowledge } from './knowing.ts';
import type { Knowledge } from './knowledge.ts';
import { createKnownNames, type KnownNames } from './known-names.ts';
import { createLifecycle, type Lifecycle } from './lifecycle.ts';
import { resolveRegularly } from './lost-calls.ts';
import { type Listing, startListing, startOffers } from './market.ts';
import { type Models, openModels } from './models.ts';
import { createPaying, type Paying } from './paying.ts';
import { createPaymentPeers, type PaymentPeers } from './payment-peers.ts';
import { createResuming, type Resuming, resumeHandlers } from './resuming.ts';
import { createSearching, type Searching } from './searching.ts';
import { createSettlements, type Settlements } from './settlement.ts';
import { serveStanding } from './standing.ts';
import { startWatchtowers, type Watchtowers } from './watchtowers.ts';

/** Everything that runs. */
export interface Running extends Core, Listing {
  readonly startedAtMs: number;
  readonly records: CallRecords;
  readonly openCalls: OpenCalls;
  readonly paymentPeers: PaymentPeers;
  /** Whom names meant when they were first asked here. */
  readonly knownNames: KnownNames;
  /** What this operator owes to others. */
  readonly payer: PayerBook;
  readonly settlements: Settlements;
  /** What payees claim held against what they charged. */
  readonly disputes: Disputes;
  /** Claims of others that are watched here, and own ones elsewhere. */
  readonly watchtowers: Watchtowers;
  readonly assets: AssetBook;
  readonly knowledge: Knowledge;
  /** Models on this machine. */
  readonly models: Models;
  readonly agents: AgentKeeper;
  /** What helps them to find passages. */
  readonly searching: Searching;
  readonly offers: Offers;
  readonly callers: Callers;
  /** Pays outside of channels. */
  readonly paying: Paying;
  /** Bots on chat platforms. */
  readonly bridges: Bridges;
  /** Certificates that this operator issued by hand. */
  readonly certificates: CertificateBook;
  /** Calls that are left over. */
  readonly resuming: Resuming;
  /** Has the daemon stop soon. */
  readonly askToStop: () => void;
  /** Has the daemon stop soon and begin anew, because the home acts for another DID. */
  readonly askToRestart: () => void;
}

/** A running daemon. */
export interface Daemon {
  status(): Promise<StatusReport>;
  /** An address that peers on other machines, or else on this one, can join by. */
  reachableAddress(): string | undefined;
  /** Resolves when somebody asked the daemon to stop. */
  readonly stopped: Promise<void>;
  /**
   * Resolves when something could not be written for want of space and there is space again: until then, and until
   * the daemon is stopped and started anew, whatever needs to be written is refused with `disk-full`.
   */
  readonly regained: Promise<void>;
  /** Resolves when the home acts for another DID from the next start on, so the daemon is to be started anew. */
  readonly adopted: Promise<void>;
  /** Resolves with the reason when this program cannot go on, and is to be stopped. */
  readonly failed: Promise<SaharaError>;
  /** Stops everything in order. */
  stop(): Promise<void>;
}

const FUNDS_WAIT_MS = 5_000;

/**
 * Starts the daemon of `parts.home`. Throws `home-unreadable`, `home-in-use`, `store-corrupt`, `key-locked`,
 * `passphrase-wrong`, `port-busy`, `config-invalid`, `network-mismatch`, `cancelled`.
 */
export async function startDaemon(parts: DaemonParts, options: StartOptions): Promise<Daemon> {
  const life = createLifecycle({ log: silentLog });
  // Sockets and timers of the parts come and go; the process must not end while they start.
  const { port1: keepAlive } = new MessageChannel();
  keepAlive.ref();
  const stop = async (): Promise<void> => {
    await life.stop();
    keepAlive.close();
  };
  try {
    const asked = Promise.withResolvers<void>();
    const adopted = Promise.withResolvers<void>();
    const [askToStop, askToRestart] = [() => asked.resolve(), () => adopted.resolve()];
    const running = await startAll(parts, life, { ...options, askToStop, askToRestart });
    running.log.info('started', { network: running.network, peer: running.mesh.peerId });
    return {
      status: () => statusReport(running),
      reachableAddress: () => reachable(running.mesh.addresses()),
      stopped: asked.promise,
      regained: running.space.regained,
      adopted: adopted.promise,
      failed: running.homeLedger.failed ?? new Promise(() => {}),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startAll(
  parts: DaemonParts,
  life: Lifecycle,
  options: StartOptions & Pick<Running, 'askToStop' | 'askToRestart'>,
): Promise<Running> {
  const startedAtMs = systemClock.monotonicMs();
  const ground = await openGround(parts, life);
  const { faults } = options;
  if (faults !== undefined) {
    const { log, clock, config } = ground;
    await life.start(
      'faults',
      () => watchFaults({ ...faults, log, clock, stop: () => life.stop() }, config.daemon),
      (unwatch) => unwatch(),
    );
  }
  const core = await startCore(ground, life, options);
  const calls = await startCalls(core, life);
  const knowing = await startKnowledge(core, life);
  const certificates = await openCertificateBook({ ...core, store: core.storeOf('certificates') });
  const models = await life.start(
    'models',
    () => openModels(core),
    (open) => open.close(),
  );
  const searching = createSearching({ ...core, models });
  const agents = await life.start(
    'agents',
    () => createAgentKeeper({ ...core, ...calls, ...knowing, certificates, models, searching }),
    (keeper) => keeper.drain(),
  );
  await life.start(
    'standing answers',
    () => serveStanding(core, agents.limitsOf.bind(agents)),
    (unserve) => unserve(),
  );
  const offers = await life.start(
    'offers',
    () => startOffers(core, { ...calls, agents }),
    (open) => open.stop(),
  );
  const callers = createCallers({ ...core, ...calls, agents });
  const resuming = await life.start(
    'calls left over',
    () => createResuming({ ...core, ...calls, callers }),
    (open) => open.stop(),
  );
  const watchtowers = await life.start(
    'watchtowers',
    () => startWatchtowers(core),
    (open) => open.stop(),
  );
  const paying = createPaying({ ...core, suite: nativeSuite, store: core.storeOf('paying') });
  const bridges = await life.start(
    'bridges',
    () => startBridging({ ...core, ...calls, ...knowing, agents, callers, resuming, paying }, life),
    (open) => open.stop(),
  );
  const running: Running = {
    ...core,
    ...calls,
    ...knowing,
    models,
    searching,
    agents,
    offers,
    callers,
    paying,
    bridges,
    certificates,
    resuming,
    watchtowers,
    startedAtMs,
    askToStop: options.askToStop,
    askToRestart: options.askToRestart,
  };
  await Promise.race([core.wallet.funded, pause(core, FUNDS_WAIT_MS)]);
  await startGuide(running, options.signal);
  await agents.loadAll(options.signal);
  await life.start(
    'cards by the new key',
    () => core.key.onUse(() => renewCards(running)),
    (unwatch) => unwatch(),
  );
  await life.start(
    'admin API',
    () => {
      const { log, clock, home, config } = core;
      const { drainMs } = config.daemon;
      return createAdminServer({ handlers: handlersOf(running), log, clock }, { path: home.socket, drainMs });
    },
    (server) => server.stop(),
  );
  return running;
}

async function startCalls(
  core: Core,
  life: Lifecycle,
): Promise<
  Listing &
    Pick<
      Running,
      'records' | 'openCalls' | 'paymentPeers' | 'knownNames' | 'payer' | 'settlements' | 'disputes'
    > & {
      quota: Awaited<ReturnType<typeof openQuotaBook>>;
    }
> {
  const { verifier, clock, network, storeOf, wallet, operator, ledger } = core;
  const listing = await startListing(core, life);
  const { directory } = listing;
  await life.start(
    'cards for others',
    () => serveViaCards(core, directory),
    (unserve) => unserve(),
  );
  const records = await life.start(
    'call records',
    () => openCallRecords({ store: storeOf('calls'), clock }),
    (open) => open.flushed(),
  );
  const openCalls = await life.start(
    'open calls',
    () => openOpenCalls({ store: storeOf('open'), clock }),
    (open) => open.flushed(),
  );
  const quota = await life.start(
    'free quota',
    () => openQuotaBook({ store: storeOf('quota'), clock }),
    (open) => open.flushed(),
  );
  const hostsOf = (key: Uint8Array): readonly string[] =>
    directory
      .agents()
      .filter((agent) => equalBytes(agent.operator, key))
      .flatMap((agent) => agent.hosts.map(({ peerId }) => peerId));
  const agentAt = (peer: string): PublicKey | undefined =>
    directory.agents().find(({ hosts }) => hosts.some(({ peerId }) => peerId === peer))?.agent;
  const asking = questionsBehindGateways(core, agentAt);
  const paymentPeers = createPaymentPeers({ mesh: asking, store: storeOf('payees'), hostsOf });
  const payer = await life.start(
    'payer book',
    () =>
      PayerBook.open({
        suite: nativeSuite,
        verifier,
        clock,
        store: storeOf('payer'),
        channels: wallet.channels,
        peer: paymentPeers,
        network,
        operator,
        voucherKeys: core.voucherKeys,
      }),
    (book) => book.flush(),
  );
  await life.start(
    'lost calls',
    () => resolveRegularly(core, payer),
    (end) => end(),
  );
  const disputes = await life.start(
    'disputes',
    () => startDisputes({ ...core, payer }),
    (open) => open.stop(),
  );
  const settlements = createSettlements({ ledger });
  const knownNames = createKnownNames(storeOf('names'));
  return { ...listing, records, openCalls, quota, paymentPeers, knownNames, payer, settlements, disputes };
}

/** What agents show of their operator is signed by its key. */
function renewCards({ agents, log }: Running): void {
  agents.renew().catch((error: unknown) => {
    log.error('cards not renewed', { code: asSaharaError(error).code });
  });
}

/** The guide is hosted by whoever began a network, so that there is one to ask and not one on every peer. */
async function startGuide(running: Running, signal: AbortSignal): Promise<void> {
  const { config, ledger, knowledge, wallet, agents } = running;
  const { host, price, freeCalls } = config.guide;
  if (host === 'never' || (host === 'auto' && ledger.mode !== 'sequencer')) return;
  const { vaults } = knowledge;
  const known = (await vaults.names()).includes(GUIDE);
  const vault = known ? await vaults.open(GUIDE) : await vaults.create(GUIDE);
  const of = { vault: GUIDE, contributor: wallet.publicKey, licence: 'Apache-2.0' };
  await fillGuide(vault, await knowledge.provenance(of, { signal }));
  const replace = (await agents.list()).some(({ name }) => name === GUIDE);
  await agents.add(guideManifest({ price, freeCalls }), { replace, signal });
}

function handlersOf(running: Running): AdminHandlers {
  const ask = createAsk(running);
  return {
    ...statusHandlers(running),
    ...standingHandlers(running),
    ...ledgerHandlers(running),
    ...explorerHandlers(running),
    ...moneyHandlers(running),
    ...payHandlers(running),
    ...stakeHandlers(running),
    ...networkHandlers(running),
    ...watchtowerHandlers(running),
    ...voucherKeyHandlers(running),
    ...lineageHandlers(running),
    ...assetHandlers(running),
    ...collectHandlers(running),
    ...identityHandlers(running),
    ...agentHandlers(running, ask),
    ...vaultHandlers(running, (vault) => running.agents.usedBy(vault)),
    ...vaultSharingHandlers(running),
    ...modelHandlers(running),
    ...resumeHandlers(running),
    ...bridgeHandlers(running),
    ask,
    auction: createAuction(running, ask),
  };
}

function reachable(addresses: readonly string[]): string | undefined {
  return addresses.find((address) => !/\/(127\.|::1)/.test(address)) ?? addresses[0];
}

function pause({ clock }: Core, ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}
