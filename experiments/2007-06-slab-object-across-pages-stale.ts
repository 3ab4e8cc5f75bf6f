/**
 * Claim: flush_dcache_page(virt_to_page(object)) covers the page that an object begins in. Of an object that goes on in the next page the rest stays
 * in the cache; flush_dcache_range() of the object's addresses covers it all. Which objects cross a page follows from the allocator's
 * debugging options and orders; without any no kmalloc() object of less than a page does.
 *
 * An object at the place in its slab that the case asks for is stored to from end to end, flushed, and compared with memory, as a device sees it.
 *
 * Kernels: 2.6.22 (`page-mapping-slab`): as many bytes are old as lie in the second page. Before the patch nothing at all is flushed while no slab is
 * partial, and it oopses else. With VM_BUG_ON() and DEBUG_VM a BUG, since the object begins in the first page of the slab.
 * SLAB with DEBUG_SLAB has such objects on machines of more than 32 MB; its pages are flushed with and without the patch.
 * Source: seed 001, mail of 2007-06-25; mm/slub.c, Linux 2.6.22; spec/slab-dma.md §2.2, §6.
 */
import {
  flushTransferred,
  type Kernel,
  type MachineSpec,
  memoryWord,
  page_to_pfn,
  race,
  type Vaddr,
  vaddr,
  wrongByte,
} from '../src/index.js';
import { AT91SAM9263, makePartial } from './lib/at91.js';
import { type Claim, type Fix, fixCases } from './lib/fixes.js';
import { objectAt, offsetInSlab, virt_to_page } from './lib/objects.js';

const wordAt = (offset: number): number => (0xa5000000 ^ Math.imul(offset + 1, 0x10204)) >>> 0;

/** SLAB's slabs are no compound pages: the place in the page is what there is to know. */
function findObject(k: Kernel, size: number, place: number): Vaddr {
  if (k.config.slab === 'slab') return objectAt(k, size, (x) => place < 0 || (x & 4095) === (place & 4095));
  return objectAt(k, size, (x) => place < 0 || offsetInSlab(k, x) === place);
}

function flushObject(k: Kernel): void {
  const { size = 1024 } = k.config.parameters;
  const object = k.vars.object as Vaddr;
  for (let i = 0; i < size; i += 4) {
    k.load32(vaddr(object + i));
    k.store32(vaddr(object + i), wordAt(i));
  }
  flushTransferred(k, virt_to_page(k, object), object, size);
  expectInMemory(k, object, size);
}

function expectInMemory(k: Kernel, object: Vaddr, size: number): void {
  const old: number[] = [];
  for (let i = 0; i < size; i += 4) {
    const at = vaddr(object + i);
    if (memoryWord(k, virt_to_page(k, at), at & 4095) !== wordAt(i)) old.push(i);
  }
  const [first] = old;
  if (first === undefined) return;
  const at = vaddr(object + first);
  const page = virt_to_page(k, at);
  const seen = memoryWord(k, page, at & 4095) & 0xff;
  const where = `${old.length * 4} of ${size} bytes are old in memory`;
  wrongByte(page_to_pfn(k, page), at & 4095, wordAt(first) & 0xff, seen, where);
}

const CLEAN: Claim = { outcome: 'clean' };
const stale = (bytes: number, size: number): Claim => ({
  outcome: 'wrong-bytes',
  says: [`, ${bytes} of ${size} bytes are old in memory`],
});

/** SLAB's pages have no mapping: without any fix they are flushed at once, as others that no file owns. */
const SLAB_FIXES: readonly Fix[] = ['none', 'VM_BUG_ON', 'pages for DMA memory, ARM'];

/** Every fix for one object with @rest bytes behind the page's end; no slab is partial. */
const across = (
  name: string,
  machine: MachineSpec,
  size: number,
  place: number,
  rest: number,
  flushed: readonly Fix[] = [],
) => {
  const claims: Partial<Record<Fix, Claim>> = {
    none: stale(size, size),
    'PageSlab test': stale(rest, size),
    'VM_BUG_ON, DEBUG_VM': { outcome: 'bug', says: ['page_mapping: a slab page'] },
    VM_BUG_ON: stale(size, size),
    'pages for DMA memory, ARM': stale(size, size),
    'flush_dcache_range()': CLEAN,
    'PageSlab() in the caller': stale(size, size),
  };
  for (const fix of flushed) claims[fix] = stale(rest, size);
  return fixCases(name, { ...machine, parameters: { size, place } }, claims);
};

