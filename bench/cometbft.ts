/**
 * Signed transfers per second and the time until one is final, with as many validators as asked, under the real
 * CometBFT; against the embedded engine, and against CometBFT's own kvstore application with transactions of the same
 * size and the same settings, all in one run and in turns. Every node is a process of its own on this machine and keeps
 * its ledger on disk. Then what joining by state sync takes: by
 * default with few accounts, with a million by `--accounts 1000000`.
 * Run: `npm run bench:cometbft -- [--validators 1,4] [--seconds 8] [--accounts 2000]`. The last line is one line of JSON.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findComet } from '../src/daemon/comet/process.ts';
import { COMET_INSTALL, COMET_VERSIONS } from '../src/daemon/comet/version.ts';
import { networkNameOf } from '../src/ledger/genesis.ts';
import type { Genesis } from '../src/protocol/block.ts';
import { PROTOCOL_VERSION } from '../src/protocol/ids.ts';
import { signed, signOne } from '../src/protocol/signing.ts';
import { nativeSuite as suite } from '../src/protocol/suite-native.ts';
import { transaction } from '../src/protocol/transaction.ts';
import { type ConsensusLoad, createConsensusLoad, isUp, startKvstore } from './cometbft/consensus-load.ts';
import { startNetwork, startNode } from './cometbft/nodes.ts';
import { cometNetwork, embeddedGenesis, payers, places, quantile, type Sample } from './cometbft/shared.ts';
import { measureStateSync, type StateSyncFigures } from './cometbft/state-sync.ts';

const text = { type: 'string' } as const;
const { values } = parseArgs({
  options: {
    validators: { ...text, default: '1,4' },
    seconds: { ...text, default: '8' },
    accounts: { ...text, default: '2000' },
  },
});
const sizes = values.validators.split(',').map(Number);
const seconds = Number(values.seconds);
const accounts = Number(values.accounts);
if (!sizes.every((size) => Number.isSafeInteger(size) && size >= 1 && size <= 100))
  throw new RangeError('--validators takes numbers from 1 to 100, such as 1,4');
if (!(seconds > 0)) throw new RangeError('--seconds takes a number above 0');
if (!Number.isSafeInteger(accounts) || accounts < 0) throw new RangeError('--accounts takes a number');

/** Of each payer in one round. */
const PER_PAYER = 4;

type Measured = 'embedded' | 'sahara' | 'saharaByRpc' | 'kvstore';

/** Something that takes transactions. */
interface Subject {
  readonly name: Measured;
  readonly validators: number;
  /** Transactions of so many payers, in the order of their numbers. */
  sign(payers: number, each: number): readonly Uint8Array[];
  load(messages: readonly Uint8Array[], inFlight: number): Promise<Sample>;
}

/** Signs transfers for one network; counts the numbers of each payer. */
function signing(genesis: Genesis): Subject['sign'] {
  const network = networkNameOf(suite, genesis);
  const nonces = payers.map(() => 0);
  let first = 0;
  return (count, each) => {
    const messages: Uint8Array[] = [];
    for (let turn = 0; turn < each; turn++) {
      for (let i = 0; i < count; i++) {
        const at = (first + i) % payers.length;
        const [signer, to] = [payers[at], payers[(at + 1) % payers.length]];
        const nonce = nonces[at] ?? 0;
        if (signer === undefined || to === undefined) throw new Error('no payers');
        nonces[at] = nonce + 1;
        const action = { type: 'transfer', to: to.publicKey, amount: 1n, memo: undefined } as const;
        const payload = transaction.encode({
          ...{ version: PROTOCOL_VERSION, network, sender: signer.publicKey, nonce, feeMax: 0n, action },
        });
        messages.push(signed.encode(signOne(suite, signer, network, { type: 'transaction', payload })));
      }
    }
    // The next ones are of others, so that nobody waits for their own before.
    first = (first + count) % payers.length;
    return messages;
  };
}

/** Pairs for the key-value application, each as long as a signed transfer. */
function pairing(sizeBytes: number): Subject['sign'] {
  let number = 0;
  return (count, each) =>
    Array.from({ length: count * each }, () => Buffer.from(`k${number++}=`.padEnd(sizeBytes, 'a')));
}

const round = (value: number, digits = 1): number => Number(value.toFixed(digits));

interface Figures {
  readonly perSecond: number;
  readonly finalMs: { readonly median: number; readonly p95: number };
  readonly oneAtATimeMs: { readonly median: number; readonly p95: number };
}

/** What a subject did so far. */
class Tally {
  readonly subject: Subject;
  #count = 0;
  #wallMs = 0;
  readonly #busyMs: number[] = [];
  readonly #aloneMs: number[] = [];

  constructor(subject: Subject) {
    this.subject = subject;
  }

  get isDone(): boolean {
    return this.#wallMs >= seconds * 1_000;
  }

  /** One transaction after the other, for a quarter of the time. */
  async alone(): Promise<void> {
    for (let ms = 0; ms < seconds * 250 || this.#aloneMs.length < 5; ) {
      const { wallMs, latenciesMs } = await this.subject.load(this.subject.sign(1, 1), 1);
      ms += wallMs;
      this.#aloneMs.push(...latenciesMs);
    }
  }

  async round(): Promise<void> {
    const { load, sign } = this.subject;
    const { wallMs, latenciesMs } = await load(sign(payers.length, PER_PAYER), payers.length);
    this.#count += latenciesMs.length;
    this.#wallMs += wallMs;
    this.#busyMs.push(...latenciesMs);
  }

