/**
 * Claim: the wrap of the kmap slots has to flush the TLBs after it has cleared the page-table entries. As long as an entry is there, an access to
 * its address brings the translation back, and nothing removes it any more: when the address has a new page, that CPU uses the old one.
 *
 * Slots without a user are not accessed by anybody who plays by the rules. What does access them are debuggers, speculation, and code that
 * looks an address up without a lock; here CPU 0 reads a word at the address that page A had by probe_kernel_read(), which
 * survives a fault. CPU 1 maps page B, which makes the slots wrap and gives B the address of A; then CPU 0 maps B too, and reads it.
 *
 * Kernels: with `mutant-tlb-flush-before-pte` CPU 0 reads the bytes of A in B. As it is, nothing is found: the probe comes before the flush, which
 * undoes it, or after the entry has gone, when it faults and leaves nothing behind. On a virtually tagged cache such a read does harm in the
 * original order as well: the cache is cleaned first of all, so a line that comes in behind it stays under the address when it gets a new
 * page. Cleaning it after the entries (`mutant-cache-flush-after-pte`) does not help while the TLB is flushed last. The kernel need not care: slots
 * without a user are not accessed.
 * Source: mm/highmem.c, Linux 2.6.30; mm/maccess.c (probe_kernel_read); spec/highmem.md §5.4 (F2d, F3).
 */
import {
  alloc_page,
  expectWord,
  fillMemory,
  GFP_HIGHUSER,
  type Kernel,
  kmap,
  kunmap,
  LAST_PKMAP,
  NULL,
  type Page,
  page_address,
  page_to_pfn,
  probe_kernel_read,
  race,
} from '../src/index.js';

const rounds = (k: Kernel): number => (k.config.bufferBytes < 4096 ? 1 : 8);
const inA = (offset: number): number => (0xa0000000 ^ offset) >>> 0;
const inB = (offset: number): number => (0xb0000000 ^ offset) >>> 0;

function readB(k: Kernel): void {
  const page = k.vars.pageB as Page;
  const addr = kmap(k, page);
  expectWord(page_to_pfn(k, page), 0, inB(0), k.load32(addr), `read by CPU ${k.cpu} through kmap()`);
  kunmap(k, page);
}

function probeAndRead(k: Kernel): void {
  for (let i = 0; i < rounds(k); i++) {
    const addr = page_address(k, k.vars.pageA as Page);
    if (addr !== NULL) probe_kernel_read(k, addr);
    readB(k);
  }
}

/** Map B; in further rounds A has to have an address again first. */
function mapB(k: Kernel): void {
  for (let i = 0; i < rounds(k); i++) {
    if (i > 0) useSlot(k, k.vars.pageA as Page);
    readB(k);
  }
}

/** Take the next slot and leave it mapped without a user. */
function useSlot(k: Kernel, page: Page): void {
  kmap(k, page);
  kunmap(k, page);
}

export default race({
  id: '2009-03-kmap-flush-order-stale-tlb',
  title: 'the TLB is flushed before the page-table entries are cleared, and a CPU uses the old page',
  source: 'mm/highmem.c, Linux 2.6.30',
  spec: ['highmem/E16'],
  machine: { core: 'cortex-a9', cpus: 2, kernel: '2.6.31', pkmapSlots: 2 },
  smallest: { lowmemPages: 64, highmemPages: 16, bufferBytes: 32 },
  cases: [
    {
      name: 'TLB flush before the entries',
      machine: { patches: ['mutant-tlb-flush-before-pte'] },
      outcome: 'wrong-bytes',
    },
    { name: 'TLB flush after the entries', outcome: 'clean' },
    {
      name: 'TLB flush before the entries, vivt-shared',
      machine: { core: 'vivt-shared', patches: ['mutant-tlb-flush-before-pte'] },
      outcome: 'wrong-bytes',
    },
    { name: 'TLB flush after the entries, vivt-shared', machine: { core: 'vivt-shared' }, outcome: 'wrong-bytes' },
    {
      name: 'both flushes after the entries, vivt-shared',
      machine: { core: 'vivt-shared', patches: ['mutant-cache-flush-after-pte'] },
      outcome: 'wrong-bytes',
    },
  ],
  vars: ['pageA', 'pageB'],

  /** A is in slot 0, which the next wrap hands out first. */
  setup(k) {
    k.vars.pageA = alloc_page(k, GFP_HIGHUSER);
    k.vars.pageB = alloc_page(k, GFP_HIGHUSER);
    fillMemory(k, k.vars.pageA as Page, inA);
    fillMemory(k, k.vars.pageB as Page, inB);
    for (let nr = 1; nr < LAST_PKMAP(k); nr++) useSlot(k, alloc_page(k, GFP_HIGHUSER));
    useSlot(k, k.vars.pageA as Page);
    for (let nr = 1; nr < LAST_PKMAP(k); nr++) useSlot(k, alloc_page(k, GFP_HIGHUSER));
  },

  threads: [probeAndRead, mapB],
});
