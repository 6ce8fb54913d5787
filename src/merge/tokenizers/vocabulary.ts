/**
 * A model's tokens out of its `tokenizer.json`, with what `tokenizer_config.json` and `added_tokens.json` add to them.
 * Tokens are compared by their text.
 */
import { SaharaError } from '../../base/errors.ts';
import { TOKEN_ID_MAX, TOKENIZER_BYTES_MAX } from '../limits.ts';
import { isCount, isRecord } from '../recipe-values.ts';
import { readSideJson, type SideFolder } from '../side-folder.ts';

/** File of the vocabulary that is read. */
export const TOKENIZER_NAME: string = 'tokenizer.json';
const ADDED_NAME = 'added_tokens.json';
const CONFIG_NAME = 'tokenizer_config.json';

/** A token that is matched before the text is cut into the model's own, with how it is matched. */
export interface AddedToken {
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

/** A vocabulary. */
export interface Vocabulary {
  /** `tokenizer.json` as it was read. */
  readonly file: Readonly<Record<string, unknown>>;
  /** The number of every token, added ones included. */
  readonly ids: ReadonlyMap<string, number>;
  readonly added: ReadonlyMap<string, AddedToken>;
}

/** A token that was added without saying how. */
export function plainToken(content: string): AddedToken {
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: true, special: false };
  return { content, ...flags };
}

/**
 * Reads the vocabulary in `folder`; `undefined` when there is no `tokenizer.json`. Fails with `tensor-invalid` when it
 * is not one.
 */
export async function readVocabulary(folder: SideFolder): Promise<Vocabulary | undefined> {
  const file = await readSideJson(folder, TOKENIZER_NAME, TOKENIZER_BYTES_MAX);
  if (file === undefined) return undefined;
  const config = await readSideJson(folder, CONFIG_NAME, TOKENIZER_BYTES_MAX);
  const legacy = await readSideJson(folder, ADDED_NAME, TOKENIZER_BYTES_MAX);
  return vocabularyOf(file, { config, legacy });
}

/** The vocabulary in the parsed `tokenizer.json`, with those files beside it that there are. Fails as `readVocabulary`. */
export function vocabularyOf(
  file: Readonly<Record<string, unknown>>,
  beside: {
    readonly config: Readonly<Record<string, unknown>> | undefined;
    readonly legacy: Readonly<Record<string, unknown>> | undefined;
  },
): Vocabulary {
  const ids = modelIds(file);
  const added = new Map<string, AddedToken>();
  const add = (id: unknown, entry: Record<string, unknown>): void => {
    const { content } = entry;
    if (!isTokenId(id) || typeof content !== 'string') throw invalid('has an added token without number');
    // What stands in the vocabulary itself goes before files beside it.
    if (content === '' || added.has(content)) return;
    added.set(content, { ...plainToken(content), ...flagsOf(entry) });
    ids.set(content, id);
  };
  for (const entry of listOf(file.added_tokens)) if (isRecord(entry)) add(entry.id, entry);
  for (const [id, entry] of Object.entries(recordOf(beside.config?.added_tokens_decoder)))
    if (isRecord(entry)) add(Number(id), entry);
  for (const [content, id] of Object.entries(beside.legacy ?? {}))
    if (!ids.has(content)) add(id, { content });
  return { file, ids, added };
}

/** The vocabulary without the tokens that a model of `rows` rows has no embedding for. */
export function stripVocabulary(vocabulary: Vocabulary, rows: number): Vocabulary {
  const unused = new Set([...vocabulary.ids].flatMap(([token, id]) => (id >= rows ? [token] : [])));
  if (unused.size === 0) return vocabulary;
  const { file } = vocabulary;
  const keep = ([token]: readonly [string, unknown]): boolean => !unused.has(token);
  const added = listOf(file.added_tokens).filter((entry) => isRecord(entry) && Number(entry.id) < rows);
  return {
    file: { ...file, added_tokens: added, model: stripModel(recordOf(file.model), { unused, rows }) },
    ids: new Map([...vocabulary.ids].filter(keep)),
    added: new Map([...vocabulary.added].filter(keep)),
  };
}

function stripModel(
  model: Record<string, unknown>,
  { unused, rows }: { unused: ReadonlySet<string>; rows: number },
): Record<string, unknown> {
  const { vocab, merges } = model;
  const kept = Array.isArray(vocab)
    ? vocab.slice(0, rows)
    : Object.fromEntries(Object.entries(recordOf(vocab)).filter(([token]) => !unused.has(token)));
  if (!Array.isArray(merges)) return { ...model, vocab: kept };
  const isKept = (merge: unknown): boolean => {
    const parts: unknown[] = typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : [];
    const made = parts.join('');
    return !unused.has(made) && parts.every((part) => typeof part === 'string' && !unused.has(part));
  };
  return { ...model, vocab: kept, merges: merges.filter(isKept) };
}

// BPE and WordPiece name the numbers; Unigram has them by place, each beside its score.
function modelIds(file: Readonly<Record<string, unknown>>): Map<string, number> {
  const { vocab } = recordOf(file.model);
  const ids = new Map<string, number>();
  if (Array.isArray(vocab)) {
    for (const [id, entry] of vocab.entries()) {
      const token: unknown = Array.isArray(entry) ? entry[0] : undefined;
      if (typeof token !== 'string') throw invalid('has an entry without a text');
      // Doubled texts stand for the later one nowhere: the first is what a text is cut into.
      if (!ids.has(token)) ids.set(token, id);
    }
    if (vocab.length > TOKEN_ID_MAX) throw invalid('has too many tokens');
    return ids;
  }
  if (!isRecord(vocab)) throw invalid('has no vocabulary');
  for (const [token, id] of Object.entries(vocab)) {
    if (!isTokenId(id)) throw invalid('has a token without number');
    ids.set(token, id);
  }
  return ids;
}

function isTokenId(value: unknown): value is number {
  return isCount(value) && value <= TOKEN_ID_MAX;
}

function flagsOf(entry: Record<string, unknown>): Partial<AddedToken> {
  const names = ['single_word', 'lstrip', 'rstrip', 'normalized', 'special'] as const;
  return Object.fromEntries(
    names.flatMap((name) => (typeof entry[name] === 'boolean' ? [[name, entry[name]]] : [])),
  );
}

function recordOf(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function invalid(reason: string): SaharaError {
  return new SaharaError('tensor-invalid', { reason: `${TOKENIZER_NAME} ${reason}` });
}
