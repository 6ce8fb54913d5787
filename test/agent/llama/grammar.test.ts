import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Matcher, Work } from '../../../src/agent/llama/grammar.ts';
import { RULES_PER_TOKEN_MAX } from '../../../src/agent/llama/limits.ts';
import { ruleOfArguments } from '../../../src/agent/llama/schema-grammar.ts';
import { isTooWide } from '../../../src/agent/llama/schema-width.ts';
import { parameterCheck } from '../../../src/agent/tools/toolbox.ts';

const of = (schema: unknown): Matcher => Matcher.of(ruleOfArguments(schema));

/** Whether all of `text` is one of the values of a grammar. */
function whole(matcher: Matcher, text: string): boolean {
  return matcher.accept(text)?.ends === true;
}

const names = fc.constantFrom('a', 'b', 'long name', 'q"uote', 'é');
const schemas = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<object>(
      { type: 'string' },
      { type: 'string', minLength: 2, maxLength: 5 },
      { type: 'integer' },
      { type: 'number', minimum: 0 },
      { type: 'boolean' },
      { type: ['string', 'null'] },
      { enum: ['x', 7, null, 'xy'] },
      { const: 'only' },
      {},
    ),
    fc.record({ type: fc.constant('array'), items: tie('value'), minItems: fc.constantFrom(0, 1, 2) }),
    fc.record({ anyOf: fc.array(tie('value'), { minLength: 1, maxLength: 3 }) }),
    tie('object'),
  ),
  object: fc
    .record({
      properties: fc.dictionary(names, tie('value'), { maxKeys: 4 }),
      needed: fc.array(names, { maxLength: 3 }),
      additionalProperties: fc.boolean(),
    })
    .map(({ properties, needed, additionalProperties }) => ({
      type: 'object',
      properties,
      required: needed.filter((name) => Object.hasOwn(properties, name)),
      additionalProperties,
    })),
})).object;

describe('MODEL-77: arguments by a schema', () => {
  test('whatever is written letter by letter, the shortest rest makes it JSON that fits the schema', () => {
    const letters = [...'{}[]",: 0123456789.-truefalsnabxyéq\\ongmu'];
    fc.assert(
      fc.property(schemas, fc.infiniteStream(fc.nat(1_000)), (schema, choices) => {
        let at = of(schema);
        let text = '';
        for (const choice of choices) {
          const open = letters.filter((letter) => at.accept(letter) !== undefined);
          const letter = open[choice % Math.max(1, open.length)];
          const next = letter === undefined ? undefined : at.accept(letter);
          if (next === undefined || text.length > 60) break;
          text += letter;
          at = next;
        }
        text += at.shortest();
        expect(whole(of(schema), text)).toBe(true);
        const value: unknown = JSON.parse(text);
        expect(parameterCheck({ ...schema }).safeParse(value).error, text).toBeUndefined();
      }),
      { numRuns: 200 },
    );
  });

  test('what there is only one way to write is known before it is written', () => {
    const order = of({ properties: { number: { type: 'integer' } }, required: ['number'] });
    expect(order.forced()).toBe('{"number": ');
    expect(order.accept('{"number": 7')?.forced()).toBe('');
    expect(order.accept('{"number": 7}')?.over).toBe(true);
    expect(order.shortest()).toBe('{"number": 0}');
  });

  test('fields that are not required may be left out, and others are not made up', () => {
    const schema = {
      type: 'object',
      properties: { a: { type: 'null' }, b: { type: 'null' } },
      required: ['b'],
    };
    expect(whole(of(schema), '{"a": null, "b": null}')).toBe(true);
    expect(whole(of(schema), '{"b": null}')).toBe(true);
    for (const wrong of ['{"a": null}', '{}', '{"b": null, "c": null}', '{"b": null, "a": null}'])
      expect(whole(of(schema), wrong), wrong).toBe(false);
  });

  test('a field that the schema does not name never has the name of one that it does', () => {
    const schema = { properties: { a: { type: 'null' } }, required: ['a'], additionalProperties: true };
    expect(whole(of(schema), '{"a": null, "b": 1}')).toBe(true);
    for (const twice of ['{"a": null, "a": 1}', '{"a": null, "\\u0061": 1}'])
      expect(of(schema).accept(twice), twice).toBeUndefined();
  });

  test('a schema that names itself is followed as deep as a value goes', () => {
    const tree = {
      $ref: '#/$defs/node',
      $defs: {
        node: {
          type: 'object',
          properties: { of: { type: 'array', items: { $ref: '#/$defs/node' } } },
          required: ['of'],
        },
      },
    };
    expect(of(tree).shortest()).toBe('{"of": []}');
    expect(whole(of(tree), '{"of": [{"of": []}, {"of": [{"of": []}]}]}')).toBe(true);
  });

  const hostile: (readonly [string, unknown])[] = [
    ['that is nothing but itself', { $ref: '#' }],
    ['that never ends', { type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }],
    ['that names what is not there', { $ref: '#/__proto__/x' }],
    ['that is no schema', 'nothing'],
    ['of another type', { type: 'string' }],
    ['of no type', { type: 'made-up', anyOf: [], enum: [] }],
    [
      'with a field of the name of a method',
      { properties: { __proto__: {}, constructor: { type: 'integer' } } },
    ],
    ['of many ways', { anyOf: Array.from({ length: 500 }, (_, i) => ({ properties: { [`p${i}`]: {} } })) }],
    ['of many words', { properties: { a: { enum: Array.from({ length: 900 }, (_, i) => `w${i}`) } } }],
    ['of great counts', { properties: { a: { type: 'string', minLength: 9e15 } }, required: ['a'] }],
    [
      'that doubles at every step',
      {
        $defs: Object.fromEntries(
          Array.from({ length: 30 }, (_, i) => [
            `d${i}`,
            { anyOf: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }] },
          ]),
        ),
        $ref: '#/$defs/d0',
      },
    ],
  ];
  /** Read way by way it would be 2^60 schemas. */
  const multiplied = (depth: number): unknown =>
    depth === 0
      ? { type: 'string' }
      : { type: 'object', properties: { a: multiplied(depth - 1) }, required: ['a'], anyOf: [{}, {}] };
  hostile.push(
    ['whose ways multiply each other', multiplied(60)],
    ['of more fields than can be told apart', manyFields(20_000)],
    [
      'of lists that have to be longer than any text',
      {
        properties: {
          a: listOf(256, listOf(256, listOf(256, listOf(256, { type: 'string', minLength: 8_192 })))),
        },
        required: ['a'],
      },
    ],
  );
  test.each(hostile)('a schema %s still gives an object that can be read', (_, schema) => {
    const value: unknown = JSON.parse(of(schema).shortest());
    expect(typeof value).toBe('object');
    expect(of(schema).accept('[')).toBeUndefined();
  });
});

