/**
 * vm_map_ram() and vm_unmap_ram(): short-lived mappings of up to 32 pages come from blocks, of which each CPU has its own, so that most of them take no
 * global lock and no TLB flush.
 *
 * Source: mm/vmalloc.c, Linux 2.6.28, 2.6.32, 2.6.34, 4.10 and 4.12; spec/vmalloc-gfp.md §6.4, §6.5. 2.6.28 has a bit for each page in two maps, 4.x hands out one page
 * after the other. A region that was freed is not used again before its whole block is. Differs: the radix tree is an array
 * of 64 blocks from VMALLOC_START on, beyond which there is no room; their locks stand in another, since atomic operations are for static memory; NR_CPUS is the
 * number of CPUs of the machine.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { BUG_ON } from '../../shared/bug.js';
import { preempt_disable, preempt_enable } from '../../shared/irqflags.js';
import type { SymbolSpec } from '../../shared/kernel-base.js';
import { defineStruct } from '../../shared/layout.js';
import {
  container_of,
  INIT_LIST_HEAD,
  type List,
  list_add,
  list_add_tail,
  list_del,
  list_next,
  list_of,
} from '../../shared/list.js';
import { type SpinLock, spin_lock, spin_lock_init, spin_unlock } from '../../shared/spinlock.js';
import { NULL, type Ptr, ptr, type Vaddr, vaddr } from '../../shared/types.js';
import { KERNEL_VERSION } from '../../shared/version.js';
import { kfree, kmalloc } from '../kmalloc.js';
import { get_order } from '../page.js';
import { kfree_rcu, rcu_read_lock, rcu_read_unlock } from '../rcu.js';
import { flush_cache_vunmap, vmap_debug_free_range, vmap_page_range, vunmap_page_range } from './page-range.js';
import { metadataMask } from './pages.js';
import { PAGE_SIZE } from './vm-struct.js';
import { allocAnywhere, find_vmap_area, type Purge, type VmapArea, va_start } from './vmap-area.js';

/** Pages of the biggest request that a block serves. */
export const VMAP_MAX_ALLOC = 32;
const VMALLOC_SPACE_PAGES = (128 << 20) / PAGE_SIZE;
const BITS_MIN = VMAP_MAX_ALLOC * 2;
const BITS_MAX = 1024;

/** Pages of a block on a machine of so many CPUs. */
const blockPages = (cpus: number): number =>
  Math.min(BITS_MAX, Math.max(BITS_MIN, VMALLOC_SPACE_PAGES / 2 ** Math.ceil(Math.log2(cpus)) / 16));
export const VMAP_BBMAP_BITS = (k: Kernel): number => blockPages(k.config.cpus);
const VMAP_BLOCK_SIZE = (k: Kernel): number => VMAP_BBMAP_BITS(k) * PAGE_SIZE;

/** Differs: one layout; 2.6.28 to 2.6.34 have the maps behind it, a bit for each page. */
export const struct_vmap_block = defineStruct('vmap_block', 64, {
  lock: 0, // where it is
  va: 16,
  vbq: 20,
  free: 24, // pages that have never been handed out
  dirty: 28, // pages that have been given back
  dirty_min: 32, // 4.x
  dirty_max: 36,
  free_list: [40, 8],
  rcu_head: [48, 8],
});
type VmapBlock = Ptr<'vmap_block'>;

/** One for each CPU. */
const struct_vmap_block_queue = defineStruct('vmap_block_queue', 32, { lock: [0, 16], free: [16, 8] });
type VmapBlockQueue = Ptr<'vmap_block_queue'>;

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    vmap_block_queue: Vaddr;
    vmap_block_tree_lock: SpinLock;
    /** A word for each block that there may be. */
    vmap_block_tree: Vaddr;
    vmap_block_locks: Vaddr;
  }
}

const BLOCKS_MAX = 64;
const LOCK_BYTES = 16;

export const vmapBlockSymbols = (cpus: number): Record<string, SymbolSpec> => ({
  vmap_block_queue: { bytes: struct_vmap_block_queue.sizeof * cpus, align: 32 },
  vmap_block_tree_lock: { bytes: 4, align: 32 },
  vmap_block_tree: { bytes: BLOCKS_MAX * 4 },
  vmap_block_locks: { bytes: BLOCKS_MAX * LOCK_BYTES, align: 16 },
});

