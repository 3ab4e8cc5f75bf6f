/**
 * I/O page directories of PA-RISC: which I/O virtual addresses are in use, what they lead to, and what has to be flushed and purged for the adapter to know.
 *
 * Source: drivers/parisc/{ccio-dma,sba_iommu}.c, Linux 2.6.22; spec/slab-dma.md §4.4, spec/hardware.md §8.1, §8.2. One adapter, all devices behind it.
 * Differs: the directory has an entry for each frame of memory, rounded up to a power of two, at least 256 of them: the kernel's least is 1 MB as well.
 * Left out: AGP, the hole of 128 KB on old PA-8700, coalescing of scatterlists (each entry is mapped by itself), hints but for `safe`.
 */

import { LDCW_BYTES } from '../../arch/parisc/cpu.js';
import type { PariscMmu } from '../../arch/parisc/mmu.js';
import type { MachineConfig } from '../../cpu/config.js';
import { CacheOp } from '../../cpu/cpu-cache.js';
import { purgeIoChain, purgeIoRange, setIoPdir } from '../../cpu/io-mmu.js';
import type { Kernel } from '../../cpu/kernel.js';
import { BUG_ON } from '../../shared/bug.js';
import type { SymbolSpec } from '../../shared/kernel-base.js';
import { type SpinLock, spin_lock_init, spin_lock_irqsave, spin_unlock_irqrestore } from '../../shared/spinlock.js';
import { type Paddr, type Vaddr, vaddr } from '../../shared/types.js';
import type { DmaDirection } from '../arm/dma-mapping.js';
import { gfp } from '../gfp.js';
import { get_order } from '../page.js';
import { __get_free_pages } from '../page_alloc.js';

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    /** Guards the map of I/O pages, the hints and the directory. */
    ioc_res_lock: SpinLock;
    /** A bit for each entry of the directory, those of a word from the most significant on. */
    ioc_res_map: Vaddr;
    /** Byte of the map at which the next search begins; sba: and the bit in its word. */
    ioc_res_hint: Vaddr;
    ioc_res_bitshift: Vaddr;
    /** sba: ranges that wait to be given back: address and bytes. */
    ioc_saved: Vaddr;
    ioc_saved_cnt: Vaddr;
    ioc_pdir_base: Vaddr;
  }
}

const PAGE = 4096;
const PAGE_MASK = ~(PAGE - 1);
const IOVA_PAGES_MIN = 256;
const DELAYED_RESOURCE_CNT = 16;
const BITS_PER_LONG = 32;
const SBA_L1_CACHE_BYTES = 64;

/** I/O pages: as many as the machine has frames. */
function pdirEntries(config: MachineConfig): number {
  const frames = Math.max(config.lowmemPages, IOVA_PAGES_MIN);
  return 2 ** Math.ceil(Math.log2(frames));
}

const resSize = (config: MachineConfig): number => pdirEntries(config) / 8;

/** Is there an adapter with a directory, and which? */
export const iommuOf = (config: MachineConfig): 'ccio' | 'sba' | null =>
  config.iommu ? (config.core.parisc?.iommu ?? null) : null;

export function iommuSymbols(config: MachineConfig): Record<string, SymbolSpec> {
  if (iommuOf(config) === null) return {};
  return {
    ioc_res_lock: { bytes: LDCW_BYTES, align: 64 },
    ioc_res_map: { bytes: resSize(config) },
    ioc_res_hint: { bytes: 4 },
    ioc_res_bitshift: { bytes: 4 },
    ioc_saved: { bytes: DELAYED_RESOURCE_CNT * 8 },
    ioc_saved_cnt: { bytes: 4 },
    ioc_pdir_base: { bytes: 4 },
  };
}

/** Boot, CPU 0 alone: the directory, empty, in pages as they come. */
export function iommu_init(k: Kernel): void {
  const kind = iommuOf(k.config);
  if (kind === null) return;
  spin_lock_init(k, k.sym.ioc_res_lock);
  const entries = pdirEntries(k.config);
  const base = __get_free_pages(k, gfp(k).GFP_KERNEL, get_order(entries * 8));
  for (let at = 0; at < entries * 8; at += 4) k.memory.write32((k.__pa(base) + at) as Paddr, 0);
  k.store(k.sym.ioc_pdir_base, base);
  if (kind === 'sba') k.store(k.sym.ioc_res_hint, SBA_L1_CACHE_BYTES);
  setIoPdir(k, k.__pa(base), entries);
}

