/**
 * Compiles `src/merge/kernels/*.as` to the checked-in `src/merge/kernels/kernels.wasm`.
 * `node scripts/build-kernels.ts` writes it; a test compares the checked-in bytes with a rebuild.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import asc from 'assemblyscript/asc';

const SOURCES = new URL('../src/merge/kernels/', import.meta.url);
const MODULE = new URL('../src/merge/kernels/kernels.wasm', import.meta.url);
// 4 GiB, the most that 32-bit addresses reach; each worker imports a memory of its own budget.
const PAGES_MAX = 65536;

/** The compiled module's bytes. Fails with the compiler's message. */
export async function buildKernels(): Promise<Uint8Array> {
  let built: Uint8Array | undefined;
  const { error, stderr } = await asc.main(
    ['kernels.ts', '--outFile', 'kernels.wasm', '--runtime', 'stub', '--importMemory', '--noAssert']
      .concat(['--initialMemory', '1', '--maximumMemory', String(PAGES_MAX), '--enable', 'simd'])
      .concat(['--optimizeLevel', '3', '--shrinkLevel', '0', '--converge', '--use', 'abort=']),
    {
      // The compiler wants its sources to be called .ts, which for TypeScript's own tools they are not.
      readFile: (name) => {
        const [, base] = /^([a-z]+)\.ts$/.exec(name) ?? [];
        const path = base === undefined ? undefined : new URL(`${base}.as`, SOURCES);
        return path && existsSync(path) ? readFileSync(path, 'utf8') : null;
      },
      writeFile: (name, contents) => {
        if (name === 'kernels.wasm' && typeof contents !== 'string') built = contents;
      },
      listFiles: () => [],
    },
  );
  if (error || !built) throw new Error(`kernels do not compile: ${stderr.toString()}`, { cause: error });
  return built;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const bytes = await buildKernels();
  writeFileSync(MODULE, bytes);
  console.log(`kernels.wasm: ${bytes.length} bytes`);
}