describe('alternatives that begin alike', () => {
  const ways = (count: number, way: (i: number) => object): object => ({
    type: 'object',
    properties: {
      list: { type: 'array', items: { anyOf: Array.from({ length: count }, (_, i) => way(i)) } },
    },
  });
  const texts = (count: number): object => ways(count, () => ({ type: 'string' }));

  test('MODEL-102: are refused by the hundred, however the schema has them', () => {
    expect(isTooWide(texts(300))).toBe(true);
    const nested = ways(60, () => ({
      type: 'array',
      items: { anyOf: Array.from({ length: 5 }, () => ({ type: 'string' })) },
    }));
    expect(isTooWide(nested)).toBe(true);
    expect(isTooWide({ ...manyFields(500), type: 'object' })).toBe(true);
  });

  test('MODEL-102: are nothing where they tell themselves apart, or are few', () => {
    expect(isTooWide(texts(20))).toBe(false);
    expect(isTooWide(ways(400, (i) => ({ const: `Europe/Place ${i}` })))).toBe(false);
    expect(isTooWide({ type: 'object', additionalProperties: true, ...manyFields(100) })).toBe(false);
    expect(isTooWide({ type: 'object' })).toBe(false);
    expect(isTooWide({ $ref: '#' })).toBe(false);
  });

  test('MODEL-101: cost no more than a token may, and what is not looked at is not allowed', () => {
    const at = of(texts(300)).accept('{"list": ["');
    const work = new Work(RULES_PER_TOKEN_MAX);
    const candidates = Array.from({ length: 256 }, (_, i) => `w${i} and so on`);
    const allowed = candidates.filter((text) => at?.accept(text, work) !== undefined);
    expect(allowed.length).toBeGreaterThan(0);
    expect(allowed).toEqual(candidates.slice(0, allowed.length));
    expect(allowed.length).toBeLessThan(candidates.length);
    // The last character that was looked up may go beyond it.
    expect(work.taken).toBeLessThan(1.1 * RULES_PER_TOKEN_MAX);
    expect(of(texts(20)).accept('{"list": ["w"]}', new Work(RULES_PER_TOKEN_MAX))?.ends).toBe(true);
  });
});

function manyFields(count: number): object {
  return {
    properties: Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, { type: 'null' }])),
  };
}

function listOf(minItems: number, items: object): object {
  return { type: 'array', minItems, items };
}
