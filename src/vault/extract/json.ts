/** JSON and JSON Lines: every record as lines of path and value, so that each value says what it is. */
import { type Block, type Extracted, oneLine } from '../blocks.ts';
import { EXTRACTED_BYTES_MAX, JSON_VALUES_MAX, NESTING_MAX } from '../limits.ts';
import { tooLarge, tooMany, unreadable } from './refusals.ts';

/**
 * Parses JSON that may be hostile. Errors: `document-unreadable` with the place, also for nesting above `NESTING_MAX`;
 * `document-too-large` above `JSON_VALUES_MAX` values, before anything is built of them.
 */
export function parseJson(name: string, text: string): unknown {
  measure(name, text);
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? oneLine(error.message).slice(0, 160) : 'it does not parse';
    throw unreadable(name, `it is no sound JSON: ${reason}`, 'correct the file, or save it as text');
  }
}

/** One pass that counts values and nesting, outside of texts. */
function measure(name: string, text: string): void {
  let depth = 0;
  let values = 1;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (quoted) {
      if (code === BACKSLASH) at++;
      else if (code === QUOTE) quoted = false;
    } else if (code === QUOTE) quoted = true;
    else if (code === COMMA) values++;
    else if (code === OPEN_LIST || code === OPEN_OBJECT) {
      values++;
      if (++depth > NESTING_MAX) {
        throw unreadable(name, `it is nested more than ${NESTING_MAX} deep`, 'save it flatter');
      }
    } else if (code === CLOSE_LIST || code === CLOSE_OBJECT) depth--;
    if (values > JSON_VALUES_MAX) throw tooMany(name, 'more values', JSON_VALUES_MAX);
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const OPEN_OBJECT = 0x7b;
const CLOSE_LIST = 0x5d;
const CLOSE_OBJECT = 0x7d;

/** The records of a JSON document: the elements of its lists of objects, and one for the rest. */
export function extractJson(name: string, value: unknown): Extracted {
  const writer = new Writer(name);
  writer.top(value);
  return { title: undefined, blocks: writer.blocks };
}

/** The records of a JSON Lines document. Errors: `document-unreadable` with the number of the line. */
export function extractJsonLines(name: string, text: string): Extracted {
  const writer = new Writer(name);
  let number = 0;
  for (const line of text.split('\n')) {
    number++;
    if (line.trim() === '') continue;
    writer.record(parseJson(`${name} line ${number}`, line));
  }
  return { title: undefined, blocks: writer.blocks };
}

/** Longest path in front of a value, characters. */
const PATH_CHARACTERS_MAX = 24;

class Writer {
  readonly blocks: Block[] = [];
  readonly #name: string;
  #characters = 0;

  constructor(name: string) {
    this.#name = name;
  }

  top(value: unknown): void {
    if (!isObject(value)) {
      this.record(value);
      return;
    }
    const rest: Record<string, unknown> = {};
    const lists: [string, readonly unknown[]][] = [];
    for (const [key, inside] of Object.entries(value)) {
      if (Array.isArray(inside) && inside.some(isObject)) lists.push([key, inside]);
      else Object.defineProperty(rest, key, { value: inside, enumerable: true });
    }
    this.record(rest);
    for (const [key, list] of lists) {
      this.blocks.push({ kind: 'heading', level: 1, text: oneLine(key) });
      for (const element of list) this.record(element);
    }
  }

  /** One record as one block; a list as many. */
  record(value: unknown): void {
    if (Array.isArray(value) && value.some((element) => typeof element === 'object' && element !== null)) {
      for (const element of value) this.record(element);
      return;
    }
    const lines: string[] = [];
    this.#lines(value, '', lines);
    if (lines.length > 0) this.blocks.push({ kind: 'table', text: lines.join('\n') });
  }

  #lines(value: unknown, path: string, lines: string[]): void {
    if (value === null || value === '' || value === undefined) return;
    if (Array.isArray(value) && !value.some((element) => typeof element === 'object' && element !== null)) {
      this.#line(path, value.filter((element) => element !== null).join(', '), lines);
    } else if (typeof value === 'object') {
      for (const [key, inside] of Object.entries(value)) {
        this.#lines(
          inside,
          Array.isArray(value) || path === '' ? named(path, key, value) : `${path}.${key}`,
          lines,
        );
      }
    } else this.#line(path, String(value), lines);
  }

  #line(path: string, value: string, lines: string[]): void {
    const text = oneLine(value);
    if (text === '') return;
    const shown = oneLine(path).slice(-PATH_CHARACTERS_MAX).toWellFormed();
    const line = shown === '' ? text : `${shown}: ${text}`;
    this.#characters += line.length + 2;
    if (this.#characters > EXTRACTED_BYTES_MAX) {
      throw tooLarge(this.#name, this.#characters, EXTRACTED_BYTES_MAX);
    }
    lines.push(line);
  }
}

/** The path of a key: numbers of a list's elements say nothing. */
function named(path: string, key: string, holder: object): string {
  return Array.isArray(holder) ? path : key;
}

/** Whether a value of parsed JSON is an object and no list. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
