/** What is said of a failure, of a replay that goes another way, and of options and files that are wrong. */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { StopSignal } from '../../src/cli/host.js';
import { main } from '../../src/cli/main.js';
import { explain } from '../../src/explore/explain/explain.js';
import { type ExploreOptions, explore } from '../../src/explore/explore.js';
import { readReplay, replay, toReplay, writeReplay } from '../../src/explore/replay-file.js';
import { searchFailure } from '../../src/explore/search.js';
import { run } from '../../src/lab/run.js';
import { StuckError } from '../../src/shared/errors.js';
import { murphy, RealHost } from '../cli/real.js';

const folder = mkdtempSync(join(tmpdir(), 'murphy-said-'));

function written(name: string, body: string): string {
  const file = join(folder, name);
  writeFileSync(
    file,
    `import { assertEqual, cpu_relax, race, spin_lock, spin_unlock } from 'murphy';\nexport default race({\n${body}\n});\n`,
  );
  return file;
}

/** As if the user had pressed Ctrl-C, or a system had asked for the end, as soon as anybody listens. */
class HastyHost extends RealHost {
  override onSignal(signal: StopSignal, handler: () => void): void {
    super.onSignal(signal, handler);
    if (signal === 'SIGTERM') handler();
  }
}

const counter = (name: string, add = 'k.shared.x++;'): string =>
  written(
    name,
    `id: 'counter', shared: { x: 0, y: 0 }, threads: [inc, inc], check: (k) => assertEqual(k.shared.x, 2, 'x') });
function inc(k) {
  ${add}
}
void ({`,
  );

async function recordedCounter(name: string): Promise<string> {
  const race = counter(name);
  const file = join(folder, `${name}.json`);
  writeReplay(file, await toReplay(race, await explore(race, {})));
  return file;
}

describe('the explanation of a lost update', () => {
  it('names the store that was overwritten, by whom, with both values', async () => {
    const found = await explore(counter('lost.mjs'), {});
    const again = await explore(join(folder, 'lost.mjs'), {
      ...{ strategy: 'replay', schedule: found.schedule, executions: 1, history: true },
    });
    const { report, culprit } = explain(again);
    const text = report.join('\n');
    expect(text).toMatch(/loaded step 1, CPU0 thread0, in inc: 0 from x\n/);
    expect(text).toMatch(/change step 4, CPU1 thread1, in inc: x: 0 -> 1\n/);
    expect(text).toMatch(/lost {3}step 5, CPU0 thread0, in inc: stores 1 to x over the 1 of CPU1 thread1, step 4\n/);
    expect(text).toMatch(/<== update lost: stores 1 over the 1 of CPU1 thread1, step 4$/m);
    expect(culprit).toMatchObject({ kind: 'superseded', step: 5, cpu: 0, operation: 'store' });
  });
});

describe('a replay that goes another way', () => {
  it.each([
    [
      'does another step',
      'k.shared.y = 1; k.shared.x++;',
      /^diverged at step 1: thread0 does Store .*, which is not what was recorded$/m,
    ],
    ['ends earlier', '', /^diverged at step 1: thread1 does Sched .*, which is not what was recorded$/m],
    ['goes on for longer', 'k.shared.x++; k.shared.y = k.shared.x;', /^diverged at step \d+: thread\d does /m],
  ])('says where it diverged, when it %s, and that the race has changed', async (name, add, message) => {
    const file = `${name.replaceAll(' ', '-')}.mjs`;
    const recorded = await recordedCounter(file);
    counter(file, add);
    // Modules stay loaded in a process: the changed one is a file of another name.
    const other = counter(`changed-${file}`, add);
    const data = readReplay(recorded);
    writeReplay(recorded, { ...data, race: other });
    const { status, stdout } = await murphy('replay', recorded);
    expect(status).toBe(1);
    expect(stdout).toContain('the race, or a module that it imports, has changed since this was recorded');
    expect(stdout).toMatch(message);
    const json = JSON.parse((await murphy('replay', recorded, '--json')).stdout);
    expect(json).toMatchObject({ reproduced: false, sourceChanged: true, divergence: { step: expect.any(Number) } });
  });

  it('is not taken for reproduced when only the message is another, which it shows', async () => {
    const recorded = await recordedCounter('message.mjs');
    writeReplay(recorded, { ...readReplay(recorded), message: 'x: expected 3, saw 1' });
    const { status, stdout } = await murphy('replay', recorded);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^not reproduced: report, trace /m);
    expect(stdout).toContain(
      '\n  the outcome is the same, and its message another: it was "x: expected 3, saw 1", and is "x: expected 2, saw 1"\n',
    );
    expect(stdout).not.toContain('diverged');
  });

  it('is not said to have diverged when it has not', async () => {
    const recorded = readReplay(await recordedCounter('same.mjs'));
    expect(await replay(recorded)).toMatchObject({ reproduced: true, divergence: null });
  });

  it('says nothing of steps that a file of before does not have', async () => {
    const { trace: _, ...before } = readReplay(await recordedCounter('before.mjs'));
    expect(await replay(before)).toMatchObject({ reproduced: true, divergence: null });
  });
});

