import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock as clock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { silentLog as log } from '../../src/base/log.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { inOrder } from '../../src/daemon/key-proofs.ts';
import { openKeys } from '../../src/daemon/keys.ts';
import { openVoucherKeys, type VoucherKeyParts, type VoucherKeys } from '../../src/daemon/voucher-keys.ts';
import { createWallet, type Wallet } from '../../src/daemon/wallet.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { createGenesis } from '../../src/ledger/genesis.ts';
import type { Channel, Ledger } from '../../src/ledger/ledger.ts';
import type { Hash, PublicKey } from '../../src/protocol/ids.ts';
import { openKeysAtHeights } from '../../src/protocol/key-evidence.ts';
import { createVerifier } from '../../src/protocol/signing.ts';
import { createSigner, nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { channelId } from '../../src/protocol/transaction.ts';

const seeded = (value: number) => createSigner(new Uint8Array(32).fill(value));
const [payer, payee] = [seeded(1), seeded(2)];

let folder: string;
let ledger: Ledger;
let wallet: Wallet;
let store: Store;
let id: Hash;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sahara-voucher-keys-'));
  const genesis = createGenesis({ sequencer: payer.publicKey, createdAtMs: 1 });
  const parts = { suite, clock, log, store: createMemoryStore(), signer: payer };
  ledger = await createEmbeddedLedger(parts, genesis);
  wallet = createWallet({ ledger, signer: payer, clock, log, store: createMemoryStore() });
  await wallet.funded;
  store = createMemoryStore();
  const action = { type: 'open-channel', payee: payee.publicKey, deposit: 1_000_000_000n } as const;
  const { nonce } = await wallet.send(action);
  id = channelId(suite, ledger.network, payer.publicKey, payee.publicKey, nonce);
});
afterEach(async () => {
  wallet.stop();
  await ledger.stop();
  await rm(folder, { recursive: true, force: true });
});

const channel = (): Channel => ledger.channel(id) ?? expect.fail('the channel');
const files = async (): Promise<readonly string[]> =>
  (await readdir(folder)).filter((name) => name.startsWith('voucher.'));

/** Under a passphrase each key costs what a passphrase has to cost. */
async function open(change: Partial<VoucherKeyParts> = {}, passphrase?: string): Promise<VoucherKeys> {
  const { vouchers: secrets } = await openKeys(folder, passphrase);
  return openVoucherKeys({ network: ledger.network, secrets, ledger, wallet, clock, log, store, ...change });
}

