/** From an attribution and the manifest's split to the shares of a receipt. */
import { compareBytes, toHex } from '../../base/bytes.ts';
import { PPM } from '../../protocol/limits.ts';
import { apportion, type PpmShare } from './apportion.ts';
import type { Attribution } from './attribute.ts';
import { KNOWLEDGE_ASSETS_MAX } from './limits.ts';
import { declaredAdapters } from './written.ts';

/** How a manifest divides what a call earns, in millionths that sum to 1,000,000. */
export interface RevenueSplit {
  readonly knowledge: number;
  readonly operator: number;
  readonly model: number;
  readonly prompt: number;
}

/** The assets behind an agent, 32 bytes each. What has no asset of its own is the agent's. */
export interface AgentAssets {
  readonly agent: Uint8Array;
  readonly model?: Uint8Array;
  readonly prompt?: Uint8Array;
  /** Adapters that took part, each with its declared part of what the model earns; the rest is the model's. */
  readonly adapters?: readonly PpmShare[];
}

/** A part of a receipt. */
export interface RoleShare {
  readonly asset: Uint8Array;
  readonly role: 'knowledge' | 'agent' | 'model' | 'prompt';
  readonly ppm: number;
}

const ROLES: readonly RoleShare['role'][] = ['knowledge', 'agent', 'model', 'prompt'];

/**
 * Shares that sum to exactly 1,000,000: the knowledge part by the attribution, its residual to the model (without a
 * model's asset to the agent) with each adapter's declared part of it, the other parts as the split says. Contributors without an asset, and those beyond
 * the 56 largest, are paid through the agent's asset. No share is zero; order is by role and then by asset.
 */
export function roleShares(split: RevenueSplit, attribution: Attribution, assets: AgentAssets): RoleShare[] {
  const weights = new Map<string, { asset: Uint8Array; role: RoleShare['role']; weight: bigint }>();
  const add = (role: RoleShare['role'], asset: Uint8Array, weight: bigint): void => {
    if (weight === 0n) return;
    const key = `${role}/${toHex(asset)}`;
    weights.set(key, { asset, role, weight: (weights.get(key)?.weight ?? 0n) + weight });
  };
  const whole = BigInt(PPM);
  const paid = attribution.contributors
    .filter(({ contribution }) => contribution !== undefined)
    .sort((a, b) => b.ppm - a.ppm)
    .slice(0, KNOWLEDGE_ASSETS_MAX);
  for (const share of attribution.contributors) {
    const asset = paid.includes(share) ? share.contribution : undefined;
    const weight = BigInt(split.knowledge) * BigInt(share.ppm) * whole;
    add(asset === undefined ? 'agent' : 'knowledge', asset ?? assets.agent, weight);
  }
  const adapters = declaredAdapters(assets.adapters ?? []);
  const declared = adapters.reduce((sum, { ppm }) => sum + ppm, 0);
  const modelled = BigInt(split.knowledge) * BigInt(attribution.residualPpm) + BigInt(split.model) * whole;
  for (const { asset, ppm } of adapters) add('model', asset, modelled * BigInt(ppm));
  const base = modelled * BigInt(PPM - declared);
  add(assets.model === undefined ? 'agent' : 'model', assets.model ?? assets.agent, base);
  add('agent', assets.agent, BigInt(split.operator) * whole * whole);
  add(
    assets.prompt === undefined ? 'agent' : 'prompt',
    assets.prompt ?? assets.agent,
    BigInt(split.prompt) * whole * whole,
  );
  const sorted = [...weights.values()].sort(
    (a, b) => ROLES.indexOf(a.role) - ROLES.indexOf(b.role) || compareBytes(a.asset, b.asset),
  );
  const parts = apportion(
    whole,
    sorted.map(({ weight }) => weight),
  );
  return sorted
    .map(({ asset, role }, i) => ({ asset, role, ppm: Number(parts[i] ?? 0n) }))
    .filter(({ ppm }) => ppm > 0);
}
