/** Small file systems of their own, to be filled to the last byte and emptied again while a daemon lives on them. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** One file system in memory. */
export interface Volume {
  /** Leaves no byte free. */
  fill(): void;
  /** Gives back what `fill` took. */
  empty(): void;
  /** Takes the file system away; nothing may use it any more. */
  remove(): void;
}

/** Mounts a file system of `sizeMiB` at `folder`. Needs the right to mount, which a user namespace gives too. */
export function mountVolume(folder: string, sizeMiB: number): Volume {
  mkdirSync(folder, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m,mode=0700`, 'tmpfs', folder]);
  const ballast = join(folder, 'ballast');
  return {
    fill() {
      const file = openSync(ballast, 'a');
      for (let size = 1 << 20; size >= 1; size >>= 4) {
        try {
          for (;;) if (writeSync(file, Buffer.alloc(size)) < size) break;
        } catch {
          // Full for pieces of this size; smaller ones may still fit.
        }
      }
      closeSync(file);
    },
    empty: () => rmSync(ballast, { force: true }),
    remove: () => void execFileSync('umount', ['--lazy', folder]),
  };
}
