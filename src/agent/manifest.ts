/**
 * An agent's manifest: what it is, what it answers from, what it costs, who may call and who earns. Parsed strictly
 * out of YAML; its hash (in the card and in every receipt) is over the parsed values in canonical encoding, so
 * comments, order and spelling of amounts do not change it.
 */

import canonicalize from 'canonicalize';
import { fromHex } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { PriceSchedule, Skill } from '../protocol/card.ts';
import { type PublicKey, publicKeyOf } from '../protocol/ids.ts';
import { CALL_DEADLINE_MS_MAX, PPM, QUESTION_BYTES_MAX } from '../protocol/limits.ts';
import { bytes, grains, later, list, oneOf, optional, record, text, u32 } from '../protocol/schema.ts';
import { domainSha256 } from '../vault/hash.ts';
import { CORPORA_MAX } from '../vault/limits.ts';
import type { RevenueSplit } from './attribution/shares.ts';
import { EXTRACTIVE_DEFAULTS } from './backends/extractive.ts';
import { MANIFEST_ASSET_DEFAULTS, type ManifestAsset, readAsset } from './manifest-asset.ts';
import { backendRecord, type ManifestBackend, readBackend } from './manifest-backend.ts';
import { filesOf } from './manifest-llama.ts';
import {
  fields,
  given,
  invalid,
  type Place,
  readAmount,
  readInteger,
  readList,
  readShare,
  readText,
  readYaml,
} from './manifest-reader.ts';
import { type ManifestSearch, readSearch, SEARCH_BYTES_MAX, searchFilesOf } from './manifest-search.ts';
import { type ManifestTest, readTests } from './manifest-tests.ts';
import { type ManifestTool, readTools, TOOL_BYTES_MAX, TOOL_ENTRIES_MAX } from './manifest-tools.ts';

/** A parsed manifest; every field is filled. */
export interface Manifest {
  /** 1 to 64 bytes. */
  readonly name: string;
  /** Default empty, at most 1,024 bytes. */
  readonly description: string;
  /** Language tags. Default `en`. */
  readonly languages: readonly string[];
  /** At most 16. Default one, `answer`. */
  readonly skills: readonly Skill[];
  /** Default extractive. */
  readonly backend: ManifestBackend;
  /** What a model behind an endpoint may use while it answers. Default none. */
  readonly tools: readonly ManifestTool[];
  /** Names of the vaults that it answers from, at most 16; an extractive agent needs one. */
  readonly vaults: readonly string[];
  /** Instructions to the model. Default none; an extractive agent takes none. */
  readonly prompt: string | undefined;
  /** Grains. Default free. */
  readonly price: PriceSchedule;
  /** Calls that are free for each caller in each window. Default none in a day. */
  readonly free: { readonly calls: number; readonly windowSeconds: number };
  /** Defaults: 8,192 bytes, 1,000 units, 60 seconds, 8 at once. */
  readonly limits: {
    readonly questionBytes: number;
    readonly outputUnits: number;
    readonly deadlineSeconds: number;
    readonly concurrency: number;
  };
  readonly policy: {
    /** Default everyone; otherwise only these keys, or whoever holds a licence to an asset, named by its id. */
    readonly callers: 'everyone' | readonly PublicKey[] | { readonly licence: Uint8Array };
    /** Phrases; a question that holds all words of one is refused. Default none. */
    readonly refusedTopics: readonly string[];
  };
  /** Millionths that sum to 1,000,000. Default 80 % knowledge, 20 % operator. */
  readonly split: RevenueSplit;
  /** Licence of the answers. Default empty, at most 128 bytes. */
  readonly licence: string;
  /** What its asset on the ledger says besides; no part of the hash. */
  readonly asset: ManifestAsset;
  /** What it is to be tried with; no part of the hash. Default none, at most 64. */
  readonly tests: readonly ManifestTest[];
  /** Models that help to find passages. Default none: words alone. */
  readonly search: ManifestSearch | undefined;
}

