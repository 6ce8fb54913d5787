/**
 * The embedded engine: one sequencer orders transactions and signs blocks; everybody else re-executes each block
 * and refuses a wrong one. Nothing to install, no consensus between validators: who does not trust the sequencer's
 * order can still prove every step that it took.
 */
import { equalBytes } from '../../base/bytes.ts';
import { type Clock, every } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Store } from '../../base/store.ts';
import { type Genesis, genesis as genesisSchema } from '../../protocol/block.ts';
import type { Hash } from '../../protocol/ids.ts';
import type { Signer, Suite } from '../../protocol/suite.ts';
import { openChain } from '../chain.ts';
import { networkNameOf } from '../genesis.ts';
import type { Ledger } from '../ledger.ts';
import { createLightAnswers, type LightAnswers } from '../light/answers.ts';
import { type HeadMark, keepMark } from '../mark.ts';
import { createMempool, type MempoolOptions } from '../mempool.ts';
import type { LedgerNetwork } from '../network.ts';
import type { Prepared } from '../prepare.ts';
import { createQueries } from '../queries.ts';
import { createSignatureBook } from '../signatures.ts';
import { createSnapshot } from '../snapshot.ts';
import type { SnapshotMaking } from '../snapshot-transfer.ts';
import { Admission } from './admission.ts';
import { CatchUp } from './catch-up.ts';
import { EngineCore } from './core.ts';
import { Producer } from './producer.ts';
import { proveState, pruneBetween, replays, type Scratch, submitTo } from './serving.ts';

/** Parts of an embedded ledger. */
export interface EmbeddedLedgerParts {
  /** Its own; stays open when the ledger stops. */
  readonly store: Store;
  readonly suite: Suite;
  readonly clock: Clock;
  readonly log: Log;
  /** The operator's signer. When its key is the genesis' sequencer, this node makes the blocks. */
  readonly signer?: Signer;
  /** What the head is held against at opening, outside the store. Without one, lost blocks may go unnoticed. */
  readonly mark?: HeadMark;
  /** Without one, nobody follows. */
  readonly network?: LedgerNetwork;
  /** Runs a function at the end of the tick. Default: `setImmediate`. */
  readonly defer?: (run: () => void) => void;
  /** Room for one replay of the whole ledger at a time. Default: in memory, which takes as much as the state is large. */
  readonly scratch?: () => Promise<Scratch>;
}

/** Options of an embedded ledger. */
export interface EmbeddedLedgerOptions {
  readonly mempool: Partial<MempoolOptions>;
  /** Most transactions of one block that this sequencer makes, at most 2,000. Default 500. */
  readonly transactionsPerBlockMax: number;
  /** How long a block that is not full waits for transactions under verification, milliseconds. Default 100; 0: never. */
  readonly gatherMsMax: number;
  /** Latest blocks that stay on disk, at least 1; older ones go, but for those about channels that still exist. Default: all. */
  readonly keepBlocks: number | undefined;
  /** How often a follower asks for blocks that no news told of, milliseconds. Default 5,000. */
  readonly pollIntervalMs: number;
  /** How often a follower tells its own waiting transactions again, milliseconds. Default 2,000. */
  readonly republishIntervalMs: number;
}

/** Defaults of an embedded ledger. */
const EMBEDDED_LEDGER_DEFAULTS: EmbeddedLedgerOptions = {
  mempool: {},
  transactionsPerBlockMax: 500,
  gatherMsMax: 100,
  keepBlocks: undefined,
  pollIntervalMs: 5_000,
  republishIntervalMs: 2_000,
};

const REPUBLISHED_MAX = 64;

/**
 * Opens the ledger of `genesis` in `parts.store`, recovering from whatever stopped it before.
 * Errors: `network-mismatch`, `config-invalid`, `store-corrupt`.
 */
