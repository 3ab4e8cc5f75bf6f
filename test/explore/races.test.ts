/** Data races in controlled mode: what orders two accesses and what does not, each with the near-miss that has to be silent. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type ExploreOptions, type ExploreResult, explore, replay, toReplay } from '../../src/index.js';
import { packageRoot } from '../../src/lab/modules.js';

const file = fileURLToPath(new URL('../fixtures/races/races.ts', import.meta.url));
const race = (id: string): string => `${file}#${id}`;
const look = (id: string, options: ExploreOptions = {}): Promise<ExploreResult> =>
  explore(race(id), { check: 'races', strategy: 'dpor', ...options });

describe('happens-before in controlled mode', () => {
  it('finds the race of a counter at its first execution, although no increment is lost', async () => {
    const found = await look('plain', { strategy: 'dfs', executions: 1 });
    expect(found).toMatchObject({ outcome: 'report', executions: 1 });
    expect(found.failure?.message).toBe('BUG: KCSAN: data-race in increment / increment');
    expect(found.dmesg.join('\n')).toMatch(
      /write to 0xc00\w+ of 4 bytes by task 0 on cpu 0:\n\S+ +\S+ CPU1: {2}increment\n.*\n.* read to 0xc00\w+ of 4 bytes by task 1 on cpu 1:/,
    );
    expect(found.dmesg.join('\n')).toMatch(/belongs to the variable:\n.* counter\n/);
    const again = await replay(await toReplay(race('plain'), found));
    expect(again).toMatchObject({ reproduced: true, result: { outcome: 'report' } });
  });

  it('says nothing where nobody asks', async () => {
    expect(await explore(race('plain'), { strategy: 'dfs', executions: 1 })).toMatchObject({ outcome: 'clean' });
  });

  it.each([
    ['plain', 'two plain increments'],
    ['one-without-lock', 'one with a lock, one without'],
    ['half-marked', 'a plain store and a marked load'],
    ['same-byte', 'one byte, twice'],
    ['byte-and-word', 'a byte of a word'],
    ['two-read-locks', 'two who share a lock'],
    ['published', 'marked accesses without a barrier'],
    ['one-barrier', 'a barrier on one side'],
    ['counted', 'an atomic operation that orders nothing'],
    ['handler-and-thread', 'a handler and the thread that it interrupts'],
    ['handler-of-another-cpu', 'interrupts masked on another CPU'],
    ['no-preemption-handler', 'the same without CONFIG_PREEMPT'],
    ['no-preemption-apart', 'two CPUs without CONFIG_PREEMPT'],
    ['bottom-half', 'a soft interrupt and the thread that it interrupts'],
    ['called-and-thread', 'a called function and the thread that it interrupts'],
    ['two-tasks', 'two tasks of one CPU'],
    ['trylock-failed', 'a lock that somebody else had'],
    ['awake', 'a wake-up of somebody who is awake'],
    ['after-doorbell', 'a store after the doorbell'],
    ['before-interrupt', 'a load before the interrupt of the device'],
    ['same-owner', 'a device and the thread that has its page'],
  ])('reports %s: %s', async (id) => {
    const found = await look(id);
    expect(found).toMatchObject({ outcome: 'report', error: null });
    expect(found.failure?.message).toMatch(/^BUG: KCSAN: data-race in \w+ \/ \w+$/);
  });

  it.each([
    ['under-lock', 'one lock'],
    ['both-marked', 'marked accesses'],
    ['two-readers', 'loads'],
    ['other-byte', 'two bytes of a word'],
    ['read-and-write-lock', 'a reader and a writer'],
    ['under-mutex', 'a mutex'],
    ['released', 'release and acquire'],
    ['barriers', 'a write and a read barrier'],
    ['returned', 'atomic operations that return what they found'],
    ['counted-between-barriers', 'an atomic operation that orders nothing, with barriers around it'],
    ['compared', 'an exchange that found what it wanted'],
    ['trylock-taken', 'a lock that was free'],
    ['before-and-after', 'setup and check'],
    ['irqs-masked', 'interrupts masked on the CPU of the handler'],
    ['before-raise', 'what came before the interrupt was raised'],
    ['bottom-half-off', 'bottom halves off'],
    ['after-handler', 'a soft interrupt after the handler that raised it'],
    ['preempt-off', 'preemption off'],
    ['no-preemption', 'two tasks of a CPU without CONFIG_PREEMPT'],
    ['no-preemption-yielding', 'the same, which give up the CPU and get it back'],
    ['called-function', 'a function called on all CPUs, before and after'],
    ['woken', 'a wake-up of a sleeper'],
    ['completed', 'a completion'],
    ['raised-here', 'a soft interrupt after the thread that raised it'],
    ['by-register', 'a transfer that a register starts'],
    ['new-owner', 'a device and the next owner of its page'],
    ['transferred', 'a transfer between doorbell and interrupt'],
  ])('is silent about %s: %s', async (id) => {
    expect(await look(id)).toMatchObject({ outcome: 'clean', exhausted: true, error: null });
  });
});

describe('an exchange that does not find what it wants', () => {
  it('orders nothing from 4.x on, and did before', async () => {
    expect(await look('compared-in-vain', { kernel: '2.6.30' })).toMatchObject({ outcome: 'clean', exhausted: true });
    expect(await look('compared-in-vain', { kernel: '4.10' })).toMatchObject({ outcome: 'report', error: null });
    expect(await look('compared', { kernel: '4.10' })).toMatchObject({ outcome: 'clean', exhausted: true });
  });
});

describe('the two accesses of a report', () => {
  it.each([
    ['half-marked', 'write', 'read (marked)'],
    ['marked-store', 'write (marked)', 'read'],
    ['atomic-and-plain', 'read-write (marked)', 'read'],
  ])('are named by what they do, and marked if they are: %s', async (id, one, other) => {
    const text = (await look(id)).dmesg.join('\n');
    const named = [
      ...text.matchAll(/CPU\d: +(\w[\w-]*(?: \(marked\))?) to 0x\w{8} of 4 bytes by task (\d) on cpu \2:/g),
    ];
    expect(named.map(([, what]) => what).sort()).toEqual([one, other].sort());
  });
});

describe('ASSERT_EXCLUSIVE_ in controlled mode', () => {
  it.each([
    ['exclusive-writer', 'a marked store', 'assertsWriter / markedWrite'],
    ['exclusive-writer-counted', 'an atomic operation', 'assertsWriter / thread1'],
    ['exclusive-access', 'a marked load', 'assertsAccess / markedRead'],
    ['exclusive-bits', 'an atomic operation that sets the bit', 'assertsBits / thread1'],
    ['exclusive-bits-stored', 'a store that sets the bit', 'assertsBits / thread1'],
    ['exclusive-scoped', 'a store in the scope, although it is ordered', 'thread0 / toldToWrite'],
    ['exclusive-access-scoped', 'a load in the scope, although it is ordered', 'thread0 / thread1'],
  ])('reports %s: %s', async (id, _, where) => {
    const found = await look(id);
    expect(found).toMatchObject({ outcome: 'report', error: null });
    expect(found.failure?.message).toBe(`BUG: KCSAN: assert: race in ${where}`);
    expect(found.dmesg.join('\n')).toMatch(/assert no (writes|accesses)( \(scoped\))? to 0x\w+ of 4 bytes by task/);
  });

  it.each([
    ['exclusive-writer-read', 'a load'],
    ['exclusive-writer-locked', 'a store under the same lock'],
    ['exclusive-access-locked', 'a load under the same lock'],
    ['exclusive-other-bits', 'an atomic operation that sets another bit'],
    ['exclusive-other-bits-stored', 'a store that sets another bit'],
    ['exclusive-scoped-before', 'a store that is ordered before the scope'],
    ['exclusive-before-handover', 'a store that is ordered after the assertion'],
  ])('is silent about %s: %s', async (id) => {
    expect(await look(id)).toMatchObject({ outcome: 'clean', exhausted: true, error: null });
  });

  it.each(['exclusive-writer', 'exclusive-writer-late', 'exclusive-access', 'exclusive-access-late'])(
    'finds it at the first execution, whichever comes first: %s',
    async (id) => {
      expect(await look(id, { strategy: 'dfs', executions: 1 })).toMatchObject({ outcome: 'report', executions: 1 });
    },
  );

  it('takes no step', async () => {
    const [asserted, alone] = [await look('exclusive-writer-read', { check: '' }), await look('exclusive-writer-read')];
    expect(asserted.points).toBe(alone.points);
  });
});

describe('RCU in controlled mode', () => {
  it.each([
    ['rcu-not-assigned', 'a pointer that is stored without rcu_assign_pointer()'],
    ['rcu-not-synchronised', 'an update without a grace period'],
    ['rcu-no-section', 'a reader outside of any section'],
    ['rcu-freed-at-once', 'an object that is freed under a reader'],
  ])('reports %s: %s', async (id) => {
    expect(await look(id)).toMatchObject({ outcome: 'report', error: null });
  });

  it.each([
    ['rcu-assigned', 'a pointer that is published and followed'],
    ['rcu-synchronised', 'an update after a grace period'],
    ['rcu-section-after', 'a section that begins after a grace period'],
    ['rcu-freed-later', 'an object that waits for its readers'],
  ])('is silent about %s: %s', async (id) => {
    expect(await look(id)).toMatchObject({ outcome: 'clean', exhausted: true, error: null });
  });
});

describe('what KCSAN would report of what is found in controlled mode', () => {
  const by = async (raceRules: string, id: string): Promise<string> => {
    const found = await look(id, { settings: { raceRules } });
    expect(found.error).toBe(null);
    return found.outcome;
  };

  it.each([
    ['plain', 'report', 'a plain load and a store'],
    ['two-stores', 'clean', 'two plain stores'],
    ['half-marked', 'clean', 'a plain store and a marked load'],
    ['same-value', 'clean', 'a store of what was there'],
    ['same-value-rcu', 'report', 'the same in a function of RCU'],
    ['handler-and-thread', 'clean', 'a handler and the thread that it interrupts'],
    ['two-tasks', 'clean', 'two tasks of one CPU'],
    ['after-doorbell', 'clean', 'a plain store and a device'],
    ['before-interrupt', 'report', 'a plain load and a store of a device'],
    ['exclusive-writer', 'report', 'an assertion and a store'],
  ])('%s: %s, with the defaults; all of it when it is strict: %s', async (id, outcome) => {
    expect(await by('kcsan', id)).toBe(outcome);
    expect(await by('kcsan-strict', id)).toBe('report');
    expect(await by('hb', id)).toBe('report');
  });

  it('has no device, only a value that has changed', async () => {
    const found = await look('before-interrupt', { settings: { raceRules: 'kcsan' } });
    expect(found.failure?.message).toMatch(/^BUG: KCSAN: data-race in \w+$/);
    expect(found.dmesg.join('\n')).toMatch(/race at unknown origin, with read to 0x\w+ of 4 bytes by task 0 on cpu 0:/);
  });

  it('is refused by another name', async () => {
    await expect(look('plain', { settings: { raceRules: 'tsan' } })).rejects.toThrow(
      /unknown set of race rules "tsan"/,
    );
  });
});

describe('data races of the kernels', () => {
  const few = (id: string, caseName: string): Promise<ExploreResult> =>
    explore(id, { caseName, check: 'races', strategy: 'dfs', preemptions: 1, executions: 8, keepGoing: true });
  const textOf = (result: ExploreResult): string =>
    result.dmesg.map((line) => line.replace(/^\[.*?\] CPU\d: ?/, '')).join('\n');

  it('reports one kmap_atomic() slot for a thread and an interrupt, and no slots of their own', async () => {
    const found = await few('2009-03-kmap-atomic-irq-wrong-bytes', 'same type');
    expect(textOf(found)).toMatch(
      /data-race in set_pte_ext \/ set_pte_ext\n.*by task 0 on cpu 0:\n set_pte_ext\n kmap_atomic\n.*by interrupt on cpu 0:\n set_pte_ext\n/s,
    );
    const own = await few('2009-03-kmap-atomic-irq-wrong-bytes', 'own type');
    expect(own).toMatchObject({ outcome: 'clean', error: null, dmesg: [] });
  });

  it('reports vfree() of 2.5.53 against vmalloc(): addresses are given away before their entries are cleared', async () => {
    const found = await few('2003-01-vfree-unlink-before-unmap-oops', '2.5.53');
    expect(textOf(found)).toMatch(/data-race in pte_read \/ set_pte_ext\n.* clear_vm_area\n.* map_vm_area\n/s);
    const mended = await few('2003-01-vfree-unlink-before-unmap-oops', '2.6.22');
    expect(mended).toMatchObject({ outcome: 'clean', error: null, dmesg: [] });
  });

  it('is silent about the highmem code with kmap_high_get()', async () => {
    expect(await few('2009-03-kmap-recycle-lost-bytes', 'pinned')).toMatchObject({ outcome: 'clean', error: null });
  });
});

describe('the example of docs/checkers.md', () => {
  it('is reported at its first execution', async () => {
    const page = readFileSync(join(packageRoot(), 'docs', 'checkers.md'), 'utf8');
    const text = /^```ts\n(\/\/ counter\.ts\n.*?)^```$/ms.exec(page)?.[1] ?? '';
    const folder = mkdtempSync(join(tmpdir(), 'murphy-'));
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(packageRoot(), join(folder, 'node_modules', 'murphy'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(folder, 'counter.ts'), text);
    const found = await explore(join(folder, 'counter.ts'), { check: 'races', strategy: 'dfs' });
    rmSync(folder, { recursive: true });
    expect(found).toMatchObject({ outcome: 'report', executions: 1, error: null });
    expect(found.failure?.message).toBe('BUG: KCSAN: data-race in thread0 / thread1');
  });
});