  figures(): Figures {
    const of = (all: readonly number[]): Figures['finalMs'] => ({
      median: round(quantile(all, 0.5)),
      p95: round(quantile(all, 0.95)),
    });
    return {
      perSecond: Math.round((this.#count * 1_000) / this.#wallMs),
      finalMs: of(this.#busyMs),
      oneAtATimeMs: of(this.#aloneMs),
    };
  }
}

/** Every subject of one number of validators, and how to be rid of them. */
async function open(
  program: string,
  folder: string,
  validators: number,
): Promise<{ readonly subjects: readonly Subject[]; stop(): Promise<void> }> {
  const [all, kvPlaces] = [await places(validators), await places(validators)];
  const nodes = await startNetwork({ folder, all, accounts: 0, snapshotEveryBlocks: 0 });
  const stores = await startKvstore(program, folder, kvPlaces);
  const loads: ConsensusLoad[] = [];
  const stop = async (): Promise<void> => {
    for (const one of loads) one.stop();
    await Promise.all([...nodes, ...stores].map((one) => one.stop()));
  };
  try {
    await Promise.all([isUp(all), isUp(kvPlaces)]);
    const [byRpc, kvstore] = [await createConsensusLoad(all), await createConsensusLoad(kvPlaces)];
    loads.push(byRpc, kvstore);
    const sign = signing(cometNetwork(validators).genesis);
    const [sample] = sign(1, 1);
    const [first] = nodes;
    if (sample === undefined || first === undefined) throw new Error('nothing to measure');
    await first.load([sample], 1);
    const subjects: readonly Subject[] = [
      { name: 'sahara', validators, sign, load: (messages, inFlight) => first.load(messages, inFlight) },
      { name: 'saharaByRpc', validators, sign, load: byRpc.load },
      { name: 'kvstore', validators, sign: pairing(sample.length), load: kvstore.load },
    ];
    return { subjects, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function say(validators: number, name: string, { perSecond, finalMs, oneAtATimeMs }: Figures): void {
  const final = `${finalMs.median} ms (p95 ${finalMs.p95}) under it`;
  const alone = `${oneAtATimeMs.median} ms (p95 ${oneAtATimeMs.p95}) one at a time`;
  console.log(`${validators} validators, ${name}: ${perSecond}/s, final after ${final}, ${alone}`);
}

async function compare(program: string, folder: string, validators: number): Promise<object> {
  const place = { engine: 'embedded', number: 0, validators: 1, all: [], accounts: 0 } as const;
  const embedded = await startNode({ ...place, snapshotEveryBlocks: 0, folder: join(folder, 'embedded') });
  const others = await open(program, folder, validators);
  try {
    const sign = signing(embeddedGenesis);
    const load: Subject['load'] = (messages, inFlight) => embedded.load(messages, inFlight);
    const tallies = [{ name: 'embedded', validators, sign, load } as const, ...others.subjects].map(
      (subject) => new Tally(subject),
    );
    for (const tally of tallies) await tally.alone();
    for (let left = tallies; left.length > 0; left = left.filter(({ isDone }) => !isDone))
      for (const tally of left) await tally.round();
    const figures = Object.fromEntries(
      tallies.map((one) => [one.subject.name, one.figures()] as const),
    ) as Readonly<Record<Measured, Figures>>;
    for (const [name, one] of Object.entries(figures)) say(validators, name, one);
    const { embedded: own, sahara, saharaByRpc, kvstore } = figures;
    return {
      ...figures,
      ratios: {
        perSecondToEmbedded: round(sahara.perSecond / own.perSecond, 3),
        perSecondToKvstore: round(sahara.perSecond / kvstore.perSecond, 3),
        perSecondByRpcToKvstore: round(saharaByRpc.perSecond / kvstore.perSecond, 3),
        finalToKvstore: round(sahara.oneAtATimeMs.median / kvstore.oneAtATimeMs.median, 3),
      },
    };
  } finally {
    await others.stop();
    await embedded.stop();
  }
}

async function stateSync(folder: string): Promise<StateSyncFigures | undefined> {
  if (accounts === 0) return undefined;
  const sign = signing(cometNetwork(1).genesis);
  return measureStateSync(folder, accounts, () => sign(1, 1)[0] ?? new Uint8Array(0));
}

/** The program: as the environment names it, on the path, or where `scripts/install-cometbft` puts it. */
async function found(): Promise<string | undefined> {
  const installed = fileURLToPath(
    new URL(`../.cache/cometbft/${COMET_VERSIONS[0]}/cometbft`, import.meta.url),
  );
  const named = (process.env.COMETBFT_BIN ?? '') !== '';
  try {
    return await findComet(process.env).catch((error) => {
      if (named) throw error;
      return findComet({ COMETBFT_BIN: installed });
    });
  } catch {
    const where = named ? `not at ${process.env.COMETBFT_BIN} (COMETBFT_BIN)` : 'not installed';
    console.error(`\nNOTHING WAS MEASURED: CometBFT is ${where}. Install it with Go: ${COMET_INSTALL}\n`);
    process.exitCode = 3;
    return undefined;
  }
}

const program = await found();
if (program !== undefined) {
  // The nodes find it there.
  process.env.COMETBFT_BIN = program;
  const folder = await mkdtemp(join(tmpdir(), 'sahara-bench-cometbft-'));
  try {
    const measured: [string, object][] = [];
    for (const size of sizes)
      measured.push([`validators${size}`, await compare(program, join(folder, `${size}`), size)]);
    const joined = await stateSync(join(folder, 'sync'));
    if (joined !== undefined)
      console.log(
        `state sync of ${joined.accounts} accounts: ${joined.syncMs} ms, of which CometBFT looks for snapshots ${joined.discoveryMs}; ${joined.receivedBytes} bytes`,
      );
    console.log(JSON.stringify({ bench: 'cometbft', ...Object.fromEntries(measured), stateSync: joined }));
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