const queueOf = (k: Kernel, cpu: number): VmapBlockQueue =>
  ptr<'vmap_block_queue'>(k.sym.vmap_block_queue + cpu * struct_vmap_block_queue.sizeof);
const queueLock = (vbq: VmapBlockQueue): SpinLock => ptr<'spinlock'>(vbq + struct_vmap_block_queue.lock.offset);
const freeOf = (vbq: VmapBlockQueue): List => list_of(vbq, struct_vmap_block_queue.free.offset);
const lockOf = (k: Kernel, vb: VmapBlock): SpinLock => ptr<'spinlock'>(k.read(vb, struct_vmap_block.lock));
const entryOf = (vb: VmapBlock): List => list_of(vb, struct_vmap_block.free_list.offset);
const blockOf = (entry: List): VmapBlock => container_of<'vmap_block'>(entry, struct_vmap_block.free_list.offset);
const startOf = (k: Kernel, vb: VmapBlock): number => va_start(k, ptr<'vmap_area'>(k.read(vb, struct_vmap_block.va)));

/** Boot. */
export function vmap_block_init(k: Kernel): void {
  spin_lock_init(k, k.sym.vmap_block_tree_lock);
  for (let cpu = 0; cpu < k.config.cpus; cpu++) {
    spin_lock_init(k, queueLock(queueOf(k, cpu)));
    INIT_LIST_HEAD(k, freeOf(queueOf(k, cpu)));
  }
}

const modern = (k: Kernel): boolean => k.LINUX_VERSION_CODE >= KERNEL_VERSION(4, 0, 0);

/** What the era of vmap areas gives and takes. */
export interface BlockEra {
  /** When there is no room. */
  readonly purge: Purge;
  /** Lazily. */
  free_unmap_vmap_area(k: Kernel, va: VmapArea): void;
  /** The same for one whose caches and entries have been seen to. */
  free_vmap_area_noflush(k: Kernel, va: VmapArea): void;
}

/** Walking a CPU's blocks that are not used up: the next one behind @entry, or NULL. Context: rcu_read_lock(). */
function nextBlock(k: Kernel, vbq: VmapBlockQueue, entry: List): VmapBlock {
  const next = list_next(k, entry);
  return next === freeOf(vbq) ? NULL : blockOf(next);
}
const firstBlock = (k: Kernel, vbq: VmapBlockQueue): VmapBlock => nextBlock(k, vbq, freeOf(vbq));

// ---- the maps of 2.6.28 ------------------------------------------------------------------------------------------------

const mapWord = (k: Kernel, vb: VmapBlock, map: number, page: number): Vaddr =>
  vaddr(vb + struct_vmap_block.sizeof + (map * VMAP_BBMAP_BITS(k)) / 8 + (page >>> 5) * 4);
const ALLOC_MAP = 0;
const DIRTY_MAP = 1;

const maskOf = (order: number, page: number): number => (2 ** (1 << order) - 1) << (page & 31);

/** Set the bits of an aligned region. Source: bitmap_allocate_region(), lib/bitmap.c. */
function setRegion(k: Kernel, vb: VmapBlock, map: number, page: number, order: number): void {
  const word = mapWord(k, vb, map, page);
  k.store(word, k.load(word) | maskOf(order, page));
}

/** The first aligned region of free pages, taken. Source: bitmap_find_free_region(). Return: its page, or -1. */
function findRegion(k: Kernel, vb: VmapBlock, order: number): number {
  for (let page = 0; page < VMAP_BBMAP_BITS(k); page += 1 << order) {
    if ((k.load(mapWord(k, vb, ALLOC_MAP, page)) & maskOf(order, page)) !== 0) continue;
    setRegion(k, vb, ALLOC_MAP, page, order);
    return page;
  }
  return -1;
}

const isDirty = (k: Kernel, vb: VmapBlock, page: number): boolean =>
  ((k.load(mapWord(k, vb, DIRTY_MAP, page)) >>> (page & 31)) & 1) !== 0;

// ---- blocks ------------------------------------------------------------------------------------------------------------

/** Source: addr_to_vb_idx(). */
function addr_to_vb_idx(k: Kernel, addr: number): number {
  const base = k.arch.VMALLOC_START(k) - (k.arch.VMALLOC_START(k) % VMAP_BLOCK_SIZE(k));
  return Math.floor((addr - base) / VMAP_BLOCK_SIZE(k));
}
const indexWord = (k: Kernel, addr: number): Vaddr => vaddr(k.sym.vmap_block_tree + addr_to_vb_idx(k, addr) * 4);

