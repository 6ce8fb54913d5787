/** A hub of models as Hugging Face lays one out: where a file stands, and what its list says of it. */
import { fromHex, fromUtf8 } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { nearestNames } from '../../base/nearest.ts';
import { failed, type HttpParts, request } from './http.ts';
import { HUB_LIST_BYTES_MAX } from './limits.ts';
import type { HubFile } from './reference.ts';

/** A file of a hub. */
export interface FoundFile {
  readonly url: string;
  /** SHA-256, where the hub names it. */
  readonly sha256: Uint8Array | undefined;
  readonly sizeBytes: number | undefined;
}

/** How a hub is reached. */
export interface HubOptions {
  /** Base address, such as `https://huggingface.co`. */
  readonly endpoint: string;
  /** For files that not everybody may have. */
  readonly token?: string | undefined;
}

/**
 * Where a file stands and what it must hash to. A hub whose list cannot be read is believed about the file itself.
 * Errors: `download-failed` when the repository or the file is not there, with the nearest files.
 */
export async function findOnHub(
  parts: HttpParts,
  file: HubFile,
  options: HubOptions & { readonly signal: AbortSignal },
): Promise<FoundFile> {
  const base = options.endpoint.replace(/\/+$/, '');
  const revision = encodeURIComponent(file.revision);
  const url = `${base}/${file.repository}/resolve/${revision}/${file.file}`;
  const listUrl = `${base}/api/models/${file.repository}/tree/${revision}?recursive=true`;
  const { response, pieces, drop } = await request(parts, { url: listUrl, token: options.token }, options);
  if (response.status === 401 || response.status === 403) {
    drop();
    throw refused(url, 'The hub gives it only to those it knows', 'Set HF_TOKEN to a token that may read it');
  }
  if (response.status === 404) {
    drop();
    throw refused(
      url,
      `The hub has no ${file.repository} at ${file.revision}`,
      'Check owner, name and revision',
    );
  }
  // A list that goes on elsewhere says nothing about what is not on its first page.
  const goesOn = response.headers.get('link') !== null;
  const listed = response.status === 200 ? entries(await whole(pieces(), url)) : undefined;
  drop();
  if (listed === undefined) return { url, sha256: undefined, sizeBytes: undefined };
  const found = listed.find(({ path }) => path === file.file);
  if (found !== undefined) return { url, sha256: found.sha256, sizeBytes: found.sizeBytes };
  if (goesOn) return { url, sha256: undefined, sizeBytes: undefined };
  const models = listed.map(({ path }) => path).filter((path) => /\.gguf$/i.test(path));
  const near = nearestNames(file.file, models);
  const offered = (near.length > 0 ? near : models.slice(0, 5)).join(', ');
  const advice = offered === '' ? 'It has no GGUF files at all' : `It has ${offered}`;
  throw refused(url, `${file.repository} has no ${file.file}`, advice);
}

interface Listed {
  readonly path: string;
  readonly sizeBytes: number | undefined;
  readonly sha256: Uint8Array | undefined;
}

/** What of a list can be believed; `undefined` when it is none. */
function entries(text: string | undefined): readonly Listed[] | undefined {
  const list = parsed(text);
  if (!Array.isArray(list)) return undefined;
  return list.flatMap((entry: unknown): Listed[] => {
    const path = field(entry, 'path');
    if (typeof path !== 'string') return [];
    const large = field(entry, 'lfs');
    const [oid, size] = [field(large, 'oid'), field(large, 'size') ?? field(entry, 'size')];
    const digest = typeof oid === 'string' ? fromHex(oid) : undefined;
    return [
      {
        path,
        sizeBytes: typeof size === 'number' && Number.isSafeInteger(size) && size >= 0 ? size : undefined,
        sha256: digest?.length === 32 ? digest : undefined,
      },
    ];
  });
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

async function whole(pieces: AsyncIterable<Uint8Array>, url: string): Promise<string | undefined> {
  const held: Uint8Array[] = [];
  let size = 0;
  for await (const piece of pieces) {
    size += piece.length;
    if (size > HUB_LIST_BYTES_MAX) throw failed(url, 'The list of files of the hub is too long');
    held.push(piece);
  }
  return fromUtf8(Buffer.concat(held));
}

function refused(url: string, reason: string, advice: string): SaharaError {
  return new SaharaError('download-failed', { url, reason, advice });
}
