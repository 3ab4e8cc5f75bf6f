/**
 * Ranges of vmalloc addresses: `struct vmap_area` in a red-black tree and a list, both under vmap_area_lock.
 *
 * Source: mm/vmalloc.c, Linux 2.6.28 and 4.12; spec/vmalloc-gfp.md §6.4, §6.5. Two searches: 2.6.28's, which goes down the tree for every request and
 * leaves a page between neighbours, and 4.x's, which remembers where it was last.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { BUG_ON } from '../../shared/bug.js';
import { might_sleep } from '../../shared/irqflags.js';
import type { SymbolSpec } from '../../shared/kernel-base.js';
import { defineStruct } from '../../shared/layout.js';
import { INIT_LIST_HEAD, type List, list_add, list_del, list_of } from '../../shared/list.js';
import {
  type RbNode,
  type RbRoot,
  rb_erase,
  rb_insert_color,
  rb_left,
  rb_left_link,
  rb_link_node,
  rb_next,
  rb_prev,
  rb_right,
  rb_right_link,
  rb_root,
} from '../../shared/rbtree.js';
import { type SpinLock, spin_lock, spin_unlock } from '../../shared/spinlock.js';
import { NULL, type Ptr, ptr, type Vaddr } from '../../shared/types.js';
import { KERNEL_VERSION } from '../../shared/version.js';
import { gfp } from '../gfp.js';
import { kfree, kmalloc } from '../kmalloc.js';
import { printk_ratelimit } from '../ratelimit.js';
import { kfree_rcu } from '../rcu.js';
import { metadataMask } from './pages.js';
import { ALIGN, PAGE_SIZE, type VmStruct } from './vm-struct.js';

/** Differs: one layout; until 3.x `vm` is called private. */
export const struct_vmap_area = defineStruct('vmap_area', 56, {
  va_start: 0,
  va_end: 4,
  flags: 8,
  rb_node: [12, 12],
  list: [24, 8], // vmap_area_list, by address
  purge_list: [32, 8], // waits for a purge
  vm: 40,
  rcu_head: [44, 8],
});
export type VmapArea = Ptr<'vmap_area'>;

export const VM_LAZY_FREE = 0x1;
export const VM_LAZY_FREEING = 0x2;
export const VM_VM_AREA = 0x4;

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    vmap_area_lock: SpinLock;
    vmap_area_root: RbRoot;
    vmap_area_list: List;
    /** Pages of areas that wait for a purge. */
    vmap_lazy_nr: Vaddr;
    /** 4.x: where the last search ended, and what it has seen on its way. vmap_area_lock */
    free_vmap_cache: Vaddr;
    cached_hole_size: Vaddr;
    cached_vstart: Vaddr;
    cached_align: Vaddr;
  }
}

export const vmapAreaSymbols: Readonly<Record<string, SymbolSpec>> = {
  vmap_area_lock: { bytes: 4, align: 32 },
  vmap_area_root: { bytes: 4 },
  vmap_area_list: { bytes: 8 },
  vmap_lazy_nr: { bytes: 4, align: 32 },
  free_vmap_cache: { bytes: 4 },
  cached_hole_size: { bytes: 4 },
  cached_vstart: { bytes: 4 },
  cached_align: { bytes: 4 },
};

/** Boot. */
export function vmap_area_init(k: Kernel): void {
  INIT_LIST_HEAD(k, k.sym.vmap_area_list);
}

const LINUX_4_0 = KERNEL_VERSION(4, 0, 0);

const nodeOf = (va: VmapArea): RbNode => (va + struct_vmap_area.rb_node.offset) as RbNode;
const areaOf = (node: RbNode): VmapArea =>
  node === NULL ? NULL : ptr<'vmap_area'>(node - struct_vmap_area.rb_node.offset);
const listOf = (va: VmapArea): List => list_of(va, struct_vmap_area.list.offset);

export const va_start = (k: Kernel, va: VmapArea): number => k.read(va, struct_vmap_area.va_start);
export const va_end = (k: Kernel, va: VmapArea): number => k.read(va, struct_vmap_area.va_end);
export const va_flags = (k: Kernel, va: VmapArea): number => k.read(va, struct_vmap_area.flags);
export const va_pages = (k: Kernel, va: VmapArea): number => (va_end(k, va) - va_start(k, va)) >>> 12;

export const vmOf = (k: Kernel, va: VmapArea): VmStruct => ptr<'vm_struct'>(k.read(va, struct_vmap_area.vm));

/** The area whose list_head this is. */
export const areaOfList = (entry: List): VmapArea => ptr<'vmap_area'>(entry - struct_vmap_area.list.offset);

