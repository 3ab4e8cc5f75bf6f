/**
 * What an execution has left behind in the kernel, whether or not anybody can still find it. Ours: no kernel has such a list. Source:
 * spec/checkers.md §6.7. Nothing here is a step.
 */
import { __fix_to_virt, KM_TYPE_NR, LAST_PKMAP, PKMAP_ADDR } from '../arch/arm/memory.js';
import { pte_none, pte_pfn } from '../arch/arm/pgtable.js';
import type { Kernel } from '../cpu/kernel.js';
import { fixmapPte } from '../mm/arm/highmem.js';
import { hex8 } from '../shared/types.js';
import { heldBy, symbolOf } from './deadlock.js';

const wordAt = (k: Kernel, addr: number): number => (k.words[(addr - k.staticBase) >>> 2] as number) >>> 0;

/** Slots of kmap() with users: a count of 1 is a mapping that nobody has. */
function pkmapSlots(k: Kernel): string[] {
  const lines: string[] = [];
  for (let nr = 0; nr < LAST_PKMAP(k); nr++) {
    const users = wordAt(k, k.sym.pkmap_count + nr * 4) - 1;
    if (users > 0) lines.push(`kmap slot ${nr} at ${hex8(PKMAP_ADDR(k, nr))}, ${users} user${users === 1 ? '' : 's'}`);
  }
  return lines;
}

/** Slots of kmap_atomic(). Without CONFIG_DEBUG_HIGHMEM nobody clears them, so that it is not known which are in use. */
function atomicSlots(k: Kernel): string[] {
  if (!k.config.debugHighmem) return [];
  const types = KM_TYPE_NR(k);
  const lines: string[] = [];
  for (let index = 0; index < types * k.config.cpus; index++) {
    const addr = __fix_to_virt(index);
    const pte = wordAt(k, fixmapPte(k, addr));
    if (pte_none(pte)) continue;
    const frame = pte_pfn(pte).toString(16);
    lines.push(`kmap_atomic slot of type ${index % types} on CPU ${Math.floor(index / types)}, page frame 0x${frame}`);
  }
  return lines;
}

function locks(k: Kernel): string[] {
  const lines: string[] = [];
  for (let slot = 0; slot < k.config.threadsMax; slot++) {
    for (const lock of heldBy(k, slot)) lines.push(`lock ${symbolOf(k, lock)}, held by thread${slot}`);
  }
  return lines;
}

/**
 * Live memory by site of allocation, as far as the memory checker watches; DMA mappings and coherent buffers, as far as the DMA checker does;
 * users of kmap slots, slots of kmap_atomic(), locks.
 *
 * Return: lines; empty when nothing is left.
 */
export function leftOver(k: Kernel): string[] {
  const highmem = k.arch.id === 'arm' ? [...pkmapSlots(k), ...atomicSlots(k)] : [];
  return [...(k.memoryWatch?.leftOver() ?? []), ...(k.dmaWatch?.leftOver() ?? []), ...highmem, ...locks(k)];
}
