/** What a recipe says about the output's tokens: whose tokenizer it has, and where single tokens come from. */
import { TOKEN_ID_MAX, VOCABULARY_ROWS_MAX } from './limits.ts';
import { isAbsent, isCount, isRecord, meant, type ValueReader } from './recipe-values.ts';

/** Where the embedding of a token comes from: a model's own, that of another of a model's tokens, or zero. */
export type TokenOrigin =
  | { readonly kind: 'model'; readonly model: string }
  | { readonly kind: 'token'; readonly model: string; readonly token: string | number }
  | { readonly kind: 'zero' };

/** A token that a recipe speaks of; the output has it in any case. */
export interface RecipeToken {
  readonly token: string;
  readonly origin: TokenOrigin;
  /** Whether models that have the token take this embedding too, instead of their own. */
  readonly force: boolean;
}

/** What a recipe says about the output's tokens. */
export interface RecipeTokenizer {
  /** `union`, `base`, or a model. */
  readonly source: string;
  readonly tokens: readonly RecipeToken[];
  /** Rows of the embedding are a multiple of it. Default: as many as there are tokens. */
  readonly padToMultipleOf?: number;
}

/** Reads `tokenizer_source` or `tokenizer`, of which a recipe has one at most. */
export function readTokenizer(
  { tokenizer, tokenizer_source: plain }: Record<string, unknown>,
  reader: ValueReader,
): RecipeTokenizer | undefined {
  if (isAbsent(tokenizer)) {
    const source = isAbsent(plain) ? undefined : readSource(plain, 'tokenizer_source', reader);
    return source === undefined ? undefined : { source, tokens: [] };
  }
  if (!isAbsent(plain)) reader.problems.add('a recipe has either tokenizer_source or tokenizer');
  if (!isRecord(tokenizer)) {
    reader.problems.add('tokenizer is not a mapping');
    return undefined;
  }
  reader.keys(tokenizer, { where: 'tokenizer', known: ['source', 'tokens', 'pad_to_multiple_of'] });
  const source = isAbsent(tokenizer.source)
    ? 'union'
    : readSource(tokenizer.source, 'tokenizer.source', reader);
  const tokens = readTokens(tokenizer.tokens, reader);
  const multiple = tokenizer.pad_to_multiple_of;
  if (isAbsent(multiple)) return source === undefined ? undefined : { source, tokens };
  if (!isCount(multiple) || multiple === 0 || multiple > VOCABULARY_ROWS_MAX) {
    reader.problems.add('tokenizer.pad_to_multiple_of is not a whole number of at least 1');
    return undefined;
  }
  return source === undefined ? undefined : { source, tokens, padToMultipleOf: multiple };
}

// Older recipes write `model:PATH`.
function readSource(value: unknown, where: string, reader: ValueReader): string | undefined {
  return reader.model(value, where)?.replace(/^model:(?=.)/, '');
}

function readTokens(value: unknown, reader: ValueReader): readonly RecipeToken[] {
  if (isAbsent(value)) return [];
  if (!isRecord(value)) return reader.wrong('tokenizer.tokens is not a mapping');
  return Object.entries(value).flatMap(([token, item]): RecipeToken[] => {
    const where = `tokenizer.tokens.${token}`;
    if (token === '') return reader.wrong('tokenizer.tokens: a token is empty');
    if (!isRecord(item)) return reader.wrong(`${where} is not a mapping`);
    reader.keys(item, { where, known: ['source', 'force'] });
    const force = reader.flag(item.force, `${where}.force`);
    const origin = readOrigin(item.source, `${where}.source`, reader);
    return origin === undefined ? [] : [{ token, origin, force }];
  });
}

const KINDS = ['model_token', 'zero'];

function readOrigin(value: unknown, where: string, reader: ValueReader): TokenOrigin | undefined {
  if (isAbsent(value)) {
    reader.problems.add(`${where} is missing: it is a model, {kind: model_token, ...} or {kind: zero}`);
    return undefined;
  }
  if (!isRecord(value) || value.kind === undefined) {
    const model = reader.model(value, where);
    return model === undefined ? undefined : { kind: 'model', model };
  }
  if (value.kind === 'zero') {
    reader.keys(value, { where, known: ['kind'] });
    return { kind: 'zero' };
  }
  if (value.kind !== 'model_token') {
    const kind = String(value.kind);
    reader.problems.add(`${where}.kind: ${kind} is not one of ${KINDS.join(', ')}${meant(kind, KINDS)}`);
    return undefined;
  }
  reader.keys(value, { where, known: ['kind', 'model', 'token', 'token_id'] });
  const model = reader.model(value.model, `${where}.model`);
  const { token, token_id: id } = value;
  if (isAbsent(token) === isAbsent(id)) {
    reader.problems.add(`${where} has either token or token_id`);
    return undefined;
  }
  const wanted = isAbsent(token) ? id : token;
  const sound = typeof wanted === 'string' ? wanted !== '' : isCount(wanted) && wanted <= TOKEN_ID_MAX;
  if (typeof wanted !== (isAbsent(token) ? 'number' : 'string') || !sound) {
    reader.problems.add(`${where}: ${isAbsent(token) ? 'token_id is not a number' : 'token is not a text'}`);
    return undefined;
  }
  const named = typeof wanted === 'string' ? wanted : Number(wanted);
  return model === undefined ? undefined : { kind: 'token', model, token: named };
}