describe('a command that is stopped before it has anything to say', () => {
  it.each([
    ['explore', 'before the first execution: nothing has been explored'],
    ['explore --json', 'before the first execution: nothing has been explored'],
    ['explore --jobs 2', 'before the first execution: nothing has been explored'],
    ['run', 'before the first result'],
  ])('says so, and does not end as if all was well: %s', async (command, when) => {
    const host = new HastyHost();
    const [name = '', ...options] = command.split(' ');
    const status = await main([name, counter('stopped.mjs'), '--quiet', ...options], host);
    expect([status, host.stdout.text]).toEqual([143, '']);
    expect(host.stderr.lines.at(-1)).toBe(`murphy: interrupted ${when}`);
  });

  it('is no result as claimed', async () => {
    const stopped = await explore(counter('stopped.mjs'), { signal: AbortSignal.abort() });
    expect(stopped).toMatchObject({ executions: 0, interrupted: true, expected: false });
  });
});

describe('minimise', () => {
  it('keeps what it has when it is stopped, and says that there may be less', async () => {
    const host = new HastyHost();
    const status = await main(['minimise', await recordedCounter('stopped-minimise.mjs')], host);
    expect(status).toBe(143);
    expect(host.stdout.text).toMatch(/^before: .*; now: .*, interrupted: stopped-minimise/);
  });

  it('says that the race has changed since its failure was recorded', async () => {
    const recorded = await recordedCounter('minimised.mjs');
    writeReplay(recorded, {
      ...readReplay(recorded),
      race: counter('other.mjs', 'const x = k.shared.x; k.shared.x = x + 1;'),
    });
    const { status, stdout } = await murphy('minimise', recorded, '--output', join(folder, 'smaller.json'));
    expect(status).toBe(0);
    expect(stdout).toContain('the race, or a module that it imports, has changed since this was recorded\n');
  });
});

/** A race that fails each time, and does one more step from each execution to the next, but for the first @times in a worker. */
const fickle = (name: string, times: number): string =>
  written(
    name,
    `id: 'fickle', shared: { x: 0, y: 0 }, threads: [inc, inc], check: (k) => assertEqual(k.shared.x, 0, 'x') });
let executions = 0;
function inc(k) {
  for (let n = ++executions; n > ${times}; n--) k.shared.y++;
  k.shared.x++;
}
void ({`,
  );
const FICKLE = /diverged at step \d+: .*; the race does not do the same each time: keep Math.random\(\)/;

