/**
 * The ledger of a home that is a node of a network of several validators: the application first, then the CometBFT that
 * asks it; at the end the other way round. A node whose operator changes its key votes with the new one.
 */
import { equalBytes } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { asSaharaError, type SaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Store } from '../../base/store.ts';
import { type CometLedger, createCometLedger } from '../../ledger/engines/comet/ledger.ts';
import { createCometRpc } from '../../ledger/engines/comet/rpc.ts';
import type { EmbeddedLedgerParts } from '../../ledger/engines/embedded.ts';
import { networkNameOf } from '../../ledger/genesis.ts';
import type { LedgerNetwork } from '../../ledger/network.ts';
import type { PublicKey } from '../../protocol/ids.ts';
import { nativeSuite } from '../../protocol/suite-native.ts';
import type { Home } from '../home.ts';
import type { HomeLedger } from '../home-ledger.ts';
import type { DaemonKeys } from '../keys.ts';
import { EVIDENCE_BLOCKS, nodeIdOf, writeCometFiles } from './files.ts';
import { forgetWords, leaveLines, leaveWord } from './last-words.ts';
import { nodeSeedOf } from './making.ts';
import { cometFolder, type KnownNetwork, type OwnNode } from './network-file.ts';
import { type CometProcess, findComet, superviseComet } from './process.ts';

/** Parts of such a home's ledger. */
export interface CometHomeParts {
  readonly home: Home;
  readonly clock: Clock;
  readonly log: Log;
  readonly keys: DaemonKeys;
  /** Other peers of the network, among them light homes. */
  readonly peers: LedgerNetwork;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly storeOf: (name: string) => Store;
  readonly scratch: NonNullable<EmbeddedLedgerParts['scratch']>;
  /** Blocks of the ledger that stay, 0 for all. */
  readonly keepBlocks: number;
}

/** How long a block waits for further votes before the next one begins, milliseconds. */
const COMMIT_MS = 200;
/** How often it is asked whether a changed key counts yet, milliseconds. */
const KEY_POLL_MS = 50;

/** Opens the ledger of a node's home and starts its CometBFT. Throws what the engine throws, and `program-missing`. */
export async function openCometHome(
  parts: CometHomeParts,
  { network, node }: { readonly network: KnownNetwork; readonly node: OwnNode },
): Promise<HomeLedger> {
  const { home, clock, log, storeOf, scratch, keepBlocks } = parts;
  const folder = cometFolder(home);
  const program = await findComet(parts.environment);
  const rpc = createCometRpc(fetch, `http://${node.rpc.host}:${node.rpc.port}`);
  const ledger = await createCometLedger(
    {
      ...{ clock, log, rpc, scratch, suite: nativeSuite, network: parts.peers },
      store: storeOf('ledger'),
      shelf: storeOf('shelf'),
      listen: { path: abciSocketOf(home) },
    },
    network,
    keepBlocks === 0 ? {} : { keepBlocks, retainBlocks: Math.max(keepBlocks, EVIDENCE_BLOCKS) },
  );
  const running = new RunningNode(parts, { network, node, program, ledger });
  const failed = Promise.withResolvers<SaharaError>();
  try {
    const needed = ledger.upgradeNeeded();
    if (needed !== undefined) throw needed;
    await forgetWords(folder);
    await running.start();
  } catch (error) {
    await ledger.stop();
    await leaveWord(folder, error);
    throw error;
  }
  ledger.onBlock(() => {
    const needed = ledger.upgradeNeeded();
    // The block before the first by other rules is written: this program has done all that it can.
    if (needed === undefined) return;
    failed.resolve(needed);
    void running.stop();
  });
  return {
    ledger,
    report: () => undefined,
    validators: () => ledger.validators().length,
    failed: failed.promise,
    evidence: () => undefined,
    keepWhole: async () => undefined,
    async stop() {
      await running.stop();
      await ledger.stop();
      await forgetWords(folder);
      await leaveWord(folder, ledger.upgradeNeeded());
    },
  };
}

