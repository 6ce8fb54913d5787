import { beforeAll, describe, expect, test } from 'vitest';
import { attribute } from '../../src/agent/attribution/attribute.ts';
import {
  type AttributionEvidence,
  type AttributionRecord,
  attributionRecord,
  attributionRecordHash,
  checkAttribution,
  recomputeAttribution,
  recordOf,
  textHash,
} from '../../src/agent/attribution/record.ts';
import { isAsked, requestParts } from '../../src/agent/backends/backend.ts';
import { createExtractiveBackend } from '../../src/agent/backends/extractive.ts';
import { toHex } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { openVault } from '../../src/vault/vault.ts';
import { addText, provenance } from '../vault/fixtures.ts';
import { readAnswer } from './backend-conforms.ts';

let record: AttributionRecord;
let evidence: AttributionEvidence;

/** A real answer out of a real vault, with everything that a verifier needs. */
beforeAll(async () => {
  const vault = await openVault({ store: createMemoryStore(), clock: systemClock });
  await addText(
    vault,
    'a.md',
    '# Watchtower\n\nA watchtower claims for a payee who is offline. It cannot steal.',
    provenance(1, 101),
  );
  await addText(
    vault,
    'b.md',
    '# Voucher\n\nThe watchtower presents the voucher of the payee in time.',
    provenance(2, 102),
  );
  for (let i = 0; i < 20; i++)
    await addText(vault, `${i}.txt`, `Filler number${i} about channels and payees.`, provenance(3));
  const question = 'What does a wachtower claim with a voucher for the payee?';
  const found = await vault.search({ question });
  const answered = await readAnswer(
    createExtractiveBackend({ supportMin: 300_000 }).answer(
      { question, context: [], ...requestParts(found), unitsMax: 200 },
      { signal: new AbortController().signal },
    ),
  );
  const used = [...new Set(answered.citations.map(({ passage }) => passage))];
  expect(used).toHaveLength(2);
  const chunks = used.map((i) => found.hits[i]?.chunk).filter((chunk) => chunk !== undefined);
  const asked = found.terms.filter(isAsked);
  const attribution = attribute({
    method: 'coverage',
    question,
    passages: chunks,
    corpus: { stats: found.stats, terms: asked },
  });
  const places = new Map(
    used.map((i) => [
      toHex(found.hits[i]?.chunk.id ?? new Uint8Array()),
      { corpus: 0, citations: answered.citations.filter(({ passage }) => passage === i) },
    ]),
  );
  const terms = asked.map(({ term, corrects, chunksWith }) => ({ term, corrects, chunksWith: [chunksWith] }));
  const corpora = [await vault.commitment()];
  record = recordOf(attribution, { question, answer: answered.text, corpora, terms, places });
  const byId = new Map(chunks.map((chunk) => [toHex(chunk.id), chunk]));
  const sources = record.sources.map(({ id }) => {
    const chunk = byId.get(toHex(id));
    return { title: chunk?.title ?? '', text: chunk?.text ?? '', licence: chunk?.licence ?? '' };
  });
  const chunkPaths = [];
  for (const { id } of record.sources) {
    const path = await vault.chunkPath(id);
    if (path !== undefined) chunkPaths.push(path);
  }
  const termProofs = [];
  for (const { term } of terms) termProofs.push([await vault.termProof(term)]);
  const correctedProofs = new Map([['wachtower', [await vault.termProof('wachtower')]]]);
  evidence = { question, answer: answered.text, sources, chunkPaths, termProofs, correctedProofs };
});

const wheres = (faults: readonly { where: string }[]): string[] => faults.map(({ where }) => where);