const pdirEntry = (k: Kernel, iova: number): Vaddr => vaddr((k.load(k.sym.ioc_pdir_base) >>> 0) + (iova >>> 12) * 8);
const word = (k: Kernel, byte: number): Vaddr => vaddr(k.sym.ioc_res_map + byte);

/** Has the directory to be written to memory for the adapter to see it? */
const needsFdc = (k: Kernel): boolean =>
  !k.patched['mutant-iopdir-no-fdc'] && (k.config.core.parisc?.iommu === 'ccio' || k.config.ioPdirFdc);

function fdc(k: Kernel, addr: Vaddr): void {
  if (needsFdc(k)) k.mmu.cacheLine(CacheOp.flush, addr);
}

const outOfResources = (k: Kernel, where: string): never =>
  k.die('bug', `Kernel panic: ${where} I/O MMU is out of mapping resources`, 0);

// ---- ccio ----------------------------------------------------------------------------------------------------------

/** Whole units of the map, whatever is asked for: 8, 16 or 32 pages. */
function ccioUnit(k: Kernel, pages: number): 1 | 2 | 4 {
  BUG_ON(k, pages === 0 || pages > BITS_PER_LONG, 'drivers/parisc/ccio-dma.c ccio_alloc_range', pages);
  return pages <= 8 ? 1 : pages <= 16 ? 2 : 4;
}

const FULL = { 1: 0xff, 2: 0xffff, 4: -1 } as const;
const loadUnit = (k: Kernel, at: Vaddr, unit: 1 | 2 | 4): number =>
  unit === 1 ? k.load8(at) : unit === 2 ? k.load16(at) : k.load(at);
function storeUnit(k: Kernel, at: Vaddr, unit: 1 | 2 | 4, value: number): void {
  if (unit === 1) k.store8(at, value);
  else if (unit === 2) k.store16(at, value);
  else k.store(at, value);
}

/** Context: ioc_res_lock held. Return: the first I/O page. Errors: panic when the map is full. */
function ccio_alloc_range(k: Kernel, pages: number): number {
  const unit = ccioUnit(k, pages);
  const end = resSize(k.config);
  const hint = k.load(k.sym.ioc_res_hint) & -unit;
  // From the hint to the end, then all of it once more.
  for (const from of [hint, 0]) {
    for (let idx = from; idx < end; idx += unit) {
      if (loadUnit(k, word(k, idx), unit) !== 0) continue;
      storeUnit(k, word(k, idx), unit, FULL[unit]);
      k.store(k.sym.ioc_res_hint, idx + unit);
      return idx * 8;
    }
  }
  return outOfResources(k, 'drivers/parisc/ccio-dma.c: ccio_alloc_range()');
}

/** Context: ioc_res_lock held. Errors: BUG when it was not allocated. */
function ccio_free_range(k: Kernel, iova: number, pages: number): void {
  const unit = ccioUnit(k, pages);
  const at = word(k, iova >>> 15);
  const map = loadUnit(k, at, unit);
  BUG_ON(k, map !== FULL[unit], 'drivers/parisc/ccio-dma.c ccio_free_range', iova);
  storeUnit(k, at, unit, 0);
}

const IOPDIR_VALID = 0x01;
const HINT_SAFE_DMA = 0x02;
const HINT_PREFETCH = 0x10;
/** By direction. */
const CCIO_HINTS = [HINT_SAFE_DMA | IOPDIR_VALID, HINT_PREFETCH | IOPDIR_VALID, IOPDIR_VALID];

const lci = (k: Kernel, addr: Vaddr): number => (k.mmu as PariscMmu).lci(addr);

/** The directory's entry for a page: flushed and waited for, one by one. */
function ccio_io_pdir_entry(k: Kernel, entry: Vaddr, addr: Vaddr, hints: number): void {
  k.store32(vaddr(entry + 4), ((k.__pa(addr) & PAGE_MASK) | hints) >>> 0);
  k.store32(entry, (lci(k, addr) << 16) >>> 0);
  fdc(k, entry);
}

