/** What people write about merges on a command line. */
import { MERGE_MEANS, MERGE_WORKERS_MAX } from '../daemon/merging.ts';
import { countOption, usage } from './app.ts';

/** Options of everything that computes. */
export interface MeansOptions {
  readonly memory?: string;
  readonly workers?: string;
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** Bytes of `256MB`, `1.5 GiB` or `4096`. Throws `usage`. */
export function bytesOption(option: string, text: string): number {
  const [, number, unit = ''] = /^(\d{1,12}(?:\.\d{1,3})?)\s*([kmgt]i?b)?$/i.exec(text) ?? [];
  const bytes = Math.floor(Number(number) * (UNITS[unit.toLowerCase()] ?? Number.NaN));
  if (!(bytes >= 1) || bytes > Number.MAX_SAFE_INTEGER) {
    throw usage(`${option} takes a size such as 256MB, not "${text}"`);
  }
  return bytes;
}

/** Workers and memory. Throws `usage`. */
export function meansOption({ memory, workers }: MeansOptions): {
  readonly workers: number;
  readonly memoryBytes: number;
} {
  const count = workers === undefined ? MERGE_MEANS.workers : countOption('--workers', workers);
  if (count > MERGE_WORKERS_MAX) throw usage(`--workers takes at most ${MERGE_WORKERS_MAX}`);
  return {
    workers: count,
    memoryBytes: memory === undefined ? MERGE_MEANS.memoryBytes : bytesOption('--memory', memory),
  };
}
