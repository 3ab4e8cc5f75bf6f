/** What a strategy module does wrong is said in one line, and never becomes a result. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { explore } from '../../src/explore/explore.js';

const folder = mkdtempSync(join(tmpdir(), 'murphy-own-strategy-'));

function written(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

const race = written(
  'locked.mjs',
  `import { assertEqual, race, spin_lock, spin_unlock } from 'murphy';
const add = (k) => { spin_lock(k, k.locks.m); k.shared.c++; spin_unlock(k, k.locks.m); };
export default race({ id: 'locked', shared: { c: 0 }, locks: ['m'], threads: [add, add], check: (k) => assertEqual(k.shared.c, 2) });
`,
);

const FIRST = 'choose: (_, s) => s.choices[0]';
const strategy = (name: string, parts: string): string =>
  written(
    `${name}.mjs`,
    `export default () => ({ name: 'own', begin: () => 0, ${FIRST}, end: () => false, ${parts} });\n`,
  );

describe('a strategy of the user', () => {
  it.each([
    ['begin', `begin() { throw new Error('no'); }`, /begin\(\) threw Error: no/],
    ['end', `end() { throw new Error('no'); }`, /end\(\) threw Error: no/],
    ['choose', `choose() { throw new Error('no'); }`, /choose\(\) threw Error: no/],
    [
      'late',
      `choose(_, s) { if (s.decision === 1) throw new Error('no'); return s.choices[s.count - 1]; }`,
      /choose\(\) threw Error: no/,
    ],
    ['undefined', `choose: () => undefined`, /choose\(\) answered undefined, and the choices are 0, 1/],
    [
      'beyond',
      `choose: (_, s) => s.decision < 1 ? s.choices[s.count - 1] : 7`,
      /choose\(\) answered 7, and the choices are /,
    ],
  ])('is named when it goes wrong: %s', async (name, parts, message) => {
    const { error } = await explore(race, { strategy: strategy(name, parts) }).catch((e: Error) => ({
      error: `${e.name}: ${e.message}`,
    }));
    expect(error).toMatch(message);
    expect(error).toContain(`${name}.mjs`);
    expect(error).not.toContain('\n');
  });

  it('is named when it loops for ever between two executions', { timeout: 120_000 }, async () => {
    const wanted =
      'the strategy has not come to its end for 5 s, between two executions: it loops for ever; mend the module';
    await expect(explore(race, { strategy: strategy('endless', 'end() { for (;;); }') })).rejects.toThrow(wanted);
  });

  it.each([
    ['at load', `throw new Error('no');\n`],
    ['when it is made', `export default () => { throw new Error('no'); };\n`],
  ])('is named when it throws %s', async (name, text) => {
    const file = written(`${name.replaceAll(' ', '-')}.mjs`, text);
    await expect(explore(race, { strategy: file })).rejects.toThrow(
      /^strategy module .* does not load: Error: no; mend it/,
    );
  });

  it('is followed when it answers with a choice', async () => {
    const { outcome, executions, error } = await explore(race, { strategy: strategy('first', '') });
    expect([outcome, executions, error]).toEqual(['clean', 1, null]);
  });
});
