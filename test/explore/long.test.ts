/** Explorations that are interrupted, continued, and divided: together they explore what one exploration would. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { main } from '../../src/cli/main.js';
import { readCheckpoint } from '../../src/explore/checkpoint-file.js';
import { type ExploreOptions, explore } from '../../src/explore/explore.js';
import type { Standing } from '../../src/explore/standing.js';
import { builtFile, packageRoot } from '../../src/lab/modules.js';
import { murphy, RealHost } from '../cli/real.js';

const folder = mkdtempSync(join(tmpdir(), 'murphy-long-'));
const race = (name: string): string => join(packageRoot(), 'test', 'explore', 'races', `${name}.ts`);
let files = 0;
const fresh = (kind: string): string => join(folder, `${++files}.${kind}`);

/** The executions of a log: hashes of their traces, each with its outcome. */
const logged = (file: string): string[] =>
  existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1).sort() : [];

/** Explore in a process of its own, which is killed for good as soon as its checkpoint holds some executions. */
async function exploreAndKill(checkpoint: string, argv: readonly string[]): Promise<NodeJS.Signals | null> {
  const program = fresh('mjs');
  const url = pathToFileURL(builtFile('src', 'cli', 'main.js')).href;
  writeFileSync(
    program,
    `import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const rename = fs.renameSync;
fs.renameSync = (from, to) => {
  rename(from, to);
  if (to !== ${JSON.stringify(checkpoint)}) return;
  const [part] = JSON.parse(fs.readFileSync(to, 'utf8')).content.parts;
  if (part?.begun > 0) process.kill(process.pid, 'SIGKILL');
};
syncBuiltinESMExports();
const { main } = await import('${url}');
await main(${JSON.stringify(argv)});
`,
  );
  const child = spawn(process.execPath, [program], { stdio: 'ignore' });
  return await new Promise<NodeJS.Signals | null>((done) => child.on('exit', (_, signal) => done(signal)));
}

const LONG = process.env.MURPHY_LONG !== undefined;

const WRITERS = race('writers');
const UNLOCKED = [race('counter'), '--no-patch', 'kmap-high-get'];
const SEARCHES: readonly (readonly [what: string, argv: readonly string[], compared: readonly string[]])[] = [
  ['depth-first', [WRITERS, '--strategy', 'dfs', '--preemptions', '2'], ['exhausted']],
  ['with visited states', [WRITERS, '--strategy', 'dfs', '--states'], ['exhausted', 'states', 'pruned']],
  ['by DPOR', [...UNLOCKED, '--strategy', 'dpor'], ['exhausted', 'classes', 'races', 'sleepBlocked']],
  ['at random', [WRITERS, '--strategy', 'random', '--executions', '700'], ['distinctTraces']],
  ['by PCT', [WRITERS, '--strategy', 'pct', '--executions', '700'], ['distinctTraces']],
  ['by POS', [WRITERS, '--strategy', 'pos', '--executions', '700'], ['distinctTraces', 'unseenChance']],
  ['at random by two jobs', [WRITERS, '--strategy', 'random', '--executions', '700', '--jobs', '2'], []],
  ['by DPOR by two jobs', [...UNLOCKED, '--strategy', 'dpor', '--jobs', '2'], ['exhausted', 'classes', 'races']],
];

/** The long run has all. */
const ROWS = LONG ? SEARCHES : SEARCHES.filter(([what]) => what === 'by DPOR');

describe('an exploration that is killed and resumed', () => {
  it.each(ROWS)('makes the executions of one that is not (%s)', async (_, argv, compared) => {
    const [whole, parts, checkpoint] = [fresh('log'), fresh('log'), fresh('json')];
    const untimed = ['--seconds', '3600', '--keep-going', '--json', '--quiet'];
    const asked = ['explore', ...argv, ...untimed, '--output', fresh('replay.json')];
    const once = await murphy(...asked, '--log', whole);
    const kept = [...asked, '--checkpoint', checkpoint, '--checkpoint-every', '0.01', '--log', parts];
    expect(await exploreAndKill(checkpoint, kept)).toBe('SIGKILL');
    const before = new Set(logged(parts)).size;
    const rest = await murphy(...asked, '--resume', checkpoint, '--log', parts);
    expect(before).toBeLessThan(new Set(logged(whole)).size);
    expect([...new Set(logged(parts))]).toEqual([...new Set(logged(whole))]);
    const [one, two] = [JSON.parse(once.stdout), JSON.parse(rest.stdout)];
    for (const name of ['executions', 'abandoned', 'points', 'failingExecutions', 'outcome']) {
      expect(two[name], name).toBe(one[name]);
    }
    for (const name of compared) expect(two[name] ?? two.stats[name], name).toBe(one[name] ?? one.stats[name]);
    const failures = (of: { failures: { signature: string; count: number }[] }) =>
      of.failures.map((f) => [f.signature, f.count]);
    expect(failures(two)).toEqual(failures(one));
  });
});

