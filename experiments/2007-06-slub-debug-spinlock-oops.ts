/**
 * Claim: with DEBUG_SPINLOCK on one CPU the lock debugger complains before the oops, since the word that would be the magic of tree_lock is none;
 * taking the lock writes over list_lock of the cache. The fault does not depend on the partial list: the word that is taken for the tree is
 * the owner of list_lock, which is -1 while nobody has it.
 *
 * flush_dcache_page() of a page of kmalloc-64, with as many slabs partial as the case says.
 *
 * Kernels: 2.6.22 before the patch `page-mapping-slab`: "BUG: rwlock bad magic", then a fault at 0000000b. With the patch: nothing.
 * Source: seed 001; lib/spinlock_debug.c, include/linux/spinlock_types.h, Linux 2.6.22; spec/slab-dma.md §1.7.
 */
import { flush_dcache_page, GFP_KERNEL, kmalloc, race, type Vaddr, virt_to_head_page } from '../src/index.js';
import { AT91SAM9263, BEFORE, makePartial } from './lib/at91.js';

const cases = [0, 1, 5].map((partial) => ({
  name: `${partial} partial`,
  machine: { patches: BEFORE, parameters: { partial } },
  outcome: 'oops' as const,
  says: ['BUG: rwlock bad magic on CPU#0, thread0/0', 'at virtual address 0000000b', 'Oops: 1 [#1]'],
}));

export default race({
  id: '2007-06-slub-debug-spinlock-oops',
  title: 'a lock that is none is taken, and its neighbour followed as a pointer',
  source: 'seed 001',
  spec: ['slab-dma/S5'],
  machine: { ...AT91SAM9263, debugSpinlock: true },
  cases: [...cases, { name: 'PageSlab test', machine: { parameters: { partial: 1 } }, outcome: 'clean' }],

  setup(k) {
    makePartial(k, 64, k.config.parameters.partial ?? 1);
  },

  threads: [
    (k) => {
      const object = kmalloc(k, 64, GFP_KERNEL) as Vaddr;
      flush_dcache_page(k, virt_to_head_page(k, object));
    },
  ],
});
