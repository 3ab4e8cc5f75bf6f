/**
 * Where the allocators tell the memory checker what they give out and take back. Nothing here is a step: a machine that is watched goes the
 * same ways as one that is not.
 *
 * Source: the hooks of mm/kasan/common.c, Linux 5.10, under their names.
 */
import type { Kernel } from '../cpu/kernel.js';
import { PG_compound, PG_reclaim, struct_page } from '../shared/structs/page.js';
import { NULL, type Vaddr } from '../shared/types.js';
import { type Page, page_to_phys } from './page.js';
import type { Cache } from './slab-common.js';
import { is_vmalloc_addr } from './vmalloc/vm-struct.js';

/** Static memory as it is. */
const word = (k: Kernel, addr: number): number => (k.words[k.wordIndex(addr)] as number) >>> 0;

/** A block of pages was given out. */
export function kasan_alloc_pages(k: Kernel, page: Page, order: number, gfp_mask: number): void {
  if (k.memoryWatch !== null && page !== NULL) k.memoryWatch.pages(page_to_phys(k, page), order, gfp_mask);
}

/** A block of pages is given back: the last reference is gone. */
export function kasan_free_pages(k: Kernel, page: Page, order: number): void {
  if (k.memoryWatch !== null) k.memoryWatch.pagesFreed(page_to_phys(k, page), order);
}

/** A reference to a page is about to be dropped. Ours. */
export function kasan_put_page(k: Kernel, page: Page): void {
  if (k.memoryWatch !== null) k.memoryWatch.pagePut(page_to_phys(k, page));
}

/** The cache that a slab page says it belongs to: by the first page of the block with SLUB, by each with SLAB. */
function cacheOf(k: Kernel, object: Vaddr): number {
  const page = k.sym.mem_map + ((k.__pa(object) - k.config.core.physBase) >>> 12) * struct_page.sizeof;
  if (k.config.slab === 'slab') return word(k, page + struct_page.lru.offset);
  const tail = (1 << PG_compound) | (1 << PG_reclaim);
  const isTail = (word(k, page + struct_page.flags.offset) & tail) === tail;
  const head = isTail ? word(k, page + struct_page.private.offset) : page;
  return word(k, head + struct_page.slab.offset);
}

/** @bytes were asked for; negative: all that the objects of the cache have. */
function given(k: Kernel, s: number, object: Vaddr, bytes: number): void {
  const { structs } = k;
  // The second page of a slab does not say whose it is where blocks are not compound pages: 2.5.53.
  if ((s - k.staticBase) >>> 0 >= k.staticBytes) {
    k.memoryWatch?.object(object, Math.max(bytes, 0), Math.max(bytes, 0), 0);
    return;
  }
  const isSlab = k.config.slab === 'slab';
  const sizes = structs.slab_kmem_cache;
  const size = isSlab
    ? word(k, s + (k.config.debugSlab ? sizes.obj_size : sizes.buffer_size).offset)
    : word(k, s + structs.kmem_cache.objsize.offset);
  const name = word(k, s + (isSlab ? sizes.name : structs.kmem_cache.name).offset);
  k.memoryWatch?.object(object, bytes < 0 ? size : bytes, size, name);
}

/** A block of kmalloc() of @size bytes was given out. */
export function kasan_kmalloc(k: Kernel, object: Vaddr, size: number): void {
  if (k.memoryWatch !== null && object > 16) given(k, cacheOf(k, object), object, size);
}

/** An object of the cache @s was given out. */
export function kasan_slab_alloc(k: Kernel, s: Cache, object: Vaddr): void {
  if (k.memoryWatch !== null && object !== NULL) given(k, s, object, -1);
}

/** An object is about to be given back. */
export function kasan_slab_free(k: Kernel, object: Vaddr): void {
  if (k.memoryWatch !== null && object > 16) k.memoryWatch.objectFreed(object);
}

/** ksize() has said how many bytes there are, so all of them may be used. */
export function kasan_unpoison_object(k: Kernel, object: Vaddr): void {
  k.memoryWatch?.objectAll(object);
}

/** From here on the accesses are an allocator's own. */
export function kasan_disable_current(k: Kernel): void {
  if (k.memoryWatch !== null) k.memoryWatch.paused++;
}

export function kasan_enable_current(k: Kernel): void {
  if (k.memoryWatch !== null) k.memoryWatch.paused--;
}

/** vmalloc() or one of its neighbours begins, has ended. */
export function kasan_vmalloc_enter(k: Kernel): void {
  k.memoryWatch?.vmalloc(true);
}

export function kasan_vmalloc_exit(k: Kernel): void {
  k.memoryWatch?.vmalloc(false);
}

/** An area was given out. Return: its address. */
export function kasan_unpoison_vmalloc(k: Kernel, addr: Vaddr, size: number): Vaddr {
  if (k.memoryWatch !== null && addr !== NULL && is_vmalloc_addr(k, addr)) k.memoryWatch.mapped(addr, size);
  return addr;
}

/** get_vm_area(): the area is there, whatever its owner will do with it. Source: __get_vm_area_node(), Linux 5.10. */
export function kasan_reserve_vmalloc(k: Kernel, addr: number, size: number): void {
  if (k.memoryWatch !== null) k.memoryWatch.reserved(addr, size);
}

/** An area is about to be given back. */
export function kasan_poison_vmalloc(k: Kernel, addr: Vaddr): void {
  if (k.memoryWatch !== null && addr !== NULL) k.memoryWatch.unmapped(addr);
}
