/**
 * Brings a file here, in as many attempts as it takes. What has arrived is kept, and the rest is asked for only where the
 * server can say that it is still the same file (If-Range) or a checksum will tell; otherwise it begins anew.
 */
import { type FileHandle, open, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fromUtf8 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import { type FileAnswer, failed, final, type HttpParts, Passing, request } from './http.ts';
import {
  ATTEMPT_WAIT_MS,
  ATTEMPTS_MAX,
  MODEL_BYTES_MAX,
  SPACE_LEFT_BYTES,
  SYNC_EVERY_BYTES,
} from './limits.ts';
import type { PartEntry } from './model.ts';

/** What is told while a model comes. */
export type ModelEvent =
  | {
      readonly type: 'progress';
      readonly stage: 'copy' | 'download' | 'check';
      readonly bytes: number;
      readonly totalBytes: number | undefined;
    }
  /** An attempt failed and is repeated. */
  | { readonly type: 'again'; readonly reason: string; readonly waitMs: number }
  /** What had arrived cannot be used. */
  | { readonly type: 'restart'; readonly reason: string };

/** One download. */
export interface Download {
  readonly entry: PartEntry;
  /** Where it is gathered. */
  readonly path: string;
  readonly token: string | undefined;
  /** What the size must be, where that is known from elsewhere. */
  readonly sizeBytes: number | undefined;
  /** Keeps what is known of it, before the bytes that it is about. */
  readonly keep: (entry: PartEntry) => Promise<void>;
}

/** How somebody waits for it. */
export interface DownloadOptions {
  readonly signal: AbortSignal;
  readonly tell: (event: ModelEvent) => void;
  /** Free bytes under a folder. Default: what the file system says. */
  readonly freeBytes?: ((folder: string) => Promise<number>) | undefined;
}

/** Brings the whole file to `job.path`. Errors: `download-failed`, `model-invalid`, `disk-full`, `cancelled`; what arrived stays. */
export async function download(parts: HttpParts, job: Download, options: DownloadOptions): Promise<void> {
  let { entry } = job;
  const keep = async (next: PartEntry): Promise<void> => {
    entry = next;
    await job.keep(next);
  };
  for (let barren = 0; ; ) {
    const before = await sizeOf(job.path);
    try {
      return await attempt(parts, { ...job, entry, keep }, options);
    } catch (error) {
      if (!(error instanceof Passing)) throw error;
      const after = await sizeOf(job.path);
      barren = after > before ? 0 : barren + 1;
      if (barren >= ATTEMPTS_MAX) throw withKept(error, after);
      const waitMs = Math.max(ATTEMPT_WAIT_MS * 2 ** barren, error.waitMs ?? 0);
      options.tell({ type: 'again', reason: String(error.facts.reason ?? ''), waitMs });
      await pause(parts.clock, waitMs, options.signal);
    }
  }
}

/** One request, and what it brings written behind what is there. */
async function attempt(parts: HttpParts, job: Download, options: DownloadOptions): Promise<void> {
  const { entry, path } = job;
  const { signal, tell } = options;
  const have = await sizeOf(path);
  if (have > 0 && have === entry.totalBytes) return;
  const known = entry.validator !== undefined || entry.sha256 !== undefined;
  if (have > 0 && !known) tell({ type: 'restart', reason: 'the server does not say which version it has' });
  const from = known ? have : 0;
  const headers = {
    ...(from > 0 && { range: `bytes=${from}-` }),
    ...(from > 0 && entry.validator !== undefined && { 'if-range': entry.validator }),
  };
  const answer = await request(parts, { url: entry.url, headers, token: job.token }, { signal });
  const file = await open(path, from > 0 ? 'r+' : 'w', 0o600);
  try {
    const start = await begin(answer, { job, from, file, tell });
    if (start === undefined) return;
    const { at, totalBytes } = start;
    const sparse = { ...options, folder: dirname(path) };
    await demandSpace(totalBytes === undefined ? 0 : totalBytes - at, sparse);
    await gather(answer, { job, file, at, totalBytes, sparse });
  } finally {
    answer.drop();
    await file.close();
  }
}

interface Begun {
  readonly job: Download;
  readonly from: number;
  readonly file: FileHandle;
  readonly tell: DownloadOptions['tell'];
}

/** Where in the file the answer begins and how large it says that the whole is; `undefined` when all is there already. */
async function begin(
  { response }: FileAnswer,
  { job, from, file, tell }: Begun,
): Promise<{ readonly at: number; readonly totalBytes: number | undefined } | undefined> {
  const { entry } = job;
  const { status, headers } = response;
  const validator = validatorOf(headers);
  const packed = headers.get('content-encoding');
  if (packed !== null && packed !== 'identity')
    throw final(entry.url, `The server sends it packed as ${packed}`);
  if (status === 206 || status === 416) {
    const range = rangeOf(headers.get('content-range'));
    if (status === 416 && range?.total === from) {
      await job.keep({ ...entry, totalBytes: from });
      return undefined;
    }
    const same = range?.start === from && (entry.totalBytes ?? range.total) === range.total;
    const version = entry.validator === undefined || validator === undefined || entry.validator === validator;
    if (status === 206 && same && version) {
      await job.keep({ ...entry, totalBytes: range.total });
      return { at: from, totalBytes: range.total };
    }
    await startOver(job, file);
    tell({ type: 'restart', reason: 'the file has changed at its source' });
    throw new Passing(failed(entry.url, 'The file has changed at its source'));
  }
  if (status !== 200) throw refusal(entry.url, response);
  if (from > 0) {
    const changed = entry.validator !== undefined && validator !== entry.validator;
    const reason = changed ? 'the file has changed at its source' : 'the server cannot go on in the middle';
    tell({ type: 'restart', reason });
  }
  const length = headers.get('content-length');
  const totalBytes = length !== null && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
  demandSize(job, totalBytes);
  await file.truncate(0);
  await job.keep({ ...entry, validator, totalBytes });
  return { at: 0, totalBytes };
}

interface Gathering {
  readonly job: Download;
  readonly file: FileHandle;
  readonly at: number;
  readonly totalBytes: number | undefined;
  readonly sparse: DownloadOptions & { readonly folder: string };
}

async function gather(answer: FileAnswer, { job, file, at, totalBytes, sparse }: Gathering): Promise<void> {
  const { url } = job.entry;
  let bytes = at;
  let synced = at;
  try {
    for await (const piece of answer.pieces()) {
      if (bytes === 0) demandMagic(piece, job.entry);
      if (bytes + piece.length > (totalBytes ?? MODEL_BYTES_MAX)) {
        await startOver(job, file);
        throw final(
          url,
          `The server sent more than the ${totalBytes ?? MODEL_BYTES_MAX} bytes that it announced`,
        );
      }
      await writeAll(file, piece, bytes);
      bytes += piece.length;
      sparse.tell({ type: 'progress', stage: 'download', bytes, totalBytes });
      if (bytes - synced < SYNC_EVERY_BYTES) continue;
      await file.datasync();
      synced = bytes;
      await demandSpace(0, sparse);
    }
  } finally {
    await file.datasync();
  }
  if (totalBytes !== undefined && bytes < totalBytes)
    throw new Passing(failed(url, 'The connection broke off'));
  await job.keep({ ...job.entry, validator: validatorOf(answer.response.headers), totalBytes: bytes });
}

async function writeAll(file: FileHandle, piece: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < piece.length; ) {
    const { bytesWritten } = await file.write(piece, done, piece.length - done, at + done);
    done += bytesWritten;
  }
}

