/** The debugger of spinlocks on machines, in both modes: who waits for ever, or for a second, is reported, and who waits for less is not. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ExploreResult, explore, Machine } from '../../src/index.js';

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

describe('in parallel mode', () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await Machine.boot({ cpus: 2 });
  });
  afterAll(async () => {
    await machine.close();
  });
  const run = (id: string) =>
    machine.run(race(id), { check: 'spinlocks', executions: 60, seconds: 20, stopAtFailure: true });

  it('a recursion and its lockup belong to the deadlock', async () => {
    const found = await run('recursion');
    expect(found.outcome).toBe('deadlock');
    expect(found.dmesg.join('\n')).toMatch(/BUG: spinlock recursion on CPU#0[\s\S]*BUG: spinlock lockup on CPU#0/);
  });

  it('contended locks are silent', async () => {
    expect(await run('again')).toMatchObject({ outcome: 'clean' });
    expect(await run('masked')).toMatchObject({ outcome: 'clean' });
  });
});
