/**
 * Reports of SLUB's checks as Linux 2.6.22 writes them. Source: mm/slub.c. The stack is left out, and text addresses do not exist, so a track
 * holds that of the kernel's data instead of its caller's.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { jiffies } from '../../shared/jiffies.js';
import { struct_page } from '../../shared/structs/page.js';
import { hex8, type Vaddr, vaddr } from '../../shared/types.js';
import { printSection } from '../hexdump.js';
import { lowmem_page_address } from '../page.js';
import type { Cache } from '../slab-common.js';
import { memset } from '../string.js';
import { get_freepointer, nameOf } from './cache.js';
import { endOfInfo, TRACK_ALLOC, TRACK_FREE, trackOf } from './objects.js';
import type { At, Part, Reports, Span } from './reports.js';
import { SLAB_RED_ZONE, SLAB_STORE_USER } from './sizes.js';

const WIDTH = 10;
const OBJECT_BYTES_MAX = 128;

function print_track(k: Kernel, text: string, track: Vaddr): void {
  if (k.load32(track) === 0) return;
  const cpu = k.load32(vaddr(track + 4));
  const pid = k.load32(vaddr(track + 8));
  const age = (jiffies(k) - k.load32(vaddr(track + 12))) >>> 0;
  k.printk(`${text}: ? jiffies_ago=${age} cpu=${cpu} pid=${pid}`);
}

function object_err(k: Kernel, { s, c, page }: At, object: Vaddr, reason: string): void {
  const addr = lowmem_page_address(k, page);
  k.printk(`*** SLUB ${nameOf(k, s)}: ${reason}@0x${hex8(object)} slab 0x${hex8(page)}`);
  const flags = hex8(k.read(page, struct_page.flags));
  const inuse = k.read(page, struct_page.inuse);
  k.printk(
    `    offset=${object - addr} flags=0x${flags} inuse=${inuse} freelist=0x${hex8(k.read(page, struct_page.freelist))}`,
  );
  if (object > addr + 16) printSection(k, 'Bytes b4', WIDTH, vaddr(object - 16), 16);
  printSection(k, 'Object', WIDTH, object, Math.min(c.objsize, OBJECT_BYTES_MAX));
  if ((c.flags & SLAB_RED_ZONE) !== 0)
    printSection(k, 'Redzone', WIDTH, vaddr(object + c.objsize), c.inuse - c.objsize);
  k.printk(`FreePointer 0x${hex8(object + c.offset)} -> 0x${hex8(get_freepointer(k, s, object))}`);
  if ((c.flags & SLAB_STORE_USER) !== 0) {
    print_track(k, 'Last alloc', trackOf(c, object, TRACK_ALLOC));
    print_track(k, 'Last free ', trackOf(c, object, TRACK_FREE));
  }
  const off = endOfInfo(c);
  if (off !== c.size) printSection(k, 'Filler', WIDTH, vaddr(object + off), c.size - off);
}

function restore_bytes(k: Kernel, s: Cache, message: string, { start, byte, bytes }: Span): void {
  const range = `0x${hex8(start)}-0x${hex8(start + bytes - 1)}`;
  k.printk(`@@@ SLUB: ${nameOf(k, s)} Restoring ${message} (0x${byte.toString(16)}) from ${range}`);
  memset(k, start, byte, bytes);
}

const REASONS: Readonly<Record<Part, readonly [inactive: string, active: string, restored: string]>> = {
  Redzone: ['Redzone Inactive', 'Redzone Active', 'redzone'],
  'Alignment padding': ['Alignment padding check fails', 'Alignment padding check fails', 'alignment padding'],
  'Object padding': ['Object padding check fails', 'Object padding check fails', 'object padding'],
  Poison: ['Poison check failed', 'Poison check failed', 'Poison'],
};

export const REPORTS_2_6_22: Reports = {
  overwritten(k, at, object, part, active, spans) {
    const [inactive, whenActive, restored] = REASONS[part];
    object_err(k, at, object, active ? whenActive : inactive);
    for (const span of spans) restore_bytes(k, at.s, restored, span);
  },
  slabPadding(k, { s, page }, rest) {
    k.printk(`SLUB: ${nameOf(k, s)} slab 0x${hex8(lowmem_page_address(k, page))}: Padding fails check`);
    restore_bytes(k, s, 'slab padding', rest);
  },
  object: object_err,
  notASlab: (k, at) => badSlab(k, at, 'Not a valid slab page'),
  offset: (k, at, offset) => badSlab(k, at, `Corrupted offset ${offset} in slab`),
  inuse: (k, at, inuse) => badSlab(k, at, `Inuse ${inuse} > max ${at.c.objects} in slab page`),
  freelist(k, { s, page }, fp) {
    k.printk(`SLUB: ${nameOf(k, s)} slab 0x${hex8(page)} freepointer 0x${hex8(fp)} corrupted.`);
  },
  count(k, { s, page }, inuse, counted) {
    k.printk(
      `slab ${nameOf(k, s)}: page 0x${hex8(page)} wrong object count. counter is ${inuse} but counted were ${counted}`,
    );
  },
  alreadyAllocated(k, { s, page }, object) {
    k.printk(`SLUB: ${nameOf(k, s)} Object 0x${hex8(object)}@0x${hex8(page)} already allocated.`);
  },
  allUsed(k, { s, page }) {
    k.printk(`@@@ SLUB: ${nameOf(k, s)} slab 0x${hex8(page)}. Marking all objects used.`);
  },
  invalidPointer(k, { s, page }, object) {
    k.printk(`SLUB: ${nameOf(k, s)} slab 0x${hex8(page)} invalid object pointer 0x${hex8(object)}`);
  },
  alreadyFree(k, { s, page }, object) {
    k.printk(`SLUB: ${nameOf(k, s)} slab 0x${hex8(page)} object 0x${hex8(object)} already free.`);
  },
  otherOwner(k, { s, c }, object, owner) {
    k.printk(
      owner === 0
        ? `slab_free : no slab(NULL) for object 0x${hex8(object)}.`
        : `slab_free ${nameOf(k, s)}(${c.size}): object at 0x${hex8(object)} belongs to slab ${nameOf(k, owner)}`,
    );
  },
  notFreed(k, { s, page }, object) {
    k.printk(`@@@ SLUB: ${nameOf(k, s)} slab 0x${hex8(page)} object at 0x${hex8(object)} not freed.`);
  },
};

function badSlab(k: Kernel, { s, page }: At, what: string): void {
  const flags = hex8(k.read(page, struct_page.flags));
  const mapping = hex8(k.read(page, struct_page.mapping));
  const count = k.read(page, struct_page._count);
  k.printk(`SLUB: ${nameOf(k, s)} ${what} @0x${hex8(page)} flags=${flags} mapping=0x${mapping} count=${count}`);
}
