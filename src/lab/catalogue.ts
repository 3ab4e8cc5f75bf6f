/** The catalogues: kernel versions, patches, cores. What `murphy list` shows and what options are checked against. */
export { CORES } from '../arch/arch.js';

import type { PatchName } from '../shared/patches.js';

/** Kernel versions in order of release. A version contains every patch whose `since` is not later. */
export const KERNELS = [
  { id: '2.5.53', title: 'bitmap buddy, zone sums, vmlist; the kernel of seed 000', date: '2002-12-24' },
  { id: '2.6.22', title: 'watermarks with HARDER and HIGH; SLUB; the kernel of seed 001', date: '2007-07-08' },
  { id: '2.6.28', title: 'vmalloc by vmap areas, lazily unmapped', date: '2008-12-24' },
  { id: '2.6.29', title: "ARM highmem as in its author's tree, before Pitre's patch", date: '2009-03-23' },
  { id: '2.6.30', title: 'kmap_high_get(); TLB flushes by inter-processor call', date: '2009-06-09' },
  { id: '2.6.31', title: 'TLB flushes by hardware broadcast where the core has it', date: '2009-09-09' },
  { id: '2.6.32', title: 'kmap_atomic() uses an existing pkmap mapping', date: '2009-12-02' },
  { id: '2.6.33', title: 'as 2.6.32 for what is modelled', date: '2010-02-24' },
  { id: '2.6.34', title: 'DMA maintenance at unmap, temporary mappings for L1 maintenance', date: '2010-05-16' },
  { id: '2.6.35', title: 'kmap_atomic() debugging on caches that are not VIVT', date: '2010-08-01' },
  { id: '4.10', title: 'GFP flags of reclaim; vmalloc without vmlist; the kernel of seed 004', date: '2017-02-19' },
  {
    id: '4.12',
    title: 'allocation scopes, kvmalloc(), vmalloc from highmem; the kernel of seed 003',
    date: '2017-07-02',
  },
] as const;

export interface Patch {
  readonly id: PatchName;
  readonly title: string;
  /** Empty where we have not seen the commit itself. */
  readonly author: string;
  readonly date: string;
  /** Seed or source. */
  readonly seed: string;
  /** First version that contains it; null for what no release has. */
  readonly since: string | null;
  /** A `mutant` is a deliberate defect, or a change that makes no difference; it stems from the specification. */
  readonly kind: 'patch' | 'mutant';
}

const patch = (id: PatchName, title: string, author: string, date: string, seed: string, since: string): Patch => ({
  id,
  title,
  author,
  date,
  seed,
  since,
  kind: 'patch',
});

const mutant = (id: string, title: string, seed: string): Patch => ({
  id: `mutant-${id}` as PatchName,
  title,
  author: 'Murphy',
  date: '',
  seed,
  since: null,
  kind: 'mutant',
});

/** Proposed on the list and never merged in that form. */
const proposal = (id: PatchName, title: string, seed: string): Patch => ({
  id,
  title,
  author: 'Russell King',
  date: '2003-01-01',
  seed,
  since: null,
  kind: 'patch',
});