describe('a race that does not do the same each time', () => {
  it('is said to give no proof when its failure is explained', async () => {
    const output = join(folder, 'fickle.json');
    const asked = ['--quiet', '--output', output];
    const { stdout } = await murphy('explore', fickle('fickle.mjs', 1), ...asked);
    const line = stdout.split('\n').find((text) => text.startsWith('not reproduced by its own schedule')) ?? '';
    expect(line).toMatch(FICKLE);
    expect(line).toContain('and so no proof');
    const json = await murphy('explore', fickle('fickle-json.mjs', 1), '--json', ...asked);
    expect(JSON.parse(json.stdout)).toMatchObject({
      culprit: null,
      failures: [{ outcome: 'report', reproduced: false }],
    });
    const same = await murphy('explore', fickle('not-fickle.mjs', 1000), '--json', ...asked);
    expect(JSON.parse(same.stdout).failures).toMatchObject([{ reproduced: true }]);
    expect((await murphy('explore', join(folder, 'not-fickle.mjs'), ...asked)).stdout).not.toContain('proof');
  });

  it('is said to give no proof in KTAP, by a report, and by the explanation of a run', async () => {
    const file = join(folder, 'doubtful.json');
    const ktap = await murphy('explore', fickle('fickle-ktap.mjs', 1), '--ktap', '--quiet', '--output', file);
    expect(ktap.stdout).toMatch(/^ {2}# not reproduced by its own schedule, and so no proof: diverged /m);
    const { status, stderr } = await murphy(
      'report',
      file,
      '--format',
      'ftrace',
      '--output',
      join(folder, 'shown.txt'),
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(FICKLE);
    expect(stderr).toMatch(
      /^murphy: not reproduced, and so no proof: .* what is shown is what the schedule does now\n$/,
    );
    const race = fickle('fickle-run.mjs', 1);
    const { replay, lines } = await searchFailure(race, await run(race, { executions: 3 }));
    expect([replay, lines]).toEqual([
      null,
      [expect.stringMatching(/not reproduced by its own schedule, and so no proof/)],
    ]);
  });

  it.each([
    ['at once', 1],
    ['in the end', 2],
  ])('is not minimised, and its file left as it is, when that shows %s', async (_, times) => {
    const [race, file] = [fickle(`fickle-${times}.mjs`, times), join(folder, `fickle-${times}.json`)];
    writeReplay(file, await toReplay(race, await explore(race, {})));
    const before = readFileSync(file, 'utf8');
    const { status, stdout } = await murphy('minimise', file);
    expect([status, stdout.trimEnd().split('\n')]).toEqual([1, [expect.stringMatching(FICKLE)]]);
    expect(stdout).toContain(`fickle-${times}.json is left as it is: `);
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  it('is not minimised when it has changed so that it does other steps', async () => {
    const recorded = await recordedCounter('steps.mjs');
    writeReplay(recorded, { ...readReplay(recorded), race: counter('other-steps.mjs', 'k.shared.y++; k.shared.x++;') });
    const output = join(folder, 'no-output.json');
    const { status, stdout } = await murphy('minimise', recorded, '--output', output);
    expect([status, existsSync(output)]).toEqual([1, false]);
    expect(stdout).toMatch(
      /^not reproduced, .*; the race has changed since this was recorded: record the failure again\n$/,
    );
  });
});

describe('a file', () => {
  it('with a key that is not known is refused in a line that names it: a replay file', async () => {
    const file = await recordedCounter('key.mjs');
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), colour: 'red' }));
    const { status, stderr } = await murphy('replay', file);
    expect([status, stderr]).toEqual([
      2,
      `murphy: ${file} is not a replay file: it is damaged: unknown key "colour"; record the failure again\n`,
    ]);
  });

  it('that is a replay file is no result to merge', async () => {
    const file = await recordedCounter('merged.mjs');
    const { status, stderr } = await murphy('merge', file);
    expect([status, stderr]).toEqual([
      2,
      `murphy: ${file} has no result of "explore --json": it is a replay file; explore that shard again\n`,
    ]);
  });

  it('with a key that is not known is refused in a line that names it: a checkpoint', async () => {
    const [file, race] = [join(folder, 'checkpoint.json'), counter('checkpoint.mjs')];
    await murphy('explore', race, '--checkpoint', file, '--quiet', '--output', join(folder, 'c.json'));
    const data = JSON.parse(readFileSync(file, 'utf8'));
    for (const [changed, what] of [
      [{ ...data, colour: 'red' }, 'unknown key "colour"'],
      [
        { ...data, content: { ...data.content, search: { ...data.content.search, colour: 1 } } },
        'unknown key "colour" at "content.search"',
      ],
      [{ ...data, version: undefined }, 'it says no version'],
    ] as const) {
      writeFileSync(file, JSON.stringify(changed));
      const { status, stderr } = await murphy('explore', race, '--resume', file, '--quiet');
      // Written in another form than ours, its content has another checksum.
      expect([status, stderr.replace('it is damaged: ', '')]).toEqual([
        2,
        `murphy: ${file} is not a checkpoint: ${what}; begin again without --resume\n`,
      ]);
    }
  });
});

