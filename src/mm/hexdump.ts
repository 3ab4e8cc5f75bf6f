/** Bytes as rows of text. Source: lib/hexdump.c, Linux 3.2, and the rows of mm/slub.c before it had that. */
import type { Kernel } from '../cpu/kernel.js';
import { hex2, hex8, type Vaddr, vaddr } from '../shared/types.js';

const ROW_BYTES = 16;

const ascii = (byte: number): string => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.');
/** isgraph() of the kernel, which takes the upper half for Latin-1: a red zone of 0xbb reads as so many quotation marks. */
const latin1 = (byte: number): string =>
  (byte > 0x20 && byte < 0x7f) || byte > 0xa0 ? String.fromCharCode(byte) : '.';

function eachRow(k: Kernel, addr: Vaddr, length: number, row: (at: Vaddr, bytes: readonly number[]) => void): void {
  for (let from = 0; from < length; from += ROW_BYTES) {
    const bytes: number[] = [];
    for (let i = from; i < Math.min(from + ROW_BYTES, length); i++) bytes.push(k.load8(vaddr(addr + i)));
    row(vaddr(addr + from), bytes);
  }
}

const hexOf = (bytes: readonly number[]): string =>
  bytes
    .map(hex2)
    .join(' ')
    .padEnd(ROW_BYTES * 3 - 1);

/** DUMP_PREFIX_ADDRESS, rows of 16, groups of one, with text. */
export function print_hex_dump(k: Kernel, prefix: string, addr: Vaddr, length: number): void {
  eachRow(k, addr, length, (at, bytes) => {
    k.printk(`${prefix}${hex8(at)}: ${hexOf(bytes)}  ${bytes.map(ascii).join('')}`);
  });
}

/** @text: right-aligned in @width. Source: print_section(), mm/slub.c, Linux 2.6.22, 2.6.30. */
export function printSection(k: Kernel, text: string, width: number, addr: Vaddr, length: number): void {
  eachRow(k, addr, length, (at, bytes) => {
    k.printk(`${text.padStart(width)} 0x${hex8(at)}:  ${hexOf(bytes)} ${bytes.map(latin1).join('').padEnd(ROW_BYTES)}`);
  });
}
