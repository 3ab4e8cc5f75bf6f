/** Results as JUnit XML, as continuous integration collects them. One suite; a test case is one case of an experiment. */
import type { CiCase } from './ci.js';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
  '\n': '&#10;',
  '\r': '&#13;',
  '\t': '&#9;',
};

/** Characters that XML 1.0 does not have are replaced: a kernel's log may hold any byte. */
const legal = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu, '\ufffd');
const content = (text: string): string => legal(text).replace(/[&<>\r]/g, (c) => ENTITIES[c] as string);
const attribute = (text: string): string => legal(text).replace(/[&<>"'\n\r\t]/g, (c) => ENTITIES[c] as string);

const attributes = (values: Readonly<Record<string, string | number>>): string =>
  Object.entries(values)
    .map(([name, value]) => ` ${name}="${attribute(String(value))}"`)
    .join('');

function testCase({ group, name, seconds, failure, error, skipped, details, summary }: CiCase): string[] {
  const said = [...details].join('\n');
  const body: string[] = [];
  if (error !== null) body.push(`      <error${attributes({ message: error })}>${content(said)}</error>`);
  else if (failure !== null) {
    const { message, type } = failure;
    body.push(`      <failure${attributes({ message, type })}>${content(said)}</failure>`);
  }
  if (skipped !== null) body.push(`      <skipped${attributes({ message: skipped })}/>`);
  else body.push(`      <system-out>${content(summary)}</system-out>`);
  return [
    `    <testcase${attributes({ classname: group, name, time: seconds.toFixed(3) })}>`,
    ...body,
    '    </testcase>',
  ];
}

/** The whole document. @suite: its name. */
export function junit(suite: string, cases: readonly CiCase[]): string {
  const errors = cases.filter((c) => c.error !== null).length;
  const failures = cases.filter((c) => c.error === null && c.failure !== null).length;
  const skipped = cases.filter((c) => c.skipped !== null).length;
  const time = cases.reduce((sum, c) => sum + c.seconds, 0).toFixed(3);
  const counts = { tests: cases.length, failures, errors, skipped, time };
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites${attributes({ name: 'murphy', ...counts })}>`,
    `  <testsuite${attributes({ name: suite, ...counts })}>`,
    ...cases.flatMap(testCase),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}
