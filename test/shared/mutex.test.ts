import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { explore, run } from '../../src/index.js';

const races = (name: string): string =>
  join(fileURLToPath(new URL('races', import.meta.url)), `mutex.ts#mutex-${name}`);

describe('a mutex', () => {
  it('keeps every addition, in every schedule and on real threads, although its holder sleeps', async () => {
    const all = await explore(races('counted'), { preemptions: 1 });
    expect([all.outcome, all.exhausted]).toEqual(['clean', true]);
    expect((await run(races('counted'), { executions: 100 })).outcome).toBe('clean');
  });

  it('taken in two orders is a deadlock that names both', async () => {
    const found = await explore(races('abba'), { preemptions: 1 });
    expect(found.outcome).toBe('deadlock');
    const state = found.failure?.state?.join('\n');
    expect(state).toContain('sleeps on race_data+0x50, held by thread1 on CPU1; holds race_data+0x40');
    expect(state).toContain('sleeps on race_data+0x40, held by thread0 on CPU0; holds race_data+0x50');
  });

  it('taken again by its holder is a deadlock in both modes', async () => {
    expect((await explore(races('again'), { preemptions: 0 })).outcome).toBe('deadlock');
    expect((await run(races('again'), { executions: 1 })).outcome).toBe('deadlock');
  });
});
