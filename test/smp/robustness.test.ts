/**
 * Whatever a user or a race module does wrong ends in a named error or result, within seconds, and leaves the machine fit for the next run;
 * and threads, interrupts and sleepers of one CPU and several do what they do on the machine.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Machine, type RunOptions, type RunResult, UsageError } from '../../src/index.js';
import { isLate, probeModule } from '../../src/lab/module-probe.js';
import { loadRace } from '../../src/lab/modules.js';

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/robustness/${name}.ts`, import.meta.url));
const RECYCLE = '2009-03-kmap-recycle-lost-bytes';
/** What does not end is called so soon; what does gets the time that a busy host takes. */
const HANGS = { watchdogSeconds: 2.5 };

let machine: Machine;
beforeAll(async () => {
  machine = await Machine.boot({ cpus: 2 });
});
afterAll(async () => {
  await machine.close();
});

const run = (name: string, options: RunOptions = {}): Promise<RunResult> =>
  machine.run(fixture(name), { executions: 3, watchdogSeconds: 60, ...options });

/** What a call throws: a UsageError of one line. */
async function refusal(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(UsageError);
  const { message } = error as UsageError;
  expect(message).not.toContain('\n');
  return message;
}

const stateOf = (result: RunResult): string => (result.failure?.state ?? []).join('\n');

/** The machine is as good as new. */
async function expectFit(): Promise<void> {
  const result = await run('counts', { executions: 5 });
  expect(result).toMatchObject({ outcome: 'clean', executions: 5, error: null, interrupted: false });
}

