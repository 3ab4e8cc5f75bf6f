/**
 * What the tests of the hardware are written with: bytes as spec/hardware.md §0 writes them, a CPU's loads and stores below the
 * shortcut for static kernel data, a DMA master, page-table entries.
 */
import { CORES } from '../../src/arch/arm/cores.js';
import { type PteP, set_pte_ext } from '../../src/arch/arm/pgtable.js';
import type { CacheGeometry, CoreRow } from '../../src/cpu/core.js';
import { LineFlag } from '../../src/cpu/dcache.js';
import { Device } from '../../src/cpu/device.js';
import { Seat } from '../../src/cpu/hw.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { type Paddr, ptr, vaddr } from '../../src/shared/types.js';

/** `'11*4 aa*1 11*27'`: four bytes 0x11, one 0xaa, 27 bytes 0x11. A count of one may be left out. */
export function bytesOf(runs: string): number[] {
  return runs.split(' ').flatMap((run) => {
    const [byte, count] = run.split('*');
    return new Array<number>(Number(count ?? 1)).fill(Number.parseInt(byte as string, 16));
  });
}

/** The inverse, with every count written. */
export function runsOf(bytes: ArrayLike<number>): string {
  const runs: [number, number][] = [];
  for (const byte of Array.from(bytes)) {
    const last = runs.at(-1);
    if (last !== undefined && last[0] === byte) last[1]++;
    else runs.push([byte, 1]);
  }
  return runs.map(([byte, count]) => `${byte.toString(16).padStart(2, '0')}*${count}`).join(' ');
}

/** A catalogue row with some of it changed, for the machine's options. */
export function core(id: string, change: Partial<CoreRow> = {}, dcache: Partial<CacheGeometry> = {}): CoreRow {
  const row = CORES.find((c) => c.id === id);
  if (row === undefined) throw new Error(`no core ${id}`);
  return { ...row, ...change, dcache: { ...row.dcache, ...dcache } };
}

/** Load a byte as the CPU does. */
export function ld(k: Kernel, va: number): number {
  return (k.mmu.load32((va & ~3) >>> 0) >>> ((va & 3) * 8)) & 0xff;
}

export function st(k: Kernel, va: number, byte: number): void {
  const shift = (va & 3) * 8;
  k.mmu.store32((va & ~3) >>> 0, byte << shift, 0xff << shift);
}

/** `count` bytes from @va on, as the CPU loads them. */
export const loads = (k: Kernel, va: number, count: number): string =>
  runsOf(Array.from({ length: count }, (_, i) => ld(k, va + i)));

/** What RAM holds, which is what a DMA master reads. */
export const ram = (k: Kernel, pa: number, count: number): string =>
  runsOf(k.bytes.subarray(pa - k.config.core.physBase, pa - k.config.core.physBase + count));

/** Set RAM before the experiment. */
export function setRam(k: Kernel, pa: number, runs: string): void {
  k.bytes.set(bytesOf(runs), pa - k.config.core.physBase);
}

const deviceOf = (k: Kernel): Device =>
  new Device(
    k.config,
    { arena: k.words.buffer as SharedArrayBuffer, hw: k.hw.buffer as SharedArrayBuffer } as never,
    0,
  );

/** A device writes whole words to memory. */
export function dmaWrite(k: Kernel, pa: number, runs: string): void {
  const bytes = bytesOf(runs);
  deviceOf(k).transferIn(pa as Paddr, bytes.length, (offset) =>
    bytes.slice(offset, offset + 4).reduce((word, byte, i) => word | (byte << (8 * i)), 0),
  );
}

/** A device reads words from memory. */
export function dmaRead(k: Kernel, pa: number, count: number): string {
  const bytes: number[] = [];
  deviceOf(k).transferOut(pa as Paddr, count, (_, word) => {
    for (let i = 0; i < 4; i++) bytes.push((word >>> (8 * i)) & 0xff);
  });
  return runsOf(bytes);
}

/** Linux entry of a pkmap or fixmap address: table page, 2048 bytes up, a word per page of 2 MB. */
export function pteOf(k: Kernel, va: number): PteP {
  const table = va >= 0xfff00000 ? k.sym.fixmap_pte_page : k.sym.pkmap_pte_page;
  return ptr<'pte'>(table + 2048 + ((va >>> 12) & 511) * 4);
}

/** L_PTE_PRESENT | L_PTE_YOUNG | L_PTE_DIRTY | L_PTE_WRITE, Linux 2.6.30; the memory type comes on top. */
const PROT = 0x01 | 0x02 | 0x40 | 0x80;
export const MT_UNCACHED = 0;
export const MT_BUFFERABLE = 1;
export const MT_WRITETHROUGH = 2;
export const MT_WRITEBACK = 3;

/** The Linux entry that maps the page at @pa. */
export const linuxPte = (pa: number, type: number): number => (pa | PROT | (type << 2)) >>> 0;

/** Point the pkmap or fixmap page @va to the physical page @pa. No TLB maintenance. */
export function map(k: Kernel, va: number, pa: number, type = MT_WRITEBACK): void {
  set_pte_ext(k, pteOf(k, va), linuxPte(pa, type));
}

/** Statistics of a CPU's seat. */
export const stat = (k: Kernel, which: number): number => k.hw[k.layout.seats + k.cpu * Seat.words + which] as number;

/** State of the line with @key in the CPU's own cache, by MESI. */
export function mesi(k: Kernel, key: number): 'M' | 'E' | 'S' | 'I' {
  const cache = k.mmu.cache.own;
  const line = cache.find(key);
  if (line < 0) return 'I';
  const flags = cache.flagsOf(line);
  if ((flags & LineFlag.modified) !== 0) return 'M';
  return (flags & LineFlag.exclusive) !== 0 ? 'E' : 'S';
}

/** Addresses that the ways of a set hold, or null for a free way. */
export function waysOf(k: Kernel, set: number): (number | null)[] {
  const { own } = k.mmu.cache;
  const { ways } = own.geometry;
  return Array.from({ length: ways }, (_, way) => (own.isValid(set * ways + way) ? own.keyOf(set * ways + way) : null));
}

/** The first-level entry of the megabyte around @va becomes the coarse table at physical address @table. */
export function setPgd(k: Kernel, va: number, table: number): void {
  k.store(vaddr(k.sym.swapper_pg_dir + (va >>> 20) * 4), table | 1);
}
