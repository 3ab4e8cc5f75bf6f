/** Where an access goes. */
import type { Kernel } from '../../cpu/kernel.js';
import { How } from '../../shared/access.js';

/** Numbers below are no addresses: CPUs, devices, words of the hardware area. */
export const ADDRESSES = 0x0100_0000;

export const bytesOf = (how: number): number => ((how & How.byte) !== 0 ? 1 : (how & How.half) !== 0 ? 2 : 4);

/** Physical address of @addr by the page tables; -1 for what is no memory, or has no translation, so that the access will fault. */
export function physicalOf({ config, mmu, memory }: Kernel, addr: number): number {
  const offset = addr - config.pageOffset;
  if (offset >= 0 && offset < config.lowmemPages * 4096) return offset + config.core.physBase;
  if (addr < ADDRESSES) return -1;
  const { footprint } = memory;
  memory.footprint = null;
  const pa = mmu.translationByTables(addr);
  memory.footprint = footprint;
  return pa;
}
