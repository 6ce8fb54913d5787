/**
 * A vault with many passages: how fast it takes them, what it needs in memory and on disk, and how it opens, finds,
 * verifies and forgets: at once a document's key and passages, later its words in the index (`eraseWordsMs`). Of memory, what
 * is mapped from files is told apart where the system does: it goes when the system needs the room. `node bench/vault.ts --chunks 1000000` writes them into a new folder (`--folder DIR` to choose,
 * kept with `--keep`). The same passages into an unsealed vault, first, give the ratio that sealing costs; with fewer of
 * them (`--plain-share 0.1`) that ratio counts merges of the index too, of which a larger one has more; with none of them
 * (`0`) there is none. With `--most 700` it fails, at the end, if it ever took more memory than so many MiB, all counted.
 * The last line is one JSON line.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/base/clock.ts';
import { openLevelStore } from '../src/base/level-store.ts';
import { BATCH_CHUNKS_MAX, VAULT_FILES_MAX } from '../src/vault/limits.ts';
import { vaultKeys } from '../src/vault/sealed/key-tree.ts';
import type { PreparedDocument } from '../src/vault/transaction.ts';
import { openVault, type Vault } from '../src/vault/vault.ts';

const { values } = parseArgs({
  options: {
    chunks: { type: 'string', default: '100000' },
    folder: { type: 'string' },
    keep: { type: 'boolean', default: false },
    'plain-share': { type: 'string', default: '1' },
    most: { type: 'string' },
  },
});
const chunksWanted = Number(values.chunks);
const DOCUMENT_CHUNKS = 200;
const WORDS = 60;
const VOCABULARY = 60_000;
const provenance = { contributor: new Uint8Array(32).fill(1), contribution: undefined, licence: '' };
const keys = vaultKeys(new Uint8Array(32).fill(9));
/** As the daemon opens its vaults. */
const FILES = { openFilesMax: VAULT_FILES_MAX };

/** A word by its rank: rare ranks by far more often, as in a language. */
function wordOf(draw: number): string {
  const rank = Math.floor(VOCABULARY ** draw);
  return `w${rank.toString(36)}${'aeiou'[rank % 5]}n`;
}

let state = 1;
function draw(): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32;
}

function passages(first: number): { title: string; text: string; start: number; end: number }[] {
  return Array.from({ length: DOCUMENT_CHUNKS }, (_, i) => {
    const words = Array.from({ length: WORDS }, () => wordOf(draw()));
    const text = `Passage ${first + i}: ${words.join(' ')}.`;
    return { title: `Section ${i % 10}`, text, start: 0, end: text.length };
  });
}

const rss = (): number => Math.round(process.memoryUsage().rss / 1_048_576);
let rssMost = 0;
let ownMost = 0;
/** Memory after each step of 100,000 passages, or of a tenth of fewer, MiB. */
let rssSteps: number[] = [];

/** Notes the greatest memory so far: all of it, and without what is mapped from files. */
function look(): void {
  rssMost = Math.max(rssMost, rss());
  if (process.platform !== 'linux') return;
  const own = /RssAnon:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  ownMost = Math.max(ownMost, Math.round(Number(own) / 1024));
}

async function fill(vault: Vault, count: number): Promise<{ cpuSeconds: number; textBytes: number }> {
  const began = process.cpuUsage();
  let textBytes = 0;
  let told = 0;
  let batch: PreparedDocument[] = [];
  for (let at = 0; at < count; at += DOCUMENT_CHUNKS) {
    const chunks = passages(at);
    const bytes = chunks.reduce((sum, { text }) => sum + text.length, 0);
    textBytes += bytes;
    const contentHash = new Uint8Array(32);
    new DataView(contentHash.buffer).setUint32(0, at);
    const extracted = { mediaType: 'text/plain', chunks };
    const sizes = { sizeBytes: bytes, textBytes: bytes };
    batch.push({ name: `d${at}`, contentHash, ...sizes, provenance, consent: '', extracted });
    // As the import of a folder does.
    if (batch.length * DOCUMENT_CHUNKS < BATCH_CHUNKS_MAX && at + DOCUMENT_CHUNKS < count) continue;
    await vault.keep(batch);
    batch = [];
    look();
    if (at - told >= Math.min(100_000, count / 10)) {
      told = at;
      rssSteps.push(rss());
      process.stderr.write(`${at} passages, ${rss()} MiB, at most ${rssMost}, ${ownMost} of it its own\n`);
    }
  }
  const { user, system } = process.cpuUsage(began);
  return { cpuSeconds: (user + system) / 1e6, textBytes };
}