/** What a manifest has where it says nothing. */
export const MANIFEST_DEFAULTS: Omit<Manifest, 'name'> = {
  description: '',
  languages: ['en'],
  skills: [{ name: 'answer', description: 'Answers questions from its documents.', examples: [] }],
  backend: { kind: 'extractive', ...EXTRACTIVE_DEFAULTS },
  tools: [],
  vaults: [],
  prompt: undefined,
  price: { perCall: 0n, perInputUnit: 0n, perOutputUnit: 0n },
  free: { calls: 0, windowSeconds: 86_400 },
  limits: { questionBytes: 8192, outputUnits: 1000, deadlineSeconds: 60, concurrency: 8 },
  policy: { callers: 'everyone', refusedTopics: [] },
  split: { knowledge: 800_000, operator: 200_000, model: 0, prompt: 0 },
  licence: '',
  asset: MANIFEST_ASSET_DEFAULTS,
  tests: [],
  search: undefined,
};

/** Largest manifest, bytes. */
const MANIFEST_BYTES_MAX = 262_144;

const PROMPT_BYTES_MAX = 65_536;
const CALLERS_MAX = 1000;
const TOPICS_MAX = 100;
const OUTPUT_UNITS_MAX = 100_000;
const CONCURRENCY_MAX = 1024;
const WINDOW_SECONDS_MAX = 31_536_000;
const VAULT_NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;
const LICENSED = 'licence:';
const LANGUAGE = /^[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*$/;

const manifestRecord = record('manifest', {
  name: text(64),
  description: text(1024),
  languages: list(text(16), 32),
  skills: list(record('skill', { name: text(64), description: text(512), examples: list(text(512), 8) }), 16),
  backend: backendRecord,
  vaults: list(text(64), CORPORA_MAX),
  prompt: optional(text(PROMPT_BYTES_MAX)),
  price: record('price', { perCall: grains, perInputUnit: grains, perOutputUnit: grains }),
  free: record('free', { calls: u32, windowSeconds: u32 }),
  limits: record('limits', { questionBytes: u32, outputUnits: u32, deadlineSeconds: u32, concurrency: u32 }),
  access: oneOf('everyone', 'listed', 'licensed'),
  callers: list(bytes(32), CALLERS_MAX),
  refusedTopics: list(text(128), TOPICS_MAX),
  split: record('split', { knowledge: u32, operator: u32, model: u32, prompt: u32 }),
  licence: text(128),
  // Each as JSON in the form of RFC 8785.
  tools: later(list(text(TOOL_BYTES_MAX), TOOL_ENTRIES_MAX)),
  search: later(text(SEARCH_BYTES_MAX)),
});

/** SHA-256 of a manifest in canonical encoding, under `sahara/1/manifest`. */
export function manifestHash(manifest: Manifest): Uint8Array {
  const { tools, search } = manifest;
  const { kind, ...backend } = manifest.backend;
  const { callers, refusedTopics } = manifest.policy;
  const encoded = manifestRecord.encode({
    ...manifest,
    // `kind` names the variant that the other fields came from.
    backend: { type: kind, ...backend } as Parameters<typeof backendRecord.encode>[0],
    access: callers === 'everyone' ? 'everyone' : 'licence' in callers ? 'licensed' : 'listed',
    callers: callers === 'everyone' ? [] : 'licence' in callers ? [callers.licence] : callers,
    refusedTopics,
    tools: tools.length === 0 ? undefined : tools.map((tool) => canonicalize(tool) ?? ''),
    search: search && canonicalize(search),
  });
  return domainSha256('sahara/1/manifest', encoded);
}

/** The manifest in the YAML `source`. Errors: `manifest-invalid` with file, line, field, what was found and what is allowed. */
export function parseManifest(source: string, options: { readonly file: string }): Manifest {
  const { file } = options;
  const size = Buffer.byteLength(source);
  if (size > MANIFEST_BYTES_MAX) {
    const found = `${size} bytes`;
    const allowed = `at most ${MANIFEST_BYTES_MAX} bytes`;
    throw new SaharaError('manifest-invalid', { file, line: 1, field: '', found, allowed });
  }
  const top = readYaml(file, source);
  const of = fields(top, [
    'name',
    'description',
    'languages',
    'skills',
    'backend',
    'vaults',
    'prompt',
    'price',
    'limits',
    'policy',
    'split',
    'licence',
    'asset',
    'tests',
    'tools',
    'search',
  ]);
  const name = of('name');
  if (name === undefined) throw invalid({ ...top, field: 'name' }, 'a text of 1 to 64 bytes', 'nothing');
  const price = given(of('price'), readPrice);
  const manifest: Manifest = {
    name: readText(name, { max: 64 }),
    description:
      given(of('description'), (at) => readText(at, { min: 0, max: 1024 })) ?? MANIFEST_DEFAULTS.description,
    languages: given(of('languages'), (at) => readList(at, 32, readLanguage)) ?? MANIFEST_DEFAULTS.languages,
    skills: given(of('skills'), (at) => readList(at, 16, readSkill)) ?? MANIFEST_DEFAULTS.skills,
    backend: given(of('backend'), readBackend) ?? MANIFEST_DEFAULTS.backend,
    tools: given(of('tools'), readTools) ?? MANIFEST_DEFAULTS.tools,
    vaults: given(of('vaults'), (at) => readList(at, CORPORA_MAX, readVault)) ?? MANIFEST_DEFAULTS.vaults,
    prompt: given(of('prompt'), (at) => readText(at, { max: PROMPT_BYTES_MAX })),
    price: price?.schedule ?? MANIFEST_DEFAULTS.price,
    free: price?.free ?? MANIFEST_DEFAULTS.free,
    limits: given(of('limits'), readLimits) ?? MANIFEST_DEFAULTS.limits,
    policy: given(of('policy'), readPolicy) ?? MANIFEST_DEFAULTS.policy,
    split: given(of('split'), readSplit) ?? MANIFEST_DEFAULTS.split,
    licence: given(of('licence'), (at) => readText(at, { min: 0, max: 128 })) ?? MANIFEST_DEFAULTS.licence,
    asset: given(of('asset'), readAsset) ?? MANIFEST_DEFAULTS.asset,
    tests: given(of('tests'), readTests) ?? MANIFEST_DEFAULTS.tests,
    search: given(of('search'), readSearch),
  };
  const vaults = of('vaults') ?? { ...top, field: 'vaults' };
  checkBackend(manifest, { vaults, prompt: of('prompt'), tools: of('tools') });
  const search = of('search');
  if (search !== undefined && manifest.vaults.length === 0) {
    throw invalid(search, 'no search without a vault: there is nothing to find', 'search');
  }
  return manifest;
}

/** Names of all models of this home that an agent needs. */
export function modelFilesOf({ backend, search }: Manifest): readonly string[] {
  const answering = backend.kind === 'llama' ? filesOf(backend) : [];
  return [...answering, ...searchFilesOf(search)];
}

/** What a backend must have and what it has no use for. */
function checkBackend(
  { backend, vaults }: Manifest,
  places: { readonly vaults: Place; readonly prompt: Place | undefined; readonly tools: Place | undefined },
): void {
  if (backend.kind === 'openai' || backend.kind === 'llama') return;
  const extractive = backend.kind === 'extractive';
  if (extractive && vaults.length === 0) {
    throw invalid(places.vaults, 'at least one vault for an extractive agent', 'none');
  }
  if (!extractive && vaults.length > 0) {
    throw invalid(places.vaults, 'no vault: a delegating agent has what others say', `${vaults.length}`);
  }
  const why = extractive ? 'an extractive agent only quotes' : 'a delegating agent has no model';
  if (places.prompt !== undefined) throw invalid(places.prompt, `no prompt: ${why}`, 'a prompt');
  if (places.tools !== undefined) throw invalid(places.tools, `no tools: ${why}`, 'tools');
}

function readLanguage(place: Place): string {
  const tag = readText(place, { max: 16 });
  if (!LANGUAGE.test(tag)) throw invalid(place, 'a language tag such as en or pt-BR');
  return tag;
}

function readVault(place: Place): string {
  const name = readText(place, { max: 63 });
  if (!VAULT_NAME.test(name)) throw invalid(place, "a vault's name: lower-case letters, digits, - and _");
  return name;
}

function readSkill(place: Place): Skill {
  const of = fields(place, ['name', 'description', 'examples']);
  const name = of('name');
  if (name === undefined)
    throw invalid({ ...place, field: `${place.field}.name` }, 'a text of 1 to 64 bytes', 'nothing');
  return {
    name: readText(name, { max: 64 }),
    description: given(of('description'), (at) => readText(at, { min: 0, max: 512 })) ?? '',
    examples: given(of('examples'), (at) => readList(at, 8, (item) => readText(item, { max: 512 }))) ?? [],
  };
}

function readPrice(place: Place): { readonly schedule: PriceSchedule; readonly free: Manifest['free'] } {
  const of = fields(place, ['perCall', 'perInputUnit', 'perOutputUnit', 'freePerCaller']);
  return {
    schedule: {
      perCall: given(of('perCall'), readAmount) ?? 0n,
      perInputUnit: given(of('perInputUnit'), readAmount) ?? 0n,
      perOutputUnit: given(of('perOutputUnit'), readAmount) ?? 0n,
    },
    free: given(of('freePerCaller'), readFree) ?? MANIFEST_DEFAULTS.free,
  };
}

function readFree(place: Place): Manifest['free'] {
  const of = fields(place, ['calls', 'windowSeconds']);
  const { calls, windowSeconds } = MANIFEST_DEFAULTS.free;
  return {
    calls: given(of('calls'), (at) => readInteger(at, { min: 0, max: 1_000_000 })) ?? calls,
    windowSeconds:
      given(of('windowSeconds'), (at) => readInteger(at, { min: 1, max: WINDOW_SECONDS_MAX })) ??
      windowSeconds,
  };
}

function readLimits(place: Place): Manifest['limits'] {
  const of = fields(place, ['questionBytes', 'outputUnits', 'deadlineSeconds', 'concurrency']);
  const defaults = MANIFEST_DEFAULTS.limits;
  const limit = (name: keyof Manifest['limits'], max: number): number =>
    given(of(name), (at) => readInteger(at, { min: 1, max })) ?? defaults[name];
  return {
    questionBytes: limit('questionBytes', QUESTION_BYTES_MAX),
    outputUnits: limit('outputUnits', OUTPUT_UNITS_MAX),
    deadlineSeconds: limit('deadlineSeconds', CALL_DEADLINE_MS_MAX / 1000),
    concurrency: limit('concurrency', CONCURRENCY_MAX),
  };
}

function readPolicy(place: Place): Manifest['policy'] {
  const of = fields(place, ['callers', 'refusedTopics']);
  const defaults = MANIFEST_DEFAULTS.policy;
  return {
    callers: given(of('callers'), readCallers) ?? defaults.callers,
    refusedTopics:
      given(of('refusedTopics'), (at) => readList(at, TOPICS_MAX, (item) => readText(item, { max: 128 }))) ??
      defaults.refusedTopics,
  };
}

function readCallers(place: Place): Manifest['policy']['callers'] {
  const value = place.node !== null && 'value' in place.node ? place.node.value : undefined;
  if (value === 'everyone') return value;
  if (typeof value === 'string') {
    const licence = value.startsWith(LICENSED) ? fromHex(value.slice(LICENSED.length)) : undefined;
    if (licence?.length === 32) return { licence };
    throw invalid(place, 'everyone, a list of DIDs, or licence: and the id of an asset, quoted');
  }
  return readList(place, CALLERS_MAX, (item) => {
    const key = publicKeyOf(readText(item, { max: 80 }));
    if (key === undefined) throw invalid(item, 'a DID such as did:key:z6Mk...');
    return key;
  });
}

function readSplit(place: Place): RevenueSplit {
  const of = fields(place, ['knowledge', 'operator', 'model', 'prompt']);
  const share = (name: keyof RevenueSplit): number => given(of(name), readShare) ?? 0;
  const split = {
    knowledge: share('knowledge'),
    operator: share('operator'),
    model: share('model'),
    prompt: share('prompt'),
  };
  const sum = split.knowledge + split.operator + split.model + split.prompt;
  if (sum !== PPM) throw invalid(place, 'shares that sum to 100 %', `a sum of ${sum / 10_000} %`);
  return split;
}
