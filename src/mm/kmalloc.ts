/**
 * kmalloc() and kfree(), whichever allocator the kernel is configured with. Source: include/linux/slab.h, Linux 2.6.22.
 */
import type { MachineConfig } from '../cpu/config.js';
import type { Kernel } from '../cpu/kernel.js';
import type { SymbolSpec } from '../shared/kernel-base.js';
import { layoutStructs, type StructConfig, type Structs } from '../shared/structs/configured.js';
import { type Ptr, ptr, type Vaddr } from '../shared/types.js';
import { address_space_init_once } from './filemap.js';
import { gfp } from './gfp.js';
import { lockSymbols } from './lock-types.js';
import * as slub from './slub.js';

/** SMP kernels are configured for so many CPUs at least. */
const NR_CPUS = 4;

/** What the layouts of structs depend on in a configuration. */
const structConfigOf = (config: MachineConfig): StructConfig => ({
  smp: config.cpus > 1,
  preempt: config.preempt,
  debugSpinlock: config.debugSpinlock,
  lockdep: false,
  nrCpus: config.cpus > 1 ? Math.max(NR_CPUS, config.cpus) : 1,
  cpu: 'arm',
  debugSlab: config.debugSlab,
});

export const structsOf = (config: MachineConfig): Structs => layoutStructs(structConfigOf(config));

export const slabSymbols = (structs: Structs): Record<string, SymbolSpec> => ({
  ...lockSymbols,
  ...slub.slubSymbols(structs),
  swapper_space: { bytes: structs.address_space.sizeof },
});

/** Boot, CPU 0 alone. */
export function kmem_cache_init(k: Kernel): void {
  k.store(k.sym.debug_locks, 1);
  slub.kmem_cache_init(k);
  address_space_init_once(k, k.sym.swapper_space);
}

/**
 * Memory of at least @size bytes; what it holds is whatever was there.
 *
 * Context: any if @gfp_mask does not allow to sleep, else process.
 * Return:  a linear address; NULL when there is none, ZERO_SIZE_PTR for no bytes.
 */
export function kmalloc<T extends string = never>(k: Kernel, size: number, gfp_mask: number): Ptr<T> {
  return ptr<T>(slub.__kmalloc(k, size, gfp_mask));
}

/** As kmalloc(), and all bytes are 0. */
export function kzalloc<T extends string = never>(k: Kernel, size: number, gfp_mask: number): Ptr<T> {
  return kmalloc<T>(k, size, gfp_mask | gfp(k).__GFP_ZERO);
}

/** Context: any. NULL is ignored. */
export function kfree(k: Kernel, block: Vaddr): void {
  slub.kfree(k, block);
}

/** How many bytes of an object may be used. Context: any. */
export function ksize(k: Kernel, block: Vaddr): number {
  return slub.ksize(k, block);
}
