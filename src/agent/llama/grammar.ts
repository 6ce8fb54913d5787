/**
 * What may be said, character by character. A rule is followed along all of its ways at once, as a parser of several
 * stacks does; each stack is a list that its ways share. llama.cpp has such grammars too, but its library applies them
 * only where it samples itself, and it knows no way to end early: here the shortest rest is known at any place, so
 * whatever a model does, what it began can be completed.
 */

/** A rule. No rule that is repeated may match nothing. */
export type Rule =
  | { readonly kind: 'text'; readonly text: string }
  /** One character; `sample` is one that fits. */
  | { readonly kind: 'character'; readonly fits: (code: number) => boolean; readonly sample: string }
  | { readonly kind: 'all'; readonly rules: readonly Rule[] }
  | { readonly kind: 'any'; readonly rules: readonly Rule[] }
  | { readonly kind: 'times'; readonly rule: Rule; readonly min: number; readonly max: number }
  /** A rule that is made when it is needed: the way to say that one holds itself. */
  | { readonly kind: 'later'; readonly rule: () => Rule };

/** What is still to come behind a place: the rest of a sequence, or more repetitions. */
type Rest =
  | { readonly rules: readonly Rule[]; readonly from: number; readonly next: Rest }
  | { readonly times: Extract<Rule, { kind: 'times' }>; readonly count: number; readonly next: Rest }
  | undefined;

/** A place where a character is awaited. */
interface Head {
  readonly rule: Extract<Rule, { kind: 'text' | 'character' }>;
  /** Characters of a text that are behind. */
  readonly at: number;
  readonly next: Rest;
}

/** Most ways that are followed at once; more are left out, so that less may be said, never anything else. */
const HEADS_MAX = 2_048;
/** Most rules that are opened for one character. */
const OPENED_MAX = 32_768;
/** Longest text that is looked ahead where there is only one way, UTF-16 units. */
const FORCED_MAX = 1_024;
/** Most rules that are looked at for the shortest text of one. */
const SHORTEST_STEPS_MAX = 20_000;
/** Longest shortest text, UTF-16 units: a rule that demands more counts as one that never ends. */
const SHORTEST_LENGTH_MAX = 65_536;

/** How many rules are looked at, and how many may be. */
export class Work {
  readonly #max: number;
  #taken = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Whether no more may be looked at. */
  get spent(): boolean {
    return this.#taken >= this.#max;
  }

  take(count: number): void {
    this.#taken += count;
  }
}

const SHORTEST = new WeakMap<Rule, string>();

/** How far something has come along a rule. A value: `accept` gives another. */
export class Matcher {
  readonly #heads: readonly Head[];
  /** Whether it may end here. */
  readonly ends: boolean;
  /** What was found behind one more character: many texts that are tried begin alike. */
  readonly #behind = new Map<string, Matcher | undefined>();

  private constructor(heads: readonly Head[], ends: boolean) {
    this.#heads = heads;
    this.ends = ends;
  }

  /** The beginning of `rule`. A rule that can match nothing finite has no way on and does not end. */
  static of(rule: Rule): Matcher {
    const opened = new Opening();
    opened.open(rule, undefined);
    return new Matcher(opened.heads, opened.ends);
  }

  /** Whether it can only end. */
  get over(): boolean {
    return this.#heads.length === 0;
  }

  /** What may come next: of each kind of character one. */
  get samples(): ReadonlySet<string> {
    return new Set(
      this.#heads.map(({ rule, at }) =>
        rule.kind === 'text' ? (charactersOf(rule.text)[at] ?? '') : rule.sample,
      ),
    );
  }

  /** Where it is, as far as that decides what comes next. */
  get place(): string {
    const heads = this.#heads.map(({ rule, at }) => `${numberOf(rule)}.${at}`);
    return `${heads.length} ${[...new Set(heads)].join(' ')}`;
  }

  /** The place behind `text`, or `undefined` where that may not be said, or where that takes more than `work`. */
  accept(text: string, work?: Work): Matcher | undefined {
    let at: Matcher = this;
    for (const character of text) {
      if (work?.spent) return undefined;
      const next = at.#step(character, work);
      if (next === undefined) return undefined;
      at = next;
    }
    return at;
  }

  /** What has to come: text to which there is no other way, and behind which there is one or the end. */
  forced(): string {
    let text = '';
    let at: Matcher = this;
    while (!at.ends && text.length < FORCED_MAX) {
      const only = at.#onlyCharacter();
      const next = only === undefined ? undefined : at.#step(only);
      if (only === undefined || next === undefined) break;
      text += only;
      at = next;
    }
    return text;
  }

  /** The shortest text with which it ends. */
  shortest(): string {
    if (this.ends) return '';
    const texts = this.#heads.map(({ rule, at, next }) => {
      const first = rule.kind === 'text' ? charactersOf(rule.text).slice(at).join('') : rule.sample;
      return first + shortestRest(next);
    });
    return shorter(texts) ?? '';
  }

  #step(character: string, work?: Work): Matcher | undefined {
    if (this.#behind.has(character)) return this.#behind.get(character);
    const behind = this.#opened(character, work);
    this.#behind.set(character, behind);
    return behind;
  }

  #opened(character: string, work: Work | undefined): Matcher | undefined {
    const code = character.codePointAt(0) ?? 0;
    const opened = new Opening();
    for (const { rule, at, next } of this.#heads) {
      if (rule.kind === 'character') {
        if (rule.fits(code)) opened.go(next);
        continue;
      }
      const characters = charactersOf(rule.text);
      if (characters[at] !== character) continue;
      if (at + 1 < characters.length) opened.add({ rule, at: at + 1, next });
      else opened.go(next);
    }
    const { heads, ends } = opened;
    work?.take(this.#heads.length + opened.steps);
    return heads.length === 0 && !ends ? undefined : new Matcher(heads, ends);
  }

  #onlyCharacter(): string | undefined {
    let only: string | undefined;
    for (const { rule, at } of this.#heads) {
      const character = rule.kind === 'text' ? charactersOf(rule.text)[at] : undefined;
      if (character === undefined || (only !== undefined && only !== character)) return undefined;
      only = character;
    }
    return only;
  }
}

