/**
 * Commitments to files, folders and vaults, and proofs of parts of them. A file is read once, in chunks, whatever its
 * size; a proof names its scheme, and the table here knows how to check each.
 */
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { equalBytes, fromHex, toHex, utf8 } from '../base/bytes.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import {
  broken,
  ChunkProver,
  ChunkTree,
  type ContentProof,
  chunkBytes,
  chunkCount,
  chunkProof,
  chunksRoot,
  contentProof,
  FILE_SCHEME,
  FOLDER_SCHEME,
  type FolderFile,
  filePlace,
  folderCommitment,
  type ProvenContent,
  verifyChunks,
} from '../protocol/content.ts';
import { CONTENT_CHUNK_BYTES } from '../protocol/limits.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import type { Commitment } from '../protocol/transaction.ts';
import { VAULT_SCHEME, verifyVaultChunk } from '../vault/proof.ts';

/** Most files of a folder that is committed to. */
const FOLDER_FILES_MAX = 65_536;
const PATH_BYTES_MAX = 1_024;

interface Options {
  readonly signal: AbortSignal;
}

/** The commitment to a file, or to a folder with everything below it. Throws `file-missing`, `content-invalid`. */
export async function commitPath(path: string, options: Options): Promise<Commitment> {
  return (await isFolder(path))
    ? folderCommitment(nativeSuite, await committedFiles(path, options))
    : commitFile(path, options);
}

/** Which part of a file is proved: chunks by number, or those that hold the bytes from `from` up to, without, `to`. */
export type Part =
  | { readonly type: 'chunk'; readonly index: number }
  | { readonly type: 'bytes'; readonly from: number; readonly to: number };

/**
 * Proves a part of the file at `path`, or of the file `inside` of the folder there. Throws `file-missing`, and
 * `content-invalid` for a part beyond the end or a file that changes meanwhile.
 */
export async function provePath(
  path: string,
  of: { readonly part: Part; readonly inside: string | undefined },
  options: Options,
): Promise<Uint8Array> {
  const folder = await isFolder(path);
  if (folder && of.inside === undefined) throw broken('it is a folder: say which file of it with --file');
  if (!folder && of.inside !== undefined) throw broken('it is no folder, so there is no file inside');
  const files = folder ? await committedFiles(path, options) : [];
  const file = of.inside === undefined ? undefined : filePlace(nativeSuite, files, of.inside);
  const at = of.inside === undefined ? path : join(path, of.inside);
  const proof = await proveFile(at, of.part, options);
  const commitment = folder ? folderCommitment(nativeSuite, files) : proof.commitment;
  if (file !== undefined && !equalBytes(file.about.root, proof.commitment.root)) throw moved(at);
  return contentProof.encode({ version: 1, commitment, body: chunkProof.encode({ file, ...proof.chunks }) });
}

async function proveFile(
  path: string,
  part: Part,
  options: Options,
): Promise<{ readonly commitment: Commitment; readonly chunks: ReturnType<ChunkProver['finish']> }> {
  let prover: ChunkProver | undefined;
  const sizeBytes = await readChunks(path, options, {
    begin(size) {
      prover = new ChunkProver(nativeSuite, size, rangeOf(part, size));
    },
    chunk: (bytes) => prover?.push(bytes),
  });
  if (prover === undefined) throw moved(path);
  const chunks = prover.finish();
  const root = chunksRoot(nativeSuite, sizeBytes, chunks);
  return { commitment: { scheme: FILE_SCHEME, root, sizeBytes }, chunks };
}

function rangeOf(part: Part, sizeBytes: number): { readonly first: number; readonly count: number } {
  if (part.type === 'chunk') return { first: part.index, count: 1 };
  const { from, to } = part;
  if (from >= to) throw broken('the bytes end before they begin');
  if (to > sizeBytes) throw broken(`byte ${to} is beyond the end: there are ${sizeBytes}`);
  const first = Math.floor(from / CONTENT_CHUNK_BYTES);
  return { first, count: Math.ceil(to / CONTENT_CHUNK_BYTES) - first };
}

async function commitFile(path: string, options: Options): Promise<Commitment> {
  const tree = new ChunkTree(nativeSuite);
  const sizeBytes = await readChunks(path, options, { chunk: (bytes) => tree.push(bytes) });
  return { scheme: FILE_SCHEME, root: tree.root(), sizeBytes };
}

/** Every file below `folder` with its own commitment. */
async function committedFiles(folder: string, options: Options): Promise<readonly FolderFile[]> {
  const files: FolderFile[] = [];
  const visit = async (inside: string): Promise<void> => {
    for (const entry of await readdir(join(folder, inside), { withFileTypes: true })) {
      const path = inside === '' ? entry.name : `${inside}/${entry.name}`;
      if (entry.isDirectory()) await visit(path);
      else if (!entry.isFile()) throw broken(`${path} is neither a file nor a folder`);
      else {
        if (files.length === FOLDER_FILES_MAX) throw broken(`it holds more than ${FOLDER_FILES_MAX} files`);
        if (utf8(path).length > PATH_BYTES_MAX) throw broken(`the name ${path.slice(0, 64)}… is too long`);
        const { root, sizeBytes } = await commitFile(join(folder, path), options);
        files.push({ path, root, sizeBytes });
      }
    }
  };
  await visit('');
  return files;
}

