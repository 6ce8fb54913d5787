/** `vault.*` beyond documents and passages: grants, the access log, exports, deletion, verification, watched folders. */
import { fromHex, toHex } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { didOf } from '../../protocol/ids.ts';
import { type Grant, standingOf } from '../../vault/grants.ts';
import { forgetName, verifyVault } from '../../vault/snapshots.ts';
import type { Vault } from '../../vault/vault.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type {
  GrantRow,
  TransferEvent,
  VaultStreamMethods,
  VaultUnaryMethods,
  WatchRow,
} from '../admin/methods-vault.ts';
import { commitmentText } from '../content.ts';
import type { Core } from '../core.ts';
import type { Knowledge } from '../knowledge.ts';
import {
  exportArchive,
  exportReadable,
  type GrantWish,
  grantVault,
  importExport,
  readGrantFile,
  writeGrantFile,
} from '../vault-sharing.ts';
import type { WatchState } from '../vault-watching.ts';
import { keyOf } from './ledger.ts';
import { vaultLabelHandlers } from './vault-labels.ts';

type Names = keyof VaultUnaryMethods | keyof VaultStreamMethods;

const LOG_DEFAULT = 50;

/** What an operator does with whole vaults. */
export function vaultSharingHandlers(
  core: Core & { readonly knowledge: Knowledge },
): Pick<AdminHandlers, Names> {
  return {
    ...grantHandlers(core),
    ...vaultLabelHandlers(core),
    ...fileHandlers(core),
    ...careHandlers(core),
    ...watchHandlers(core),
  };
}

type Knowing = Core & { readonly knowledge: Knowledge };

/** Writes down what the operator did. */
function noted(vault: Vault, action: string, count: number, about: string, purpose = action): Promise<void> {
  return vault.accesses.add({ who: 'operator', action, purpose, count, about });
}

function grantHandlers(
  core: Knowing,
): Pick<AdminHandlers, 'vault.grant' | 'vault.grants' | 'vault.revoke' | 'vault.log'> {
  const { vaults } = core.knowledge;
  return {
    async 'vault.grant'({ vault: name, reader, purposes, expiresAtMs, out }) {
      const vault = await vaults.open(name);
      const wish = { reader: keyOf(reader), purposes, expiresAtMs };
      const { grant, file } = await grantVault(core, { name, vault }, wish);
      await writeGrantFile(out, file);
      await noted(vault, 'grant', 1, reader, grant.purposes.join(' ').slice(0, 16));
      return grantRow(grant, core.clock.nowMs());
    },
    async 'vault.grants'({ vault: name }) {
      const { grants } = await vaults.open(name);
      return grants.list().map((grant) => grantRow(grant, core.clock.nowMs()));
    },
    async 'vault.revoke'({ vault: name, reader }) {
      const vault = await vaults.open(name);
      const key = keyOf(reader);
      const revoked = await vault.quiet(() => vault.grants.revoke(key, core.clock.nowMs()));
      if (revoked > 0) await noted(vault, 'revoke', revoked, reader);
      return { revoked };
    },
    async 'vault.log'({ vault: name, limit = LOG_DEFAULT }) {
      return (await vaults.open(name)).accesses.list(limit);
    },
  };
}

