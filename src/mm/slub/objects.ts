/** Where the parts of an object of SLUB are, as its checks and their reports see them. Source: mm/slub.c, Linux 2.6.22; spec/checkers.md §6.5. */
import type { Kernel } from '../../cpu/kernel.js';
import { NULL, type Vaddr, vaddr } from '../../shared/types.js';
import { lowmem_page_address, type Page } from '../page.js';
import type { Cache } from '../slab-common.js';
import { SLAB_STORE_USER, TRACK_BYTES } from './sizes.js';

export const TRACK_ALLOC = 0;
export const TRACK_FREE = 1;

/** The fields of a cache that every check wants. They never change. */
export interface Shape {
  readonly flags: number;
  readonly size: number;
  readonly objsize: number;
  readonly inuse: number;
  readonly offset: number;
  readonly order: number;
  readonly objects: number;
}

export function shapeOf(k: Kernel, s: Cache): Shape {
  const f = k.structs.kmem_cache;
  return {
    flags: k.read(s, f.flags),
    size: k.read(s, f.size),
    objsize: k.read(s, f.objsize),
    inuse: k.read(s, f.inuse),
    offset: k.read(s, f.offset),
    order: k.read(s, f.order),
    objects: k.read(s, f.objects),
  };
}

/** Bytes in use behind the object's own: free pointer and tracks. */
export const endOfInfo = (c: Shape): number =>
  c.inuse + (c.offset !== 0 ? 4 : 0) + ((c.flags & SLAB_STORE_USER) !== 0 ? 2 * TRACK_BYTES : 0);

export const trackOf = (c: Shape, object: Vaddr, which: number): Vaddr =>
  vaddr(object + (c.offset !== 0 ? c.offset + 4 : c.inuse) + which * TRACK_BYTES);

export function check_valid_pointer(k: Kernel, c: Shape, page: Page, object: Vaddr): boolean {
  if (object === NULL) return true;
  const offset = object - lowmem_page_address(k, page);
  return offset >= 0 && offset < c.objects * c.size && offset % c.size === 0;
}
