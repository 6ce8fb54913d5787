/**
 * What the ledger's state costs: bytes per account on disk, memory, the size of proofs and the time to verify one
 * against the time that the raw hashes of its path take, a light client's disk and memory against a whole ledger's, a snapshot, its restore and a replay of what was restored, each
 * with the most memory that its process held. Accounts come in blocks of 2,000
 * through the same commit that real blocks take, without signatures, which `bench/ledger.ts` measures.
 * Run: `node bench/state.ts [--accounts 20000]`. The last line is one line of JSON.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { u64be, utf8 } from '../src/base/bytes.ts';
import { systemClock } from '../src/base/clock.ts';
import { openLevelStore } from '../src/base/level-store.ts';
import { silentLog } from '../src/base/log.ts';
import { type Chain, openChain } from '../src/ledger/chain.ts';
import { createGenesis, networkNameOf } from '../src/ledger/genesis.ts';
import { createLightAnswers, type LightAnswers, serveLight } from '../src/ledger/light/answers.ts';
import { createLightLedger } from '../src/ledger/light/ledger.ts';
import { ACCOUNTS, stateKey } from '../src/ledger/records.ts';
import { createSignatureBook } from '../src/ledger/signatures.ts';
import { createSnapshot } from '../src/ledger/snapshot.ts';
import { snapshotManifest } from '../src/ledger/snapshot-form.ts';
import { restoreSnapshot } from '../src/ledger/snapshot-restore.ts';
import { State } from '../src/ledger/state.ts';
import type { LedgerMesh } from '../src/ledger/sync.ts';
import { verifyChain } from '../src/ledger/verify.ts';
import { block, blockHeader, headerHash } from '../src/protocol/block.ts';
import { PROTOCOL_VERSION } from '../src/protocol/ids.ts';
import { merkleRoot } from '../src/protocol/merkle.ts';
import { signOne } from '../src/protocol/signing.ts';
import { type StateProof, stateProof, verifyStateProof } from '../src/protocol/state-proof.ts';
import { createSigner, nativeSuite as suite } from '../src/protocol/suite-native.ts';

const PER_BLOCK = 2_000;
const PROOFS = 2_000;
const text = { type: 'string' } as const;
const { values } = parseArgs({
  options: { accounts: { ...text, default: '20000' }, phase: text, folder: text },
});
const accounts = Number(values.accounts);
if (!Number.isSafeInteger(accounts) || accounts < PER_BLOCK)
  throw new RangeError(`--accounts takes a number from ${PER_BLOCK} upwards`);

const sequencer = createSigner(suite.sha256(utf8('bench sequencer')));
const rich = suite.sha256(utf8('bench rich'));
const genesis = createGenesis(
  { sequencer: sequencer.publicKey, createdAtMs: 1_760_000_000_000 },
  { accounts: [{ owner: rich, balance: 10n ** 17n }], faucet: undefined },
);
const network = networkNameOf(suite, genesis);
const keyOf = (i: number): Uint8Array => suite.sha256(utf8('bench account'), u64be(BigInt(i)));
const mib = (bytes: number): number => Math.round((bytes / 1_048_576) * 10) / 10;

async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder)) bytes += (await stat(join(folder, name))).size;
  return bytes;
}

const heapBytes = (): number => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

/** One peer that answers light clients, without a network; tells how many bytes it answered. */
function inProcess(
  answers: LightAnswers,
  told: (bytes: number) => void,
): Pick<LedgerMesh, 'peers' | 'request'> {
  type Served = Parameters<LedgerMesh['serve']>[1];
  const served = new Map<string, Served>();
  serveLight(
    {
      serve(protocol, handler) {
        served.set(protocol, handler);
        return () => {};
      },
    },
    answers,
  );
  return {
    peers: () => [{ peerId: 'full' }],
    async request(_peer, protocol, body) {
      const answer = await served.get(protocol)?.handle(body, 'light', new AbortController().signal);
      if (answer === undefined) throw new Error(`${protocol} is not served`);
      told(answer.length);
      return answer;
    },
  };
}