/** Opens rules until characters are awaited. */
class Opening {
  readonly heads: Head[] = [];
  ends = false;
  /** Rules that were opened. */
  steps = 0;
  /** Rules that are being opened, with what is behind them: whoever comes again has found nothing new. */
  readonly #open = new Map<Rule, Set<Rest>>();

  add(head: Head): void {
    if (this.heads.length < HEADS_MAX) this.heads.push(head);
  }

  open(rule: Rule, next: Rest): void {
    if (++this.steps > OPENED_MAX || shortestOf(rule) === undefined) return;
    const known = this.#open.get(rule);
    if (known?.has(next)) return;
    if (known) known.add(next);
    else this.#open.set(rule, new Set([next]));
    if (rule.kind === 'character') this.add({ rule, at: 0, next });
    else if (rule.kind === 'text') {
      if (rule.text === '') this.go(next);
      else this.add({ rule, at: 0, next });
    } else if (rule.kind === 'all') this.go({ rules: rule.rules, from: 0, next });
    else if (rule.kind === 'times') this.go({ times: rule, count: 0, next });
    else if (rule.kind === 'later') this.open(rule.rule(), next);
    else for (const one of rule.rules) this.open(one, next);
  }

  go(rest: Rest): void {
    if (rest === undefined) {
      this.ends = true;
    } else if ('times' in rest) {
      const { times, count, next } = rest;
      if (count >= times.min) this.go(next);
      if (count < times.max) this.open(times.rule, { times, count: count + 1, next });
    } else {
      const { rules, from, next } = rest;
      const rule = rules[from];
      if (rule === undefined) this.go(next);
      else this.open(rule, from + 1 < rules.length ? { rules, from: from + 1, next } : next);
    }
  }
}

/** The shortest text of a rule, or `undefined` where it never ends. */
export function shortestOf(rule: Rule): string | undefined {
  let steps = 0;
  const within = new Set<Rule>();
  const of = (one: Rule): string | undefined => {
    const known = SHORTEST.get(one);
    if (known !== undefined) return known;
    if (within.has(one) || ++steps > SHORTEST_STEPS_MAX) return undefined;
    within.add(one);
    const found = made(one);
    within.delete(one);
    if (found !== undefined) SHORTEST.set(one, found);
    return found;
  };
  const made = (one: Rule): string | undefined => {
    if (one.kind === 'text') return one.text;
    if (one.kind === 'character') return one.sample;
    if (one.kind === 'later') return of(one.rule());
    if (one.kind === 'any') return shorter(one.rules.map(of));
    if (one.kind === 'times') {
      const each = one.min === 0 ? '' : of(one.rule);
      const fits = each !== undefined && each.length * one.min <= SHORTEST_LENGTH_MAX;
      return fits ? each.repeat(one.min) : undefined;
    }
    const texts = one.rules.map(of);
    const length = texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
    return texts.includes(undefined) || length > SHORTEST_LENGTH_MAX ? undefined : texts.join('');
  };
  return of(rule);
}

function shortestRest(rest: Rest): string {
  let text = '';
  for (let at = rest; at !== undefined; at = at.next) {
    if ('times' in at) text += (shortestOf(at.times.rule) ?? '').repeat(Math.max(0, at.times.min - at.count));
    else
      text += at.rules
        .slice(at.from)
        .map((rule) => shortestOf(rule) ?? '')
        .join('');
  }
  return text;
}

const NUMBERS = new WeakMap<Rule, number>();
let numbers = 0;

/** A number of its own for each rule. */
function numberOf(rule: Rule): number {
  const known = NUMBERS.get(rule) ?? ++numbers;
  NUMBERS.set(rule, known);
  return known;
}

function shorter(texts: readonly (string | undefined)[]): string | undefined {
  let best: string | undefined;
  for (const text of texts) {
    if (text !== undefined && (best === undefined || text.length < best.length)) best = text;
  }
  return best;
}

const CHARACTERS = new Map<string, readonly string[]>();
const CHARACTERS_MAX = 4_096;

/** The characters of a text of a rule; those of the last ones are remembered. */
function charactersOf(text: string): readonly string[] {
  const known = CHARACTERS.get(text);
  if (known !== undefined) return known;
  const characters = [...text];
  if (CHARACTERS.size >= CHARACTERS_MAX) CHARACTERS.clear();
  CHARACTERS.set(text, characters);
  return characters;
}
