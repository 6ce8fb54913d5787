import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { manifestHash, parseManifest } from '../../src/agent/manifest.ts';
import { checkPolicy } from '../../src/agent/policy.ts';
import { toHex, utf8 } from '../../src/base/bytes.ts';
import { systemClock as clock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog as log } from '../../src/base/log.ts';
import { systemDice as dice } from '../../src/base/random.ts';
import { createMemoryStore, prefixed, type Store } from '../../src/base/store.ts';
import { mayUse, readCapability } from '../../src/daemon/access.ts';
import { type CertificateBook, openCertificateBook, subjectOf } from '../../src/daemon/certificates.ts';
import { createTrust, type LedgerTrust } from '../../src/daemon/trust.ts';
import { createWallet, type Wallet } from '../../src/daemon/wallet.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { createGenesis } from '../../src/ledger/genesis.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { didOf } from '../../src/protocol/ids.ts';
import { LICENCE_PRESETS } from '../../src/protocol/licence.ts';
import { createTickSigner } from '../../src/protocol/signing.ts';
import { createSigner, nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { assetId } from '../../src/protocol/transaction.ts';

const folder = mkdtempSync(join(tmpdir(), 'sahara-access-'));
const [owner, buyer, friend] = [1, 2, 3].map(() => createSigner(dice.bytes(32)));
if (!owner || !buyer || !friend) throw new Error('three keys');
const signal = new AbortController().signal;
const open: { stop(): unknown }[] = [];
let store: Store & { close(): Promise<void> };
let ledger: Ledger;
let wallets: readonly Wallet[];
let certificates: CertificateBook;
let trust: LedgerTrust;
let asset: Uint8Array;

beforeAll(async () => {
  store = await openLevelStore(join(folder, 'store'));
  const genesis = createGenesis({ sequencer: owner.publicKey, createdAtMs: 1 });
  const parts = { store: prefixed(store, utf8('ledger/')), suite, clock, log, signer: owner };
  ledger = await createEmbeddedLedger(parts, genesis);
  trust = createTrust({ ledger, clock });
  wallets = [owner, buyer].map((signer) =>
    createWallet({ ledger, signer, clock, log, store: createMemoryStore() }),
  );
  open.push(...wallets, trust);
  await Promise.all(wallets.map(({ funded }) => funded));
  const operator = createTickSigner({ suite, signer: owner, network: ledger.network });
  const book = { network: ledger.network, clock, dice, operator, trust, store: prefixed(store, utf8('c/')) };
  certificates = await openCertificateBook(book);
  const { nonce } = (await wallets[0]?.send(
    {
      type: 'register-asset',
      kind: 'dataset',
      name: 'wells',
      owners: [{ owner: owner.publicKey, ppm: 1_000_000 }],
      parents: [],
      commitment: { scheme: 'sahara-manifest-1', root: new Uint8Array(32).fill(7), sizeBytes: 0 },
      licence: 'paid',
      terms: { ...LICENCE_PRESETS.open, grant: { price: 5n, blocks: 2 } },
      replaces: undefined,
      bounty: 0,
    },
    { signal },
  )) ?? { nonce: 0 };
  asset = assetId(suite, ledger.network, owner.publicKey, nonce);
});
afterAll(async () => {
  for (const one of open) one.stop();
  await ledger.stop();
  await store.close();
  rmSync(folder, { recursive: true });
});

const may = (caller: Uint8Array): boolean =>
  mayUse({ ledger, operator: owner.publicKey, certificates }, asset, caller);

describe('access to an asset (ID-43)', () => {
  it('is its registrant’s and its owners’, and nobody else’s by itself', () => {
    expect(may(owner.publicKey)).toBe(true);
    expect(may(buyer.publicKey)).toBe(false);
    expect(
      mayUse({ ledger, operator: owner.publicKey, certificates }, new Uint8Array(32), owner.publicKey),
    ).toBe(false);
  });

  it('comes with a licence, for as long as that counts', async () => {
    const [, wallet] = wallets;
    const bought = await wallet?.send({ type: 'buy-licence', asset }, { signal });
    expect(may(buyer.publicKey)).toBe(true);
    const endsAt = (bought?.height ?? 0) + 2;
    while (ledger.head().height < endsAt) {
      expect(may(buyer.publicKey)).toBe(true);
      await wallet?.send({ type: 'transfer', to: owner.publicKey, amount: 1n, memo: undefined }, { signal });
    }
    expect(may(buyer.publicKey)).toBe(false);
  });

  it('comes with the registrant’s certificate until that ends or is taken back', async () => {
    const subject = subjectOf(didOf(friend.publicKey));
    const order = { subject, roles: [], lifeMs: 60_000 };
    await certificates.issue({ ...order, capabilities: ['read:dataset/00*'] });
    expect(may(friend.publicKey)).toBe(false);
    const { stated } = await certificates.issue({ ...order, capabilities: [readCapability(asset)] });
    expect(may(friend.publicKey)).toBe(true);
    expect(certificates.serialsOf(subject).map(toHex)).toContain(toHex(stated.serial));
    const elsewhere = { ledger, operator: buyer.publicKey, certificates };
    expect(mayUse(elsewhere, asset, friend.publicKey)).toBe(false);
    await wallets[0]?.send({ type: 'revoke-certificate', serial: stated.serial }, { signal });
    expect(may(friend.publicKey)).toBe(false);
  });

  it('is what an agent’s manifest can ask of its callers', () => {
    const text = (callers: string): string =>
      `name: wells\nvaults: [wells]\nbackend:\n  kind: extractive\npolicy:\n  callers: ${callers}\n`;
    const parse = (callers: string) => parseManifest(text(callers), { file: 'wells.yaml' });
    const manifest = parse(`"licence:${toHex(asset)}"`);
    const ask =
      (caller: Uint8Array): (() => void) =>
      () =>
        checkPolicy(manifest, { caller, question: 'Where is water?' }, (_, of) => may(of));
    expect(ask(owner.publicKey)).not.toThrow();
    expect(ask(buyer.publicKey)).toThrow(expect.objectContaining({ code: 'caller-refused' }));
    expect(() => checkPolicy(manifest, { caller: owner.publicKey, question: '' })).toThrow();
    expect(() => parse('"licence:00"')).toThrow(expect.objectContaining({ code: 'manifest-invalid' }));
    const listed = parse(`[${didOf(owner.publicKey)}]`);
    const hashes = [manifest, listed, parse('everyone')].map((one) => toHex(manifestHash(one)));
    expect(new Set(hashes).size).toBe(3);
  });
});
