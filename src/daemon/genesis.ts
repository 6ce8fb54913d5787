/**
 * Which network this peer is of. A home that knows its genesis keeps it. A new one asks the peers it is told of
 * (`mesh.bootstrap`, for as long as it takes) or that stand nearby (a few seconds), adopts what they answer on
 * first use, and otherwise begins a local network with itself as the sequencer.
 */
import { readFile } from 'node:fs/promises';
import { utf8 } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Dice } from '../base/random.ts';
import { createMemoryStore, type Store } from '../base/store.ts';
import { createGenesis, genesisFault } from '../ledger/genesis.ts';
import { type HeadMark, lostBlocks } from '../ledger/mark.ts';
import type { Mesh } from '../mesh/interface.ts';
import { createMesh } from '../mesh/mesh.ts';
import { type Genesis, genesis, type LedgerParameters, networkOf } from '../protocol/block.ts';
import { GENESIS_BYTES_MAX } from '../protocol/bundle.ts';
import type { PublicKey } from '../protocol/ids.ts';
import { GRAINS_MAX } from '../protocol/schema.ts';
import { nativeSuite } from '../protocol/suite-native.ts';

/** The libp2p protocol under which peers hand out their network's genesis. */
const GENESIS_PROTOCOL = '/sahara/genesis/1';

/** How a peer came by its network. */
type GenesisOrigin = 'known' | 'file' | 'adopted' | 'created';

/** The network of this peer. */
export interface NetworkChoice {
  readonly genesis: Uint8Array;
  /** Full name. */
  readonly network: string;
  readonly origin: GenesisOrigin;
}

/** What the choice is made with. */
export interface GenesisParts {
  /** Where the choice is kept. */
  readonly store: Store;
  /** The mark of the ledger that this home has, if any. */
  readonly mark: HeadMark;
  readonly operator: PublicKey;
  readonly log: Log;
  readonly clock: Clock;
  readonly dice: Dice;
}

/** How the choice is made. */
export interface GenesisOptions {
  /** What people call the network. */
  readonly name: string;
  /** Path of a genesis file, or empty. */
  readonly file: string;
  readonly bootstrap: readonly string[];
  readonly mdns: boolean;
  /** How long to look around when there is no bootstrap list, milliseconds. */
  readonly searchMs: number;
  /** Rules of a network that is created here. */
  readonly rules: Pick<LedgerParameters, 'closeDelayBlocks' | 'transactionFee' | 'epochBlocks'>;
  /** Tells a person what is being waited for. */
  readonly tell: (text: string) => void;
  readonly signal: AbortSignal;
}

const KEY = utf8('genesis');
const QUESTION_TIMEOUT_MS = 5_000;
const LOOK_EVERY_MS = 250;

/**
 * The network that this peer is of, kept in the store. Throws `config-invalid`, `network-mismatch`, `cancelled`, and
 * `store-corrupt` when a mark tells that the store lost a network.
 */
export async function chooseNetwork(parts: GenesisParts, options: GenesisOptions): Promise<NetworkChoice> {
  const known = await knownNetwork(parts.store);
  if (known !== undefined) return { ...named(known), origin: 'known' };
  const marked = await parts.mark.read();
  if (marked !== undefined)
    throw lostBlocks(
      `The store is empty, but the ledger had reached block ${marked.height}`,
      parts.mark.place,
    );
  const found = await find(parts, options);
  const choice = found ?? created(parts, options);
  await keepNetwork(parts.store, choice.genesis);
  parts.log.info('network chosen', { network: choice.network, origin: choice.origin });
  return choice;
}

/** The genesis that a home keeps in `store`, if it has one. */
export function knownNetwork(store: Store): Promise<Uint8Array | undefined> {
  return store.get(KEY);
}

/** Has a home be of the network of `genesis` from now on. */
export function keepNetwork(store: Store, genesis: Uint8Array): Promise<void> {
  return store.batch([{ type: 'put', key: KEY, value: genesis }], { sync: true });
}

