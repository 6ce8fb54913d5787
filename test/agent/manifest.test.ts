import { describe, expect, test } from 'vitest';
import { MANIFEST_DEFAULTS, type Manifest, manifestHash, parseManifest } from '../../src/agent/manifest.ts';
import { checkPolicy } from '../../src/agent/policy.ts';
import { toHex } from '../../src/base/bytes.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { didOf } from '../../src/protocol/ids.ts';
import { LICENCE_PRESETS } from '../../src/protocol/licence.ts';
import { readVectors } from '../vault/vectors.ts';

const DID = didOf(new Uint8Array(32).fill(3));
const MINIMAL = 'name: guide\nvaults: [docs]\n';

const FULL = `
# An agent with everything said.
name: Guide
description: Knows the project's documents.
languages: [en, pt-BR]
skills:
  - name: answer
    description: Answers questions.
    examples: ["What is a voucher?"]
backend: { kind: extractive, sentencesMax: 3, supportMin: "40 %" }
vaults: [docs, faq]
price:
  perCall: 0.002 SAHARA
  perInputUnit: 100
  perOutputUnit: 250 grains
  freePerCaller: { calls: 5, windowSeconds: 3600 }
limits: { questionBytes: 4096, outputUnits: 500, deadlineSeconds: 30, concurrency: 4 }
policy:
  callers: ["${DID}"]
  refusedTopics: [medical advice]
split: { knowledge: 70 %, operator: 20.5 %, model: 5 %, prompt: 45000 }
licence: CC-BY-4.0
asset:
  madeOf: [{ asset: ${'ab'.repeat(32)}, how: fine-tuned-from, part: 5 % }]
  terms: non-commercial
  bounty: 0.5 %
tests:
  - { ask: What is a voucher?, says: [signed], cites: [payments.md] }
  - { ask: Who won in 1998?, nothing: true }
`;

const parse = (source: string): Manifest => parseManifest(source, { file: 'agent.yaml' });

