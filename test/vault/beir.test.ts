/** The loader of collections in the form of BEIR and the measures over them, on a folder made of the judged set. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { miniSearchEngine, saharaEngine } from '../../bench/retrieval/engines.ts';
import { judgedCollection, qualityOf, readBeir } from '../../bench/retrieval/quality.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sahara-beir-'));
});
afterAll(() => rm(folder, { recursive: true }));

const lines = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

async function write(
  name: string,
  parts: {
    readonly corpus: readonly object[];
    readonly queries: readonly object[];
    readonly qrels: readonly string[];
  },
): Promise<string> {
  const path = join(folder, name);
  await mkdir(join(path, 'qrels'), { recursive: true });
  await writeFile(join(path, 'corpus.jsonl'), lines(parts.corpus));
  await writeFile(join(path, 'queries.jsonl'), lines(parts.queries));
  await writeFile(
    join(path, 'qrels', 'test.tsv'),
    ['query-id\tcorpus-id\tscore', ...parts.qrels, ''].join('\n'),
  );
  return path;
}

describe('a folder in the form of BEIR', () => {
  test('is read, and measured as it is by hand', async () => {
    const path = await write('small', {
      corpus: ['a', 'b', 'c', 'd'].map((_id) => ({ _id, title: '', text: `About ${_id}.` })),
      queries: [
        { _id: 'q1', text: 'first' },
        { _id: 'q2', text: 'second' },
        { _id: 'b', text: 'About b.' },
        { _id: 'q4', text: 'nobody judged it' },
      ],
      qrels: ['q1\ta\t2', 'q1\tb\t1', 'q1\tc\t0', 'q2\td\t1', 'b\tc\t1', 'q5\td\t0'],
    });
    const collection = await readBeir(path);
    expect(collection.passages.map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd']);
    expect(collection.questions.map(({ text, grades }) => [text, [...grades]])).toEqual([
      [
        'first',
        [
          ['a', 2],
          ['b', 1],
        ],
      ],
      ['second', [['d', 1]]],
      ['About b.', [['c', 1]]],
    ]);
    const rankings: Record<string, readonly string[]> = {
      first: ['b', 'c', 'a'],
      second: ['a', 'b'],
      'About b.': ['b', 'c'],
    };
    const search = async (question: string): Promise<readonly string[]> => rankings[question] ?? [];
    const quality = await qualityOf({ search }, collection);
    // first: (1/1 + 2/2) of (2/1 + 1/log2 3) = 2 / 2.6309; second: 0; the third leaves its own passage out: 1.
    expect(quality.ndcgAt10).toBeCloseTo((2 / (2 + 1 / 1.584962500721156) + 0 + 1) / 3, 12);
    expect(quality.ndcgAt10).toBeCloseTo(0.586729, 6);
    expect(quality.recallAt20).toBeCloseTo((1 + 0 + 1) / 3, 12);
  });

  test.each(['judged', 'judged-held', 'judged-fresh'] as const)(
    'of the set %s gives what the set itself gives, at least nine tenths, and no less than a hundredth below a plain BM25',
    async (name) => {
      const set = await judgedCollection(name);
      const path = await write(name, {
        corpus: set.passages.map(({ id, title, text }) => ({ _id: id, title, text })),
        queries: set.questions.map(({ text }, i) => ({ _id: `q${i}`, text })),
        qrels: set.questions.flatMap(({ grades }, i) =>
          [...grades].map(([id, grade]) => `q${i}\t${id}\t${grade}`),
        ),
      });
      const collection = await readBeir(path);
      expect(collection.questions).toHaveLength(set.questions.length);
      const ours = await saharaEngine(join(folder, `${name}-index`), collection.passages);
      const plain = miniSearchEngine(collection.passages);
      try {
        const quality = await qualityOf(ours, collection);
        expect(quality).toEqual(await qualityOf(ours, set));
        expect(quality.ndcgAt10).toBeGreaterThanOrEqual(0.9);
        expect(quality.recallAt20).toBeGreaterThanOrEqual(0.95);
        const { ndcgAt10 } = await qualityOf(plain, collection);
        expect(quality.ndcgAt10).toBeGreaterThanOrEqual(ndcgAt10 - 0.01);
      } finally {
        await ours.close();
        await plain.close();
      }
    },
  );
});
