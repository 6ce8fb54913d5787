/** The keys of one daemon: its operator's, its libp2p peer's, and one per hosted agent. Made when first needed. */
import { createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { equalBytes, toHex } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { systemDice } from '../base/random.ts';
import { didOf, type PublicKey } from '../protocol/ids.ts';
import { createSealKey, type SealKey } from '../protocol/seal.ts';
import type { Signer } from '../protocol/suite.ts';
import { createSigner } from '../protocol/suite-native.ts';
import { derive } from '../vault/sealed/key-tree.ts';
import { type Adopted, readAdopted, readMade, writeAdopted, writeMade } from './key-marks.ts';
import { type KeyInfo, type Keystore, openKeystore, publicKeyIn, writeKeyFile } from './keystore.ts';

/** Name of the operator's key. */
export const OPERATOR_KEY = 'operator';
const PEER_KEY = 'peer';
const HOME_KEY = 'home';
const VOUCHER_KEYS = 'voucher.';

/** The keys of one daemon. */
export interface DaemonKeys {
  /** Signs for the operator until it is known who does now; its public key is the DID, which is not always a key of this home. */
  readonly operator: Signer;
  /** The same signer under its own public key. */
  readonly signing: Signer;
  /** The first key of this home: its DID as long as it adopted no other. */
  readonly first: PublicKey;
  /** From the next start on this home acts for another DID; on disk when this resolves. Its first key takes it back. */
  adopt(adopted: Adopted): Promise<void>;
  /** The operator's keys that are here now, in the order in which they were made: those that signed, sign and may sign. */
  operatorKeys(): Promise<readonly PublicKey[]>;
  /** One of them. Throws `key-missing` for a key that is not here. */
  operatorKey(key: PublicKey): Promise<Signer>;
  /** The seed of one of them, 32 bytes, for a program beside this one that signs with it. Throws `key-missing`. */
  operatorSecret(key: PublicKey): Promise<Uint8Array>;
  /** Makes another key for the operator, on disk when this resolves. */
  addOperatorKey(): Promise<PublicKey>;
  /** Keeps a key of the operator that was elsewhere, from its file's text; one that is here already is no fault. */
  takeOperatorKey(text: string): Promise<PublicKey>;
  /** Moves one of them into a new file, 0600, out of this home. Throws `key-missing`; `usage` for a file that is there. */
  giveOperatorKey(key: PublicKey, file: string): Promise<void>;
  /** Ed25519 seed of the libp2p peer, 32 bytes. */
  readonly peerSeed: Uint8Array;
  /** The key of the hosted agent of that name. */
  agent(name: string): Promise<Signer>;
  /** The same key in the form that opens calls sealed to it. */
  agentSeal(name: string): Promise<SealKey>;
  /** The seed of an agent's key, 32 bytes, for a file that takes the agent elsewhere. */
  agentSecret(name: string): Promise<Uint8Array>;
  /** Keeps the key of an agent that was elsewhere; false if it was here already. Throws `usage` where the name has another. */
  takeAgent(name: string, seed: Uint8Array): Promise<boolean>;
  /** Takes an agent's key away, for good; one that is not here is no fault. */
  dropAgent(name: string): Promise<void>;
  /** What an agent marks its words by, 32 bytes: it goes where the agent's key goes. */
  agentMark(name: string): Promise<Uint8Array>;
  /** One of the operator's keys in the form that opens what is sealed to it. Throws `key-missing`. */
  operatorSeal(key: PublicKey): Promise<SealKey>;
  /** Keys for the vouchers of single channels. */
  readonly vouchers: VoucherSecrets;
  /** Secrets under which vaults are sealed. */
  readonly vaults: VaultSecrets;
  /** The key under which the home's store keeps answers, 32 bytes; the store makes it its own. */
  answersKey(): Promise<Uint8Array>;
}

/** Keys for the vouchers of channels, each named by itself. */
export interface VoucherSecrets {
  /** Makes one, on disk when this resolves. */
  make(): Promise<PublicKey>;
  /** `undefined` for one that is not here. Throws `key-locked`, `passphrase-wrong`, `store-corrupt`. */
  of(key: PublicKey): Promise<Signer | undefined>;
  /** Those that are here. */
  all(): Promise<readonly PublicKey[]>;
  /** Takes one away, for good; one that is not here is no fault. */
  destroy(key: PublicKey): Promise<void>;
}

/** The secret of each vault, 32 bytes, in the key store. */
export interface VaultSecrets {
  /** `undefined` where there is none. Throws `key-locked`, `passphrase-wrong`, `store-corrupt`. */
  of(vault: string): Promise<Uint8Array | undefined>;
  /** Makes one, on disk when this resolves, unless there is one. */
  make(vault: string): Promise<Uint8Array>;
  /** Destroys it, and with it whatever is left of the vault anywhere. */
  destroy(vault: string): Promise<void>;
}

/** The passphrase that the environment gives: `SAHARA_PASSPHRASE`, or the first line of `SAHARA_PASSPHRASE_FILE`. */
export function passphraseOf(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  if (environment.SAHARA_PASSPHRASE) return environment.SAHARA_PASSPHRASE;
  const path = environment.SAHARA_PASSPHRASE_FILE;
  if (!path) return undefined;
  try {
    return readFileSync(path, 'utf8').split(/\r?\n/, 1)[0];
  } catch (error) {
    throw new SaharaError('file-missing', { path }, { cause: error });
  }
}

/** Opens the keys in `folder`, making the operator's and the peer's at the first start. */
export async function openKeys(folder: string, passphrase: string | undefined): Promise<DaemonKeys> {
  const store = await openKeystore(folder, passphrase === undefined ? {} : { passphrase });
  await ensure(store, OPERATOR_KEY);
  await ensure(store, PEER_KEY);
  const operators = async (): Promise<readonly KeyInfo[]> =>
    (await store.list())
      .filter(({ name }) => /^operator(\.\d{1,9})?$/.test(name))
      .sort((a, b) => numberOf(a.name) - numberOf(b.name));
  const nameOf = async (key: PublicKey): Promise<string> => {
    const found = (await operators()).find(({ publicKey }) => equalBytes(publicKey, key));
    if (found === undefined) throw new SaharaError('key-missing', { name: didOf(key), path: folder });
    return found.name;
  };
  /** A name that no key of this home ever had, so that one that was moved elsewhere can come back. */
  const nextName = async (): Promise<string> => {
    const last = numberOf((await operators()).at(-1)?.name ?? OPERATOR_KEY);
    const count = Math.max(last, await readMade(folder)) + 1;
    await writeMade(folder, count);
    return `${OPERATOR_KEY}.${count}`;
  };
  const own = await store.load(OPERATOR_KEY);
  const adopted = await readAdopted(folder);
  const signing = adopted === undefined ? own : await store.load(await nameOf(adopted.key));
  const operator = { publicKey: adopted?.did ?? own.publicKey, sign: signing.sign.bind(signing) };
  return {
    operator,
    signing,
    first: own.publicKey,
    adopt: ({ did, key }) =>
      writeAdopted(folder, equalBytes(did, own.publicKey) && equalBytes(key, did) ? undefined : { did, key }),
    operatorKeys: async () => (await operators()).map(({ publicKey }) => publicKey),
    operatorKey: async (key) => store.load(await nameOf(key)),
    operatorSecret: async (key) => store.seed(await nameOf(key)),
    addOperatorKey: async () => (await store.create(await nextName())).publicKey,
    async takeOperatorKey(text) {
      const key = publicKeyIn(text);
      if ((await operators()).some(({ publicKey }) => equalBytes(publicKey, key))) return key;
      return (await store.import(await nextName(), text)).publicKey;
    },
    async giveOperatorKey(key, file) {
      const name = await nameOf(key);
      await writeKeyFile(file, await store.export(name));
      await store.remove(name);
    },
    peerSeed: await store.seed(PEER_KEY),
    async agent(name) {
      const key = agentKeyName(name);
      await ensure(store, key);
      return store.load(key);
    },
    async agentSeal(name) {
      const key = agentKeyName(name);
      await ensure(store, key);
      return createSealKey(await store.seed(key));
    },
    async agentSecret(name) {
      const key = agentKeyName(name);
      await ensure(store, key);
      return store.seed(key);
    },
    async takeAgent(name, seed) {
      const key = agentKeyName(name);
      const here = (await store.list()).find((each) => each.name === key);
      if (here === undefined) {
        await store.import(key, seed);
        return true;
      }
      if (equalBytes(here.publicKey, createSigner(seed).publicKey)) return false;
      throw new SaharaError('usage', { reason: `This home has another key for an agent named ${name}` });
    },
    async dropAgent(name) {
      const key = agentKeyName(name);
      if ((await store.list()).some((each) => each.name === key)) await store.remove(key);
    },
    async agentMark(name) {
      const key = agentKeyName(name);
      await ensure(store, key);
      return createHmac('sha256', await store.seed(key))
        .update('sahara/1/watermark-key')
        .digest();
    },
    operatorSeal: async (key) => createSealKey(await store.seed(await nameOf(key))),
    vouchers: voucherSecrets(store, operator.publicKey),
    vaults: vaultSecrets(store),
    async answersKey() {
      await ensure(store, HOME_KEY);
      return derive(await store.seed(HOME_KEY), 'answers');
    },
  };
}

/** Those of one DID: a home may act for another one by turns. */
function voucherSecrets(store: Keystore, did: PublicKey): VoucherSecrets {
  const begins = `${VOUCHER_KEYS}${toHex(did).slice(0, 16)}.`;
  const nameOf = (key: PublicKey): string => `${begins}${toHex(key).slice(0, 32)}`;
  const all = async (): Promise<readonly KeyInfo[]> =>
    (await store.list()).filter(({ name }) => name.startsWith(begins));
  const has = async (key: PublicKey): Promise<boolean> =>
    (await all()).some(({ publicKey }) => equalBytes(publicKey, key));
  return {
    async make() {
      const seed = systemDice.bytes(32);
      const { publicKey } = createSigner(seed);
      return (await store.import(nameOf(publicKey), seed)).publicKey;
    },
    of: async (key) => ((await has(key)) ? store.load(nameOf(key)) : undefined),
    all: async () => (await all()).map(({ publicKey }) => publicKey),
    async destroy(key) {
      if (await has(key)) await store.remove(nameOf(key));
    },
  };
}

function vaultSecrets(store: Keystore): VaultSecrets {
  const has = async (key: string): Promise<boolean> => (await store.list()).some(({ name }) => name === key);
  return {
    async of(vault) {
      const key = vaultKeyName(vault);
      return (await has(key)) ? store.seed(key) : undefined;
    },
    async make(vault) {
      const key = vaultKeyName(vault);
      await ensure(store, key);
      return store.seed(key);
    },
    async destroy(vault) {
      const key = vaultKeyName(vault);
      if (await has(key)) await store.remove(key);
    },
  };
}

/** Name of a vault's key file: the vault's own name where it can be one. */
function vaultKeyName(vault: string): string {
  if (/^[a-z0-9][a-z0-9_-]{0,48}$/.test(vault)) return `vault.${vault}`;
  return `vault..${createHash('sha256').update(vault).digest('hex').slice(0, 32)}`;
}

/** How many of the operator's keys were made before the one of that name. */
function numberOf(name: string): number {
  return Number(name.slice(OPERATOR_KEY.length + 1));
}

/** Name of an agent's key file: the agent's own name where it can be one. */
export function agentKeyName(agent: string): string {
  if (/^[a-z0-9][a-z0-9_-]{0,48}$/.test(agent)) return `agent.${agent}`;
  return `agent..${createHash('sha256').update(agent).digest('hex').slice(0, 32)}`;
}

async function ensure(store: Keystore, name: string): Promise<void> {
  if (!(await store.list()).some((key) => key.name === name)) await store.create(name);
}