export async function createEmbeddedLedger(
  parts: EmbeddedLedgerParts,
  genesis: Genesis,
  options: Partial<EmbeddedLedgerOptions> = {},
): Promise<Ledger> {
  const { suite, store, clock, log, signer, network, mark } = parts;
  const settings = { ...EMBEDDED_LEDGER_DEFAULTS, ...options };
  const name = networkNameOf(suite, genesis);
  const chain = await openChain({ suite, store, mark, keepBlocks: settings.keepBlocks }, genesis);
  const genesisHash = suite.sha256(genesisSchema.encode(genesis));
  const keeper = mark && keepMark({ mark, clock, log }, () => ({ ...chain.head(), genesisHash }));
  keeper?.moved();
  const signatures = createSignatureBook(suite, name);
  const recall = (id: Hash): Prepared | undefined => admission.recall(id);
  const pool = createMempool(settings.mempool);
  const core = new EngineCore({ suite, network: name, genesis, signatures, chain, recall, clock, log, pool });
  const producing = signer !== undefined && equalBytes(signer.publicKey, genesis.sequencer);
  const admission = new Admission(core, { makesBlocks: producing });
  const producer = producing
    ? new Producer(core, { admission, signer, network, defer: parts.defer }, settings)
    : undefined;
  core.onBlock(() => keeper?.moved());
  const answers = createLightAnswers(core.parts, (job) => core.exclusive(job));
  const joined = network && join(core, { network, admission, producer, answers }, settings);
  producer?.arm();

  const hand = (prepared: Prepared): void => {
    if (producer) producer.wake();
    else network?.publishTransaction(prepared.wire);
  };
  return {
    ...createQueries(core.parts),
    network: name,
    genesis,
    mode: producer ? 'sequencer' : 'follower',
    get base() {
      return chain.base;
    },
    head: () => core.head(),
    onBlock: (listener) => core.onBlock(listener),
    prove: (keys) => proveState(answers, keys),
    submit: (message, { signal } = {}) => submitTo(core, admission, { message, hand, signal }),
    verify: replays(core, parts.scratch),
    prune: (keep, { signal } = {}) => pruneBetween(core, keep, signal),
    async stop() {
      core.stopping.abort();
      producer?.stop();
      await joined?.leave();
      await core.exclusive(async () => {});
      await keeper?.stop();
      core.rejectAll(new SaharaError('cancelled', { reason: 'the ledger has stopped' }));
    },
  };
}

function snapshotsOf({ parts }: EngineCore): SnapshotMaking {
  return { make: (put) => createSnapshot(parts, put), height: () => parts.chain.head().height };
}

interface Joined {
  leave(): Promise<void>;
}

/** Joins a running engine to its network. */
function join(
  core: EngineCore,
  parts: {
    readonly network: LedgerNetwork;
    readonly admission: Admission;
    readonly producer: Producer | undefined;
    readonly answers: LightAnswers;
  },
  settings: EmbeddedLedgerOptions,
): Joined {
  const { network, admission, producer, answers } = parts;
  const { clock, chain, pool } = core.parts;
  const catchUp = new CatchUp(core, network);
  const queries = createQueries(core.parts);
  const leaving = [
    network.onTransaction(async (wire) => {
      if (!core.running) return 'ignore';
      if (producer === undefined) return admission.judge(wire);
      const verdict = await admission.take(wire);
      if (verdict === 'accept') producer.wake();
      return verdict;
    }),
    network.onBlock((news) => (core.running ? catchUp.hear(news) : Promise.resolve('ignore'))),
    network.onPeer(() => catchUp.ask()),
    network.serveBlocks((fromHeight) => queries.blocks(fromHeight)),
    network.serveLight(answers),
    ...(network.serveSnapshots ? [network.serveSnapshots(snapshotsOf(core))] : []),
    every(clock, settings.pollIntervalMs, () => catchUp.ask()),
  ];
  if (producer === undefined) {
    const again = (): void => {
      if (!core.running) return;
      for (const { wire } of pool.all().slice(0, REPUBLISHED_MAX)) network.publishTransaction(wire);
    };
    leaving.push(every(clock, settings.republishIntervalMs, again));
  }
  if (chain.head().height > 0 && producer !== undefined) announceHead(core, network);
  catchUp.ask();
  return {
    async leave() {
      for (const stop of leaving) stop();
      await catchUp.idle();
    },
  };
}

/** After a crash between writing a block and telling of it, nobody has heard of it. */
function announceHead(core: EngineCore, network: LedgerNetwork): void {
  const { chain } = core.parts;
  chain.block(chain.head().height).then(
    (wire) => wire && network.publishBlock(wire),
    (error) => core.parts.log.warn('head not announced', { error: String(error) }),
  );
}
