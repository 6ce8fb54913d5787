/** Runs every example; each checks itself and exits with a failure when something does not hold. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../examples/', import.meta.url));
const wanted = process.argv.slice(2);
const failed: string[] = [];

/** Every program in the folder, and in each folder below the one that is named after it. */
function programs(): readonly string[] {
  const entries = readdirSync(FOLDER, { withFileTypes: true });
  const found = entries.map((entry) =>
    entry.isDirectory() ? join(entry.name, `${entry.name}.ts`) : entry.name,
  );
  return found.filter((name) => name.endsWith('.ts') && existsSync(join(FOLDER, name))).sort();
}

for (const entry of programs()) {
  if (wanted.length > 0 && !wanted.some((name) => entry.startsWith(name))) continue;
  console.log(`\n── ${entry}`);
  const { status } = spawnSync(process.execPath, [join(FOLDER, entry)], { stdio: 'inherit' });
  if (status !== 0) failed.push(entry);
}

if (failed.length > 0) {
  console.error(`\nFailed: ${failed.join(', ')}`);
  process.exitCode = 1;
} else {
  console.log('\nAll examples hold.');
}
