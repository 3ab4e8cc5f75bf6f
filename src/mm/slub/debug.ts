/**
 * SLUB's checks: red zones, poison, padding, free chains, and who allocated and freed an object last.
 *
 * Source: mm/slub.c, Linux 2.6.22. Reports have the kernel's first lines, the bytes around the fault and the track; the stack is left out,
 * and text addresses do not exist, so a track holds that of the kernel's data instead of its caller's.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { jiffies } from '../../shared/jiffies.js';
import { PG_slab, struct_page } from '../../shared/structs/page.js';
import { hex2, hex8, NULL, type Vaddr, vaddr } from '../../shared/types.js';
import { KERNEL_VERSION } from '../../shared/version.js';
import { lowmem_page_address, type Page } from '../page.js';
import type { Cache } from '../slab-common.js';
import { check_bytes, memset } from '../string.js';
import { get_freepointer, nameOf, set_freepointer } from './cache.js';
import { __OBJECT_POISON, SLAB_POISON, SLAB_RED_ZONE, SLAB_STORE_USER, SLAB_TRACE, TRACK_BYTES } from './sizes.js';

const POISON_INUSE = 0x5a;
const POISON_FREE = 0x6b;
const POISON_END = 0xa5;
const SLUB_RED_INACTIVE = 0xbb;
const SLUB_RED_ACTIVE = 0xcc;

export { POISON_INUSE };

export const TRACK_ALLOC = 0;
export const TRACK_FREE = 1;
const TRACKS = [
  ['Allocated', TRACK_ALLOC],
  ['Freed', TRACK_FREE],
] as const;

/** The fields of a cache that every check wants. They never change. */
interface Shape {
  readonly flags: number;
  readonly size: number;
  readonly objsize: number;
  readonly inuse: number;
  readonly offset: number;
  readonly order: number;
  readonly objects: number;
}

