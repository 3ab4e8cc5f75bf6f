/**
 * The names of all patches, as the fields of a set. What each is stands in `lab/catalogue.ts`. A class with a field for each name,
 * because kernel code asks in its hot paths: a field is one load where a lookup by string costs ten.
 */
export class PatchSet {
  'kmap-high-get' = false;
  'tlb-ops-broadcast' = false;
  'kmap-atomic-uses-pkmap' = false;
  'debug-kmap-atomic' = false;
  'flush-kmaps-vivt-only' = false;
  'kunmap-atomic-vivt-only' = false;
  'kmap-high-l1-vipt' = false;
  'dma-speculative-prefetch' = false;
  'kmap-atomic-debug-nonvivt' = false;
  'v6-unmap-invalidates' = false;
  'at91-mci-kunmap-offset' = false;
  'page-mapping-slab' = false;
  'page-mapping-vm-bug-on' = false;
  'slub-populated-cpu-slab' = false;
  'slub-shrink-sorts-always' = false;
  'at91-mci-flush-range' = false;
  'at91-mci-page-slab-check' = false;
  'arm-coherent-pages' = false;
  'arm-no-coherent-branch' = false;
  'parisc-noncoherent-pages' = false;
  'pa-tlb-lock-irqsave' = false;
  'mutant-no-pa-tlb-lock' = false;
  'mutant-flush-without-purge' = false;
  'mutant-kunmap-no-flush' = false;
  'mutant-no-edge-clean' = false;
  'mutant-no-remote-tlb-flush' = false;
  'mutant-kunmap-irq' = false;
  'mutant-queue-after-unlock' = false;
  'mutant-queue-test-before-lock' = false;
  'mutant-state-after-unlock' = false;
  'mutant-exclusive-waiters' = false;
  'mutant-scan-without-wrap' = false;
  'mutant-eq-queue-test-after-unlock' = false;
  'mutant-eq-queue-test-before-decrement' = false;
  'mutant-cache-flush-after-pte' = false;
  'mutant-tlb-flush-before-pte' = false;
  'mutant-hash-before-pte' = false;
  'mutant-count-before-pte' = false;
  'mutant-inner-before-outer' = false;
  'mutant-unaligned-dma-buffer' = false;
  'mutant-shared-km-type' = false;
  'mutant-kunmap-twice' = false;
  'mutant-forget-before-pte' = false;
  'mutant-get-unlocked' = false;
  'mutant-switch-mm-no-flush' = false;
  'mutant-dma-to-device' = false;
  'mutant-dma-bidirectional' = false;
  'mutant-entry-expected' = false;
  'mutant-no-update-mmu-cache' = false;
  'mutant-at91-mci-no-index' = false;
  'mutant-slub-no-slab-lock' = false;
  'mutant-slub-free-irqs-on' = false;
  'mutant-slab-no-list-lock' = false;
  'ccio-flush-invalid' = false;
  'mutant-iopdir-no-fdc' = false;
  'mutant-sba-no-purge' = false;
  // Seeds 000 and 004; see spec/vmalloc-gfp.md §11.
  'arm-consistent-no-bug' = false;
  rmk1 = false;
  rmk2 = false;
  'rmk2-pcxl-tables' = false;
  hm = false;
  // Seed 003.
  mp = false;
  sc = false;
  'dm-bufio-drop-lock' = false;
  'mutant-no-caller-scopes' = false;
  'mutant-sc-forgotten' = false;
  'mutant-sc-early' = false;
  // Seed 004.
  'rpc-pages-kmapped' = false;
  'mutant-no-vmap-flush' = false;
  'mutant-kunmap-atomic-no-flush' = false;
  'mutant-rmk1-page-table-lock' = false;
  'mutant-rmk1-table-retry' = false;
  'mutant-rmk1-failure-path' = false;
  'mutant-rmk1-unmap' = false;
  'mutant-rmk1-no-deferral' = false;
  'mutant-rmk2-no-invalidate' = false;
  'mutant-rwlock-spins-irqs-off' = false;
  'mutant-vmap-area-unlocked' = false;
  'mutant-vunmap-no-cache-flush' = false;
}

export type PatchName = keyof PatchSet;

export const PATCH_NAMES = Object.keys(new PatchSet()) as readonly PatchName[];

/** The set in which just @names are in force. */
export function patchSet(names: readonly string[]): PatchSet {
  const set = new PatchSet();
  for (const name of PATCH_NAMES) set[name] = names.includes(name);
  return set;
}
