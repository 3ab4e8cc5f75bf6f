/** What is said of failures of races about variables of their own: which variable, what was in it, who put it there, and which step broke the rule. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Explanation, explain } from '../../src/explore/explain/explain.js';
import { explore } from '../../src/explore/explore.js';

const folder = mkdtempSync(join(tmpdir(), 'murphy-own-'));

/** The first failure of a race with at most two preemptions, run again and explained. @body: what stands before the race; @spec: of it. */
async function explained(name: string, body: string, spec: string): Promise<Explanation> {
  const file = join(folder, `${name}.mjs`);
  writeFileSync(
    file,
    `import { assert, assertEqual, cpu_relax, race, waitUntil } from 'murphy';\n${body}\nexport default race({ id: '${name}', ${spec} });\n`,
  );
  const found = await explore(file, { preemptions: 2, seconds: 10 });
  expect(found.failure).not.toBeNull();
  const { schedule } = found;
  const again = await explore(file, { strategy: 'replay', schedule, executions: 1, history: true });
  expect([again.traceHash, again.memoryHash]).toEqual([found.traceHash, found.memoryHash]);
  const explanation = explain(again);
  expect(explanation.report.length).toBeLessThan(20);
  return explanation;
}

const ADD = 'const add = (k) => { k.shared.counter++; };';

describe('the explanation of a lock that lets two in (Peterson, the flag raised after the look)', () => {
  const peterson = explained(
    'peterson',
    `const t = (k, me) => {
  k.shared.turn = 1 - me;
  while (k.shared.flag[1 - me] === 1 && k.shared.turn === 1 - me) cpu_relax(k);
  k.shared.flag[me] = 1;
  k.shared.inside++;
  assertEqual(k.shared.inside, 1, 'threads inside');
  k.shared.inside--;
  k.shared.flag[me] = 0;
};`,
    'shared: { flag: [0, 0], turn: 0, inside: 0 }, threads: [t, t]',
  );

  it('names the look that was out of date when its thread went on, what it saw, and who had changed it', async () => {
    expect((await peterson).report).toContain(
      'acted  on flag[1] == 0, read at step 2, CPU0 thread0, in t: CPU1 thread1 has made it 1 at step 6, and CPU0 thread0 went on at step 11',
    );
  });

  it('names the variable that the assertion read, its value, and the step that it has it from', async () => {
    const { report, culprit } = await peterson;
    expect(report).toContain(
      'read   step 14, CPU0 thread0, in t: inside is 2 since step 13, CPU0 thread0, in t (it was 1)',
    );
    expect(culprit).toMatchObject({ kind: 'change', step: 13, cpu: 0, operation: 'store', text: 'inside: 1 -> 2' });
  });

  it('has what was read and written in the columns, short and in full', async () => {
    const { report, trace } = await peterson;
    expect(report.at(-1)).toMatch(/^11-14 +t: flag\[0\] = 1, inside: 1 -> 2 +<== the last change, inside: 1 -> 2$/);
    expect(trace).toContainEqual(expect.stringMatching(/^2 +Load flag\[1\] == 0 {2}t$/));
    const marked = trace.findIndex((line) => line.startsWith('==>'));
    expect(trace[marked - 1]?.trim()).toBe('inside: 1 -> 2');
  });
});

