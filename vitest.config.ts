import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Workers run built JavaScript: dist/ has to match the sources under test.
    globalSetup: ['scripts/vitest-setup.mjs'],
    // A test may start five workers that never sleep: files after each other, on hosts with two cores.
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
