/**
 * The ledger under CometBFT: several validators that do not trust each other order the transactions, and every node
 * executes what they decided by the state machine of the embedded engine. This is one node's part: the application that
 * its CometBFT asks, what it hands in, and what it answers about the ledger.
 */
import type { Request } from 'cosmjs-types/tendermint/abci/types';
import { equalBytes } from '../../../base/bytes.ts';
import type { Clock } from '../../../base/clock.ts';
import { SaharaError } from '../../../base/errors.ts';
import type { Log } from '../../../base/log.ts';
import type { Store } from '../../../base/store.ts';
import type { Genesis } from '../../../protocol/block.ts';
import { type FirstValidator, firstValidatorsHash } from '../../../protocol/consensus.ts';
import type { Hash } from '../../../protocol/ids.ts';
import type { Suite } from '../../../protocol/suite.ts';
import { type Chain, openChain } from '../../chain.ts';
import { networkNameOf } from '../../genesis.ts';
import type { Ledger } from '../../ledger.ts';
import { createLightAnswers } from '../../light/answers.ts';
import { createMempool, type MempoolOptions } from '../../mempool.ts';
import type { LedgerNetwork } from '../../network.ts';
import type { Prepared } from '../../prepare.ts';
import { createQueries } from '../../queries.ts';
import { createSignatureBook } from '../../signatures.ts';
import { abandonRestore } from '../../snapshot-restore.ts';
import { Admission } from '../admission.ts';
import { EngineCore } from '../core.ts';
import { proveState, pruneBetween, replays, type Scratch, submitTo } from '../serving.ts';
import { createAbciHandler } from './abci.ts';
import { CometApplication } from './application.ts';
import { Certifier } from './certify.ts';
import { Checks } from './checks.ts';
import { decisionIn } from './decisions.ts';
import type { FetchBlock } from './light/client.ts';
import { fetchConsensusBlock } from './light/json.ts';
import { joinPeers } from './peers.ts';
import { Relay } from './relay.ts';
import { decidedBlocks } from './replay.ts';
import type { CometRpc } from './rpc.ts';
import { type AbciAddress, createAbciServer } from './server.ts';
import { StateSync } from './state-sync.ts';
import { type Validator, ValidatorBook } from './validators.ts';

/** Parts of a ledger under CometBFT. */
export interface CometLedgerParts {
  /** Its own; stays open when the ledger stops. */
  readonly store: Store;
  /** Its own: keeps a snapshot for others. Stays open too. */
  readonly shelf: Store;
  readonly suite: Suite;
  readonly clock: Clock;
  readonly log: Log;
  /** The RPC of this node's CometBFT. */
  readonly rpc: CometRpc;
  /** Other peers of the network, among them light homes, which this node serves. Absent: none. */
  readonly network?: LedgerNetwork;
  /** Where this node's CometBFT finds the application. */
  readonly listen: AbciAddress;
  /** Room for one replay of the whole ledger at a time. Default: in memory. */
  readonly scratch?: () => Promise<Scratch>;
}

/** Options of a ledger under CometBFT. */
export interface CometLedgerOptions {
  readonly mempool: Partial<MempoolOptions>;
  /** Latest blocks that stay on disk, at least 1; older ones go, but for those about channels that still exist. Default: all. */
  readonly keepBlocks: number | undefined;
  /** Blocks that CometBFT keeps of its own, at least; it needs those of its evidence. Default 0: all. */
  readonly retainBlocks: number;
  /** Blocks between two snapshots for nodes that join. Default 1,000; 0: none. */
  readonly snapshotEveryBlocks: number;
  /** How often what waits is handed to CometBFT again, milliseconds. Default 2,000. */
  readonly repeatMs: number;
  /** Most transactions that wait in CometBFT's mempool from here. Default 2,000. */
  readonly inFlightMax: number;
}

/** Defaults of a ledger under CometBFT. */
export const COMET_LEDGER_DEFAULTS: CometLedgerOptions = {
  mempool: {},
  keepBlocks: undefined,
  retainBlocks: 0,
  snapshotEveryBlocks: 1_000,
  repeatMs: 2_000,
  inFlightMax: 2_000,
};

/** A network that CometBFT orders. */
export interface CometNetwork {
  readonly genesis: Genesis;
  /** Who the genesis commits to. */
  readonly first: readonly FirstValidator[];
}

/** A ledger under CometBFT. */
export interface CometLedger extends Ledger {
  /** What CometBFT takes as `proxy_app`. */
  readonly abciAddress: string;
  /** Who votes by the state of the head. */
  validators(): readonly Validator[];
  /** Height of consensus whose block the application has committed. */
  consensusHeight(): number;
  /** Height of consensus that decided on the ledger's block of `height`; the next one's header certifies it. */
  decidedAt(height: number): number | undefined;
  /** Why this program cannot execute the next block, once that is so: `upgrade-needed`. */
  upgradeNeeded(): SaharaError | undefined;
}

