/** Compiles `src/` to `dist/` for publishing and copies the files that run beside the code. */
import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const ASSETS = ['.wasm', '.yaml', '.json', '.md'];

rmSync(join(root, 'dist'), { recursive: true, force: true });
const compiled = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
if (compiled.status !== 0) process.exit(compiled.status ?? 1);
for (const entry of readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !ASSETS.some((ending) => entry.name.endsWith(ending))) continue;
  const from = join(entry.parentPath, entry.name);
  cpSync(from, join(root, 'dist', relative(join(root, 'src'), from)));
}

const verifier = spawnSync(process.execPath, [join(root, 'scripts/build-verifier.mjs')], {
  stdio: 'inherit',
});
process.exit(verifier.status ?? 1);
