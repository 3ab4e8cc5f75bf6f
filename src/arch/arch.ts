/** Which architecture a core belongs to, and the cores of all of them. */
import type { ArchOps } from '../cpu/arch.js';
import type { CoreRow } from '../cpu/core.js';
import { CORES as ARM_CORES } from './arm/cores.js';
import { ARM } from './arm/ops.js';

const ARCHES: readonly ArchOps[] = [ARM];

export const CORES: readonly CoreRow[] = [...ARM_CORES];

export function archOf(core: CoreRow): ArchOps {
  return ARCHES.find((arch) => arch.id === core.arch) as ArchOps;
}