/**
 * Opens the ledger of `network` in `parts.store`, recovering from whatever stopped it before, and listens for CometBFT.
 * Errors: `network-mismatch`, `config-invalid`, `store-corrupt`, `internal` when the socket is taken.
 */
export async function createCometLedger(
  parts: CometLedgerParts,
  { genesis, first }: CometNetwork,
  options: Partial<CometLedgerOptions> = {},
): Promise<CometLedger> {
  const { suite, store, clock, log } = parts;
  const settings = { ...COMET_LEDGER_DEFAULTS, ...options };
  if (!equalBytes(genesis.sequencer, firstValidatorsHash(suite, first)))
    throw new SaharaError('config-invalid', { reason: 'the genesis commits to other validators' });
  await abandonRestore(store);
  const network = networkNameOf(suite, genesis);
  const open = (): Promise<Chain> => openChain({ suite, store, keepBlocks: settings.keepBlocks }, genesis);
  const opened = new Reopened(await open());
  const { chain } = opened;
  const signatures = createSignatureBook(suite, network);
  const recall = (id: Hash): Prepared | undefined => checks.recall(id) ?? admission.recall(id);
  const pool = createMempool(settings.mempool);
  const recallBytes = (bytes: Uint8Array): Prepared | undefined => checks.recallBytes(bytes);
  const blocks = { suite, network, genesis, signatures, chain, recall, recallBytes };
  const core = new EngineCore({ ...blocks, clock, log, pool });
  const admission = new Admission(core, { makesBlocks: false });
  const checks = new Checks(core.parts);
  const validators = await ValidatorBook.open({ suite, chain, genesis, first });
  const answers = createLightAnswers(core.parts, (job) => core.exclusive(job));
  const application = new CometApplication({
    core,
    store,
    checks,
    validators,
    retainBlocks: settings.retainBlocks,
  });
  const reopen = async (): Promise<void> => {
    opened.now = await open();
    await validators.reread();
    checks.restart();
    core.demandKnownRules();
  };
  const everyBlocks = settings.snapshotEveryBlocks;
  const sync = new StateSync({ core, store, shelf: parts.shelf, reopen, everyBlocks });
  // Whoever was stopped while it took a snapshot begins with another one, or none.
  await sync.forgetTaken();
  core.onBlock(({ height }) => sync.noteBlock(height));
  const answer = createAbciHandler({ application, checks, answers, sync });
  const foresee = ({ checkTx }: Request): void => {
    if (checkTx !== undefined) checks.foresee(checkTx.tx);
  };
  const server = await createAbciServer({ answer, foresee, log }, parts.listen);
  const relay = new Relay(core, parts.rpc, settings);
  const decidedAt = (height: number): number | undefined => decisionIn(store, height)?.height;
  const fetch: FetchBlock = (height, waiting) => fetchConsensusBlock(parts.rpc, height, waiting);
  const certifier = new Certifier({ suite, clock, network, first, fetch, decidedAt });
  const queries = createQueries(core.parts);
  const either = (signal?: AbortSignal): AbortSignal =>
    signal ? AbortSignal.any([signal, core.stopping.signal]) : core.stopping.signal;
  const joined =
    parts.network && joinPeers(core, { admission, certifier, answers, relay, network: parts.network });
  return {
    ...queries,
    network,
    genesis,
    mode: 'follower',
    abciAddress: server.address,
    get base() {
      return chain.base;
    },
    head: () => core.head(),
    validators: () => validators.current(),
    consensusHeight: () => application.info().height,
    decidedAt,
    upgradeNeeded: () => core.upgradeNeeded(),
    onBlock: (listener) => core.onBlock(listener),
    proof: async (id) => certifier.inclusion(await queries.proof(id), either()),
    settled: async (sought, { signal } = {}) =>
      certifier.inclusion(await queries.settled(sought), either(signal)),
    prove: async (keys, { signal } = {}) => certifier.state(await proveState(answers, keys), either(signal)),
    submit: (message, { signal } = {}) =>
      submitTo(core, admission, { message, hand: () => relay.wake(), signal }),
    verify: replays(core, parts.scratch, decidedBlocks(store, first)),
    prune: (keep, { signal } = {}) => pruneBetween(core, keep, signal),
    async stop() {
      core.stopping.abort();
      joined?.();
      await relay.stop();
      await server.close();
      await sync.idle();
      await core.exclusive(async () => {});
      core.rejectAll(new SaharaError('cancelled', { reason: 'the ledger has stopped' }));
    },
  };
}

/** A chain that can be opened anew under everything that holds it, as after a snapshot was restored. */
class Reopened {
  /** The one in use. */
  now: Chain;
  /** What others hold: every property is that of the one in use. */
  readonly chain: Chain;

  constructor(now: Chain) {
    this.now = now;
    // The proxy has exactly the properties of a chain.
    this.chain = new Proxy({} as Chain, { get: (_target, name) => Reflect.get(this.now, name) });
  }
}