describe('an option', () => {
  it.each<[ExploreOptions, string]>([
    [{ strategy: 'dfs', depth: 4 }, 'depth does nothing with strategy "dfs"; it is for pct'],
    [{ strategy: 'random', depth: 4 }, 'depth does nothing with strategy "random"; it is for pct'],
    [{ strategy: 'dpor', states: true }, 'states does nothing with strategy "dpor"; it is for dfs'],
    [{ strategy: 'pos', shuffle: true }, 'shuffle does nothing with strategy "pos"; it is for dfs and dpor'],
    [
      { strategy: 'dpor', preemptions: 1 },
      'a bound of preemptions does nothing with strategy "dpor"; it is for dfs and random',
    ],
  ])('that the strategy does not look at is refused: %o', async (options, message) => {
    await expect(explore(counter('options.mjs'), options)).rejects.toThrow(message);
  });

  it('--output that names a folder that there is not is refused before the search', async () => {
    const [log, output] = [join(folder, 'never.log'), join(folder, 'nowhere', 'x.json')];
    const { status, stderr } = await murphy('explore', counter('output.mjs'), '--log', log, '--output', output);
    expect([status, existsSync(log)]).toEqual([2, false]);
    expect(stderr).toMatch(/^murphy: --output .*: there is no folder .*nowhere; make it, or give another path\n$/);
  });

  it.each([
    ['--output', 'no replay file'],
    ['--log', 'no log of executions'],
  ])("%s does not write over a file of the user's", async (option, what) => {
    const race = counter('kept.mjs');
    const before = readFileSync(race, 'utf8');
    const { status, stderr } = await murphy('explore', race, option, race);
    expect([status, stderr]).toEqual([
      2,
      `murphy: ${option} ${race}: there is another file, which is ${what}; give another path\n`,
    ]);
    expect(readFileSync(race, 'utf8')).toBe(before);
  });

  it('--output and --junit that name a folder are refused before the search', async () => {
    for (const option of ['--output', '--junit']) {
      const { status, stderr } = await murphy('explore', counter('folder.mjs'), option, folder);
      expect([status, stderr]).toEqual([2, `murphy: ${option} ${folder}: that is a folder; give the path of a file\n`]);
    }
  });

  it.each([
    [['--strategy', 'replay'], /^murphy: --strategy replay: a recorded schedule is run again by "replay FILE"; /],
    [['--checkpoint-every', '5'], /^murphy: --checkpoint-every belongs to --checkpoint FILE or --resume FILE: /],
  ])('that would not do what it seems to is refused: %s', async (options, message) => {
    const { status, stderr } = await murphy('explore', counter('seems.mjs'), ...options);
    expect([status, stderr]).toEqual([2, expect.stringMatching(message)]);
  });

  it('--shard says what a part of how many is', async () => {
    const { status, stderr } = await murphy('explore', counter('shard.mjs'), '--shard', '3/2');
    expect(status).toBe(2);
    expect(stderr).toBe(
      'murphy: --shard "3/2": give i/n with i from 1 to n, and n at most 10000: 1/4 is the first of four parts\n',
    );
  });

  it('of which there is one is named in the singular', async () => {
    const race = written('one.mjs', "id: 'one', machine: { cpus: 1 }, threads: [(k) => k.barrier]");
    const { stdout } = await murphy('explore', race, '--quiet');
    expect(stdout).toMatch(/ 1 CPU, dfs: 1 execution in /);
  });
});

