/** The examples do what their comments say, by the commands that their comments name, and compile as a user compiles them. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type ExploreOptions, explore, run } from '../src/index.js';
import { packageRoot } from '../src/lab/modules.js';

const ROOT = packageRoot();
const EXAMPLES = join(ROOT, 'examples');
const names = readdirSync(EXAMPLES).filter((name) => name.endsWith('.ts'));
const textOf = (name: string): string => readFileSync(join(EXAMPLES, name), 'utf8');

/** Commands in the comment of an example. */
function commandsOf(name: string): { mode: string; options: ExploreOptions }[] {
  const lines = textOf(name).matchAll(/npm run smp -- (run|explore) \.\/examples\/(\S+)(.*)$/gm);
  return [...lines].map(([, mode = '', file, rest = '']) => {
    expect(file).toBe(name);
    const preemptions = / --preemptions (\d+)/.exec(rest)?.[1];
    const strategy = / --strategy \.\/examples\/(\S+)/.exec(rest)?.[1];
    return {
      mode,
      options: {
        ...(preemptions === undefined ? {} : { preemptions: Number(preemptions) }),
        ...(strategy === undefined ? {} : { strategy: join(EXAMPLES, strategy) }),
      },
    };
  });
}

describe('the examples', () => {
  it('are numbered without a gap', () => {
    expect(names.map((name) => name.slice(0, 3))).toEqual(names.map((_, i) => `0${i + 1}-`));
  });

  it.each(names)('%s has one idea: a comment, and fewer than 40 lines', (name) => {
    expect(textOf(name)).toMatch(/^\/\*\*/);
    expect(textOf(name).split('\n').length).toBeLessThanOrEqual(40);
  });

  const races = names.filter((name) => !name.endsWith('.test.ts'));
  it.each(races)('%s ends as it claims, in every mode that its comment names', async (name) => {
    const commands = commandsOf(name);
    expect(commands.length).toBeGreaterThan(0);
    for (const { mode, options } of commands) {
      const path = join(EXAMPLES, name);
      const result =
        mode === 'explore'
          ? await explore(path, { ...options, seconds: 120 })
          : await run(path, { seconds: 1, patienceSeconds: 120, stopAtFailure: true });
      expect([mode, result.error, result.expected]).toEqual([mode, null, true]);
      expect(result.claimed, 'what it claims').not.toBeNull();
      if (mode === 'explore' && result.outcome === 'clean') expect(result).toMatchObject({ exhausted: true });
    }
  });
});

describe('a user', () => {
  const folder = mkdtempSync(join(tmpdir(), 'murphy-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  const CONFIG = {
    compilerOptions: {
      module: 'NodeNext',
      target: 'ES2022',
      strict: true,
      noEmit: true,
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
      types: [],
    },
    include: ['*.ts'],
  };

  it('compiles the examples under strict options', () => {
    mkdirSync(join(folder, 'node_modules'));
    for (const name of ['vitest', '@types'])
      symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name));
    symlinkSync(ROOT, join(folder, 'node_modules', 'murphy'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(CONFIG));
    for (const name of names) cpSync(join(EXAMPLES, name), join(folder, name));
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    const { stdout } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' });
    expect(stdout).toBe('');
  });

  it.each([
    ['a .ts module', 'race.ts', "import { race, type Kernel } from 'murphy';\nconst none: number = 0;\n"],
    ['a .mjs module', 'race.mjs', "import { race } from 'murphy';\nconst none = 0;\n"],
    ['a .js module without a package.json', 'race.js', "import { race } from 'murphy';\nconst none = 0;\n"],
    ['a .mts module', 'race.mts', "import { race } from 'murphy';\nconst none: number = 0;\n"],
    ['a .cjs module', 'race.cjs', "const { race } = require('murphy');\nconst none = 0;\nexports.default = race;\n"],
  ])('runs %s from a folder that knows nothing of Murphy', (_, name, head) => {
    const alone = mkdtempSync(join(tmpdir(), 'murphy-alone-'));
    const body =
      "race({ id: 'mine', shared: { counter: none }, threads: [(k) => { k.shared.counter++; }, (k) => { k.shared.counter++; }],\n" +
      "  check(k) { if (k.shared.counter !== 2) throw new Error('lost'); } });\n";
    const text = name.endsWith('.cjs')
      ? head.replace('exports.default = race;', `module.exports = ${body}`)
      : `${head}export default ${body}`;
    writeFileSync(join(alone, name), text);
    const murphy = join(ROOT, 'scripts', 'murphy.mjs');
    const { stderr, status } = spawnSync(process.execPath, [murphy, 'explore', `./${name}`], {
      cwd: alone,
      encoding: 'utf8',
    });
    rmSync(alone, { recursive: true });
    // An error of the module's own names its place in the source.
    expect(stderr).toMatch(
      new RegExp(
        `^murphy: experiment "mine": check threw Error: lost \\(${name.replace('.', '\\.')}:4:\\d+\\); mend the module$`,
        'm',
      ),
    );
    expect(status).toBe(2);
  });
});
