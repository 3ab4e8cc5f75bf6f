/** Modules of users: with functions that are no plain ones, with races that are wrong, moved away from their replay files, changed while they are searched. */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { explore } from '../../src/explore/explore.js';
import { readReplay, replay, toReplay, writeReplay } from '../../src/explore/replay-file.js';
import { mustBePlain } from '../../src/lab/plain.js';
import { race } from '../../src/lab/race.js';
import { run } from '../../src/lab/run.js';
import { UsageError } from '../../src/shared/errors.js';
import { murphy } from '../cli/real.js';

const folder = mkdtempSync(join(tmpdir(), 'murphy-modules-'));

function written(name: string, body: string): string {
  const file = join(folder, name);
  writeFileSync(file, `import { assertEqual, race } from 'murphy';\n${body}\n`);
  return file;
}

const COUNTER = `const inc = (k) => { k.shared.x++; };
const check = (k) => assertEqual(k.shared.x, 2, 'x');
`;

describe('a function of a race that returns a promise', () => {
  const file = written(
    'asynchronous.mjs',
    `const plain = (k) => { k.shared.x++; k.shared.x++; };
const one = (id, more) => race({ id, shared: { x: 0 }, threads: [plain], ...more });
export const a = one('thread', { threads: [() => Promise.reject(new Error('no'))] });
export const b = one('check', { check: async (k) => {} });
export const c = one('setup', { setup: async (k) => {} });
export const d = one('invariant', { invariant: async (k) => {} });
export const e = one('handler', { threads: [(k) => { k.raise(0, 3); plain(k); }], irqs: { 3: async () => {} } });
export const f = one('device', { devices: [async () => {}] });`,
  );

  it.each([
    ['thread', 'thread 0 is asynchronous'],
    ['check', 'check is asynchronous'],
    ['setup', 'setup is asynchronous'],
    ['invariant', 'invariant (during thread 0) is asynchronous'],
    ['handler', 'interrupt handler 3 on CPU0 (during thread 0) is asynchronous'],
    ['device', 'device 0 is asynchronous'],
  ])('is refused, and nothing clean: %s', async (id, message) => {
    const { error, outcome, exhausted } = await explore(`${file}#${id}`, {});
    expect([error?.split(':')[0], outcome, exhausted]).toEqual([message, 'report', false]);
  });

  it('is refused in parallel mode as well', async () => {
    const { error } = await run(`${file}#check`, { executions: 1 });
    expect(error).toContain('check is asynchronous');
  });

  it('is told from one that returns something else, whatever can be awaited', () => {
    for (const value of [undefined, null, 7, 'then', {}, () => {}]) expect(() => mustBePlain(value)).not.toThrow();
    expect(() => mustBePlain(Promise.reject(new Error('not heard of')))).toThrow(/^is asynchronous/);
    // biome-ignore lint/suspicious/noThenProperty: that is what is tested
    expect(() => mustBePlain({ then: (_: unknown, rejected: () => void) => rejected() })).toThrow(UsageError);
  });
});

describe('a module with races of which one is wrong', () => {
  const file = written(
    'wrong.mjs',
    `${COUNTER}
export const good = race({ id: 'good', shared: { x: 0 }, threads: [inc, inc], check });
export const bad = race({ id: 'bad', shared: { x: 0.5 }, threads: [inc, inc] });`,
  );

  it('has the others all the same', async () => {
    expect(await explore(`${file}#good`, {})).toMatchObject({ outcome: 'report', error: null });
  });

  it('says in a line what is wrong with that one when it is asked for, and names it beside the others', async () => {
    const line = 'race bad: shared variable "x" must hold whole numbers of 32 bits, not 0.5; say 0 or 1 for a flag';
    expect(await murphy('explore', `${file}#bad`)).toEqual({ status: 2, stdout: '', stderr: `murphy: ${line}\n` });
    const { status, stderr } = await murphy('explore', file);
    expect([status, stderr]).toEqual([
      2,
      'murphy: race module wrong.mjs has several races: name one of wrong.mjs#good; not valid, ask for one to see why: bad\n',
    ]);
  });

  it('is listed with the others, with what is wrong', async () => {
    const { status, stdout } = await murphy('list', file);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^good$/m);
    expect(stdout).toContain('bad\n  not valid: race bad: shared variable "x" must hold whole numbers');
    const [bad, good] = (await murphy('list', '--json', file)).stdout
      .trim()
      .split('\n')
      .map((row) => JSON.parse(row));
    expect([good, bad]).toMatchObject([
      { kind: 'race', id: 'good' },
      { kind: 'race', id: 'bad', refused: expect.any(String) },
    ]);
    expect((await murphy('list', `${file}#good`)).stdout).toMatch(/^good\n/);
    expect(await murphy('list', `${file}#ugly`)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('has no race "ugly"; it has wrong.mjs#good'),
    });
    expect(await murphy('list', join(folder, 'nowhere.ts'))).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('no race module at'),
    });
  });

  it('does not keep race() from throwing elsewhere', () => {
    expect(() => race({ id: 'bad', threads: [] })).toThrow(UsageError);
  });
});

