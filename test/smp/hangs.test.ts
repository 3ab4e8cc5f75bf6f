/**
 * The watchdogs on machines, in both modes: what is stuck or blocked for long enough is reported, what is not quite, or by chance only, is not.
 * Limits: kernel/softlockup.c and kernel/hung_task.c, Linux 2.6.30; kernel/watchdog.c, Linux 5.10; spec/checkers.md §4.
 */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type ExploreResult, explore, type MachineSpec } from '../../src/index.js';
import { booted } from './booted.js';

const race = (id: string): string =>
  `${fileURLToPath(new URL('../fixtures/hangs/watchdogs.ts', import.meta.url))}#${id}`;

const search = (
  id: string,
  seconds: number,
  kernel = '2.6.31',
  check = 'hangs',
  more: MachineSpec = {},
  preemptions = 1,
): Promise<ExploreResult> =>
  explore(race(id), { check, kernel, settings: { parameters: { seconds }, ...more }, strategy: 'dfs', preemptions });

/** How often the log of the failure has a text. */
const count = ({ dmesg }: ExploreResult, text: string): number => dmesg.join('\n').split(text).length - 1;

const CLEAN = { outcome: 'clean', exhausted: true };
const reported = (message: unknown) => ({ outcome: 'report', failure: { checker: 'hangs', message } });

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

  it('is one while two threads elsewhere wait for times in turn', async () => {
    const message = expect.stringMatching(/^BUG: soft lockup - CPU#1 stuck for /);
    expect(await search('besides', 70, '2.6.31', 'hangs', {}, 0)).toMatchObject(reported(message));
  });

  it('is none while another thread could have the CPU', async () => {
    expect(await search('preemptible', 70)).toMatchObject(CLEAN);
  });

  it('is none if nobody asks', async () => {
    expect(await search('spinning', 70, '2.6.31', '')).toMatchObject(CLEAN);
  });
});

describe('the limit of a soft lockup', () => {
  const at = (softlockupThresh: number): MachineSpec => ({ softlockupThresh });

  it('is what softlockup_thresh says, and none from 0 down', async () => {
    expect(await search('spinning', 30, '2.6.31', 'hangs', at(20))).toMatchObject(
      reported('BUG: soft lockup - CPU#1 stuck for 30s! [thread1:1]'),
    );
    expect(await search('spinning', 20, '2.6.31', 'hangs', at(20))).toMatchObject(CLEAN);
    for (const none of [0, -1]) expect(await search('spinning', 700, '2.6.31', 'hangs', at(none))).toMatchObject(CLEAN);
  });

  it('cannot be set on 2.6.22, and is twice watchdog_thresh on 4.12', async () => {
    const message = 'BUG: soft lockup detected on CPU#1!';
    expect(await search('spinning', 20, '2.6.22', 'hangs', at(0))).toMatchObject(reported(message));
    const twenty = { watchdogThresh: 20 };
    expect(await search('spinning', 50, '4.12', 'hangs', twenty)).toMatchObject(
      reported('BUG: soft lockup - CPU#1 stuck for 50s! [thread1:1]'),
    );
    expect(await search('spinning', 40, '4.12', 'hangs', twenty)).toMatchObject(CLEAN);
    expect(await search('spinning', 700, '4.12', 'hangs', { watchdogThresh: 0 })).toMatchObject(CLEAN);
  });
});