/** Whose key signs vouchers now: the channel's, loaded if it has to be, or the payer's own. */
async function signs(keys: VoucherKeys): Promise<PublicKey | undefined> {
  const { present } = keys.state(channel());
  if (present === undefined) return undefined;
  for (let i = 0; i < 200; i++) {
    const signer = keys.signerOf(id, present);
    if (signer !== undefined) return signer.publicKey;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return undefined;
}

/** A wallet that fails where it sends, before or after the ledger has it. */
function failing(
  when: 'before' | 'after',
  code: 'deadline-exceeded' | 'tx-refused',
): VoucherKeyParts['wallet'] {
  return {
    publicKey: payer.publicKey,
    async send(action, options) {
      if (when === 'after') await wallet.send(action, options);
      throw new SaharaError(code, code === 'tx-refused' ? { code: 136 } : {});
    },
  };
}

describe('voucher keys of a payer', () => {
  it('PAY-70: are made, used at once, replaced and revoked; the secret of each goes with it', async () => {
    const keys = await open({}, 'a passphrase');
    expect(keys.state(channel())).toEqual({
      present: undefined,
      here: false,
      pending: undefined,
      former: [],
    });
    await expect(keys.change(channel(), 'rotate')).rejects.toMatchObject({ code: 'usage' });
    await expect(keys.change(channel(), 'revoke')).rejects.toMatchObject({ code: 'usage' });
    const first = (await keys.change(channel(), 'set')).present;
    expect(first).toBeDefined();
    expect(keys.signerOf(id, first as PublicKey)?.publicKey).toEqual(first);
    await expect(keys.change(channel(), 'set')).rejects.toMatchObject({ code: 'usage' });
    const state = await keys.change(channel(), 'rotate');
    expect(state).toMatchObject({ here: true, former: [{ key: first }] });
    expect(keys.signerOf(id, first as PublicKey)).toBeUndefined();
    expect(await files()).toHaveLength(1);
    const [name] = await files();
    expect(await readFile(join(folder, name as string), 'utf8')).toContain('"encrypted"');
    expect(await keys.change(channel(), 'revoke')).toMatchObject({ present: undefined, here: false });
    expect(await files()).toEqual([]);
    expect(keys.keysOf(id)).toHaveLength(2);
  });

  it('PAY-70: sign nothing but vouchers that verify by themselves', async () => {
    const keys = await open();
    await keys.change(channel(), 'set');
    const { present } = keys.state(channel());
    const signed = await keys.signerOf(id, present as PublicKey)?.sign('voucher', Uint8Array.of(1));
    if (!signed || !present) throw new Error('nothing is signed');
    const { check } = createVerifier(suite);
    expect(await check(ledger.network, 'voucher', present, signed)).toBeUndefined();
    expect(await check(ledger.network, 'voucher', payer.publicKey, signed)).toBe('signature-invalid');
  });

  it('PAY-74: are found again by a later process, and so is whose they are', async () => {
    const before = await open({}, 'a passphrase');
    await before.change(channel(), 'set');
    const after = await open({}, 'a passphrase');
    expect(await signs(after)).toEqual(channel().voucherKeys[0]?.key);
    expect(after.keysOf(id)).toEqual(before.keysOf(id));
  });

  it('PAY-74: a key that was made and told nobody is gone with the next start', async () => {
    const { vouchers } = await openKeys(folder, undefined);
    await vouchers.make();
    expect(await files()).toHaveLength(1);
    await open();
    expect(await files()).toEqual([]);
  });

  it('PAY-72 PAY-74: what was begun has the own key sign, and the same change goes on with the same key', async () => {
    const keys = await open();
    const first = (await keys.change(channel(), 'set')).present as PublicKey;
    const stuck = await open({ wallet: failing('before', 'deadline-exceeded') });
    await expect(stuck.change(channel(), 'rotate')).rejects.toMatchObject({ code: 'deadline-exceeded' });
    const { pending } = stuck.state(channel());
    expect(pending).toBeDefined();
    expect(stuck.signerOf(id, first)).toBeUndefined();
    const again = await open();
    expect(again.state(channel())).toMatchObject({ present: first, here: false, pending });
    expect(again.signerOf(id, first)).toBeUndefined();
    const done = await again.change(channel(), 'rotate');
    expect(done).toMatchObject({ present: pending, here: true, pending: undefined });
    expect(await files()).toHaveLength(1);
  });

  it('PAY-74: a change that the ledger has though nobody heard of it is in force', async () => {
    for (const change of ['set', 'rotate', 'revoke'] as const) {
      const deaf = await open({ wallet: failing('after', 'deadline-exceeded') });
      await expect(deaf.change(channel(), change)).rejects.toMatchObject({ code: 'deadline-exceeded' });
      const keys = await open();
      const { present, here, pending } = keys.state(channel());
      expect([here, pending]).toEqual([change !== 'revoke', undefined]);
      if (change === 'revoke') expect(present).toBeUndefined();
      else expect(await signs(keys)).toEqual(present);
    }
    expect(await files()).toEqual([]);
  });

  it('PAY-74: what the ledger refuses leaves everything as it was', async () => {
    const keys = await open();
    const first = (await keys.change(channel(), 'set')).present as PublicKey;
    const refused = await open({ wallet: failing('before', 'tx-refused') });
    await expect(refused.change(channel(), 'rotate')).rejects.toMatchObject({ code: 'tx-refused' });
    expect(refused.state(channel())).toMatchObject({ present: first, here: true, pending: undefined });
    expect(await signs(refused)).toEqual(first);
    expect(await files()).toHaveLength(1);
    // The ledger's own limit of keys that count at a time.
    for (let i = 0; i < 3; i++) await keys.change(channel(), 'rotate');
    const last = keys.state(channel()).present;
    await expect(keys.change(channel(), 'rotate')).rejects.toMatchObject({ code: 'tx-refused' });
    expect(await signs(keys)).toEqual(last);
  });

  it('PAY-72: leave the signing to the own key for a while after a refusal', async () => {
    let nowMs = 0;
    const keys = await open({ clock: { ...clock, monotonicMs: () => nowMs } });
    await keys.change(channel(), 'set');
    keys.refused(id);
    const { present } = keys.state(channel());
    expect(keys.signerOf(id, present as PublicKey)).toBeUndefined();
    nowMs = 29_999;
    expect(keys.signerOf(id, present as PublicKey)).toBeUndefined();
    nowMs = 30_000;
    expect(keys.signerOf(id, present as PublicKey)?.publicKey).toEqual(present);
  });

  it('RCPT-70: are proved from the moment that they count, also after the channel has ended', async () => {
    const keys = await open();
    expect(await keys.evidence(id)).toBeUndefined();
    const first = (await keys.change(channel(), 'set')).present as PublicKey;
    const second = (await keys.change(channel(), 'rotate')).present as PublicKey;
    const parties = { channel: id, payer: payer.publicKey, payee: payee.publicKey };
    const trusted = { network: ledger.network, sequencer: payer.publicKey };
    const proved = async (of: VoucherKeys): Promise<readonly PublicKey[]> => {
      const evidence = await of.evidence(id);
      return openKeysAtHeights(suite, evidence ? [evidence] : [], trusted).voucherKeysOf(parties);
    };
    expect(await proved(keys)).toEqual([second, first]);
    // One whose process died before it had the proof makes it when it is asked.
    const unproved = { ...ledger, prove: () => Promise.reject(new SaharaError('state-unproven')) };
    const blind = await open({ ledger: unproved });
    const third = (await blind.change(channel(), 'rotate')).present as PublicKey;
    expect(await proved(blind)).toEqual([second, first]);
    expect(await proved(await open())).toEqual([third, second, first]);
    const after = await open({ ledger: { ...ledger, channel: () => undefined } });
    expect(await proved(after)).toEqual([third, second, first]);
  });

  it('ID-24: evidence of one height is held together, and heights rise', async () => {
    const keys = await open();
    await keys.change(channel(), 'set');
    const early = (await keys.evidence(id)) ?? expect.fail('evidence');
    await keys.change(channel(), 'rotate');
    const late = (await keys.evidence(id)) ?? expect.fail('evidence');
    const identities = { header: late.header, identities: [] };
    const ordered = inOrder([late, early, identities, late]);
    expect(ordered.map(({ header }) => header.payload)).toEqual([early.header.payload, late.header.payload]);
    expect(ordered[1]?.channels).toHaveLength(1);
    expect(inOrder([early, early])).toHaveLength(1);
  });
});
