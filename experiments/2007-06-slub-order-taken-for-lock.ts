/**
 * Claim: on several CPUs the word of struct kmem_cache that holds the order of its slabs is where a page of a file has its tree_lock. On a virtually
 * tagged cache flush_dcache_page() of a SLUB page takes it for writing: order 0 is a free lock, becomes 80000000, and the oops follows with the
 * cache ruined; any other order is a lock that somebody holds, for ever.
 *
 * flush_dcache_page() of a page of a class with slabs of so many pages, on two CPUs with one virtually tagged cache: a synthetic machine, since no
 * SMP machine has such a cache. The other CPU looks at the order meanwhile, or allocates until the cache has to grow: it asks for a block of 2^80000000 pages,
 * which no page allocator has.
 *
 * Kernels: 2.6.22 before the patch `page-mapping-slab`: 64 bytes (order 0): an oops; 2048 bytes (order 1): spins for ever with interrupts off.
 * With the patch: nothing.
 * Source: seed 001; include/linux/{slub_def,fs}.h, include/asm-arm/spinlock.h, Linux 2.6.22; spec/slab-dma.md §1.7.
 */
import {
  assertEqual,
  flush_dcache_page,
  GFP_KERNEL,
  type Kernel,
  kmalloc,
  kmallocCache,
  NULL,
  objectsPerSlab,
  race,
  report,
  type Vaddr,
  virt_to_head_page,
} from '../src/index.js';
import { BEFORE, makePartial } from './lib/at91.js';

function flushObject(k: Kernel): void {
  const { size = 64 } = k.config.parameters;
  const object = kmalloc(k, size, GFP_KERNEL) as Vaddr;
  flush_dcache_page(k, virt_to_head_page(k, object));
}

/** What the other CPU does: nothing, look, or allocate until the cache has to grow. */
const LOOKS = 1;
const GROWS = 2;

/** The cache has slabs of @order now; so large a block cannot be had, though memory is free. */
function growCache(k: Kernel, size: number): void {
  const objects = 2 * objectsPerSlab(k, size) + 2;
  for (let i = 0; i < objects; i++) {
    if (kmalloc(k, size, GFP_KERNEL) === NULL) report(`kmalloc(${size}) of the other CPU finds no memory`);
  }
}

function lookAtOrder(k: Kernel): void {
  const { size = 64, look = 0 } = k.config.parameters;
  if (look === GROWS) growCache(k, size);
  if (look !== LOOKS) return;
  const order = k.read(kmallocCache(k, size), k.structs.kmem_cache.order);
  assertEqual(order, size > 1024 ? 1 : 0, 'order of the cache, as another CPU reads it');
}

export default race({
  id: '2007-06-slub-order-taken-for-lock',
  title: 'the order of a slab cache is taken for a lock',
  source: 'seed 001',
  spec: ['slab-dma/S23'],
  machine: {
    core: 'vivt-shared',
    cpus: 2,
    kernel: '2.6.22',
    lowmemPages: 256,
    highmemPages: 0,
    preempt: false,
    oabi: true,
    slab: 'slub',
  },
  cases: [
    {
      name: 'order 0',
      machine: { patches: BEFORE },
      outcome: 'oops',
      says: ['at virtual address 0000000d', 'Oops: 1 [#1] SMP'],
    },
    {
      name: 'order 0, seen by the other CPU',
      machine: { patches: BEFORE, parameters: { look: LOOKS } },
      outcome: ['oops', 'report'],
    },
    {
      name: 'order 0, the other CPU grows the cache',
      machine: { patches: BEFORE, parameters: { look: GROWS } },
      // Clean where it has taken the partial slab before anybody looks.
      outcome: ['oops', 'report', 'clean'],
    },
    { name: 'order 1', machine: { patches: BEFORE, parameters: { size: 2048 } }, outcome: ['hang', 'deadlock'] },
    { name: 'PageSlab test, order 0', machine: { parameters: { look: LOOKS } }, outcome: 'clean' },
    {
      name: 'PageSlab test, the other CPU grows the cache',
      machine: { parameters: { look: GROWS } },
      outcome: 'clean',
    },
    { name: 'PageSlab test, order 1', machine: { parameters: { size: 2048, look: LOOKS } }, outcome: 'clean' },
  ],

  setup(k) {
    makePartial(k, k.config.parameters.size ?? 64, 1);
  },

  threads: [flushObject, lookAtOrder],
});
