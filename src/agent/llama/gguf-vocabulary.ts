/** What a model's vocabulary has to be before llama.cpp may read it: it looks tokens up without asking twice. */
import { unsound } from './gguf-error.ts';
import { arrayAt, eachText, holdsTexts, integerAt, type Metadata, numbersOf, textAt } from './gguf-values.ts';
import { TEMPLATE_BYTES_MAX, VOCABULARY_MAX } from './limits.ts';

const F32 = 6;
const I32 = 5;
const TOKEN_TYPE_MAX = 6;
const BYTES = 256;
const TOKENIZERS: readonly string[] = ['llama', 'gpt2', 'bert'];
/** The tokens that llama.cpp takes for special in a `bert` vocabulary where the file names none are before this. */
const BERT_TOKENS_MIN = 104;
const MERGES_MAX = 4 * VOCABULARY_MAX;
const SPECIAL = /^tokenizer\.ggml\.[a-z_]+_token_id$/;
const FLAG = 7;
const FLAGS = /^tokenizer\.ggml\.(?:add_[a-z_]+|remove_extra_whitespaces)$/;

/** What is known of a vocabulary. */
export interface Vocabulary {
  /** The kind of tokenizer. */
  readonly kind: string;
  readonly size: number;
  readonly hasTemplate: boolean;
}

/**
 * Checks the vocabulary: texts in UTF-8, scores and types of the same number, special tokens that exist, and for a
 * vocabulary of pieces (`llama`) a token for each byte, without which some texts could not be written at all.
 */
export function checkVocabulary(metadata: Metadata): Vocabulary {
  const kind = textAt(metadata, 'tokenizer.ggml.model', 64);
  if (kind === undefined || !TOKENIZERS.includes(kind)) {
    throw unsound('the tokenizer is of a kind that is not read here', {
      found: kind ?? 'none',
      allowed: TOKENIZERS,
    });
  }
  textAt(metadata, 'tokenizer.ggml.pre', 64);
  const size = checkTokens(metadata, kind);
  checkBeside(metadata, size);
  if (kind === 'gpt2') checkMerges(metadata);
  for (const [key, { type }] of metadata) {
    if (SPECIAL.test(key)) integerAt(metadata, key, { min: 0, max: size - 1 });
    if (FLAGS.test(key) && type !== FLAG) throw unsound('a flag is needed', { key });
  }
  const template = textAt(metadata, 'tokenizer.chat_template', TEMPLATE_BYTES_MAX);
  return { kind, size, hasTemplate: template !== undefined && template !== '' };
}

function checkTokens(metadata: Metadata, kind: string): number {
  const key = 'tokenizer.ggml.tokens';
  const tokens = arrayAt(metadata, key);
  if (tokens === undefined) throw unsound('a key is missing', { key });
  if (!holdsTexts(tokens)) throw unsound('a list of texts is needed', { key });
  if (tokens.length < 1 || tokens.length > VOCABULARY_MAX) {
    throw unsound('the vocabulary is empty or too large', { found: tokens.length, limit: VOCABULARY_MAX });
  }
  if (kind === 'bert' && tokens.length < BERT_TOKENS_MIN) {
    throw unsound('the vocabulary lacks tokens that its kind has', { found: tokens.length });
  }
  const bytes = new Set<string>();
  eachText(tokens, key, (text) => {
    if (/^<0x[0-9A-F]{2}>$/.test(text)) bytes.add(text);
  });
  if (kind === 'llama' && bytes.size !== BYTES) {
    throw unsound('the vocabulary lacks tokens of single bytes', { found: bytes.size });
  }
  return tokens.length;
}

function checkBeside(metadata: Metadata, size: number): void {
  for (const [key, type] of [
    ['tokenizer.ggml.scores', F32],
    ['tokenizer.ggml.token_type', I32],
  ] as const) {
    const array = arrayAt(metadata, key);
    if (array === undefined) continue;
    if (array.length !== size) throw unsound('a list is not as long as the vocabulary', { key, size });
    const numbers = numbersOf(array, type);
    const sound = numbers?.every((value) =>
      type === F32 ? Number.isFinite(value) : value >= 0 && value <= TOKEN_TYPE_MAX,
    );
    if (sound !== true) throw unsound('a list holds what it may not', { key });
  }
}

function checkMerges(metadata: Metadata): void {
  const key = 'tokenizer.ggml.merges';
  const merges = arrayAt(metadata, key);
  if (merges === undefined || !holdsTexts(merges)) throw unsound('a list of texts is needed', { key });
  if (merges.length > MERGES_MAX) throw unsound('a list is too long', { key, limit: MERGES_MAX });
  eachText(merges, key, (text) => {
    // llama.cpp cuts a merge at its first space behind the first character.
    if (text.indexOf(' ', 1) < 0) throw unsound('a merge without its two parts', { key });
  });
}
