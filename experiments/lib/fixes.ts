/** What the mails of seed 001 propose, each as a change of the kernel before any of it: the rows of the specification's summary. */
import type { Case, MachineSpec } from '../../src/index.js';

const BEFORE = '-page-mapping-slab';

export const FIXES = {
  none: { patches: [BEFORE] },
  'PageSlab test': {},
  'VM_BUG_ON, DEBUG_VM': { patches: [BEFORE, 'page-mapping-vm-bug-on'], debugVm: true },
  VM_BUG_ON: { patches: [BEFORE, 'page-mapping-vm-bug-on'] },
  'pages for DMA memory, ARM': { patches: [BEFORE, 'arm-coherent-pages'] },
  'pages for DMA memory, PA-RISC': { patches: [BEFORE, 'parisc-noncoherent-pages'] },
  'no coherent branch': { patches: [BEFORE, 'arm-no-coherent-branch'] },
  'kunmap_atomic(buffer - offset)': { patches: [BEFORE, 'at91-mci-kunmap-offset'] },
  'flush_dcache_range()': { patches: [BEFORE, 'at91-mci-flush-range'] },
  'PageSlab() in the caller': { patches: [BEFORE, 'at91-mci-page-slab-check'] },
} as const satisfies Readonly<Record<string, MachineSpec>>;

export type Fix = keyof typeof FIXES;
export type Claim = Pick<Case, 'outcome' | 'says'>;

/** A case for each fix, on one machine. @prefix: what tells its cases from those of other machines. */
export function fixCases(prefix: string, machine: MachineSpec, claims: Readonly<Partial<Record<Fix, Claim>>>): Case[] {
  return Object.entries(claims).map(([fix, claim]) => ({
    name: prefix === '' ? fix : `${prefix}: ${fix}`,
    machine: { ...machine, ...FIXES[fix as Fix] },
    ...claim,
  }));
}
