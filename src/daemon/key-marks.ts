/**
 * Two facts about the keys of a home that stand beside them, each a small text file that is replaced whole: for whom the
 * home acts where that is not its own first key, and how many operator's keys it ever made, because one that was moved
 * elsewhere must find its name free when it comes back.
 */
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SaharaError } from '../base/errors.ts';
import { didOf, type PublicKey, publicKeyOf } from '../protocol/ids.ts';
import { syncFolder, unreadable } from './keystore.ts';

/** The DID that a home acts for, and a key of this home that signed for it when that began. */
export interface Adopted {
  readonly did: PublicKey;
  readonly key: PublicKey;
}

const ADOPTED = 'adopted';
const MADE = 'made';

/** For whom the home with the keys in `folder` acts; `undefined`: its own first key. Throws `store-corrupt`. */
export async function readAdopted(folder: string): Promise<Adopted | undefined> {
  const text = await readMark(folder, ADOPTED);
  if (text === undefined) return undefined;
  const [did, key] = text.split('\n').map(publicKeyOf);
  if (did === undefined || key === undefined) throw corrupt(folder, ADOPTED);
  return { did, key };
}

/** From the next start on the home acts for `adopted`, or for its own first key; on disk when this resolves. */
export async function writeAdopted(folder: string, adopted: Adopted | undefined): Promise<void> {
  if (adopted !== undefined) {
    await writeMark(folder, ADOPTED, `${didOf(adopted.did)}\n${didOf(adopted.key)}\n`);
    return;
  }
  await rm(join(folder, ADOPTED), { force: true });
  await syncFolder(folder);
}

/** The highest number that an operator's key of this home ever had; 0 when none was noted. Throws `store-corrupt`. */
export async function readMade(folder: string): Promise<number> {
  const text = await readMark(folder, MADE);
  if (text === undefined) return 0;
  if (!/^\d{1,9}\n$/.test(text)) throw corrupt(folder, MADE);
  return Number(text);
}

/** Notes that keys up to this number were made; on disk when this resolves. */
export async function writeMade(folder: string, count: number): Promise<void> {
  await writeMark(folder, MADE, `${count}\n`);
}

async function readMark(folder: string, name: string): Promise<string | undefined> {
  const path = join(folder, name);
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw unreadable(path, error);
  }
}

async function writeMark(folder: string, name: string, text: string): Promise<void> {
  const path = join(folder, name);
  try {
    const file = await open(`${path}.new`, 'w', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.new`, path);
    await syncFolder(folder);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function corrupt(folder: string, name: string): SaharaError {
  return new SaharaError('store-corrupt', {
    path: join(folder, name),
    reason: 'The file is not as it was written',
  });
}
