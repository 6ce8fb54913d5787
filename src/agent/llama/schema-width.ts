/**
 * Whether a schema of arguments can be followed while a model writes them. Hundreds of alternatives that begin alike
 * are followed all at once, for each token that could be next: what that costs a host is looked at before a tool is
 * told to any.
 */
import { Matcher, Work } from './grammar.ts';
import { RULES_EXPLORED_MAX, RULES_PER_CHARACTER_MAX } from './limits.ts';
import { ruleOfArguments } from './schema-grammar.ts';

/** Schemas whose answer is remembered: servers of tools list theirs again and again. */
const KNOWN_MAX = 256;
const known = new Map<string, boolean>();

/**
 * Whether one character of arguments that fit `schema` would have to be looked up in more than
 * `RULES_PER_CHARACTER_MAX` rules, as far as a walk through `RULES_EXPLORED_MAX` of them shows.
 */
export function isTooWide(schema: unknown): boolean {
  const name = JSON.stringify(schema);
  const found = known.get(name) ?? walk(schema);
  known.delete(name);
  known.set(name, found);
  if (known.size > KNOWN_MAX) known.delete([...known.keys()][0] ?? '');
  return found;
}

function walk(schema: unknown): boolean {
  const work = new Work(RULES_EXPLORED_MAX);
  const waiting = [Matcher.of(ruleOfArguments(schema))];
  const seen = new Set<string>();
  for (let at = waiting.shift(); at !== undefined && !work.spent; at = waiting.shift()) {
    const { place } = at;
    if (seen.has(place)) continue;
    seen.add(place);
    for (const sample of at.samples) {
      const before = work.taken;
      const behind = at.accept(sample, work);
      if (work.taken - before > RULES_PER_CHARACTER_MAX) return true;
      if (behind !== undefined) waiting.push(behind);
    }
  }
  return false;
}