describe('a resumed exploration', () => {
  it('that had come to its end has the same result at once', async () => {
    const file = fresh('json');
    const asked = ['explore', race('two-bugs'), '--json', '--quiet', '--output', fresh('replay.json')];
    const first = JSON.parse((await murphy(...asked, '--checkpoint', file)).stdout);
    const [log, again] = [fresh('log'), await murphy(...asked, '--resume', file, '--log', fresh('log'))];
    const second = JSON.parse(again.stdout);
    expect(logged(log)).toEqual([]);
    for (const name of ['executions', 'outcome', 'exhausted', 'failure', 'steps', 'traceHash', 'memoryHash', 'dmesg']) {
      expect(second[name], name).toEqual(first[name]);
    }
  });

  it('finds with --keep-going what comes after the failure at which it had stopped', async () => {
    const file = fresh('json');
    const asked = ['explore', race('two-bugs'), '--json', '--quiet', '--output', fresh('replay.json')];
    const whole = JSON.parse((await murphy(...asked, '--keep-going')).stdout);
    await murphy(...asked, '--checkpoint', file);
    const rest = JSON.parse((await murphy(...asked, '--resume', file, '--keep-going')).stdout);
    expect([rest.executions, rest.exhausted]).toEqual([whole.executions, true]);
    expect(rest.failures.map((f: { count: number }) => f.count)).toEqual(
      whole.failures.map((f: { count: number }) => f.count),
    );
  });
});

