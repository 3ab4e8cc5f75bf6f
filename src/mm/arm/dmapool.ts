/**
 * Pools of small blocks of consistent memory: pages of dma_alloc_coherent(), cut into blocks, with a bit for each that is free.
 *
 * Source: drivers/base/dmapool.c, Linux 2.6.22; spec/slab-dma.md §4.3.
 * Differs: the struct of a pool is the caller's static memory, since its lock is in it; the bitmaps are changed by plain loads and stores, under the
 * lock as in the source. Left out: names, waiting for a block with GFP_KERNEL, poison of CONFIG_DEBUG_SLAB.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { defineStruct } from '../../shared/layout.js';
import {
  container_of,
  INIT_LIST_HEAD,
  type List,
  list_add,
  list_del,
  list_empty,
  list_next,
  list_of,
} from '../../shared/list.js';
import { type SpinLock, spin_lock_irqsave, spin_unlock_irqrestore } from '../../shared/spinlock.js';
import { hex8, NULL, type Paddr, type Ptr, paddr, ptr, type Vaddr, vaddr } from '../../shared/types.js';
import { gfp } from '../gfp.js';
import { kfree, kmalloc } from '../kmalloc.js';
import type { Consistent } from './consistent.js';
import { dma_alloc_coherent, dma_free_coherent } from './dma-coherent.js';

/** `struct dma_pool`: the caller's memory. Differs: offsets are ours. */
export const struct_dma_pool = defineStruct('dma_pool', 28, {
  page_list: [0, 8],
  lock: 8,
  blocks_per_page: 12,
  size: 16,
  dev: 20,
  allocation: 24,
});
/** `struct dma_page`; the bitmap is behind it: 1 for a block that is free. */
const struct_dma_page = defineStruct('dma_page', 20, {
  page_list: [0, 8],
  vaddr: 8,
  dma: 12,
  in_use: 16,
});

export type DmaPool = Ptr<'dma_pool'>;
type DmaPage = Ptr<'dma_page'>;

const PAGE_SIZE = 4096;
const BITS_PER_LONG = 32;
const NOTHING: Consistent = { addr: NULL, handle: 0 as Paddr };

const pagesOf = (pool: DmaPool): List => list_of(pool, struct_dma_pool.page_list.offset);
const lockOf = (pool: DmaPool): SpinLock => ptr<'spinlock'>(pool + struct_dma_pool.lock.offset);
const nodeOf = (page: DmaPage): List => list_of(page, struct_dma_page.page_list.offset);
const pageOf = (entry: List): DmaPage => container_of<'dma_page'>(entry, struct_dma_page.page_list.offset);
const bitmapWord = (page: DmaPage, map: number): Vaddr => vaddr(page + struct_dma_page.sizeof + map * 4);
const devOf = (k: Kernel, pool: DmaPool): Ptr<'device'> => ptr<'device'>(k.read(pool, struct_dma_pool.dev));

/** Words of a page's bitmap. */
const mapWords = (k: Kernel, pool: DmaPool): number =>
  Math.ceil(k.read(pool, struct_dma_pool.blocks_per_page) / BITS_PER_LONG);

/**
 * Blocks of @size bytes at multiples of @align, in pieces of @allocation bytes that no block crosses; 0: whole pages.
 *
 * Context: any. @pool: zeroed static memory. Return: false for sizes that make no sense.
 */
export function dma_pool_create(
  k: Kernel,
  pool: DmaPool,
  dev: Ptr<'device'>,
  size: number,
  align = 1,
  allocation = 0,
): boolean {
  if (size === 0) return false;
  let block = size < align ? align : size;
  if (block % align !== 0) block = (block + align + 1) & ~(align - 1);
  const piece = allocation === 0 ? Math.max(PAGE_SIZE, block) : allocation;
  if (piece < block) return false;
  INIT_LIST_HEAD(k, pagesOf(pool));
  k.write(pool, struct_dma_pool.dev, dev);
  k.write(pool, struct_dma_pool.size, block);
  k.write(pool, struct_dma_pool.allocation, piece);
  k.write(pool, struct_dma_pool.blocks_per_page, Math.floor(piece / block));
  return true;
}

/** One page more, all its blocks free. Context: the pool's lock held, interrupts off. Return: NULL without memory. */
function pool_alloc_page(k: Kernel, pool: DmaPool): DmaPage {
  const { GFP_ATOMIC } = gfp(k);
  const words = mapWords(k, pool);
  const page = kmalloc<'dma_page'>(k, struct_dma_page.sizeof + words * 4, GFP_ATOMIC);
  if (page === NULL) return NULL;
  const got = dma_alloc_coherent(k, devOf(k, pool), k.read(pool, struct_dma_pool.allocation), GFP_ATOMIC);
  if (got.addr === NULL) {
    kfree(k, page);
    return NULL;
  }
  k.write(page, struct_dma_page.vaddr, got.addr);
  k.write(page, struct_dma_page.dma, got.handle);
  for (let map = 0; map < words; map++) k.store(bitmapWord(page, map), -1);
  list_add(k, nodeOf(page), pagesOf(pool));
  k.write(page, struct_dma_page.in_use, 0);
  return page;
}

