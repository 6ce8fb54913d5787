import { spawnSync } from 'node:child_process';
import { defineConfig, type ViteUserConfig } from 'vitest/config';

/** The tests under the real program. Where it cannot be had, they do not run, and the run says why. */
const found = process.env.COMETBFT_BIN ?? install();

function install(): string | undefined {
  const { status, stdout, stderr } = spawnSync('scripts/install-cometbft', { encoding: 'utf8' });
  if (status === 0) return stdout.trim();
  process.stderr.write(`\nSKIPPED: no test with CometBFT ran. ${stderr.trim()}\n\n`);
  return undefined;
}

const config: ViteUserConfig = defineConfig({
  test: {
    include: found === undefined ? [] : ['test/cometbft/**/*.test.ts'],
    passWithNoTests: found === undefined,
    env: { COMETBFT_BIN: found ?? '' },
    testTimeout: 240_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
  },
});

export default config;
