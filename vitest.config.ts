import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const built = (path: string): string => fileURLToPath(new URL(`dist/src/${path}`, import.meta.url));

export default defineConfig({
  // The examples import the package by its name, as users do.
  resolve: {
    alias: [
      { find: /^murphy$/, replacement: built('index.js') },
      { find: /^murphy\/vitest$/, replacement: built('vitest.js') },
      { find: /^murphy\/traces$/, replacement: built('traces.js') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts', 'examples/*.test.ts'],
    // Workers run built JavaScript: dist/ has to match the sources under test.
    globalSetup: ['scripts/vitest-setup.mjs'],
    // A test may start five workers that never sleep: two files at a time, on hosts with two cores.
    pool: 'forks',
    maxWorkers: 2,
    // No test is about how long it takes: a host that has others to serve may need minutes for what is done in seconds.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