/** Commits a block that funds the accounts from `from` on. */
async function fund(chain: Chain, from: number): Promise<void> {
  const state = new State(chain.readState);
  const count = Math.min(PER_BLOCK, accounts - from);
  for (let i = from; i < from + count; i++)
    state.accounts.set(keyOf(i), { balance: 1_000_000n, nonce: 1, drawn: 0n });
  const account = state.accounts.get(rich);
  if (account === undefined) throw new Error('the rich account is missing');
  state.accounts.set(rich, { ...account, balance: account.balance - 1_000_000n * BigInt(count) });
  const changes = state.changes();
  const update = chain.tree.update(changes);
  const head = chain.head();
  const empty = merkleRoot(suite, []);
  const header = {
    version: PROTOCOL_VERSION,
    network,
    height: head.height + 1,
    previous: head.headerHash,
    transactionsRoot: empty,
    resultsRoot: empty,
    stateRoot: update.root,
    proposer: sequencer.publicKey,
    timeMs: head.timeMs + 1,
  };
  const payload = blockHeader.encode(header);
  const message = signOne(suite, sequencer, network, { type: 'block-header', payload });
  const wire = block.encode({ header: message, transactions: [] });
  const hash = headerHash(suite, payload);
  await chain.commit({
    header,
    headerHash: hash,
    wire,
    transactions: [],
    results: [],
    state,
    changes,
    update,
  });
}

interface Sample {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
  readonly proof: StateProof;
}

function sampleProofs(chain: Chain): { readonly samples: readonly Sample[]; readonly perProofUs: number } {
  const samples: Sample[] = [];
  const startMs = performance.now();
  for (let i = 0; i < PROOFS; i++) {
    // Every tenth asks for an account that is not there.
    const at = (i * 7_919) % accounts;
    const key = stateKey(ACCOUNTS, i % 10 === 0 ? keyOf(accounts + i) : keyOf(at));
    samples.push({ key, value: chain.readState(key), proof: chain.tree.prove(key) });
  }
  return { samples, perProofUs: ((performance.now() - startMs) * 1000) / PROOFS };
}

function verifyUs(
  root: Uint8Array,
  samples: readonly Sample[],
): { readonly oursUs: number; readonly rawUs: number } {
  let oursMs = 0;
  let rawMs = 0;
  const pair = [new Uint8Array(16), new Uint8Array(32), new Uint8Array(32)] as const;
  // The first round warms up and does not count.
  for (let round = 0; round < 5; round++) {
    const startMs = performance.now();
    for (const { key, value, proof } of samples) {
      if (!verifyStateProof(suite, root, { key, value }, proof)) throw new Error('a proof does not hold');
    }
    const middleMs = performance.now();
    for (const { proof } of samples)
      for (let i = proof.siblings.length + 3; i > 0; i--) suite.sha256(...pair);
    if (round > 0) oursMs += middleMs - startMs;
    if (round > 0) rawMs += performance.now() - middleMs;
  }
  const per = 1000 / (4 * samples.length);
  return { oursUs: oursMs * per, rawUs: rawMs * per };
}

/** Opens the ledger that the first phase made. */
async function opened(work: (chain: Chain) => Promise<Facts>): Promise<Facts> {
  const store = await openLevelStore(join(folder, 'store'));
  const facts = await work(await openChain({ suite, store }, genesis));
  await store.close();
  return facts;
}

type Facts = Readonly<Record<string, number>>;

