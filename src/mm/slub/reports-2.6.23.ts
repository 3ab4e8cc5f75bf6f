/**
 * Reports of SLUB's checks as Linux 2.6.23 and later write them. Source: mm/slub.c, Linux 2.6.30, 4.12; spec/checkers.md §6.5.
 * Differs: text addresses do not exist, so a question mark stands for a function; empty lines are left out.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { jiffies } from '../../shared/jiffies.js';
import { struct_page } from '../../shared/structs/page.js';
import { hex8, NULL, type Vaddr, vaddr } from '../../shared/types.js';
import { KERNEL_VERSION } from '../../shared/version.js';
import { print_hex_dump, printSection } from '../hexdump.js';
import { lowmem_page_address, type Page } from '../page.js';
import type { Cache } from '../slab-common.js';
import { memchr_inv, memset } from '../string.js';
import { get_freepointer, nameOf } from './cache.js';
import { check_valid_pointer, endOfInfo, type Shape, shapeOf, TRACK_ALLOC, TRACK_FREE, trackOf } from './objects.js';
import type { At, Reports, Span } from './reports.js';
import { SLAB_RED_ZONE, SLAB_STORE_USER } from './sizes.js';

const RULE_CHARS = 77;
const SAYS_TAINT = KERNEL_VERSION(3, 4, 0);
const HAS_HEX_DUMP = KERNEL_VERSION(3, 2, 0);
/** Until then a slab whose last bytes are wrong is filled from its first byte on. */
const MENDS_PADDING_ONLY = KERNEL_VERSION(2, 6, 32);
const WIDTH = 8;
const OBJECT_BYTES_MAX = 128;
const PAGE_BYTES = 4096;

const TRACKS = [
  ['Allocated', TRACK_ALLOC],
  ['Freed', TRACK_FREE],
] as const;

function print_section(k: Kernel, text: string, addr: Vaddr, length: number): void {
  if (k.LINUX_VERSION_CODE >= HAS_HEX_DUMP) print_hex_dump(k, `${text} `, addr, length);
  else printSection(k, text, WIDTH, addr, length);
}

function slab_bug(k: Kernel, s: Cache, what: string): void {
  const tainted = k.LINUX_VERSION_CODE >= SAYS_TAINT ? ' (Not tainted)' : '';
  k.printk('='.repeat(RULE_CHARS));
  k.printk(`BUG ${nameOf(k, s)}${tainted}: ${what}`);
  k.printk('-'.repeat(RULE_CHARS));
}

function slab_fix(k: Kernel, s: Cache, what: string): void {
  k.printk(`FIX ${nameOf(k, s)}: ${what}`);
}

/** Who had an object last. */
function print_tracking(k: Kernel, c: Shape, object: Vaddr): void {
  if ((c.flags & SLAB_STORE_USER) === 0) return;
  for (const [what, which] of TRACKS) {
    const track = trackOf(c, object, which);
    if (k.load32(track) === 0) continue;
    const age = (jiffies(k) - k.load32(vaddr(track + 12))) >>> 0;
    k.printk(`INFO: ${what} in ? age=${age} cpu=${k.load32(vaddr(track + 4))} pid=${k.load32(vaddr(track + 8))}`);
  }
}

function print_page_info(k: Kernel, c: Shape, page: Page): void {
  const fp = hex8(k.read(page, struct_page.freelist));
  const used = k.read(page, struct_page.inuse);
  const flags = (k.read(page, struct_page.flags) >>> 0).toString(16).padStart(4, '0');
  k.printk(`INFO: Slab 0x${hex8(page)} objects=${c.objects} used=${used} fp=0x${fp} flags=0x${flags}`);
}

function print_trailer(k: Kernel, { s, c, page }: At, object: Vaddr): void {
  const addr = lowmem_page_address(k, page);
  print_tracking(k, c, object);
  print_page_info(k, c, page);
  k.printk(`INFO: Object 0x${hex8(object)} @offset=${object - addr} fp=0x${hex8(get_freepointer(k, s, object))}`);
  if (object > addr + 16) print_section(k, 'Bytes b4', vaddr(object - 16), 16);
  const limit = k.LINUX_VERSION_CODE >= HAS_HEX_DUMP ? PAGE_BYTES : OBJECT_BYTES_MAX;
  print_section(k, 'Object', object, Math.min(c.objsize, limit));
  if ((c.flags & SLAB_RED_ZONE) !== 0) print_section(k, 'Redzone', vaddr(object + c.objsize), c.inuse - c.objsize);
  const off = endOfInfo(c);
  if (off !== c.size) print_section(k, 'Padding', vaddr(object + off), c.size - off);
  k.dumpStack();
}

