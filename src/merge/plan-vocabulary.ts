/** The output's tokens: whose tokenizer it has, what is added to it, and which rows of each model they are. */
import { equalBytes } from '../base/bytes.ts';
import { asSaharaError } from '../base/errors.ts';
import { isVocabulary } from './layers.ts';
import { SIDE_FILE_BYTES_MAX, VOCABULARY_ROWS_MAX } from './limits.ts';
import type { OpenModel, Report } from './plan-tensors.ts';
import type { RecipeTokenizer } from './recipe-tokenizer.ts';
import { meant } from './recipe-values.ts';
import { findSide, readSide, type SideFolder } from './side-folder.ts';
import { joinVocabularies } from './tokenizers/join.ts';
import { findOrigin, type RowWish, type VocabularyPlan } from './tokenizers/rows.ts';
import { readVocabulary, type Vocabulary } from './tokenizers/vocabulary.ts';

/** Files that a vocabulary may be in; only the first is read. */
export const VOCABULARY_FILES: readonly string[] = [
  'tokenizer.json',
  'tokenizer.model',
  'vocab.json',
  'merges.txt',
];

/** What planning the tokens works with. */
export interface VocabularyParts {
  readonly models: readonly OpenModel[];
  readonly lead: OpenModel;
  readonly report: Report;
  /** Where a tokenizer lies that is none of the models'. */
  readonly place: (name: string) => SideFolder;
}

/** The tokens of the output. */
export interface PlannedVocabulary {
  /** The model, or other place, whose tokenizer it is. */
  readonly owner: string;
  readonly folder: SideFolder;
  /** Absent where all models have the same tokens in a form that is not read: rows stay as they are then. */
  readonly rows?: VocabularyPlan;
  /** The lead model's own numbers, for ids in configurations. */
  readonly leadIds?: ReadonlyMap<string, number>;
}

/** Plans the tokens, or reports why they cannot be joined. */
export async function planVocabulary(
  wanted: RecipeTokenizer,
  parts: VocabularyParts,
): Promise<PlannedVocabulary | undefined> {
  const { lead, models, report, place } = parts;
  const known = models.find(({ name }) => name === wanted.source);
  const ofLead = wanted.source === 'union' || wanted.source === 'base';
  const owner = ofLead ? lead.name : wanted.source;
  const folder: SideFolder = ofLead ? lead.checkpoint : (known?.checkpoint ?? place(wanted.source));
  if (models.some(({ checkpoint }) => checkpoint.metadata)) return checkGguf(wanted, parts);
  if (!ofLead && !known && !(await hasVocabulary(folder))) {
    const names = ['base', 'union', ...models.map(({ name }) => name)];
    report.problems.add(
      `tokenizer_source: ${owner} is not base, union, one of the models or a folder with a tokenizer${meant(owner, names)}`,
    );
    return undefined;
  }
  const read = new VocabularyReader(parts, wanted);
  const owned = await read.of(folder, owner);
  if (owned === 'broken') return undefined;
  if (owned === undefined) return (await read.allSame(folder, owner)) ? { owner, folder } : undefined;
  const vocabularies = await Promise.all(models.map((model) => read.ofModel(model, owned)));
  const complete = vocabularies.filter((each) => each !== undefined);
  if (complete.length < models.length) return undefined;
  return {
    owner,
    folder,
    ...join(wanted, { ...parts, owned: { name: owner, vocabulary: owned }, vocabularies: complete }),
  };
}

interface JoinParts extends VocabularyParts {
  readonly owned: { readonly name: string; readonly vocabulary: Vocabulary };
  /** One for each model. */
  readonly vocabularies: readonly Vocabulary[];
}

function join(
  wanted: RecipeTokenizer,
  { models, lead, report, owned, vocabularies }: JoinParts,
): Pick<PlannedVocabulary, 'rows' | 'leadIds'> {
  const named = models.map((model, i) => {
    const vocabulary = vocabularies[i] ?? owned.vocabulary;
    return { name: model.name, vocabulary, ids: vocabulary.ids, rows: rowsOf(model) };
  });
  const first = named.find(({ name }) => name === lead.name);
  const owner = named.find(({ name }) => name === owned.name) ?? { ...owned, rows: Infinity };
  const ordered = [...(first ? [first] : []), ...named.filter((each) => each !== first)];
  const tokens = joinVocabularies(wanted, { lead: owner, models: ordered });
  if (tokens.rows > VOCABULARY_ROWS_MAX) {
    report.problems.add(`tokenizer: ${tokens.rows} rows are more than ${VOCABULARY_ROWS_MAX}`);
    return {};
  }
  const wishes = new Map<number, RowWish>();
  for (const { token, origin, force } of wanted.tokens) {
    const where = `tokenizer.tokens.${token}`;
    const model = named.findIndex(({ name }) => origin.kind !== 'zero' && name === origin.model);
    const of = named[model];
    if (origin.kind !== 'zero' && !of) {
      const near = meant(
        origin.model,
        named.map(({ name }) => name),
      );
      report.problems.add(`${where}: ${origin.model} is not one of the models${near}`);
      continue;
    }
    const row = of && findOrigin(origin, of, token);
    if (typeof row === 'string') report.problems.add(`${where}: ${row}`);
    else {
      const from = row === undefined ? {} : { from: { model, row } };
      wishes.set(tokens.ids.get(token) ?? -1, { token, ...from, force });
    }
  }
  const places = named.map(({ ids, rows }) => {
    const place = new Int32Array(tokens.tokens).fill(-1);
    for (const [token, id] of tokens.ids) {
      const own = ids.get(token);
      if (own !== undefined && own < rows) place[id] = own;
    }
    return place;
  });
  return { rows: { tokens, places, wishes }, ...(first && { leadIds: first.ids }) };
}