/** vmap_area_lock is held. */
export function __find_vmap_area(k: Kernel, addr: number): VmapArea {
  const containing = k.LINUX_VERSION_CODE >= LINUX_4_0;
  let node = rb_root(k, k.sym.vmap_area_root);
  while (node !== NULL) {
    const va = areaOf(node);
    const start = va_start(k, va);
    if (addr < start) node = rb_left(k, node);
    else if (containing ? addr >= va_end(k, va) : addr > start) node = rb_right(k, node);
    else return va;
  }
  return NULL;
}

/**
 * The area that begins at @addr; from 4.x on, that contains it. Nothing keeps it from going.
 *
 * Context: any that does not hold vmap_area_lock.
 */
export function find_vmap_area(k: Kernel, addr: number): VmapArea {
  spin_lock(k, k.sym.vmap_area_lock);
  const va = __find_vmap_area(k, addr);
  spin_unlock(k, k.sym.vmap_area_lock);
  return va;
}

/** The vm_struct of find_vmap_area(). Return: NULL where there is none, or only addresses of vm_map_ram(). */
export function find_vm_area(k: Kernel, addr: Vaddr): VmStruct {
  const va = find_vmap_area(k, addr);
  return va === NULL || (va_flags(k, va) & VM_VM_AREA) === 0 ? NULL : vmOf(k, va);
}

/** Into the tree and the list. vmap_area_lock is held. Errors: BUG when it overlaps another. */
function __insert_vmap_area(k: Kernel, va: VmapArea): void {
  let parent: RbNode = NULL;
  let link: Vaddr = k.sym.vmap_area_root;
  const start = va_start(k, va);
  const end = va_end(k, va);
  for (let node = k.loadPtr<'rb_node'>(link); node !== NULL; node = k.loadPtr<'rb_node'>(link)) {
    parent = node;
    const there = areaOf(node);
    if (start < va_end(k, there)) link = rb_left_link(node);
    else {
      BUG_ON(k, end <= va_start(k, there), 'mm/vmalloc.c __insert_vmap_area: overlap', start);
      link = rb_right_link(node);
    }
  }
  rb_link_node(k, nodeOf(va), parent, link);
  rb_insert_color(k, nodeOf(va), k.sym.vmap_area_root);
  const before = rb_prev(k, nodeOf(va));
  list_add(k, listOf(va), before === NULL ? k.sym.vmap_area_list : listOf(areaOf(before)));
}

/** Out of tree and list; the memory goes when no reader has it any more. vmap_area_lock is held. */
export function __free_vmap_area(k: Kernel, va: VmapArea): void {
  if (k.LINUX_VERSION_CODE >= LINUX_4_0) forgetInCache(k, va);
  rb_erase(k, nodeOf(va), k.sym.vmap_area_root);
  list_del(k, listOf(va));
  kfree_rcu(k, va as Vaddr, struct_vmap_area.rcu_head.offset);
}

/** The search must not begin behind a hole that opens here. */
function forgetInCache(k: Kernel, va: VmapArea): void {
  const cache = k.loadPtr<'rb_node'>(k.sym.free_vmap_cache);
  if (cache === NULL) return;
  if (va_end(k, va) < k.load(k.sym.cached_vstart) >>> 0) k.store(k.sym.free_vmap_cache, NULL);
  else if (va_start(k, va) <= va_start(k, areaOf(cache))) k.store(k.sym.free_vmap_cache, rb_prev(k, nodeOf(va)));
}

// ---- allocation --------------------------------------------------------------------------------------------------------

/** What alloc_vmap_area() does when there is no room: gives back what waits for a purge. */
export type Purge = (k: Kernel) => void;

/**
 * A range of @size bytes in [vstart, vend).
 *
 * Context: process; sleeps as @gfp_mask allows, and 4.x asks might_sleep() whatever it says. Takes and releases vmap_area_lock.
 * Return:  NULL without memory or room.
 * Errors:  BUG for a size that is no number of pages.
 */
export function alloc_vmap_area(
  k: Kernel,
  size: number,
  align: number,
  vstart: number,
  vend: number,
  gfp_mask: number,
  purge: Purge,
): VmapArea {
  const modern = k.LINUX_VERSION_CODE >= LINUX_4_0;
  BUG_ON(k, size === 0 || (size & (PAGE_SIZE - 1)) !== 0, 'mm/vmalloc.c alloc_vmap_area: size', size);
  if (modern) might_sleep(k, 'mm/vmalloc.c:0');
  const va = kmalloc<'vmap_area'>(k, struct_vmap_area.sizeof, metadataMask(k, gfp_mask));
  if (va === NULL) return NULL;
  const locked = !k.patched['mutant-vmap-area-unlocked'];
  for (let purged = false; ; purged = true) {
    if (locked) spin_lock(k, k.sym.vmap_area_lock);
    const addr = modern ? searchFromCache(k, size, align, vstart, vend) : searchTree(k, size, align, vstart);
    if (addr + size <= vend) {
      k.write(va, struct_vmap_area.va_start, addr);
      k.write(va, struct_vmap_area.va_end, addr + size);
      k.write(va, struct_vmap_area.flags, 0);
      k.write(va, struct_vmap_area.vm, NULL);
      __insert_vmap_area(k, va);
      if (modern) k.store(k.sym.free_vmap_cache, nodeOf(va));
      if (locked) spin_unlock(k, k.sym.vmap_area_lock);
      BUG_ON(k, addr % align !== 0 || addr < vstart, 'mm/vmalloc.c alloc_vmap_area: misplaced', addr);
      return va;
    }
    if (locked) spin_unlock(k, k.sym.vmap_area_lock);
    if (purged) return overflow(k, va, size, gfp_mask);
    purge(k);
  }
}

