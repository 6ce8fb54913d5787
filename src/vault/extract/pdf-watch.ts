/**
 * Watches the process that parses PDF files from a thread beside it: ends it when it takes too much memory, of which the
 * heap's own limit sees only a part, and when whoever started it is gone, which it does not notice while it parses.
 */
import { workerData } from 'node:worker_threads';
import { every, wakefulClock } from '../../base/clock.ts';

const LOOK_MS = 50;
// Sent by pdf-child.ts, which types it.
const { memoryMiB } = workerData as { readonly memoryMiB: number };
const parent = process.ppid;

every(wakefulClock, LOOK_MS, () => {
  const isOver = process.memoryUsage.rss() > memoryMiB * 1_048_576;
  if (isOver || process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
});