describe('attribution records', () => {
  test('KNOW-34, KNOW-35: a true record holds at both levels and survives its wire form', () => {
    expect(record.rule).toBe('coverage/1');
    expect(record.terms.find(({ corrects }) => corrects === 'wachtower')?.term).toBe('watchtower');
    expect(checkAttribution(record, evidence)).toEqual([]);
    expect(recomputeAttribution(record, evidence)).toEqual([]);
    const again = attributionRecord.decode(attributionRecord.encode(record));
    expect(recomputeAttribution(again, evidence)).toEqual([]);
    expect(attributionRecordHash(again)).toEqual(attributionRecordHash(record));
  });

  test('KNOW-34: what was altered is named', () => {
    const source = record.sources[0];
    if (source === undefined) throw new Error('a source');
    const withSource = (change: object): AttributionRecord => ({
      ...record,
      sources: [{ ...source, ...change }, ...record.sources.slice(1)],
    });
    expect(wheres(checkAttribution({ ...record, residualPpm: record.residualPpm + 1 }, evidence))).toEqual([
      'residualPpm',
    ]);
    expect(
      wheres(checkAttribution(withSource({ contributor: new Uint8Array(32).fill(66) }), evidence)),
    ).toContain('sources[0].id');
    expect(wheres(checkAttribution(withSource({ contribution: undefined }), evidence))).toContain(
      'sources[0].id',
    );
    const citation = source.citations[0];
    const shifted = citation && {
      ...citation,
      passageStart: citation.passageStart + 1,
      passageEnd: citation.passageEnd + 1,
    };
    expect(wheres(checkAttribution(withSource({ citations: [shifted] }), evidence))).toContain(
      'sources[0].citations[0]',
    );
    expect(wheres(checkAttribution(withSource({ citations: [] }), evidence))).toContain(
      'sources[0].citations',
    );
    expect(wheres(checkAttribution(record, { ...evidence, answer: `${evidence.answer}!` }))).toContain(
      'answerHash',
    );
    expect(wheres(checkAttribution(record, { ...evidence, question: 'Other?' }))).toContain('questionHash');
    const sources = evidence.sources.map((all, i) => (i === 0 ? { ...all, text: `${all.text} More.` } : all));
    expect(wheres(checkAttribution(record, { ...evidence, sources }))).toContain('sources[0].id');
    const chunkPaths = [...(evidence.chunkPaths ?? [])].reverse();
    expect(wheres(checkAttribution(record, { ...evidence, chunkPaths }))).toContain('sources[0].id');
    const reversed = { ...record, sources: [...record.sources].reverse() };
    expect(
      wheres(checkAttribution(reversed, { ...evidence, sources: [...evidence.sources].reverse() })),
    ).toContain('sources[1]');
  });

  test('KNOW-35: shares moved from one to another are found, and where', () => {
    const moved = record.sources.map((source, i) => ({
      ...source,
      ppm: source.ppm + (i === 0 ? 1000 : -1000),
    }));
    const lie = { ...record, sources: moved };
    expect(checkAttribution(lie, evidence)).toEqual([]);
    expect(wheres(recomputeAttribution(lie, evidence))).toEqual(['sources[0].ppm', 'sources[1].ppm']);
  });

  test('KNOW-35: counts, terms and corrections cannot be invented', () => {
    const change = (index: number, fields: object): AttributionRecord => ({
      ...record,
      terms: record.terms.map((term, i) => (i === index ? { ...term, ...fields } : term)),
    });
    const at = record.terms.findIndex(({ term }) => term === 'voucher');
    expect(wheres(recomputeAttribution(change(at, { chunksWith: [0] }), evidence))).toContain(
      `terms[${at}].chunksWith`,
    );
    expect(wheres(recomputeAttribution({ ...record, terms: record.terms.slice(1) }, evidence))).toContain(
      'terms',
    );
    const fixed = record.terms.findIndex(({ corrects }) => corrects !== undefined);
    expect(wheres(recomputeAttribution(change(fixed, { term: 'filler' }), evidence))).toContain(
      `terms[${fixed}]`,
    );
    const { correctedProofs: _, ...without } = evidence;
    expect(wheres(recomputeAttribution(record, without))).toContain(`terms[${fixed}]`);
    const extra = { term: 'filler', corrects: undefined, chunksWith: [20] };
    expect(wheres(recomputeAttribution({ ...record, terms: [...record.terms, extra] }, evidence))).toContain(
      `terms[${record.terms.length}]`,
    );
    expect(wheres(recomputeAttribution({ ...record, rule: 'mine/1' }, evidence))).toContain('rule');
  });

  test('KNOW-35: plain rules need nothing but what was delivered', () => {
    const question = 'voucher of the payee';
    const passages = record.sources.map((source, i) => ({
      ...source,
      ...(evidence.sources[i] ?? { title: '', text: '' }),
    }));
    const attribution = attribute({ method: 'coverage', question, passages });
    const plain: AttributionRecord = {
      ...record,
      rule: attribution.rule,
      questionHash: textHash(question),
      terms: [],
      sources: record.sources.map((source, i) => ({ ...source, ppm: attribution.sources[i]?.ppm ?? 0 })),
      residualPpm: attribution.residualPpm,
    };
    const { question: _q, termProofs: _t, ...rest } = evidence;
    expect(recomputeAttribution(plain, { ...rest, question })).toEqual([]);
    expect(plain.rule).toBe('coverage-plain/1');
  });
});
