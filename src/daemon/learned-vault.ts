/**
 * The vault of what people gave an agent through chats: one for each agent that learns, beside the vaults of its manifest.
 * A vault for each person cannot be: an answer searches sixteen at most. So people share one, and are kept apart in it by
 * their DID in the names of documents and by provenance, which every document and passage carries and their ids cover.
 */
import type { Manifest } from '../agent/manifest.ts';
import { toHex, utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { grantRefused } from '../vault/grant-file.ts';
import { sha256 } from '../vault/hash.ts';
import { CORPORA_MAX } from '../vault/limits.ts';
import { keepTerms, termsOf } from '../vault/terms.ts';
import type { Vault } from '../vault/vault.ts';
import type { Config } from './config-schema.ts';
import type { Knowledge } from './knowledge.ts';
import type { VaultKeeper } from './vaults.ts';

/** Licence of what people gave: the ledger and every citation say it. */
export const LEARNED_LICENCE = 'answers only, no training, no merging';

/** Name of the vault of what `agent` learns. */
export function learnedVaultName(agent: string): string {
  const isPlain = /^[a-z0-9][a-z0-9_-]{0,47}$/.test(agent);
  return `learned-${isPlain ? agent : toHex(sha256(utf8(agent))).slice(0, 32)}`;
}

/** That vault, made where it is not there. What is in it may be used for answers and nothing else. */
export async function openLearned(vaults: VaultKeeper, agent: string): Promise<Vault> {
  const name = learnedVaultName(agent);
  const isThere = (await vaults.names()).includes(name);
  const vault = await (isThere ? vaults.open(name) : vaults.create(name));
  const terms = { id: TERMS_ID, owner: NOBODY, name: GIVEN, purposes: ['answer'] } as const;
  await keepTerms(vault.books, { ...terms, expiresAtMs: undefined });
  return vault;
}

/**
 * The vaults that an agent answers from. Throws `vault-unknown`, `vault-empty`, `home-full`, and `grant-refused` for a manifest
 * that names what people gave.
 */
export async function vaultsFor(
  manifest: Manifest,
  parts: { readonly knowledge: Pick<Knowledge, 'vaults'>; readonly config: Pick<Config, 'bridges'> },
): Promise<readonly Vault[]> {
  const { vaults } = parts.knowledge;
  const opened = await Promise.all(manifest.vaults.map((vault) => vaults.open(vault)));
  const empty = manifest.vaults.find((_, i) => opened[i]?.stats().chunks === 0);
  if (empty !== undefined) throw new SaharaError('vault-empty', { vault: empty });
  for (const [i, vault] of opened.entries()) await refuseGiven(vault, manifest.vaults[i] ?? '');
  if (!isLearning(manifest, parts.config.bridges.learn)) return opened;
  return [...opened, await openLearned(vaults, manifest.name)];
}

/** The names of those vaults. `learns`: the agent that people give documents to. */
export function vaultNames(manifest: Manifest, learns: string): readonly string[] {
  const { name, vaults } = manifest;
  return isLearning(manifest, learns) ? [...vaults, learnedVaultName(name)] : vaults;
}

function isLearning(manifest: Manifest, learns: string): boolean {
  return manifest.name === learns && canLearn(manifest);
}

/** Whether an agent has room for one vault more, and answers from vaults at all. */
export function canLearn({ backend, vaults }: Pick<Manifest, 'backend' | 'vaults'>): boolean {
  return backend.kind !== 'delegate' && vaults.length < CORPORA_MAX;
}

/** People agreed to one agent: no manifest can name what they gave. */
async function refuseGiven({ books }: Vault, vault: string): Promise<void> {
  const terms = await termsOf(books);
  if (terms.some(({ name }) => name === GIVEN)) {
    throw grantRefused(`the vault ${vault} is what people gave, for the agent that they were told of`);
  }
}

const GIVEN = 'what people gave';
const TERMS_ID = new Uint8Array(16);
const NOBODY = new Uint8Array(32);
