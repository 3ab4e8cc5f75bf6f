/**
 * SLAB's checks with CONFIG_DEBUG_SLAB: red zones of 64 bits on both sides of an object, poison, who used it last.
 *
 * Source: mm/slab.c, Linux 2.6.22. Reports have the kernel's lines without the stack; the word for the last user holds _stext, as there is no text.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { BUG_ON } from '../../shared/bug.js';
import { hex2, hex8, type Vaddr, vaddr } from '../../shared/types.js';
import { construct } from '../slab-common.js';
import { memset } from '../string.js';
import { bufctl, SLAB_LIMIT, type Slab, type SlabCache, slabNameOf, virt_to_slab } from './cache.js';
import { RED_BYTES, SLAB_POISON, SLAB_RED_ZONE, SLAB_STORE_USER } from './sizes.js';

const POISON_INUSE = 0x5a;
const POISON_FREE = 0x6b;
const POISON_END = 0xa5;
/** High and low words. */
type Red = readonly [number, number];
const RED_INACTIVE: Red = [0x09f91102, 0x9d74e35b];
const RED_ACTIVE: Red = [0xd84156c5, 0x635688c0];
const ROW_BYTES = 16;
const ROWS_MAX = 5;

interface Shape {
  readonly flags: number;
  readonly size: number;
  readonly objsize: number;
  readonly offset: number;
}

function shapeOf(k: Kernel, s: SlabCache): Shape {
  const f = k.structs.slab_kmem_cache;
  return {
    flags: k.read(s, f.flags),
    size: k.read(s, f.buffer_size),
    objsize: k.read(s, f.obj_size),
    offset: k.read(s, f.obj_offset),
  };
}

const redzone1 = (c: Shape, objp: Vaddr): Vaddr => vaddr(objp + c.offset - RED_BYTES);
/** Behind it is the word for the last user, if there is one. */
function redzone2(k: Kernel, c: Shape, objp: Vaddr): Vaddr {
  if ((c.flags & SLAB_STORE_USER) === 0) return vaddr(objp + c.size - RED_BYTES);
  return vaddr(objp + c.size - RED_BYTES - (k.config.core.arch === 'arm' && k.config.oabi ? 4 : 8));
}
const userword = (c: Shape, objp: Vaddr): Vaddr => vaddr(objp + c.size - 4);

const bigEndian = (k: Kernel): boolean => k.config.core.arch === 'parisc';

function readRed(k: Kernel, at: Vaddr): Red {
  const [first, second] = [k.load32(at) >>> 0, k.load32(vaddr(at + 4)) >>> 0];
  return bigEndian(k) ? [first, second] : [second, first];
}

function writeRed(k: Kernel, at: Vaddr, [high, low]: Red): void {
  k.store32(at, bigEndian(k) ? high : low);
  k.store32(vaddr(at + 4), bigEndian(k) ? low : high);
}

const same = (a: Red, b: Red): boolean => a[0] === b[0] && a[1] === b[1];
const shown = ([high, low]: Red): string =>
  `0x${high === 0 ? '' : high.toString(16)}${high === 0 ? low.toString(16) : hex8(low)}`;

function poison_obj(k: Kernel, c: Shape, objp: Vaddr, byte: number): void {
  const start = vaddr(objp + c.offset);
  memset(k, start, byte, c.objsize);
  k.store8(vaddr(start + c.objsize - 1), POISON_END);
}

/** Left out: the stack. */
export function slab_error(k: Kernel, s: SlabCache, where: string, msg: string): void {
  k.printk(`slab error in ${where}(): cache \`${slabNameOf(k, s)}': ${msg}`);
}

function sayRedzones(k: Kernel, c: Shape, objp: Vaddr): void {
  const [one, two] = [readRed(k, redzone1(c, objp)), readRed(k, redzone2(k, c, objp))];
  k.printk(`${hex8(objp)}: redzone 1:${shown(one)}, redzone 2:${shown(two)}`);
}

/** Rows of what is wrong in a poisoned object. */
function check_poison_obj(k: Kernel, c: Shape, objp: Vaddr): void {
  const start = vaddr(objp + c.offset);
  let rows = 0;
  for (let i = 0; i < c.objsize; i++) {
    const expected = i === c.objsize - 1 ? POISON_END : POISON_FREE;
    if (k.load8(vaddr(start + i)) === expected) continue;
    if (rows === 0) {
      k.printk(`Slab corruption: start=${hex8(start)}, len=${c.objsize}`);
      if ((c.flags & SLAB_RED_ZONE) !== 0) {
        const [one, two] = [readRed(k, redzone1(c, objp)), readRed(k, redzone2(k, c, objp))];
        k.printk(`Redzone: ${shown(one)}/${shown(two)}.`);
      }
      if ((c.flags & SLAB_STORE_USER) !== 0) k.printk(`Last user: [<${hex8(k.load32(userword(c, objp)))}>](?)`);
    }
    const row = i - (i % ROW_BYTES);
    const bytes: string[] = [];
    for (let at = row; at < Math.min(row + ROW_BYTES, c.objsize); at++) bytes.push(hex2(k.load8(vaddr(start + at))));
    k.printk(`${row.toString(16).padStart(3, '0')}: ${bytes.join(' ')}`);
    i = row + ROW_BYTES - 1;
    if (++rows > ROWS_MAX) break;
  }
}

