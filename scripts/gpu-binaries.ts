/**
 * Brings the binaries of node-llama-cpp for a graphics processor into a checkout, which installs without them: they
 * have hundreds of megabytes, and most who work here have no such processor. `npm ci` takes them away again.
 * Usage: node scripts/gpu-binaries.ts cuda|cuda-ext|vulkan|metal
 */
import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SYSTEMS: Readonly<Record<string, string>> = { linux: 'linux', win32: 'win', darwin: 'mac' };
const modules = join(import.meta.dirname, '../node_modules');

const { version, optionalDependencies = {} } = JSON.parse(
  await readFile(join(modules, 'node-llama-cpp/package.json'), 'utf8'),
) as { readonly version: string; readonly optionalDependencies?: Readonly<Record<string, string>> };
const [kind = ''] = process.argv.slice(2);
const here = `@node-llama-cpp/${SYSTEMS[process.platform] ?? process.platform}-${process.arch}-`;
const name = `${here}${kind}`;

if (kind === '' || optionalDependencies[name] === undefined) {
  const known = Object.keys(optionalDependencies).filter((one) => one.startsWith(here));
  console.error(
    known.length === 0
      ? 'There are no binaries for graphics processors of this system'
      : `Known here are: ${known.map((one) => one.slice(here.length)).join(', ')}`,
  );
  process.exitCode = 1;
} else await bring();

async function bring(): Promise<void> {
  // In a place of its own: here the packages are replaced by empty ones.
  const folder = await mkdtemp(join(tmpdir(), 'sahara-gpu-'));
  try {
    const options = ['--no-save', '--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund'];
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
    const run = spawnSync(npm, ['install', '--prefix', folder, ...options, `${name}@${version}`], {
      stdio: 'inherit',
      shell: process.platform === 'win32',
    });
    if (run.status !== 0) {
      console.error(`npm could not install ${name}@${version}`);
      process.exitCode = 1;
      return;
    }
    await rm(join(modules, name), { recursive: true, force: true });
    await cp(join(folder, 'node_modules', name), join(modules, name), { recursive: true });
    console.log(`${name} ${version} is here: npm run bench:agents -- --gpu ${kind.replace('-ext', '')}`);
  } finally {
    await rm(folder, { recursive: true });
  }
}