/** Beside the admin socket, where the path is short enough for every system. */
function abciSocketOf(home: Home): string {
  return home.socket.replace(/\.sock$/, '.abci.sock');
}

interface NodeSetup {
  readonly network: KnownNetwork;
  readonly node: OwnNode;
  readonly program: string;
  readonly ledger: CometLedger;
}

/** The CometBFT of a home, with the key that its operator has on the ledger. */
class RunningNode {
  readonly #parts: CometHomeParts;
  readonly #setup: NodeSetup;
  #comet: CometProcess | undefined;
  #votes: PublicKey = new Uint8Array(0);
  #last: Promise<void> = Promise.resolve();
  #unlisten: () => void = () => {};
  #stopping = false;

  constructor(parts: CometHomeParts, setup: NodeSetup) {
    this.#parts = parts;
    this.#setup = setup;
  }

  async start(): Promise<void> {
    await this.#run();
    this.#unlisten = this.#setup.ledger.onBlock(({ identities }) => {
      if (identities.some((one) => equalBytes(one, this.#did()))) this.#follow();
    });
    // Where it ended between a change of the key and the block from which on that counts.
    this.#follow();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#unlisten();
    await this.#last;
    await this.#comet?.stop();
  }

  /** Votes with another key, if the operator has another, as soon as that one counts. */
  #follow(): void {
    this.#last = this.#last
      .then(async () => {
        while (!this.#stopping && this.#isLate() && equalBytes(this.#key(), this.#votes)) await this.#pause();
        if (this.#stopping || !this.#isLate()) return;
        await this.#comet?.stop();
        this.#comet = undefined;
        await this.#run();
      })
      .catch((error) =>
        this.#parts.log.error('CometBFT was not started again', { error: asSaharaError(error).message }),
      );
  }

  /** Whether the operator signs with another key than this node votes with. */
  #isLate(): boolean {
    return !equalBytes(this.#votes, this.#own()?.key ?? this.#did());
  }

  /** The key that counts in the next block of consensus: of the one after a change it is still the one before. */
  #key(): PublicKey {
    const { ledger } = this.#setup;
    const own = this.#own();
    if (own === undefined) return this.#did();
    const { height } = ledger.head();
    const former = own.retired.at(-1);
    const changed = former?.retiredAt === height && ledger.decidedAt(height) === ledger.consensusHeight();
    return changed ? former.key : own.key;
  }

  #own(): ReturnType<CometLedger['identity']> {
    return this.#setup.ledger.identity(this.#did());
  }

  #did(): PublicKey {
    return this.#parts.keys.operator.publicKey;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#parts.clock.after(KEY_POLL_MS, resolve));
  }

  async #run(): Promise<void> {
    const { home, clock, log, keys } = this.#parts;
    const { network, node, program, ledger } = this.#setup;
    const key = this.#key();
    const nodeSeed = nodeSeedOf(keys);
    // Without the key that votes, which may be at another home, this node follows.
    const votingSeed = await keys.operatorSecret(key).catch(() => nodeSeed);
    const own = nodeIdOf(nodeSeed);
    const folder = cometFolder(home);
    const { genesis, first, nodes } = network;
    await writeCometFiles(
      folder,
      { network: networkNameOf(nativeSuite, genesis), createdAtMs: genesis.createdAtMs, first },
      {
        ...{ nodeSeed, votingSeed, p2p: node.p2p, rpc: node.rpc, commitMs: COMMIT_MS },
        abciAddress: ledger.abciAddress,
        // Whoever has a block goes on from there.
        ...(node.stateSync && ledger.head().height === 0 && { stateSync: node.stateSync }),
        peers: nodes.flatMap(({ id, host, port }) => (id === own ? [] : [`${id}@${host}:${port}`])),
      },
    );
    this.#votes = key;
    const ended = (lines: readonly string[]): void => {
      leaveLines(folder, lines).catch((error) =>
        log.warn('what CometBFT said last was not kept', { error: asSaharaError(error).message }),
      );
    };
    this.#comet = superviseComet({ program, folder, clock, log, ended });
  }
}
