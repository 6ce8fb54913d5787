/**
 * Repeating a call's answer with what this home has: the vaults that the statement commits to, and what answered. What
 * is not here is said, and is no failure of the evidence.
 */
import type { AdapterMeasure } from '../agent/attribution/measure.ts';
import type { Backend } from '../agent/backends/backend.ts';
import { createExtractiveBackend } from '../agent/backends/extractive.ts';
import { earningPositions } from '../agent/earning.ts';
import type { Finder, SearchModels } from '../agent/embedding/finder.ts';
import type { SearchHow, SearchModel } from '../agent/embedding/how.ts';
import { type Manifest, manifestHash, parseManifest } from '../agent/manifest.ts';
import type { LlamaManifest } from '../agent/manifest-llama.ts';
import {
  analysisFault,
  corporaOf,
  manifestStep,
  type ReadCall,
  type RecomputeStep,
  readCall,
  recomputeShares,
  repeatAnswer,
  statementOf,
} from '../agent/recompute.ts';
import { equalBytes, toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError, type SaharaError } from '../base/errors.ts';
import { type Bundle, readBundle } from '../protocol/bundle.ts';
import { card } from '../protocol/card.ts';
import { didOf, shortHex } from '../protocol/ids.ts';
import type { ModelMade } from '../protocol/model-made.ts';
import { checkPurpose } from '../vault/terms.ts';
import type { Vault } from '../vault/vault.ts';
import type { AgentKeeper } from './agents.ts';
import { finderOf } from './answering.ts';
import type { Knowledge } from './knowledge.ts';
import type { Models } from './models.ts';
import type { Searching } from './searching.ts';

/** What came of repeating an answer. */
export interface RecomputeReport {
  readonly steps: readonly RecomputeStep[];
  /** Why the answer was not repeated. */
  readonly notRepeated?: string;
}

/** What a call is repeated from. */
export interface RecomputeInput {
  /** Evidence of the call. */
  readonly file: Uint8Array;
  /** The agent's manifest, where it is not hosted here. */
  readonly manifest?: string | undefined;
}

/** Longest time for the scores of a model that is repeated, milliseconds. */
const SCORES_MS_MAX = 300_000;

/** Repeats who earned, from the file alone, and with the manifest also whether it divides so. Throws `malformed`, `manifest-invalid`. */
export function recomputeFile({ file, manifest }: RecomputeInput): readonly RecomputeStep[] {
  const bundle = readBundle(file);
  const steps = recomputeShares(bundle);
  if (manifest === undefined || !steps.every(({ ok }) => ok)) return steps;
  const declared = manifestStep(readCall(bundle), parseManifest(manifest, { file: 'manifest' }));
  return declared === undefined ? steps : [...steps, declared];
}

/** What repeats an answer. */
interface HereParts extends Omit<Parameters<typeof finderOf>[0], 'vaults'> {
  readonly knowledge: Knowledge;
  readonly agents: AgentKeeper;
  readonly models: Models;
  readonly searching: Searching;
  readonly clock: Clock;
}

/** Repeats the answer of a call with the vaults and models of this home. Throws `malformed`, `manifest-invalid`. */
export async function recomputeHere(
  parts: HereParts,
  input: RecomputeInput,
  options: { readonly signal: AbortSignal },
): Promise<RecomputeReport> {
  const bundle = readBundle(input.file);
  const call = readCall(bundle);
  const stated = statementOf(call);
  if (stated === undefined)
    return { steps: [], notRepeated: 'the agent delivered no statement to repeat by' };
  const manifest = await manifestOf(parts.agents, call, input.manifest);
  const declared = input.manifest === undefined && manifest ? manifestStep(call, manifest) : undefined;
  const steps = declared === undefined ? [] : [declared];
  const otherTerms = analysisFault(stated);
  if (otherTerms !== undefined) return { steps, notRepeated: otherTerms };
  try {
    const vaults = await vaultsOf(parts, corporaOf(stated));
    const found = await finderAgain(parts, { manifest, vaults, how: stated.how }, options);
    const backend = await backendFor(parts.models, { manifest, bundle, call }, options);
    const measure = measureOf(manifest, parts);
    const prompt = manifest?.prompt;
    const { finder } = found;
    const given = { ...(finder && { finder }), ...(prompt && { prompt }), ...(measure && { measure }) };
    try {
      const repeated = await repeatAnswer(bundle, { vaults, backend, ...given }, options);
      found.check();
      return { steps: [...steps, ...repeated] };
    } finally {
      await backend.close();
    }
  } catch (error) {
    if (!(error instanceof NotHere)) throw error;
    return { steps, notRepeated: error.message };
  }
}

