/**
 * Claim: on a physically tagged cache dma_map_page() faults when kmap_high() of another CPU unmaps the page under it. The line operations
 * translate their address; the loop over the lines holds neither kmap_lock nor a count on the slot; so between two lines the
 * mapping can go, and the next line is a translation fault in the kernel. Direction does not matter: a clean translates as well.
 *
 * CPU 0 gives page A, whose mapping is kept but unused, to a device: once in each direction that loses no bytes, so that nothing but
 * the fault can show. The other CPUs kmap pages of their own, so that the slots wrap, and use nothing of A.
 *
 * Kernels: without `kmap-high-get` an oops on Cortex-A9 (operations broadcast) and on ARM11 MPCore (operations local; the IPI that
 * flushes the TLB comes between two lines). With the patch none, since a pinned slot is skipped by the wrap. A virtually tagged
 * cache looks addresses up as they are, so it cannot fault, with or without the patch.
 * Source: seed 002; spec/highmem.md §10.4 (b), §10.5, §11.1 "Variants", §11.4.
 */
import {
  alloc_page,
  DMA_BIDIRECTIONAL,
  DMA_TO_DEVICE,
  dma_map_page,
  GFP_HIGHUSER,
  type Kernel,
  kmap,
  kunmap,
  LAST_PKMAP,
  type Page,
  type Ptr,
  race,
} from '../src/index.js';

/** Times that CPU 0 maps page A and gives it away. */
const rounds = (k: Kernel): number => (k.config.bufferBytes < 4096 ? 2 : 6);
/** Pages that each of the other CPUs maps, one after the other. */
const PAGES_EACH = 16;
const pagesEach = (k: Kernel): number => (k.config.bufferBytes < 4096 ? 2 : PAGES_EACH);

/** CPU 0: use page A for a moment, then let a device read it, and read and write it. */
function mapForDevice(k: Kernel): void {
  const pageA = k.vars.pageA as Page;
  for (let i = 0; i < rounds(k); i++) {
    kmap(k, pageA);
    kunmap(k, pageA);
    dma_map_page(k, pageA, 0, k.config.bufferBytes, i % 2 === 0 ? DMA_TO_DEVICE : DMA_BIDIRECTIONAL);
  }
}

/** The others: take slot after slot, which wraps again and again. */
function useSlots(k: Kernel): void {
  for (let i = 0; i < pagesEach(k); i++) {
    const page = (k.vars.firstPage! + ((k.cpu - 1) * PAGES_EACH + i) * 32) as Ptr<'page'>;
    kmap(k, page);
    kunmap(k, page);
  }
}

export default race({
  id: '2009-03-kmap-recycle-translation-fault',
  title: 'dma_map_page() faults on a kmap address that is unmapped under it',
  source: 'seed 002',
  spec: ['highmem/E1v'],
  machine: { core: 'cortex-a9', cpus: 2, kernel: '2.6.31', pkmapSlots: 4, highmemPages: 128 },
  smallest: { pkmapSlots: 2, lowmemPages: 64, highmemPages: 128, bufferBytes: 64 },
  cases: [
    { name: 'unpinned', machine: { patches: ['-kmap-high-get'] }, outcome: 'oops' },
    { name: 'pinned', outcome: 'clean' },
    {
      name: 'unpinned, arm11mpcore',
      machine: { core: 'arm11mpcore', patches: ['-kmap-high-get'] },
      outcome: 'oops',
    },
    { name: 'unpinned, vivt-shared', machine: { core: 'vivt-shared', patches: ['-kmap-high-get'] }, outcome: 'clean' },
  ],
  vars: ['pageA', 'firstPage'],

  /** Page A is mapped in a slot other than the one that the next wrap hands out first, so that its address stays without a page. */
  setup(k) {
    k.vars.pageA = alloc_page(k, GFP_HIGHUSER);
    k.vars.firstPage = alloc_page(k, GFP_HIGHUSER);
    for (let i = 1; i < (k.config.cpus - 1) * PAGES_EACH; i++) alloc_page(k, GFP_HIGHUSER);
    for (let nr = 1; nr < LAST_PKMAP(k); nr++) {
      const page = nr === 2 ? (k.vars.pageA as Page) : alloc_page(k, GFP_HIGHUSER);
      kmap(k, page);
      kunmap(k, page);
    }
  },

  threads: ({ cpus }) => Array.from({ length: cpus }, (_, cpu) => (cpu === 0 ? mapForDevice : useSlots)),
});
