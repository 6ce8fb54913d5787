/** Whether the system went on since the last run: what a process wrote without forcing it to disk survives only then. */
import { readFileSync } from 'node:fs';

const BOOT_FILE = '/proc/sys/kernel/random/boot_id';

/** The name of the system's present boot; `undefined` where it has none. */
export function systemBoot(): string | undefined {
  try {
    return readFileSync(BOOT_FILE, 'utf8').trim();
  } catch {
    return undefined;
  }
}
