/**
 * Recipes in several documents: each with a name is a stage, whose output others use as a model. The document without
 * a name, or else the last, is the output.
 */
import { STAGES_MAX } from './limits.ts';
import { modelsOf, type Recipe } from './recipe-content.ts';
import { meant } from './recipe-values.ts';

/** A document as it was read, without what it refers to. */
export interface RecipeDocument {
  readonly recipe: Omit<Recipe, 'stages'>;
  /** Its own text. */
  readonly text: string;
}

/** Puts documents together: the output's recipe with its stages, or what is wrong. */
export function joinDocuments(documents: readonly RecipeDocument[]): {
  readonly recipe?: Recipe;
  readonly problems: readonly string[];
} {
  const problems = new Set<string>();
  if (documents.length > STAGES_MAX) problems.add(`a recipe has at most ${STAGES_MAX} documents`);
  const nameless = documents.filter(({ recipe }) => recipe.name === undefined);
  if (nameless.length > 1) problems.add('two documents have no name; only the output may have none');
  const named = new Map<string, RecipeDocument>();
  for (const document of documents) {
    const { name } = document.recipe;
    if (name !== undefined && named.has(name)) problems.add(`two documents are called ${name}`);
    if (name !== undefined) named.set(name, document);
  }
  const output = nameless[0] ?? documents.at(-1);
  if (!output) return { problems: ['a recipe is a mapping of keys to values'] };
  const linker = new Linker(named, problems);
  const recipe = linker.link(output, []);
  for (const [name, document] of named) {
    if (document === output || linker.reached.has(document)) continue;
    const others = [...named.keys()].filter((each) => each !== name);
    const near = meant(
      name,
      modelsOf(output.recipe).filter((each) => !others.includes(each)),
    );
    problems.add(`nothing refers to ${name}: a recipe makes one output, and stages that it uses${near}`);
  }
  return { ...(recipe && { recipe }), problems: [...problems] };
}

class Linker {
  readonly reached: Map<RecipeDocument, Recipe> = new Map();
  readonly #named: ReadonlyMap<string, RecipeDocument>;
  readonly #problems: Set<string>;

  constructor(named: ReadonlyMap<string, RecipeDocument>, problems: Set<string>) {
    this.#named = named;
    this.#problems = problems;
  }

  link(document: RecipeDocument, above: readonly RecipeDocument[]): Recipe | undefined {
    const known = this.reached.get(document);
    if (known) return known;
    if (above.includes(document)) {
      const circle = [...above.slice(above.indexOf(document)), document];
      this.#problems.add(`stages refer to each other: ${circle.map(({ recipe }) => recipe.name).join(', ')}`);
      return undefined;
    }
    const stages = referredTo(document.recipe).flatMap((name) => {
      const stage = this.#named.get(name);
      return stage ? [this.link(stage, [...above, document])] : [];
    });
    const sound = stages.filter((stage) => stage !== undefined);
    const texts = new Set([...sound.flatMap((stage) => documentsOf(stage.text)), document.text]);
    const recipe: Recipe = { ...document.recipe, stages: sound, text: [...texts].join(SEPARATOR) };
    this.reached.set(document, recipe);
    return recipe;
  }
}

const SEPARATOR = '\n---\n';

function documentsOf(text: string): readonly string[] {
  return text.split(SEPARATOR);
}

// Models, and whatever else names one.
function referredTo(recipe: Omit<Recipe, 'stages'>): readonly string[] {
  const { source, tokens = [] } = recipe.tokenizer ?? {};
  const origins = tokens.flatMap(({ origin }) => (origin.kind === 'zero' ? [] : [origin.model]));
  return [...new Set([...modelsOf(recipe), ...(source === undefined ? [] : [source]), ...origins])];
}
