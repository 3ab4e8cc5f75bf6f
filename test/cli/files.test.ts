/** Files that a command reads and that are not what they should be: each is refused in one clear line with exit status 2, and nothing is written. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readCheckpoint } from '../../src/explore/checkpoint-file.js';
import { readReplay, writeReplay } from '../../src/explore/replay-file.js';
import { packageRoot } from '../../src/lab/modules.js';
import { murphy } from './real.js';

const folder = mkdtempSync(join(tmpdir(), 'murphy-files-'));
const RACE = join(packageRoot(), 'test', 'explore', 'races', 'two-bugs.ts');
const path = (name: string): string => join(folder, name);

const EXPLORE = ['explore', RACE, '--quiet', '--output', path('unwanted.json')];
/** The commands that read a file, and of which kind it has to be. */
const COMMANDS: Readonly<Record<string, readonly [kind: keyof typeof GOOD, (file: string) => string[]]>> = {
  replay: ['replay', (file) => ['replay', file]],
  minimise: ['replay', (file) => ['minimise', file, '--output', path('unwanted.json')]],
  report: ['replay', (file) => ['report', file, '--output', path('unwanted.html')]],
  '--resume': ['checkpoint', (file) => [...EXPLORE, '--resume', file]],
  merge: ['result', (file) => ['merge', file]],
};

const GOOD = { replay: '', checkpoint: '', result: '' };

beforeAll(async () => {
  const [replay, checkpoint] = [path('good.replay.json'), path('good.checkpoint')];
  const asked = ['explore', RACE, '--quiet', '--json', '--output', replay];
  GOOD.result = (await murphy(...asked, '--checkpoint', checkpoint)).stdout;
  GOOD.replay = readFileSync(replay, 'utf8');
  GOOD.checkpoint = readFileSync(checkpoint, 'utf8');
});

type Text = (good: string) => string | Buffer;
/** The middle digit of a file another one: it is still of the right shape. */
const flipped: Text = (good) => {
  const at = good.slice(0, good.length >> 1).search(/\d[^\d]*$/);
  return `${good.slice(0, at)}${(Number(good[at]) + 1) % 10}${good.slice(at + 1)}`;
};
const without =
  (name: string): Text =>
  (good) =>
    good.replace(`"${name}"`, `"not-${name}"`);

const WRONG: readonly (readonly [what: string, of: readonly string[], text: Text, says: RegExp])[] = [
  ['empty', ['replay', 'checkpoint'], () => '', /it is empty/],
  ['empty', ['result'], () => '\n', /it is empty/],
  ['cut short', ['replay', 'checkpoint', 'result'], (good) => good.slice(0, good.length >> 1), /it is cut short/],
  ['without its end', ['replay', 'checkpoint', 'result'], (good) => good.trimEnd().slice(0, -1), /it is cut short/],
  [
    'without a comma',
    ['replay', 'checkpoint', 'result'],
    (good) => good.replace(',', ' '),
    /it is damaged: it has its end/,
  ],
  ['bytes', ['replay', 'checkpoint', 'result'], () => Buffer.from([0, 255, 27, 91, 50, 74, 10]), /it is no JSON/],
  ['null', ['replay', 'checkpoint'], () => 'null', /some other JSON/],
  ['a list', ['replay', 'checkpoint'], () => '[1, 2]', /some other JSON/],
  ['some other JSON', ['replay', 'checkpoint'], () => '{"hello":"world"}', /some other JSON/],
  ['some other JSON', ['result'], () => '{"hello":"world"}', /at "experiment"/],
  ['a checkpoint', ['replay'], () => GOOD.checkpoint, /it is a checkpoint file/],
  ['a replay file', ['checkpoint'], () => GOOD.replay, /it is a replay file/],
  ['a replay file', ['result'], () => GOOD.replay, /it is a replay file/],
  [
    'of an older version',
    ['replay'],
    (good) => good.replace('"version": 3', '"version": 2'),
    /version 2; this is version 3: record it again/,
  ],
  [
    'of a newer version',
    ['checkpoint'],
    (good) => good.replace('"version":2', '"version":3'),
    /version 3; this is version 2/,
  ],
  ['without a version', ['replay'], without('version'), /is not a replay file: it says no version/],
  ['without a part', ['replay'], without('schedule'), /it is damaged: .*"schedule"/],
  ['without a part', ['checkpoint'], without('strategy'), /it is damaged: .*"content\.search\.strategy"/],
  ['without a part', ['result'], without('search'), /"search"/],
  ['with a digit changed', ['replay', 'checkpoint'], flipped, /it is damaged/],
  [
    'with an unknown machine',
    ['replay'],
    (good) => good.replace('"machine": {', '"machine": {\n"wheels": 4,'),
    /wheels/,
  ],
];

const cases = Object.entries(COMMANDS).flatMap(([command, [kind]]) =>
  WRONG.filter(([, of]) => of.includes(kind)).map(([what, , text, says]) => ({ command, what, text, says })),
);

