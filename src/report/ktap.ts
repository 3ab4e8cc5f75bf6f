/** Results for whoever reads KTAP: kernel developers' tools, and any TAP harness. Source: Documentation/dev-tools/ktap.rst, version 1. */
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

/** The version line, and how many results will follow, if that is known. */
export const ktapHead = (count: number | null): string[] => [
  'KTAP version 1',
  ...(count === null ? [] : [`1..${count}`]),
];

/** Result number @number, from 1, behind what there is to say about it. */
export function ktapResult(number: number, result: CiCase): string[] {
  const { group, name, seconds, failure, error, details } = result;
  const ok = failure === null && error === null;
  const directive = error === null ? '' : ` # ERROR ${description(error)}`;
  const what = description(`${group}: ${name}`);
  const said = ok ? [] : [error ?? failure?.message ?? '', ...details];
  return [
    ...diagnostics([...said, `${result.summary}; ${seconds.toFixed(1)} s`]),
    `${ok ? 'ok' : 'not ok'} ${number} ${what}${directive}`,
  ];
}
