import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { COMPILE_CACHE } from './test/compile-cache.ts';

const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/faults/**/*.faults.ts'],
    env: COMPILE_CACHE,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});

export default config;