function treeSet(k: Kernel, addr: number, vb: VmapBlock): VmapBlock {
  spin_lock(k, k.sym.vmap_block_tree_lock);
  const before = k.loadPtr<'vmap_block'>(indexWord(k, addr));
  k.store(indexWord(k, addr), vb);
  spin_unlock(k, k.sym.vmap_block_tree_lock);
  return before;
}

/** A block whose first @taken pages are the caller's, on the queue of this CPU. Return: NULL without memory or room. */
function new_vmap_block(k: Kernel, taken: number, gfp_mask: number, era: BlockEra): VmapBlock {
  const bits = VMAP_BBMAP_BITS(k);
  const maps = modern(k) ? 0 : bits / 4;
  const vb = kmalloc<'vmap_block'>(k, struct_vmap_block.sizeof + maps, metadataMask(k, gfp_mask));
  if (vb === NULL) return NULL;
  const va = allocAnywhere(k, VMAP_BLOCK_SIZE(k), VMAP_BLOCK_SIZE(k), gfp_mask, era.purge);
  const index = va === NULL ? BLOCKS_MAX : addr_to_vb_idx(k, va_start(k, va));
  if (index >= BLOCKS_MAX) {
    if (va !== NULL) era.free_vmap_area_noflush(k, va);
    kfree(k, vb);
    return NULL;
  }
  k.write(vb, struct_vmap_block.lock, k.sym.vmap_block_locks + index * LOCK_BYTES);
  spin_lock_init(k, lockOf(k, vb));
  k.write(vb, struct_vmap_block.va, va);
  k.write(vb, struct_vmap_block.free, bits - taken);
  k.write(vb, struct_vmap_block.dirty, 0);
  k.write(vb, struct_vmap_block.dirty_min, bits);
  k.write(vb, struct_vmap_block.dirty_max, 0);
  for (let at = 0; at < maps; at += 4) k.store(vaddr(vb + struct_vmap_block.sizeof + at), 0);
  INIT_LIST_HEAD(k, entryOf(vb));
  treeSet(k, va_start(k, va), vb);
  preempt_disable(k);
  const vbq = queueOf(k, k.cpu);
  k.write(vb, struct_vmap_block.vbq, vbq);
  spin_lock(k, queueLock(vbq));
  if (modern(k)) list_add_tail(k, entryOf(vb), freeOf(vbq));
  else list_add(k, entryOf(vb), freeOf(vbq));
  spin_unlock(k, queueLock(vbq));
  preempt_enable(k);
  return vb;
}

function free_vmap_block(k: Kernel, vb: VmapBlock, era: BlockEra): void {
  const before = treeSet(k, startOf(k, vb), NULL);
  BUG_ON(k, before !== vb, 'mm/vmalloc.c free_vmap_block: not in the tree', vb);
  era.free_vmap_area_noflush(k, ptr<'vmap_area'>(k.read(vb, struct_vmap_block.va)));
  kfree_rcu(k, vb, struct_vmap_block.rcu_head.offset);
}

/** Off the queue. The block's lock is held. */
function unqueue(k: Kernel, vb: VmapBlock, vbq: VmapBlockQueue): void {
  spin_lock(k, queueLock(vbq));
  list_del(k, entryOf(vb));
  spin_unlock(k, queueLock(vbq));
}

/** Pages of @vb, whose lock is held. Return: the first one's number, or -1. */
function takeFrom(k: Kernel, vb: VmapBlock, order: number): number {
  const free = k.read(vb, struct_vmap_block.free);
  if (modern(k)) {
    if (free < 1 << order) return -1;
    k.write(vb, struct_vmap_block.free, free - (1 << order));
    return VMAP_BBMAP_BITS(k) - free;
  }
  const page = findRegion(k, vb, order);
  if (page >= 0) k.write(vb, struct_vmap_block.free, free - (1 << order));
  return page;
}

/**
 * Addresses for up to 32 pages, from a block of this CPU.
 *
 * Context: process, may sleep. Takes the locks of blocks and queue.
 * Return:  NULL without memory or room.
 */
