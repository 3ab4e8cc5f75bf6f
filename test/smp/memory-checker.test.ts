/** The memory checker over whole races: by the explorer, in parallel, and switched off. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { explore, run } from '../../src/index.js';

const at = (id: string): string => `${fileURLToPath(new URL('../fixtures/memory/objects.ts', import.meta.url))}#${id}`;
const check = 'memory';

describe('a race under the memory checker', () => {
  it.each(['dfs', 'dpor'] as const)('is found to read what another thread has freed, by %s', async (strategy) => {
    const found = await explore(at('freed-while-read'), { check, strategy });
    expect(found.failure).toMatchObject({ outcome: 'report', message: 'BUG: KASAN: use-after-free in reader' });
    const log = found.dmesg.join('\n');
    expect(log).toMatch(/Allocated by task 0 on cpu 0:\n.* {1}kmalloc\n.* setup\n/);
    expect(log).toMatch(/Freed by task \d on cpu \d:\n.* kfree\n.* last_user\n/);
  });

  it('oopses as it claims, and is reported before', async () => {
    const controlled = await explore(at('reads-null'), { check: 'all', caseName: 'oops' });
    const parallel = await run(at('reads-null'), { check: 'all', caseName: 'oops', executions: 1 });
    for (const found of [controlled, parallel]) {
      expect(found).toMatchObject({ expected: true, failure: { outcome: 'oops' } });
      const [report, oops] = ['BUG: KASAN: null-ptr-deref in reader', 'Unable to handle kernel NULL pointer'].map(
        (text) => found.dmesg.findIndex((line) => line.includes(text)),
      ) as [number, number];
      expect(report).toBeGreaterThan(0);
      expect(oops).toBeGreaterThan(report);
    }
  });

  it('is left in peace where the access may fault', async () => {
    const found = await explore(at('reads-null'), { check, caseName: 'probed' });
    expect(found).toMatchObject({ outcome: 'clean', exhausted: true, expected: true });
  });

  it('says the same each time', async () => {
    const [one, two] = [0, 1].map(() => explore(at('freed-while-read'), { check, preemptions: 1 }));
    const [first, second] = [await one, await two];
    expect(first?.dmesg).toEqual(second?.dmesg);
    expect(first?.traceHash).toBe(second?.traceHash);
  });

  it('is left in peace when it reads first', async () => {
    expect(await explore(at('freed-after-read'), { check })).toMatchObject({ outcome: 'clean', exhausted: true });
  });

  it('is told of what it has forgotten, if it asks', async () => {
    expect(await explore(at('forgets'), { check })).toMatchObject({ outcome: 'clean' });
    const found = await explore(at('forgets'), { check: 'leak' });
    expect(found.failure?.message).toBe('kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)');
    expect(found.dmesg.join('\n')).toMatch(/backtrace:\n.*kmalloc\n.*forgetful/);
  });

  it('ends with a list of what it has left over, if it asks for leaks', async () => {
    const found = await explore(at('forgets'), { check: 'leak' });
    const from = found.dmesg.findIndex((line) => line.includes('left over at the end of the execution:'));
    const list = found.dmesg.slice(from + 1).join('\n');
    expect(list).toMatch(/ {2}1 object, 24 bytes, allocated in\n.* kmalloc\n.* forgetful/);
    expect(list).toMatch(/ {2}1 object, 60 bytes, allocated in\n.* kmalloc\n.* setup/);
  });

  it('is caught in parallel mode as well', async () => {
    const found = await run(at('forgets'), { check: 'leak', seconds: 60, stopAtFailure: true });
    expect(found).toMatchObject({ outcome: 'report' });
  });

  it('takes the same steps with and without it', async () => {
    const [watched, alone] = [
      await explore(at('freed-after-read'), { check }),
      await explore(at('freed-after-read'), {}),
    ];
    expect(watched.steps).toBe(alone.steps);
    expect(watched.memoryHash).toBe(alone.memoryHash);
  });
});