function fileHandlers(core: Knowing): Pick<AdminHandlers, 'vault.export' | 'vault.import'> {
  const { vaults } = core.knowledge;
  return {
    async *'vault.export'({ vault: name, path, sealed, to, purposes, expiresAtMs }) {
      const vault = await vaults.open(name);
      const named = { name, vault };
      const wish: GrantWish | undefined =
        to === undefined ? undefined : { reader: keyOf(to), purposes: purposes ?? ['answer'], expiresAtMs };
      const events =
        wish !== undefined || sealed === true
          ? exportArchive(core, named, { path, ...(wish && { wish }) })
          : exportReadable(core, named, path);
      const of = vault.stats().documents;
      let documents = 0;
      for await (const event of events) {
        documents += event.type === 'document' ? 1 : 0;
        yield { ...event, of };
      }
      await noted(vault, 'export', documents, to ?? '');
      yield { type: 'total', documents, path };
    },
    async *'vault.import'({ vault: name, path, grant }, signal) {
      const vault = await vaults.open(name);
      const file = grant === undefined ? undefined : await readGrantFile(grant);
      let documents = 0;
      for await (const event of importExport(core, vault, { path, grant: file, signal })) {
        if (event.type === 'document') documents++;
        yield event satisfies TransferEvent;
      }
      await noted(vault, 'import', documents, '');
      yield { type: 'total', documents, path };
    },
  };
}

function careHandlers(core: Knowing): Pick<AdminHandlers, 'vault.forget' | 'vault.verify'> {
  const { vaults } = core.knowledge;
  return {
    async 'vault.forget'({ vault: name, document }) {
      const vault = await vaults.open(name);
      const found = await vault.document(document);
      if (found === undefined) {
        throw new SaharaError('file-missing', {
          path: document,
          reason: `The vault ${name} has no such document`,
          advice: 'Name it as `sahara vault search` shows it, with its folder in front',
        });
      }
      const commitments = await forgetName(vault, found.id);
      await vault.forget(document);
      await noted(vault, 'forget', 1, '');
      return { names: found.names, chunks: found.chunks, commitments };
    },
    async 'vault.verify'({ vault: name, asset: id }, signal) {
      const vault = await vaults.open(name);
      const registered = id === undefined ? undefined : fromHex(id);
      const asset = registered && (await core.ledger.read(({ asset: of }) => of(registered), { signal }));
      if (id !== undefined && asset === undefined) throw new SaharaError('asset-unknown', { asset: id });
      const trusted = asset?.commitment;
      const { now, ...found } = await verifyVault(vault, trusted ?? NOTHING);
      await noted(vault, 'verify', vault.stats().documents, id ?? '');
      return {
        vault: name,
        ...(id !== undefined && { asset: id }),
        ...found,
        // Without an asset it is asked only whether everything is sound.
        matches: trusted === undefined ? found.damaged.length === 0 : found.matches,
        now: commitmentText(now),
        ...(trusted !== undefined && { committed: commitmentText(trusted) }),
      };
    },
  };
}

const NOTHING = { scheme: '', root: new Uint8Array(32), sizeBytes: 0 };

function watchHandlers(
  core: Knowing,
): Pick<AdminHandlers, 'vault.watch' | 'vault.unwatch' | 'vault.watches'> {
  const { watching } = core.knowledge;
  return {
    async 'vault.watch'({ vault, path, contributor, licence = '', consent = '' }, signal) {
      const key = contributor === undefined ? core.wallet.publicKey : keyOf(contributor);
      const provenance = await core.knowledge.provenance({ vault, contributor: key, licence }, { signal });
      return watchRow(await watching.add(vault, { ...provenance, path, consent }));
    },
    async 'vault.unwatch'({ vault, path }) {
      const dropped = await watching.drop(vault, path);
      if (dropped !== undefined) return watchRow(dropped);
      throw new SaharaError('file-missing', { path, reason: `the vault ${vault} does not watch it` });
    },
    'vault.watches': async () => watching.list().map(watchRow),
  };
}

function watchRow({ fault, ...row }: WatchState): WatchRow {
  return { ...row, ...(fault !== undefined && { fault }) };
}

function grantRow(grant: Grant, nowMs: number): GrantRow {
  const { id, reader, purposes, epoch, grantedAtMs, expiresAtMs } = grant;
  return {
    ...{ id: toHex(id), reader: didOf(reader), purposes, epoch, grantedAtMs },
    ...(expiresAtMs !== undefined && { expiresAtMs }),
    state: standingOf(grant, nowMs),
  };
}