/**
 * The entries are no longer valid, and gone from the adapter's TLB. What is flushed is the line of the address that the valid byte's value is, 0 (arch/parisc
 * has it so from 2.4 to 4.19): memory keeps the valid entry until the line is written back by chance. Patch `ccio-flush-invalid` flushes the entry.
 */
function ccio_mark_invalid(k: Kernel, iova: number, bytes: number): void {
  for (let at = iova; at < iova + bytes; at += PAGE) {
    const entry = pdirEntry(k, at);
    k.store8(vaddr(entry + 7), 0);
    fdc(k, k.patched['ccio-flush-invalid'] ? entry : vaddr(k.load8(vaddr(entry + 7))));
  }
  // One for each chain, and at least one.
  const chain = Math.max(PAGE, (pdirEntries(k.config) / 256) * PAGE);
  for (let at = 0; at < bytes; at += chain) purgeIoChain(k, iova + at);
}

// ---- sba -----------------------------------------------------------------------------------------------------------

/** The n most significant bits of a word of the map. */
const RESMAP_MASK = (bits: number): number => (bits >= BITS_PER_LONG ? -1 : -1 << (BITS_PER_LONG - bits));

/** Context: ioc_res_lock held. Return: the first I/O page, or -1 when there was none from the hint on; the hint is then the beginning. */
function sba_search_bitmap(k: Kernel, bits: number): number {
  const end = resSize(k.config);
  let at = k.load(k.sym.ioc_res_hint);
  let pide = -1;
  if (bits > BITS_PER_LONG / 2) {
    for (; at < end && pide < 0; at += 4) {
      if (k.load(word(k, at)) !== 0) continue;
      k.store(word(k, at), RESMAP_MASK(bits));
      pide = at * 8;
    }
    k.store(k.sym.ioc_res_bitshift, 0);
  } else {
    const step = 1 << get_order(bits * PAGE);
    let shift = (k.load(k.sym.ioc_res_bitshift) + step - 1) & -step;
    if (shift >= BITS_PER_LONG) {
      shift = 0;
      at += 4;
    }
    while (at < end && pide < 0) {
      const mask = RESMAP_MASK(bits) >>> shift;
      const map = k.load(word(k, at));
      if ((map & mask) === 0) {
        k.store(word(k, at), map | mask);
        pide = at * 8 + shift;
      } else if (shift + step >= BITS_PER_LONG) {
        shift = 0;
        at += 4;
      } else shift += step;
    }
    k.store(k.sym.ioc_res_bitshift, shift + bits);
  }
  const wrapped = at >= end;
  k.store(k.sym.ioc_res_hint, wrapped ? 0 : at);
  if (wrapped) k.store(k.sym.ioc_res_bitshift, 0);
  return pide;
}

/** Context: ioc_res_lock held. Errors: panic when the second search finds nothing either. */
function sba_alloc_range(k: Kernel, pages: number): number {
  BUG_ON(k, pages === 0 || pages > BITS_PER_LONG, 'drivers/parisc/sba_iommu.c sba_alloc_range', pages);
  const first = sba_search_bitmap(k, pages);
  if (first >= 0) return first;
  const second = sba_search_bitmap(k, pages);
  return second >= 0 ? second : outOfResources(k, 'drivers/parisc/sba_iommu.c:');
}

/** Context: ioc_res_lock held. Nothing checks that the bits were set. */
function sba_free_range(k: Kernel, iova: number, bytes: number): void {
  const pide = iova >>> 12;
  const at = word(k, (pide >>> 3) & ~3);
  const mask = RESMAP_MASK(bytes >>> 12) >>> (pide & (BITS_PER_LONG - 1));
  k.store(at, k.load(at) & ~mask);
}

const swab32 = (x: number): number =>
  (((x & 0xff) << 24) | ((x & 0xff00) << 8) | ((x >>> 8) & 0xff00) | (x >>> 24)) >>> 0;
/** The valid bit, in the word of the higher addresses as a big-endian CPU stores it. */
const SBA_VALID = 0x80;

