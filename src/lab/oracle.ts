/** What a race's `check` reports with. */
import { Seat } from '../cpu/hw.js';
import type { Kernel } from '../cpu/kernel.js';
import { type Page, page_to_phys } from '../mm/page.js';
import { OracleFailure } from '../shared/errors.js';
import { hex2, hex8, type Paddr } from '../shared/types.js';

/** A load, or a device's read, gave a value other than the last one stored under correct ownership. */
export function wrongByte(pfn: number, offset: number, expected: number, seen: number, where = ''): never {
  const message = `page frame 0x${pfn.toString(16)} offset 0x${offset.toString(16)}: expected 0x${hex2(expected)}, saw 0x${hex2(seen)}${where === '' ? '' : `, ${where}`}`;
  throw new OracleFailure({ kind: 'wrong-bytes', message, pfn, offset, expected, seen });
}

/** Compare an aligned word; the first byte that differs is reported: on PA-RISC, with @byteOrder, from the most significant on. */
export function expectWord(
  pfn: number,
  offset: number,
  expected: number,
  seen: number,
  where = '',
  byteOrder: 'little' | 'big' = 'little',
): void {
  const wrong = (expected ^ seen) >>> 0;
  if (wrong === 0) return;
  const big = byteOrder === 'big';
  const byte = big ? Math.clz32(wrong) >>> 3 : (31 - Math.clz32(wrong & -wrong)) >>> 3;
  const shift = (big ? 3 - byte : byte) * 8;
  wrongByte(pfn, offset + byte, (expected >>> shift) & 0xff, (seen >>> shift) & 0xff, where);
}

/** The word of memory at an offset of a page, as a device sees it: no cache looked at, no scheduling point. */
export function memoryWord(k: Kernel, page: Page, offset: number): number {
  return k.memory.read32((page_to_phys(k, page) + offset) as Paddr) >>> 0;
}

/** Line operations of cache maintenance that the executing CPU has made so far, by the cache model's counter: of whole caches, those are none. */
export function cacheLineOps(k: Kernel): number {
  const count = k.hw[k.layout.seats + k.cpu * Seat.words + Seat.lineOps] as number;
  k.footprint?.observe(count);
  return count;
}

/** Give a page known contents in memory, behind the caches: the word at each offset. For setup. */
export function fillMemory(k: Kernel, page: Page, word: (offset: number) => number): void {
  const base = page_to_phys(k, page);
  for (let offset = 0; offset < 4096; offset += 4) k.memory.write32((base + offset) as Paddr, word(offset));
}

/** Any other violation that the race itself has found. */
export function report(message: string): never {
  throw new OracleFailure({ kind: 'report', message });
}

/** The place in the race module that called, from the stack: 'counter.ts:12:5'. */
function callingPlace(): string {
  const frames = (new Error('where').stack ?? '').split('\n').slice(1);
  const self = /([^/\\(]+):\d+:\d+\)?$/.exec(frames[0] ?? '')?.[1];
  for (const frame of frames) {
    const [, file, place] = /([^/\\(]+)(:\d+:\d+)\)?$/.exec(frame) ?? [];
    if (file !== undefined && file !== self) return `${file}${place}`;
  }
  return 'an unknown place';
}

/** Anywhere in a race: it fails unless @condition holds. Numbers are shown in hexadecimal. */
export function assert(condition: unknown, what?: string, ...numbers: number[]): asserts condition {
  if (!condition) expect(false, what ?? `assertion failed at ${callingPlace()}`, ...numbers);
}

/** Anywhere in a race: it fails unless @seen is @expected. @what: what the number is. */
export function assertEqual(seen: number, expected: number, what?: string): void {
  if (seen !== expected) report(`${what ?? `value at ${callingPlace()}`}: expected ${expected}, saw ${seen}`);
}

/** `report` unless the condition holds. Numbers are shown in hexadecimal. */
export function expect(condition: boolean, what: string, ...numbers: number[]): void {
  if (!condition) report(numbers.length === 0 ? what : `${what} (${numbers.map(hex8).join(', ')})`);
}