/** Rows of a model's embedding that stand for tokens: those it has, or fewer if its configuration says so. */
function rowsOf({ checkpoint: { tensors, config } }: OpenModel): number {
  const stored = [...tensors.values()]
    .filter(({ name, shape }) => isVocabulary(name) && shape.length === 2)
    .map(({ shape }) => shape[0] ?? 0);
  const nested = typeof config.text_config === 'object' ? config.text_config : undefined;
  const stated = [config.vocab_size, nested && 'vocab_size' in nested ? nested.vocab_size : undefined];
  const numbers = stated.filter((value) => typeof value === 'number');
  return Math.min(Math.max(0, ...stored), ...numbers);
}

class VocabularyReader {
  readonly #parts: VocabularyParts;
  readonly #wanted: RecipeTokenizer;

  constructor(parts: VocabularyParts, wanted: RecipeTokenizer) {
    this.#parts = parts;
    this.#wanted = wanted;
  }

  /** The vocabulary in `folder`; `undefined` when there is none that is read; `broken` after reporting that it is. */
  async of(folder: SideFolder, name: string): Promise<Vocabulary | 'broken' | undefined> {
    return readVocabulary(folder).catch((error: unknown): 'broken' => {
      const { code, facts } = asSaharaError(error);
      this.#parts.report.problems.add(`${name}: ${String(facts.reason ?? code)}`);
      return 'broken';
    });
  }

  /** That of a model; the owner's for one that has no tokenizer, or the same in another form. */
  async ofModel({ name, checkpoint }: OpenModel, owned: Vocabulary): Promise<Vocabulary | undefined> {
    const own = await this.of(checkpoint, name);
    if (own !== undefined) return own === 'broken' ? undefined : own;
    const { lead, report } = this.#parts;
    const ofLead = async (): Promise<Vocabulary> => {
      const found = await this.of(lead.checkpoint, lead.name);
      return found === undefined || found === 'broken' ? owned : found;
    };
    if (!(await hasVocabulary(checkpoint))) {
      report.warnings.add(`${name} has no tokenizer: its tokens are taken to be those of ${lead.name}`);
      return ofLead();
    }
    for (const file of VOCABULARY_FILES.slice(1)) {
      const [a, b] = await Promise.all([checkpoint, lead.checkpoint].map((folder) => sideText(folder, file)));
      if (a !== undefined && a === b) return ofLead();
    }
    report.problems.add(
      `tokenizer: ${name} has no tokenizer.json, the form in which vocabularies are joined`,
    );
    return undefined;
  }

  /** Whether every model has the same vocabulary, byte for byte, as the owner whose form is not read. */
  async allSame(folder: SideFolder, owner: string): Promise<boolean> {
    const { models, report } = this.#parts;
    if (report.problems.size > 0) return false;
    if (this.#wanted.tokens.length > 0 || this.#wanted.padToMultipleOf !== undefined) {
      report.problems.add(`tokenizer: ${owner} has no tokenizer.json, the form in which tokens are joined`);
      return false;
    }
    for (const { name, checkpoint } of models) {
      for (const file of VOCABULARY_FILES) {
        const [a, b] = await Promise.all([checkpoint, folder].map((each) => sideText(each, file)));
        if (a === b) continue;
        report.problems.add(
          `tokenizer: ${file} of ${name} and ${owner} differ, and ${owner} has no tokenizer.json, the form in which vocabularies are joined`,
        );
      }
    }
    return report.problems.size === 0;
  }
}

function sideText(folder: SideFolder, name: string): Promise<string | undefined> {
  return readSide(folder, name, SIDE_FILE_BYTES_MAX);
}

async function hasVocabulary(folder: SideFolder): Promise<boolean> {
  for (const file of VOCABULARY_FILES) if (await findSide(folder, file)) return true;
  return false;
}

// A GGUF file holds its tokenizer itself, and its rows are as they are.
function checkGguf(wanted: RecipeTokenizer, { models, lead, report }: VocabularyParts): undefined {
  const tokensOf = ({ checkpoint }: OpenModel): Uint8Array =>
    checkpoint.metadata?.get('tokenizer.ggml.tokens')?.bytes ?? new Uint8Array();
  const expected = tokensOf(lead);
  for (const model of models) {
    if (!equalBytes(tokensOf(model), expected))
      report.problems.add(
        `tokenizer: the tokens of ${model.name} and ${lead.name} differ; vocabularies of GGUF are not joined, those of safetensors are`,
      );
  }
  const more = wanted.tokens.length > 0 ? 'tokens' : 'pad_to_multiple_of';
  if (wanted.tokens.length > 0 || wanted.padToMultipleOf !== undefined)
    report.problems.add(`tokenizer.${more} is for models in safetensors, not in GGUF`);
  const known = ['union', 'base', ...models.map(({ name }) => name)];
  if (!known.includes(wanted.source))
    report.problems.add(
      `tokenizer_source: ${wanted.source} is not base, union or one of the models${meant(wanted.source, known)}`,
    );
  return undefined;
}
