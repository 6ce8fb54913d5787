import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { COMPILE_CACHE } from './test/compile-cache.ts';

const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/e2e/**', 'test/long/**', 'test/cometbft/**'],
    env: COMPILE_CACHE,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    // One more than two cores: many files wait more than they work.
    maxWorkers: 3,
  },
});

export default config;