/** alloc_vmap_area() anywhere between VMALLOC_START and VMALLOC_END. */
export function allocAnywhere(k: Kernel, size: number, align: number, gfp_mask: number, purge: Purge): VmapArea {
  const { VMALLOC_START, VMALLOC_END } = k.arch;
  return alloc_vmap_area(k, size, align, VMALLOC_START(k), VMALLOC_END(k), gfp_mask, purge);
}

function overflow(k: Kernel, va: VmapArea, size: number, gfp_mask: number): VmapArea {
  const version = k.LINUX_VERSION_CODE;
  const quiet = version >= KERNEL_VERSION(4, 12, 0) && (gfp_mask & gfp(k).__GFP_NOWARN) !== 0;
  const what = version < KERNEL_VERSION(2, 6, 29) ? 'allocation' : `allocation for size ${size}`;
  // The full stop went with pr_warn().
  const stop = version < LINUX_4_0 ? '.' : '';
  if (!quiet && printk_ratelimit(k)) k.printk(`vmap ${what} failed: use vmalloc=<size> to increase size${stop}`);
  kfree(k, va);
  return NULL;
}

/** The lowest area that ends at @addr or behind, as a node. */
function firstEndingFrom(k: Kernel, addr: number): RbNode {
  let first: RbNode = NULL;
  let node = rb_root(k, k.sym.vmap_area_root);
  while (node !== NULL) {
    if (va_end(k, areaOf(node)) >= addr) {
      first = node;
      node = rb_left(k, node);
    } else node = rb_right(k, node);
  }
  return first;
}

/** 2.6.28: lowest fit, with a page between neighbours. Return: the address; it may be too high. */
function searchTree(k: Kernel, size: number, align: number, vstart: number): number {
  let addr = ALIGN(vstart, align);
  for (let node = firstEndingFrom(k, addr); node !== NULL; node = rb_next(k, node)) {
    if (addr + size <= va_start(k, areaOf(node))) break;
    addr = ALIGN(va_end(k, areaOf(node)) + PAGE_SIZE, align);
  }
  return addr;
}

/** 4.x: from where the last search ended, unless a hole that was passed over then might do now. Return: the address; it may be too high. */
function searchFromCache(k: Kernel, size: number, align: number, vstart: number, vend: number): number {
  const { free_vmap_cache, cached_hole_size, cached_vstart, cached_align } = k.sym;
  const useless =
    k.load(free_vmap_cache) === 0 ||
    size < k.load(cached_hole_size) ||
    vstart < k.load(cached_vstart) >>> 0 ||
    align < k.load(cached_align);
  if (useless) {
    k.store(cached_hole_size, 0);
    k.store(free_vmap_cache, NULL);
  }
  k.store(cached_vstart, vstart);
  k.store(cached_align, align);
  let addr = ALIGN(vstart, align);
  let first: RbNode = NULL;
  const cache = k.loadPtr<'rb_node'>(free_vmap_cache);
  if (cache !== NULL) {
    const behind = ALIGN(va_end(k, areaOf(cache)), align);
    if (behind < vstart) {
      k.store(cached_hole_size, 0);
      k.store(free_vmap_cache, NULL);
      first = firstEndingFrom(k, addr);
    } else {
      addr = behind;
      first = cache;
    }
  } else first = firstEndingFrom(k, addr);
  return walk(k, first, addr, size, align, vend);
}

/** From area to area as long as they are in the way. */
function walk(k: Kernel, first: RbNode, from: number, size: number, align: number, vend: number): number {
  let addr = from;
  for (let node = first; node !== NULL; node = rb_next(k, node)) {
    const va = areaOf(node);
    if (addr + size <= va_start(k, va) || addr + size > vend) break;
    const hole = va_start(k, va) - addr;
    if (hole > k.load(k.sym.cached_hole_size)) k.store(k.sym.cached_hole_size, hole);
    addr = ALIGN(va_end(k, va), align);
  }
  return addr;
}

/** How many pages may wait for a purge: 32 MB for each doubling of the CPUs. */
export const lazy_max_pages = (k: Kernel): number => (32 - Math.clz32(k.config.cpus)) * ((32 << 20) / PAGE_SIZE);