/** A page that says sorry is told after its first bytes and not after its checksum. */
function demandMagic(piece: Uint8Array, entry: PartEntry): void {
  const first = piece.subarray(0, 4);
  if (first.length < 4 || fromUtf8(first) === 'GGUF') return;
  const reason = 'It does not begin as GGUF does';
  throw new SaharaError('model-invalid', {
    name: entry.name,
    reason,
    advice: 'Check the address in a browser',
  });
}

function demandSize(job: Download, totalBytes: number | undefined): void {
  const { url } = job.entry;
  if (totalBytes === undefined) return;
  if (totalBytes > MODEL_BYTES_MAX)
    throw final(url, `It has ${totalBytes} bytes, at most ${MODEL_BYTES_MAX} are taken`);
  if (job.sizeBytes === undefined || job.sizeBytes === totalBytes) return;
  throw final(url, `The server announces ${totalBytes} bytes and the hub lists ${job.sizeBytes}`);
}

/** Throws `disk-full` unless `neededBytes` more leave enough free. */
export async function demandSpace(
  neededBytes: number,
  { folder, freeBytes = freeUnder }: Pick<DownloadOptions, 'freeBytes'> & { readonly folder: string },
): Promise<void> {
  const free = await freeBytes(folder);
  if (free >= neededBytes + SPACE_LEFT_BYTES) return;
  throw new SaharaError('disk-full', {
    path: folder,
    neededBytes: neededBytes + SPACE_LEFT_BYTES,
    freeBytes: free,
  });
}

async function freeUnder(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

async function startOver(job: Download, file: FileHandle): Promise<void> {
  await file.truncate(0);
  await job.keep({ ...job.entry, validator: undefined, totalBytes: undefined });
}

/** A strong entity tag, or else a date: weak tags do not promise the same bytes. */
function validatorOf(headers: Headers): string | undefined {
  const tag = headers.get('etag');
  const strong = tag?.startsWith('"') ? tag : undefined;
  const validator = strong ?? headers.get('last-modified') ?? undefined;
  return validator === undefined || Buffer.byteLength(validator) > 512 ? undefined : validator;
}

function rangeOf(
  text: string | null,
): { readonly start: number | undefined; readonly total: number } | undefined {
  const [, start, total] = /^bytes (?:(\d{1,15})-\d{1,15}|\*)\/(\d{1,15})$/.exec(text ?? '') ?? [];
  if (total === undefined) return undefined;
  return { start: start === undefined ? undefined : Number(start), total: Number(total) };
}

function refusal(url: string, { status, headers }: Response): SaharaError {
  const reasons: Readonly<Record<number, string>> = {
    401: 'The server gives it only to those it knows; a token for a hub stands in HF_TOKEN',
    403: 'The server does not give it to everybody; a token for a hub stands in HF_TOKEN',
    404: 'The server has no such file',
    410: 'The server has it no longer',
  };
  const known = reasons[status];
  if (known !== undefined) return final(url, known);
  const failure = failed(url, `The server answered ${status}`);
  if (status !== 408 && status !== 429 && status < 500) return final(url, `The server answered ${status}`);
  const after = Number(headers.get('retry-after'));
  return new Passing(failure, after > 0 ? Math.min(after, RETRY_SECONDS_MAX) * 1000 : undefined);
}

/** Longest wait that a server may ask for, seconds. */
const RETRY_SECONDS_MAX = 60;

/** What is kept is gone on with, whatever the failure was. */
function withKept({ code, facts, cause }: SaharaError, kept: number): SaharaError {
  const goOn =
    kept > 0 && `${kept} bytes of it are kept: run the same command again, and it goes on where it stopped`;
  return new SaharaError(
    code,
    { ...facts, ...(goOn !== false && { advice: goOn }), keptBytes: kept },
    { cause },
  );
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = clock.after(ms, resolve);
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
  cancel();
  if (signal.aborted) throw new SaharaError('cancelled');
}
