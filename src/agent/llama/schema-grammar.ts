/**
 * A JSON schema as a grammar: what a model may write as the arguments of a tool. It is narrower than the schema in
 * form (fields in their order, one blank behind a comma or colon, whole numbers of at most 15 digits) and wider where a
 * grammar cannot follow (patterns, formats, bounds of numbers): whoever reads the arguments checks them by the schema
 * all the same. A schema is untrusted: what it says that makes no sense allows any value.
 */
import type { Rule } from './grammar.ts';
import { shortestOf } from './grammar.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Longest text in arguments, characters. */
const TEXT_MAX = 8_192;
/** Most items of a list and fields of an object that its schema does not name. */
const ITEMS_MAX = 256;
/** How deep a value may be that its schema leaves open. */
const OPEN_DEPTH_MAX = 6;
/** How deep schemas may lie in each other without a reference. */
const DEPTH_MAX = 64;
/** Most fields of an object that are told apart; one with more is open. */
const FIELDS_MAX = 512;
/** Most schemas that are read for one tool: ways that multiply each other are more than their text says. */
const SCHEMAS_MAX = 4_096;

const text = (value: string): Rule => ({ kind: 'text', text: value });
const all = (...rules: readonly Rule[]): Rule => ({ kind: 'all', rules });
const any = (...rules: readonly Rule[]): Rule => ({ kind: 'any', rules });
const times = (rule: Rule, min: number, max: number): Rule => ({ kind: 'times', rule, min, max });
const character = (sample: string, fits: (code: number) => boolean): Rule => ({
  kind: 'character',
  sample,
  fits,
});

const NOTHING: Rule = text('');
const QUOTE = text('"');
const BACKSLASH = 0x5c;
const DIGIT = character('0', (code) => code >= 0x30 && code <= 0x39);
const FIRST_DIGIT = character('1', (code) => code >= 0x31 && code <= 0x39);
const HEX = character('0', (code) => /[0-9a-f]/i.test(String.fromCodePoint(code)));
const PLAIN = character('a', isPlain);
const ESCAPED = all(
  text('\\'),
  any(
    character('n', (code) => '"\\/bfnrt'.includes(String.fromCodePoint(code))),
    all(text('u'), times(HEX, 4, 4)),
  ),
);
const ONE = any(PLAIN, ESCAPED);
const DIGITS = any(text('0'), all(FIRST_DIGIT, times(DIGIT, 0, 14)));
const WHOLE = all(times(text('-'), 0, 1), DIGITS);
const FRACTION = times(all(text('.'), times(DIGIT, 1, 15)), 0, 1);
const FLAG = any(text('true'), text('false'));
const NULL = text('null');

/** The rule of arguments that a JSON schema describes: always an object, and never a rule that matches nothing. */
export function ruleOfArguments(schema: unknown): Rule {
  const asked = fieldsOf(schema) ?? {};
  const object = typesOf(asked)[0] === 'object' || '$ref' in asked ? asked : { ...asked, type: 'object' };
  const rule = new SchemaReader(object).rule(object, 0);
  const sound = shortestOf(rule)?.startsWith('{') === true;
  return sound ? rule : new SchemaReader({}).rule({ type: 'object' }, 0);
}

class SchemaReader {
  readonly #root: unknown;
  readonly #named = new Map<string, Rule>();
  #read = 0;

  constructor(root: unknown) {
    this.#root = root;
  }

