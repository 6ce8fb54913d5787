/**
 * Named Ed25519 keys as files: one JSON file per key, mode 0600 in a folder of mode 0700. With a passphrase the
 * seed is encrypted by AES-256-GCM under a key that scrypt derives; the parameters stand in the file, so they can
 * rise later. A file is written whole or not at all.
 */
import { createCipheriv, createDecipheriv, scrypt } from 'node:crypto';
import { chmod, link, lstat, mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { equalBytes, fromHex, toHex, utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { type Dice, systemDice } from '../base/random.ts';
import { didOf, type PublicKey, publicKeyOf } from '../protocol/ids.ts';
import type { Signer } from '../protocol/suite.ts';
import { createSigner } from '../protocol/suite-native.ts';

/** Options of a key store. */
export interface KeystoreOptions {
  /** Encrypts keys that are made or imported and opens encrypted ones. Default: keys are stored plain. */
  readonly passphrase?: string;
  /** Cost of scrypt for new keys: N, a power of two. Default 32,768 (32 MiB, about 0.1 s). Minimum 1,024. */
  readonly scryptCost?: number;
  /** Where keys, salts and nonces come from. Default: the operating system. */
  readonly dice?: Dice;
}

/** Values for the options that have one. */
export const KEYSTORE_DEFAULTS: { readonly scryptCost: number } = { scryptCost: 32_768 };

/** What is known of a key without opening it. */
export interface KeyInfo {
  readonly name: string;
  readonly did: string;
  readonly publicKey: PublicKey;
  /** Whether a passphrase is needed to use it. */
  readonly encrypted: boolean;
}

/** Named keys. Errors: `key-missing`, `key-locked`, `passphrase-wrong`, `store-corrupt`, `home-unreadable`. */
export interface Keystore {
  /** Makes a key. Throws `usage` when the name is taken or is not one. */
  create(name: string): Promise<KeyInfo>;
  /** All keys, by name. */
  list(): Promise<readonly KeyInfo[]>;
  /** A signer that does not show its key. */
  load(name: string): Promise<Signer>;
  /** The 32-byte seed itself, for what cannot take a signer (libp2p). */
  seed(name: string): Promise<Uint8Array>;
  /** Keeps a key from its seed, or from the text that `export` gave. Throws `usage` when the name is taken. */
  import(name: string, key: Uint8Array | string): Promise<KeyInfo>;
  /** Takes a key away, for good. Throws `key-missing`. */
  remove(name: string): Promise<void>;
  /** The key's file as text: encrypted if it is encrypted here, otherwise the plain seed. Handle as a secret. */
  export(name: string): Promise<string>;
}

/** Opens the key store in the folder `path`, which is made if it is not there. */
export async function openKeystore(path: string, options: KeystoreOptions = {}): Promise<Keystore> {
  await prepareFolder(path);
  const { passphrase } = options;
  const dice = options.dice ?? systemDice;
  const sealing = { passphrase, cost: options.scryptCost ?? KEYSTORE_DEFAULTS.scryptCost, dice };
  const fileOf = (name: string): string => join(path, `${checkedName(name)}.json`);
  const read = async (name: string): Promise<KeyFile> => parse(await readSecret(fileOf(name), name), name);
  const seed = async (name: string): Promise<Uint8Array> => unlock(await read(name), name, passphrase);
  const keep = async (name: string, secret: Uint8Array): Promise<KeyInfo> => {
    const file = await seal(secret, sealing);
    const beside = `${fileOf(name)}.${toHex(dice.bytes(6))}.new`;
    await writeSecret(fileOf(name), beside, `${JSON.stringify(file, undefined, 2)}\n`);
    return infoOf(name, file);
  };
  return {
    create: (name) => keep(name, dice.bytes(32)),
    async list() {
      const names = (await readdir(path)).filter((entry) => entry.endsWith('.json')).sort();
      return Promise.all(
        names.map(async (entry) => infoOf(entry.slice(0, -5), await read(entry.slice(0, -5)))),
      );
    },
    load: async (name) => createSigner(await seed(name)),
    seed,
    async import(name, key) {
      if (typeof key !== 'string') return keep(name, checkedSeed(key));
      return keep(name, await unlock(parse(key, name), name, passphrase));
    },
    async remove(name) {
      const file = fileOf(name);
      await readSecret(file, name);
      await rm(file);
      await syncFolder(path);
    },
    export: async (name) => readSecret(fileOf(name), name),
  };
}

/** The public key that a key file's text names; whether the secret belongs to it shows when it is imported. Throws `store-corrupt`. */
export function publicKeyIn(text: string): PublicKey {
  const name = 'key file';
  return infoOf(name, parse(text, name)).publicKey;
}

/** Writes a key's text into a new file outside of a key store, 0600, on disk when this resolves. Throws `usage`. */
export async function writeKeyFile(path: string, text: string): Promise<void> {
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await syncFolder(join(path, '..'));
  } catch (error) {
    const reason = `${path} cannot be written, or is there already`;
    throw new SaharaError('usage', { reason }, { cause: error });
  }
}

interface Encryption {
  readonly kdf: 'scrypt';
  readonly n: number;
  readonly r: number;
  readonly p: number;
  readonly salt: string;
  readonly cipher: 'aes-256-gcm';
  readonly nonce: string;
  /** The encrypted seed and its tag, hex. */
  readonly data: string;
}

interface KeyFile {
  readonly version: 1;
  readonly did: string;
  readonly seed?: string;
  readonly encrypted?: Encryption;
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

function checkedName(name: string): string {
  if (NAME.test(name)) return name;
  throw new SaharaError('usage', {
    reason: 'A key is named by up to 63 lower-case letters, digits, . _ or -',
  });
}

function checkedSeed(seed: Uint8Array): Uint8Array {
  if (seed.length === 32) return seed;
  throw new SaharaError('usage', { reason: `A key has 32 bytes, not ${seed.length}` });
}

function corrupt(name: string, reason: string): SaharaError {
  return new SaharaError('store-corrupt', { path: name, reason });
}

function infoOf(name: string, file: KeyFile): KeyInfo {
  const publicKey = publicKeyOf(file.did);
  if (publicKey === undefined) throw corrupt(name, 'The key file names no key');
  return { name, did: file.did, publicKey, encrypted: file.encrypted !== undefined };
}

const COST_MIN = 1024;
const COST_MAX = 1_048_576;
const BLOCK = 8;

function derive(passphrase: string, salt: Uint8Array, n: number): Promise<Buffer> {
  const options = { N: n, r: BLOCK, p: 1, maxmem: 256 * n * BLOCK };
  return new Promise((resolve, reject) => {
    const text = utf8(passphrase.normalize('NFC'));
    scrypt(text, salt, 32, options, (error, key) => (error ? reject(error) : resolve(key)));
  });
}

/** What the encryption also vouches for: that the seed belongs to the key that the file names. */
const associated = (did: string): Uint8Array => utf8(`sahara/1/key/${did}`);

interface Sealing {
  readonly passphrase: string | undefined;
  readonly cost: number;
  readonly dice: Dice;
}

async function seal(seed: Uint8Array, { passphrase, cost, dice }: Sealing): Promise<KeyFile> {
  const did = didOf(createSigner(seed).publicKey);
  if (passphrase === undefined) return { version: 1, did, seed: toHex(seed) };
  const n = 2 ** Math.ceil(Math.log2(Math.min(Math.max(cost, COST_MIN), COST_MAX)));
  const salt = dice.bytes(16);
  const nonce = dice.bytes(12);
  const cipher = createCipheriv('aes-256-gcm', await derive(passphrase, salt, n), nonce);
  cipher.setAAD(associated(did));
  const data = Buffer.concat([cipher.update(seed), cipher.final(), cipher.getAuthTag()]);
  const parameters = { kdf: 'scrypt', n, r: BLOCK, p: 1, salt: toHex(salt), cipher: 'aes-256-gcm' } as const;
  return { version: 1, did, encrypted: { ...parameters, nonce: toHex(nonce), data: toHex(data) } };
}

async function unlock(file: KeyFile, name: string, passphrase: string | undefined): Promise<Uint8Array> {
  const seed = file.encrypted
    ? await decrypt(file.encrypted, { name, did: file.did, passphrase })
    : sized(file.seed, 32, name);
  const publicKey = publicKeyOf(file.did);
  if (!publicKey || !equalBytes(createSigner(seed).publicKey, publicKey)) {
    throw corrupt(name, 'The secret does not belong to the key that its file names');
  }
  return seed;
}

async function decrypt(
  from: Encryption,
  context: { readonly name: string; readonly did: string; readonly passphrase: string | undefined },
): Promise<Uint8Array> {
  const { name, passphrase } = context;
  if (passphrase === undefined) throw new SaharaError('key-locked', { name });
  const data = sized(from.data, 48, name);
  const key = await derive(passphrase, sized(from.salt, 16, name), from.n);
  const decipher = createDecipheriv('aes-256-gcm', key, sized(from.nonce, 12, name), { authTagLength: 16 });
  decipher.setAAD(associated(context.did));
  decipher.setAuthTag(data.subarray(32));
  try {
    return new Uint8Array(Buffer.concat([decipher.update(data.subarray(0, 32)), decipher.final()]));
  } catch {
    throw new SaharaError('passphrase-wrong', { name });
  }
}

function sized(hex: unknown, length: number, name: string): Uint8Array {
  const bytes = typeof hex === 'string' ? fromHex(hex) : undefined;
  if (bytes?.length !== length) throw corrupt(name, 'The key file has a field of the wrong size');
  return bytes;
}

const FILE_CHARACTERS_MAX = 4096;

function parse(text: string, name: string): KeyFile {
  let file: Partial<KeyFile> | null;
  try {
    file = text.length <= FILE_CHARACTERS_MAX ? JSON.parse(text) : null;
  } catch {
    file = null;
  }
  const { encrypted } = file ?? {};
  const known =
    file?.version === 1 &&
    typeof file.did === 'string' &&
    (typeof file.seed === 'string') !== (encrypted !== undefined);
  if (!file || !known) throw corrupt(name, 'It is not a key file of this version');
  if (encrypted) {
    // A file from elsewhere must not choose a cost that stops this machine.
    const { kdf, cipher, n, r, p } = encrypted;
    const costs = Number.isInteger(Math.log2(n)) && n >= COST_MIN && n <= COST_MAX && r === BLOCK && p === 1;
    if (kdf !== 'scrypt' || cipher !== 'aes-256-gcm' || !costs) throw corrupt(name, 'Unknown encryption');
  }
  // Every field that is used was just checked, or is checked where it is used.
  return file as KeyFile;
}

const OTHERS = 0o077;

async function prepareFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await secure(path, 'folder');
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** Takes rights of others away. Refuses what belongs to somebody else or is not what it should be. */
async function secure(path: string, kind: 'file' | 'folder'): Promise<void> {
  const found = await lstat(path);
  if (kind === 'file' ? !found.isFile() : !found.isDirectory()) {
    throw new SaharaError('home-unreadable', { path, reason: `It is not a ${kind}` });
  }
  if (process.platform === 'win32') return;
  if (process.getuid && found.uid !== process.getuid() && process.getuid() !== 0) {
    throw new SaharaError('home-unreadable', { path, reason: 'It belongs to another user' });
  }
  if ((found.mode & OTHERS) !== 0) await chmod(path, kind === 'file' ? 0o600 : 0o700);
}

async function readSecret(path: string, name: string): Promise<string> {
  try {
    await secure(path, 'file');
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) throw new SaharaError('key-missing', { name, path }, { cause: error });
    throw unreadable(path, error);
  }
}

/** Writes beside the place, syncs, and links it there, which fails when something is there already. */
async function writeSecret(path: string, beside: string, text: string): Promise<void> {
  try {
    const file = await open(beside, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(beside, path);
    await rm(beside);
    await syncFolder(join(path, '..'));
  } catch (error) {
    await rm(beside, { force: true });
    if (isCode(error, 'EEXIST')) {
      throw new SaharaError('usage', { reason: `A key is kept in ${path} already` }, { cause: error });
    }
    throw unreadable(path, error);
  }
}

/** Has what was made, renamed or removed in the folder `path` be so after a crash. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** What it means that something beside the keys cannot be read or written: `disk-full`, or `home-unreadable`. */
export function unreadable(path: string, error: unknown): SaharaError {
  if (error instanceof SaharaError) return error;
  if (isCode(error, 'ENOSPC')) return new SaharaError('disk-full', { path }, { cause: error });
  const reason = error instanceof Error ? error.message : String(error);
  return new SaharaError('home-unreadable', { path, reason }, { cause: error });
}
