/** The methods of the admin API about model files, with the schemas of their inputs. */
import { z } from 'zod';

/** A model file of this home. */
export interface ModelRow {
  readonly name: string;
  /** SHA-256 of the file. */
  readonly digest: string;
  readonly sizeBytes: number;
  readonly kind: 'model' | 'adapter';
  readonly architecture: string;
  /** The name that the file gives itself. */
  readonly title: string;
  readonly quantisation: string;
  readonly parameters: number;
  /** Longest context that it was made for, tokens; 0 for an adapter. */
  readonly contextMax: number;
  /** Where it came from. */
  readonly source: string;
  readonly addedAtMs: number;
  /** Agents here that answer with it. */
  readonly usedBy: readonly string[];
}

/** A download that has not ended. */
export interface UnfinishedRow {
  readonly name: string;
  readonly source: string;
  readonly bytes: number;
  readonly totalBytes?: number;
}

/** What a model needs for a context, and whether that can be had. */
export interface ModelNeedRow {
  readonly contextTokens: number;
  readonly sequences: number;
  readonly weightsBytes: number;
  /** Keys and values of all tokens of all sequences. */
  readonly cacheBytes: number;
  readonly workBytes: number;
  readonly totalBytes: number;
  /** What can be had of the memory that it would go to. */
  readonly freeBytes: number;
  readonly where: 'gpu' | 'ram' | 'both';
  readonly fits: boolean;
  /** Longest context that fits, tokens; 0 when none does. */
  readonly fittingTokens: number;
}

/** All that is known of one model file. */
export interface ModelReport extends ModelRow {
  readonly layers: number;
  readonly vocabulary: number;
  readonly hasTemplate: boolean;
  /** Absent for an adapter. */
  readonly need?: ModelNeedRow;
}

/** A model that is loaded. */
export interface LoadedRow {
  readonly name: string;
  readonly state: 'loading' | 'ready';
  /** Memory that it was given. */
  readonly bytes: number;
  /** Memory that its process takes. */
  readonly memoryBytes?: number;
  readonly contexts: number;
  /** Answers that it makes now. */
  readonly running: number;
  /** Tokens that it has made. */
  readonly tokens?: number;
  /** What computes: `none`, `cuda`, `vulkan` or `metal`, and on which devices. */
  readonly gpu?: string;
  readonly devices?: readonly string[];
  /** The release of llama.cpp. */
  readonly build?: string;
}

/** What the models on this machine do. */
export interface ModelsReport {
  readonly loaded: readonly LoadedRow[];
  /** Answers that wait and that are made. */
  readonly queued: number;
  readonly running: number;
  /** Measured; absent before there was anything to measure. */
  readonly tokensPerSecond?: number;
}

/** What one key says of a text. */
export interface MarkRow {
  readonly agent: string;
  /** Tokens that could be counted. */
  readonly scored: number;
  /** Standard deviations above what chance gives. */
  readonly z: number;
  /** How often chance gives as much for one key, and for all that were tried. */
  readonly p: number;
  readonly pAll: number;
}

/** Who may have said a text. */
export interface WhosaidReport {
  readonly verdict: 'marked' | 'not-shown' | 'too-short';
  /** Best first, at most 16. */
  readonly scores: readonly MarkRow[];
  readonly keys: number;
  readonly tokens: number;
  readonly repeated: number;
}

/** What is told while a model comes. */
export type ModelComing =
  | {
      readonly type: 'progress';
      readonly stage: 'copy' | 'download' | 'check';
      readonly bytes: number;
      readonly totalBytes?: number;
    }
  | { readonly type: 'again'; readonly reason: string; readonly waitMs: number }
  | { readonly type: 'restart'; readonly reason: string }
  | { readonly type: 'done'; readonly model: ModelRow };

/** Methods that answer once. */
export interface ModelMethods {
  'model.list': {
    input: Readonly<Record<string, never>>;
    output: { readonly models: readonly ModelRow[]; readonly unfinished: readonly UnfinishedRow[] };
  };
  'model.info': {
    input: {
      readonly name: string;
      readonly contextTokens?: number | undefined;
      readonly sequences?: number | undefined;
    };
    output: ModelReport;
  };
  /** Against the keys of all agents here that mark what they say, or of one. */
  whosaid: {
    input: { readonly text: string; readonly agent?: string | undefined };
    output: WhosaidReport;
  };
  'model.remove': {
    input: { readonly name: string };
    output: { readonly removed: string };
  };
}

/** Methods that answer line by line. */
export interface ModelStreams {
  'model.add': {
    input: { readonly path: string; readonly name?: string | undefined };
    output: ModelComing;
  };
  'model.pull': {
    input: {
      readonly from: string;
      readonly name?: string | undefined;
      readonly sha256?: string | undefined;
    };
    output: ModelComing;
  };
}

const name = z.string().min(1).max(64);

/** The schemas of the inputs. */
export const MODEL_INPUTS: {
  readonly [K in keyof (ModelMethods & ModelStreams)]: z.ZodType<(ModelMethods & ModelStreams)[K]['input']>;
} = {
  'model.list': z.strictObject({}),
  'model.info': z.strictObject({
    name,
    contextTokens: z.int().min(1).max(16_777_216).optional(),
    sequences: z.int().min(1).max(64).optional(),
  }),
  'model.remove': z.strictObject({ name }),
  whosaid: z.strictObject({
    text: z.string().min(1).max(1_000_000),
    agent: z.string().min(1).max(256).optional(),
  }),
  'model.add': z.strictObject({ path: z.string().min(1).max(4096), name: name.optional() }),
  'model.pull': z.strictObject({
    from: z.string().min(1).max(2048),
    name: name.optional(),
    sha256: z
      .string()
      .regex(/^[0-9a-fA-F]{64}$/)
      .optional(),
  }),
};
