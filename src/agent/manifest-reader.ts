/** Reads YAML strictly: every complaint names the line, the field, what was found and what is allowed. */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  parseDocument,
} from 'yaml';
import { formatDecimal, parseAmount } from '../base/amount.ts';
import { utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { nearestNames } from '../base/nearest.ts';
import { PPM } from '../protocol/limits.ts';
import { GRAINS_MAX } from '../protocol/schema.ts';

const VARIABLE = /^[A-Z_][A-Z0-9_]{0,127}$/;

/** A value in a YAML file. */
export interface Place {
  readonly file: string;
  /** Dotted path of the field; empty for the whole file. */
  readonly field: string;
  readonly line: number;
  readonly node: ParsedNode | null;
  readonly lineOf: (node: ParsedNode | null) => number;
}

/** The top of a YAML document. Errors: `manifest-invalid` for bad syntax, aliases and several documents. */
export function readYaml(file: string, text: string): Place {
  const lines = new LineCounter();
  const document = parsed(file, text, lines);
  const [trouble] = [...document.errors, ...document.warnings];
  if (trouble !== undefined) {
    const line = trouble.linePos?.[0].line ?? 1;
    const found = (trouble.message.split('\n')[0] ?? '').replace(/ at line \d+.*$/, '');
    throw new SaharaError('manifest-invalid', {
      file,
      line,
      field: '',
      found,
      allowed: 'YAML 1.2, one document',
    });
  }
  const lineOf = (node: ParsedNode | null): number => (node?.range ? lines.linePos(node.range[0]).line : 1);
  return { file, field: '', line: lineOf(document.contents), node: document.contents, lineOf };
}

function parsed(file: string, text: string, lineCounter: LineCounter): Document.Parsed {
  try {
    return parseDocument(text, { lineCounter, intAsBigInt: true, schema: 'core', merge: false });
  } catch (error) {
    // The parser out of stack on absurd nesting: the text's fault.
    if (!(error instanceof RangeError)) throw error;
    const allowed = 'YAML 1.2, one document';
    throw new SaharaError('manifest-invalid', {
      file,
      line: 1,
      field: '',
      found: 'too deep nesting',
      allowed,
    });
  }
}

/** The complaint about a value. */
export function invalid(place: Place, allowed: string, found: string = describe(place.node)): SaharaError {
  const { file, line, field } = place;
  return new SaharaError('manifest-invalid', { file, line, field, found, allowed });
}

/** The fields of a mapping; anything but `allowed` is refused. An empty value counts as absent. */
export function fields<const K extends string>(
  place: Place,
  allowed: readonly K[],
): (name: K) => Place | undefined {
  if (!isMap(place.node)) throw invalid(place, `a mapping with the fields ${allowed.join(', ')}`);
  const found = new Map<string, Place>();
  for (const { key, value } of place.node.items) {
    const name = isScalar(key) ? String(key.value) : '';
    const field = place.field === '' ? name : `${place.field}.${name}`;
    const line = place.lineOf(key);
    const item: Place = { ...place, field, line, node: value };
    if (!allowed.some((other) => other === name)) {
      const near = nearestNames(name, allowed);
      const hint = near.length > 0 ? ` (did you mean ${near.join(' or ')}?)` : '';
      throw invalid(item, `one of ${allowed.join(', ')}${hint}`, `unknown field "${name}"`);
    }
    if (isAlias(value)) throw invalid(item, 'a value written out', 'an alias');
    if (!(value === null || (isScalar(value) && value.value === null))) found.set(name, item);
  }
  return (name) => found.get(name);
}

/** What `read` makes of a field that is there. */
export function given<T>(place: Place | undefined, read: (place: Place) => T): T | undefined {
  return place === undefined ? undefined : read(place);
}

/** A text of `min` to `max` UTF-8 bytes. */
export function readText(place: Place, bounds: { readonly min?: number; readonly max: number }): string {
  const { min = 1, max } = bounds;
  const value = isScalar(place.node) ? place.node.value : undefined;
  const allowed = min === 0 ? `a text of at most ${max} bytes` : `a text of ${min} to ${max} bytes`;
  if (typeof value !== 'string') throw invalid(place, allowed);
  const length = utf8(value.trim()).length;
  if (length < min || length > max) throw invalid(place, allowed, `${length} bytes`);
  return value.trim();
}

/** A field that has to be there. */
export function required(place: Place, name: string, found: Place | undefined, allowed: string): Place {
  if (found === undefined) throw invalid({ ...place, field: `${place.field}.${name}` }, allowed, 'nothing');
  return found;
}

/** An http or https URL without a password, at most 512 bytes. */
export function readUrl(place: Place): string {
  const url = readText(place, { max: 512 });
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const plain = parsed !== undefined && parsed.username === '' && parsed.password === '';
  if (!plain || !/^https?:$/.test(parsed.protocol))
    throw invalid(place, 'an http or https URL without a password');
  return url;
}

/** The name of an environment variable. */
export function readVariable(place: Place): string {
  const name = readText(place, { max: 128 });
  // The name is echoed, so it must not be a key that somebody pasted.
  if (!VARIABLE.test(name)) throw invalid(place, 'the name of an environment variable', 'something else');
  return name;
}

/** A mapping of anything that JSON can say, at most `bytesMax` bytes of it. */
export function readObject(place: Place, bytesMax: number): Readonly<Record<string, unknown>> {
  const allowed = `a mapping of at most ${bytesMax} bytes`;
  if (!isMap(place.node)) throw invalid(place, allowed);
  const numbers = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);
  const json = JSON.stringify(place.node.toJSON(), numbers);
  const sizeBytes = utf8(json).length;
  if (sizeBytes > bytesMax) throw invalid(place, allowed, `${sizeBytes} bytes`);
  return JSON.parse(json);
}

