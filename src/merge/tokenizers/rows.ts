/**
 * Where the rows of embeddings and heads come from when vocabularies are joined: a model's own where it has the token,
 * else the only model's that has it, else the base's, else the mean of those that have it; or what the recipe says.
 */
import type { StoredTensor } from '../checkpoint.ts';
import type { JoinedRows, MadeRow } from '../joined-rows.ts';
import type { TokenOrigin } from '../recipe-tokenizer.ts';
import type { JoinedTokens } from './join.ts';

/** The tokens of the output and of each model of the plan. */
export interface VocabularyPlan {
  readonly tokens: JoinedTokens;
  /** For each of the plan's models: its row of each of the output's tokens, by number, or -1. */
  readonly places: readonly Int32Array[];
  /** What the recipe says of single tokens, by number. */
  readonly wishes: ReadonlyMap<number, RowWish>;
}

/** What a recipe says of one token. */
export interface RowWish {
  readonly token: string;
  /** A model of the plan and a row of it; absent: zero. */
  readonly from?: { readonly model: number; readonly row: number };
  readonly force: boolean;
}

/** A tensor of a model that takes part. */
export interface RowSource {
  /** Place among the plan's models. */
  readonly model: number;
  readonly tensor: StoredTensor;
}

/** What `assignRows` found. */
export interface AssignedRows {
  /** For each source, its rows; `undefined` where the first rows stand as they are stored. */
  readonly rows: readonly (JoinedRows | undefined)[];
  /** Tokens that no model has. */
  readonly missing: number;
}

interface Origin {
  /** Places in `sources` and rows there. */
  readonly of: readonly (readonly [number, number])[];
  readonly force: boolean;
}

/**
 * The rows of one tensor for each of `sources`; rows may also come from `others`. `base` is the place in `sources` of
 * the recipe's base, and `credit` says where contributions of rows from a source are counted.
 */
export function assignRows(
  { tokens, places, wishes }: VocabularyPlan,
  from: {
    readonly sources: readonly RowSource[];
    readonly others: readonly RowSource[];
    readonly base: number | undefined;
    readonly credit: (source: number) => number;
  },
): AssignedRows {
  const { sources, others, base, credit } = from;
  const all = [...sources, ...others];
  const rowIn = (source: number, id: number): number => {
    const { model = 0, tensor } = all[source] ?? {};
    const row = places[model]?.[id] ?? -1;
    return row < (tensor?.shape[0] ?? 0) ? row : -1;
  };
  const columns = sources[0]?.tensor.shape[1] ?? 1;
  const builders = sources.map(() => new RowsBuilder());
  const used = new Set<number>();
  const known = new Uint8Array(tokens.tokens);
  for (const id of tokens.ids.values()) known[id] = 1;
  let missing = 0;
  for (let id = 0; id < tokens.tokens; id++) {
    if (known[id] === 0) continue;
    const own = sources.map((_source, i) => rowIn(i, id));
    const wish = wishes.get(id);
    const origin = wish === undefined ? usual(own, base) : wished(wish, all);
    if (origin.of.length === 0 && wish === undefined) missing++;
    for (const [i, builder] of builders.entries()) {
      const row = own[i] ?? -1;
      if (row >= 0 && !origin.force) builder.own(id, row);
      else if (origin.of.length > 0) {
        builder.made.push({ row: id, of: origin.of });
        for (const [source] of origin.of) used.add(source);
      }
    }
  }
  const donors = all.map(({ tensor: { path, dtype, offset } }, i) => {
    return { path, dtype, offset, credit: used.has(i) ? credit(i) : -1 };
  });
  const padded = tokens.rows > tokens.tokens;
  return {
    missing,
    rows: builders.map(({ runs, made }) => {
      const [run] = runs;
      const plain = run?.[0] === 0 && run[1] === 0 && run[2] === tokens.tokens;
      if (plain && made.length === 0 && !padded) return undefined;
      return { columns, own: runs, made, donors: made.length > 0 ? donors : [], tokens: tokens.tokens };
    }),
  };
}

class RowsBuilder {
  readonly runs: [number, number, number][] = [];
  readonly made: MadeRow[] = [];

  own(to: number, from: number): void {
    const last = this.runs.at(-1);
    if (last && last[0] + last[2] === to && last[1] + last[2] === from) last[2]++;
    else this.runs.push([to, from, 1]);
  }
}

function usual(own: readonly number[], base: number | undefined): Origin {
  const owners = own.flatMap((row, source): [number, number][] => (row >= 0 ? [[source, row]] : []));
  const ofBase = owners.find(([source]) => source === base);
  return { of: ofBase && owners.length > 1 ? [ofBase] : owners, force: false };
}

function wished({ from, force }: RowWish, all: readonly RowSource[]): Origin {
  const source = all.findIndex(({ model }) => model === from?.model);
  return { of: from && source >= 0 ? [[source, from.row]] : [], force };
}

/** The row that a recipe's origin names, or what is wrong with it. */
export function findOrigin(
  origin: TokenOrigin,
  model: { readonly name: string; readonly rows: number; readonly ids: ReadonlyMap<string, number> },
  token: string,
): number | string {
  const wanted = origin.kind === 'token' ? origin.token : token;
  const row = typeof wanted === 'number' ? wanted : model.ids.get(wanted);
  if (row === undefined) return `${model.name} has no token ${JSON.stringify(wanted)}`;
  return row < model.rows ? row : `${model.name} has ${model.rows} rows, none for token ${row}`;
}