interface ChunkReader {
  begin?(sizeBytes: number): void;
  /** The bytes are only good until it returns. */
  chunk(bytes: Uint8Array): void;
}

/** Reads a file once, the next chunk on its way while one is worked on. Answers the size. */
async function readChunks(path: string, { signal }: Options, reader: ChunkReader): Promise<number> {
  const file = await open(path).catch((error: unknown) => missing(path, error));
  try {
    const { size } = await file.stat();
    reader.begin?.(size);
    const buffers = [new Uint8Array(CONTENT_CHUNK_BYTES), new Uint8Array(CONTENT_CHUNK_BYTES)];
    const count = chunkCount(size);
    const read = (index: number): Promise<Uint8Array> => {
      const buffer = buffers[index % 2] ?? new Uint8Array(CONTENT_CHUNK_BYTES);
      return readChunk(file, { path, size, index }, buffer);
    };
    let coming = count === 0 ? undefined : read(0);
    for (let index = 0; coming !== undefined; index++) {
      signal.throwIfAborted();
      const chunk: Uint8Array = await coming;
      coming = index + 1 < count ? read(index + 1) : undefined;
      // Its failure is told when it is its turn.
      coming?.catch(() => {});
      reader.chunk(chunk);
    }
    if ((await file.stat()).size !== size) throw moved(path);
    return size;
  } finally {
    await file.close();
  }
}

async function readChunk(
  file: FileHandle,
  of: { readonly path: string; readonly size: number; readonly index: number },
  buffer: Uint8Array,
): Promise<Uint8Array> {
  const length = chunkBytes(of.size, of.index);
  for (let got = 0; got < length; ) {
    const position = of.index * CONTENT_CHUNK_BYTES + got;
    const { bytesRead } = await file.read(buffer, got, length - got, position);
    if (bytesRead === 0) throw moved(of.path);
    got += bytesRead;
  }
  return buffer.subarray(0, length);
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch((error: unknown) => missing(path, error))).isDirectory();
}

function missing(path: string, error: unknown): never {
  throw new SaharaError('file-missing', { path }, { cause: error });
}

function moved(path: string): SaharaError {
  return broken(`${path} changed while it was read`);
}

/** Reads a proof. Throws `content-invalid` for bytes that are none. */
export function readProof(bytes: Uint8Array): ContentProof {
  try {
    const proof = contentProof.decode(bytes);
    if (proof.version === 1) return proof;
  } catch (error) {
    if (asSaharaError(error).code !== 'malformed') throw error;
  }
  throw broken('the file is no proof');
}

/** Checks a proof against a commitment that is trusted. Throws `content-invalid` with the reason. */
export function checkProof(trusted: Commitment, proof: ContentProof): ProvenContent {
  const check = SCHEMES.get(trusted.scheme);
  if (check === undefined) throw broken(`nobody here can check the scheme ${trusted.scheme}`);
  if (proof.commitment.scheme !== trusted.scheme) {
    throw broken(`its scheme is ${proof.commitment.scheme} instead of ${trusted.scheme}`);
  }
  if (proof.commitment.sizeBytes !== trusted.sizeBytes) {
    throw broken(`it is of ${proof.commitment.sizeBytes} bytes instead of ${trusted.sizeBytes}`);
  }
  return check(trusted, proof.body);
}

type Check = (trusted: Commitment, body: Uint8Array) => ProvenContent;

const checkFiles: Check = (trusted, body) => verifyChunks(nativeSuite, trusted, body);

/** How proofs of each scheme are checked. */
const SCHEMES: ReadonlyMap<string, Check> = new Map([
  [FILE_SCHEME, checkFiles],
  [FOLDER_SCHEME, checkFiles],
  [
    VAULT_SCHEME,
    (trusted: Commitment, body: Uint8Array): ProvenContent => {
      const { title, text } = verifyVaultChunk(trusted, body);
      const bytes = utf8(text);
      return { path: title, offset: 0, chunks: [bytes], sizeBytes: bytes.length };
    },
  ],
]);

/** A commitment as one word: scheme, root and size. */
export function commitmentText({ scheme, root, sizeBytes }: Commitment): string {
  return `${scheme}:${toHex(root)}:${sizeBytes}`;
}

/** The commitment of such a word, or `undefined`. */
export function commitmentOf(text: string): Commitment | undefined {
  const [, scheme, hex, size] = /^([a-z0-9-]{1,32}):([0-9a-f]{64}):(\d{1,16})$/.exec(text) ?? [];
  const root = fromHex(hex ?? '');
  const sizeBytes = Number(size);
  if (scheme === undefined || root === undefined || !Number.isSafeInteger(sizeBytes)) return undefined;
  return { scheme, root, sizeBytes };
}