describe('a name that is not quite right', () => {
  it('of the library is told with the one that was meant', async () => {
    const file = join(folder, 'imports.mjs');
    writeFileSync(
      file,
      "import { race, spinlock } from 'murphy';\nexport default race({ id: 'a', threads: [() => {}] });\n",
    );
    expect((await murphy('explore', file)).stderr).toBe(
      'murphy: race module imports.mjs does not load: murphy has no export "spinlock" (did you mean "spin_lock"?); mend it and run again\n',
    );
  });
});

describe('a replay file that is not where its module is any more', () => {
  const recorded = async (name: string): Promise<{ module: string; file: string }> => {
    const home = join(folder, name);
    mkdirSync(join(home, 'elsewhere'), { recursive: true });
    const module = written(
      `${name}/race.mjs`,
      `${COUNTER}export default race({ id: 'moved', shared: { x: 0 }, threads: [inc, inc], check });`,
    );
    const file = join(home, 'elsewhere', 'moved.json');
    writeReplay(file, await toReplay(module, await explore(module, {})));
    return { module, file };
  };

  it('finds it beside itself', async () => {
    const { module, file } = await recorded('beside');
    renameSync(module, join(folder, 'beside', 'elsewhere', 'race.mjs'));
    expect(await replay(readReplay(file))).toMatchObject({ reproduced: true, sourceChanged: false });
  });

  it('says where it was looked for and how to name it, and takes the name', async () => {
    const { module, file } = await recorded('away');
    mkdirSync(join(folder, 'other'));
    const other = join(folder, 'other', 'race.mjs');
    renameSync(module, other);
    const { status, stderr } = await murphy('replay', file);
    expect([status, stderr.split('\n').length]).toEqual([2, 2]);
    expect(stderr).toContain(`${file} is of the race "moved", whose module is neither ${module} nor `);
    expect(stderr).toContain('; say where it is: --race PATH');
    const named = await murphy('replay', file, '--race', other);
    expect([named.status, named.stdout.split(':')[0]]).toEqual([0, 'reproduced']);
    const renamed = join(folder, 'other', 'by-another-name.mts');
    renameSync(other, renamed);
    expect(await replay(readReplay(file, renamed))).toMatchObject({ reproduced: true, sourceChanged: false });
    renameSync(renamed, other);
    const wrong = await murphy('replay', file, '--race', written('none.mjs', ''));
    expect(wrong).toMatchObject({ status: 2, stderr: expect.stringContaining('none.mjs has no race') });
  });
});

describe('a module that does not load any more when its search ends', () => {
  /** A race, and a strategy that breaks its module while it searches. */
  const breaking = (name: string): string[] => {
    const race = written(
      name,
      `${COUNTER}export default race({ id: 'broken', shared: { x: 0 }, threads: [inc, inc], check });`,
    );
    const strategy = join(folder, `breaks-${name}`);
    writeFileSync(
      strategy,
      `import { writeFileSync } from 'node:fs';
export default () => ({
  name: 'breaks',
  begin: () => { writeFileSync(${JSON.stringify(race)}, 'export default race({'); return 0; },
  choose: (_, { step, choices, count }) => choices[step % count],
  end: () => true,
});`,
    );
    return ['explore', race, '--strategy', strategy, '--executions', '20', '--output', join(folder, `${name}.json`)];
  };
  const WHY = 'not replayed, and so not explained: race module broken.mjs does not parse';

  it('loses nothing that was found', async () => {
    const argv = breaking('broken.mjs');
    const { status, stdout } = await murphy(...argv, '--quiet');
    expect(status).toBe(1);
    expect(stdout).toContain('report: x: expected 2, saw 1');
    expect(stdout).toContain(WHY);
    expect(readFileSync(argv.at(-1) as string, 'utf8')).toContain('"message": "x: expected 2, saw 1"');
  });

  it('has its result for machines, too', async () => {
    const { status, stdout } = await murphy(...breaking('broken.mjs'), '--json', '--quiet');
    expect([status, JSON.parse(stdout).failures]).toEqual([
      1,
      [expect.not.objectContaining({ reproduced: expect.anything() })],
    ]);
    expect((await murphy(...breaking('broken.mjs'), '--ktap', '--quiet')).stdout).toContain(`  # ${WHY}`);
  });
});