/** Something that repeating needs is not in this home. */
class NotHere extends Error {}

/** The vaults with these commitments, in their order, as far as they may be used to answer. */
async function vaultsOf(
  { knowledge: { vaults }, clock }: HereParts,
  wanted: readonly string[],
): Promise<readonly Vault[]> {
  const found = new Map<string, Vault>();
  // Another vault may hold the same under other terms.
  const refusals = new Map<string, string>();
  for (const name of await vaults.names()) {
    const vault = await vaults.open(name);
    const [key = ''] = corporaOf({ record: { corpora: [await vault.commitment()] } });
    if (!wanted.includes(key)) continue;
    const refused = await checkPurpose(vault.books, 'answer', clock.nowMs()).then(
      () => undefined,
      asSaharaError,
    );
    if (refused === undefined) found.set(key, vault);
    else refusals.set(key, refused.message);
  }
  const all = wanted.flatMap((key) => found.get(key) ?? []);
  if (all.length === wanted.length) return all;
  const [refusal] = wanted.flatMap((key) => (found.has(key) ? [] : (refusals.get(key) ?? [])));
  throw new NotHere(refusal ?? 'no vault here is, as it is now, what the statement commits to');
}

/** What an answer's passages are found with again. */
interface FoundAgain {
  /** Absent where words find them among all. */
  readonly finder?: Finder;
  /** Throws `NotHere` where a model did not help in the end. */
  check(): void;
}

/** Finds as the statement says that it was found. */
async function finderAgain(
  parts: HereParts,
  {
    manifest,
    vaults,
    how,
  }: {
    readonly manifest: Manifest | undefined;
    readonly vaults: readonly Vault[];
    readonly how: SearchHow | undefined;
  },
  options: { readonly signal: AbortSignal },
): Promise<FoundAgain> {
  if (how === undefined) return { check: () => {} };
  if (!how.whole) throw new NotHere('it was found while vectors of some passages were still being made');
  const models = await searchModels(parts.searching, { manifest, vaults, how }, options);
  let fault: SaharaError | undefined;
  const told = (_: unknown, failure: SaharaError | undefined): void => {
    fault ??= failure;
  };
  const finder = finderOf({ ...parts, vaults }, { models: () => models, told, open: !how.restricted });
  return {
    finder,
    check() {
      if (fault !== undefined) throw new NotHere(`a model did not help to find again: ${fault.message}`);
    },
  };
}

/** The models that helped, by their digests. */
async function searchModels(
  searching: Searching,
  {
    manifest,
    vaults,
    how,
  }: {
    readonly manifest: Manifest | undefined;
    readonly vaults: readonly Vault[];
    readonly how: SearchHow;
  },
  options: { readonly signal: AbortSignal },
): Promise<SearchModels> {
  const named = ({ name, digest }: SearchModel): string => `${name} (${shortHex(digest)})`;
  const needed = [
    ...(how.embedder ? [`the embedder ${named(how.embedder)}`] : []),
    ...(how.reranker ? [`the reranker ${named(how.reranker)}`] : []),
  ];
  if (needed.length === 0) return {};
  const needs = `level 2 needs the vault and ${needed.join(' and ')}`;
  const wish = manifest?.search;
  if (wish === undefined)
    throw new NotHere(`${needs}; how they were asked stands in the manifest, which is not here`);
  const search = {
    weight: how.weight,
    embedder: how.embedder && wish.embedder,
    reranker: how.reranker && wish.reranker,
  };
  const models = await searching.whole({ search, vaults }, options).catch((error: unknown) => {
    const failure = asSaharaError(error);
    if (options.signal.aborted) throw failure;
    throw new NotHere(`${needs}: ${failure.message}`);
  });
  for (const kind of ['embedder', 'reranker'] as const) {
    const [told, here] = [how[kind], models[kind]];
    if (told === undefined) continue;
    if (here === undefined || !equalBytes(told.digest, here.digest))
      throw new NotHere(`${needs}; here is ${here === undefined ? 'none' : named(here)}`);
  }
  const patient = { withinMs: SCORES_MS_MAX };
  return {
    ...(models.embedder && { embedder: { ...models.embedder, ...patient } }),
    ...(models.reranker && { reranker: { ...models.reranker, ...patient } }),
  };
}

