/** What adapters earn by switching them off: the integers, and a real model that is asked. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createVaultAnswerer } from '../../src/agent/answerer.ts';
import type { AdapterMeasure } from '../../src/agent/attribution/measure.ts';
import { attributionStatement } from '../../src/agent/attribution/statement.ts';
import {
  adapterParts,
  earnedAssets,
  measuredParts,
  SWITCHED_OFF,
  scoreNoise,
  scoresFault,
  UNMEASURED,
} from '../../src/agent/attribution/switched-off.ts';
import { createLlamaBackend } from '../../src/agent/backends/llama.ts';
import type { ModelSource } from '../../src/agent/llama/room.ts';
import type { AnswerShares } from '../../src/agent/ports.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { systemClock as clock } from '../../src/base/clock.ts';
import { systemDice } from '../../src/base/random.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import type { CallRequest, Citation } from '../../src/protocol/call.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { type ModelHome, openModelHome } from './llama/home.ts';
import { saying, scriptedAdapter, scriptedModel } from './llama/models.ts';

const key = (value: number): Uint8Array => new Uint8Array(32).fill(value);
const AGENT = key(1);
const [RED, GREEN, IDLE] = [key(70), key(71), key(72)];
const ppmOf = (assets: ReturnType<typeof earnedAssets>): readonly (readonly [number, number])[] =>
  (assets.adapters ?? []).map(({ asset, ppm }) => [asset[0] ?? 0, ppm]);

describe('parts by scores', () => {
  const assets = {
    agent: AGENT,
    adapters: [
      { asset: RED, ppm: 100_000 },
      { asset: GREEN, ppm: 200_000 },
    ],
  };

  test('MODEL-95: all declared parts are divided by what each changes, and sum to the same', () => {
    const parts = measuredParts({ whole: -1, without: [-31, -11] });
    expect(parts).toEqual({ method: SWITCHED_OFF, scores: { whole: -1000, without: [-31_000, -11_000] } });
    expect(ppmOf(earnedAssets(assets, parts, 'an answer'))).toEqual([
      [70, 225_000],
      [71, 75_000],
    ]);
  });

  test('MODEL-95: an adapter without which the answer is as likely, or likelier, gets nothing', () => {
    const within = (scoreNoise('an answer') / 1000) * 0.9;
    const only = measuredParts({ whole: -5, without: [-5 - within, -9] });
    expect(ppmOf(earnedAssets(assets, only, 'an answer'))).toEqual([[71, 300_000]]);
    const none = measuredParts({ whole: -5, without: [-2, -5] });
    expect(ppmOf(earnedAssets(assets, none, 'an answer'))).toEqual([]);
  });

  test('MODEL-96: what was not measured earns as declared, and a method that is not known is refused', () => {
    expect(earnedAssets(assets, undefined, 'x')).toBe(assets);
    expect(earnedAssets(assets, UNMEASURED, 'x')).toBe(assets);
    const unknown = { method: 'switched-off/9', scores: { whole: 0, without: [0, 0] } };
    expect(() => earnedAssets(assets, unknown, 'x')).toThrow(/cannot be repeated/);
    const short = { method: SWITCHED_OFF, scores: { whole: 0, without: [0] } };
    expect(() => earnedAssets(assets, short, 'x')).toThrow(/cannot be repeated/);
  });

  test('MODEL-95: for any scores parts are whole, none is negative, and they sum to those declared or to nothing', () => {
    const nats = fc.double({ min: -1e7, max: 0, noNaN: true });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        nats,
        fc.array(nats, { minLength: 4, maxLength: 4 }),
        (n, whole, all) => {
          const adapters = Array.from({ length: n }, (_, i) => ({ asset: key(70 + i), ppm: 1 + 99_991 * i }));
          const parts = measuredParts({ whole, without: all.slice(0, n) });
          expect(adapterParts.decode(adapterParts.encode(parts))).toEqual(parts);
          const earned = earnedAssets({ agent: AGENT, adapters }, parts, 'three small words').adapters ?? [];
          const sum = earned.reduce((total, { ppm }) => total + ppm, 0);
          expect(earned.every(({ ppm }) => Number.isSafeInteger(ppm) && ppm > 0)).toBe(true);
          expect([0, adapters.reduce((total, { ppm }) => total + ppm, 0)]).toContain(sum);
        },
      ),
    );
  });

  test('KNOW-160: scores that came out again are compared within what batching moves them', () => {
    const told = measuredParts({ whole: -4, without: [-9] });
    expect(
      scoresFault(told, measuredParts({ whole: -4.003, without: [-9.003] }), 'two words'),
    ).toBeUndefined();
    expect(scoresFault(told, measuredParts({ whole: -4, without: [-5] }), 'two words')).toBe(
      'the score without adapters[0] is -9000; it comes out as -5000',
    );
  });
});

describe('a model that is asked', () => {
  const WORDS = [
    'A camel',
    ' stores',
    ' fat',
    ' in its hump',
    ' [1].',
    ' It',
    ' walks',
    ' at night',
    ' alone',
    '.',
  ];
  const SAID = 'A camel stores fat in its hump. It walks by day alone.';
  const { signal } = new AbortController();
  const asking = { callId: key(9).slice(0, 16), caller: key(8), outputUnitsMax: 100, calls: undefined };
  let home: ModelHome;
  let model: ModelSource;
  let vault: Vault;
  const adapters: { readonly path: string; readonly digest: Uint8Array; readonly scale: number }[] = [];

  beforeAll(async () => {
    home = await openModelHome();
    const scripted = scriptedModel({
      ...saying(...WORDS),
      ' walks': { ' at night': 20, ' by day': 10 },
      ' by day': { ' alone': 20, ' together': 18 },
    });
    model = await home.add('camel', scripted.gguf);
    for (const [name, changes] of [
      ['red', { ' walks': { ' at night': -20, ' by day': 20 } }],
      ['green', { ' by day': { ' together': -4 } }],
      ['idle', { '[[system]]': { ' fat': 1 } }],
    ] as const)
      adapters.push({ ...(await home.add(name, scriptedAdapter(scripted, changes))), scale: 1 });
    vault = await openVault({ store: createMemoryStore(), clock });
    await vault.importDocument({
      name: 'camels.md',
      bytes: utf8('# Camels\n\nA camel stores fat in its hump, not water.'),
      provenance: { contributor: key(5), contribution: key(6), licence: '' },
    });
  });
  afterAll(() => home.close());

  async function answered(measure: AdapterMeasure | undefined) {
    const backend = createLlamaBackend(
      { engine: home.engine, dice: systemDice },
      { name: 'camel', model, adapters, contextTokens: 2048 },
    );
    const answerer = createVaultAnswerer(
      { backend, vaults: [vault] },
      {
        split: { knowledge: 500_000, operator: 0, model: 500_000, prompt: 0 },
        assets: { agent: AGENT, adapters: [RED, GREEN, IDLE].map((asset) => ({ asset, ppm: 100_000 })) },
        ...(measure && { measure }),
      },
    );
    const request: CallRequest = {
      question: 'How do camels store fat?',
      context: [],
      outputUnitsMax: 100,
      cardHash: key(2),
      skill: undefined,
      deadlineMs: 60_000,
      priceMax: 0n,
      cover: 0n,
      seed: 7,
    };
    const run = answerer.answer({ ...asking, request }, { signal });
    let text = '';
    const citations: Citation[] = [];
    const order: string[] = [];
    let body: Uint8Array | undefined;
    for await (const part of run.parts) {
      order.push(part.type);
      if (part.type === 'attribution') body = part.body;
      if (part.type !== 'delta') continue;
      text += part.text;
      citations.push(...part.citations);
    }
    const stated = body && attributionStatement.decode(body);
    return {
      text,
      order,
      stated,
      shares: async (said: string): Promise<AnswerShares> => run.shares({ text: said, citations }),
    };
  }

  const modelShares = ({ shares }: AnswerShares): readonly (readonly [number, number])[] =>
    shares.filter(({ role }) => role === 'model').map(({ asset, ppm }) => [asset[0] ?? 0, ppm]);

  test('MODEL-95, MODEL-96: who changed the answer earns, who changed nothing does not, and the statement has the scores', async () => {
    const measure = { clock, adapters: [0, 1, 2], withinMs: 60_000 };
    const { text, order, stated, shares } = await answered(measure);
    expect(text).toBe(SAID);
    expect(order.at(-2)).toBe('attribution');
    expect(stated?.adapterParts?.method).toBe(SWITCHED_OFF);
    const { whole = 0, without = [] } = stated?.adapterParts?.scores ?? {};
    expect(without).toHaveLength(3);
    const [red = 0, green = 0, idle = 0] = without.map((score) => whole - score);
    expect(red).toBeGreaterThan(9_000);
    expect(green).toBeGreaterThan(50);
    expect(Math.abs(idle)).toBeLessThanOrEqual(scoreNoise(text));
    const paid = modelShares(await shares(text));
    expect(paid.map(([asset]) => asset)).toEqual([70, 71]);
    const modelled = modelShares(await (await answered(undefined)).shares(text)).reduce(
      (sum, [, ppm]) => sum + ppm,
      0,
    );
    expect(paid.reduce((sum, [, ppm]) => sum + ppm, 0)).toBeGreaterThan(modelled - 3);
    // A beginning of the answer was not measured.
    expect(modelShares(await shares(text.slice(0, 31))).map(([asset]) => asset)).toEqual([70, 71, 72]);
    const again = await answered(measure);
    expect(again.stated?.adapterParts).toEqual(stated?.adapterParts);
  });

  test('MODEL-96: without time for it the declared parts hold, and the statement says so', async () => {
    const { text, stated, shares } = await answered({ clock, adapters: [0, 1, 2], withinMs: 0 });
    expect(stated?.adapterParts).toEqual(UNMEASURED);
    expect(modelShares(await shares(text)).map(([asset]) => asset)).toEqual([70, 71, 72]);
    expect((await answered(undefined)).stated?.adapterParts).toBeUndefined();
  });
});
