/** The keys of one daemon: its operator's, its libp2p peer's, and one per hosted agent. Made when first needed. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { equalBytes } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { didOf, type PublicKey } from '../protocol/ids.ts';
import { createSealKey, type SealKey } from '../protocol/seal.ts';
import type { Signer } from '../protocol/suite.ts';
import { type KeyInfo, type Keystore, openKeystore } from './keystore.ts';

/** Name of the operator's key. */
export const OPERATOR_KEY = 'operator';
const PEER_KEY = 'peer';

/** The keys of one daemon. */
export interface DaemonKeys {
  /** The operator's first key, which is its DID. */
  readonly operator: Signer;
  /** The operator's keys that are here now, in the order in which they were made: those that signed, sign and may sign. */
  operatorKeys(): Promise<readonly PublicKey[]>;
  /** One of them. Throws `key-missing` for a key that is not here. */
  operatorKey(key: PublicKey): Promise<Signer>;
  /** Makes another key for the operator, on disk when this resolves. */
  addOperatorKey(): Promise<PublicKey>;
  /** Ed25519 seed of the libp2p peer, 32 bytes. */
  readonly peerSeed: Uint8Array;
  /** The key of the hosted agent of that name. */
  agent(name: string): Promise<Signer>;
  /** The same key in the form that opens calls sealed to it. */
  agentSeal(name: string): Promise<SealKey>;
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
  return {
    operator: await store.load(OPERATOR_KEY),
    operatorKeys: async () => (await operators()).map(({ publicKey }) => publicKey),
    async operatorKey(key) {
      const found = (await operators()).find(({ publicKey }) => equalBytes(publicKey, key));
      if (found === undefined) throw new SaharaError('key-missing', { name: didOf(key), path: folder });
      return store.load(found.name);
    },
    async addOperatorKey() {
      const last = (await operators()).at(-1);
      const count = numberOf(last?.name ?? OPERATOR_KEY) + 1;
      return (await store.create(`${OPERATOR_KEY}.${count}`)).publicKey;
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
  };
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
