/** What the guide answers out of this repository's documents, against a judged set of questions. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PASSAGES_GIVEN } from '../../src/agent/answerer.ts';
import { requestParts } from '../../src/agent/backends/backend.ts';
import { createExtractiveBackend } from '../../src/agent/backends/extractive.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { fillGuide } from '../../src/daemon/guide.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { provenance } from '../vault/fixtures.ts';
import { readAnswer } from './backend-conforms.ts';

interface JudgedSet {
  readonly answerable: readonly { readonly question: string; readonly first: string }[];
  readonly unanswerable: readonly string[];
}

const SET: JudgedSet = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../bench/retrieval/guide-questions.json'), 'utf8'),
);

/** The first quotation of the guide's answer, or undefined where it refuses. */
async function firstOf(vault: Vault, question: string): Promise<string | undefined> {
  const found = requestParts(await vault.search({ question, limit: PASSAGES_GIVEN }));
  const request = { question, context: [], ...found, unitsMax: 500 };
  const { text, citations, end } = await readAnswer(
    createExtractiveBackend().answer(request, { signal: new AbortController().signal }),
  );
  if (end.finish === 'nothing-found') return undefined;
  const [first] = citations;
  return Buffer.from(text).subarray(first?.start, first?.end).toString();
}

async function fill(): Promise<Vault> {
  const vault = await openVault({ store: createMemoryStore(), clock: systemClock });
  await fillGuide(vault, provenance());
  return vault;
}

const guide: Promise<Vault> = fill();

test('the guide begins with the right sentence for four questions in five', async () => {
  const vault = await guide;
  const wrong: string[] = [];
  for (const { question, first } of SET.answerable) {
    const said = await firstOf(vault, question);
    if (said === undefined || !new RegExp(first, 'is').test(said)) wrong.push(`${question} ${said ?? '-'}`);
  }
  expect(SET.answerable.length).toBeGreaterThanOrEqual(30);
  expect(wrong.length, wrong.join('\n')).toBeLessThanOrEqual(Math.floor(SET.answerable.length / 5));
});

test('the guide refuses what its documents do not answer', async () => {
  const vault = await guide;
  const answered: string[] = [];
  for (const question of SET.unanswerable) {
    const said = await firstOf(vault, question);
    if (said !== undefined) answered.push(`${question} ${said}`);
  }
  expect(SET.unanswerable.length).toBeGreaterThanOrEqual(15);
  expect(answered.length, answered.join('\n')).toBeLessThanOrEqual(2);
});

test('the question of the demonstration has its plain answer', async () => {
  const said = await firstOf(await guide, 'How does a payee get paid if the payer disappears?');
  expect(said).toMatch(/^A payee gets paid even if the payer disappears/);
});
