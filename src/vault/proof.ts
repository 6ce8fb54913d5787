/** A vault's chunks as the content of an asset: scheme `sahara-chunks-1`. */
import { equalBytes } from '../base/bytes.ts';
import { broken, readBody } from '../protocol/content.ts';
import { type MerklePath, merklePath } from '../protocol/merkle.ts';
import { record, type Schema } from '../protocol/schema.ts';
import type { Commitment } from '../protocol/transaction.ts';
import { type ChunkContent, chunkContent, chunkId, ID_SCHEME } from './chunk.ts';
import {
  commitmentHash,
  commitmentRecord,
  provesChunk,
  type Commitment as VaultCommitment,
} from './commitment.ts';
import type { Vault } from './vault.ts';

/** The scheme of a vault's chunks. */
export const VAULT_SCHEME = 'sahara-chunks-1';

/** A chunk of a vault with what leads from it to the vault's commitment. */
interface VaultProof {
  readonly commitment: VaultCommitment;
  readonly chunk: ChunkContent & { readonly scheme: number };
  readonly path: MerklePath;
}

/** The body of a proof under `sahara-chunks-1`. */
export const vaultProof: Schema<VaultProof> = record('vault-proof', {
  commitment: commitmentRecord,
  chunk: chunkContent,
  path: merklePath,
});

/** What a dataset asset registers for `vault`. Its size is the number of index tokens in it. */
export async function vaultCommitment(vault: Pick<Vault, 'commitment'>): Promise<Commitment> {
  const held = await vault.commitment();
  return { scheme: VAULT_SCHEME, root: commitmentHash(held), sizeBytes: held.lengthTotal };
}

/** The body of the proof that the chunk `id` is in `vault`. Throws `content-invalid` when it is not. */
export async function proveVaultChunk(vault: Vault, id: Uint8Array): Promise<Uint8Array> {
  const [chunk, path, commitment] = await Promise.all([
    vault.chunk(id),
    vault.chunkPath(id),
    vault.commitment(),
  ]);
  if (chunk === undefined || path === undefined) throw broken('the vault holds no such chunk');
  return vaultProof.encode({ commitment, path, chunk: { ...chunk, scheme: ID_SCHEME } });
}

/** The chunk that a proof's body shows to be the trusted commitment's. Throws `content-invalid` with the reason. */
export function verifyVaultChunk(trusted: Commitment, body: Uint8Array): ChunkContent {
  const { commitment, chunk, path } = readBody(vaultProof, body);
  const sound = commitment.scheme === ID_SCHEME && chunk.scheme === ID_SCHEME;
  if (!sound) throw broken('its ids are of another scheme');
  if (!equalBytes(commitmentHash(commitment), trusted.root)) {
    throw broken('it is of another vault, or of this one at another time');
  }
  if (!provesChunk(commitment, chunkId(chunk), path)) {
    throw broken('the chunk is not one that was committed to');
  }
  return chunk;
}
