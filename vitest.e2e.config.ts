import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { COMPILE_CACHE } from './test/compile-cache.ts';

const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/e2e/**/*.test.ts'],
    env: COMPILE_CACHE,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
  },
});

export default config;
