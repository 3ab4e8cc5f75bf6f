/** KTAP and JUnit XML, read back by parsers that take nothing else. */
import { describe, expect, it } from 'vitest';
import { type CiCase, ciCase, skippedCase } from '../../src/report/ci.js';
import { junit } from '../../src/report/junit.js';
import { Ktap } from '../../src/report/ktap.js';
import { clean, lostBytes } from './sample.js';

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: Element[];
  text: string;
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** References replaced; throws for anything that XML 1.0 does not allow here. */
function decoded(raw: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (/[<\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/u.test(raw))
    throw new Error(`bad text: ${raw}`);
  return raw.replace(/&(?:#(\d+)|(\w+)|)(;?)/g, (all, code, name, end) => {
    const value = code === undefined ? NAMED[name] : String.fromCodePoint(Number(code));
    if (value === undefined || end !== ';') throw new Error(`bad reference: ${all}`);
    return value;
  });
}

/** A document without comments, CDATA or processing instructions, well-formed or an error. */
function parseXml(text: string): Element {
  const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n';
  if (!text.startsWith(declaration)) throw new Error('no declaration');
  const root: Element = { name: '', attributes: {}, children: [], text: '' };
  const open = [root];
  const tag = /<(\/?)([A-Za-z][\w-]*)((?: [A-Za-z][\w-]*="[^"<]*")*)(\/?)>/y;
  for (let at = declaration.length; at < text.length; ) {
    const next = text.indexOf('<', at);
    const top = open[open.length - 1] as Element;
    const between = text.slice(at, next < 0 ? text.length : next);
    top.text += decoded(between);
    if (next < 0) break;
    tag.lastIndex = next;
    const [all, closing, name, attributes, empty] = tag.exec(text) ?? [];
    if (all === undefined || name === undefined) throw new Error(`bad tag at ${next}`);
    at = next + all.length;
    if (closing === '/') {
      if (open.pop()?.name !== name) throw new Error(`</${name}> closes another`);
      continue;
    }
    const values: Record<string, string> = {};
    for (const [, key, value] of (attributes ?? '').matchAll(/ ([\w-]+)="([^"]*)"/g)) {
      if (key === undefined || key in values) throw new Error(`attribute twice: ${key}`);
      values[key] = decoded(value as string);
    }
    const element: Element = { name, attributes: values, children: [], text: '' };
    top.children.push(element);
    if (empty !== '/') open.push(element);
  }
  if (open.length !== 1 || root.children.length !== 1 || root.text.trim() !== '') throw new Error('not one element');
  return root.children[0] as Element;
}

interface KtapResult {
  readonly ok: boolean;
  readonly number: number;
  readonly description: string;
  readonly directive: string;
  readonly diagnostics: string[];
  readonly subtests: Document | null;
}

interface Document {
  readonly plan: number | null;
  readonly results: readonly KtapResult[];
}

const RESULT = /^(not ok|ok) (\d+) ([^#]*?)(?: # (SKIP|TODO|XFAIL|TIMEOUT|ERROR)( .*)?)?$/;

/** A document of version 1, with those nested in it; throws for a line of no known form. */
function parseKtap(text: string): Document {
  return parseLines(text.trimEnd().split('\n'));
}

function parseLines(all: readonly string[]): Document {
  const [version, ...lines] = all;
  if (version !== 'KTAP version 1') throw new Error(`not KTAP version 1: ${version}`);
  const plan = /^1\.\.(\d+)$/.exec(lines[0] ?? '');
  if (plan !== null) lines.shift();
  const results: KtapResult[] = [];
  let diagnostics: string[] = [];
  let nested: string[] = [];
  for (const line of lines) {
    const result = RESULT.exec(line);
    if (line.startsWith('  ')) nested.push(line.slice(2));
    else if (result !== null) {
      const [, verdict, number, description = '', directive = ''] = result;
      const subtests = nested.length === 0 ? null : parseLines(nested);
      const ok = verdict === 'ok';
      if (subtests !== null && ok !== subtests.results.every((r) => r.ok))
        throw new Error(`not its subtests': ${line}`);
      results.push({ ok, number: Number(number), description, directive, diagnostics, subtests });
      [diagnostics, nested] = [[], []];
    } else if (/^#( |$)/.test(line)) diagnostics.push(line.slice(2));
    else throw new Error(`no known form: ${line}`);
  }
  if (nested.length > 0) throw new Error('subtests without a result of their parent');
  results.forEach((r, i) => {
    if (r.number !== i + 1) throw new Error(`result ${r.number} where ${i + 1} belongs`);
  });
  if (plan !== null && Number(plan[1]) !== results.length) throw new Error('not as many as planned');
  return { plan: plan === null ? null : Number(plan[1]), results };
}

const nasty = `<fork> & "quote" 'apostrophe' ]]> \u0000\u001b[31m \ud800 # not a directive\n\ttab\r\nend`;
const cases = (): CiCase[] => [
  ciCase(clean()),
  ciCase(lostBytes({ expected: false, claimed: ['clean'], dmesg: ['BUG: KASAN: use-after-free in f', nasty] }), [
    'replay with: murphy replay x.json',
  ]),
  ciCase(lostBytes({ caseName: nasty, expected: false, error: `thread 0 threw ${nasty}` })),
];
/** @cases: how many there are of each group, if that is known. */
function ktap(all: readonly CiCase[], groups: number | null = null, cases: number | null = null): string {
  const out = new Ktap();
  return [...out.begin(groups), ...all.flatMap((c) => out.add(c, cases)), ...out.end()].join('\n');
}
const only = (text: string): readonly KtapResult[] => parseKtap(text).results[0]?.subtests?.results ?? [];
const hung = (): CiCase =>
  ciCase(lostBytes({ expected: false, outcome: 'hang', claimed: ['clean'], failure: null, caseName: 'hung' }));

describe('KTAP', () => {
  it('has a result for each case, with what went wrong in front of it', () => {
    const { plan, results } = parseKtap(ktap(cases(), 1, 3));
    expect([plan, results[0]?.subtests?.plan]).toEqual([1, 3]);
    expect(results).toMatchObject([{ ok: false, description: '2009-03-kmap-recycle-lost-bytes', directive: '' }]);
    const subtests = results[0]?.subtests?.results ?? [];
    expect(subtests.map((r) => r.ok)).toEqual([true, false, false]);
    expect(subtests[0]).toMatchObject({ description: 'pinned', directive: '' });
    expect(subtests[1]?.diagnostics).toContain('BUG: KASAN: use-after-free in f');
    expect(subtests[1]?.diagnostics).toContain('replay with: murphy replay x.json');
    expect(subtests[2]?.directive).toBe('ERROR');
  });

  it('has the cases of an experiment in front of its result, indented, and numbers from 1 on each level', () => {
    const of = (group: string, name: string): CiCase => ({ ...ciCase(clean()), group, name });
    expect(ktap([of('a', 'x'), of('a', 'y'), of('b #1', 'z # SKIP')], 2).replace(/\n *# .*/g, '')).toBe(
      [
        ...['KTAP version 1', '1..2'],
        ...['  KTAP version 1', '  ok 1 x', '  ok 2 y', 'ok 1 a'],
        ...['  KTAP version 1', '  ok 1 z SKIP', 'ok 2 b 1'],
      ].join('\n'),
    );
  });

  it('says what was not run, which fails nothing, and what stood still', () => {
    const left = (name: string): CiCase => skippedCase('2009-03-kmap-recycle-lost-bytes', name, 'not run');
    expect(only(ktap([ciCase(clean()), left('b')]))).toMatchObject([
      { ok: true, directive: '' },
      { ok: true, description: 'b', directive: 'SKIP', diagnostics: [] },
    ]);
    expect(parseKtap(ktap([ciCase(clean()), left('b')])).results).toMatchObject([{ ok: true, directive: '' }]);
    expect(parseKtap(ktap([left('a'), left('b')])).results).toMatchObject([{ ok: true, directive: 'SKIP' }]);
    expect(parseKtap(ktap([left('a'), hung()])).results).toMatchObject([{ ok: false, directive: '' }]);
    expect(only(ktap([hung()]))).toMatchObject([{ ok: false, description: 'hung', directive: 'TIMEOUT' }]);
    const claimed = ciCase(lostBytes({ outcome: 'hang', claimed: ['hang'], failure: null }));
    expect(only(ktap([claimed]))).toMatchObject([{ ok: true, directive: '' }]);
  });

  it('is a document without results too', () => {
    expect(parseKtap(ktap([], 0))).toEqual({ plan: 0, results: [] });
  });

  it('has no line of a log that looks like a result, and no control characters', () => {
    const forged = ['\n', '\r', '\r\n', '\v', '\f', '\u0085', '\u2028', '\u2029'].map(
      (end) => `a${end}not ok 1 forged`,
    );
    const dmesg = [...forged, 'x\u0000\u0007\u001b[31m\u009b\u007f'];
    const text = ktap([
      ciCase(lostBytes({ expected: false, claimed: ['clean'], dmesg, caseName: `b\u0085\u001b${forged}` })),
    ]);
    expect(only(text)[0]?.diagnostics).toContain('x\\x00\\x07\\x1b[31m\\x9b\\x7f');
    const lines = text.split(/[\n\v\f\r\u0085\u2028\u2029]/);
    expect(lines.filter((line) => line.includes('forged') && !line.startsWith('  # '))).toEqual([
      expect.stringMatching(/^ {2}not ok 1 b \\x1ba not ok 1 forged/),
    ]);
    expect(text).not.toMatch(/(?!\n)\p{Cc}/u);
  });

  it('says nothing of the log of a case that is as claimed', () => {
    const [result] = only(ktap([ciCase(lostBytes())]));
    expect(result?.diagnostics).toEqual(['wrong-bytes; arm926-smp, 2.6.29, 2 CPUs, 1200 executions; 2.0 s']);
  });
});

describe('JUnit XML', () => {
  it('counts tests, failures and errors', () => {
    const root = parseXml(junit('murphy matrix', cases()));
    expect(root).toMatchObject({ name: 'testsuites', attributes: { tests: '3', failures: '1', errors: '1' } });
    const [suite] = root.children;
    expect(suite).toMatchObject({
      name: 'testsuite',
      attributes: { name: 'murphy matrix', tests: '3', time: '6.000' },
    });
    expect(suite?.children.map((c) => c.name)).toEqual(['testcase', 'testcase', 'testcase']);
  });

  it('has the claim, the outcome and the log in a failure, whatever characters they are of', () => {
    const test = parseXml(junit('murphy matrix', cases())).children[0]?.children[1];
    expect(test?.attributes).toMatchObject({ classname: '2009-03-kmap-recycle-lost-bytes', name: 'unpinned' });
    const [failure] = test?.children ?? [];
    expect(failure?.name).toBe('failure');
    expect(failure?.attributes.message).toBe('wrong-bytes, claimed clean: page B lost bytes that CPU1 stored');
    expect(failure?.attributes.type).toBe('wrong-bytes');
    expect(failure?.text).toContain(
      '<fork> & "quote" \'apostrophe\' ]]> \ufffd\ufffd[31m \ufffd # not a directive\n\ttab',
    );
  });

  it('has an error where nothing could be said', () => {
    const test = parseXml(junit('murphy matrix', cases())).children[0]?.children[2];
    expect(test?.children[0]?.name).toBe('error');
    expect(test?.attributes.name).toContain('<fork> & "quote"');
  });

  it('has cases that were not run', () => {
    const root = parseXml(junit('murphy matrix', [ciCase(clean()), skippedCase('e', 'c', 'not run')]));
    expect(root.attributes).toMatchObject({ tests: '2', failures: '0', errors: '0', skipped: '1' });
    const [done, left] = root.children[0]?.children ?? [];
    expect(done?.children.map((c) => c.name)).toEqual(['system-out']);
    expect(left?.children).toMatchObject([{ name: 'skipped', attributes: { message: 'not run' } }]);
  });

  it('is a document without cases too', () => {
    expect(parseXml(junit('murphy stress', [])).attributes).toMatchObject({ tests: '0', failures: '0' });
  });
});
