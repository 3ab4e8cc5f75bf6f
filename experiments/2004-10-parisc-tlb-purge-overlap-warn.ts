/**
 * Claim: machines on the Merced bus bear one broadcast of a TLB purge at a time, and only software can see to it: every purge stands under
 * pa_tlb_lock.
 *
 * All CPUs purge translations of pages of their own.
 *
 * Kernels: before 2.6.10, and with the lock left out, two purges meet on the bus. With the lock they do not.
 * Source: commit b95a5c4ec9, Linux 2.6.10; arch/parisc/kernel/cache.c, Linux 2.6.30; spec/hardware.md §3.4, T6.
 */
import { flush_tlb_page, type Kernel, race, USER_WINDOW } from '../src/index.js';

const PURGES = 16;

function purge(k: Kernel): void {
  for (let i = 0; i < PURGES; i++) flush_tlb_page(k, USER_WINDOW + (k.cpu * PURGES + i) * 4096);
}

export default race({
  id: '2004-10-parisc-tlb-purge-overlap-warn',
  title: 'two TLB purges meet on a bus that bears one',
  source: 'commit b95a5c4ec9, Linux 2.6.10',
  spec: ['hardware/T6'],
  machine: { core: 'pcxw2-merced', cpus: 2, kernel: '2.6.31' },
  smallest: { lowmemPages: 64 },
  cases: [
    { name: 'no lock', machine: { patches: ['mutant-no-pa-tlb-lock'] }, outcome: 'warn' },
    { name: 'pa_tlb_lock', outcome: 'clean' },
  ],
  threads: ({ cpus }) => Array.from({ length: Math.max(2, cpus) }, () => purge),
});
