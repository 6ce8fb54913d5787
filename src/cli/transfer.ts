/** How far something large is: a bar, how much of how much, how fast, and how long it still takes. */
import { bytesText, secondsText } from './show-merge.ts';

/** Time over which a rate is taken, milliseconds: shorter jumps about, longer is late. */
const WINDOW_MS = 5_000;
const BAR_WIDTH = 24;

/** The rate of something by how far it was when. */
export class TransferRate {
  readonly #points: { readonly atMs: number; readonly bytes: number }[] = [];

  /** Notes how far it is; answers bytes per second, or nothing as long as there is none to tell. */
  at(atMs: number, bytes: number): number | undefined {
    const last = this.#points.at(-1);
    // It began anew.
    if (last !== undefined && bytes < last.bytes) this.#points.splice(0);
    this.#points.push({ atMs, bytes });
    while (this.#points.length > 2 && atMs - (this.#points[0]?.atMs ?? atMs) > WINDOW_MS)
      this.#points.shift();
    const [first] = this.#points;
    const spentMs = first === undefined ? 0 : atMs - first.atMs;
    return spentMs < 500 || first === undefined ? undefined : ((bytes - first.bytes) * 1000) / spentMs;
  }
}

/** `[######------]  50 %  1.2 of 2.4 GB  35 MB/s  34 s left`; without a total only what came and how fast. */
export function transferLine(
  bytes: number,
  totalBytes: number | undefined,
  bytesPerSecond: number | undefined,
): string {
  const rate = bytesPerSecond === undefined ? '' : `  ${bytesText(bytesPerSecond)}/s`;
  if (totalBytes === undefined || totalBytes === 0) return `${bytesText(bytes)}${rate}`;
  const share = Math.min(1, bytes / totalBytes);
  const filled = Math.floor(share * BAR_WIDTH);
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}]`;
  const percent = `${String(Math.floor(100 * share)).padStart(3)} %`;
  const left =
    bytesPerSecond === undefined || bytesPerSecond <= 0 || share === 1
      ? ''
      : `  ${secondsText((totalBytes - bytes) / bytesPerSecond)} left`;
  return `${bar} ${percent}  ${bytesText(bytes)} of ${bytesText(totalBytes)}${rate}${left}`;
}
