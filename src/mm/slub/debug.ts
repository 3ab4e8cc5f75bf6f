/**
 * SLUB's checks: red zones, poison, padding, free chains, and who allocated and freed an object last.
 *
 * Source: mm/slub.c, Linux 2.6.22. What they find is told in the words of the version: reports-2.6.22.ts and reports-2.6.23.ts. Text addresses
 * do not exist, so a track holds that of the kernel's data instead of its caller's.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { jiffies } from '../../shared/jiffies.js';
import { PG_slab, struct_page } from '../../shared/structs/page.js';
import { hex8, NULL, type Vaddr, vaddr } from '../../shared/types.js';
import { KERNEL_VERSION } from '../../shared/version.js';
import { lowmem_page_address, type Page } from '../page.js';
import type { Cache } from '../slab-common.js';
import { check_bytes, memset } from '../string.js';
import { get_freepointer, nameOf, set_freepointer } from './cache.js';
import { check_valid_pointer, endOfInfo, shapeOf, TRACK_ALLOC, TRACK_FREE, trackOf } from './objects.js';
import type { At, Part, Reports, Span } from './reports.js';
import { REPORTS_2_6_22 } from './reports-2.6.22.js';
import { REPORTS_2_6_23 } from './reports-2.6.23.js';
import { __OBJECT_POISON, SLAB_POISON, SLAB_RED_ZONE, SLAB_STORE_USER, SLAB_TRACE, TRACK_BYTES } from './sizes.js';

const POISON_INUSE = 0x5a;
const POISON_FREE = 0x6b;
const POISON_END = 0xa5;
const SLUB_RED_INACTIVE = 0xbb;
const SLUB_RED_ACTIVE = 0xcc;

export { POISON_INUSE, TRACK_ALLOC, TRACK_FREE };

const reportsOf = (k: Kernel): Reports =>
  k.LINUX_VERSION_CODE >= KERNEL_VERSION(2, 6, 23) ? REPORTS_2_6_23 : REPORTS_2_6_22;

/** Who did it: address, CPU, pid, jiffies. Differs: the address is that of the kernel's data, as there is no text. */
export function set_track(k: Kernel, s: Cache, object: Vaddr, which: number): void {
  const track = trackOf(shapeOf(k, s), object, which);
  k.store32(track, k.sym._sdata);
  k.store32(vaddr(track + 4), k.cpu);
  k.store32(vaddr(track + 8), k.slot);
  k.store32(vaddr(track + 12), jiffies(k));
}

export function init_tracking(k: Kernel, s: Cache, object: Vaddr): void {
  const c = shapeOf(k, s);
  if ((c.flags & SLAB_STORE_USER) !== 0) memset(k, trackOf(c, object, TRACK_ALLOC), 0, 2 * TRACK_BYTES);
}

/** Poison and red zone of an object that becomes free or active. */
export function init_object(k: Kernel, s: Cache, object: Vaddr, active: boolean): void {
  const c = shapeOf(k, s);
  if ((c.flags & __OBJECT_POISON) !== 0) {
    memset(k, object, POISON_FREE, c.objsize - 1);
    k.store8(vaddr(object + c.objsize - 1), POISON_END);
  }
  if ((c.flags & SLAB_RED_ZONE) !== 0) {
    memset(k, vaddr(object + c.objsize), active ? SLUB_RED_ACTIVE : SLUB_RED_INACTIVE, c.inuse - c.objsize);
  }
}

// ---- checks --------------------------------------------------------------------------------------------------------

/** Are all spans of a part as they should be? If not, that is told, and mended. */
function checkPart(k: Kernel, at: At, object: Vaddr, part: Part, active: boolean, spans: readonly Span[]): boolean {
  if (spans.every(({ start, byte, bytes }) => check_bytes(k, start, byte, bytes))) return true;
  reportsOf(k).overwritten(k, at, object, part, active, spans);
  return false;
}

