/** What the tests of PA-RISC are written with: bytes in big-endian words, user aliases, a DMA master. */
import type { PariscMmu } from '../../src/arch/parisc/mmu.js';
import { PAGE_SHARED } from '../../src/arch/parisc/pgtable.js';
import { Device } from '../../src/cpu/device.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { map_user_page } from '../../src/mm/parisc/boot.js';
import { type Paddr, type Pfn, vaddr } from '../../src/shared/types.js';
import { bytesOf, runsOf } from './bytes.js';

/** Byte n of a word is the n-th from the most significant. */
const shiftOf = (address: number): number => (3 - (address & 3)) * 8;

export const mmuOf = (k: Kernel): PariscMmu => k.mmu as PariscMmu;

export const ld = (k: Kernel, va: number): number => (k.mmu.load32((va & ~3) >>> 0) >>> shiftOf(va)) & 0xff;

export function st(k: Kernel, va: number, byte: number): void {
  k.mmu.store32((va & ~3) >>> 0, byte << shiftOf(va), 0xff << shiftOf(va));
}

export const loads = (k: Kernel, va: number, count: number): string =>
  runsOf(Array.from({ length: count }, (_, i) => ld(k, va + i)));

const deviceOf = (k: Kernel): Device =>
  new Device(k.config, { arena: k.words.buffer as SharedArrayBuffer, hw: k.hw.buffer as SharedArrayBuffer }, 0);

/** What RAM holds, as a DMA master outside the caches' domain reads it. */
export const ram = (k: Kernel, pa: number, count: number): string => runsOf(deviceOf(k).readBytes(pa as Paddr, count));

export function setRam(k: Kernel, pa: number, runs: string): void {
  deviceOf(k).writeBytes(pa as Paddr, bytesOf(runs));
}

export const dmaWrite = setRam;

/** A user address whose page is @pa. */
export function mapUser(k: Kernel, va: number, pa: number, prot = PAGE_SHARED): void {
  map_user_page(k, vaddr(va), (pa >>> 12) as Pfn, prot);
}
