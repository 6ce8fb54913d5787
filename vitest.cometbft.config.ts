import { spawnSync } from 'node:child_process';
import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { COMET_VERSIONS } from './src/daemon/comet/version.ts';
import { COMPILE_CACHE } from './test/compile-cache.ts';

/** The tests under the real program. Where it cannot be had, they do not run, and the run says why. */
const [first, ...others] = COMET_VERSIONS;
const found = process.env.COMETBFT_BIN ?? install(first);
// One shorter set runs under the other lines too.
const also = found === undefined ? [] : others.flatMap((version) => install(version) ?? []);

function install(version: string): string | undefined {
  const { status, stdout, stderr } = spawnSync('scripts/install-cometbft', [version], { encoding: 'utf8' });
  if (status === 0) return stdout.trim();
  process.stderr.write(`\nSKIPPED: no test with CometBFT ${version} ran. ${stderr.trim()}\n\n`);
  return undefined;
}

const config: ViteUserConfig = defineConfig({
  test: {
    include: found === undefined ? [] : ['test/cometbft/**/*.test.ts'],
    exclude: also.length === 0 ? ['test/cometbft/lines.test.ts'] : [],
    passWithNoTests: found === undefined,
    env: { ...COMPILE_CACHE, COMETBFT_BIN: found ?? '', COMETBFT_ALSO: JSON.stringify(also) },
    testTimeout: 240_000,
    hookTimeout: 240_000,
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
  },
});

export default config;
