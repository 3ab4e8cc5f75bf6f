/** Where text goes: a stream of the process, or what a test keeps. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

/** Does @out show colours? As https://no-color.org has it. */
export function hasColour(out: Output, env: Readonly<Record<string, string | undefined>>): boolean {
  return out.isTTY === true && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
}

/** 1234567 as `1,234,567`. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

export function hex(value: number, digits: number): string {
  return `0x${(value >>> 0).toString(16).padStart(digits, '0')}`;
}

/** Control characters out: a message from a race module must not move the cursor, nor break a line. */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').trim();
}
