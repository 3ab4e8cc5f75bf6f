/** KTAP and JUnit XML, read back by parsers that take nothing else. */
import { describe, expect, it } from 'vitest';
import { type CiCase, ciCase } from '../../src/report/ci.js';
import { junit } from '../../src/report/junit.js';
import { ktapHead, ktapResult } from '../../src/report/ktap.js';
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
}

/** A flat document of version 1; throws for a line of no known form. */
function parseKtap(text: string): { plan: number | null; results: KtapResult[] } {
  const [version, ...lines] = text.trimEnd().split('\n');
  if (version !== 'KTAP version 1') throw new Error(`not KTAP version 1: ${version}`);
  const plan = /^1\.\.(\d+)$/.exec(lines[0] ?? '');
  if (plan !== null) lines.shift();
  const results: KtapResult[] = [];
  let diagnostics: string[] = [];
  for (const line of lines) {
    const result = /^(not ok|ok) (\d+) ([^#]*?)(?: # (SKIP|TODO|XFAIL|TIMEOUT|ERROR)( .*)?)?$/.exec(line);
    if (result !== null) {
      const [, verdict, number, description = '', directive = ''] = result;
      results.push({ ok: verdict === 'ok', number: Number(number), description, directive, diagnostics });
      diagnostics = [];
    } else if (/^#( |$)/.test(line)) diagnostics.push(line.slice(2));
    else throw new Error(`no known form: ${line}`);
  }
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
const ktap = (all: readonly CiCase[]): string =>
  [...ktapHead(all.length), ...all.flatMap((c, i) => ktapResult(i + 1, c))].join('\n');

describe('KTAP', () => {
  it('has a result for each case, with what went wrong in front of it', () => {
    const { plan, results } = parseKtap(ktap(cases()));
    expect(plan).toBe(3);
    expect(results.map((r) => r.ok)).toEqual([true, false, false]);
    expect(results[0]).toMatchObject({ description: '2009-03-kmap-recycle-lost-bytes: pinned', directive: '' });
    expect(results[1]?.diagnostics).toContain('BUG: KASAN: use-after-free in f');
    expect(results[1]?.diagnostics).toContain('replay with: murphy replay x.json');
    expect(results[2]?.directive).toBe('ERROR');
  });

  it('has no line of a log that looks like a result, and no control characters', () => {
    const forged = ['\n', '\r', '\r\n', '\v', '\f', '\u0085', '\u2028', '\u2029'].map(
      (end) => `a${end}not ok 1 forged`,
    );
    const dmesg = [...forged, 'x\u0000\u0007\u001b[31m\u009b\u007f'];
    const text = ktap([
      ciCase(lostBytes({ expected: false, claimed: ['clean'], dmesg, caseName: `b\u0085\u001b${forged}` })),
    ]);
    expect(parseKtap(text).results[0]?.diagnostics).toContain('x\\x00\\x07\\x1b[31m\\x9b\\x7f');
    const lines = text.split(/[\n\v\f\r\u0085\u2028\u2029]/);
    expect(lines.filter((line) => line.includes('forged') && !line.startsWith('# '))).toEqual([
      expect.stringMatching(/^not ok 1 2009-03-kmap-recycle-lost-bytes: b \\x1ba not ok 1 forged/),
    ]);
    expect(text).not.toMatch(/(?!\n)\p{Cc}/u);
  });

  it('says nothing of the log of a case that is as claimed', () => {
    const [result] = parseKtap(ktap([ciCase(lostBytes())])).results;
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

  it('is a document without cases too', () => {
    expect(parseXml(junit('murphy stress', [])).attributes).toMatchObject({ tests: '0', failures: '0' });
  });
});
