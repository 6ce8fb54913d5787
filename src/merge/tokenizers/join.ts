/**
 * Joining vocabularies: the tokens of the output, with their numbers, and for each model which of its own rows each of
 * them is. The tokens of the base, or of the model that the recipe names, keep their numbers; the others follow, model
 * by model, in the order of their own numbers.
 */
import type { RecipeTokenizer } from '../recipe-tokenizer.ts';
import { type AddedToken, plainToken, stripVocabulary, type Vocabulary } from './vocabulary.ts';

/** A model's vocabulary as it is joined. */
export interface NamedVocabulary {
  readonly vocabulary: Vocabulary;
  /** Tokens from this number on have no embedding. */
  readonly rows: number;
}

/** The tokens of the output. */
export interface JoinedTokens {
  /** Number of every token. */
  readonly ids: ReadonlyMap<string, number>;
  /** Rows that stand for tokens: one more than the greatest number. */
  readonly tokens: number;
  /** Rows of the embedding, at least `tokens`. */
  readonly rows: number;
  /** `tokenizer.json`, with what was added and taken out; and the added tokens. */
  readonly file: Readonly<Record<string, unknown>>;
  readonly added: ReadonlyMap<string, AddedToken>;
  /** Whether `file` is that of the model it comes from; otherwise it has to be written anew. */
  readonly unchanged: boolean;
  /** Whether tokens were taken out of the vocabulary itself, not only of those added. */
  readonly stripped: boolean;
}

/**
 * Joins `models` as the recipe says. `lead` is the vocabulary that keeps its numbers; with `union` it is among `models`,
 * and so it is when the recipe names none.
 */
export function joinVocabularies(
  wanted: RecipeTokenizer,
  { lead, models }: { readonly lead: NamedVocabulary; readonly models: readonly NamedVocabulary[] },
): JoinedTokens {
  const start = stripVocabulary(lead.vocabulary, lead.rows);
  const output = new GrowingVocabulary(start);
  if (wanted.source === 'union') output.unite(models);
  for (const { token } of wanted.tokens) output.add(plainToken(token));
  const tokens = output.next;
  const multiple = wanted.padToMultipleOf ?? 1;
  return {
    ids: output.ids,
    tokens,
    rows: Math.ceil(tokens / multiple) * multiple,
    file: output.changed ? { ...start.file, added_tokens: output.entries() } : start.file,
    added: output.added,
    unchanged: !output.changed && start === lead.vocabulary,
    stripped: [...lead.vocabulary.ids].some(
      ([token, id]) => id >= lead.rows && !lead.vocabulary.added.has(token),
    ),
  };
}

class GrowingVocabulary {
  readonly ids: Map<string, number>;
  readonly added: Map<string, AddedToken>;
  next: number;
  changed = false;

  constructor({ ids, added }: Vocabulary) {
    this.ids = new Map(ids);
    this.added = new Map(added);
    this.next = greatest(ids) + 1;
  }

  /** Plain tokens of all models first, then those that were added to them: an added token stays one. */
  unite(models: readonly NamedVocabulary[]): void {
    const special = new Set(models.flatMap((model) => [...usedAdded(model)]));
    for (const { vocabulary, rows } of models) {
      const plain = [...vocabulary.ids].filter(([token, id]) => id < rows && !special.has(token));
      for (const [token] of plain.sort(([, a], [, b]) => a - b)) this.add(plainToken(token));
    }
    for (const model of models) {
      const own = [...usedAdded(model)].sort((a, b) => idOf(model, a) - idOf(model, b));
      for (const token of own) {
        const how = model.vocabulary.added.get(token);
        if (how && !this.added.has(token)) this.#put(how);
      }
    }
  }

  /** Adds a token unless it is there. */
  add(token: AddedToken): void {
    if (!this.ids.has(token.content)) this.#put(token);
  }

  /** The added tokens as `tokenizer.json` lists them. */
  entries(): readonly ({ readonly id: number } & AddedToken)[] {
    const entries = [...this.added.values()].map((token) => ({
      id: this.ids.get(token.content) ?? 0,
      ...token,
    }));
    return entries.sort((a, b) => a.id - b.id);
  }

  #put(token: AddedToken): void {
    if (!this.ids.has(token.content)) this.ids.set(token.content, this.next++);
    this.added.set(token.content, token);
    this.changed = true;
  }
}

function usedAdded({ vocabulary, rows }: NamedVocabulary): Set<string> {
  return new Set([...vocabulary.added.keys()].filter((token) => (vocabulary.ids.get(token) ?? rows) < rows));
}

function idOf({ vocabulary }: NamedVocabulary, token: string): number {
  return vocabulary.ids.get(token) ?? 0;
}

function greatest(ids: ReadonlyMap<string, number>): number {
  let most = -1;
  for (const id of ids.values()) if (id > most) most = id;
  return most;
}
