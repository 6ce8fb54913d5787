/**
 * What is missing for models to run on an NVIDIA processor, as far as files tell without loading anything: the driver is
 * there, but not the binary of node-llama-cpp for it, or not the libraries of CUDA that the binary is linked with.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where to look. */
export interface GraphicsPlaces {
  /** The folder that everything of the system is below. */
  readonly root: string;
  /** Folders in which packages of this program may be. */
  readonly modules: readonly string[];
  /** Folders in which the linker looks before its own, as `LD_LIBRARY_PATH` has them. */
  readonly libraries: readonly string[];
  /** Whether this is a checkout, which installs without binaries for graphics processors. */
  readonly isCheckout: boolean;
}

/** What is missing, and the one line that brings it. */
export interface MissingGraphics {
  readonly why: string;
  readonly next: string;
}

/** Files of which one is there where the driver is: Linux by itself, and inside Windows. */
const DRIVERS = ['proc/driver/nvidia/version', 'usr/lib/wsl/lib/libcuda.so.1'];
/** The packages with a binary, and the version of CUDA that each is linked with. */
const BINARIES: readonly (readonly [name: string, cuda: number])[] = [
  ['@node-llama-cpp/linux-x64-cuda', 13],
  ['@node-llama-cpp/linux-x64-cuda-ext', 12],
];
const LIBRARIES = ['libcudart.so', 'libcublas.so'];
/** Where CUDA's own installer puts them, beside what the linker has listed. */
const TOOLKIT = 'usr/local/cuda/lib64';
const LISTED = 'etc/ld.so.cache';

/** What is missing for an NVIDIA processor on Linux for x64; `undefined` where there is none, or nothing is missing. */
export function missingForCuda(places: GraphicsPlaces): MissingGraphics | undefined {
  if (!DRIVERS.some((file) => existsSync(join(places.root, file)))) return undefined;
  const installed = BINARIES.filter(([name]) => folderOf(name, places) !== undefined);
  if (installed.length === 0) {
    return {
      why: 'an NVIDIA driver is here, but the CUDA binary of node-llama-cpp is not: models will not use CUDA',
      next: `${installLine(places)} brings it; models.gpu: none leaves it at the processor.`,
    };
  }
  const missing = installed.map(([, cuda]) =>
    LIBRARIES.map((name) => `${name}.${cuda}`).filter((file) => !isListed(file, places)),
  );
  if (missing.some((files) => files.length === 0)) return undefined;
  const [[, cuda] = ['', 0]] = installed;
  return {
    why: `an NVIDIA driver and the CUDA binary of node-llama-cpp are here, but not ${(missing[0] ?? []).join(' and ')}: models will not use CUDA`,
    next: `Install the runtime of CUDA ${cuda} (libcudart and libcublas), then start again.`,
  };
}

/** Where to look on this machine. */
export function graphicsPlaces(): GraphicsPlaces {
  const modules = createRequire(import.meta.url).resolve.paths('node-llama-cpp') ?? [];
  const libraries = (process.env.LD_LIBRARY_PATH ?? '').split(':').filter((folder) => folder !== '');
  return { root: '/', modules, libraries, isCheckout: fileURLToPath(import.meta.url).endsWith('.ts') };
}

/** A package's folder, if it holds binaries: a checkout has empty ones in their place. */
function folderOf(name: string, { modules }: GraphicsPlaces): string | undefined {
  return modules.map((folder) => join(folder, name)).find((folder) => existsSync(join(folder, 'bins')));
}

/** Whether the linker would find a library. */
function isListed(file: string, { root, libraries }: GraphicsPlaces): boolean {
  if ([...libraries, join(root, TOOLKIT)].some((folder) => existsSync(join(folder, file)))) return true;
  try {
    return readFileSync(join(root, LISTED)).includes(`${file}\0`);
  } catch {
    return false;
  }
}

function installLine(places: GraphicsPlaces): string {
  if (places.isCheckout) return '`npm run gpu -- cuda`';
  const [[name] = ['']] = BINARIES;
  return `\`npm install ${name}@${versionOf(places)}\`, where this program is installed,`;
}

/** The version of the library, which its binaries must have too. */
function versionOf({ modules }: GraphicsPlaces): string {
  for (const folder of modules) {
    const file = join(folder, 'node-llama-cpp', 'package.json');
    if (!existsSync(file)) continue;
    const { version }: { readonly version?: unknown } = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof version === 'string') return version;
  }
  return '3';
}