function vb_alloc(k: Kernel, size: number, gfp_mask: number, era: BlockEra): Vaddr {
  const order = get_order(size);
  for (;;) {
    const addr = fromQueue(k, order);
    if (addr !== NULL) return addr;
    const vb = new_vmap_block(k, modern(k) ? 1 << order : 0, gfp_mask, era);
    if (vb === NULL) return NULL;
    // 2.6.28 looks again, and another thread of this CPU may have been quicker.
    if (modern(k)) return vaddr(startOf(k, vb));
  }
}

function fromQueue(k: Kernel, order: number): Vaddr {
  let addr: Vaddr = NULL;
  rcu_read_lock(k);
  preempt_disable(k);
  const vbq = queueOf(k, k.cpu);
  for (let vb = firstBlock(k, vbq); vb !== NULL && addr === NULL; vb = nextBlock(k, vbq, entryOf(vb))) {
    spin_lock(k, lockOf(k, vb));
    const page = takeFrom(k, vb, order);
    if (page >= 0) {
      addr = vaddr(startOf(k, vb) + page * PAGE_SIZE);
      if (k.read(vb, struct_vmap_block.free) === 0) unqueue(k, vb, vbq);
    }
    spin_unlock(k, lockOf(k, vb));
  }
  preempt_enable(k);
  rcu_read_unlock(k);
  return addr;
}

/** 4.x clears the entries; 2.6.28 leaves them until vm_unmap_aliases() or the block's end. Translations stay in any case. */
function vb_free(k: Kernel, addr: Vaddr, size: number, era: BlockEra): void {
  flush_cache_vunmap(k, addr, addr + size);
  const order = get_order(size);
  const page = (addr % VMAP_BLOCK_SIZE(k)) / PAGE_SIZE;
  rcu_read_lock(k);
  const vb = k.loadPtr<'vmap_block'>(indexWord(k, addr));
  rcu_read_unlock(k);
  BUG_ON(k, vb === NULL, 'mm/vmalloc.c vb_free: no block', addr);
  if (modern(k)) vunmap_page_range(k, addr, addr + size);
  spin_lock(k, lockOf(k, vb));
  if (modern(k)) {
    k.write(vb, struct_vmap_block.dirty_min, Math.min(k.read(vb, struct_vmap_block.dirty_min), page));
    k.write(vb, struct_vmap_block.dirty_max, Math.max(k.read(vb, struct_vmap_block.dirty_max), page + (1 << order)));
  } else setRegion(k, vb, DIRTY_MAP, page, order);
  const dirty = k.read(vb, struct_vmap_block.dirty) + (1 << order);
  k.write(vb, struct_vmap_block.dirty, dirty);
  const done = dirty === VMAP_BBMAP_BITS(k);
  BUG_ON(k, done && k.read(vb, struct_vmap_block.free) !== 0, 'mm/vmalloc.c vb_free: all dirty, some free', addr);
  spin_unlock(k, lockOf(k, vb));
  if (done) free_vmap_block(k, vb, era);
}

// ---- purges ------------------------------------------------------------------------------------------------------------

const fragmented = (k: Kernel, vb: VmapBlock): boolean => {
  const dirty = k.read(vb, struct_vmap_block.dirty);
  return k.read(vb, struct_vmap_block.free) + dirty === VMAP_BBMAP_BITS(k) && dirty !== VMAP_BBMAP_BITS(k);
};

/** Blocks of which nothing is in use any more, but not all has been: they go. From 2.6.32 on. */
export function purge_fragmented_blocks_allcpus(k: Kernel, era: BlockEra): void {
  for (let cpu = 0; cpu < k.config.cpus; cpu++) {
    const purge: VmapBlock[] = [];
    const vbq = queueOf(k, cpu);
    rcu_read_lock(k);
    for (let vb = firstBlock(k, vbq); vb !== NULL; vb = nextBlock(k, vbq, entryOf(vb))) {
      if (!fragmented(k, vb)) continue;
      spin_lock(k, lockOf(k, vb));
      if (fragmented(k, vb)) {
        k.write(vb, struct_vmap_block.free, 0);
        k.write(vb, struct_vmap_block.dirty, VMAP_BBMAP_BITS(k));
        markAllDirty(k, vb);
        unqueue(k, vb, vbq);
        purge.push(vb);
      }
      spin_unlock(k, lockOf(k, vb));
    }
    rcu_read_unlock(k);
    for (const vb of purge) free_vmap_block(k, vb, era);
  }
}