function check_pad_bytes(k: Kernel, at: At, object: Vaddr, active: boolean): boolean {
  const off = endOfInfo(at.c);
  const padding = { start: vaddr(object + off), byte: POISON_INUSE, bytes: at.c.size - off };
  return checkPart(k, at, object, 'Object padding', active, [padding]);
}

/** The bytes behind the last object. */
export function slab_pad_check(k: Kernel, s: Cache, page: Page): void {
  const c = shapeOf(k, s);
  if ((c.flags & SLAB_POISON) === 0) return;
  const length = c.objects * c.size;
  const bytes = (4096 << c.order) - length;
  const start = vaddr(lowmem_page_address(k, page) + length);
  if (bytes === 0 || check_bytes(k, start, POISON_INUSE, bytes)) return;
  reportsOf(k).slabPadding(k, { s, c, page }, { start, byte: POISON_INUSE, bytes });
}

/** Red zone, poison, padding and free pointer of one object. Return: whether it is as it should be. */
export function check_object(k: Kernel, s: Cache, page: Page, object: Vaddr, active: boolean): boolean {
  const c = shapeOf(k, s);
  const at: At = { s, c, page };
  if (!checkRedzone(k, at, object, active)) return false;
  if ((c.flags & SLAB_POISON) !== 0) {
    if (!active && (c.flags & __OBJECT_POISON) !== 0 && !checkPoison(k, at, object)) return false;
    check_pad_bytes(k, at, object, active);
  }
  if (c.offset === 0 && active) return true;
  if (check_valid_pointer(k, c, page, get_freepointer(k, s, object))) return true;
  reportsOf(k).object(k, at, object, 'Freepointer corrupt');
  set_freepointer(k, s, object, NULL);
  return false;
}

function checkRedzone(k: Kernel, at: At, object: Vaddr, active: boolean): boolean {
  const { c } = at;
  const start = vaddr(object + c.objsize);
  const bytes = c.inuse - c.objsize;
  if ((c.flags & SLAB_RED_ZONE) !== 0) {
    const byte = active ? SLUB_RED_ACTIVE : SLUB_RED_INACTIVE;
    return checkPart(k, at, object, 'Redzone', active, [{ start, byte, bytes }]);
  }
  if ((c.flags & SLAB_POISON) !== 0 && bytes > 0) {
    checkPart(k, at, object, 'Alignment padding', active, [{ start, byte: POISON_INUSE, bytes }]);
  }
  return true;
}

function checkPoison(k: Kernel, at: At, object: Vaddr): boolean {
  const last = at.c.objsize - 1;
  return checkPart(k, at, object, 'Poison', false, [
    { start: object, byte: POISON_FREE, bytes: last },
    { start: vaddr(object + last), byte: POISON_END, bytes: 1 },
  ]);
}

export function check_slab(k: Kernel, at: At): boolean {
  const { s, c, page } = at;
  if ((k.read(page, struct_page.flags) & (1 << PG_slab)) === 0) {
    reportsOf(k).notASlab(k, at);
    return false;
  }
  const offset = k.read(page, struct_page.offset) * 4;
  if (offset !== c.offset) {
    reportsOf(k).offset(k, at, offset);
    return false;
  }
  const inuse = k.read(page, struct_page.inuse);
  if (inuse > c.objects) {
    reportsOf(k).inuse(k, at, inuse);
    return false;
  }
  slab_pad_check(k, s, page);
  return true;
}