function shapeOf(k: Kernel, s: Cache): Shape {
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
const endOfInfo = (c: Shape): number =>
  c.inuse + (c.offset !== 0 ? 4 : 0) + ((c.flags & SLAB_STORE_USER) !== 0 ? 2 * TRACK_BYTES : 0);

const trackOf = (c: Shape, object: Vaddr, which: number): Vaddr =>
  vaddr(object + (c.offset !== 0 ? c.offset + 4 : c.inuse) + which * TRACK_BYTES);

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

// ---- reports -------------------------------------------------------------------------------------------------------

const SECTION_ROW = 16;

function print_section(k: Kernel, text: string, addr: Vaddr, length: number): void {
  for (let row = 0; row < length; row += SECTION_ROW) {
    const bytes: string[] = [];
    for (let i = row; i < Math.min(row + SECTION_ROW, length); i++) bytes.push(hex2(k.load8(vaddr(addr + i))));
    k.printk(`${text.padStart(10)} 0x${hex8(addr + row)}:  ${bytes.join(' ')}`);
  }
}

function print_track(k: Kernel, text: string, track: Vaddr): void {
  if (k.load32(track) === 0) return;
  const cpu = k.load32(vaddr(track + 4));
  const pid = k.load32(vaddr(track + 8));
  const age = (jiffies(k) - k.load32(vaddr(track + 12))) >>> 0;
  k.printk(`${text}: ? jiffies_ago=${age} cpu=${cpu} pid=${pid}`);
}

function object_err(k: Kernel, s: Cache, page: Page, object: Vaddr, reason: string): void {
  const c = shapeOf(k, s);
  const addr = lowmem_page_address(k, page);
  k.printk(`*** SLUB ${nameOf(k, s)}: ${reason}@0x${hex8(object)} slab 0x${hex8(page)}`);
  const flags = hex8(k.read(page, struct_page.flags));
  const inuse = k.read(page, struct_page.inuse);
  k.printk(
    `    offset=${object - addr} flags=0x${flags} inuse=${inuse} freelist=0x${hex8(k.read(page, struct_page.freelist))}`,
  );
  if (object > addr + 16) print_section(k, 'Bytes b4', vaddr(object - 16), 16);
  print_section(k, 'Object', object, Math.min(c.objsize, 128));
  if ((c.flags & SLAB_RED_ZONE) !== 0) print_section(k, 'Redzone', vaddr(object + c.objsize), c.inuse - c.objsize);
  k.printk(`FreePointer 0x${hex8(object + c.offset)} -> 0x${hex8(get_freepointer(k, s, object))}`);
  if ((c.flags & SLAB_STORE_USER) !== 0) {
    print_track(k, 'Last alloc', trackOf(c, object, TRACK_ALLOC));
    print_track(k, 'Last free ', trackOf(c, object, TRACK_FREE));
  }
  const off = endOfInfo(c);
  if (off !== c.size) print_section(k, 'Filler', vaddr(object + off), c.size - off);
}

const RULE_CHARS = 77;
const SAYS_TAINT = KERNEL_VERSION(3, 4, 0);

/** The head of a report as from 2.6.24 on. Differs: text addresses do not exist; the stack is that of dumpStack(). */
function slab_err(k: Kernel, s: Cache, page: Page, what: string): void {
  const tainted = k.LINUX_VERSION_CODE >= SAYS_TAINT ? ' (Not tainted)' : '';
  k.printk('='.repeat(RULE_CHARS));
  k.printk(`BUG ${nameOf(k, s)}${tainted}: ${what}`);
  k.printk('-'.repeat(RULE_CHARS));
  const fp = hex8(k.read(page, struct_page.freelist));
  const used = k.read(page, struct_page.inuse);
  const flags = (k.read(page, struct_page.flags) >>> 0).toString(16).padStart(4, '0');
  k.printk(`INFO: Slab 0x${hex8(page)} objects=${shapeOf(k, s).objects} used=${used} fp=0x${fp} flags=0x${flags}`);
  k.dumpStack();
}

/** Who had an object last. Differs: a question mark stands for the function. */
function print_tracking(k: Kernel, c: Shape, object: Vaddr): void {
  if ((c.flags & SLAB_STORE_USER) === 0) return;
  for (const [what, which] of TRACKS) {
    const track = trackOf(c, object, which);
    if (k.load32(track) === 0) continue;
    const age = (jiffies(k) - k.load32(vaddr(track + 12))) >>> 0;
    k.printk(`INFO: ${what} in ? age=${age} cpu=${k.load32(vaddr(track + 4))} pid=${k.load32(vaddr(track + 8))}`);
  }
}

/**
 * The objects of a slab that are not on its free chain, when there should be none.
 *
 * Context: slab lock held; no CPU has the slab, so that the one chain is all that is free.
 * Source:  list_slab_objects(), mm/slub.c, Linux 2.6.30, 4.12.
 */
export function list_slab_objects(k: Kernel, s: Cache, page: Page, what: string): void {
  const c = shapeOf(k, s);
  const addr = lowmem_page_address(k, page);
  slab_err(k, s, page, what);
  const free = new Set<number>();
  for (let fp = vaddr(k.read(page, struct_page.freelist)); fp !== NULL && !free.has(fp); ) {
    free.add(fp);
    // A broken chain leads anywhere.
    fp = check_valid_pointer(k, c, page, fp) ? get_freepointer(k, s, fp) : NULL;
  }
  for (let offset = 0; offset < c.objects * c.size; offset += c.size) {
    const object = vaddr(addr + offset);
    if (free.has(object)) continue;
    k.printk(`INFO: Object 0x${hex8(object)} @offset=${offset}`);
    print_tracking(k, c, object);
  }
}

function restore_bytes(k: Kernel, s: Cache, message: string, byte: number, from: Vaddr, bytes: number): void {
  const range = `0x${hex8(from)}-0x${hex8(from + bytes - 1)}`;
  k.printk(`@@@ SLUB: ${nameOf(k, s)} Restoring ${message} (0x${byte.toString(16)}) from ${range}`);
  memset(k, from, byte, bytes);
}

// ---- checks --------------------------------------------------------------------------------------------------------

function check_valid_pointer(k: Kernel, c: Shape, page: Page, object: Vaddr): boolean {
  if (object === NULL) return true;
  const offset = object - lowmem_page_address(k, page);
  return offset >= 0 && offset < c.objects * c.size && offset % c.size === 0;
}

function check_pad_bytes(k: Kernel, s: Cache, c: Shape, page: Page, object: Vaddr): boolean {
  const off = endOfInfo(c);
  if (c.size === off || check_bytes(k, vaddr(object + off), POISON_INUSE, c.size - off)) return true;
  object_err(k, s, page, object, 'Object padding check fails');
  restore_bytes(k, s, 'object padding', POISON_INUSE, vaddr(object + off), c.size - off);
  return false;
}

/** The bytes behind the last object. */
export function slab_pad_check(k: Kernel, s: Cache, page: Page): void {
  const c = shapeOf(k, s);
  if ((c.flags & SLAB_POISON) === 0) return;
  const length = c.objects * c.size;
  const rest = (4096 << c.order) - length;
  const from = vaddr(lowmem_page_address(k, page) + length);
  if (rest === 0 || check_bytes(k, from, POISON_INUSE, rest)) return;
  k.printk(`SLUB: ${nameOf(k, s)} slab 0x${hex8(lowmem_page_address(k, page))}: Padding fails check`);
  restore_bytes(k, s, 'slab padding', POISON_INUSE, from, rest);
}

/** Red zone, poison, padding and free pointer of one object. Return: whether it is as it should be. */
export function check_object(k: Kernel, s: Cache, page: Page, object: Vaddr, active: boolean): boolean {
  const c = shapeOf(k, s);
  if (!checkRedzone(k, s, c, page, object, active)) return false;
  if ((c.flags & SLAB_POISON) !== 0) {
    if (!active && (c.flags & __OBJECT_POISON) !== 0 && !checkPoison(k, s, c, page, object)) return false;
    check_pad_bytes(k, s, c, page, object);
  }
  if (c.offset === 0 && active) return true;
  if (check_valid_pointer(k, c, page, get_freepointer(k, s, object))) return true;
  object_err(k, s, page, object, 'Freepointer corrupt');
  set_freepointer(k, s, object, NULL);
  return false;
}

function checkRedzone(k: Kernel, s: Cache, c: Shape, page: Page, object: Vaddr, active: boolean): boolean {
  const end = vaddr(object + c.objsize);
  const bytes = c.inuse - c.objsize;
  if ((c.flags & SLAB_RED_ZONE) !== 0) {
    const red = active ? SLUB_RED_ACTIVE : SLUB_RED_INACTIVE;
    if (check_bytes(k, end, red, bytes)) return true;
    object_err(k, s, page, object, active ? 'Redzone Active' : 'Redzone Inactive');
    restore_bytes(k, s, 'redzone', red, end, bytes);
    return false;
  }
  if ((c.flags & SLAB_POISON) !== 0 && bytes > 0 && !check_bytes(k, end, POISON_INUSE, bytes)) {
    object_err(k, s, page, object, 'Alignment padding check fails');
    restore_bytes(k, s, 'alignment padding', POISON_INUSE, end, bytes);
  }
  return true;
}

function checkPoison(k: Kernel, s: Cache, c: Shape, page: Page, object: Vaddr): boolean {
  const last = vaddr(object + c.objsize - 1);
  if (check_bytes(k, object, POISON_FREE, c.objsize - 1) && k.load8(last) === POISON_END) return true;
  object_err(k, s, page, object, 'Poison check failed');
  restore_bytes(k, s, 'Poison', POISON_FREE, object, c.objsize - 1);
  restore_bytes(k, s, 'Poison', POISON_END, last, 1);
  return false;
}

function check_slab(k: Kernel, s: Cache, page: Page): boolean {
  const c = shapeOf(k, s);
  const say = (what: string): boolean => {
    const flags = hex8(k.read(page, struct_page.flags));
    const mapping = hex8(k.read(page, struct_page.mapping));
    const count = k.read(page, struct_page._count);
    k.printk(`SLUB: ${nameOf(k, s)} ${what} @0x${hex8(page)} flags=${flags} mapping=0x${mapping} count=${count}`);
    return false;
  };
  if ((k.read(page, struct_page.flags) & (1 << PG_slab)) === 0) return say('Not a valid slab page');
  const offset = k.read(page, struct_page.offset) * 4;
  if (offset !== c.offset) return say(`Corrupted offset ${offset} in slab`);
  const inuse = k.read(page, struct_page.inuse);
  if (inuse > c.objects) return say(`Inuse ${inuse} > max ${c.objects} in slab page`);
  slab_pad_check(k, s, page);
  return true;
}

/** Is @search on the free chain of the page? The chain is mended where it is broken. Context: slab lock held. */
function on_freelist(k: Kernel, s: Cache, page: Page, search: Vaddr): boolean {
  const c = shapeOf(k, s);
  let nr = 0;
  let fp = vaddr(k.read(page, struct_page.freelist));
  let object: Vaddr = NULL;
  while (fp !== NULL && nr <= c.objects) {
    if (fp === search) return true;
    if (!check_valid_pointer(k, c, page, fp)) {
      if (object === NULL) {
        k.printk(`SLUB: ${nameOf(k, s)} slab 0x${hex8(page)} freepointer 0x${hex8(fp)} corrupted.`);
        k.write(page, struct_page.freelist, NULL);
        k.write(page, struct_page.inuse, c.objects);
        return false;
      }
      object_err(k, s, page, object, 'Freechain corrupt');
      set_freepointer(k, s, object, NULL);
      break;
    }
    object = fp;
    fp = get_freepointer(k, s, object);
    nr++;
  }
  const inuse = k.read(page, struct_page.inuse);
  if (inuse !== c.objects - nr) {
    k.printk(
      `slab ${nameOf(k, s)}: page 0x${hex8(page)} wrong object count. counter is ${inuse} but counted were ${c.objects - nr}`,
    );
    k.write(page, struct_page.inuse, c.objects - nr);
  }
  return search === NULL;
}

/** Context: slab lock held. Return: false when the object must not be handed out; the slab is then written off. */
export function alloc_debug_processing(k: Kernel, s: Cache, page: Page, object: Vaddr): boolean {
  if (allocChecks(k, s, page, object)) {
    const c = shapeOf(k, s);
    if ((c.flags & SLAB_STORE_USER) !== 0) set_track(k, s, object, TRACK_ALLOC);
    if ((c.flags & SLAB_TRACE) !== 0) trace(k, s, page, object, 'alloc');
    init_object(k, s, object, true);
    return true;
  }
  if ((k.read(page, struct_page.flags) & (1 << PG_slab)) !== 0) {
    const c = shapeOf(k, s);
    k.printk(`@@@ SLUB: ${nameOf(k, s)} slab 0x${hex8(page)}. Marking all objects used.`);
    k.write(page, struct_page.inuse, c.objects);
    k.write(page, struct_page.freelist, NULL);
    k.write(page, struct_page.offset, c.offset >>> 2);
  }
  return false;
}

function allocChecks(k: Kernel, s: Cache, page: Page, object: Vaddr): boolean {
  if (!check_slab(k, s, page)) return false;
  if (!on_freelist(k, s, page, object)) {
    k.printk(`SLUB: ${nameOf(k, s)} Object 0x${hex8(object)}@0x${hex8(page)} already allocated.`);
    return false;
  }
  if (!check_valid_pointer(k, shapeOf(k, s), page, object)) {
    object_err(k, s, page, object, 'Freelist Pointer check fails');
    return false;
  }
  return check_object(k, s, page, object, false);
}

/** Context: slab lock held. Return: false when the object must not be put on the free chain. */
export function free_debug_processing(k: Kernel, s: Cache, page: Page, object: Vaddr): boolean {
  const name = nameOf(k, s);
  const fail = (what: string): boolean => {
    if (what !== '') k.printk(what);
    k.printk(`@@@ SLUB: ${name} slab 0x${hex8(page)} object at 0x${hex8(object)} not freed.`);
    return false;
  };
  if (!check_slab(k, s, page)) return fail('');
  const c = shapeOf(k, s);
  if (!check_valid_pointer(k, c, page, object)) {
    return fail(`SLUB: ${name} slab 0x${hex8(page)} invalid object pointer 0x${hex8(object)}`);
  }
  if (on_freelist(k, s, page, object)) {
    return fail(`SLUB: ${name} slab 0x${hex8(page)} object 0x${hex8(object)} already free.`);
  }
  if (!check_object(k, s, page, object, true)) return false;
  const owner = k.read(page, struct_page.slab);
  if (owner !== s) {
    return fail(
      owner === 0
        ? `slab_free : no slab(NULL) for object 0x${hex8(object)}.`
        : `slab_free ${name}(${c.size}): object at 0x${hex8(object)} belongs to slab ${nameOf(k, owner as Cache)}`,
    );
  }
  if ((c.flags & SLAB_STORE_USER) !== 0) set_track(k, s, object, TRACK_FREE);
  if ((c.flags & SLAB_TRACE) !== 0) trace(k, s, page, object, 'free');
  init_object(k, s, object, false);
  return true;
}

function trace(k: Kernel, s: Cache, page: Page, object: Vaddr, what: string): void {
  const inuse = k.read(page, struct_page.inuse);
  k.printk(
    `TRACE ${nameOf(k, s)} ${what} 0x${hex8(object)} inuse=${inuse} fp=0x${hex8(k.read(page, struct_page.freelist))}`,
  );
}
