/**
 * Claim: on PA-8800 no two inequivalent addresses of a page may be in the caches together, so kunmap() has to flush the kernel's address of the
 * page, and to take its translation out of the TLB, from which the CPU could move lines in again unasked.
 *
 * The kernel, on CPU 0, fills a page through kmap(); the user, on CPU 1, has it at an address that belongs in other sets of the caches. First the
 * user reads. Then CPU 0 moves a line in that it has a translation of, the user stores and flushes its own address, and the kernel reads.
 *
 * Kernels: without the flush the user reads what was in memory before. With the flush and without the purge the user reads right, and the kernel
 * reads the line that was moved in. With both, nothing is found.
 * Source: commit "update to the kernel kmap/kunmap API", Linux 2.6.19-rc1; arch/parisc/include/asm/cacheflush.h, Linux 2.6.30; spec/highmem.md §8.
 */
import {
  alloc_page,
  complete,
  expectWord,
  fillMemory,
  flush_tlb_page,
  flush_user_dcache_range,
  GFP_KERNEL,
  init_completion,
  type Kernel,
  kmap,
  kunmap,
  map_user_page,
  PAGE_SHARED,
  type Page,
  type Ptr,
  page_to_pfn,
  page_to_phys,
  race,
  USER_WINDOW,
  type Vaddr,
  vaddr,
  wait_for_completion,
} from '../src/index.js';

const OLD = 0x11111111;
const KERNEL_WORD = 0xa1a1a1a1;
const USER_WORD = 0xb2b2b2b2;
const LINE = 64;
const INDEX_BITS = 0x3ff000;

const filled = (k: Kernel) => (k.sym.race_data + 128) as Ptr<'completion'>;
const answered = (k: Kernel) => (k.sym.race_data + 192) as Ptr<'completion'>;
const pageOf = (k: Kernel) => k.vars.page as Page;

function kernelSide(k: Kernel): void {
  const page = pageOf(k);
  const addr = kmap(k, page);
  for (let offset = 0; offset < k.config.bufferBytes; offset += LINE) k.store32(vaddr(addr + offset), KERNEL_WORD);
  kunmap(k, page);
  // Hardware, not kernel: whatever the TLB has a translation of may come in.
  for (let offset = 0; offset < k.config.bufferBytes; offset += LINE) k.mmu.speculativeFill(addr + offset);
  complete(k, filled(k));
  wait_for_completion(k, answered(k));
  const again = kmap(k, page);
  for (let offset = 0; offset < k.config.bufferBytes; offset += LINE) {
    expectWord(page_to_pfn(k, page), offset, USER_WORD, k.load32(vaddr(again + offset)), 'read by the kernel', 'big');
  }
  kunmap(k, page);
}

function userSide(k: Kernel): void {
  const page = pageOf(k);
  const addr = k.vars.userAddress as Vaddr;
  wait_for_completion(k, filled(k));
  for (let offset = 0; offset < k.config.bufferBytes; offset += LINE) {
    expectWord(page_to_pfn(k, page), offset, KERNEL_WORD, k.load32(vaddr(addr + offset)), 'read by the user', 'big');
  }
  for (let offset = 0; offset < k.config.bufferBytes; offset += LINE) k.store32(vaddr(addr + offset), USER_WORD);
  // As the kernel does when the user's mapping goes, or the page is written to disk.
  flush_user_dcache_range(k, addr, vaddr(addr + k.config.bufferBytes));
  flush_tlb_page(k, addr);
  complete(k, answered(k));
}

export default race({
  id: '2006-10-parisc-kunmap-alias-stale-bytes',
  title: 'kunmap() that does not flush leaves user and kernel with bytes of their own on PA-8800',
  source: 'arch/parisc/include/asm/cacheflush.h, Linux 2.6.30',
  spec: ['highmem/E17'],
  machine: { core: 'pa8800', cpus: 2, kernel: '2.6.31' },
  smallest: { bufferBytes: 64, lowmemPages: 64 },
  cases: [
    { name: 'no flush', machine: { patches: ['mutant-kunmap-no-flush'] }, outcome: 'wrong-bytes' },
    { name: 'flush without purge', machine: { patches: ['mutant-flush-without-purge'] }, outcome: 'wrong-bytes' },
    { name: 'flush and purge', outcome: 'clean' },
  ],
  vars: ['page', 'userAddress'],

  setup(k) {
    const page = alloc_page(k, GFP_KERNEL);
    k.vars.page = page;
    const inequivalent = (page_to_phys(k, page) ^ 0x1000) & INDEX_BITS;
    k.vars.userAddress = USER_WINDOW + inequivalent;
    fillMemory(k, page, () => OLD);
    map_user_page(k, k.vars.userAddress as Vaddr, page_to_pfn(k, page), PAGE_SHARED);
    init_completion(k, filled(k));
    init_completion(k, answered(k));
  },
  threads: [kernelSide, userSide],
});