/** Is @search on the free chain of the page? The chain is mended where it is broken. Context: slab lock held. */
export function on_freelist(k: Kernel, at: At, search: Vaddr): boolean {
  const { s, c, page } = at;
  let nr = 0;
  let fp = vaddr(k.read(page, struct_page.freelist));
  let object: Vaddr = NULL;
  while (fp !== NULL && nr <= c.objects) {
    if (fp === search) return true;
    if (!check_valid_pointer(k, c, page, fp)) {
      if (object === NULL) {
        reportsOf(k).freelist(k, at, fp);
        k.write(page, struct_page.freelist, NULL);
        k.write(page, struct_page.inuse, c.objects);
        return false;
      }
      reportsOf(k).object(k, at, object, 'Freechain corrupt');
      set_freepointer(k, s, object, NULL);
      break;
    }
    object = fp;
    fp = get_freepointer(k, s, object);
    nr++;
  }
  const inuse = k.read(page, struct_page.inuse);
  if (inuse !== c.objects - nr) {
    reportsOf(k).count(k, at, inuse, c.objects - nr);
    k.write(page, struct_page.inuse, c.objects - nr);
  }
  return search === NULL;
}

/** Context: slab lock held. Return: false when the object must not be handed out; the slab is then written off. */
export function alloc_debug_processing(k: Kernel, s: Cache, page: Page, object: Vaddr): boolean {
  const c = shapeOf(k, s);
  const at: At = { s, c, page };
  if (allocChecks(k, at, object)) {
    if ((c.flags & SLAB_STORE_USER) !== 0) set_track(k, s, object, TRACK_ALLOC);
    if ((c.flags & SLAB_TRACE) !== 0) trace(k, s, page, object, 'alloc');
    init_object(k, s, object, true);
    return true;
  }
  if ((k.read(page, struct_page.flags) & (1 << PG_slab)) !== 0) {
    reportsOf(k).allUsed(k, at);
    k.write(page, struct_page.inuse, c.objects);
    k.write(page, struct_page.freelist, NULL);
    k.write(page, struct_page.offset, c.offset >>> 2);
  }
  return false;
}

function allocChecks(k: Kernel, at: At, object: Vaddr): boolean {
  const { s, c, page } = at;
  if (!check_slab(k, at)) return false;
  if (!on_freelist(k, at, object)) {
    reportsOf(k).alreadyAllocated(k, at, object);
    return false;
  }
  if (!check_valid_pointer(k, c, page, object)) {
    reportsOf(k).object(k, at, object, 'Freelist Pointer check fails');
    return false;
  }
  return check_object(k, s, page, object, false);
}

/** Context: slab lock held. Return: false when the object must not be put on the free chain. */
export function free_debug_processing(k: Kernel, s: Cache, page: Page, object: Vaddr): boolean {
  const c = shapeOf(k, s);
  const at: At = { s, c, page };
  const freed = freeChecks(k, at, object);
  if (freed === 'not freed') reportsOf(k).notFreed(k, at, object);
  if (freed !== 'may be freed') return false;
  if ((c.flags & SLAB_STORE_USER) !== 0) set_track(k, s, object, TRACK_FREE);
  if ((c.flags & SLAB_TRACE) !== 0) trace(k, s, page, object, 'free');
  init_object(k, s, object, false);
  return true;
}

/** Return: of an object whose own bytes are wrong nothing is said but that. */
function freeChecks(k: Kernel, at: At, object: Vaddr): 'may be freed' | 'not freed' | 'wrong' {
  const { s, c, page } = at;
  if (!check_slab(k, at)) return 'not freed';
  if (!check_valid_pointer(k, c, page, object)) {
    reportsOf(k).invalidPointer(k, at, object);
    return 'not freed';
  }
  if (on_freelist(k, at, object)) {
    reportsOf(k).alreadyFree(k, at, object);
    return 'not freed';
  }
  if (!check_object(k, s, page, object, true)) return 'wrong';
  const owner = k.read(page, struct_page.slab);
  if (owner === s) return 'may be freed';
  reportsOf(k).otherOwner(k, at, object, owner as Cache | 0);
  return 'not freed';
}

function trace(k: Kernel, s: Cache, page: Page, object: Vaddr, what: string): void {
  const inuse = k.read(page, struct_page.inuse);
  k.printk(
    `TRACE ${nameOf(k, s)} ${what} 0x${hex8(object)} inuse=${inuse} fp=0x${hex8(k.read(page, struct_page.freelist))}`,
  );
}
