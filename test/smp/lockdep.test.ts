/** lockdep on machines: it reports what could wait for ever though nothing does, in both modes, and is silent about what is right. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { explore, type RunOptions, replay, toReplay } from '../../src/index.js';
import { booted } from './booted.js';

const race = (id: string): string =>
  `${fileURLToPath(new URL('../fixtures/lockdep/orders.ts', import.meta.url))}#${id}`;
const CIRCULAR = '[ INFO: possible circular locking dependency detected ]';
const INCONSISTENT = '[ INFO: inconsistent lock state ]';

const machine = booted();
const run = (id: string, options: RunOptions = {}) => machine.run(race(id), { executions: 3, ...options });

describe('lockdep in parallel mode', () => {
  it('reports two orders of two locks, with the log of the first failure', async () => {
    const result = await run('two-orders', { check: 'lockdep' });
    expect(result).toMatchObject({ outcome: 'report', executions: 3, failure: { message: CIRCULAR, execution: 1 } });
    const log = result.dmesg.join('\n');
    expect(log).toMatch(/CPU1: {2}\(inode_lock\)\{\+\.\+\.\.\.\}, at: \[<\?+>\] both/);
    expect(log).toContain('-> #1 (dcache_lock){+.+...}:');
    expect(result.outcomes.report).toBe(3);
  });

  it('reports a lock of a handler that is taken with interrupts on', async () => {
    const result = await run('interrupts-on', { check: 'lockdep', cpus: 1 });
    expect(result.failure?.message).toBe(INCONSISTENT);
    expect(result.dmesg.join('\n')).toContain('inconsistent {HARDIRQ-ON-W} -> {IN-HARDIRQ-W} usage.');
  });

  it('reports a system call that returns with a lock held', async () => {
    expect(await run('leaves-with-lock', { check: 'lockdep' })).toMatchObject({
      outcome: 'report',
      failure: { message: '[ BUG: lock held when returning to user space! ]' },
    });
    expect(await run('leaves-without', { check: 'lockdep' })).toMatchObject({ outcome: 'clean', dmesg: [] });
  });

  it('takes two locks for one class when they are told to be, and for two of one name', async () => {
    const result = await run('one-class', { check: 'lockdep' });
    expect(result.failure?.message).toBe('[ INFO: possible recursive locking detected ]');
    expect(result.dmesg.join('\n')).toContain('(&inode->i_lock){');
    expect(await run('two-classes', { check: 'lockdep' })).toMatchObject({ outcome: 'clean', dmesg: [] });
  });

  it('says it in the words of 5.10 when asked', async () => {
    const result = await run('two-orders', { check: 'lockdep', lockdepRules: '5.10' });
    expect(result.failure?.message).toBe('WARNING: possible circular locking dependency detected');
  });

  it('follows the rules of the kernel, where nobody asks for others', async () => {
    const log = async (kernel: string): Promise<string> =>
      (await run('two-orders', { check: 'lockdep', kernel, executions: 1 })).dmesg.join('\n');
    const old = await log('2.6.22');
    expect(old).toContain('-> #1 (dcache_lock){--..}:');
    expect(old).not.toContain('scenario');
    expect(await log('2.6.30')).toContain('-> #1 (dcache_lock){+.+...}:');
    const newer = await log('4.12');
    expect(newer).toContain('-> #1 (dcache_lock){+.+...}:');
    expect(newer).toContain('Possible unsafe locking scenario:');
  });

  it('is silent about one order and about interrupts off, and where nobody asks', async () => {
    expect(await run('one-order', { check: 'lockdep' })).toMatchObject({ outcome: 'clean', dmesg: [] });
    expect(await run('interrupts-off', { check: 'lockdep', cpus: 1 })).toMatchObject({ outcome: 'clean', dmesg: [] });
    expect(await run('two-orders')).toMatchObject({ outcome: 'clean', dmesg: [] });
  });

  it('is silent about the highmem code of the kernel', async () => {
    const options = { check: 'lockdep', seconds: 1, caseName: 'pinned' };
    expect(await machine.run('2009-03-kmap-recycle-lost-bytes', options)).toMatchObject({
      outcome: 'clean',
      dmesg: [],
    });
  });
});

describe('lockdep in controlled mode', () => {
  it('finds nothing in a lock that all take with interrupts off, though a CPU of PA-RISC waits for it with interrupts on', async () => {
    const found = await explore(race('irqsave-by-all'), { check: 'lockdep', strategy: 'dpor' });
    expect(found).toMatchObject({ outcome: 'clean', exhausted: true });
  });

  it('reports two orders in the first schedule, and again from the replay file', async () => {
    const found = await explore(race('two-orders'), { check: 'lockdep', strategy: 'dfs', preemptions: 0 });
    expect(found).toMatchObject({ outcome: 'report', failure: { message: CIRCULAR } });
    expect(found.dmesg.join('\n')).toContain('1 lock held by thread1/1:');
    const again = await replay(await toReplay(race('two-orders'), found));
    expect(again).toMatchObject({ reproduced: true, result: { outcome: 'report', failure: { message: CIRCULAR } } });
  });

  it('finds no report in any schedule of one order', async () => {
    const found = await explore(race('one-order'), { check: 'lockdep', strategy: 'dfs', preemptions: 1 });
    expect(found).toMatchObject({ outcome: 'clean', exhausted: true });
  });
});

describe('lock_stat of a machine', () => {
  const search = (id: string) => explore(race(id), { strategy: 'dfs', preemptions: 1 });

  it('counts holds, waits and their times in every schedule', async () => {
    expect(await search('measured-waits')).toMatchObject({ outcome: 'clean', exhausted: true });
  });

  it('has a wait in some of them', async () => {
    expect((await search('measured-alone')).failure?.message).toContain('nobody had to wait');
  });

  it('is measured in parallel mode too', async () => {
    expect(await run('measured-waits', { executions: 20 })).toMatchObject({ outcome: 'clean', dmesg: [] });
  });

  it('is refused where nobody watches locks', async () => {
    await expect(explore(race('one-order'), { machine: { lockStat: true } })).rejects.toThrow(
      /turn it on by check: "lockdep"/,
    );
  });
});

describe('a deadlock that the explorer finds under lockdep', () => {
  it('comes with the chain that lockdep has reported before it', async () => {
    const found = await explore(race('crossed'), { check: 'lockdep', preemptions: 1, keepGoing: true });
    const deadlock = found.failures.find((f) => f.failure.outcome === 'deadlock');
    expect(deadlock?.failure.state?.join('\n')).toMatch(
      /spins on[\s\S]*lockdep has reported: .*circular locking dependency/,
    );
    const alone = await explore(race('crossed'), { preemptions: 1 });
    expect(alone.failure?.state?.join('\n')).not.toContain('has reported');
  });
});
