/**
 * Claim: the first version of the private region for consistent memory frees under its irqsave lock, TLB flush included. Where that is an inter-processor
 * call, a CPU that wants the lock, with interrupts off as it has to be, never answers.
 *
 * CPU 0 frees, CPU 1 allocates.
 *
 * Kernels: 2.5.53 with `rmk2`, ARM11 MPCore: deadlock. 2.6.22, which clears and flushes without the lock and keeps the region on the list meanwhile: clean.
 * Source: seed 000, arch/arm/mm/consistent.c of 2003-01-10 and of Linux 2.6.22; spec/vmalloc-gfp.md §9.3, §12.1.
 */
import {
  type Consistent,
  consistent_alloc,
  consistent_free,
  gfp,
  type Kernel,
  type Paddr,
  race,
  type Vaddr,
} from '../src/index.js';

const allocated = (k: Kernel): Consistent => ({ addr: k.vars.addr as Vaddr, handle: k.vars.handle as Paddr });

export default race({
  id: '2003-01-consistent-free-ipi-deadlock',
  title: 'consistent_free() waits under its lock for a CPU that spins on it with interrupts off',
  source: 'arch/arm/mm/consistent.c, 2003-01-10',
  spec: ['vmalloc/V000-20'],
  machine: { core: 'arm11mpcore', cpus: 2, kernel: '2.5.53', patches: ['rmk2'], highmemPages: 0 },
  cases: [
    { name: 'flush under the lock', outcome: 'deadlock' },
    { name: '2.6.22', machine: { kernel: '2.6.22' }, outcome: 'clean' },
  ],
  vars: ['addr', 'handle'],

  setup(k) {
    const { addr, handle } = consistent_alloc(k, gfp(k).GFP_KERNEL, 4096);
    k.vars.addr = addr;
    k.vars.handle = handle;
  },

  threads: [
    (k: Kernel) => consistent_free(k, allocated(k), 4096),
    (k: Kernel) => void consistent_alloc(k, gfp(k).GFP_KERNEL, 4096),
  ],
});
