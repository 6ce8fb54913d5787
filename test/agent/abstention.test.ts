/** What the extractive backend answers and refuses, against the judged set, whose second half no rule was tuned on. */
import { beforeAll, describe, expect, test } from 'vitest';
import { type Judged, readJudged } from '../../bench/retrieval/quality.ts';
import { PASSAGES_GIVEN } from '../../src/agent/answerer.ts';
import { requestParts } from '../../src/agent/backends/backend.ts';
import { createExtractiveBackend } from '../../src/agent/backends/extractive.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { addText } from '../vault/fixtures.ts';
import { readAnswer } from './backend-conforms.ts';

let judged: Judged;
let vault: Vault;

beforeAll(async () => {
  judged = await readJudged();
  vault = await openVault({ store: createMemoryStore(), clock: systemClock });
  for (const { id, title, text } of judged.passages) {
    const headings = title.split(' > ').map((heading, i) => `${'#'.repeat(i + 1)} ${heading}`);
    await addText(vault, `${id}.md`, [...headings, text].join('\n\n'));
  }
});

/** The document that an answer begins with; `undefined` where it refuses. */
async function answeredFrom(question: string): Promise<string | undefined> {
  const found = await vault.search({ question, limit: PASSAGES_GIVEN });
  const request = { question, context: [], ...requestParts(found), unitsMax: 300 };
  const { citations, end } = await readAnswer(
    createExtractiveBackend().answer(request, { signal: new AbortController().signal }),
  );
  return end.finish === 'nothing-found' ? undefined : found.hits[citations[0]?.passage ?? 0]?.name;
}

async function shares(held: boolean): Promise<{ refused: number; missed: number; right: number }> {
  const half = judged.questions.filter((question) => question.held === held);
  const answerable = half.filter(({ answers }) => answers.length > 0);
  let [refused, missed, right] = [0, 0, 0];
  for (const { question, answers } of half) {
    const from = await answeredFrom(question);
    if (answers.length === 0) refused += from === undefined ? 1 : 0;
    else if (from === undefined) missed++;
    else if (from === `${answers[0]}.md`) right++;
  }
  return {
    refused: refused / (half.length - answerable.length),
    missed: missed / answerable.length,
    right: right / (answerable.length - missed),
  };
}

describe('of the judged set', () => {
  test('KNOW-23: of the half that rules were tuned on, nine in ten unanswerable questions are refused and one in twenty others', async () => {
    const { refused, missed, right } = await shares(false);
    expect(refused).toBeGreaterThanOrEqual(0.9);
    expect(missed).toBeLessThanOrEqual(0.05);
    expect(right).toBeGreaterThanOrEqual(0.95);
  });

  test('KNOW-23: of the held half, nine in ten are refused and less than one in ten others', async () => {
    const { refused, missed, right } = await shares(true);
    expect(refused).toBeGreaterThanOrEqual(0.9);
    expect(missed).toBeLessThan(0.1);
    expect(right).toBeGreaterThanOrEqual(0.95);
  });
});