const plain = (name: string, machine: MachineSpec, size: number, place: number, claim: Claim) => ({
  name,
  machine: { ...machine, parameters: { size, place } },
  ...claim,
});

const ZPU: MachineSpec = { slubDebug: 'ZPU' };
/** Slabs of two pages are for machines of more than 32 MB. */
const SLAB: MachineSpec = { slab: 'slab', debugSlab: true, lowmemPages: 8448 };

export default race({
  id: '2007-06-slab-object-across-pages-stale',
  title: 'a flush of the page that an object begins in leaves the rest of the object in the cache',
  source: 'seed 001',
  spec: ['slab-dma/S8', 'slab-dma/S9', 'slab-dma/S10', 'slab-dma/S11'],
  machine: AT91SAM9263,
  cases: [
    ...across('1024 bytes', ZPU, 1024, 3204, 132),
    {
      name: '1024 bytes, a slab partial: none',
      machine: { ...ZPU, patches: ['-page-mapping-slab'], parameters: { size: 1024, place: 3204, partial: 1 } },
      outcome: 'oops',
      says: ['at virtual address 0000000d'],
    },
    plain('1024 bytes, new ABI', { ...ZPU, oabi: false }, 1024, 3216, stale(144, 1024)),
    plain('1024 bytes, red zone', { slubDebug: 'Z' }, 1024, 3096, stale(24, 1024)),
    plain('1024 bytes, tracks', { slubDebug: 'U' }, 1024, 3168, stale(96, 1024)),
    plain('2048 bytes', ZPU, 2048, 2092, stale(44, 2048)),
    plain('4096 bytes', ZPU, 4096, 0, CLEAN),
    plain('4096 bytes, slub_max_order=2, object 1', { ...ZPU, slubMaxOrder: 2 }, 4096, 4140, stale(44, 4096)),
    plain('4096 bytes, slub_max_order=2, object 2', { ...ZPU, slubMaxOrder: 2 }, 4096, 8280, stale(88, 4096)),
    plain('64 bytes, slub_min_order=1, poison', { slubDebug: 'P', slubMinOrder: 1 }, 64, 4080, stale(48, 64)),
    {
      name: '64 bytes, slub_min_order=1, poison, a slab partial: none',
      machine: {
        slubDebug: 'P',
        slubMinOrder: 1,
        patches: ['-page-mapping-slab'],
        parameters: { size: 64, place: 4080, partial: 1 },
      },
      outcome: 'oops',
      says: ['at virtual address 0000000d'],
    },
    plain(
      '64 bytes, slub_min_order=1, red zone and tracks',
      { slubDebug: 'ZU', slubMinOrder: 1 },
      64,
      4056,
      stale(24, 64),
    ),
    ...across('SLAB, 2048 bytes', SLAB, 2048, 2116, 68, SLAB_FIXES),
    plain('SLAB, 2048 bytes, new ABI', { ...SLAB, oabi: false }, 2048, 2120, stale(72, 2048)),
    plain('SLAB, 1024 bytes', SLAB, 1024, 3196, stale(124, 1024)),
    plain('SLAB, 4096 bytes', SLAB, 4096, 0, CLEAN),
    plain('SLAB, 2048 bytes, little memory', { ...SLAB, lowmemPages: 1024 }, 2048, -1, CLEAN),
    plain('SLAB, 2048 bytes, no debugging', { slab: 'slab' }, 2048, 2048, CLEAN),
    plain('64 bytes, last of its slab', ZPU, 64, 36 * 108, CLEAN),
    plain('64 bytes, no debugging', {}, 64, 4032, CLEAN),
  ],

  vars: ['object'],

  setup(k) {
    const { size = 1024, place = -1, partial = 0 } = k.config.parameters;
    k.vars.object = findObject(k, size, place);
    if (partial > 0) makePartial(k, size, partial);
  },

  threads: [flushObject],
});
