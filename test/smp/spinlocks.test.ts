/** The debugger of spinlocks on machines, in both modes: who waits for ever, or for a second, is reported, and who waits for less is not. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type ExploreResult, explore } from '../../src/index.js';
import { booted } from './booted.js';

const race = (id: string): string =>
  `${fileURLToPath(new URL('../fixtures/spinlocks/locks.ts', import.meta.url))}#${id}`;

const search = (id: string, more: Parameters<typeof explore>[1] = {}): Promise<ExploreResult> =>
  explore(race(id), { check: 'spinlocks', preemptions: 1, ...more });
const CLEAN = { outcome: 'clean', exhausted: true };

describe('who takes a lock that it has', () => {
  it('is a recursion, and then a lockup: both belong to the deadlock', async () => {
    const found = await search('recursion');
    expect(found.outcome).toBe('deadlock');
    const log = found.dmesg.join('\n');
    expect(log).toMatch(
      /BUG: spinlock recursion on CPU#0, thread0\/0\n.* lock: \w{8}, \.magic: dead4ead, \.owner: thread0\/0, \.owner_cpu: 0/,
    );
    expect(log).toMatch(/BUG: spinlock lockup on CPU#0, thread0\/0, \w{8}/);
    expect((await search('recursion', { check: '' })).dmesg.join('\n')).not.toContain('BUG: spinlock');
  });

  it('is none when it has given it back, or only tries', async () => {
    expect(await search('again')).toMatchObject(CLEAN);
  });

  it('is a recursion in a handler as well, unless interrupts are off', async () => {
    const found = await search('interrupted', { preemptions: 2 });
    expect(found.dmesg.join('\n')).toContain('BUG: spinlock recursion on CPU#0, thread0/0');
    expect(await search('masked')).toMatchObject(CLEAN);
  });
});

describe('who takes a lock that another thread of its CPU has', () => {
  it('is a cpu recursion', async () => {
    const found = await search('sleeps');
    expect(found.dmesg.join('\n')).toMatch(
      /BUG: spinlock cpu recursion on CPU#0, thread1\/1\n.*\.owner: thread0\/0, \.owner_cpu: 0/,
    );
  });

  it('is none when that thread has given it back before it sleeps', async () => {
    expect(await search('sleeps-first')).toMatchObject(CLEAN);
  });
});

describe('who waits for a lock', () => {
  const waits = (ticks: number, check = 'spinlocks') =>
    search('held', { check, settings: { parameters: { ticks } }, strategy: 'dfs' });

  it('for a second is a lockup, on whom nobody else reports', async () => {
    const found = await waits(100);
    expect(found).toMatchObject({ outcome: 'report', failure: { checker: 'spinlocks' } });
    expect(found.failure?.message).toMatch(/^BUG: spinlock lockup on CPU#2, thread2\/2, \w{8}$/);
    expect(found.dmesg.join('\n')).toMatch(/\.owner: thread1\/1, \.owner_cpu: 1\n.*Call Trace:/);
  });

  it('for less is none', async () => {
    expect(await waits(99)).toMatchObject({ outcome: 'clean' });
  });

  it('is a lockup of both where two wait for each other', async () => {
    const crossed = fileURLToPath(new URL('../fixtures/hangs/watchdogs.ts', import.meta.url));
    const found = await explore(`${crossed}#crossed`, { check: 'spinlocks', preemptions: 1 });
    expect(found.outcome).toBe('deadlock');
    expect(found.dmesg.join('\n')).toMatch(/spinlock lockup on CPU#0[\s\S]*spinlock lockup on CPU#1/);
    expect(found.dmesg.join('\n')).not.toContain('soft lockup');
  });
});

describe('a lock that nobody has initialised yet', () => {
  it('has a bad magic in the schedules in which it is used before', async () => {
    const found = await search('initialised-perhaps', { strategy: 'dfs' });
    expect(found).toMatchObject({ outcome: 'report', failure: { checker: 'spinlocks' } });
    expect(found.failure?.message).toBe('BUG: spinlock bad magic on CPU#1, thread1/1');
  });

  it('has none where its user waits for that, or it was done before', async () => {
    for (const id of ['initialised-first', 'initialised-before']) {
      expect(await search(id)).toMatchObject(CLEAN);
    }
  });
});

describe('debug_locks', () => {
  const bothOf = async (id: string, lockdepMode: string): Promise<string> =>
    (await search(id, { check: 'lockdep,spinlocks', settings: { lockdepMode } })).dmesg.join('\n');

  it('is off after the first report, be it of lockdep or of a spinlock', async () => {
    const recursion = await bothOf('recursion', 'linux');
    expect(recursion).toContain('possible recursive locking detected');
    expect(recursion).not.toContain('BUG: spinlock recursion');
    const magic = await bothOf('bad-and-recursive', 'linux');
    expect(magic).toContain('BUG: spinlock bad magic');
    expect(magic).not.toMatch(/held lock freed|bad unlock balance|trylock failure/);
  });

  it('is not in mode continue', async () => {
    expect(await bothOf('recursion', 'continue')).toMatch(/recursive locking[\s\S]*BUG: spinlock recursion/);
    expect(await bothOf('bad-and-recursive', 'continue')).toMatch(
      /bad magic[\s\S]*trylock failure on UP[\s\S]*held lock freed[\s\S]*bad unlock balance/,
    );
  });

  it('does not keep a lockup from being told, which does not turn it off either', async () => {
    expect(await bothOf('recursion', 'linux')).toContain('BUG: spinlock lockup on CPU#0');
  });
});

describe('in parallel mode', () => {
  const machine = booted();
  const run = (id: string) =>
    machine.run(race(id), { check: 'spinlocks', executions: 60, seconds: 20, stopAtFailure: true });

  it('a recursion and its lockup belong to the deadlock', async () => {
    const found = await run('recursion');
    expect(found.outcome).toBe('deadlock');
    expect(found.dmesg.join('\n')).toMatch(/BUG: spinlock recursion on CPU#0[\s\S]*BUG: spinlock lockup on CPU#0/);
  });

  const kept = (parameters: { steps: number; ticks: number }, executions: number) =>
    machine.run(race('held-on-purpose'), {
      ...{ check: 'spinlocks', settings: { parameters }, seconds: 120, stopAtFailure: true, executions },
    });

  it('who waits for a second is locked up, and who waits for less is not, however long that takes', async () => {
    const found = await kept({ steps: 3000, ticks: 100 }, 500);
    expect(found).toMatchObject({ outcome: 'report', failure: { checker: 'spinlocks' } });
    expect(found.failure?.message).toMatch(/^BUG: spinlock lockup on CPU#1, thread1\/1, \w{8}$/);
    expect(await kept({ steps: 99, ticks: 1 }, 40)).toMatchObject({ outcome: 'clean' });
  });

  it('contended locks are silent', async () => {
    expect(await run('again')).toMatchObject({ outcome: 'clean' });
    expect(await run('masked')).toMatchObject({ outcome: 'clean' });
  });
});