describe('a checkpoint file', () => {
  const file = fresh('json');
  const asked = ['explore', race('two-bugs'), '--strategy', 'dfs', '--keep-going', '--quiet'];
  const output = ['--output', fresh('replay.json')];
  const resume = (...more: string[]) => murphy(...asked, ...output, ...more);

  it('that is none is refused in one line, whatever is wrong with it', async () => {
    await murphy(...asked, ...output, '--checkpoint', file);
    const good = readFileSync(file, 'utf8');
    const cases: [string, RegExp][] = [
      ['', /it is empty/],
      [good.slice(0, good.length >> 1), /it is cut short/],
      ['\u0000\u0001\u0002', /it is no JSON/],
      ['[1, 2]', /some other JSON/],
      ['null', /some other JSON/],
      ['{"murphy":"replay","version":3}', /it is a replay file/],
      [good.replace('"version":2', '"version":99'), /version 99; this is version 2/],
      [good.replace('"executions"', '"runs"'), /content\.parts\.0\.executions/],
      [good.replace(/"prefix":\[\d+/, '"prefix":[7'), /damaged/],
    ];
    for (const [text, message] of cases) {
      const bad = fresh('json');
      writeFileSync(bad, text);
      const { status, stdout, stderr } = await resume('--resume', bad);
      expect([status, stdout, stderr.trim().split('\n').length], String(message)).toEqual([2, '', 1]);
      expect(stderr).toMatch(message);
    }
    const missing = await resume('--resume', join(folder, 'missing.json'));
    expect([missing.status, missing.stderr]).toEqual([2, expect.stringMatching(/no checkpoint at/)]);
  });

  it('of another search is refused, and the line says what differs', async () => {
    const replaced = (from: RegExp, to: string): string => {
      const { search, parts } = JSON.parse(readFileSync(file, 'utf8')).content;
      return JSON.stringify({ search, parts }).replace(from, to);
    };
    const { writeCheckpoint } = await import('../../src/explore/checkpoint-file.js');
    const altered = (from: RegExp, to: string): string => {
      const other = fresh('json');
      writeCheckpoint(other, { search: JSON.parse(replaced(from, to)).search, parts: readCheckpoint(file).parts });
      return other;
    };
    const cases: [RegExp, string[]][] = [
      [/preemptions was not given, and is 1 now/, ['--resume', file, '--preemptions', '1']],
      [/cpus was 2, and is 3 now/, ['--resume', file, '--cpus', '3']],
      [/kernel was 2\.6\.\d+, and is 4\.10 now/, ['--resume', file, '--kernel', '4.10']],
      [/strategy was dfs, and is dpor now/, ['--resume', file, '--strategy', 'dpor']],
      [/seed was 1, and is 2 now/, ['--resume', file, '--seed', '2']],
      [/the shard was 1\/1, and is 1\/2 now/, ['--resume', file, '--shard', '1/2']],
      [/the number of jobs was 1, and is 2 now/, ['--resume', file, '--jobs', '2']],
      [/the race's source has changed/, ['--resume', altered(/"sourceHash":"\w+"/, '"sourceHash":"0"')]],
      [/the emulated kernel or hardware has changed/, ['--resume', altered(/"modelHash":"\w+"/, '"modelHash":"0"')]],
      [/the explorer has changed/, ['--resume', altered(/"explorerHash":"\w+"/, '"explorerHash":"0"')]],
      [
        /the experiment was abba, and is two-bugs now/,
        ['--resume', altered(/"experiment":"[^"]+"/, '"experiment":"abba"')],
      ],
    ];
    for (const [message, argv] of cases) {
      const { status, stderr } = await resume(...argv);
      expect([status, stderr.trim().split('\n').length], String(message)).toEqual([2, 1]);
      expect(stderr).toMatch(message);
    }
  });

  it('that is there already is not written over', async () => {
    const before = readFileSync(file, 'utf8');
    const { status, stderr } = await resume('--checkpoint', file);
    expect([status, stderr]).toEqual([2, expect.stringMatching(/is there already; go on with --resume/)]);
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  it('that cannot be written is said before the search', async () => {
    const { status, stderr } = await resume('--checkpoint', join(folder, 'no-such-folder', 'x.json'));
    expect([status, stderr]).toEqual([2, expect.stringMatching(/^murphy: cannot write the checkpoint .*\n$/)]);
  });
});

describe('the shards of a search', () => {
  const DIVIDED: readonly (readonly [what: string, name: string, options: ExploreOptions])[] = [
    ['depth-first', 'writers', { strategy: 'dfs', preemptions: 2 }],
    ['depth-first, shallow', 'two-bugs', { strategy: 'dfs' }],
    ['depth-first by delays, shuffled', 'writers', { strategy: 'dfs', delays: 2, shuffle: true }],
    ['at random', 'writers', { strategy: 'random', executions: 200 }],
    ['by POS', 'writers', { strategy: 'pos', executions: 200 }],
    ['by PCT', 'writers', { strategy: 'pct', executions: 200 }],
  ];

  it.each(DIVIDED)('are the whole without overlap (%s)', async (_, name, options) => {
    const whole = fresh('log');
    await explore(race(name), { ...options, keepGoing: true, log: whole });
    const all: string[] = [];
    for (let index = 1; index <= 3; index++) {
      const log = fresh('log');
      const part = await explore(race(name), { ...options, keepGoing: true, log, shard: { index, count: 3 } });
      expect(part.executions).toBe(logged(log).length);
      all.push(...logged(log));
    }
    expect(all.sort()).toEqual(logged(whole));
  });

  const CLASSES: readonly (readonly [what: string, name: string, options: ExploreOptions])[] = [
    ['threads', race('counter'), { noPatches: ['kmap-high-get'] }],
    ['an interrupt', '2003-01-vread-irq-deadlock', {}],
  ];

  it.each(CLASSES)('have each class of DPOR once (%s)', async (_, name, more) => {
    const options = { ...more, strategy: 'dpor', keepGoing: true };
    const whole = await explore(name, options);
    const logs: string[][] = [];
    let classes = 0;
    for (let index = 1; index <= 3; index++) {
      const log = fresh('log');
      const part = await explore(name, { ...options, log, shard: { index, count: 3 } });
      expect([part.exhausted, part.stats.classes]).toEqual([true, part.executions]);
      classes += part.executions;
      logs.push(logged(log));
    }
    expect(classes).toBe(whole.executions);
    expect(new Set(logs.flat()).size).toBe(logs.flat().length);
    expect(logs.every((log) => log.length > 0)).toBe(true);
  });

  it('with visited states have every outcome of the whole', async () => {
    const options = { strategy: 'dfs', states: true, keepGoing: true };
    const whole = await explore(race('two-bugs'), options);
    const seen = new Set<string>();
    for (let index = 1; index <= 2; index++) {
      const part = await explore(race('two-bugs'), { ...options, shard: { index, count: 2 } });
      for (const { signature } of part.failures) seen.add(signature);
    }
    expect([...seen].sort()).toEqual(whole.failures.map((f) => f.signature).sort());
  });
});

describe('a search by two jobs', () => {
  const found = (failures: readonly { signature: string; count: number }[]) =>
    failures.map((f) => `${f.signature} ${f.count}`).sort();

  it('finds what one finds, in as many executions', async () => {
    const options: readonly ExploreOptions[] = [{}, { strategy: 'random', executions: 100 }];
    for (const asked of options) {
      const [one, two] = [fresh('log'), fresh('log')];
      const single = await explore(race('two-bugs'), { ...asked, keepGoing: true, log: one });
      const joined = await explore(race('two-bugs'), { ...asked, keepGoing: true, log: two, jobs: 2 });
      expect([joined.executions, joined.exhausted]).toEqual([single.executions, single.exhausted]);
      expect(found(joined.failures)).toEqual(found(single.failures));
      expect(logged(two)).toEqual(logged(one));
    }
  });

  it('ends when one of them has found a failure', async () => {
    const result = await explore(race('two-bugs'), { strategy: 'random', jobs: 2 });
    expect(result.outcome).toBe('report');
    expect(result.failure).not.toBeNull();
    expect(result.interrupted).toBe(false);
  });

  it('goes on where both stood, and not where one did', async () => {
    const [whole, rest] = [fresh('log'), fresh('log')];
    const asked = { strategy: 'random', keepGoing: true } as const;
    const stop = new AbortController();
    const parts: (Standing | null)[] = [null, null];
    const onCheckpoint = (at: Standing, part: number): void => {
      parts[part] = at;
      stop.abort();
    };
    const first = { ...asked, jobs: 2, log: rest, checkpointSeconds: 0.01, onCheckpoint, signal: stop.signal };
    expect((await explore(race('two-bugs'), first)).interrupted).toBe(true);
    // Some more than each has made, whenever they have heard of the end.
    const executions = 2 * Math.max(...parts.map((part) => part?.executions ?? 0)) + 100;
    await explore(race('two-bugs'), { ...asked, executions, jobs: 2, log: rest, resume: parts });
    await explore(race('two-bugs'), { ...asked, executions, log: whole });
    expect(logged(rest)).toEqual(logged(whole));
  });
});

/** A module that is bundled before the search and after it; of its executions some fail. */
const ENDLESS = `
import { race, report } from 'murphy';
const thread = (k) => { for (let i = 0; i < 20; i++) k.shared.y++; k.shared.x++; };
export default race({
  id: 'endless',
  shared: { x: 0, y: 0 },
  threads: [thread, thread],
  check: (k) => { if (k.shared.x === 1) report('x is 1'); },
});
`;

describe('Ctrl-C', () => {
  it('keeps the checkpoint, shows what was collected and says how to go on', async () => {
    const file = fresh('json');
    const host = new RealHost();
    const argv = [
      'explore',
      race('writers'),
      '--strategy',
      'random',
      '--checkpoint',
      file,
      '--checkpoint-every',
      '0.01',
    ];
    const running = main(argv, host);
    while (!existsSync(file) || readCheckpoint(file).parts[0] === null)
      await new Promise((done) => setTimeout(done, 5));
    host.send('SIGINT');
    expect(await running).toBe(130);
    expect(host.stderr.text).toContain(`go on with --resume ${file}`);
    const kept = readCheckpoint(file).parts[0];
    expect(host.stdout.text).toContain(`${kept?.executions.toLocaleString('en')} execution`);
  });

  const SIGNALS = [
    ['SIGINT', 130, []],
    ['SIGTERM', 143, ['--jobs', '2']],
  ] as const;
  it.each(LONG ? SIGNALS : SIGNALS.slice(0, 1))(
    'goes to all processes of a terminal, and the failures are shown all the same: %s',
    async (name, status, more) => {
      const [module, file, output] = [fresh('mjs'), fresh('json'), fresh('replay.json')];
      writeFileSync(module, ENDLESS);
      const asked = ['explore', module, '--strategy', 'random', '--keep-going', '--quiet', '--output', output, ...more];
      const kept = ['--seconds', '60', '--checkpoint', file, '--checkpoint-every', '0.1'];
      // A group of its own, as a terminal gives one to each command.
      const child = spawn(process.execPath, [join(packageRoot(), 'scripts', 'murphy.mjs'), ...asked, ...kept], {
        detached: true,
      });
      const said = { stdout: '', stderr: '' };
      child.stdout.on('data', (text) => (said.stdout += text));
      child.stderr.on('data', (text) => (said.stderr += text));
      const ended = new Promise((done) => child.on('close', done));
      const hasFailed = (): boolean =>
        existsSync(file) && readCheckpoint(file).parts.some((part) => (part?.failures.length ?? 0) > 0);
      while (child.exitCode === null && !hasFailed()) await new Promise((done) => setTimeout(done, 20));
      process.kill(-(child.pid as number), name);
      expect([await ended, said.stderr]).toEqual([
        status,
        expect.stringMatching(new RegExp(`stopping; [\\s\\S]*\nmurphy: go on with --resume ${file}\n$`)),
      ]);
      expect(said.stdout).toMatch(
        /^endless: report[\s\S]*interrupted, not exhausted\n[\s\S]*x is 1[\s\S]*\nreplay with: /,
      );
      expect(existsSync(output)).toBe(true);
    },
  );
});
