/** How good a ranking is, and collections that say which passages are right: the judged set here, BEIR folders. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Engine } from './engines.ts';
import type { BenchPassage } from './zipf.ts';

/** Passages, questions, and for each question how well passages answer it. */
export interface Collection {
  readonly passages: readonly BenchPassage[];
  readonly questions: readonly {
    readonly text: string;
    readonly grades: ReadonlyMap<string, number>;
    /** The passage that is the question itself, where there is one: it does not count as found. */
    readonly self?: string;
  }[];
}

const NDCG_AT = 10;
const RECALL_AT = 20;

/**
 * Means over the questions, as trec_eval takes them, by which published figures of BEIR are: nDCG with the grades
 * themselves as gains, discounted by log2(rank + 1); the share of all relevant passages among the first 20.
 */
export async function qualityOf(
  engine: Pick<Engine, 'search'>,
  { questions }: Pick<Collection, 'questions'>,
): Promise<{ readonly ndcgAt10: number; readonly recallAt20: number }> {
  let [ndcg, recall] = [0, 0];
  for (const { text, grades, self } of questions) {
    const all = await engine.search(text, RECALL_AT + 1);
    const found = all.filter((id) => id !== self).slice(0, RECALL_AT);
    const gain = (grade: number, rank: number): number => grade / Math.log2(rank + 2);
    const got = found.slice(0, NDCG_AT).reduce((sum, id, rank) => sum + gain(grades.get(id) ?? 0, rank), 0);
    const ideal = [...grades.values()].sort((a, b) => b - a).slice(0, NDCG_AT);
    ndcg += got / ideal.reduce((sum, grade, rank) => sum + gain(grade, rank), 0);
    recall += found.filter((id) => (grades.get(id) ?? 0) > 0).length / grades.size;
  }
  return { ndcgAt10: ndcg / questions.length, recallAt20: recall / questions.length };
}

/** A judged set of this repository (`judged.json` where nothing is said): its questions that passages answer. */
export async function judgedCollection(name: JudgedName = 'judged'): Promise<Collection> {
  const { passages, questions } = await readJudged(name);
  return {
    passages,
    questions: questions
      .filter(({ answers }) => answers.length > 0)
      .map(({ question, answers }) => ({
        text: question,
        // The first answers the question, others touch it.
        grades: new Map(answers.map((id, i) => [id, i === 0 ? 2 : 1])),
      })),
  };
}

/** The judged set as it is written. */
export interface Judged {
  readonly passages: readonly BenchPassage[];
  readonly questions: readonly {
    readonly question: string;
    /** Passages that answer it, the best first; none: nothing here answers it. */
    readonly answers: readonly string[];
    /** The half that no rule before `extractive/6` was tuned on; in the third held set, all. */
    readonly held: boolean;
  }[];
}

/**
 * The judged sets: the first one, a further one, a second one that was held until `extractive/6`, one in Chinese and Japanese,
 * one in eight languages, one in ten that was held until then too, and a third held one that was written before its rules
 * and that none was tuned on.
 */
export type JudgedName =
  | 'judged'
  | 'judged-tuned'
  | 'judged-held'
  | 'judged-east-asian'
  | 'judged-languages'
  | 'judged-fresh'
  | 'judged-held-3';

/** Reads a judged set. */
export async function readJudged(name: JudgedName = 'judged'): Promise<Judged> {
  return JSON.parse(await readFile(join(import.meta.dirname, `${name}.json`), 'utf8'));
}

/**
 * A collection in the form of BEIR: `corpus.jsonl` and `queries.jsonl` (a JSON object on each line with `_id` and `text`,
 * passages with `title`), `qrels/test.tsv` (a line of names, then question, passage and grade divided by tabs). Questions
 * of which nothing is relevant are left out.
 */
export async function readBeir(folder: string): Promise<Collection> {
  const lines = async (name: string): Promise<string[]> =>
    (await readFile(join(folder, name), 'utf8')).split('\n').filter((line) => line.trim() !== '');
  const passages = (await lines('corpus.jsonl')).map((line): BenchPassage => {
    const { _id: id, title = '', text } = JSON.parse(line);
    return { id: String(id), title: String(title), text: String(text) };
  });
  const texts = new Map<string, string>();
  for (const line of await lines('queries.jsonl')) {
    const { _id: id, text } = JSON.parse(line);
    texts.set(String(id), String(text));
  }
  const judged = new Map<string, Map<string, number>>();
  for (const line of (await lines('qrels/test.tsv')).slice(1)) {
    const [question = '', passage = '', grade = '0'] = line.split('\t');
    const grades = judged.get(question) ?? new Map<string, number>();
    if (Number(grade) > 0) grades.set(passage, Number(grade));
    judged.set(question, grades);
  }
  const questions = [...judged]
    .filter(([, grades]) => grades.size > 0)
    .map(([id, grades]) => ({ text: texts.get(id) ?? '', grades, self: id }));
  return { passages, questions };
}
