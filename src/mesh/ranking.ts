/** The order of an agent's hosts: by what payers measured of them, never by what they say of themselves. */
import { utf8 } from '../base/bytes.ts';
import type { Measured } from './measures.ts';

/** What a host is ranked by. */
interface Ranked {
  readonly peerId: string;
  readonly measured: Measured | undefined;
}

/**
 * Hosts, the best first. A measured host counts by its time per useful answer: the median time of an answer over the
 * part of answers that did not fail. Hosts that nobody has measured stand in the middle of the others, so that they
 * are neither preferred for being unknown nor never tried. Equals come in an order that differs by `salt`.
 */
export function ranked<T extends Ranked>(hosts: readonly T[], salt: string): readonly T[] {
  const known = hosts.flatMap(({ measured }) => (measured ? [timePerAnswer(measured)] : []));
  const middle = known.sort((a, b) => a - b)[known.length >> 1] ?? 0;
  return hosts
    .map((host) => ({
      host,
      timeMs: host.measured ? timePerAnswer(host.measured) : middle,
      lot: lotOf(salt + host.peerId),
    }))
    .sort((a, b) => compare(a.timeMs, b.timeMs) || a.lot - b.lot || compareTexts(a.host, b.host))
    .map(({ host }) => host);
}

/** Milliseconds per answer that did not fail; infinite when all fail. */
export function timePerAnswer({ totalMs, failed }: Measured): number {
  return failed >= 1 ? Number.POSITIVE_INFINITY : totalMs / (1 - failed);
}

/** Without subtraction, which of two infinities is not a number. */
function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareTexts(a: Ranked, b: Ranked): number {
  return a.peerId < b.peerId ? -1 : a.peerId > b.peerId ? 1 : 0;
}

/** A number that looks drawn by lot but is always the same for the same text: FNV-1a, 32 bits. */
function lotOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of utf8(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
