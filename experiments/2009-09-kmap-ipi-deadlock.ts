/**
 * Claim: interrupts off under kmap_lock and TLB flushes by inter-processor call do not go together. kmap_high() wraps with interrupts
 * off, and its flush waits until every other CPU has answered; one that waits for kmap_lock has its interrupts off as well and
 * cannot. Both wait for ever. smp_call_function_many() warns about it, also when it goes well.
 *
 * All CPUs map and unmap pages of their own, with fewer slots than pages.
 *
 * Kernels: with `kmap-high-get` a deadlock (or, in an execution where nobody waited for the lock, the warning) on ARM11 MPCore in 2.6.31, the one
 * release in which highmem ran there (forbidden in 2.6.32-rc3), and on Cortex-A9 in 2.6.30, where every flush is a call. Clean where
 * the hardware broadcasts (Cortex-A9 in 2.6.31), and without the patch, since then interrupts are on.
 * Source: commits e616c591405 and faa7bc51c11; spec/hardware.md §2.4 (5), §6.3 T8; spec/highmem.md §6.2.
 */
import { alloc_page, GFP_HIGHUSER, type Kernel, kmap, kunmap, type Page, page_plus, race } from '../src/index.js';

const PAGES_EACH = 8;
const pagesEach = (k: Kernel): number => (k.config.bufferBytes < 4096 ? 2 : PAGES_EACH);

function mapPages(k: Kernel): void {
  for (let i = 0; i < pagesEach(k); i++) {
    const page = page_plus(k.vars.firstPage as Page, k.cpu * PAGES_EACH + i);
    kmap(k, page);
    kunmap(k, page);
  }
}

export default race({
  id: '2009-09-kmap-ipi-deadlock',
  title: 'kmap() waits with interrupts off for CPUs that wait with interrupts off for kmap_lock',
  source: 'commit e616c591405, Linux 2.6.32-rc3',
  spec: ['hardware/T8', 'highmem/E6'],
  machine: { core: 'arm11mpcore', cpus: 2, kernel: '2.6.31', pkmapSlots: 4, highmemPages: 128 },
  smallest: { pkmapSlots: 2, lowmemPages: 64, highmemPages: 128, bufferBytes: 32 },
  cases: [
    { name: '2.6.31, arm11mpcore', outcome: ['deadlock', 'warn'] },
    { name: '2.6.31, arm11mpcore, interrupts on', machine: { patches: ['-kmap-high-get'] }, outcome: 'clean' },
    {
      name: '2.6.30, cortex-a9',
      machine: { core: 'cortex-a9', kernel: '2.6.30' },
      outcome: ['deadlock', 'warn'],
    },
    { name: '2.6.31, cortex-a9', machine: { core: 'cortex-a9' }, outcome: 'clean' },
  ],
  vars: ['firstPage'],

  setup(k) {
    k.vars.firstPage = alloc_page(k, GFP_HIGHUSER);
    for (let i = 1; i < k.config.cpus * PAGES_EACH; i++) alloc_page(k, GFP_HIGHUSER);
  },

  threads: ({ cpus }) => Array.from({ length: cpus }, () => mapPages),
});