describe('an exception that is no failure of the kernel', () => {
  it.each([
    [
      'invariant',
      "invariant: (k) => { if (k.shared.x === 2) throw new Error('no'); }",
      /^invariant \(during thread 1\) threw Error: no \(/,
    ],
    [
      'interrupt handler',
      "irqs: { 3() { throw new Error('no'); } }",
      /^interrupt handler 3 on CPU1 \(during thread 1\) threw Error: no \(/,
    ],
    ['thread', '', /^thread 1 threw Error: no \(/],
  ])('is blamed on where it comes from: %s', async (name, part, message) => {
    const race = written(
      `${name.replace(' ', '-')}-throws.mjs`,
      `id: 'throws', shared: { x: 0 }, ${part === '' ? '' : `${part},`}
threads: [(k) => { k.raise(1, 3); }, (k) => { k.shared.x = 2; k.shared.x = 3; ${part === '' ? "throw new Error('no');" : ''} }], ${part.startsWith('irqs') ? '' : 'irqs: { 3() {} }'}`,
    );
    expect((await explore(race, {})).error).toMatch(message);
  });
});

describe('a thread that cannot be searched', () => {
  it('is refused when it is an async function', async () => {
    const race = written(
      'async.mjs',
      `id: 'async', shared: { x: 0 }, threads: [async (k) => { k.shared.x++; await 1; k.shared.x++; }]`,
    );
    expect((await explore(race, {})).error).toMatch(/^thread 0 is asynchronous: .*make it a plain function/);
  });

  it('is refused when it reads the clock where steps of others are left out of account', async () => {
    const race = written(
      'clock.mjs',
      `id: 'clock', shared: { a: 0, o: 0 }, threads: [
(k) => { const t = k.clock(); k.shared.o = k.clock() - t; }, (k) => { k.shared.a = 1; }]`,
    );
    const refused = /^thread 0 threw UsageError: k\.clock\(\) counts the steps of everybody/;
    expect((await explore(race, { strategy: 'dpor' })).error).toMatch(refused);
    expect((await explore(race, { strategy: 'dfs', states: true })).error).toMatch(refused);
    expect((await explore(race, { strategy: 'dfs' })).exhausted).toBe(true);
  });
});

describe('a hang', () => {
  it('names the device that waits', async () => {
    const race = written(
      'device.mjs',
      `id: 'device', shared: { done: 0 }, devices: [(d) => d.waitDoorbell()],
threads: [(k) => { while (k.shared.done === 0) cpu_relax(k); }]`,
    );
    const found = await explore(race, {});
    expect(found.failure?.state).toContain('device0: waits for its doorbell');
    const again = await explore(race, { strategy: 'replay', schedule: found.schedule, executions: 1, history: true });
    expect(explain(again).report).toContain('device0: waits for its doorbell');
  });

  it('is what a loop of cpu_relax() is that reads nothing', async () => {
    const race = written('relax.mjs', "id: 'relax', threads: [(k) => { for (;;) cpu_relax(k); }], stepsMax: 200");
    const { outcome, failure } = await explore(race, {});
    expect([outcome, failure?.message]).toEqual(['hang', 'livelock: no end after 200 steps']);
  });
});

describe('what loops for ever', { timeout: 120_000 }, () => {
  const PARTS = [
    ['setup', 'setup() { for (;;); }', 'setup has not come to its end for 5 s: it loops for ever'],
    ['check', 'check() { for (;;); }', 'check has not come to its end for 5 s: it loops for ever'],
    [
      'invariant',
      'invariant(k) { while (k.shared.x === 1); }',
      'the invariant (during thread 0) has not come to its end for 5 s: it loops for ever',
    ],
    [
      'handler',
      'irqs: { 3() { for (;;); } }',
      'an interrupt handler on CPU0, in thread 0 makes no step for 5 s: an endless loop without a scheduling point',
    ],
    [
      'device',
      'devices: [() => { for (;;); }]',
      'device 0 makes no step for 5 s: an endless loop without a scheduling point',
    ],
  ] as const;
  // Each takes the five seconds of the watchdog: the long run has all.
  const short = PARTS.filter(([name]) => name === 'check');
  it.each(process.env.MURPHY_LONG === undefined ? short : PARTS)('is named: %s', async (name, part, message) => {
    const raise = name === 'handler' ? 'k.raise(0, 3);' : '';
    const threads = `threads: [(k) => { ${raise} k.shared.x = 1; k.shared.x = 2; }]`;
    const race = written(`endless-${name}.mjs`, `id: 'endless', shared: { x: 0 }, ${threads}, ${part}`);
    const error: unknown = await explore(race, {}).catch((reason: unknown) => reason);
    // Others can be run: `matrix` goes on.
    expect(error).toBeInstanceOf(StuckError);
    expect(String(error)).toContain(message);
  });
});

describe('a deadlock of functions without a name', () => {
  it('is told of both threads in the same form', async () => {
    const race = written(
      'nameless.mjs',
      `id: 'nameless', locks: ['a', 'b'], threads: [
(k) => take(k, k.locks.a, k.locks.b), (k) => take(k, k.locks.b, k.locks.a)] });
function take(k, one, other) { spin_lock(k, one); spin_lock(k, other); spin_unlock(k, other); spin_unlock(k, one); }
void ({`,
    );
    const { schedule } = await explore(race, {});
    const again = await explore(race, { strategy: 'replay', schedule, executions: 1, history: true });
    expect(explain(again).report.slice(2, 4)).toEqual([
      'CPU0 thread0, in take < thread0: spins on b, held by CPU1 thread1 (taken at step 3 in take < thread1)',
      'CPU1 thread1, in take < thread1: spins on a, held by CPU0 thread0 (taken at step 1 in take < thread0)',
    ]);
  });
});

describe('a lost update of functions without a name', () => {
  it('is not told as if they had not begun', async () => {
    const race = written(
      'nameless-update.mjs',
      `id: 'nameless', shared: { x: 0 }, threads: [(k) => { k.shared.x++; }, (k) => { k.shared.x++; }],
check: (k) => assertEqual(k.shared.x, 2)`,
    );
    const { schedule } = await explore(race, {});
    const again = await explore(race, { strategy: 'replay', schedule, executions: 1, history: true });
    expect(explain(again).report.slice(1, 3)).toEqual([
      'loaded step 1, CPU0 thread0, in thread0: 0 from x',
      'change step 4, CPU1 thread1, in thread1: x: 0 -> 1',
    ]);
  });
});

describe('the functions that a report names', () => {
  it('are named as in the source, and those without a name as their thread, not by what stands around them', async () => {
    const file = written(
      'named-functions.mjs',
      `id: 'one', shared: { a: 0 }, threads: [function drv(k) { k.shared.a = 1; }, function reader(k) { k.shared.a; }] });
const two = (id, threads, more) => race({ id, threads, ...more });
export const second = two('two', [(k) => { k.shared.a; }, function drv(k) { k.shared.a = 1; }], { shared: { a: 0 } });
void ({`,
    );
    const said = async (id: string) => (await explore(`${file}#${id}`, { check: 'all' })).failure?.message;
    expect(await said('one')).toBe('BUG: KCSAN: data-race in drv / reader');
    expect(await said('two')).toBe('BUG: KCSAN: data-race in drv / thread0');
  });

  it('of an interrupt handler without a name are not those of the thread that it interrupts', async () => {
    const file = written(
      'nameless-handler.mjs',
      `id: 'handler', machine: { cpus: 1 }, shared: { a: 0 }, irqs: { 3: (k) => { k.shared.a = 1; } },
threads: [(k) => { k.raise(0, 3); k.shared.a; k.shared.a; }]`,
    );
    const { failure } = await explore(file, { check: 'races' });
    expect(failure?.message).toBe('BUG: KCSAN: data-race in irq0 / thread0');
  });
});

describe('a module whose thread throws', () => {
  it.each([1, 2])('is nothing clean, as expected or exhausted, in %i jobs', async (jobs) => {
    const file = written(
      `throws-${jobs}.mjs`,
      `id: 'throws', cases: [{ name: 'x', outcome: 'clean' }], threads: [() => { throw new TypeError('boo'); }]`,
    );
    const result = await explore(file, { jobs });
    expect(result).toMatchObject({ outcome: 'report', expected: false, exhausted: false, failure: null });
    expect(result.error).toContain('thread 0 threw TypeError: boo');
  });

  it('is no result beside "clean" in KTAP', async () => {
    const file = written('throws.mjs', `id: 'throws', threads: [() => { throw new TypeError('boo'); }]`);
    const { stdout, status } = await murphy('explore', file, '--ktap');
    expect(stdout).toMatch(/\n {2}not ok 1 .* # ERROR thread 0 threw.*\nnot ok 1 throws\n/);
    expect(stdout).toMatch(/\n {2}# error; /);
    expect(stdout).not.toContain('clean');
    expect(status).toBe(2);
  });
});

describe('a thread that has not made a step', () => {
  it('is not said to run', async () => {
    const race = written(
      'idle.mjs',
      "id: 'idle', threads: [(k) => { for (;;) cpu_relax(k); }, () => {}], stepsMax: 50",
    );
    expect((await explore(race, {})).failure?.state).toEqual([
      'CPU0: thread0 (interrupts on) runs; holds no lock',
      'CPU1: thread1 (interrupts on) has not begun; holds no lock',
    ]);
  });
});

describe('a strategy of the user that comes to its end', () => {
  const strategy = (name: string, more: string): string => {
    const file = join(folder, `${name}.mjs`);
    writeFileSync(
      file,
      `export default () => ({ name: 'own', begin: () => 0, choose: (_, s) => s.choices[0], end: () => false, ${more} });\n`,
    );
    return file;
  };

  it('has exhausted nothing, unless it says so', async () => {
    const race = written('fine.mjs', "id: 'fine', shared: { x: 0 }, threads: [(k) => k.shared.x, (k) => k.shared.x]");
    const [few, all] = [strategy('few', ''), strategy('all', 'exhausts: true')];
    const results = [await explore(race, { strategy: few }), await explore(race, { strategy: all })];
    expect(results.map((r) => [r.executions, r.exhausted, r.error])).toEqual([
      [1, false, null],
      [1, true, null],
    ]);
  });
});
