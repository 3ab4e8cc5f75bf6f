/**
 * Claim: between threads of different processes the race of 2009-03-kmap-recycle-preempted-lost-bytes loses nothing on one CPU with a virtually
 * tagged cache, although the mapping is not pinned: the switch to another address space cleans the whole cache, so what the second thread has
 * dirtied is in memory before the first one goes on.
 *
 * As there, with an address space for each thread.
 *
 * Kernels: nothing is found on ARM926, pinned or not. That it is the switch which saves the bytes shows with `mutant-switch-mm-no-flush`, which
 * leaves the cache as it is: wrong bytes.
 * Source: cpu_arm926_switch_mm, arch/arm/mm/proc-arm926.S, Linux 2.6.30; spec/highmem.md §10.3.
 */
import { race } from '../src/index.js';
import preempted, { mapForDevice, writeOwnPage } from './2009-03-kmap-recycle-preempted-lost-bytes.js';

export default race({
  ...preempted,
  id: '2009-03-kmap-recycle-switch-mm-lost-bytes',
  title:
    'dma_map_page() discards dirty lines of another process when the switch of address space leaves the cache as it is',
  spec: ['highmem/E2n'],
  cases: [
    {
      name: 'unpinned, cache left as it is',
      machine: { patches: ['-kmap-high-get', 'mutant-switch-mm-no-flush'] },
      outcome: 'wrong-bytes',
    },
    { name: 'unpinned', machine: { patches: ['-kmap-high-get'] }, outcome: 'clean' },
    { name: 'pinned', outcome: 'clean' },
  ],
  threads: [
    { run: mapForDevice, cpu: 0, mm: 1, name: 'maps for DMA' },
    { run: writeOwnPage, cpu: 0, mm: 2, name: 'owns page B' },
  ],
});