  rule(schema: unknown, depth: number): Rule {
    const fields = fieldsOf(schema);
    if (fields === undefined || depth > DEPTH_MAX || ++this.#read > SCHEMAS_MAX)
      return openOf(OPEN_DEPTH_MAX);
    if (typeof fields.$ref === 'string') return this.#named.get(fields.$ref) ?? this.#reference(fields.$ref);
    if ('const' in fields) return literal(fields.const);
    if (Array.isArray(fields.enum) && fields.enum.length > 0) return any(...fields.enum.map(literal));
    for (const name of ['anyOf', 'oneOf'] as const) {
      const { [name]: ways, ...base } = fields;
      if (!Array.isArray(ways) || ways.length === 0) continue;
      return any(...ways.map((way) => this.rule(joined([base, way]), depth + 1)));
    }
    if (Array.isArray(fields.allOf) && fields.allOf.length > 0) {
      const { allOf, ...base } = fields;
      return this.rule(joined([base, ...fields.allOf]), depth + 1);
    }
    const types = typesOf(fields);
    if (types.length === 0) return openOf(OPEN_DEPTH_MAX);
    const [only] = types;
    if (types.length === 1 && only !== undefined) return this.#typed(only, fields, depth);
    return any(...types.map((type) => this.#typed(type, fields, depth)));
  }

  /** Made when it is reached, because a schema may name one that it lies in. */
  #reference(name: string): Rule {
    let made: Rule | undefined;
    const later: Rule = {
      kind: 'later',
      rule: () => {
        made ??= this.rule(found(this.#root, name), 0);
        return made;
      },
    };
    this.#named.set(name, later);
    return later;
  }

  #typed(type: string, fields: Fields, depth: number): Rule {
    if (type === 'string') return textOf(fields);
    if (type === 'integer') return unsigned(fields) ? DIGITS : WHOLE;
    if (type === 'number') return all(unsigned(fields) ? DIGITS : WHOLE, FRACTION);
    if (type === 'boolean') return FLAG;
    if (type === 'null') return NULL;
    if (type === 'array') return this.#list(fields, depth);
    if (type === 'object') return this.#object(fields, depth);
    return openOf(OPEN_DEPTH_MAX);
  }

  #list(fields: Fields, depth: number): Rule {
    const first = Array.isArray(fields.prefixItems) ? fields.prefixItems : [];
    const fixed = first.map((item) => this.rule(item, depth + 1));
    const min = countOf(fields.minItems, 0, ITEMS_MAX);
    const max = Math.max(min, countOf(fields.maxItems, ITEMS_MAX, ITEMS_MAX));
    const lead = fixed.flatMap((rule, i) => (i === 0 ? [rule] : [text(', '), rule]));
    if (fixed.length > 0) {
      const more = fields.items === undefined || fields.items === false ? 0 : max - fixed.length;
      const rest = this.rule(fields.items, depth + 1);
      const least = Math.max(0, Math.min(more, min - fixed.length));
      return all(text('['), ...lead, times(all(text(', '), rest), least, Math.max(0, more)), text(']'));
    }
    return all(text('['), listed(this.rule(fields.items, depth + 1), min, max), text(']'));
  }

  /** Fields in the order of the schema, each that is not required or not; then, if they are allowed, others. */
  #object(fields: Fields, depth: number): Rule {
    const stated = Object.entries(fieldsOf(fields.properties) ?? {});
    const required = Array.isArray(fields.required)
      ? fields.required.filter((name) => typeof name === 'string')
      : [];
    const names = new Set(stated.map(([name]) => name));
    const unstated = [...new Set(required)].filter((name) => !names.has(name));
    const entries = [...stated, ...unstated.map((name) => [name, true] as const)];
    if (entries.length > FIELDS_MAX) return this.#object({}, depth);
    const more = fields.additionalProperties;
    const open =
      more === true || fieldsOf(more) !== undefined || (more === undefined && entries.length === 0);
    const other = anotherName(entries.map(([name]) => name));
    const field = all(QUOTE, other, text('": '), this.rule(more, depth + 1));
    /** What may come from the field at `i` on, behind others or not. */
    let behind: Rule = open ? times(all(text(', '), field), 0, ITEMS_MAX) : NOTHING;
    let anew: Rule = open ? listed(field, 0, ITEMS_MAX) : NOTHING;
    for (const [name, value] of entries.toReversed()) {
      const one = all(text(`${JSON.stringify(name)}: `), this.rule(value, depth + 1));
      const withIt = all(one, behind);
      const needed = required.includes(name);
      const next = all(text(', '), withIt);
      anew = needed ? withIt : any(withIt, anew);
      behind = needed ? next : any(next, behind);
    }
    return all(text('{'), anew, text('}'));
  }
}

/** Between `min` and `max` of one kind, with commas. */
function listed(rule: Rule, min: number, max: number): Rule {
  if (max === 0) return NOTHING;
  const some = all(rule, times(all(text(', '), rule), Math.max(0, min - 1), max - 1));
  return min === 0 ? any(NOTHING, some) : some;
}

function textOf({ minLength, maxLength }: Fields): Rule {
  const min = countOf(minLength, 0, TEXT_MAX);
  return all(QUOTE, times(ONE, min, Math.max(min, countOf(maxLength, TEXT_MAX, TEXT_MAX))), QUOTE);
}

/** Any JSON value that is at most so deep. */
function openValue(depth: number): Rule {
  const flat = [textOf({}), all(WHOLE, FRACTION), FLAG, NULL];
  if (depth === 0) return any(...flat);
  const inner: Rule = { kind: 'later', rule: () => openOf(depth - 1) };
  const field = all(QUOTE, times(ONE, 1, 64), text('": '), inner);
  return any(
    ...flat,
    all(text('['), listed(inner, 0, ITEMS_MAX), text(']')),
    all(text('{'), listed(field, 0, ITEMS_MAX), text('}')),
  );
}

const OPEN = new Map<number, Rule>();

function openOf(depth: number): Rule {
  const rule = OPEN.get(depth) ?? openValue(depth);
  OPEN.set(depth, rule);
  return rule;
}

function isPlain(code: number): boolean {
  const surrogate = code >= 0xd800 && code <= 0xdfff;
  return (
    code >= 0x20 && code !== 0x22 && code !== BACKSLASH && code !== 0x7f && code !== 0xfffd && !surrogate
  );
}

/** A name that is none of `others`, which stand for themselves: it begins as none of them does. */
function anotherName(others: readonly string[]): Rule {
  const taken = new Set(others.map((name) => name.codePointAt(0)));
  let sample = 'a'.charCodeAt(0);
  while (taken.has(sample) || !isPlain(sample)) sample++;
  const first = character(String.fromCodePoint(sample), (code) => isPlain(code) && !taken.has(code));
  return all(first, times(ONE, 0, 63));
}

function literal(value: unknown): Rule {
  return text(JSON.stringify(value) ?? 'null');
}

function typesOf(fields: Fields): readonly string[] {
  const { type } = fields;
  if (typeof type === 'string') return [type];
  if (Array.isArray(type)) return type.filter((one) => typeof one === 'string');
  if ('properties' in fields || 'required' in fields || 'additionalProperties' in fields) return ['object'];
  if ('items' in fields || 'prefixItems' in fields) return ['array'];
  return [];
}

/** Schemas that hold together, as one: fields of later ones go before. */
function joined(schemas: readonly unknown[]): Fields {
  const parts = schemas.map((schema) => fieldsOf(schema) ?? {});
  const properties = Object.assign({}, ...parts.map((part) => fieldsOf(part.properties) ?? {}));
  const required = parts.flatMap((part) => (Array.isArray(part.required) ? part.required : []));
  return {
    ...Object.assign({}, ...parts),
    ...(Object.keys(properties).length > 0 && { properties }),
    ...(required.length > 0 && { required }),
  };
}

/** What a pointer such as `#/$defs/name` names. */
function found(root: unknown, pointer: string): unknown {
  if (pointer !== '#' && !pointer.startsWith('#/')) return undefined;
  let at: unknown = root;
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    const fields = Array.isArray(at) ? undefined : fieldsOf(at);
    at = fields !== undefined && Object.hasOwn(fields, name) ? fields[name] : undefined;
  }
  return at;
}

function countOf(value: unknown, otherwise: number, max: number): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
    ? Math.min(value, max)
    : otherwise;
}

function unsigned({ minimum, exclusiveMinimum }: Fields): boolean {
  return [minimum, exclusiveMinimum].some((least) => typeof least === 'number' && least >= 0);
}

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : undefined;
}