/** An object of a new slab: free, poisoned; the constructor has it if there is no poison for it to spoil. */
export function initDebugObject(k: Kernel, s: SlabCache, objp: Vaddr, ctor: number): void {
  const c = shapeOf(k, s);
  if ((c.flags & SLAB_STORE_USER) !== 0) k.store32(userword(c, objp), 0);
  if ((c.flags & SLAB_RED_ZONE) !== 0) {
    writeRed(k, redzone1(c, objp), RED_INACTIVE);
    writeRed(k, redzone2(k, c, objp), RED_INACTIVE);
  }
  if ((c.flags & SLAB_POISON) !== 0) {
    poison_obj(k, c, objp, POISON_FREE);
    return;
  }
  if (ctor === 0) return;
  construct(k, ctor, vaddr(objp + c.offset), s);
  checkEnds(k, s, c, objp, 'cache_init_objs', (end) => `constructor overwrote the ${end} of an object`);
}

/** The red zones of a free object: what is overwritten is said. */
function checkEnds(k: Kernel, s: SlabCache, c: Shape, objp: Vaddr, where: string, text: (end: string) => string): void {
  if ((c.flags & SLAB_RED_ZONE) === 0) return;
  if (!same(readRed(k, redzone1(c, objp)), RED_INACTIVE)) slab_error(k, s, where, text('start'));
  if (!same(readRed(k, redzone2(k, c, objp)), RED_INACTIVE)) slab_error(k, s, where, text('end'));
}

/** The objects of a slab that goes away are all free. Context: any. */
export function slab_destroy_objs(k: Kernel, s: SlabCache, slab: Slab): void {
  const c = shapeOf(k, s);
  const num = k.read(s, k.structs.slab_kmem_cache.num);
  for (let i = 0; i < num; i++) {
    const objp = vaddr(k.read(slab, k.structs.slab.s_mem) + c.size * i);
    if ((c.flags & SLAB_POISON) !== 0) check_poison_obj(k, c, objp);
    checkEnds(k, s, c, objp, 'slab_destroy_objs', (end) => `${end} of a freed object was overwritten`);
  }
}

/** Return: the user's address. Context: interrupts off. */
export function cache_alloc_debugcheck_after(k: Kernel, s: SlabCache, objp: Vaddr): Vaddr {
  const c = shapeOf(k, s);
  if ((c.flags & SLAB_POISON) !== 0) {
    check_poison_obj(k, c, objp);
    poison_obj(k, c, objp, POISON_INUSE);
  }
  if ((c.flags & SLAB_STORE_USER) !== 0) k.store32(userword(c, objp), k.sym._sdata);
  if ((c.flags & SLAB_RED_ZONE) !== 0) {
    const inactive = (at: Vaddr): boolean => same(readRed(k, at), RED_INACTIVE);
    if (!inactive(redzone1(c, objp)) || !inactive(redzone2(k, c, objp))) {
      slab_error(k, s, 'cache_alloc_debugcheck_after', 'double free, or memory outside object was overwritten');
      sayRedzones(k, c, objp);
    }
    writeRed(k, redzone1(c, objp), RED_ACTIVE);
    writeRed(k, redzone2(k, c, objp), RED_ACTIVE);
  }
  if ((c.flags & SLAB_POISON) !== 0) construct(k, k.read(s, k.structs.slab_kmem_cache.ctor), vaddr(objp + c.offset), s);
  return vaddr(objp + c.offset);
}

/** Return: the object of a user's address. Errors: BUG when there is no object at that address. Context: interrupts off. */
export function cache_free_debugcheck(k: Kernel, s: SlabCache, x: Vaddr): Vaddr {
  const c = shapeOf(k, s);
  const objp = vaddr(x - c.offset);
  const slab = virt_to_slab(k, objp);
  if ((c.flags & SLAB_RED_ZONE) !== 0) {
    verify_redzone_free(k, s, c, objp);
    writeRed(k, redzone1(c, objp), RED_INACTIVE);
    writeRed(k, redzone2(k, c, objp), RED_INACTIVE);
  }
  if ((c.flags & SLAB_STORE_USER) !== 0) k.store32(userword(c, objp), k.sym._sdata);
  const nr = (objp - k.read(slab, k.structs.slab.s_mem)) / c.size;
  const num = k.read(s, k.structs.slab_kmem_cache.num);
  BUG_ON(k, !Number.isInteger(nr) || nr < 0 || nr >= num, 'mm/slab.c cache_free_debugcheck: no object', objp);
  if ((c.flags & SLAB_POISON) !== 0) poison_obj(k, c, objp, POISON_FREE);
  return objp;
}

function verify_redzone_free(k: Kernel, s: SlabCache, c: Shape, objp: Vaddr): void {
  const [one, two] = [readRed(k, redzone1(c, objp)), readRed(k, redzone2(k, c, objp))];
  if (same(one, RED_ACTIVE) && same(two, RED_ACTIVE)) return;
  const twice = same(one, RED_INACTIVE) && same(two, RED_INACTIVE);
  slab_error(k, s, 'verify_redzone_free', twice ? 'double free detected' : 'memory outside object was overwritten');
  sayRedzones(k, c, objp);
}

/** An object goes back to its slab: its entry of the chain must not name another, or the end, for then it is in the chain. */
export function checkBufctl(k: Kernel, s: SlabCache, slab: Slab, index: number, objp: Vaddr): void {
  if ((k.load32(bufctl(k, slab, index)) + 1) >>> 0 > SLAB_LIMIT + 1) return;
  k.printk(`slab: double free detected in cache '${slabNameOf(k, s)}', objp ${hex8(objp)}`);
  k.die('bug', 'kernel BUG at mm/slab.c slab_put_obj!', objp);
}