/** A whole number from `min` to `max`. */
export function readInteger(place: Place, bounds: { readonly min: number; readonly max: number }): number {
  const value = isScalar(place.node) ? place.node.value : undefined;
  const inside = typeof value === 'bigint' && value >= BigInt(bounds.min) && value <= BigInt(bounds.max);
  if (!inside) throw invalid(place, `a whole number from ${bounds.min} to ${bounds.max}`);
  return Number(value);
}

/** True or false. */
export function readBoolean(place: Place): boolean {
  const value = isScalar(place.node) ? place.node.value : undefined;
  if (typeof value !== 'boolean') throw invalid(place, 'true or false');
  return value;
}

/** One of a closed list of words. */
export function readWord<const W extends string>(place: Place, words: readonly W[]): W {
  const value = isScalar(place.node) ? place.node.value : undefined;
  const word = words.find((other) => other === value);
  if (word === undefined) throw invalid(place, `one of ${words.join(', ')}`);
  return word;
}

/** Up to `max` values. */
export function readList<T>(place: Place, max: number, read: (item: Place) => T): T[] {
  if (!isSeq(place.node)) throw invalid(place, `a list of at most ${max}`);
  if (place.node.items.length > max)
    throw invalid(place, `a list of at most ${max}`, `${place.node.items.length}`);
  return place.node.items.map((node, i) => {
    // A parsed sequence holds parsed nodes.
    const item = node as ParsedNode;
    const at = { ...place, field: `${place.field}[${i}]`, line: place.lineOf(item), node: item };
    if (isAlias(item)) throw invalid(at, 'a value written out', 'an alias');
    return read(at);
  });
}

/** An amount: whole grains, or a text with its unit such as `0.002 SAHARA` or `250 grains`. */
export function readAmount(place: Place): bigint {
  const value = isScalar(place.node) ? place.node.value : undefined;
  const allowed = `whole grains, or a text such as "0.002 SAHARA", at most ${formatDecimal(GRAINS_MAX)} SAHARA`;
  const unit = typeof value === 'string' && /(?:SAHARA|grains?)$/i.test(value.trim());
  const amount = typeof value === 'bigint' ? value : unit ? parseAmount(value) : undefined;
  if (amount === undefined || amount < 0n || amount > GRAINS_MAX) throw invalid(place, allowed);
  return amount;
}

/** A share in millionths: a whole number of them, or a text such as `12.5 %`. */
export function readShare(place: Place): number {
  const value = isScalar(place.node) ? place.node.value : undefined;
  const allowed = 'parts per million from 0 to 1000000, or a text such as "12.5 %"';
  if (typeof value === 'bigint' && value >= 0n && value <= BigInt(PPM)) return Number(value);
  const percent = typeof value === 'string' ? /^(\d{1,3})(?:\.(\d{1,4}))? ?%$/.exec(value.trim()) : null;
  if (percent === null) throw invalid(place, allowed);
  const ppm = Number(percent[1]) * 10_000 + Number((percent[2] ?? '').padEnd(4, '0'));
  if (ppm > PPM) throw invalid(place, allowed);
  return ppm;
}

function describe(node: ParsedNode | null): string {
  if (isMap(node)) return 'a mapping';
  if (isSeq(node)) return 'a list';
  if (isScalar(node)) {
    const text = String(node.value);
    return text.length > 80 ? `${text.slice(0, 80)}…` : text;
  }
  return 'nothing';
}
