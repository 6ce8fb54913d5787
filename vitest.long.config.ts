import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { COMPILE_CACHE } from './test/compile-cache.ts';

const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/long/**/*.test.ts', 'test/ledger/whole-stories.test.ts'],
    // Stories of the ledger beside those that every run tells.
    env: { ...COMPILE_CACHE, LEDGER_STORIES: '40' },
    testTimeout: 180_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
  },
});

export default config;
