/**
 * CONFIG_DEBUG_PAGEALLOC where the architecture cannot unmap pages of the direct map, which neither ARM nor PA-RISC can: free pages are filled
 * with 0xaa, and looked at when they are given out.
 *
 * Source: mm/debug-pagealloc.c, Linux 2.6.30, 3.2; mm/page_poison.c, Linux 4.12; spec/checkers.md §6.6. Differs: the flag of a page is in an array of
 * its own; pages that nobody has had since boot hold junk and are not looked at; the limit is that of printk_ratelimit() in every version.
 */
import { km_type } from '../arch/arm/memory.js';
import { type MachineConfig, PAGE_SIZE } from '../cpu/config.js';
import type { Kernel } from '../cpu/kernel.js';
import type { SymbolSpec } from '../shared/kernel-base.js';
import { Point } from '../shared/point.js';
import { struct_page } from '../shared/structs/page.js';
import { NULL, type Vaddr, vaddr } from '../shared/types.js';
import { KERNEL_VERSION } from '../shared/version.js';
import { kmap_atomic, kunmap_atomic } from './arm/highmem.js';
import { print_hex_dump } from './hexdump.js';
import { kasan_disable_current, kasan_enable_current } from './kasan.js';
import { lowmem_page_address, type Page, PageHighMem, page_plus } from './page.js';
import { printk_ratelimit } from './ratelimit.js';
import { memchr_inv } from './string.js';

const PAGE_POISON = 0xaa;
const POISON_WORD = 0xaaaaaaaa;
const LINUX_2_6_30 = KERNEL_VERSION(2, 6, 30);
/** Until then highmem pages are left alone. */
const POISONS_HIGHMEM = KERNEL_VERSION(3, 2, 0);

declare module '../shared/kernel-base.js' {
  interface Symbols {
    /** A word for each page: is it filled? Only with CONFIG_DEBUG_PAGEALLOC. */
    page_debug_flags: Vaddr;
  }
}

export const debugPageallocSymbols = (config: MachineConfig): Record<string, SymbolSpec> =>
  config.debugPagealloc
    ? { page_debug_flags: { bytes: (config.lowmemPages + config.highmemPages) * 4, align: 4 } }
    : {};

/** Kernels before 2.6.30 have the option on other architectures only. */
export const debug_pagealloc_enabled = (k: Kernel): boolean =>
  k.config.debugPagealloc && k.LINUX_VERSION_CODE >= LINUX_2_6_30;

const flagOf = (k: Kernel, page: Page): Vaddr =>
  vaddr(k.sym.page_debug_flags + ((page - k.sym.mem_map) / struct_page.sizeof) * 4);

/** The address of a page for as long as @use needs it: a highmem page gets an atomic mapping. */
function withAddress(k: Kernel, page: Page, use: (addr: Vaddr) => void): void {
  if (!PageHighMem(k, page)) use(lowmem_page_address(k, page));
  else {
    const addr = kmap_atomic(k, page, km_type.KM_USER0);
    use(addr);
    kunmap_atomic(k, addr, km_type.KM_USER0);
  }
}

/** Differs: one scheduling point for the page, since nobody may have it. */
function poison(k: Kernel, addr: Vaddr): void {
  k.point(Point.CachedStore, addr);
  for (let offset = 0; offset < PAGE_SIZE; offset += 4) k.mmu.store32(addr + offset, POISON_WORD);
}

function poison_page(k: Kernel, page: Page): void {
  k.store(flagOf(k, page), 1);
  withAddress(k, page, (addr) => poison(k, addr));
}

function isPoison(k: Kernel, addr: Vaddr): boolean {
  k.point(Point.CachedLoad, addr);
  let differs = 0;
  for (let offset = 0; offset < PAGE_SIZE; offset += 4) differs |= k.mmu.load32(addr + offset) ^ POISON_WORD;
  k.footprint?.observe(differs);
  return differs === 0;
}

const singleBitFlip = (byte: number): boolean => {
  const wrong = byte ^ PAGE_POISON;
  return (wrong & (wrong - 1)) === 0;
};

/** Say which bytes of a free page somebody has written to. */
function check_poison_mem(k: Kernel, addr: Vaddr): void {
  if (isPoison(k, addr)) return;
  const start = memchr_inv(k, addr, PAGE_POISON, PAGE_SIZE);
  if (start === NULL) return;
  let end = addr + PAGE_SIZE - 1;
  while (end > start && k.load8(vaddr(end)) === PAGE_POISON) end--;
  if (!printk_ratelimit(k)) return;
  const flipped = start === end && singleBitFlip(k.load8(start));
  k.printk(flipped ? 'pagealloc: single bit error' : 'pagealloc: memory corruption');
  print_hex_dump(k, '', start, end - start + 1);
  k.dumpStack();
}

function unpoison_page(k: Kernel, page: Page): void {
  if (k.load(flagOf(k, page)) === 0) return;
  kasan_disable_current(k);
  withAddress(k, page, (addr) => check_poison_mem(k, addr));
  kasan_enable_current(k);
  k.store(flagOf(k, page), 0);
}

/**
 * The pages of a block are given out (@enable), or have been given back.
 *
 * Context: any; the block is the caller's.
 */
export function kernel_map_pages(k: Kernel, block: Page, numpages: number, enable: boolean): void {
  if (!debug_pagealloc_enabled(k)) return;
  for (let i = 0; i < numpages; i++) {
    const page = page_plus(block, i);
    if (PageHighMem(k, page) && k.LINUX_VERSION_CODE < POISONS_HIGHMEM) continue;
    if (enable) unpoison_page(k, page);
    else poison_page(k, page);
  }
}