/** Hands the genesis to whoever asks. */
export function serveGenesis(mesh: Mesh, bytes: Uint8Array): () => void {
  return mesh.serve(GENESIS_PROTOCOL, {
    requestBytesMax: 16,
    answerBytesMax: GENESIS_BYTES_MAX,
    concurrencyMax: 16,
    handle: async () => bytes,
  });
}

function named(bytes: Uint8Array): { readonly genesis: Uint8Array; readonly network: string } {
  const fault = genesisFault(genesis.decode(bytes));
  if (fault !== undefined) throw new SaharaError('malformed', { reason: `genesis: ${fault}` });
  return { genesis: bytes, network: networkOf(nativeSuite, bytes) };
}

function created(parts: GenesisParts, { name, rules }: GenesisOptions): NetworkChoice {
  const made = createGenesis(
    { sequencer: parts.operator, createdAtMs: parts.clock.nowMs() },
    { name, parameters: rules, ...(rules.transactionFee > 0n && moneyOf(parts.operator)) },
  );
  return { ...named(genesis.encode(made)), origin: 'created' };
}

/** Who has nothing cannot pay the fee of drawing from a faucet, so all money begins with who creates the network. */
function moneyOf(owner: PublicKey): Pick<Genesis, 'accounts' | 'faucet'> {
  return { accounts: [{ owner, balance: GRAINS_MAX / 2n }], faucet: undefined };
}

async function find(parts: GenesisParts, options: GenesisOptions): Promise<NetworkChoice | undefined> {
  if (options.file !== '') return { ...named(await readGenesisFile(options.file)), origin: 'file' };
  if (options.bootstrap.length > 0) {
    options.tell(`Asking ${options.bootstrap.join(', ')} which network this is.`);
    return askAround(parts, options, undefined);
  }
  if (!options.mdns || options.searchMs === 0) return undefined;
  options.tell(`Looking for a network called ${options.name} nearby.`);
  return askAround(parts, options, parts.clock.monotonicMs() + options.searchMs);
}

async function readGenesisFile(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    throw new SaharaError('file-missing', { path }, { cause: error });
  }
}

/** Asks every peer that connects, until one answers or `untilMs` (monotonic) has passed. */
async function askAround(
  parts: GenesisParts,
  options: GenesisOptions,
  untilMs: number | undefined,
): Promise<NetworkChoice | undefined> {
  const { clock, dice, log } = parts;
  // A throw-away peer: the real one needs the network's name, which is what is being looked for.
  const mesh = await createMesh(
    { peerSeed: dice.bytes(32), store: createMemoryStore(), clock, dice, log },
    { network: options.name, private: true, mdns: options.mdns, bootstrap: options.bootstrap, dht: 'off' },
  );
  const asked = new Set<string>();
  try {
    while (untilMs === undefined || clock.monotonicMs() < untilMs) {
      if (options.signal.aborted) throw new SaharaError('cancelled');
      for (const { peerId } of mesh.peers()) {
        if (asked.has(peerId)) continue;
        asked.add(peerId);
        const choice = await ask(mesh, peerId, parts, options);
        if (choice !== undefined) return choice;
      }
      await pause(clock, LOOK_EVERY_MS);
    }
    return undefined;
  } finally {
    await mesh.stop();
  }
}

async function ask(
  mesh: Mesh,
  peerId: string,
  parts: GenesisParts,
  options: GenesisOptions,
): Promise<NetworkChoice | undefined> {
  try {
    const question = {
      timeoutMs: QUESTION_TIMEOUT_MS,
      answerBytesMax: GENESIS_BYTES_MAX,
      signal: options.signal,
    };
    const choice = named(await mesh.request(peerId, GENESIS_PROTOCOL, new Uint8Array(0), question));
    // Who names a peer takes its network; who only looks around takes the network that was asked for.
    const called = genesis.decode(choice.genesis).name;
    if (options.bootstrap.length === 0 && called !== options.name) return undefined;
    options.tell(`Joined ${choice.network}, as peer ${peerId} says (trusted on first use).`);
    return { ...choice, origin: 'adopted' };
  } catch (error) {
    parts.log.debug('no genesis from peer', { peer: peerId, reason: asSaharaError(error).message });
    return undefined;
  }
}

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}
