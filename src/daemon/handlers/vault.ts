/** `vault.*`: documents in, passages out. */
import { toHex } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { contentProof } from '../../protocol/content.ts';
import { didOf } from '../../protocol/ids.ts';
import type { ImportEvent as Imported } from '../../vault/import.ts';
import { proveVaultChunk, vaultCommitment } from '../../vault/proof.ts';
import { commitVault } from '../../vault/snapshots.ts';
import { checkPurpose } from '../../vault/terms.ts';
import type { Vault } from '../../vault/vault.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type { ImportEvent, VaultRow } from '../admin/types.ts';
import { commitmentText } from '../content.ts';
import type { Core } from '../core.ts';
import type { Knowledge } from '../knowledge.ts';
import { keyOf } from './ledger.ts';

type VaultMethods =
  | 'vault.create'
  | 'vault.add'
  | 'vault.list'
  | 'vault.search'
  | 'vault.remove'
  | 'vault.commit'
  | 'vault.prove';

const HITS_DEFAULT = 5;
/** Who uses the command line, in the access log. */
const OPERATOR = 'operator';

/** Documents in, passages out. `usedBy`: agents that answer from a vault. */
export function vaultHandlers(
  core: Core & { readonly knowledge: Knowledge },
  usedBy: (vault: string) => readonly string[],
): Pick<AdminHandlers, VaultMethods> {
  const { vaults } = core.knowledge;
  return {
    async 'vault.create'({ name }, signal) {
      const ledgerKept = await core.homeLedger.keepWhole({ signal });
      const row = await rowOf(name, await vaults.create(name));
      return { ...row, ...(ledgerKept !== undefined && { ledgerKept }) };
    },
    async 'vault.list'() {
      const rows: VaultRow[] = [];
      for (const name of await vaults.names()) rows.push(await rowOf(name, await vaults.open(name)));
      return rows;
    },
    async 'vault.search'({ vault: name, query, limit = HITS_DEFAULT }) {
      const vault = await vaults.open(name);
      await checkPurpose(vault.books, 'answer', core.clock.nowMs());
      const { hits } = await vault.search({ question: query, limit });
      const access = { who: OPERATOR, action: 'search', purpose: 'answer', count: hits.length, about: '' };
      await vault.accesses.add(access);
      return Promise.all(
        hits.map(async ({ chunk, score }) => ({
          document: await vault.nameOf(chunk.document),
          title: chunk.title,
          text: chunk.text,
          score: Number(score),
          contributor: didOf(chunk.contributor),
          chunk: toHex(chunk.id),
        })),
      );
    },
    async 'vault.remove'({ name }) {
      const [agent] = usedBy(name);
      if (agent !== undefined) throw new SaharaError('vault-in-use', { vault: name, agent });
      await core.knowledge.watching.dropAll(name);
      await vaults.remove(name);
      return {};
    },
    async 'vault.commit'({ name }) {
      const vault = await vaults.open(name);
      return { commitment: commitmentText(await commitVault(vault, core.clock.nowMs())) };
    },
    async 'vault.prove'({ name, chunk }) {
      const vault = await vaults.open(name);
      const body = await proveVaultChunk(vault, Buffer.from(chunk, 'hex'));
      const commitment = await vaultCommitment(vault);
      const proof = contentProof.encode({ version: 1, commitment, body });
      return { proof: Buffer.from(proof).toString('base64') };
    },
    async *'vault.add'({ vault: name, path, contributor, licence, consent }, signal) {
      const vault = await vaults.open(name);
      const key = contributor === undefined ? core.wallet.publicKey : keyOf(contributor);
      const provenance = await core.knowledge.provenance(
        { vault: name, contributor: key, licence: licence ?? '' },
        { signal },
      );
      let count = 0;
      try {
        for await (const event of vault.importPath(path, provenance, { signal, consent })) {
          if (event.type === 'kept' && event.outcome !== 'unchanged') count++;
          yield eventOf(event, name, vault);
        }
      } finally {
        const access = { who: OPERATOR, action: 'import', purpose: 'import', count, about: didOf(key) };
        if (count > 0) await vault.accesses.add(access);
      }
    },
  };
}

const OUTCOMES: Readonly<Record<Extract<Imported, { type: 'kept' }>['outcome'], ImportEvent['type']>> = {
  added: 'added',
  named: 'added',
  replaced: 'replaced',
  unchanged: 'unchanged',
};

function eventOf(event: Imported, name: string, vault: Vault): ImportEvent {
  switch (event.type) {
    case 'started':
      return { type: 'started', name, files: event.files, sizeBytes: event.sizeBytes };
    case 'kept': {
      const { chunks, sizeBytes } = event;
      return { type: OUTCOMES[event.outcome], name: event.name, chunks, sizeBytes };
    }
    case 'refused':
      return {
        type: 'skipped',
        name: event.name,
        refusal: { code: event.error.code, facts: event.error.facts },
      };
    case 'done': {
      const { documents, chunks } = vault.stats();
      return { type: 'total', name, documents, chunks };
    }
  }
}

async function rowOf(name: string, vault: Vault): Promise<VaultRow> {
  const { documents, chunks } = vault.stats();
  const contributors = new Set<string>();
  let bytes = 0;
  for await (const document of vault.documents()) {
    contributors.add(didOf(document.contributor));
    bytes += document.sizeBytes;
  }
  return { name, documents, chunks, bytes, contributors: [...contributors] };
}