/** The manifest that the receipt names: the one that was given, or a version of an agent of this home. */
async function manifestOf(
  agents: AgentKeeper,
  { final }: ReadCall,
  given: string | undefined,
): Promise<Manifest | undefined> {
  if (given !== undefined) return parseManifest(given, { file: 'manifest' });
  const did = didOf(final.agent);
  const row = (await agents.list()).find((listed) => listed.did === did);
  for (const { manifest: text } of row === undefined ? [] : await agents.versions.list(row.name)) {
    const manifest = readable(text);
    if (manifest !== undefined && equalBytes(manifestHash(manifest), final.manifestHash)) return manifest;
  }
  return undefined;
}

/** A manifest; `undefined` where this version takes it no more. */
function readable(text: string): Manifest | undefined {
  try {
    return parseManifest(text, { file: 'manifest' });
  } catch {
    return undefined;
  }
}

interface Answered {
  readonly manifest: Manifest | undefined;
  readonly bundle: Bundle;
  readonly call: ReadCall;
}

/** What answers under the digest that the receipt names, if it repeats itself. */
async function backendFor(
  models: Models,
  answered: Answered,
  options: { readonly signal: AbortSignal },
): Promise<Backend> {
  const { manifest, bundle, call } = answered;
  const { final } = call;
  const wish = manifest?.backend;
  const extractive = createExtractiveBackend(wish?.kind === 'extractive' ? wish : {});
  if (equalBytes(extractive.model.digest, final.modelDigest)) return extractive;
  const { model: told } = card.decode(bundle.card.payload);
  if (told.name.startsWith('extractive/')) {
    const here = extractive.model.name;
    throw new NotHere(
      told.name === here
        ? `it was quoted by ${told.name} with options that only its manifest says`
        : `it was quoted by the rules ${told.name}, and here are ${here}: other sentences would prove nothing`,
    );
  }
  if (told.determinism === 'none' || manifest?.tools.length)
    throw new NotHere('what answered does not repeat itself');
  if (told.made === undefined) throw new NotHere(`${told.name} is not a model of anybody's own machine`);
  if (wish?.kind !== 'llama')
    throw new NotHere('how the model was asked stands in the manifest, which is not here');
  const fixed = final.seed !== undefined || wish.seed !== undefined || wish.temperature === 0;
  if (!fixed) throw new NotHere('nobody gave a seed, and the model drew by chance');
  return localModel(
    models,
    { wish, agent: manifest?.name ?? '', made: told.made, digest: final.modelDigest },
    options,
  );
}

/** The model of these files on this machine, in the same determinism class. */
async function localModel(
  models: Models,
  {
    wish,
    agent,
    made,
    digest,
  }: {
    readonly wish: LlamaManifest;
    readonly agent: string;
    readonly made: ModelMade;
    readonly digest: Uint8Array;
  },
  options: { readonly signal: AbortSignal },
): Promise<Backend> {
  // The files may have other names here.
  const files = {
    ...wish,
    model: toHex(made.base),
    adapters: wish.adapters.map((adapter, i) => ({
      ...adapter,
      model: toHex(made.adapters[i]?.digest ?? made.base),
    })),
  };
  const backend = await models.backend({ agent, wish: files }, options).catch((error: unknown) => {
    const failure = asSaharaError(error);
    if (options.signal.aborted) throw failure;
    throw new NotHere(`its model cannot be asked here: ${failure.message}`);
  });
  if (equalBytes(backend.model.digest, digest)) return backend;
  await backend.close();
  const here = backend.model.made?.runtime ?? '';
  throw new NotHere(
    here === made.runtime
      ? 'the manifest makes another model of these files'
      : `it was made in the class "${made.runtime}", and here is "${here}": a difference would prove nothing`,
  );
}

function measureOf(manifest: Manifest | undefined, { clock }: HereParts): AdapterMeasure | undefined {
  if (manifest?.backend.kind !== 'llama' || manifest.backend.adapterParts === undefined) return undefined;
  return { clock, adapters: earningPositions(manifest.backend), withinMs: SCORES_MS_MAX };
}
