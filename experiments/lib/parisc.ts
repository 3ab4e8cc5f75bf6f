/** Machines of the experiments on PA-RISC. */
import type { MachineSpec } from '../../src/index.js';

/** PA-7000: memory cannot be mapped uncached, so coherent memory is kmalloc(). */
export const PCX: MachineSpec = {
  core: 'pcxs',
  cpus: 1,
  kernel: '2.6.22',
  lowmemPages: 512,
  preempt: false,
  slab: 'slub',
};