describe('a run that cannot be', () => {
  it.each<[string, RunOptions, RegExp]>([
    ['an unknown experiment', {}, /^unknown experiment "2009-03-kmap-recycle".*did you mean "2009-03-kmap-recycle-/],
    ['an unknown core', { core: 'cortex-a8' }, /^unknown core "cortex-a8" \(did you mean "cortex-a9"\?\)/],
    ['an unknown kernel', { kernel: '9.9' }, /^unknown kernel "9.9"/],
    [
      'an unknown patch',
      { patches: ['kmap-high-got'] },
      /^unknown patch "kmap-high-got" \(did you mean "kmap-high-get"\?/,
    ],
    ['no CPU', { cpus: 0 }, /^a machine has 1 to 8 CPUs, not 0; give --cpus/],
    ['99 CPUs', { cpus: 99 }, /^a machine has 1 to 8 CPUs, not 99; give --cpus/],
    [
      'private VIVT caches on SMP',
      { core: 'arm926', cpus: 2 },
      /^core "arm926" has a private VIVT cache.*use --cpus 1/,
    ],
    [
      'a patch asked for and taken away',
      { patches: ['kmap-high-get', '-kmap-high-get'] },
      /both asked for and taken away/,
    ],
    ['no time', { seconds: 0 }, /^seconds must be a positive number, not 0/],
    ['a seed that is none', { seed: -1 }, /^seed must be a whole number/],
    ['an unknown case', { caseName: 'pined' }, /has no case "pined"; it has "/],
  ])('is refused: %s', async (_, options, message) => {
    const name = Object.keys(options).length === 0 ? '2009-03-kmap-recycle' : RECYCLE;
    expect(await refusal(machine.run(name, options))).toMatch(message);
  });

  it('is refused while the machine runs another one', async () => {
    const first = machine.run(RECYCLE, { seconds: 0.5 });
    expect(await refusal(machine.run(RECYCLE, { seconds: 0.5 }))).toMatch(/running already; boot another one/);
    expect((await first).executions).toBeGreaterThan(0);
  });
});

describe('a race module that is no good', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'murphy-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const written = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };

  it.each<[string, string, string, RegExp]>([
    [
      'TypeScript that does not parse',
      'a.ts',
      'const x: = 1;\n',
      /^race module a.ts does not parse: .*\(line 1\); mend it/,
    ],
    [
      'JavaScript that does not parse',
      'b.mjs',
      'const = 1;\n',
      /^race module b.mjs does not parse: .*; mend it and run again$/,
    ],
    [
      'an import of nothing',
      'c.ts',
      "import './nothing.js';\n",
      /^race module c.ts does not parse: Could not resolve /,
    ],
    [
      'an error while it loads',
      'd.mjs',
      "throw new Error('not today');\n",
      /^race module d.mjs does not load: Error: not today/,
    ],
    [
      'no default export',
      'e.mjs',
      'export const race = {};\n',
      /^race module e.mjs has no race: it must "export default race/,
    ],
    ['a default export that is no race', 'f.mjs', 'export default 42;\n', /^race module f.mjs has no race/],
  ])('is refused: %s', async (_, name, text, message) => {
    expect(await refusal(machine.run(written(name, text)))).toMatch(message);
  });

  it('is refused when loading it ends the process', async () => {
    expect(await refusal(machine.run(written('h.mjs', `process.exit(3); // ${Math.random()}\n`)))).toMatch(
      /^race module h.mjs does not load: it ends its process, with code 3, .*; mend it and run again$/,
    );
  });

  it('is refused when loading it does not end, or waits for ever', async () => {
    const loops = pathToFileURL(written('i.mjs', 'for (;;);\n')).href;
    const waits = pathToFileURL(written('j.mjs', 'await new Promise(() => {});\n')).href;
    expect(await refusal(probeModule(loops, 'i.mjs', { given: 500, slow: 1000, clock: 60_000 }))).toMatch(
      /i.mjs does not load: it is not done after [\d.]+ s/,
    );
    expect(await refusal(probeModule(waits, 'j.mjs'))).toMatch(/j.mjs does not load: it .* waits for what never comes/);
  });

  it.each<[number, number, boolean]>([
    [10_000, 9500, true],
    [10_000, 4000, false],
    [19_000, 4000, false],
    [20_000, 2000, true],
    [30_000, 1000, false],
    [60_000, 0, true],
  ])('has loaded for too long after %i ms, of which it was given %i: %s', (clock, work, late) => {
    expect(isLate(clock, work)).toBe(late);
  });

  it('is loaded once in a worker, and never again while its text is the same', async () => {
    const text = `import { appendFileSync } from 'node:fs';
      import { isMainThread } from 'node:worker_threads';
      appendFileSync(${JSON.stringify(join(folder, 'loads'))}, isMainThread ? 'main ' : 'worker ');
      export default { id: 'k', title: 'k', source: 'k', spec: [], machine: {}, cases: [], threads: [() => {}] };\n`;
    const path = written('k.mjs', text);
    await loadRace(path);
    await loadRace(path);
    const copy = written('k.mjs', `${text}// an edit is another module\n`);
    await loadRace(copy);
    expect(readFileSync(join(folder, 'loads'), 'utf8')).toBe('worker main worker main ');
  });

  it('is refused when there is no such file', async () => {
    expect(await refusal(machine.run(join(folder, 'missing.js')))).toMatch(
      /^no race module at .*missing.js; give the path/,
    );
  });

  it('is refused when race() finds a part missing', async () => {
    const library = new URL('../../dist/src/index.js', import.meta.url).href;
    const module = (body: string): string =>
      written(
        'g.mjs',
        `import { race } from ${JSON.stringify(library)};\nexport default race(${body});\n// ${Math.random()}\n`,
      );
    const base = "id: 'g', title: 'g', source: 'test', spec: [], machine: {}, threads: [() => {}]";
    expect(await refusal(machine.run(module("{ id: 'g' }")))).toMatch(/^race g: threads must be a non-empty list/);
    expect(await refusal(machine.run(module(`{ ${base}, cases: 1 }`)))).toMatch(
      /^race g: cases must be a list; it may be empty/,
    );
    expect(await refusal(machine.run(module(`{ ${base}, chek() {} }`)))).toMatch(
      /^race g: a race has no "chek" \(did you mean "check"\?\); it has id, /,
    );
    expect(await refusal(machine.run(module(`{ ${base}, cases: [], setup: 1 }`)))).toMatch(
      /^race g: setup must be a func/,
    );
    expect(await refusal(machine.run(module(`{ ${base}, cases: [{ name: 'a', outcome: 'fine' }] }`)))).toMatch(
      /^race g: case "a" claims the outcome "fine"; it is one of clean, /,
    );
    expect(await refusal(machine.run(module(`{ ${base}, cases: [], irqs: { 16: () => {} } }`)))).toMatch(
      /lines 0 to 15/,
    );
  });

  it('is refused when its list of threads is none', async () => {
    expect(await refusal(run('throws-in-threads-function'))).toBe(
      'experiment "throws-in-threads-function": threads() threw Error: no list today; mend the module',
    );
  });

  it.each([
    ['setup', 'setup threw TypeError: setup knows no better (throws-in-setup.ts:11:11)'],
    ['thread', 'thread 1 threw RangeError: thread knows no better (throws-in-thread.ts:15:13)'],
    ['check', 'check threw Error: check knows no better (throws-in-check.ts:12:11)'],
  ])('ends the run when it throws in %s, and names the line', async (where, message) => {
    const result = await run(`throws-in-${where}`);
    expect(result.error).toBe(`experiment "throws-in-${where}": ${message}; mend the module`);
    expect(result.interrupted).toBe(true);
    await expectFit();
  });
});

describe('an execution that does not end', () => {
  afterEach(expectFit);

  it('is a hang that names the CPU when a thread loops outside the kernel', async () => {
    const result = await run('loops-in-javascript', HANGS);
    expect(result).toMatchObject({ outcome: 'hang', executions: 1, error: null });
    expect(result.failure?.message).toMatch(/^BUG: soft lockup: CPU1 is stuck for /);
    expect(stateOf(result)).toContain('CPU1: does not reach a scheduling point');
  });

  it('is a hang that shows the functions when a thread polls for ever', async () => {
    const result = await run('loops-in-kernel', HANGS);
    expect(result.outcome).toBe('hang');
    expect(result.failure?.message).toMatch(/^BUG: soft lockup: the execution does not end for /);
    expect(stateOf(result)).toContain('CPU1: backtrace: polls_for_ever');
  });

  it('is a hang that says so when it is setup that loops', async () => {
    const result = await run('loops-in-setup', HANGS);
    expect(result.outcome).toBe('hang');
    expect(result.failure?.message).toMatch(/^BUG: soft lockup: setup does not end for /);
  });

  it('is a hang without waiting for the watchdog when nobody can wake who sleeps', async () => {
    const result = await run('sleeps-for-ever', { executions: 1 });
    expect(result.outcome).toBe('hang');
    expect(result.seconds).toBeLessThan(30);
    expect(stateOf(result)).toContain('thread1 (interrupts on, CPU idle) sleeps and has not been woken');
    expect(result.dmesg.join('\n')).toContain('INFO: no task can run any more: blocked for ever');
  });

  it('is a deadlock when a thread takes a lock twice', async () => {
    const result = await run('self-deadlock', { executions: 1 });
    expect(result.outcome).toBe('deadlock');
    expect(result.seconds).toBeLessThan(30);
    expect(stateOf(result)).toContain('spins on kmap_lock, held by thread0 on CPU0; holds kmap_lock');
  });

  it('is a deadlock that names both locks and holders when two threads take them in opposite order', async () => {
    const result = await run('ab-ba-deadlock', { executions: 1 });
    expect(result.outcome).toBe('deadlock');
    expect(result.seconds).toBeLessThan(30);
    expect(stateOf(result)).toContain(
      'thread0 (interrupts on) spins on pool_lock, held by thread1 on CPU1; holds kmap_lock',
    );
    expect(stateOf(result)).toContain(
      'thread1 (interrupts on) spins on kmap_lock, held by thread0 on CPU0; holds pool_lock',
    );
  });

  it('is called off when the run is aborted, and counts for nothing', async () => {
    const abort = new AbortController();
    const onProgress = (): void => abort.abort();
    const result = await run('slow', { signal: abort.signal, onProgress });
    expect(result.seconds).toBeLessThan(25);
    expect(result).toMatchObject({ interrupted: true, error: null, executions: 0, failure: null });
  });
});

describe('a worker that dies', () => {
  it('in mid-run is named; what was collected is kept, the others stop, and the next run works', async () => {
    const result = await run('worker-exits', { executions: 10 });
    expect(result).toMatchObject({ interrupted: true, executions: 2 });
    expect(result.error).toBe('the worker of CPU 1 (thread 1) died: it exited with code 7');
    await expectFit();
  });

  it('because the machine is closed in mid-run ends the run with an error, not with silence', async () => {
    const other = await Machine.boot({ cpus: 2 });
    const result = await other.run(RECYCLE, {
      seconds: 30,
      onProgress: ({ executions }) => {
        if (executions > 0) void other.close();
      },
    });
    expect(result.interrupted).toBe(true);
    expect(result.error).toMatch(/^the worker of (CPU \d \(thread \d\)|the timer) died: /);
    expect(result.seconds).toBeLessThan(25);
    await other.close();
  });
});

describe('a machine', () => {
  it('returns what it has collected when the run is aborted', async () => {
    const abort = new AbortController();
    const onProgress = ({ executions }: { executions: number }): void => {
      if (executions > 0) abort.abort();
    };
    const result = await machine.run(fixture('counts'), { seconds: 60, signal: abort.signal, onProgress });
    expect(result).toMatchObject({ interrupted: true, outcome: 'clean', error: null });
    expect(result.executions).toBeGreaterThan(0);
    expect(result.seconds).toBeLessThan(25);
  });

  it('runs again and again', async () => {
    for (let i = 1; i <= 20; i++) {
      expect(await run('counts', { executions: i })).toMatchObject({ outcome: 'clean', executions: i });
    }
  });

  it('is not disturbed by another one in the same process', async () => {
    const other = await Machine.boot({ cpus: 2 });
    const [clean, broken] = await Promise.all([
      run('counts', { executions: 200 }),
      other.run(fixture('ab-ba-deadlock'), { executions: 5 }),
    ]);
    expect(clean).toMatchObject({ outcome: 'clean', executions: 200, dmesg: [] });
    expect(broken).toMatchObject({ outcome: 'deadlock', executions: 5 });
    await other.close();
  });
});

describe('what the kernel says', () => {
  it.each<[string, RegExp, RegExp]>([
    [
      'bug',
      /^test.c test_bug: two slots \(00001234\)$/,
      /CPU1: kernel BUG at test.c test_bug: two slots! \(00001234\)$/,
    ],
    [
      'oops',
      /^Unable to handle kernel NULL pointer dereference at virtual address 00000008/,
      /CPU1: Internal error: Oops: 5 \[#1\] PREEMPT SMP$/,
    ],
    ['warn', /^WARNING: at test.c test_warn\(\)$/, /CPU1: WARNING: at test.c test_warn\(\)$/],
  ])('is the outcome %s, with the lines of its log', async (outcome, message, line) => {
    const result = await run('bug-oops-warn', { caseName: outcome });
    expect(result).toMatchObject({ outcome, expected: true, executions: 3 });
    expect(result.failure).toMatchObject({ outcome, cpu: 1, execution: 1 });
    expect(result.failure?.message).toMatch(message);
    expect(result.dmesg.some((l) => line.test(l))).toBe(true);
  });
});

describe('threads and interrupts', () => {
  it('of one CPU take turns by the timer, sleep, wake each other, and are woken from elsewhere', async () => {
    const result = await run('one-cpu', { executions: 20 });
    expect(result.failure).toBeNull();
    expect(result).toMatchObject({ outcome: 'clean', executions: 20 });
    expect(result.cpuStats[0]!.switches).toBeGreaterThan(40);
    expect(result.cpuStats[1]!.interrupts).toBeGreaterThanOrEqual(20);
    expect(result.cpuStats[2]!.interrupts).toBeGreaterThanOrEqual(20);
  });

  it('answer inter-processor calls while they spin, idle or sleep, also during setup and check', async () => {
    const result = await run('call-function', { executions: 10 });
    expect(result.failure).toBeNull();
    expect(result).toMatchObject({ outcome: 'clean', executions: 10 });
    for (const cpu of [1, 2, 3]) expect(result.cpuStats[cpu]!.ipis).toBeGreaterThanOrEqual(70);
  });
});
