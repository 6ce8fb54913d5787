/**
 * The ledger of this home: kept whole where agents or datasets are, and by who orders a network's transactions; followed
 * lightly everywhere else. A light home that becomes a host fetches the ledger first, while everything goes on, and from
 * then on answers from it. The rest of the daemon holds one ledger and does not notice.
 */
import { readdir } from 'node:fs/promises';
import { equalBytes, toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { prefixed, type Store } from '../base/store.ts';
import { createEmbeddedLedger, type EmbeddedLedgerParts } from '../ledger/engines/embedded.ts';
import type { BlockEvent, Ledger } from '../ledger/ledger.ts';
import { createLightClient, type LightClient } from '../ledger/light/client.ts';
import { beganByConsensus } from '../ledger/light/consensus.ts';
import { createLightLedger, type LightLedger, type LightReport } from '../ledger/light/ledger.ts';
import type { HeadMark } from '../ledger/mark.ts';
import type { LedgerNetwork } from '../ledger/network.ts';
import { abandonRestore, restoreCutShort, restoreSnapshot } from '../ledger/snapshot-restore.ts';
import { fetchSnapshot } from '../ledger/snapshot-transfer.ts';
import type { LedgerMesh } from '../ledger/sync.ts';
import { block, blockHeader, type Genesis, genesis as genesisSchema, headerHash } from '../protocol/block.ts';
import type { TwoCertified } from '../protocol/certified-header.ts';
import type { Signer } from '../protocol/suite.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import type { LightJoining } from './comet/light-home.ts';
import type { Config } from './config-schema.ts';
import type { Home } from './home.ts';
import { type ValidatorsWatch, watchForValidators } from './validators-watch.ts';

/** Parts of a home's ledger. */
export interface HomeLedgerParts {
  readonly home: Home;
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly genesis: Genesis;
  /** The first key of this operator: it orders transactions where the genesis names it. */
  readonly operator: Signer;
  readonly mesh: Pick<LedgerMesh, 'peers' | 'request'>;
  readonly network: LedgerNetwork;
  readonly mark: HeadMark;
  readonly storeOf: (name: string) => Store;
  /** Where a person said that validators order the network's transactions: the block of consensus that was named, if one was. */
  readonly joined?: LightJoining | undefined;
  /** Blocks from which on a snapshot is fetched when the home begins to keep the whole ledger. Default 4,096. */
  readonly snapshotFromBlocks?: number;
  /** Where a ledger that is replayed may write. */
  readonly scratch: NonNullable<EmbeddedLedgerParts['scratch']>;
}

/** A home's ledger. */
export interface HomeLedger {
  /** The same object over a change of what is kept. */
  readonly ledger: Ledger;
  /** How a light ledger stands; `undefined` where the whole is kept. */
  report(): LightReport | undefined;
  /** How many validators order transactions. Absent where a sequencer does. */
  readonly validators?: () => number;
  /** Resolves with the reason when this program cannot go on with the ledger. Absent where it goes on answering. */
  readonly failed?: Promise<SaharaError>;
  /** Two headers of one height that the sequencer signed, where a light ledger came upon them. */
  evidence(): TwoCertified | undefined;
  /**
   * Has the whole ledger kept from now on; resolves with its height once it is as far as what was known, or with
   * `undefined` when it was kept already. Nothing is lost if it fails. Throws `config-invalid` where the configuration
   * wants a light one, `state-unproven` when no peer answers, `ledger-halted`, `cancelled`.
   */
  keepWhole(options: { readonly signal: AbortSignal }): Promise<number | undefined>;
  stop(): Promise<void>;
}

const LIGHT = 'light';
const WHOLE = 'ledger';
const HEADERS = Uint8Array.of(1);
const FETCHED = 'snapshot';
const PROGRESS_MS = 5_000;
/** Blocks from which on a snapshot is quicker than executing them all. */
const SNAPSHOT_FROM_BLOCKS = 4_096;

/** Whether a home keeps the whole ledger. Throws `config-invalid` when the configuration cannot be followed. */
export async function keepsWhole(parts: HomeLedgerParts): Promise<boolean> {
  const { home, config, genesis, operator } = parts;
  if (equalBytes(genesis.sequencer, operator.publicKey)) return true;
  const { mode } = config.ledger;
  if (mode === 'full') return true;
  // Whose only way to the others is a gateway has nobody else to prove the ledger to it.
  const serving = config.guide.host === 'always' || config.gateway.serve !== 'off';
  const hosting = serving || (await holdsAny(home.agents)) || (await holdsAny(home.vaults));
  if (mode === 'light' && hosting)
    throw new SaharaError('config-invalid', {
      field: 'ledger.mode',
      reason: 'this home has agents or vaults, or is a gateway, which takes the whole ledger: auto or full',
    });
  if (mode === 'light') return false;
  return hosting || (await beganWhole(parts.storeOf(WHOLE)));
}

async function holdsAny(folder: string): Promise<boolean> {
  return (await readdir(folder).catch(() => [])).length > 0;
}

async function beganWhole(store: Store): Promise<boolean> {
  // What a restore left that was cut short is no ledger: the next one takes it up.
  if (restoreCutShort(store)) return false;
  for await (const _ of store.entries({ limit: 1 })) return true;
  return false;
}

/** Opens the ledger of a home. Throws what the engines throw, and `config-invalid`. */
export async function openHomeLedger(parts: HomeLedgerParts): Promise<HomeLedger> {
  const light = !(await keepsWhole(parts));
  if (!light && (parts.joined !== undefined || beganByConsensus(prefixed(parts.storeOf(LIGHT), HEADERS))))
    throw byValidators();
  const opened = light ? await openLight(parts) : await openWhole(parts);
  const mayLackBlocks = !light && !equalBytes(parts.genesis.sequencer, parts.operator.publicKey);
  return new Switching(parts, opened, mayLackBlocks ? watchForValidators(parts, opened) : undefined);
}

function openLight({
  clock,
  log,
  genesis,
  operator,
  mesh,
  network,
  storeOf,
  joined,
}: HomeLedgerParts): Promise<LightLedger> {
  const owner = operator.publicKey;
  const store = storeOf(LIGHT);
  const parts = { suite: nativeSuite, store, clock, log, owner, mesh, network, named: joined?.named };
  return createLightLedger(parts, genesis);
}

/** Where validators decide, blocks pass between their nodes alone. */
function byValidators(): SaharaError {
  return new SaharaError('config-invalid', {
    field: 'ledger.mode',
    reason:
      'validators order the transactions of this network, and whoever hosts agents or keeps the whole ledger runs a node: stop this daemon, and run: sahara network join FILE',
  });
}

async function openWhole(parts: HomeLedgerParts): Promise<Ledger> {
  const { config, clock, log, genesis, operator, network, mark, storeOf, scratch } = parts;
  const { keepBlocks } = config.ledger;
  const own = { store: storeOf(WHOLE), mark, scratch };
  await abandonRestore(own.store);
  return createEmbeddedLedger(
    // The genesis names the key that signs blocks, and it stays.
    { ...own, suite: nativeSuite, clock, log, signer: operator, network },
    genesis,
    { keepBlocks: keepBlocks === 0 ? undefined : keepBlocks },
  );
}

class Switching implements HomeLedger {
  readonly ledger: Ledger;
  readonly failed: Promise<SaharaError>;
  readonly #parts: HomeLedgerParts;
  readonly #watch: ValidatorsWatch | undefined;
  readonly #listeners = new Set<(event: BlockEvent) => void>();
  #now: Ledger;
  #light: LightLedger | undefined;
  #asker: LightClient | undefined;
  #switching: Promise<number> | undefined;
  #leave: () => void = () => {};

  constructor(parts: HomeLedgerParts, opened: Ledger | LightLedger, watch: ValidatorsWatch | undefined) {
    this.#parts = parts;
    this.#watch = watch;
    this.failed = watch === undefined ? new Promise(() => {}) : watch.found.then(byValidators);
    this.#now = opened;
    if (isLight(opened)) this.#light = opened;
    this.#listen();
    this.ledger = this.#standIn();
  }

  report(): LightReport | undefined {
    return this.#light?.report();
  }

  evidence(): TwoCertified | undefined {
    return this.#light?.evidence();
  }

  async keepWhole({ signal }: { readonly signal: AbortSignal }): Promise<number | undefined> {
    const light = this.#light;
    if (light === undefined) return undefined;
    if (light.report().consensus !== undefined || this.#parts.joined !== undefined) throw byValidators();
    if (this.#parts.config.ledger.mode === 'light')
      throw new SaharaError('config-invalid', {
        field: 'ledger.mode',
        reason: 'agents and vaults take the whole ledger: auto or full',
      });
    this.#switching ??= this.#change(light, signal).finally(() => {
      this.#switching = undefined;
    });
    return this.#switching;
  }

  async stop(): Promise<void> {
    this.#watch?.stop();
    this.#leave();
    await this.#switching?.catch(() => {});
    await this.#now.stop();
  }

  async #change(light: LightLedger, signal: AbortSignal): Promise<number> {
    const { log, mark, storeOf } = this.#parts;
    const known = await light.current({ signal });
    log.info('fetching the whole ledger', { height: known.height });
    await this.#restore(known.height, signal);
    light.leaveNews();
    const whole = await openWhole(this.#parts);
    try {
      await this.#reach(whole, known.height, signal);
      await demandSame(whole, known);
    } catch (error) {
      await whole.stop();
      light.hearNews();
      throw error;
    }
    // What is sent from here on goes to the new one; what the old one did not see through is handed in again there.
    this.#leave();
    this.#now = whole;
    this.#light = undefined;
    this.#listen();
    await light.stop();
    if (whole.base > 0)
      this.#asker = createLightClient({
        suite: nativeSuite,
        genesis: this.#parts.genesis,
        ask: this.#parts.mesh,
        store: prefixed(storeOf(LIGHT), HEADERS),
      });
    const { height } = whole.head();
    log.info('this home keeps the whole ledger now', { height, mark: mark.place });
    return height;
  }

  /** Begins from a peer's snapshot where that saves executing many blocks; the rest, or all of it, comes as blocks. */
  async #restore(height: number, signal: AbortSignal): Promise<void> {
    const { genesis, mesh, mark, log, storeOf, snapshotFromBlocks = SNAPSHOT_FROM_BLOCKS } = this.#parts;
    const store = storeOf(WHOLE);
    if (height < snapshotFromBlocks || (await beganWhole(store))) return;
    const suite = nativeSuite;
    const restored = await fetchSnapshot(
      { suite, mesh, store: storeOf(FETCHED) },
      async (source) => {
        const head = await restoreSnapshot({ suite, store, genesis }, source, { signal });
        await mark.write({ ...head, genesisHash: suite.sha256(genesisSchema.encode(genesis)) });
        log.info('began from a snapshot of a peer', { height: head.height });
      },
      { height: 0, signal },
    );
    if (!restored) log.info('no peer has a snapshot; executing every block', { height });
  }

  async #reach(whole: Ledger, height: number, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#parts;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = (): void => {
      const head = whole.head();
      if (head.halted !== undefined) reject(new SaharaError('ledger-halted', { reason: head.halted }));
      else if (head.height >= height) resolve();
    };
    const stop = whole.onBlock(look);
    const abort = (): void => reject(new SaharaError('cancelled'));
    signal.addEventListener('abort', abort, { once: true });
    let cancel = clock.after(PROGRESS_MS, tick);
    function tick(): void {
      log.info('fetching the whole ledger', { reached: whole.head().height, of: height });
      cancel = clock.after(PROGRESS_MS, tick);
      look();
    }
    look();
    if (signal.aborted) abort();
    try {
      await promise;
    } finally {
      cancel();
      stop();
      signal.removeEventListener('abort', abort);
    }
  }

  #listen(): void {
    this.#leave = this.#now.onBlock((event) => {
      for (const listener of [...this.#listeners]) listener(event);
    });
  }

  /** A ledger whose every property is that of the one in use. */
  #standIn(): Ledger {
    const own: Pick<Ledger, 'onBlock' | 'submit' | 'settled' | 'proof' | 'stop'> = {
      onBlock: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      submit: async (message, options) => {
        const used = this.#now;
        try {
          return await used.submit(message, options);
        } catch (error) {
          const changed = this.#now !== used && options?.signal?.aborted !== true;
          if (!changed || asSaharaError(error).code !== 'cancelled') throw error;
          return this.#now.submit(message, options);
        }
      },
      // A ledger that began from a snapshot lacks the blocks before; peers have them.
      settled: async (sought, waiting) =>
        (await this.#now.settled(sought, waiting)) ?? this.#asker?.claim(sought, waiting),
      proof: async (id) => (await this.#now.proof(id)) ?? (await this.#asker?.inclusion(id))?.proof,
      stop: () => this.stop(),
    };
    // The proxy has exactly the properties of a ledger: its own ones, or those of the one in use.
    return new Proxy({} as Ledger, {
      get: (_target, name) => Reflect.get(Object.hasOwn(own, name) ? own : this.#now, name),
    });
  }
}

function isLight(ledger: Ledger | LightLedger): ledger is LightLedger {
  return ledger.mode === 'light';
}

/** Both saw the same block, or the sequencer signed two. */
async function demandSame(
  whole: Ledger,
  known: { readonly height: number; readonly headerHash: Uint8Array },
): Promise<void> {
  const [wire] = known.height > whole.base ? await whole.blocks(known.height) : [];
  if (wire === undefined) return;
  const { payload } = block.decode(wire).header;
  if (equalBytes(headerHash(nativeSuite, payload), known.headerHash)) return;
  throw new SaharaError('ledger-halted', {
    reason: `The sequencer signed two different blocks of height ${blockHeader.decode(payload).height}, one of them ${toHex(known.headerHash)}`,
  });
}