describe('the explanation of an update that is lost', () => {
  it('has all numbers as the race has them', async () => {
    const { report } = await explained(
      'tenth',
      ADD,
      'shared: { counter: 9 }, threads: [add, add], check: (k) => assertEqual(k.shared.counter, 11)',
    );
    const text = report.join('\n');
    expect(text).toMatch(/^loaded step \d+, CPU\d thread\d, in add: 9 from counter$/m);
    expect(text).toMatch(/^change .*: counter: 9 -> 10$/m);
    expect(text).toMatch(/^lost .*: stores 10 to counter over the 10 of CPU\d thread\d, step \d+$/m);
    expect(text).toMatch(/^read {3}afterwards, CPU0 thread0, in check: counter is 10 since step \d+/m);
  });

  it('has one column for twelve threads, so that it can be read', async () => {
    const { report, trace } = await explained(
      'twelve',
      ADD,
      'shared: { counter: 0 }, threads: Array(12).fill(add), check: (k) => assertEqual(k.shared.counter, 12)',
    );
    expect(report.filter((line) => line.length > 125)).toEqual([]);
    expect(report).toContain('steps  context');
    expect(report).toContainEqual(expect.stringMatching(/^35 +CPU2 thread10 +add: counter = 11 {2}<== update lost/));
    expect(trace.filter((line) => line.length > 125)).toEqual([]);
    expect(trace).toContainEqual(expect.stringMatching(/^34 +CPU3 thread11 +Store counter {2}add$/));
  });

  it('of all that were lost is of the variable that the oracle has read', async () => {
    const { report } = await explained(
      'two-variables',
      'const t = (k) => { k.shared.counter++; k.shared.other++; };',
      'shared: { counter: 0, other: 0 }, threads: [t, t], check: (k) => assertEqual(k.shared.counter, 2)',
    );
    expect(report.join('\n')).toMatch(/^lost .* to counter over /m);
  });

  it('is no store of something else to a variable that was only looked at', async () => {
    const { report } = await explained(
      'looked-at',
      `const t = (k, me) => { const before = k.shared.last; k.shared.trace[me] = 1; k.shared.last = me; };`,
      'shared: { last: 7, trace: [0, 0] }, threads: [t, t], check: (k) => assertEqual(k.shared.trace[0], 0)',
    );
    expect(report.join('\n')).not.toContain('update lost');
  });

  it('is told where it is why others wait for ever: a ticket that two have', async () => {
    const { report, culprit } = await explained(
      'ticket',
      `const t = (k) => {
  const mine = k.shared.next;
  k.shared.next = mine + 1;
  waitUntil(k, k.at('owner'), (owner) => owner === mine);
  k.shared.owner = mine + 1;
};`,
      'shared: { next: 0, owner: 0 }, threads: [t, t]',
    );
    const text = report.join('\n');
    expect(text).toMatch(/^CPU\d thread\d, in t: waits for owner, and nobody will change it$/m);
    expect(text).toMatch(/^lost .*: stores 1 to next over the 1 of CPU\d thread\d, step \d+$/m);
    expect(text).toMatch(/^last {3}step \d+, CPU\d thread\d, in t: owner: 0 -> 1$/m);
    expect(culprit).toMatchObject({ kind: 'superseded', operation: 'store' });
  });
});

describe('the explanation of an invariant that does not hold', () => {
  it('names what it has read, since when that is so, and the step that broke it', async () => {
    const { report, culprit } = await explained(
      'money',
      'const t = (k) => { k.shared.mine -= 10; k.shared.yours += 10; };',
      "shared: { mine: 60, yours: 40 }, threads: [t], invariant: (k) => assert(k.shared.mine + k.shared.yours === 100, 'all money')",
    );
    expect(report.slice(1)).toEqual([
      'read   by the invariant after step 2: mine is 50 since step 2, CPU0 thread0, in t (it was 60)',
      'read   by the invariant after step 2: yours is 40, as in the beginning',
      'steps  CPU0 thread0',
      '0-2    t: mine: 60 -> 50  <== breaks the invariant, mine: 60 -> 50',
    ]);
    expect(culprit).toMatchObject({ kind: 'change', step: 2, text: 'mine: 60 -> 50' });
  });
});

describe('the explanation of something that is published before it is there', () => {
  it('tells who stored the pointer, and that what it leads to is as it was in the beginning', async () => {
    const { report } = await explained(
      'publish',
      `const writer = (k) => { k.shared.at = 1; k.shared.slot[1] = 42; };
const reader = (k) => { const at = k.shared.at; if (at >= 0) assertEqual(k.shared.slot[at], 42, 'what it leads to'); };`,
      `shared: { at: -1, slot: [0, 0] },
  threads: [{ run: writer, cpu: 0, name: 'writer' }, { run: reader, cpu: 1, name: 'reader' }]`,
    );
    expect(report).toContain(
      'read   step 3, CPU1 thread1, in reader: at is 1 since step 1, CPU0 thread0, in writer (it was -1)',
    );
    expect(report).toContain('read   step 4, CPU1 thread1, in reader: slot[1] is 0, as in the beginning');
    expect(report).toContainEqual(expect.stringMatching(/^steps +CPU0 thread0 writer +CPU1 thread1 reader$/));
  });
});

