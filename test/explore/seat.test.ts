import { describe, expect, it } from 'vitest';
import { explore } from '../../src/index.js';

/** Two threads on one CPU, which sleep for each other, with the tick allowed anywhere. */
const TWO_ON_ONE_CPU = '2009-09-kmap-misses-kmap-atomic-stores';

describe('preemption of threads that share a CPU, in controlled mode', () => {
  it('never leaves both waiting for the seat', async () => {
    const options = { core: 'arm926', kernel: '2.6.32', executions: 300 } as const;
    for (const strategy of ['random', 'pct', 'pos', 'dfs', 'dpor'] as const) {
      const bound = strategy === 'dfs' ? { preemptions: 3 } : {};
      const result = await explore(TWO_ON_ONE_CPU, { ...options, ...bound, strategy });
      expect(result.failure).toBeNull();
      expect(result.exhausted || result.executions === 300, strategy).toBe(true);
    }
  });
});
