/** The part of a manifest that says how an agent's answers are made. */
import {
  bool,
  list,
  optional,
  record,
  type Schema,
  text,
  type UnionOf,
  u32,
  union,
} from '../protocol/schema.ts';
import { EXTRACTIVE_DEFAULTS } from './backends/extractive.ts';
import { DELEGATES_MAX, type Delegate } from './delegate.ts';
import { LLAMA_FIELDS, type LlamaManifest, llamaManifest, readLlama } from './manifest-llama.ts';
import {
  fields,
  given,
  invalid,
  type Place,
  readBoolean,
  readInteger,
  readList,
  readShare,
  readText,
  readUrl,
  readVariable,
  readWord,
  required,
} from './manifest-reader.ts';

/** How an agent's answers are made. */
export type ManifestBackend =
  | {
      readonly kind: 'extractive';
      /** Most sentences of an answer, 1 to 16. Default 4. */
      readonly sentencesMax: number;
      /** Share of the question that the best sentence must cover, millionths. Default 500,000. */
      readonly supportMin: number;
    }
  | {
      readonly kind: 'openai';
      /** Base URL of the endpoint, such as `http://127.0.0.1:8080/v1`. */
      readonly endpoint: string;
      readonly model: string;
      /** Environment variable that holds the key; absent for an endpoint that wants none. */
      readonly keyVariable: string | undefined;
      /** Whether the endpoint repeats itself for a seed. Default false. */
      readonly seeded: boolean;
      /** Most units of question, context and passages that it is sent. Default 6,000. */
      readonly contextUnitsMax: number;
    }
  | ({ readonly kind: 'llama' } & LlamaManifest)
  | {
      readonly kind: 'delegate';
      /** The agents that it hands questions to, 1 to 16. */
      readonly ask: readonly Delegate[];
    };

type Body<K extends ManifestBackend['kind']> = Schema<Omit<Extract<ManifestBackend, { kind: K }>, 'kind'>>;

type BackendVariants = {
  readonly extractive: readonly [1, Body<'extractive'>];
  readonly openai: readonly [2, Body<'openai'>];
  readonly delegate: readonly [3, Body<'delegate'>];
  readonly llama: readonly [4, Body<'llama'>];
};

/** The stored form of how an agent's answers are made. */
export const backendRecord: Schema<UnionOf<BackendVariants>> = union<BackendVariants>('manifest-backend', {
  extractive: [1, record('extractive', { sentencesMax: u32, supportMin: u32 })],
  openai: [
    2,
    record('openai', {
      endpoint: text(512),
      model: text(128),
      keyVariable: optional(text(128)),
      seeded: bool,
      contextUnitsMax: u32,
    }),
  ],
  delegate: [
    3,
    record('delegates', {
      ask: list(
        record('delegate', { agent: text(256), skill: optional(text(64)), budget: u32 }),
        DELEGATES_MAX,
      ),
    }),
  ],
  llama: [4, llamaManifest],
});

const CONTEXT_UNITS_DEFAULT = 6000;

/** Reads how an agent's answers are made. Throws `manifest-invalid`. */
export function readBackend(place: Place): ManifestBackend {
  const all = fields(place, [
    'kind',
    'sentencesMax',
    'supportMin',
    'endpoint',
    'keyVariable',
    'seeded',
    'contextUnitsMax',
    'ask',
    ...LLAMA_FIELDS,
  ]);
  const kind =
    given(all('kind'), (at) => readWord(at, ['extractive', 'llama', 'openai', 'delegate'])) ?? 'extractive';
  if (kind === 'extractive') return readExtractive(place);
  if (kind === 'llama') return { kind, ...readLlama(place) };
  return kind === 'openai' ? readOpenAi(place) : readDelegates(place);
}

function readExtractive(place: Place): ManifestBackend {
  const of = fields(place, ['kind', 'sentencesMax', 'supportMin']);
  return {
    kind: 'extractive',
    sentencesMax:
      given(of('sentencesMax'), (at) => readInteger(at, { min: 1, max: 16 })) ??
      EXTRACTIVE_DEFAULTS.sentencesMax,
    supportMin: given(of('supportMin'), readShare) ?? EXTRACTIVE_DEFAULTS.supportMin,
  };
}

function readOpenAi(place: Place): ManifestBackend {
  const of = fields(place, ['kind', 'endpoint', 'model', 'keyVariable', 'seeded', 'contextUnitsMax']);
  return {
    kind: 'openai',
    endpoint: readUrl(required(place, 'endpoint', of('endpoint'), 'the base URL of an endpoint')),
    model: readText(required(place, 'model', of('model'), "the model's name at the endpoint"), { max: 128 }),
    keyVariable: given(of('keyVariable'), readVariable),
    seeded: given(of('seeded'), readBoolean) ?? false,
    contextUnitsMax:
      given(of('contextUnitsMax'), (at) => readInteger(at, { min: 100, max: 10_000_000 })) ??
      CONTEXT_UNITS_DEFAULT,
  };
}

function readDelegates(place: Place): ManifestBackend {
  const of = fields(place, ['kind', 'ask']);
  const allowed = `a list of 1 to ${DELEGATES_MAX} agents`;
  const at = required(place, 'ask', of('ask'), allowed);
  const ask = readList(at, DELEGATES_MAX, readDelegate);
  if (ask.length === 0) throw invalid(at, allowed, 'none');
  return { kind: 'delegate', ask };
}

function readDelegate(place: Place): Delegate {
  const of = fields(place, ['agent', 'skill', 'budget']);
  return {
    agent: readText(required(place, 'agent', of('agent'), 'the name or DID of an agent'), { max: 256 }),
    skill: given(of('skill'), (at) => readText(at, { max: 64 })),
    budget: given(of('budget'), readShare) ?? 0,
  };
}
