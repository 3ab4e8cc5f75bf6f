/** Which architecture a core belongs to, and the cores of all of them. */
import type { ArchOps } from '../cpu/arch.js';
import type { CoreRow } from '../cpu/core.js';
import type { Kernel } from '../cpu/kernel.js';
import { CORES as ARM_CORES } from './arm/cores.js';
import { ARM } from './arm/ops.js';
import { CORES as PARISC_CORES } from './parisc/cores.js';
import { PARISC } from './parisc/ops.js';

const ARCHES: readonly ArchOps[] = [ARM, PARISC];

export const CORES: readonly CoreRow[] = [...ARM_CORES, ...PARISC_CORES];

export function archOf(core: CoreRow): ArchOps {
  return ARCHES.find((arch) => arch.id === core.arch) as ArchOps;
}

/** Data caches are written back and invalidated: on ARM the executing CPU's, on PA-RISC, by inter-processor call, every CPU's. */
export function flush_cache_all(k: Kernel): void {
  k.arch.flush_cache_all(k);
}
