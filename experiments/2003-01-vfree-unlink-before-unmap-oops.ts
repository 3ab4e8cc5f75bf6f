/**
 * Claim: vfree() of 2.5.53 takes the area off the list, and with that gives its addresses away, before it clears their page-table entries. Who gets the
 * addresses meanwhile finds entries in use, overwrites them, and then loses its own to the clearing: the first touch of its new area is a fault.
 *
 * CPU 0 frees an area while CPU 1 allocates one of the same size and stores into it.
 *
 * Kernels: 2.5.53, with `rmk1` too: "page already exists" and a fault, or a store into a page that goes back to the page allocator. 2.6.22 clears the entries
 * under vmlist_lock, before it unlinks the area; 4.12 keeps the addresses until a purge: clean.
 * Source: mm/vmalloc.c, Linux 2.5.53, 2.6.22; spec/vmalloc-gfp.md §6.2, §6.3. Found by the stress suite.
 */
import { type Kernel, race, type Vaddr, vfree, vmalloc } from '../src/index.js';

export default race({
  id: '2003-01-vfree-unlink-before-unmap-oops',
  title: 'vfree() clears the entries of an address that has a new owner',
  source: 'mm/vmalloc.c, Linux 2.5.53',
  spec: ['vmalloc/C-02'],
  machine: { core: 'arm11mpcore', cpus: 2, kernel: '2.5.53', highmemPages: 0 },
  // A new slab of SLUB is thousands of steps, each of its objects some.
  smallest: { slab: 'slab', lowmemPages: 64 },
  cases: [
    { name: '2.5.53', outcome: 'oops' },
    { name: '2.6.22', machine: { kernel: '2.6.22' }, outcome: 'clean' },
    { name: '4.12', machine: { kernel: '4.12' }, outcome: 'clean' },
  ],
  vars: ['area'],

  setup(k) {
    k.vars.area = vmalloc(k, 4096);
  },
  threads: [
    (k: Kernel) => vfree(k, k.vars.area as Vaddr),
    (k: Kernel) => {
      const mine = vmalloc(k, 4096);
      k.store32(mine, 1);
    },
  ],
});
