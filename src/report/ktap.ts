/**
 * Results for whoever reads KTAP: kernel developers' tools, and any TAP harness. An experiment is a test, its cases are its subtests: a document
 * of their own in front of the experiment's result. Source: Documentation/dev-tools/ktap.rst, version 1.
 */
import type { CiCase } from './ci.js';

/** Whatever some reader takes for the end of a line: a kernel's log may hold any character, and shall not look like a result. */
const LINE_END = /\r\n|[\n\v\f\r\u0085\u2028\u2029]/;
/** What a terminal acts upon, as `\x1b`; a tab is harmless. */
const printable = (text: string): string =>
  text.replace(/(?!\t)\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);

/** A description has no `#`, which begins a directive, and is one line. */
const description = (text: string): string =>
  printable(text.split(LINE_END).join(' ').replaceAll('#', '').replace(/\s+/g, ' ').trim());

const diagnostics = (lines: readonly string[]): string[] =>
  lines.flatMap((line) => line.split(LINE_END)).map((line) => `# ${printable(line)}`.trimEnd());

const indented = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);

/** The version line, and how many results will follow, if that is known. */
const headOf = (count: number | null): string[] => ['KTAP version 1', ...(count === null ? [] : [`1..${count}`])];

/** Nothing could be said, it stood still, it was not run. */
function directiveOf({ error, skipped, failure }: CiCase): string {
  if (error !== null) return ` # ERROR ${description(error)}`;
  if (skipped !== null) return ` # SKIP ${description(skipped)}`;
  return failure?.type === 'hang' ? ' # TIMEOUT' : '';
}

/** Result number @number, from 1, behind what there is to say about it. */
function resultOf(number: number, result: CiCase): string[] {
  const { name, seconds, failure, error, skipped, details, summary } = result;
  const ok = failure === null && error === null;
  const said = ok ? [] : [error ?? failure?.message ?? '', ...details];
  const all = skipped === null ? [...said, `${summary}; ${seconds.toFixed(1)} s`] : [];
  return [...diagnostics(all), `${ok ? 'ok' : 'not ok'} ${number} ${description(name)}${directiveOf(result)}`];
}

/** A group of cases that follow each other. */
interface Group {
  readonly name: string;
  count: number;
  failed: boolean;
  /** Every case was left out. */
  skipped: boolean;
}

/** A document that is written as the results come. Cases of one group have to come in a row. */
export class Ktap {
  #groups = 0;
  #group: Group | null = null;

  /** @groups: how many there will be, if that is known. */
  begin(groups: number | null): string[] {
    return headOf(groups);
  }

  /** @cases: how many its group has, if that is known. */
  add(one: CiCase, cases: number | null): string[] {
    const before = this.#group?.name === one.group ? [] : this.end();
    const group = this.#group ?? { name: one.group, count: 0, failed: false, skipped: true };
    const head = this.#group === null ? headOf(cases) : [];
    this.#group = group;
    group.count++;
    group.failed ||= one.failure !== null || one.error !== null;
    group.skipped &&= one.skipped !== null;
    return [...before, ...indented([...head, ...resultOf(group.count, one)])];
  }

  /** The result of the group that has come last. */
  end(): string[] {
    const group = this.#group;
    if (group === null) return [];
    this.#group = null;
    const directive = group.skipped ? ' # SKIP' : '';
    return [`${group.failed ? 'not ok' : 'ok'} ${++this.#groups} ${description(group.name)}${directive}`];
  }
}
