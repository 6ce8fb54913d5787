/**
 * Repeating a call's answer with what this home has: the vaults that the statement commits to, and what answered. What
 * is not here is said, and is no failure of the evidence.
 */
import type { Backend } from '../agent/backends/backend.ts';
import { createExtractiveBackend } from '../agent/backends/extractive.ts';
import type { Manifest } from '../agent/manifest.ts';
import {
  corporaOf,
  type ReadCall,
  type RecomputeStep,
  readCall,
  recomputeShares,
  repeatAnswer,
  statementOf,
} from '../agent/recompute.ts';
import { equalBytes } from '../base/bytes.ts';
import { type Bundle, readBundle } from '../protocol/bundle.ts';
import { didOf } from '../protocol/ids.ts';
import type { Vault } from '../vault/vault.ts';
import type { AgentKeeper } from './agents.ts';
import type { Knowledge } from './knowledge.ts';
import type { Models } from './models.ts';

/** What came of repeating an answer. */
export interface RecomputeReport {
  readonly steps: readonly RecomputeStep[];
  /** Why the answer was not repeated. */
  readonly notRepeated?: string;
}

/** Repeats who earned, from the file alone. Throws `malformed` for a file that is no bundle. */
export function recomputeFile(file: Uint8Array): readonly RecomputeStep[] {
  return recomputeShares(readBundle(file));
}

/** Repeats the answer in `file` with the vaults and models of this home. */
export async function recomputeHere(
  parts: { readonly knowledge: Knowledge; readonly agents: AgentKeeper; readonly models: Models },
  file: Uint8Array,
  options: { readonly signal: AbortSignal },
): Promise<RecomputeReport> {
  const bundle = readBundle(file);
  const call = readCall(bundle);
  const stated = statementOf(call);
  if (stated === undefined)
    return { steps: [], notRepeated: 'the agent delivered no statement to repeat by' };
  const vaults = await vaultsOf(parts.knowledge, corporaOf(stated));
  if (vaults === undefined)
    return { steps: [], notRepeated: 'no vault here is, as it is now, what the statement commits to' };
  const manifest = await manifestOf(parts.agents, call);
  const backend = await backendFor(parts.models, { manifest, call }, options);
  if (backend === undefined)
    return { steps: [], notRepeated: 'what answered is not here, or does not repeat itself' };
  try {
    return { steps: await repeat(bundle, { vaults, backend, manifest }, options) };
  } finally {
    await backend.close();
  }
}

function repeat(
  bundle: Bundle,
  parts: {
    readonly vaults: readonly Vault[];
    readonly backend: Backend;
    readonly manifest?: Manifest | undefined;
  },
  options: { readonly signal: AbortSignal },
): Promise<readonly RecomputeStep[]> {
  const { vaults, backend, manifest } = parts;
  const prompt = manifest?.prompt;
  return repeatAnswer(bundle, { vaults, backend, ...(prompt !== undefined && { prompt }) }, options);
}

/** The vaults with these commitments, in their order; `undefined` when one of them is not here. */
async function vaultsOf(
  { vaults }: Knowledge,
  wanted: readonly string[],
): Promise<readonly Vault[] | undefined> {
  const found = new Map<string, Vault>();
  for (const name of await vaults.names()) {
    const vault = await vaults.open(name);
    const [key = ''] = corporaOf({ record: { corpora: [await vault.commitment()] } });
    found.set(key, vault);
  }
  const all = wanted.flatMap((key) => found.get(key) ?? []);
  return all.length === wanted.length ? all : undefined;
}

async function manifestOf(agents: AgentKeeper, { final }: ReadCall): Promise<Manifest | undefined> {
  const did = didOf(final.agent);
  const row = (await agents.list()).find((listed) => listed.did === did);
  return row && agents.hosted(row.name).manifest;
}

/** What answers under the digest that the receipt names, if it repeats itself. */
async function backendFor(
  models: Models,
  { manifest, call: { final } }: { readonly manifest: Manifest | undefined; readonly call: ReadCall },
  options: { readonly signal: AbortSignal },
): Promise<Backend | undefined> {
  const wish = manifest?.backend;
  const extractive = createExtractiveBackend(wish?.kind === 'extractive' ? wish : {});
  if (equalBytes(extractive.model.digest, final.modelDigest)) return extractive;
  if (wish?.kind !== 'llama' || final.seed === undefined || manifest?.tools.length !== 0) return undefined;
  const model = await models.backend({ agent: manifest.name, wish }, options);
  const same = equalBytes(model.model.digest, final.modelDigest) && model.model.determinism !== 'none';
  if (same) return model;
  await model.close();
  return undefined;
}
