/** The files of a joined tokenizer, and ids in configurations where the tokens have other numbers than before. */
import { SaharaError } from '../../base/errors.ts';
import { JSON_BYTES_MAX } from '../limits.ts';
import { isRecord } from '../recipe-values.ts';
import { findSide, readSideJson, type SideFolder } from '../side-folder.ts';
import type { JoinedTokens } from './join.ts';
import { TOKENIZER_NAME } from './vocabulary.ts';

const CONFIG_NAME = 'tokenizer_config.json';
const ADDED_NAME = 'added_tokens.json';

/** What has to be written anew of the tokenizer in `folder`, by name; nothing when its tokens are unchanged. Fails with `tensor-invalid`. */
export async function tokenizerTexts(
  folder: SideFolder,
  { file, ids, added, unchanged }: JoinedTokens,
): Promise<Record<string, string>> {
  if (unchanged) return {};
  const texts: Record<string, string> = { [TOKENIZER_NAME]: json(file) };
  const numbered = [...added.values()]
    .map((token) => ({ id: ids.get(token.content) ?? 0, token }))
    .sort((a, b) => a.id - b.id);
  const config = await readSideJson(folder, CONFIG_NAME, JSON_BYTES_MAX);
  if (config !== undefined) {
    const added_tokens_decoder = Object.fromEntries(numbered.map(({ id, token }) => [id, token]));
    texts[CONFIG_NAME] = json({ ...config, added_tokens_decoder });
  }
  if (await findSide(folder, ADDED_NAME))
    texts[ADDED_NAME] = json(Object.fromEntries(numbered.map(({ id, token }) => [token.content, id])));
  return texts;
}

/** How ids of the lead model become those of the output. */
export interface Renumbering {
  /** Numbers of the tokens before and after. */
  readonly before: ReadonlyMap<string, number>;
  readonly after: ReadonlyMap<string, number>;
  /** The configuration of the model whose tokenizer it is now: for ids whose token is gone. */
  readonly owner: Readonly<Record<string, unknown>>;
  readonly warnings: Set<string>;
}

/** A configuration whose ids of tokens are those of the output: the same tokens', or else the tokenizer's own model's. */
export function renumber(
  config: Readonly<Record<string, unknown>>,
  tokens: Renumbering,
): Record<string, unknown> {
  const texts = new Map([...tokens.before].map(([token, id]) => [id, token]));
  const move = (id: unknown): number | undefined => {
    const text = typeof id === 'number' ? texts.get(id) : undefined;
    return text === undefined ? undefined : tokens.after.get(text);
  };
  const changed: Record<string, unknown> = { ...config };
  for (const [key, value] of Object.entries(config)) {
    if (key === 'text_config' && isRecord(value)) changed[key] = renumber(value, tokens);
    if (!/_token_ids?$/.test(key) || value === null) continue;
    const moved = Array.isArray(value) ? value.map(move) : move(value);
    const lost = Array.isArray(moved) ? moved.includes(undefined) : moved === undefined;
    if (!lost) changed[key] = moved;
    else if (key in tokens.owner) changed[key] = tokens.owner[key];
    else {
      tokens.warnings.add(`config.json: ${key} is left out: its token is not in the new tokenizer`);
      delete changed[key];
    }
  }
  return changed;
}

function json(value: unknown): string {
  try {
    return `${JSON.stringify(value, undefined, 2)}\n`;
  } catch (cause) {
    const reason = 'the files of the tokenizer are too deep or too long to be written anew';
    throw new SaharaError('tensor-invalid', { reason }, { cause });
  }
}