async function sizeOf(folder: string): Promise<number> {
  const files = await readdir(folder);
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(folder, file))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function timed<T>(work: () => Promise<T>): Promise<readonly [value: T, ms: number]> {
  const began = performance.now();
  const value = await work();
  return [value, Math.round((performance.now() - began) * 100) / 100];
}

const root = values.folder ?? (await mkdtemp(join(tmpdir(), 'sahara-bench-vault-')));
try {
  const plainCount = Math.round(chunksWanted * Number(values['plain-share']));
  const plainStore = await openLevelStore(join(root, 'plain'), FILES);
  const plain = await openVault({ store: plainStore, clock: systemClock });
  const unsealed = await fill(plain, plainCount);
  await plain.close();
  await plainStore.close();

  state = 1;
  const path = join(root, 'sealed');
  rssSteps = [];
  let store = await openLevelStore(path, FILES);
  let vault = await openVault({ store, clock: systemClock }, { keys });
  const filled = await fill(vault, chunksWanted);
  await vault.close();
  await store.close();
  const sizeBytes = await sizeOf(path);
  store = await openLevelStore(path, FILES);
  const [opened, openMs] = await timed(() => openVault({ store, clock: systemClock }, { keys }));
  vault = opened;
  const queries: number[] = [];
  for (let n = 0; n < 50; n++) {
    const question = Array.from({ length: 5 }, () => wordOf(0.3 + 0.7 * draw())).join(' ');
    const [, ms] = await timed(() => vault.search({ question, limit: 10 }));
    queries.push(ms);
  }
  queries.sort((a, b) => a - b);
  const [, commitMs] = await timed(() => vault.commitment());
  look();
  const [, forgetMs] = await timed(() => vault.forget('d0'));
  const [, eraseWordsMs] = await timed(() => vault.eraseWords());
  look();
  await vault.close();
  await store.close();
  const perChunk = ({ cpuSeconds }: { cpuSeconds: number }, count: number): number =>
    Math.round((cpuSeconds / count) * 1e7) / 10;
  const report = {
    bench: 'vault',
    chunks: chunksWanted,
    cpuMicrosecondsPerChunk: perChunk(filled, chunksWanted),
    chunksPerCpuSecond: Math.round(chunksWanted / filled.cpuSeconds),
    ...(plainCount > 0 && {
      sealedToPlain:
        Math.round((perChunk(filled, chunksWanted) / perChunk(unsealed, plainCount)) * 100) / 100,
    }),
    diskToText: Math.round((sizeBytes / filled.textBytes) * 100) / 100,
    rssMostMiB: rssMost,
    rssStepsMiB: rssSteps,
    ...(ownMost > 0 && { ownMostMiB: ownMost }),
    openMs,
    queryMedianMs: queries[25],
    queryP95Ms: queries[47],
    commitMs,
    forgetMs,
    eraseWordsMs,
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  if (rssMost > Number(values.most ?? Number.POSITIVE_INFINITY)) {
    process.stderr.write(`${rssMost} MiB are more than the ${values.most} that were allowed\n`);
    process.exitCode = 1;
  }
} finally {
  if (!values.keep) await rm(root, { recursive: true, force: true });
}
