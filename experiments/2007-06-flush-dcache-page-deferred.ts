/**
 * Claim: flush_dcache_page() of a page of a file that nobody has mapped does nothing but mark it; update_mmu_cache() writes the kernel's lines back
 * when the page is mapped, before user space can read it. Both are needed.
 *
 * The kernel stores to a page of a file and flushes it; then it is mapped, and user space reads.
 *
 * Kernels: 2.6.22 on ARM926: marked and nothing written back; after the mapping user space reads the new word. With the patch
 * `mutant-no-update-mmu-cache`: the old one.
 * Source: arch/arm/mm/{flush,fault-armv}.c, Linux 2.6.22; spec/slab-dma.md §3.3.
 */
import {
  type AddressSpace,
  add_to_page_cache,
  address_space_init_once,
  alloc_page,
  assertEqual,
  expectWord,
  fillMemory,
  flush_dcache_page,
  GFP_KERNEL,
  type Kernel,
  lowmem_page_address,
  memoryWord,
  type Page,
  page_to_pfn,
  ptr,
  race,
  set_user_pte,
  struct_page,
  USER_BASE,
  VM_MAYSHARE,
  type Vma,
  vaddr,
  vma_link,
} from '../src/index.js';
import { AT91SAM9263 } from './lib/at91.js';

const OLD = 0x11111111;
const NEW = 0x22222222;
const MM = 1;
const AT = vaddr(USER_BASE + 0x5000);

const mappingOf = (k: Kernel): AddressSpace => ptr<'address_space'>(k.sym.race_data);
const vmaOf = (k: Kernel): Vma => ptr<'vm_area_struct'>(k.sym.race_data + 512);
const marked = (k: Kernel, page: Page): number => (k.read(page, struct_page.flags) >>> 9) & 1;

function writeThenMap(k: Kernel): void {
  const page = k.vars.page as Page;
  const K = lowmem_page_address(k, page);
  k.load32(K);
  k.store32(K, NEW);
  flush_dcache_page(k, page);
  assertEqual(marked(k, page), 1, 'mark on a page that nobody maps');
  assertEqual(memoryWord(k, page, 0), OLD, 'memory behind a page that nobody maps');
  vma_link(k, vmaOf(k), mappingOf(k), { mm: MM, start: AT, pages: 1, pgoff: 0, flags: VM_MAYSHARE });
  set_user_pte(k, vmaOf(k), AT, page);
  expectWord(page_to_pfn(k, page), 0, NEW, k.load32(AT), 'as user space reads it');
  assertEqual(marked(k, page), 0, 'mark on a page that is mapped');
}

export default race({
  id: '2007-06-flush-dcache-page-deferred',
  title: 'a page is flushed when it is mapped, not when it is written',
  source: 'arch/arm/mm/flush.c, Linux 2.6.22',
  spec: ['slab-dma/S20'],
  machine: AT91SAM9263,
  cases: [
    { name: '2.6.22', outcome: 'clean' },
    {
      name: 'without update_mmu_cache()',
      machine: { patches: ['mutant-no-update-mmu-cache'] },
      outcome: 'wrong-bytes',
      says: ['as user space reads it'],
    },
  ],
  vars: ['page'],

  setup(k) {
    const page = alloc_page(k, GFP_KERNEL);
    fillMemory(k, page, () => OLD);
    address_space_init_once(k, mappingOf(k));
    add_to_page_cache(k, page, mappingOf(k), 0);
    k.vars.page = page;
  },

  threads: [{ run: writeThenMap, cpu: 0, mm: MM }],
});