/** What is measured, each in a process of its own, so that each has its own memory. */
const PHASES: Readonly<Record<string, () => Promise<Facts>>> = {
  async idle() {
    return {};
  },
  fund: () =>
    opened(async (chain) => {
      const startMs = performance.now();
      for (let from = 0; from < accounts; from += PER_BLOCK) await fund(chain, from);
      return { accountsPerSecond: Math.round((accounts * 1000) / (performance.now() - startMs)) };
    }),
  proofs: () =>
    opened(async (chain) => {
      const { samples, perProofUs } = sampleProofs(chain);
      const { oursUs, rawUs } = verifyUs(chain.head().stateRoot, samples);
      const sizes = samples.map(({ proof }) => stateProof.encode(proof).length).sort((a, b) => a - b);
      return {
        proofBytesMedian: sizes[sizes.length >> 1] ?? 0,
        proofBytesMax: sizes.at(-1) ?? 0,
        proveUs: Math.round(perProofUs),
        verifyUs: Math.round(oursUs * 10) / 10,
        rawHashesUs: Math.round(rawUs * 10) / 10,
        verifyOverRaw: Math.round((oursUs / rawUs) * 100) / 100,
      };
    }),
  snapshot: () =>
    opened(async (chain) => {
      const startMs = performance.now();
      let bytes = 0;
      const manifest = await createSnapshot({ suite, genesis, chain }, async (index, chunk) => {
        bytes += chunk.length;
        await writeFile(join(folder, `chunk-${index}`), chunk);
      });
      await writeFile(join(folder, 'manifest'), snapshotManifest.encode(manifest));
      return { snapshotMiB: mib(bytes), snapshotMs: Math.round(performance.now() - startMs) };
    }),
  async restore() {
    const startMs = performance.now();
    const store = await openLevelStore(join(folder, 'second'));
    const read = async (name: string): Promise<Uint8Array> =>
      new Uint8Array(await readFile(join(folder, name)));
    const source = { manifest: await read('manifest'), chunk: (i: number) => read(`chunk-${i}`) };
    await restoreSnapshot({ suite, store, genesis }, source);
    await store.close();
    const restoreMs = Math.round(performance.now() - startMs);
    return { restoreMs, diskBytesPerAccount: Math.round((await sizeOf(join(folder, 'second'))) / accounts) };
  },
  async light() {
    const full = await openLevelStore(join(folder, 'store'));
    const chain = await openChain({ suite, store: full }, genesis);
    const signatures = createSignatureBook(suite, network);
    const parts = { suite, network, genesis, chain, signatures, recall: () => undefined };
    let askedBytes = 0;
    const mesh = inProcess(
      createLightAnswers(parts, (job) => job()),
      (bytes) => {
        askedBytes += bytes;
      },
    );
    const store = await openLevelStore(join(folder, 'light'));
    const before = heapBytes();
    const quiet = { publishTransaction: () => {}, onBlock: () => () => {}, onPeer: () => () => {} };
    const light = await createLightLedger(
      { suite, store, clock: systemClock, log: silentLog, owner: keyOf(0), mesh, network: quiet },
      genesis,
    );
    const { height } = await light.current();
    if (height !== chain.head().height || light.account(keyOf(0)).balance === 0n)
      throw new Error('the light ledger did not prove its account');
    const lightHeapKiB = Math.round((heapBytes() - before) / 1024);
    await light.stop();
    await store.close();
    await full.close();
    return {
      ...{ lightHeapKiB, lightAskedKiB: Math.round(askedBytes / 1024) },
      lightDiskKiB: Math.round((await sizeOf(join(folder, 'light'))) / 1024),
      fullDiskKiB: Math.round((await sizeOf(join(folder, 'store'))) / 1024),
    };
  },
  async replay() {
    const startMs = performance.now();
    const store = await openLevelStore(join(folder, 'second'));
    const scratch = await openLevelStore(join(folder, 'scratch'));
    const chain = await openChain({ suite, store }, genesis);
    const signatures = createSignatureBook(suite, network);
    const parts = { suite, network, genesis, chain, signatures, recall: () => undefined };
    const { faults, height } = await verifyChain(parts, { scratch });
    if (faults.length > 0 || height === 0) throw new Error(faults.join('; '));
    await scratch.close();
    await store.close();
    return { replayMs: Math.round(performance.now() - startMs) };
  },
};

/** Runs one phase in a process of its own; answers what it measured and the most memory that it held. */
function phase(name: string): Facts {
  const args = [
    fileURLToPath(import.meta.url),
    '--accounts',
    String(accounts),
    '--phase',
    name,
    '--folder',
    folder,
  ];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${name}: ${stderr}`);
  const facts: Facts = JSON.parse(stdout);
  process.stderr.write(`${name}: ${stdout}`);
  return facts;
}

const folder = values.folder ?? (await mkdtemp(join(tmpdir(), 'sahara-bench-state-')));
if (values.phase !== undefined) {
  const facts = await PHASES[values.phase]?.();
  const { maxRSS } = process.resourceUsage();
  const { heapUsed, external } = process.memoryUsage();
  const memory = {
    [`${values.phase}PeakMiB`]: Math.round(maxRSS / 1024),
    [`${values.phase}HeapMiB`]: mib(heapUsed + external),
  };
  process.stdout.write(`${JSON.stringify({ ...facts, ...memory })}\n`);
} else {
  try {
    const facts = Object.keys(PHASES).map(phase);
    process.stdout.write(`${JSON.stringify(Object.assign({ bench: 'state', accounts }, ...facts))}\n`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
