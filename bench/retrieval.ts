/**
 * Retrieval against MiniSearch and SQLite's FTS5 in the same run: time of a question, of opening, of import, size of
 * the index, and how good the ranking is on a judged set. Ours is sealed on disk; theirs are not.
 *
 * `node bench/retrieval.ts [--passages 10000] [--questions 200] [--seed 1] [--beir FOLDER]`
 *
 * The last line is JSON with the ratios.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Engine, miniSearchEngine, saharaEngine, sqliteEngine } from './retrieval/engines.ts';
import { type Collection, judgedCollection, qualityOf, readBeir } from './retrieval/quality.ts';
import { zipfPassages, zipfQuestions } from './retrieval/zipf.ts';

const { values } = parseArgs({
  options: {
    passages: { type: 'string', default: '10000' },
    questions: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    beir: { type: 'string' },
  },
});
const count = Number(values.passages);
const LIMIT = 8;

interface Timing {
  readonly engine: Engine;
  readonly passagesPerSecond: number;
  readonly medianMs: number;
  /** Processor time of a question, mean: what a busy machine does not stretch. */
  readonly cpuMs: number;
  readonly p95Ms: number;
  readonly openMs: number;
  readonly indexBytes: number;
}

async function timed(build: () => Engine | Promise<Engine>, questions: readonly string[]): Promise<Timing> {
  const before = process.cpuUsage();
  const engine = await build();
  const { user, system } = process.cpuUsage(before);
  const openMs = await engine.openMs();
  const times: number[] = [];
  // The first round fills caches; what is reported is the second.
  for (const question of questions) await engine.search(question, LIMIT);
  const used = process.cpuUsage();
  for (const question of questions) {
    const start = performance.now();
    await engine.search(question, LIMIT);
    times.push(performance.now() - start);
  }
  const spent = process.cpuUsage(used);
  times.sort((a, b) => a - b);
  const at = (part: number): number => times[Math.floor(part * (times.length - 1))] ?? 0;
  return {
    engine,
    passagesPerSecond: Math.round((count * 1_000_000) / (user + system)),
    medianMs: at(0.5),
    cpuMs: (spent.user + spent.system) / 1000 / questions.length,
    p95Ms: at(0.95),
    openMs,
    indexBytes: await engine.indexBytes(),
  };
}

async function ranked(name: string, collection: Collection, folder: string): Promise<void> {
  const builders = [
    () => saharaEngine(join(folder, name), collection.passages),
    () => miniSearchEngine(collection.passages),
  ];
  for (const build of builders) {
    const engine = await build();
    const quality = await qualityOf(engine, collection);
    console.log(
      `${name.padEnd(8)} ${engine.name.padEnd(11)} nDCG@10 ${quality.ndcgAt10.toFixed(3)}  recall@20 ${quality.recallAt20.toFixed(3)}`,
    );
    results[`${name}_${engine.name}_ndcg10`] = +quality.ndcgAt10.toFixed(4);
    results[`${name}_${engine.name}_recall20`] = +quality.recallAt20.toFixed(4);
    await engine.close();
  }
}

const results: Record<string, number> = {};
const folder = await mkdtemp(join(tmpdir(), 'sahara-retrieval-'));
try {
  const passages = zipfPassages(count, Number(values.seed));
  const questions = zipfQuestions(passages, Number(values.questions), Number(values.seed));
  const textBytes = passages.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  const builders = [
    () => saharaEngine(folder, passages),
    () => miniSearchEngine(passages),
    () => sqliteEngine(folder, passages),
  ];
  const timings: Timing[] = [];
  for (const build of builders) {
    const timing = await timed(build, questions);
    timings.push(timing);
    const { engine, medianMs, cpuMs, p95Ms, openMs, indexBytes, passagesPerSecond } = timing;
    console.log(
      `${engine.name.padEnd(11)} median ${medianMs.toFixed(2)} ms, p95 ${p95Ms.toFixed(2)} ms, processor ${cpuMs.toFixed(2)} ms, open ${openMs.toFixed(0)} ms, index ${((100 * indexBytes) / textBytes).toFixed(1)} % of the text, ${passagesPerSecond} passages per second of processor time`,
    );
    await engine.close();
  }
  await ranked('judged', await judgedCollection(), folder);
  await ranked('held', await judgedCollection('judged-held'), folder);
  await ranked('fresh', await judgedCollection('judged-fresh'), folder);
  if (values.beir !== undefined) await ranked('beir', await readBeir(values.beir), folder);
  const [ours, mini, fts] = timings;
  if (ours === undefined || mini === undefined || fts === undefined) throw new Error('three engines ran');
  console.log(
    JSON.stringify({
      bench: 'retrieval',
      passages: count,
      median_ms: +ours.medianMs.toFixed(3),
      p95_ms: +ours.p95Ms.toFixed(3),
      cpu_ms: +ours.cpuMs.toFixed(3),
      open_ms: +ours.openMs.toFixed(0),
      index_to_text: +(ours.indexBytes / textBytes).toFixed(3),
      import_passages_per_cpu_second: ours.passagesPerSecond,
      median_minisearch_to_ours: +(mini.medianMs / ours.medianMs).toFixed(1),
      median_fts5_to_ours: +(fts.medianMs / ours.medianMs).toFixed(1),
      cpu_minisearch_to_ours: +(mini.cpuMs / ours.cpuMs).toFixed(1),
      cpu_fts5_to_ours: +(fts.cpuMs / ours.cpuMs).toFixed(1),
      import_ours_to_minisearch: +(ours.passagesPerSecond / mini.passagesPerSecond).toFixed(2),
      ...results,
    }),
  );
} finally {
  await rm(folder, { recursive: true });
}