function complaint(source: string): SaharaError {
  try {
    parse(source);
  } catch (error) {
    if (error instanceof SaharaError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('manifests', () => {
  test('KNOW-39: what the asset is made of is read strictly and is no part of the hash', () => {
    const plain = FULL.slice(0, FULL.indexOf('asset:'));
    expect(manifestHash(parse(plain))).toEqual(manifestHash(parse(FULL)));
    for (const [wrong, field] of [
      ['asset: {madeOf: [{asset: abcd}]}', 'asset.madeOf[0].asset'],
      ['asset: {madeOf: [{part: 5 %}]}', 'asset.madeOf[0]'],
      [`asset: {madeOf: [{asset: ${'ab'.repeat(32)}, how: stolen-from}]}`, 'asset.madeOf[0].how'],
      ['asset: {terms: free-for-all}', 'asset.terms'],
      ['asset: {bounty: 1.1 %}', 'asset.bounty'],
      ['asset: {owner: me}', 'asset.owner'],
    ] as const) {
      expect(complaint(`${MINIMAL}${wrong}\n`).facts, wrong).toMatchObject({ field });
    }
  });

  test('AGENT-10: what it is to be tried with is read strictly and is no part of the hash', () => {
    const plain = FULL.slice(0, FULL.indexOf('tests:'));
    expect(manifestHash(parse(plain))).toEqual(manifestHash(parse(FULL)));
    for (const [wrong, field] of [
      ['tests: {ask: What?}', 'tests'],
      ['tests: [{says: [signed]}]', 'tests[0].ask'],
      ['tests: [{ask: ""}]', 'tests[0].ask'],
      ['tests: [{ask: What?, says: signed}]', 'tests[0].says'],
      ['tests: [{ask: What?, nothing: true, cites: [a.md]}]', 'tests[0]'],
      ['tests: [{ask: What?, expect: signed}]', 'tests[0].expect'],
      [`tests: [${'{ask: What?}, '.repeat(65)}]`, 'tests'],
    ] as const) {
      expect(complaint(`${MINIMAL}${wrong}\n`).facts, wrong).toMatchObject({ field });
    }
  });

  test('KNOW-177: models that help to find passages are read strictly, and are part of the hash', () => {
    const search =
      'search: {embedder: {model: small}, reranker: {model: judge, withinMs: 900}, weight: 40 %}\n';
    expect(parse(`${MINIMAL}${search}`).search).toEqual({
      embedder: { model: 'small', endpoint: undefined, keyVariable: undefined, withinMs: 5000 },
      reranker: { model: 'judge', withinMs: 900 },
      weight: 400_000,
    });
    const behind = 'search: {embedder: {model: e, endpoint: "http://127.0.0.1:1/v1", keyVariable: KEY}}\n';
    expect(parse(`${MINIMAL}${behind}`).search).toMatchObject({
      embedder: { keyVariable: 'KEY' },
      weight: 500_000,
    });
    const variants = ['', search, behind, search.replace('40 %', '41 %')];
    const hashes = variants.map((variant) => toHex(manifestHash(parse(`${MINIMAL}${variant}`))));
    expect(new Set(hashes).size).toBe(variants.length);
    for (const [wrong, field] of [
      ['search: {}', 'search'],
      ['search: {weight: 40 %}', 'search'],
      ['search: {reranker: {model: judge}, weight: 40 %}', 'search.weight'],
      ['search: {embedder: {endpoint: "http://127.0.0.1:1/v1"}}', 'search.embedder.model'],
      ['search: {embedder: {model: small, keyVariable: KEY}}', 'search.embedder.keyVariable'],
      ['search: {reranker: {model: judge, withinMs: 1}}', 'search.reranker.withinMs'],
      ['search: {ranker: {model: judge}}', 'search.ranker'],
    ] as const) {
      expect(complaint(`${MINIMAL}${wrong}\n`).facts, wrong).toMatchObject({ field });
    }
    const delegating = 'name: d\nbackend: {kind: delegate, ask: [{agent: a}]}\n';
    expect(complaint(`${delegating}${search}`).facts).toMatchObject({ field: 'search' });
  });

  test('AGENT-20: what a model may use is read strictly, and is part of the hash', () => {
    const model = 'name: m\nbackend: {kind: openai, endpoint: "http://127.0.0.1:8080/v1", model: small}\n';
    const tools = `tools:
  - { agent: law, about: Knows the law., skill: cite, share: 25 %, budget: 40 % }
  - { function: order, about: Finds an order., parameters: { type: object, properties: { number: { type: integer, minimum: 1 } } }, run: [find-order, --json] }
  - { mcp: shop, command: [npx, shop-tools], allow: [stock] }
  - { mcp: web, url: "https://example.org/mcp" }
`;
    expect(parse(`${model}${tools}`).tools).toEqual([
      {
        ...{ kind: 'agent', name: 'law', about: 'Knows the law.', agent: 'law' },
        ...{ skill: 'cite', share: 250_000, budget: 400_000 },
      },
      {
        ...{ kind: 'function', name: 'order', about: 'Finds an order.', run: ['find-order', '--json'] },
        parameters: { type: 'object', properties: { number: { type: 'integer', minimum: 1 } } },
      },
      { kind: 'mcp', name: 'shop', place: { command: ['npx', 'shop-tools'] }, allow: ['stock'] },
      { kind: 'mcp', name: 'web', place: { url: 'https://example.org/mcp' }, allow: undefined },
    ]);
    const hash = (source: string): string => toHex(manifestHash(parse(source)));
    const variants = ['', tools, tools.replace('25 %', '26 %'), tools.replace('--json', '--xml')];
    expect(new Set(variants.map((variant) => hash(`${model}${variant}`))).size).toBe(variants.length);
    for (const [wrong, field] of [
      ['[{ agent: law }]', 'tools[0].about'],
      ['[{ agent: law, mcp: law, about: x }]', 'tools[0]'],
      ['[{ about: x }]', 'tools[0]'],
      ['[{ function: f, about: x }]', 'tools[0].run'],
      ['[{ function: "a b", about: x, run: [a] }]', 'tools[0].function'],
      ['[{ function: f, about: x, run: [] }]', 'tools[0].run'],
      ['[{ function: f, about: x, run: [a], parameters: { type: string } }]', 'tools[0].parameters'],
      [
        `[{ function: f, about: x, run: [a], parameters: { type: object, properties: { a: { anyOf: [${'{ type: string }, '.repeat(300)}] } } } }]`,
        'tools[0].parameters',
      ],
      ['[{ function: f, about: x, run: [a], url: "http://a/" }]', 'tools[0].url'],
      ['[{ mcp: m }]', 'tools[0]'],
      ['[{ mcp: m, command: [a], url: "http://a/" }]', 'tools[0]'],
      ['[{ mcp: m, url: "ftp://a/" }]', 'tools[0].url'],
      ['[{ function: f, about: x, run: [a] }, { function: f, about: y, run: [b] }]', 'tools'],
    ] as const) {
      expect(complaint(`${model}tools: ${wrong}\n`).facts, wrong).toMatchObject({ field });
    }
    expect(complaint(`${MINIMAL}tools: [{ function: f, about: x, run: [a] }]\n`).facts).toMatchObject({
      field: 'tools',
      allowed: 'no tools: an extractive agent only quotes',
    });
    const local = 'name: m\nbackend: {kind: llama, model: small}\n';
    expect(parse(`${local}tools: [{ function: f, about: x, run: [a] }]\n`).tools).toHaveLength(1);
  });

  test('KNOW-37: every field is read, amounts and shares in either spelling', () => {
    expect(parse(FULL)).toEqual({
      name: 'Guide',
      description: "Knows the project's documents.",
      languages: ['en', 'pt-BR'],
      skills: [{ name: 'answer', description: 'Answers questions.', examples: ['What is a voucher?'] }],
      backend: { kind: 'extractive', sentencesMax: 3, supportMin: 400_000 },
      tools: [],
      vaults: ['docs', 'faq'],
      prompt: undefined,
      price: { perCall: 2_000_000n, perInputUnit: 100n, perOutputUnit: 250n },
      free: { calls: 5, windowSeconds: 3600 },
      limits: { questionBytes: 4096, outputUnits: 500, deadlineSeconds: 30, concurrency: 4 },
      policy: { callers: [new Uint8Array(32).fill(3)], refusedTopics: ['medical advice'] },
      split: { knowledge: 700_000, operator: 205_000, model: 50_000, prompt: 45_000 },
      licence: 'CC-BY-4.0',
      asset: {
        parents: [{ asset: new Uint8Array(32).fill(0xab), relation: 'fine-tuned-from', ppm: 50_000 }],
        terms: LICENCE_PRESETS['non-commercial'],
        bounty: 5_000,
      },
      tests: [
        { ask: 'What is a voucher?', says: ['signed'], cites: ['payments.md'], nothing: false },
        { ask: 'Who won in 1998?', says: [], cites: [], nothing: true },
      ],
    });
    expect(parse(MINIMAL)).toEqual({ ...MANIFEST_DEFAULTS, name: 'guide', vaults: ['docs'] });
    const endpoint =
      'name: m\nprompt: Be brief.\nbackend: {kind: openai, endpoint: "http://127.0.0.1:8080/v1", model: small}\n';
    expect(parse(endpoint)).toMatchObject({
      prompt: 'Be brief.',
      backend: {
        kind: 'openai',
        model: 'small',
        keyVariable: undefined,
        seeded: false,
        contextUnitsMax: 6000,
      },
    });
    const desk =
      'name: d\nbackend: {kind: delegate, ask: [{agent: guide}, {agent: law, skill: cite, budget: 40 %}]}\n';
    expect(parse(desk).backend).toEqual({
      kind: 'delegate',
      ask: [
        { agent: 'guide', skill: undefined, budget: 0 },
        { agent: 'law', skill: 'cite', budget: 400_000 },
      ],
    });
  });

  test('KNOW-36: whom an agent asks is part of its hash', () => {
    const hash = (ask: string): string =>
      toHex(manifestHash(parse(`name: d\nbackend: {kind: delegate, ask: [${ask}]}\n`)));
    const variants = [
      '{agent: a}',
      '{agent: b}',
      '{agent: a, skill: s}',
      '{agent: a, budget: 1 %}',
      '{agent: a}, {agent: b}',
    ];
    expect(new Set(variants.map(hash)).size).toBe(variants.length);
  });

  test.each([
    ['syntax', 'name: [a\n', { field: '', allowed: 'YAML 1.2, one document' }],
    ['nothing', '', { line: 1, found: 'nothing' }],
    ['no name', 'vaults: [docs]\n', { field: 'name', found: 'nothing', allowed: 'a text of 1 to 64 bytes' }],
    [
      'unknown field',
      `${MINIMAL}prise: {perCall: 1}\n`,
      { line: 3, field: 'prise', found: 'unknown field "prise"' },
    ],
    ['twice', `${MINIMAL}name: again\n`, { field: '' }],
    ['nested unknown', `${MINIMAL}limits:\n  concurrancy: 3\n`, { line: 4, field: 'limits.concurrancy' }],
    [
      'float amount',
      `${MINIMAL}price:\n  perCall: 0.002\n`,
      { line: 4, field: 'price.perCall', found: '0.002' },
    ],
    ['negative amount', `${MINIMAL}price: {perCall: -1}\n`, { field: 'price.perCall', found: '-1' }],
    ['tiny amount', `${MINIMAL}price: {perCall: 0.0000000001 SAHARA}\n`, { field: 'price.perCall' }],
    ['huge amount', `${MINIMAL}price: {perCall: 1000000000000000001}\n`, { field: 'price.perCall' }],
    [
      'sum',
      `${MINIMAL}split: {knowledge: 70 %, operator: 20 %}\n`,
      { line: 3, field: 'split', found: 'a sum of 90 %', allowed: 'shares that sum to 100 %' },
    ],
    ['share', `${MINIMAL}split: {knowledge: 170 %}\n`, { field: 'split.knowledge', found: '170 %' }],
    ['no vault', 'name: a\n', { field: 'vaults', found: 'none' }],
    [
      'vault name',
      'name: a\nvaults:\n  - ok\n  - ../etc\n',
      { line: 4, field: 'vaults[1]', found: '../etc' },
    ],
    ['prompt to quote', `${MINIMAL}prompt: Be nice.\n`, { line: 3, field: 'prompt' }],
    [
      'kind',
      `${MINIMAL}backend: {kind: magic}\n`,
      { field: 'backend.kind', found: 'magic', allowed: 'one of extractive, llama, openai, delegate' },
    ],
    ['wrong kind’s field', `${MINIMAL}backend: {kind: extractive, model: x}\n`, { field: 'backend.model' }],
    [
      'endpoint',
      'name: a\nbackend: {kind: openai, endpoint: "file:///x", model: m}\n',
      { field: 'backend.endpoint' },
    ],
    ['nobody to ask', 'name: a\nbackend: {kind: delegate}\n', { field: 'backend.ask', found: 'nothing' }],
    ['an empty list to ask', 'name: a\nbackend: {kind: delegate, ask: []}\n', { field: 'backend.ask' }],
    [
      'an ask without agent',
      'name: a\nbackend: {kind: delegate, ask: [{skill: x}]}\n',
      { field: 'backend.ask[0].agent' },
    ],
    [
      'vaults to delegate',
      'name: a\nvaults: [docs]\nbackend: {kind: delegate, ask: [{agent: b}]}\n',
      { field: 'vaults' },
    ],
    [
      'prompt to delegate',
      'name: a\nprompt: Hi.\nbackend: {kind: delegate, ask: [{agent: b}]}\n',
      { field: 'prompt' },
    ],
    [
      'password',
      'name: a\nbackend: {kind: openai, endpoint: "http://u:p@x/", model: m}\n',
      { field: 'backend.endpoint' },
    ],
    [
      'no model',
      'name: a\nbackend: {kind: openai, endpoint: "http://x/"}\n',
      { field: 'backend.model', found: 'nothing' },
    ],
    [
      'limit',
      `${MINIMAL}limits: {deadlineSeconds: 3601}\n`,
      { field: 'limits.deadlineSeconds', found: '3601', allowed: 'a whole number from 1 to 3600' },
    ],
    [
      'callers',
      `${MINIMAL}policy: {callers: [did:key:zBad]}\n`,
      { field: 'policy.callers[0]', found: 'did:key:zBad' },
    ],
    [
      'callers word',
      `${MINIMAL}policy: {callers: nobody}\n`,
      {
        field: 'policy.callers',
        allowed: 'everyone, a list of DIDs, or licence: and the id of an asset, quoted',
      },
    ],
    ['language', `${MINIMAL}languages: [english]\n`, { field: 'languages[0]', found: 'english' }],
    [
      'alias',
      `name: &n guide\ndescription: *n\nvaults: [docs]\n`,
      { line: 2, field: 'description', found: 'an alias' },
    ],
    ['list for text', `${MINIMAL}licence: [a]\n`, { field: 'licence', found: 'a list' }],
    [
      'too many',
      `${MINIMAL}skills: [${'{name: a}, '.repeat(17)}]\n`,
      { field: 'skills', found: '17', allowed: 'a list of at most 16' },
    ],
    ['size', `${MINIMAL}# ${'x'.repeat(300_000)}\n`, { allowed: 'at most 262144 bytes' }],
  ])('KNOW-37: %s is refused with line, field, found and allowed', (_, source, facts) => {
    const error = complaint(source);
    expect(error.code).toBe('manifest-invalid');
    expect(error.facts).toMatchObject({ file: 'agent.yaml', ...facts });
    expect(Object.keys(error.facts).sort()).toEqual(['allowed', 'field', 'file', 'found', 'line']);
  });

  test('KNOW-37: a pasted key is not echoed', () => {
    const error = complaint(
      'name: a\nbackend: {kind: openai, endpoint: "http://x/", model: m, keyVariable: sk-verysecret}\n',
    );
    expect(JSON.stringify(error.facts)).not.toContain('verysecret');
  });

  test('KNOW-37: a near miss is named', () => {
    expect(complaint(`${MINIMAL}prise: {}\n`).facts.allowed).toContain('did you mean price');
  });

  test('KNOW-36: the hash is over values, not over spelling, and over every one of them', () => {
    const base = toHex(manifestHash(parse(MINIMAL)));
    expect(
      toHex(manifestHash(parse('# comment\nvaults:\n  - docs\nname: "guide"\nprice: {perCall: 0 SAHARA}\n'))),
    ).toBe(base);
    const changes: Partial<Manifest>[] = [
      { name: 'other' },
      { description: 'x' },
      { languages: ['de'] },
      { skills: [] },
      { backend: { kind: 'extractive', sentencesMax: 2, supportMin: 500_000 } },
      { vaults: ['docs', 'b'] },
      { prompt: '' },
      { price: { perCall: 1n, perInputUnit: 0n, perOutputUnit: 0n } },
      { price: { perCall: 0n, perInputUnit: 1n, perOutputUnit: 0n } },
      { free: { calls: 1, windowSeconds: 86_400 } },
      { limits: { ...MANIFEST_DEFAULTS.limits, concurrency: 9 } },
      { policy: { callers: [], refusedTopics: [] } },
      { policy: { callers: 'everyone', refusedTopics: ['x'] } },
      { split: { knowledge: 0, operator: 1_000_000, model: 0, prompt: 0 } },
      { licence: 'MIT' },
    ];
    const hashes = changes.map((change) => toHex(manifestHash({ ...parse(MINIMAL), ...change })));
    expect(new Set([base, ...hashes]).size).toBe(changes.length + 1);
  });

  test.each(readVectors<{ yaml: string; hash: string }>('manifest').valid)(
    'KNOW-36: vector',
    ({ yaml, hash }) => {
      expect(toHex(manifestHash(parse(yaml)))).toBe(hash);
    },
  );

  test.each(readVectors<never, { yaml: string; line: number; field: string }>('manifest').invalid)(
    'KNOW-37: vector that is refused at $field',
    ({ yaml, line, field }) => {
      expect(complaint(yaml).facts).toMatchObject({ line, field });
    },
  );
});

describe('policy', () => {
  test('callers, topics and sizes', () => {
    const manifest = parse(FULL);
    const caller = new Uint8Array(32).fill(3);
    expect(() => checkPolicy(manifest, { caller, question: 'What is a voucher?' })).not.toThrow();
    expect(() => checkPolicy(manifest, { caller, question: 'Give me advice on a medical matter' })).toThrow(
      /caller-refused/,
    );
    expect(() => checkPolicy(manifest, { caller, question: 'x'.repeat(5000) })).toThrow(/too-large/);
    expect(() => checkPolicy(manifest, { caller: new Uint8Array(32), question: 'x' })).toThrow(
      /caller-refused/,
    );
    expect(() => checkPolicy(parse(MINIMAL), { caller: new Uint8Array(32), question: 'x' })).not.toThrow();
  });
});