/** Little-endian: physical page, index in the lowest byte, valid bit in the highest. */
function sba_io_pdir_entry(k: Kernel, entry: Vaddr, addr: Vaddr): void {
  k.store32(entry, swab32(((k.__pa(addr) & PAGE_MASK) | lci(k, addr)) >>> 0));
  k.store32(vaddr(entry + 4), SBA_VALID);
  fdc(k, entry);
}

function sba_mark_invalid(k: Kernel, iova: number, bytes: number): void {
  for (let at = iova; at < iova + bytes; at += PAGE) {
    k.store8(vaddr(pdirEntry(k, at) + 7), 0);
    fdc(k, pdirEntry(k, at));
  }
  if (!k.patched['mutant-sba-no-purge']) purgeIoRange(k, iova, PAGE << get_order(bytes));
}

/** Ranges are given back sixteen at a time, when the purges are known to be over. Context: ioc_res_lock held. */
function sbaFreeLater(k: Kernel, iova: number, bytes: number): void {
  const count = k.load(k.sym.ioc_saved_cnt);
  const saved = (n: number): Vaddr => vaddr(k.sym.ioc_saved + n * 8);
  k.store(saved(count), iova);
  k.store(vaddr(saved(count) + 4), bytes);
  k.store(k.sym.ioc_saved_cnt, count + 1);
  if (count + 1 < DELAYED_RESOURCE_CNT) return;
  for (let n = count; n >= 0; n--) sba_free_range(k, k.load(saved(n)) >>> 0, k.load(vaddr(saved(n) + 4)));
  k.store(k.sym.ioc_saved_cnt, 0);
}

// ---- what both have in common ----------------------------------------------------------------------------------------

/** Whole pages around a buffer. */
const pagesAround = (addr: number, size: number): number => ((addr & ~PAGE_MASK) + size + PAGE - 1) & PAGE_MASK;

/**
 * I/O addresses for a buffer of the direct map.
 *
 * Context: any. Takes and releases ioc_res_lock (irqsave). Return: the bus address.
 * Errors:  panic when no range is free, with the lock held; BUG for no bytes, or for more than 32 pages.
 */
export function iommu_map_single(k: Kernel, addr: Vaddr, size: number, direction: DmaDirection): Paddr {
  const ccio = iommuOf(k.config) === 'ccio';
  BUG_ON(k, size <= 0, 'drivers/parisc: map_single', size);
  const bytes = pagesAround(addr, size);
  // Whether lines are shared is asked of the address only: the size has been rounded.
  const safe = addr % k.config.core.dcache.lineBytes !== 0 ? HINT_SAFE_DMA : 0;
  const hints = (CCIO_HINTS[direction] ?? IOPDIR_VALID) | safe;
  const flags = spin_lock_irqsave(k, k.sym.ioc_res_lock);
  const page = ccio ? ccio_alloc_range(k, bytes >>> 12) : sba_alloc_range(k, bytes >>> 12);
  for (let offset = 0; offset < bytes; offset += PAGE) {
    const entry = pdirEntry(k, page * PAGE + offset);
    if (ccio) ccio_io_pdir_entry(k, entry, vaddr(addr + offset), hints);
    else sba_io_pdir_entry(k, entry, vaddr(addr + offset));
  }
  spin_unlock_irqrestore(k, k.sym.ioc_res_lock, flags);
  return (page * PAGE + (addr & ~PAGE_MASK)) as Paddr;
}

/** Context: any. Takes and releases ioc_res_lock (irqsave). */
export function iommu_unmap_single(k: Kernel, iova: Paddr, size: number): void {
  const first = (iova & PAGE_MASK) >>> 0;
  const bytes = pagesAround(iova, size);
  const flags = spin_lock_irqsave(k, k.sym.ioc_res_lock);
  if (iommuOf(k.config) === 'ccio') {
    ccio_mark_invalid(k, first, bytes);
    ccio_free_range(k, first, bytes >>> 12);
  } else {
    sba_mark_invalid(k, first, bytes);
    sbaFreeLater(k, first, bytes);
  }
  spin_unlock_irqrestore(k, k.sym.ioc_res_lock, flags);
}