async function expectRefused(command: string, file: string, says: RegExp): Promise<void> {
  const { status, stdout, stderr } = await murphy(...(COMMANDS[command]![1](file) as string[]));
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^murphy: [^\n]+\n$/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: nothing of the file may move the cursor
  expect(stderr.trimEnd()).not.toMatch(/[\u0000-\u001f]/);
  expect(stderr).toContain(file);
  expect(stderr).toMatch(says);
  expect(existsSync(path('unwanted.json')) || existsSync(path('unwanted.html'))).toBe(false);
}

describe('a file', () => {
  it.each(cases)('that is $what is refused by $command in one line', async ({ command, what, text, says }) => {
    const [kind] = COMMANDS[command]!;
    const file = path(`${kind}-${what.replaceAll(' ', '-')}.json`);
    const wrong = text(GOOD[kind]);
    expect(wrong.toString()).not.toBe(GOOD[kind]);
    writeFileSync(file, wrong);
    await expectRefused(command, file, says);
    expect(readFileSync(file).equals(Buffer.from(wrong as string))).toBe(true);
  });

  /** What reading a text as a file of this kind ends in. */
  const refusal = (kind: 'replay' | 'checkpoint', text: string): string => {
    const file = path(`one-${kind}.json`);
    writeFileSync(file, text);
    try {
      (kind === 'replay' ? readReplay : readCheckpoint)(file);
      return 'taken';
    } catch (error) {
      return (error as Error).message;
    }
  };
  /** Some forty places of a text. */
  const places = (text: string): number[] => Array.from({ length: 40 }, (_, i) => Math.floor((i * text.length) / 40));

  it.each(['replay', 'checkpoint'] as const)('that has lost its end is said to be cut short: a %s', (kind) => {
    for (const length of places(GOOD[kind])) {
      const why = refusal(kind, GOOD[kind].slice(0, length));
      expect([length, why]).toEqual([length, expect.stringMatching(length === 0 ? /it is empty/ : /it is cut short/)]);
    }
  });

  it.each(['replay', 'checkpoint'] as const)('of which one bit is wrong is said to be damaged: a %s', (kind) => {
    const good = GOOD[kind];
    // The path of a race may be mended by hand, and what the file says that it is comes before what it holds.
    const told = good.indexOf(kind === 'replay' ? '"experiment"' : '"checksum"');
    for (const at of places(good).filter((place) => place > told)) {
      const wrong = String.fromCharCode(good.charCodeAt(at) ^ 4);
      const why = refusal(kind, `${good.slice(0, at)}${wrong}${good.slice(at + 1)}`);
      expect([at, good[at], wrong, why]).toEqual([at, good[at], wrong, expect.stringMatching(/it is damaged: /)]);
    }
  });

  it.each(Object.keys(COMMANDS))('that is not there, or a folder, is refused by %s in one line', async (command) => {
    mkdirSync(path('folder'), { recursive: true });
    await expectRefused(command, path('missing.json'), /no replay file at|no checkpoint at|cannot read/);
    await expectRefused(command, path('folder'), /cannot read/);
  });

  it('that is whole is taken by each of them', async () => {
    for (const [command, [kind, argv]] of Object.entries(COMMANDS)) {
      const file = path(`whole-${command}.json`);
      writeFileSync(file, GOOD[kind]);
      const own = argv(file).map((word) => word.replace(path('unwanted'), path(`wanted-${command}`)));
      expect([command, (await murphy(...own)).status]).toEqual([command, 0]);
    }
  });
});

describe('a replay file', () => {
  it('that another programme has laid out anew, or whose path was mended by hand, is as good', async () => {
    const { race, ...rest } = JSON.parse(GOOD.replay) as { race: string };
    const file = path('laid-out.json');
    writeFileSync(file, JSON.stringify({ ...rest, race: RACE }));
    expect(race).not.toBe(RACE);
    expect((await murphy('replay', file)).stdout).toMatch(/^reproduced: report/);
  });

  it('of before a machine had some property has the machine without it', async () => {
    const file = path('older.json');
    const whole = readReplay(path('good.replay.json'));
    const { parameters: _, hz: __, check: ___, ...machine } = whole.machine;
    writeReplay(file, { ...whole, machine });
    expect(JSON.parse(readFileSync(file, 'utf8')).machine.parameters).toBeUndefined();
    expect(readReplay(file).machine).toEqual(whole.machine);
    expect((await murphy('replay', file)).stdout).toMatch(/^reproduced: report/);
  });
});

describe('the exit status of the program', () => {
  it('is 2 for a wrong file in a process of its own, too', () => {
    const file = path('short.json');
    writeFileSync(file, GOOD.replay.slice(0, 40));
    const cli = join(packageRoot(), 'scripts', 'murphy.mjs');
    let status = 0;
    try {
      execFileSync(process.execPath, [cli, 'replay', file], { stdio: 'pipe' });
    } catch (error) {
      status = (error as { status: number }).status;
    }
    expect(status).toBe(2);
  });
});