export const PATCHES: readonly Patch[] = [
  patch('kmap-high-get', 'atomic highmem kmap page pinning', 'Nicolas Pitre', '2009-03-04', '002', '2.6.30'),
  patch('tlb-ops-broadcast', 'TLB maintenance by hardware broadcast on SMP', '', '', 'faa7bc51c11', '2.6.31'),
  patch(
    'kmap-atomic-uses-pkmap',
    'kmap_atomic() reuses the pkmap mapping of a page',
    'Nicolas Pitre',
    '',
    '7929eb9cf64',
    '2.6.32',
  ),
  patch('debug-kmap-atomic', 'ARM calls debug_kmap_atomic()', '', '', 'spec/highmem.md §7.5', '2.6.32'),
  patch(
    'flush-kmaps-vivt-only',
    'flush_cache_kmaps() only on VIVT caches',
    'Nicolas Pitre',
    '',
    '7e5a69e83ba',
    '2.6.34',
  ),
  patch(
    'kunmap-atomic-vivt-only',
    'kunmap_atomic() flushes only on VIVT caches',
    'Nicolas Pitre',
    '',
    '7e5a69e83ba',
    '2.6.34',
  ),
  patch(
    'kmap-high-l1-vipt',
    'L1 maintenance of unmapped highmem pages on VIPT',
    'Nicolas Pitre',
    '',
    '7e5a69e83ba',
    '2.6.34',
  ),
  patch(
    'dma-speculative-prefetch',
    'maintenance at unmap too, for speculative prefetching',
    '',
    '',
    '2ffe2da3e71',
    '2.6.34',
  ),
  patch(
    'kmap-atomic-debug-nonvivt',
    'with DEBUG_HIGHMEM never the pkmap address on non-VIVT',
    '',
    '',
    'spec/highmem.md §7.6',
    '2.6.35',
  ),
  {
    id: 'v6-unmap-invalidates',
    title: 'v6 UP invalidates at unmap (2.6.34-rc1 to rc7 only)',
    author: '',
    date: '',
    seed: 'spec/highmem.md §9.5',
    since: null,
    kind: 'patch',
  },
  {
    id: 'at91-mci-kunmap-offset',
    title: 'at91_mci gives kunmap_atomic() buffer - sg->offset, in units of 4 bytes (withdrawn)',
    author: 'Marc Pignat',
    date: '2007-06-21',
    seed: '001',
    since: null,
    kind: 'patch',
  },
  patch('page-mapping-slab', 'page_mapping must avoid slub pages', 'Hugh Dickins', '2007-06-21', '001', '2.6.22'),
  {
    id: 'page-mapping-vm-bug-on',
    title: 'VM_BUG_ON in case someone uses page_mapping on a slab page (2.6.24; a BUG with debugVm only)',
    author: 'Christoph Lameter',
    date: '2007-06-22',
    seed: '001',
    since: null,
    kind: 'patch',
  },
  {
    id: 'at91-mci-flush-range',
    title: 'at91_mci flushes the range of its buffer instead of a page (proposed)',
    author: 'Christoph Lameter',
    date: '2007-06-25',
    seed: '001',
    since: null,
    kind: 'patch',
  },
  {
    id: 'at91-mci-page-slab-check',
    title: 'at91_mci does not call flush_dcache_page() for a slab page (proposed)',
    author: 'Christoph Lameter',
    date: '2007-06-26',
    seed: '001',
    since: null,
    kind: 'patch',
  },
  {
    id: 'arm-coherent-pages',
    title: 'ARM: allocate DMA pages via the page allocator and not via the slab allocator (proposed)',
    author: 'Christoph Lameter',
    date: '2007-06-21',
    seed: '001',
    since: null,
    kind: 'patch',
  },
  {
    id: 'parisc-noncoherent-pages',
    title: 'PA-RISC: use page allocator instead of slab allocator (proposed)',
    author: 'Christoph Lameter',
    date: '2007-06-22',
    seed: '001',
    since: null,
    kind: 'patch',
  },
  {
    id: 'arm-no-coherent-branch',
    title: 'dma_alloc_coherent() without a branch for coherent machines (proposed)',
    author: 'Russell King',
    date: '2007-06-22',
    seed: '001',
    since: null,
    kind: 'patch',
  },
  {
    id: 'slub-populated-cpu-slab',
    title: 'until 2.6.22.6: a slab that the CPU has been given meanwhile is taken instead of the new one',
    author: '',
    date: '',
    seed: 'spec/slab-dma.md §2.4 R',
    since: null,
    kind: 'patch',
  },
  patch(
    'slub-shrink-sorts-always',
    'kmem_cache_shrink() puts every partial slab in order, however few are left',
    '',
    '2007-07',
    'mm/slub.c, Linux 2.6.23',
    '2.6.28',
  ),
  proposal(
    'arm-consistent-no-bug',
    'consistent_alloc() may be called from interrupts, and nothing else changes',
    '000',
  ),
  proposal(
    'rmk1',
    "vmalloc() and kernel page tables obey the caller's GFP flags, their locks are taken irqsave",
    '000',
  ),
  { ...proposal('rmk2', 'consistent memory from a region of its own, without vmalloc()', '000'), since: '2.6.22' },
  proposal(
    'rmk2-pcxl-tables',
    "rmk2 in spirit: page tables for all of PA-RISC's DMA map from boot on; nobody sent such a patch",
    '000',
  ),
  patch('hm', 'vmalloc() takes its pages from highmem implicitly', 'Michal Hocko', '2017-02', '004', '4.12'),
  {
    id: 'mp',
    title: 'vmalloc: respect the GFP_NOIO and GFP_NOFS flags (proposed; from 4.12 on, where there are NOFS scopes)',
    author: 'Mikulas Patocka',
    date: '2017-06-29',
    seed: '003',
    since: null,
    kind: 'patch',
  },
  {
    id: 'sc',
    title: 'whoever takes the lock or begins the transaction opens the allocation scope (proposed instead of mp)',
    author: 'Michal Hocko',
    date: '2017-06-30',
    seed: '003',
    since: null,
    kind: 'patch',
  },
  patch('dm-bufio-drop-lock', 'dm-bufio drops its lock for allocations that wait', '', '', 'vmalloc-gfp §10', '4.10'),
  mutant(
    'no-caller-scopes',
    'XFS, dm-bufio and dm-ioctl call vmalloc() without a scope of their own',
    'vmalloc-gfp §12.2',
  ),
  mutant('sc-forgotten', 'sc, but the bit of NFS block layouts has been forgotten', 'vmalloc/V003-16'),
  mutant('sc-early', 'sc, but the scope is opened long before the lock is taken', 'vmalloc/V003-17'),
  {
    id: 'rpc-pages-kmapped',
    title: 'NFS block layouts: pages that are sent are written through kmap()',
    author: '',
    date: '',
    seed: 'vmalloc/V004-13',
    since: null,
    kind: 'patch',
  },
  mutant('no-vmap-flush', 'flush_cache_vmap() does nothing', 'vmalloc/V004-10'),
  mutant('kunmap-atomic-no-flush', 'kunmap_atomic() does not write the lines of its slot back', 'vmalloc/V004-10'),
  mutant('rmk1-page-table-lock', 'rmk1 without page_table_lock taken irqsave', 'vmalloc-gfp §11 RMK1 (i)'),
  mutant('rmk1-table-retry', 'rmk1, but a page table is waited for whatever the mask', 'vmalloc-gfp §11 RMK1 (ii)'),
  mutant('rmk1-failure-path', 'rmk1, but a failed __vmalloc() ends in vfree()', 'vmalloc-gfp §11 RMK1 (iii)'),
  mutant('rmk1-unmap', 'rmk1, but an area is unmapped under vmlist_lock, as in 2.6.22', 'vmalloc-gfp §11 RMK1 (iv)'),
  mutant('rmk1-no-deferral', 'rmk1, but vfree() with interrupts off unmaps at once', 'vmalloc-gfp §11 RMK1 (iv)'),
  mutant('rmk2-no-invalidate', 'rmk2 without the invalidation of the linear alias', 'vmalloc/V000-22'),
  mutant('rwlock-spins-irqs-off', 'a PA-RISC rwlock is waited for with interrupts off', 'vmalloc/V000-19'),
  mutant('vmap-area-unlocked', 'alloc_vmap_area() searches and inserts without vmap_area_lock', 'vmalloc-gfp §6.4'),
  mutant('vunmap-no-cache-flush', 'flush_cache_vunmap() does nothing', 'vmalloc-gfp §7'),
  patch('pa-tlb-lock-irqsave', 'PA-RISC takes pa_tlb_lock with interrupts off', '', '', 'e82a3b75127', '2.6.31'),
  mutant('no-pa-tlb-lock', 'PA-RISC purges TLB entries without pa_tlb_lock, as until 2.6.9', 'hardware/T6'),
  mutant('flush-without-purge', 'PA-RISC flushes a kernel page and leaves its translation', 'highmem/E17'),
  mutant('kunmap-no-flush', 'kunmap() flushes nothing on PA-8800', 'highmem/E17'),
  {
    id: 'ccio-flush-invalid',
    title: 'ccio flushes the directory entry that it has made invalid, not the line of address 0',
    author: '',
    date: '',
    seed: 'spec/hardware.md §8.2',
    since: null,
    kind: 'patch',
  },
  mutant('iopdir-no-fdc', 'entries of an I/O page directory are not flushed', 'spec/hardware.md §8.2'),
  mutant('sba-no-purge', 'sba does not purge what the adapter remembers of a range', 'spec/hardware.md §8.2'),
  mutant('no-edge-clean', 'an invalidation does not clean partial first and last lines', 'highmem/E11'),
  mutant('no-remote-tlb-flush', 'flush_tlb_kernel_range() reaches only the executing CPU', 'highmem/E6'),
  mutant('kunmap-irq', 'kunmap_high() enables interrupts instead of restoring them', 'highmem/E4b'),
  mutant('queue-after-unlock', 'a waiter for a slot queues itself only after unlock_kmap()', 'highmem/E5c i'),
  mutant('queue-test-before-lock', 'kunmap_high() tests the queue before it takes kmap_lock', 'highmem/E5c ii'),
  mutant('state-after-unlock', 'a waiter sets TASK_UNINTERRUPTIBLE after unlock_kmap()', 'highmem/E5c iii'),
  mutant('exclusive-waiters', 'a freed slot wakes one waiter only', 'highmem/E5c iv'),
  mutant(
    'scan-without-wrap',
    'the scan for a slot sleeps at the end of the table instead of wrapping',
    'highmem/E5c v',
  ),
  mutant('eq-queue-test-after-unlock', 'kunmap_high() tests the queue after unlock_kmap(): equivalent', 'highmem/E5c'),
  mutant(
    'eq-queue-test-before-decrement',
    'kunmap_high() tests the queue before the decrement: equivalent',
    'highmem/E5c',
  ),
  mutant(
    'cache-flush-after-pte',
    'flush_all_zero_pkmaps() flushes the cache after clearing the entries',
    'highmem/E16',
  ),
  mutant('tlb-flush-before-pte', 'flush_all_zero_pkmaps() flushes the TLB before clearing the entries', 'highmem/E16'),
  mutant('hash-before-pte', 'map_new_virtual() publishes the address before the entry', 'highmem/E16'),
  mutant('count-before-pte', 'map_new_virtual() sets the count before the entry', 'highmem/E16'),
  mutant('unaligned-dma-buffer', 'a driver gives a device a buffer that begins inside a cache line', 'highmem/E11'),
  mutant('shared-km-type', 'an interrupt handler uses the kmap_atomic() type of process context', 'highmem/E13'),
  mutant('kunmap-twice', 'a driver unmaps a page once more than it mapped it', 'highmem/E14'),
  mutant('forget-before-pte', 'flush_all_zero_pkmaps() forgets the address before it clears the entry', 'highmem/E15'),
  mutant('get-unlocked', 'kmap_high_get() does not take kmap_lock', 'highmem/E19'),
  mutant('switch-mm-no-flush', 'a switch to another address space leaves the VIVT cache as it is', 'highmem/E2n'),
  mutant('dma-to-device', 'a driver maps a page DMA_TO_DEVICE instead of DMA_FROM_DEVICE', 'highmem/E3'),
  mutant('dma-bidirectional', 'a driver maps a page DMA_BIDIRECTIONAL instead of DMA_FROM_DEVICE', 'highmem/E3'),
  mutant('entry-expected', 'a reader relies on the page-table entry of what page_address() answers', 'highmem/E15'),
  mutant('no-update-mmu-cache', 'a page is mapped for user space without update_mmu_cache()', 'slab-dma/S20'),
  mutant('slub-no-slab-lock', 'SLUB takes no lock of a slab', 'stress slab'),
  mutant('slub-free-irqs-on', 'kfree() of SLUB leaves interrupts on', 'stress slab'),
  mutant('slab-no-list-lock', 'SLAB takes no lock of its lists', 'stress slab'),
  mutant('at91-mci-no-index', 'at91_mci finishes all pieces anew at each interrupt', 'slab-dma/S24'),
  mutant('inner-before-outer', 'unmap maintains the inner cache before the outer one', 'highmem/E10'),
];

/** Position of a version in order of release, or -1. */
export const kernelIndex = (version: string): number => KERNELS.findIndex((k) => k.id === version);

/** The patches that a version contains. */
export const patchesOf = (version: string): string[] =>
  PATCHES.filter((p) => p.since !== null && kernelIndex(p.since) <= kernelIndex(version)).map((p) => p.id);
