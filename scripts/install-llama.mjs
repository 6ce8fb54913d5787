/**
 * Puts a binary of node-llama-cpp into this checkout that it leaves out by default: CUDA and Vulkan weigh half a
 * gigabyte, and other systems are not what tests run on. An installed package needs none of this: there
 * `npm install node-llama-cpp` brings them. Usage: node scripts/install-llama.mjs linux-x64-cuda [linux-x64-cuda-ext ...]
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const library = JSON.parse(readFileSync(join(root, 'node_modules/node-llama-cpp/package.json'), 'utf8'));
const known = Object.keys(library.optionalDependencies ?? {}).map((name) => name.replace(/^.*\//, ''));
const names = process.argv.slice(2);
const unknown = names.filter((name) => !known.includes(name));
if (names.length === 0 || unknown.length > 0) {
  console.error(`Usage: node scripts/install-llama.mjs NAME ..., where NAME is one of ${known.join(', ')}`);
  process.exit(2);
}

for (const name of names) {
  const folder = mkdtempSync(join(tmpdir(), 'sahara-llama-'));
  try {
    run('npm', ['pack', `@node-llama-cpp/${name}@${library.version}`, '--pack-destination', folder]);
    run('tar', ['-xzf', `node-llama-cpp-${name}-${library.version}.tgz`], folder);
    const place = join(root, 'node_modules/@node-llama-cpp', name);
    rmSync(place, { recursive: true, force: true });
    mkdirSync(dirname(place), { recursive: true });
    cpSync(join(folder, 'package'), place, { recursive: true });
    console.log(`${name} ${library.version} is in place until the next npm install`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(command, args, cwd = root) {
  const { status } = spawnSync(command, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) process.exit(status ?? 1);
}