describe('an episode', () => {
  it('is reported once, however long it lasts, and the next one again', async () => {
    for (const kernel of ['2.6.31', '4.12']) {
      expect(count(await search('spinning', 400, kernel), 'BUG: soft lockup')).toBe(1);
      expect(count(await search('twice', 400, kernel, 'hangs', {}, 0), 'BUG: soft lockup')).toBe(2);
    }
    expect(count(await search('masked', 400, '4.12'), 'Watchdog detected hard LOCKUP')).toBe(1);
    expect(count(await search('masked-twice', 400, '4.12', 'hangs', {}, 0), 'Watchdog detected hard LOCKUP')).toBe(2);
  });

  it('counts from its own beginning', async () => {
    expect(await search('masked-twice', 10, '4.12', 'hangs', {}, 0)).toMatchObject(CLEAN);
    expect(await search('twice', 60, '2.6.31', 'hangs', {}, 0)).toMatchObject(CLEAN);
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

  it('is hung on 4.12 by the same two looks', async () => {
    expect(await search('sleeping', 240, '4.12')).toMatchObject(
      reported('INFO: task thread1:1 blocked for more than 120 seconds.'),
    );
    expect(await search('sleeping', 230, '4.12')).toMatchObject(CLEAN);
  });

  // The watchdog looks every 31 seconds: it is seen blocked at 31, and 124 seconds later, or 496.
  it.each([
    ['2.6.28', 120, 160, 150],
    ['2.6.29', 480, 530, 520],
  ])('is hung on %s when the watchdog has seen it so for %i seconds', async (kernel, limit, found, clean) => {
    const message = `INFO: task thread1:1 blocked for more than ${limit} seconds.`;
    expect(await search('sleeping', found, kernel)).toMatchObject(reported(message));
    expect(await search('sleeping', clean, kernel)).toMatchObject(CLEAN);
  });

  it('is not looked for on 2.6.28 by a watchdog that is switched off, and sooner by one that is woken more often', async () => {
    const at = (softlockupThresh: number, seconds: number): Promise<ExploreResult> =>
      search('sleeping', seconds, '2.6.28', 'hangs', { softlockupThresh });
    expect(await at(0, 500)).toMatchObject(CLEAN);
    expect(await at(18, 130)).toMatchObject(reported('INFO: task thread1:1 blocked for more than 120 seconds.'));
    expect(await at(18, 120)).toMatchObject(CLEAN);
  });

  it('is not hung if a signal could wake it, or only one that kills', async () => {
    for (const kernel of ['2.6.31', '4.12']) {
      expect(await search('uninterruptible', 500, kernel)).toMatchObject({ failure: { checker: 'hangs' } });
      for (const id of ['interruptible', 'killable']) expect(await search(id, 500, kernel)).toMatchObject(CLEAN);
    }
  });

  it('is told of at each look, ten times at most, or as often as hung_task_warnings says', async () => {
    for (const kernel of ['2.6.31', '4.12']) {
      const times = async (seconds: number, more: MachineSpec = {}): Promise<number> =>
        count(await search('asleep', seconds, kernel, 'hangs', more, 0), 'blocked for more than');
      expect(await times(490)).toBe(3);
      expect(await times(3000)).toBe(10);
      expect(await times(3000, { hungTaskWarnings: 2 })).toBe(2);
    }
  });

  it('is not hung if it was woken between two looks', async () => {
    for (const kernel of ['2.6.28', '2.6.31', '4.12']) {
      expect(await search('asleep-twice', 110, kernel, 'hangs', {}, 0)).toMatchObject(CLEAN);
    }
    expect(await search('asleep-twice', 130, '2.6.31', 'hangs', {}, 0)).toMatchObject(CLEAN);
    expect(await search('asleep-twice', 240, '2.6.31', 'hangs', {}, 0)).toMatchObject({
      failure: { checker: 'hangs' },
    });
  });

  it('is not looked for if hung_task_timeout_secs is 0, and sooner if that is less', async () => {
    for (const kernel of ['2.6.31', '4.12']) {
      const searchWith = (hungTaskTimeoutSecs: number): Promise<ExploreResult> =>
        search('sleeping', 300, kernel, 'hangs', { hungTaskTimeoutSecs });
      expect(await searchWith(0)).toMatchObject(CLEAN);
      expect(await searchWith(30)).toMatchObject(reported('INFO: task thread1:1 blocked for more than 30 seconds.'));
      expect(await searchWith(310)).toMatchObject(CLEAN);
    }
  });

  it('is reported in the words of its kernel, with the locks that lockdep knows of', async () => {
    const log = async (kernel: string, check: string): Promise<string> =>
      (await search('holding', 240, kernel, check)).dmesg.map((line) => line.replace(/^.*CPU\d: /, '')).join('\n');
    const hint = '"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.\n';
    const old = await log('2.6.31', 'hangs,lockdep');
    expect(old).toContain(`INFO: task thread1:1 blocked for more than 120 seconds.\n${hint}`);
    expect(old).toMatch(/\n1 lock held by thread1\/1:\n #0: {2}\(m\)/);
    expect(old).not.toContain('Showing all locks');
    for (const kernel of ['4.10', '4.12']) {
      expect(await log(kernel, 'hangs,lockdep')).toContain('Showing all locks held in the system:');
    }
    const modern = await log('4.12', 'hangs,lockdep');
    expect(modern).toContain(`blocked for more than 120 seconds.\n      Not tainted 4.12 #1\n${hint}`);
    expect(modern).toMatch(/Showing all locks held in the system:\n1 lock held by thread1\/1:\n #0: {2}\(m\)/);
    expect(await log('4.12', 'hangs')).not.toContain('lock held');
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

describe('a CPU that waits for what is on its way', () => {
  it('is not stuck while an interrupt is pending that it can take, or a device has been told to work', async () => {
    for (const id of ['pending', 'rung']) expect(await search(id, 70)).toMatchObject(CLEAN);
  });

  it('is stuck while nobody can answer its call', async () => {
    const message = 'BUG: soft lockup - CPU#1 stuck for 70s! [thread1:1]';
    expect(await search('unanswered', 70, '2.6.31', 'hangs', {}, 0)).toMatchObject(reported(message));
    expect(await search('unanswered', 60, '2.6.31', 'hangs', {}, 0)).toMatchObject(CLEAN);
  });
});

describe('a machine in which nothing can happen any more', () => {
  const stateOf = async (id: string, check: string, kernel = '2.6.31'): Promise<string> => {
    const found = await explore(race(id), { check, kernel, preemptions: 1, keepGoing: true });
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
    expect(await stateOf('masked-for-good', 'hangs', '4.12')).toContain('Watchdog detected hard LOCKUP on cpu 1');
    expect(await stateOf('masked-for-good', 'hangs')).not.toContain('LOCKUP');
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