function object_err(k: Kernel, at: At, object: Vaddr, reason: string): void {
  slab_bug(k, at.s, reason);
  print_trailer(k, at, object);
}

function slab_err(k: Kernel, { s, c, page }: At, what: string): void {
  slab_bug(k, s, what);
  print_page_info(k, c, page);
  k.dumpStack();
}

function restore_bytes(k: Kernel, s: Cache, byte: number, from: Vaddr, to: Vaddr): void {
  slab_fix(k, s, `Restoring 0x${hex8(from)}-0x${hex8(to - 1)}=0x${byte.toString(16)}`);
  memset(k, from, byte, to - from);
}

/** From the first wrong byte to behind the last; null if all are right. */
function faultIn(k: Kernel, { start, byte, bytes }: Span): { fault: Vaddr; end: Vaddr } | null {
  const fault = memchr_inv(k, start, byte, bytes);
  if (fault === NULL) return null;
  let end = start + bytes;
  while (end > fault && k.load8(vaddr(end - 1)) === byte) end--;
  return { fault, end: vaddr(end) };
}

export const REPORTS_2_6_23: Reports = {
  overwritten(k, at, object, part, _active, spans) {
    for (const span of spans) {
      const wrong = faultIn(k, span);
      if (wrong === null) continue;
      const { fault, end } = wrong;
      slab_bug(k, at.s, `${part} overwritten`);
      const first = k.load8(fault).toString(16);
      k.printk(
        `INFO: 0x${hex8(fault)}-0x${hex8(end - 1)}. First byte 0x${first} instead of 0x${span.byte.toString(16)}`,
      );
      print_trailer(k, at, object);
      restore_bytes(k, at.s, span.byte, fault, end);
      return;
    }
  },
  slabPadding(k, at, rest) {
    const wrong = faultIn(k, rest);
    if (wrong === null) return;
    slab_err(k, at, `Padding overwritten. 0x${hex8(wrong.fault)}-0x${hex8(wrong.end - 1)}`);
    print_section(k, 'Padding', rest.start, rest.bytes);
    const from = k.LINUX_VERSION_CODE < MENDS_PADDING_ONLY ? lowmem_page_address(k, at.page) : rest.start;
    restore_bytes(k, at.s, rest.byte, from, wrong.end);
  },
  object: object_err,
  notASlab: (k, at) => slab_err(k, at, 'Not a valid slab page'),
  offset: (k, at, offset) => slab_err(k, at, `Corrupted offset ${offset}`),
  inuse: (k, at, inuse) => slab_err(k, at, `inuse ${inuse} > max ${at.c.objects}`),
  freelist(k, at) {
    slab_err(k, at, 'Freepointer corrupt');
    slab_fix(k, at.s, 'Freelist cleared');
  },
  count(k, at, inuse, counted) {
    slab_err(k, at, `Wrong object count. Counter is ${inuse} but counted were ${counted}`);
    slab_fix(k, at.s, 'Object count adjusted.');
  },
  alreadyAllocated: (k, at, object) => object_err(k, at, object, 'Object already allocated'),
  allUsed: (k, { s }) => slab_fix(k, s, 'Marking all objects used'),
  invalidPointer: (k, at, object) => slab_err(k, at, `Invalid object pointer 0x${hex8(object)}`),
  alreadyFree: (k, at, object) => object_err(k, at, object, 'Object already free'),
  otherOwner(k, at, object, owner) {
    if (owner !== 0) object_err(k, at, object, 'page slab pointer corrupt.');
    else {
      k.printk(`SLUB <none>: no slab for object 0x${hex8(object)}.`);
      k.dumpStack();
    }
  },
  notFreed: (k, { s }, object) => slab_fix(k, s, `Object at 0x${hex8(object)} not freed`),
};

/**
 * The objects of a slab that are not on its free chain, when there should be none.
 *
 * Context: slab lock held; no CPU has the slab, so that the one chain is all that is free.
 * Source:  list_slab_objects(), mm/slub.c, Linux 2.6.30, 4.12.
 */
export function list_slab_objects(k: Kernel, s: Cache, page: Page, what: string): void {
  const c = shapeOf(k, s);
  const addr = lowmem_page_address(k, page);
  slab_err(k, { s, c, page }, what);
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
