/**
 * Claim: with a virtually tagged cache a page of a file that the kernel has written is read by user space as it was before, unless
 * flush_dcache_page() lies between: two addresses of the page are two places in the cache. It is what the function is for. Of mappings it
 * looks at those that may be shared only: one that is private and has not been written yet stays stale.
 *
 * A page of a file holds one word; user space has read it. The kernel stores another through its own address, and user space reads again.
 *
 * Kernels: 2.6.22 on ARM926. With flush_dcache_page() and a shared mapping: the new word. Without, or with a private mapping: the old one. On
 * Cortex-A9, physically tagged: the new one always. PA-RISC flushes private mappings as well.
 * Source: arch/arm/mm/flush.c, Documentation/cachetlb.txt, Linux 2.6.22; spec/slab-dma.md §3.2, §3.3.
 */
import {
  type AddressSpace,
  add_to_page_cache,
  address_space_init_once,
  alloc_page,
  expectWord,
  fillMemory,
  flush_dcache_page,
  GFP_KERNEL,
  type Kernel,
  lowmem_page_address,
  type Page,
  page_to_pfn,
  ptr,
  race,
  set_user_pte,
  USER_BASE,
  USER_WINDOW,
  type Vaddr,
  VM_MAYSHARE,
  type Vma,
  vaddr,
  vma_link,
} from '../src/index.js';
import { AT91SAM9263 } from './lib/at91.js';

const OLD = 0x11111111;
const NEW = 0x22222222;
const MM = 1;
/** Not a place in the cache that the kernel's address of the page has, whichever page it is. */
const userAddress = (k: Kernel): Vaddr => vaddr((k.config.core.arch === 'arm' ? USER_BASE : USER_WINDOW) + 0x5000);

const mappingOf = (k: Kernel): AddressSpace => ptr<'address_space'>(k.sym.race_data);
const vmaOf = (k: Kernel): Vma => ptr<'vm_area_struct'>(k.sym.race_data + 512);

function writeFile(k: Kernel): void {
  const { flush = 1, shared = 1 } = k.config.parameters;
  const page = k.vars.page as Page;
  const K = lowmem_page_address(k, page);
  const AT = userAddress(k);
  const of = { mm: MM, start: AT, pages: 1, pgoff: 7, flags: shared === 1 ? VM_MAYSHARE : 0 };
  vma_link(k, vmaOf(k), mappingOf(k), of);
  set_user_pte(k, vmaOf(k), AT, page);
  expectWord(page_to_pfn(k, page), 0, OLD, k.load32(AT), 'before');
  // A store that misses goes to memory on this cache: the line has to be there.
  k.load32(K);
  k.store32(K, NEW);
  if (flush === 1) flush_dcache_page(k, page);
  expectWord(page_to_pfn(k, page), 0, NEW, k.load32(AT), 'as user space reads it');
}

const STALE = { outcome: 'wrong-bytes', says: ['expected 0x22, saw 0x11, as user space reads it'] } as const;

export default race({
  id: '2007-06-flush-dcache-page-user-alias',
  title: 'user space reads a page of a file that the kernel has written',
  source: 'Documentation/cachetlb.txt, Linux 2.6.22',
  spec: ['slab-dma/S19'],
  machine: AT91SAM9263,
  cases: [
    { name: 'flushed', outcome: 'clean' },
    { name: 'not flushed', machine: { parameters: { flush: 0 } }, ...STALE },
    { name: 'flushed, private mapping', machine: { parameters: { shared: 0 } }, ...STALE },
    { name: 'flushed, PA-RISC', machine: { core: 'pcxs' }, outcome: 'clean' },
    { name: 'not flushed, PA-RISC', machine: { core: 'pcxs', parameters: { flush: 0 } }, ...STALE },
    {
      name: 'flushed, private mapping, PA-RISC',
      machine: { core: 'pcxs', parameters: { shared: 0 } },
      outcome: 'clean',
    },
    { name: 'not flushed, cortex-a9', machine: { core: 'cortex-a9', parameters: { flush: 0 } }, outcome: 'clean' },
  ],
  vars: ['page'],

  setup(k) {
    const page = alloc_page(k, GFP_KERNEL);
    fillMemory(k, page, () => OLD);
    address_space_init_once(k, mappingOf(k));
    add_to_page_cache(k, page, mappingOf(k), 7);
    k.vars.page = page;
  },

  threads: [{ run: writeFile, cpu: 0, mm: MM }],
});