function markAllDirty(k: Kernel, vb: VmapBlock): void {
  k.write(vb, struct_vmap_block.dirty_min, 0);
  k.write(vb, struct_vmap_block.dirty_max, VMAP_BBMAP_BITS(k));
  if (modern(k)) return;
  for (let page = 0; page < VMAP_BBMAP_BITS(k); page += 32) {
    k.store(mapWord(k, vb, ALLOC_MAP, page), -1);
    k.store(mapWord(k, vb, DIRTY_MAP, page), -1);
  }
}

/** What has been given back and not flushed; nothing while start is not below end. */
export interface Range {
  start: number;
  end: number;
}

/** The dirty regions of blocks that are not used up, with their entries cleared. Context: process. */
export function collectDirty(k: Kernel): Range {
  const range = { start: 0xffffffff, end: 0 };
  for (let cpu = 0; cpu < k.config.cpus; cpu++) {
    const vbq = queueOf(k, cpu);
    rcu_read_lock(k);
    for (let vb = firstBlock(k, vbq); vb !== NULL; vb = nextBlock(k, vbq, entryOf(vb))) {
      spin_lock(k, lockOf(k, vb));
      if (modern(k)) widenByBounds(k, vb, range);
      else widenByMap(k, vb, range);
      spin_unlock(k, lockOf(k, vb));
    }
    rcu_read_unlock(k);
  }
  return range;
}

function widen(range: Range, start: number, end: number): void {
  range.start = Math.min(range.start, start);
  range.end = Math.max(range.end, end);
}

function widenByBounds(k: Kernel, vb: VmapBlock, range: Range): void {
  if (k.read(vb, struct_vmap_block.dirty) === 0) return;
  const start = startOf(k, vb);
  const at = (page: number): number => start + page * PAGE_SIZE;
  widen(range, at(k.read(vb, struct_vmap_block.dirty_min)), at(k.read(vb, struct_vmap_block.dirty_max)));
}

function widenByMap(k: Kernel, vb: VmapBlock, range: Range): void {
  const base = startOf(k, vb);
  for (let page = 0; page < VMAP_BBMAP_BITS(k); page++) {
    if (!isDirty(k, vb, page)) continue;
    const addr = base + page * PAGE_SIZE;
    vunmap_page_range(k, addr, addr + PAGE_SIZE);
    widen(range, addr, addr + PAGE_SIZE);
  }
}

// ---- what others call --------------------------------------------------------------------------------------------------

/** Context: process, may sleep. Return: NULL without memory or room. */
export function vm_map_ram(
  k: Kernel,
  pages: Vaddr,
  count: number,
  prot: number,
  gfp_mask: number,
  era: BlockEra,
): Vaddr {
  const size = count * PAGE_SIZE;
  let addr: Vaddr;
  if (count <= VMAP_MAX_ALLOC) addr = vb_alloc(k, size, gfp_mask, era);
  else {
    const va = allocAnywhere(k, size, PAGE_SIZE, gfp_mask, era.purge);
    addr = va === NULL ? NULL : vaddr(va_start(k, va));
  }
  if (addr === NULL) return NULL;
  if (vmap_page_range(k, addr, addr + size, prot, pages) === 0) return addr;
  vm_unmap_ram(k, addr, count, era);
  return NULL;
}

/** @addr and @count are those of vm_map_ram(). Context: process. Errors: BUG for an address that is none. */
export function vm_unmap_ram(k: Kernel, addr: Vaddr, count: number, era: BlockEra): void {
  const { VMALLOC_START, VMALLOC_END } = k.arch;
  const bad = addr < VMALLOC_START(k) || addr > VMALLOC_END(k) || (addr & (PAGE_SIZE - 1)) !== 0;
  BUG_ON(k, bad, 'mm/vmalloc.c vm_unmap_ram: address', addr);
  vmap_debug_free_range(k, addr, addr + count * PAGE_SIZE);
  if (count <= VMAP_MAX_ALLOC) {
    vb_free(k, addr, count * PAGE_SIZE, era);
    return;
  }
  const va = find_vmap_area(k, addr);
  BUG_ON(k, va === NULL, 'mm/vmalloc.c vm_unmap_ram: no area', addr);
  era.free_unmap_vmap_area(k, va);
}
