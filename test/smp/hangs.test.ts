/**
 * The watchdogs on machines, in both modes: what is stuck or blocked for long enough is reported, what is not quite, or by chance only, is not.
 * Limits: kernel/softlockup.c and kernel/hung_task.c, Linux 2.6.30; kernel/watchdog.c, Linux 5.10; spec/checkers.md §4.
 */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type ExploreResult, explore } from '../../src/index.js';
import { booted } from './booted.js';

const race = (id: string): string =>
  `${fileURLToPath(new URL('../fixtures/hangs/watchdogs.ts', import.meta.url))}#${id}`;

const search = (id: string, seconds: number, kernel = '2.6.31', check = 'hangs'): Promise<ExploreResult> =>
  explore(race(id), { check, kernel, settings: { parameters: { seconds } }, strategy: 'dfs', preemptions: 1 });

const CLEAN = { outcome: 'clean', exhausted: true };
const reported = (message: string) => ({ outcome: 'report', failure: { checker: 'hangs', message } });

describe('a CPU that keeps all others off itself', () => {
  it('is a soft lockup after more than 60 seconds', async () => {
    const found = await search('spinning', 70);
    expect(found).toMatchObject(reported('BUG: soft lockup - CPU#1 stuck for 70s! [thread1:1]'));
    expect(found.dmesg.join('\n')).toMatch(/thread1 spins on ready[\s\S]*Call Trace:[\s\S]*\] wait\n/);
    expect(await search('spinning', 60)).toMatchObject(CLEAN);
  });

  it('is one after more than 10 seconds on 2.6.22, and 20 on 4.12', async () => {
    expect(await search('spinning', 20, '2.6.22')).toMatchObject(reported('BUG: soft lockup detected on CPU#1!'));
    expect(await search('spinning', 10, '2.6.22')).toMatchObject(CLEAN);
    expect(await search('spinning', 30, '4.12')).toMatchObject(
      reported('BUG: soft lockup - CPU#1 stuck for 30s! [thread1:1]'),
    );
    expect(await search('spinning', 20, '4.12')).toMatchObject(CLEAN);
  });

  it('is none while another thread could have the CPU', async () => {
    expect(await search('preemptible', 70)).toMatchObject(CLEAN);
  });

  it('is none if nobody asks', async () => {
    expect(await search('spinning', 70, '2.6.31', '')).toMatchObject(CLEAN);
  });
});

describe('a CPU with its interrupts masked', () => {
  it('is a hard lockup on 4.12 after more than 10 seconds', async () => {
    expect(await search('masked', 20, '4.12')).toMatchObject(reported('Watchdog detected hard LOCKUP on cpu 1'));
    expect(await search('masked', 10, '4.12')).toMatchObject(CLEAN);
  });

  it('is on 2.6.31 a soft lockup that is seen when the timer interrupt comes again', async () => {
    const found = await search('masked', 70);
    expect(found).toMatchObject(reported('BUG: soft lockup - CPU#1 stuck for 70s! [thread1:1]'));
    expect(found.dmesg[0]).toContain('CPU1: BUG: soft lockup');
    expect(await search('masked', 60)).toMatchObject(CLEAN);
  });
});

describe('a task that sleeps uninterruptibly', () => {
  it('is hung on 2.6.31 when two looks at it, 120 seconds apart, find it so', async () => {
    const found = await search('sleeping', 240);
    expect(found).toMatchObject(reported('INFO: task thread1:1 blocked for more than 120 seconds.'));
    expect(found.dmesg.join('\n')).toContain('hung_task_timeout_secs" disables this message.');
    expect(await search('sleeping', 230)).toMatchObject(CLEAN);
  });

  it('is hung on 4.12 after 120 seconds', async () => {
    expect(await search('sleeping', 120, '4.12')).toMatchObject(
      reported('INFO: task thread1:1 blocked for more than 120 seconds.'),
    );
    expect(await search('sleeping', 110, '4.12')).toMatchObject(CLEAN);
  });

  it('is not looked at on 2.6.22', async () => {
    expect(await search('sleeping', 300, '2.6.22')).toMatchObject(CLEAN);
  });
});

describe('time that goes by', () => {
  it('makes nobody stuck who only has not been let run, or who waits for it', async () => {
    expect(await search('patient', 300, '4.12')).toMatchObject(CLEAN);
  });
});

describe('a machine in which nothing can happen any more', () => {
  const stateOf = async (id: string, check: string): Promise<string> => {
    const found = await explore(race(id), { check, preemptions: 1, keepGoing: true });
    const stuck = found.failures.find((f) => f.failure.outcome === 'deadlock' || f.failure.outcome === 'hang');
    return (stuck?.failure.state ?? []).join('\n');
  };

  it('has what lockdep knows of the locks that are held beside the cycle', async () => {
    expect(await stateOf('crossed', 'lockdep')).toMatch(
      /spins on n, held by thread1[\s\S]*all locks held in the system:\n1 lock held by thread0\/0:\n #0: {2}\(m\)\{\+\.\+\.\.\.\}.*\n1 lock held by thread1\/1:\n #0: {2}\(n\)/,
    );
    expect(await stateOf('crossed', 'memory')).not.toContain('locks held in the system');
  });

  it('has the names of locks with a nesting of their own, and nothing of a task that holds none', async () => {
    const state = await stateOf('nested', 'lockdep');
    expect(state).toMatch(/2 locks held by thread0\/0:\n #0: {2}\(m\).*take\n #1: {2}\(n\/1\).*take$/);
    expect(state).not.toContain('held by thread1/1');
  });

  it('has what the watchdogs would say of it in time', async () => {
    expect(await stateOf('crossed', 'hangs')).toMatch(/soft lockup - CPU#0[\s\S]*soft lockup - CPU#1/);
    expect(await stateOf('forgotten', 'hangs')).toContain('INFO: task thread0:0 blocked for more than 120 seconds.');
    expect(await stateOf('crossed', '')).not.toContain('soft lockup');
  });
});

describe('in parallel mode', () => {
  const machine = booted();
  const run = (id: string, seconds: number, kernel: string) =>
    machine.run(race(id), {
      ...{ check: 'hangs', kernel, settings: { parameters: { seconds } }, seconds: 120, stopAtFailure: true },
    });

  it('the same is found', async () => {
    expect(await run('spinning', 3000, '2.6.31')).toMatchObject({ outcome: 'report', failure: { checker: 'hangs' } });
    expect(await run('masked', 3000, '4.12')).toMatchObject({
      failure: { message: 'Watchdog detected hard LOCKUP on cpu 1' },
    });
    expect(await run('sleeping', 3000, '4.12')).toMatchObject({
      failure: { message: expect.stringContaining('blocked for more than') },
    });
  });

  it('the same is silent', async () => {
    const quiet = { executions: 40 };
    for (const [id, seconds] of [
      ['spinning', 60],
      ['preemptible', 700],
      ['patient', 700],
    ] as const) {
      const options = { check: 'hangs', settings: { parameters: { seconds } }, ...quiet };
      expect(await machine.run(race(id), options)).toMatchObject({ outcome: 'clean' });
    }
  });
});
