/**
 * Claim: flush_dcache_page(virt_to_page(x)) of an address from dma_alloc_coherent() has no legal result: the address is mapped a second time, far
 * from its page, and virt_to_page() calculates a struct page that lies outside of mem_map. What is read there depends on the size of memory.
 *
 * A page of consistent memory, and flush_dcache_page() of what virt_to_page() makes of its address. Afterwards the experiment says what was calculated.
 *
 * Kernels: 2.6.22. With 64 MB of RAM, as the report's board has, the place is in RAM: whatever is there is read as flags and mapping. With 4 MB
 * it is not: an oops, in page_mapping(). The 64 MB have words of 0 at that place, or of 4, which is then followed as a pointer to an address_space.
 * Source: seed 001, mail of 2007-06-22 (Russell King); include/asm-arm/memory.h, Linux 2.6.22; spec/slab-dma.md §4.2.
 */
import {
  arm_dma_alloc_coherent,
  flush_dcache_page,
  GFP_KERNEL,
  hex8,
  type Kernel,
  NULL,
  type Paddr,
  race,
  report,
  struct_page,
  vaddr,
} from '../src/index.js';
import { AT91SAM9263 } from './lib/at91.js';
import { virt_to_page } from './lib/objects.js';

const CONSISTENT_BASE = 0xffc00000;

/** What is in RAM where the struct page is looked for: in a run of the kernel, whatever happens to be there. */
function fillPlace(k: Kernel, word: number): void {
  const page = virt_to_page(k, vaddr(CONSISTENT_BASE));
  const place = k.__pa(page);
  if (page - k.sym.mem_map >= k.config.lowmemPages * 4096) return;
  for (let i = 0; i < struct_page.sizeof; i += 4) k.memory.write32((place + i) as Paddr, word);
}

function flushConsistent(k: Kernel): void {
  const { addr } = arm_dma_alloc_coherent(k, NULL, 4096, GFP_KERNEL);
  const page = virt_to_page(k, addr);
  const nr = (page - k.sym.mem_map) / struct_page.sizeof;
  flush_dcache_page(k, page);
  if (nr >= k.config.lowmemPages)
    report(`page ${hex8(nr)} of a map of ${hex8(k.config.lowmemPages)} for ${hex8(addr)}`);
}

export default race({
  id: '2007-06-flush-dcache-page-of-consistent',
  title: 'a struct page outside of mem_map for memory that is mapped twice',
  source: 'seed 001',
  spec: ['slab-dma/S17'],
  machine: AT91SAM9263,
  cases: [
    { name: '4 MB', outcome: 'oops', says: ['Unable to handle kernel paging request'] },
    {
      name: '64 MB',
      machine: { lowmemPages: 16384 },
      outcome: 'report',
      says: ['of a map of 00004000 for ffc00000'],
    },
    {
      name: '64 MB, words of 4 there',
      machine: { lowmemPages: 16384, parameters: { word: 4 } },
      outcome: 'oops',
      says: ['Unable to handle kernel NULL pointer dereference at virtual address 00000018'],
    },
  ],

  setup(k) {
    fillPlace(k, k.config.parameters.word ?? 0);
  },

  threads: [flushConsistent],
});