/** The first free block of the page, or -1. Context: the pool's lock held. */
function freeBlock(k: Kernel, pool: DmaPool, page: DmaPage): number {
  const blocks = k.read(pool, struct_dma_pool.blocks_per_page);
  for (let map = 0; map * BITS_PER_LONG < blocks; map++) {
    const bits = k.load(bitmapWord(page, map));
    if (bits === 0) continue;
    const block = map * BITS_PER_LONG + (31 - Math.clz32(bits & -bits));
    if (block < blocks) return block;
  }
  return -1;
}

/** Context: the pool's lock held. Return: page and block, or null. */
function findFree(k: Kernel, pool: DmaPool): readonly [DmaPage, number] | null {
  const head = pagesOf(pool);
  for (let entry = list_next(k, head); entry !== head; entry = list_next(k, entry)) {
    const block = freeBlock(k, pool, pageOf(entry));
    if (block >= 0) return [pageOf(entry), block];
  }
  const page = pool_alloc_page(k, pool);
  return page === NULL ? null : [page, 0];
}

function markBlock(k: Kernel, page: DmaPage, block: number, free: boolean): void {
  const word = bitmapWord(page, Math.floor(block / BITS_PER_LONG));
  const bit = 1 << (block % BITS_PER_LONG);
  k.store(word, free ? k.load(word) | bit : k.load(word) & ~bit);
  k.write(page, struct_dma_page.in_use, k.read(page, struct_dma_page.in_use) + (free ? -1 : 1));
}

/** Context: any. Takes and releases the pool's lock (irqsave). Return: NULL when there is no memory. */
export function dma_pool_alloc(k: Kernel, pool: DmaPool): Consistent {
  const flags = spin_lock_irqsave(k, lockOf(pool));
  const found = findFree(k, pool);
  let got = NOTHING;
  if (found !== null) {
    const [page, block] = found;
    markBlock(k, page, block, false);
    const offset = block * k.read(pool, struct_dma_pool.size);
    const addr = vaddr(k.read(page, struct_dma_page.vaddr) + offset);
    got = { addr, handle: ((k.read(page, struct_dma_page.dma) + offset) >>> 0) as Paddr };
  }
  spin_unlock_irqrestore(k, lockOf(pool), flags);
  return got;
}

/** The page that holds a bus address. Context: any; takes and releases the pool's lock (irqsave). Return: NULL when none does. */
function pool_find_page(k: Kernel, pool: DmaPool, dma: Paddr): DmaPage {
  const flags = spin_lock_irqsave(k, lockOf(pool));
  const bytes = k.read(pool, struct_dma_pool.allocation);
  const head = pagesOf(pool);
  let found: DmaPage = NULL;
  for (let entry = list_next(k, head); entry !== head && found === NULL; entry = list_next(k, entry)) {
    const start = k.read(pageOf(entry), struct_dma_page.dma);
    if (dma >>> 0 >= start && dma >>> 0 < start + bytes) found = pageOf(entry);
  }
  spin_unlock_irqrestore(k, lockOf(pool), flags);
  return found;
}

/** Context: any. Takes and releases the pool's lock (irqsave). An address that is no block's is said. Pages stay with the pool. */
export function dma_pool_free(k: Kernel, pool: DmaPool, addr: Vaddr, dma: Paddr): void {
  addr = vaddr(addr);
  dma = paddr(dma);
  const page = pool_find_page(k, pool, dma);
  if (page === NULL) {
    k.printk(`dma_pool_free ${hex8(addr)}/${(dma >>> 0).toString(16)} (bad dma)`);
    return;
  }
  const size = k.read(pool, struct_dma_pool.size);
  const block = Math.floor(((dma >>> 0) - k.read(page, struct_dma_page.dma)) / size);
  const flags = spin_lock_irqsave(k, lockOf(pool));
  markBlock(k, page, block, true);
  spin_unlock_irqrestore(k, lockOf(pool), flags);
}

/** Context: process, interrupts on; nobody uses the pool. The memory of a page with blocks in use is lost, and that is said. */
export function dma_pool_destroy(k: Kernel, pool: DmaPool): void {
  while (!list_empty(k, pagesOf(pool))) {
    const page = pageOf(list_next(k, pagesOf(pool)));
    const addr = vaddr(k.read(page, struct_dma_page.vaddr));
    if (k.read(page, struct_dma_page.in_use) > 0) k.printk(`dma_pool_destroy ${hex8(addr)} busy`);
    else {
      const handle = k.read(page, struct_dma_page.dma) as Paddr;
      dma_free_coherent(k, devOf(k, pool), k.read(pool, struct_dma_pool.allocation), addr, handle);
    }
    list_del(k, nodeOf(page));
    kfree(k, page);
  }
}