describe('the explanation of a wild pointer', () => {
  it('names the variable that it was read from, and who had put it there', async () => {
    const { report } = await explained(
      'wild',
      `const one = (k) => { k.shared.ptr = 0x30000000; k.shared.ptr = 0; };
const other = (k) => { const p = k.shared.ptr; if (p !== 0) k.load32(p + 8); };`,
      'shared: { ptr: 0 }, threads: [one, other]',
    );
    expect(report).toContain(
      'read   step 3, CPU1 thread1, in other: ptr is 0x30000000 since step 1, CPU0 thread0, in one (it was 0)',
    );
  });
});

describe('the explanation of an exchange that succeeds too late (ABA)', () => {
  it('names the look that was out of date, which is not the one that the exchange has compared', async () => {
    const { report } = await explained(
      'aba',
      `import { atomic_cmpxchg } from 'murphy';
const pop = (k) => {
  const head = k.shared.head;
  const next = k.shared.next[head];
  return atomic_cmpxchg(k, k.at('head'), head, next) === head ? head : 0;
};
const again = (k) => {
  const node = pop(k);
  k.shared.popped = pop(k);
  k.shared.next[node] = k.shared.head;
  k.shared.head = node;
};`,
      `shared: { head: 1, next: [0, 2, 3, 0], popped: 0 }, threads: [pop, again],
  check: (k) => { const popped = k.shared.popped; assert(popped === 0 || k.shared.head !== popped, 'in and out'); }`,
    );
    expect(report.join('\n')).toMatch(
      /^acted {2}on next\[1\] == 2, read at step 2, CPU0 thread0, in pop: CPU1 thread1 has made it 3 at step \d+, /m,
    );
  });
});

describe('the explanation of a long execution', () => {
  it('takes no longer than its steps', async () => {
    const { report } = await explained(
      'long',
      'const t = (k) => { for (let i = 0; i < 900; i++) k.shared.list[i & 7] = i; };',
      "shared: { list: [0, 0, 0, 0, 0, 0, 0, 0] }, threads: [t, t], check: (k) => assertEqual(k.shared.list[7], 0, 'the last')",
    );
    expect(report.at(-1)).toMatch(/list\[7\] = 895 {2}<== the last change, list\[7\]: 887 -> 895$/);
  });
});

describe('the explanation of what was read in pieces', () => {
  it('tells who has changed what was read since, and where', async () => {
    const { report } = await explained(
      'pieces',
      `const writer = (k) => { k.shared.a = 1; k.shared.b = 1; };
const reader = (k) => { const a = k.shared.a; assertEqual(k.shared.b, a, 'b'); };`,
      'shared: { a: 0, b: 0 }, threads: [writer, reader]',
    );
    expect(report).toContainEqual(
      expect.stringMatching(
        /^read .*: a is (0, as in the beginning; CPU0 thread0 makes it 1 at step \d+|1 since step 1, .*)$/,
      ),
    );
  });
});

describe('every step in columns', () => {
  it('has a row for each step of one CPU: for being preempted and for having the CPU again, too', async () => {
    const { trace } = await explained(
      'one-cpu',
      ADD,
      'machine: { cpus: 1 }, shared: { counter: 0 }, threads: [add, add], check: (k) => assertEqual(k.shared.counter, 2)',
    );
    const numbers = trace.slice(1).flatMap((line) => /^(\d+) /.exec(line)?.[1] ?? []);
    expect(numbers).toEqual(numbers.map((_, i) => String(i)));
    expect(trace).toContainEqual(expect.stringMatching(/^2 +is to be preempted$/));
    expect(trace).toContainEqual(expect.stringMatching(/^7 +has CPU0 again$/));
  });
});
