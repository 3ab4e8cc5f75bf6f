/**
 * kmalloc() and kfree(), whichever allocator the kernel is configured with. Source: include/linux/slab.h, Linux 2.6.22.
 */
import type { MachineConfig } from '../cpu/config.js';
import type { Kernel } from '../cpu/kernel.js';
import { CallFunction } from '../cpu/smp.js';
import { Ev } from '../cpu/tracer.js';
import { data_race } from '../shared/access.js';
import { UsageError } from '../shared/errors.js';
import type { SymbolSpec } from '../shared/kernel-base.js';
import { layoutStructs, type StructConfig, type Structs } from '../shared/structs/configured.js';
import { NULL, type Ptr, ptr, type Vaddr, vaddr } from '../shared/types.js';
import { KERNEL_VERSION } from '../shared/version.js';
import { address_space_init_once } from './filemap.js';
import { gfp, gfpOfVersion } from './gfp.js';
import {
  kasan_disable_current,
  kasan_enable_current,
  kasan_kmalloc,
  kasan_slab_alloc,
  kasan_slab_free,
  kasan_unpoison_object,
} from './kasan.js';
import { lockSymbols } from './lock-types.js';
import { type SlabCache, slabPoolSymbols } from './slab/cache.js';
import { do_drain, kmem_cache_destroy as slabDestroy, kmem_cache_shrink as slabShrink } from './slab/shrink.js';
import { slabinfo as slabinfoOfSlab } from './slab/slabinfo.js';
import * as slab from './slab.js';
import type { Cache, CacheCounters } from './slab-common.js';
import { flush_cpu_slab, kmem_cache_destroy as slubDestroy, kmem_cache_shrink as slubShrink } from './slub/shrink.js';
import { proc_slabinfo, slabinfo as slabinfoOfSlub } from './slub/slabinfo.js';
import { validate_slab_cache as slubValidate } from './slub/validate.js';
import * as slub from './slub.js';
import { memset } from './string.js';

/** SMP kernels are configured for so many CPUs at least. */
const NR_CPUS = 4;

/** What the layouts of structs depend on in a configuration. */
const structConfigOf = (config: MachineConfig): StructConfig => ({
  smp: config.cpus > 1,
  preempt: config.preempt,
  debugSpinlock: config.debugSpinlock,
  lockdep: false,
  nrCpus: config.cpus > 1 ? Math.max(NR_CPUS, config.cpus) : 1,
  cpu: config.core.parisc === undefined ? 'arm' : config.core.parisc.pa20 ? 'pa2.0' : 'pa1.1',
  debugSlab: config.debugSlab,
});

export const structsOf = (config: MachineConfig): Structs => layoutStructs(structConfigOf(config));

export const slabSymbols = (config: MachineConfig, structs: Structs): Record<string, SymbolSpec> => ({
  ...lockSymbols,
  ...(config.slab === 'slab'
    ? slabPoolSymbols(structs, config.cpus, config.core.dcache.lineBytes)
    : slub.slubSymbols(structs)),
  swapper_space: { bytes: structs.address_space.sizeof },
});

/** Boot, CPU 0 alone. */
export function kmem_cache_init(k: Kernel): void {
  k.store(k.sym.debug_locks, 1);
  if (isSlab(k)) slab.kmem_cache_init(k);
  else slub.kmem_cache_init(k);
  address_space_init_once(k, k.sym.swapper_space);
}

/** CONFIG_SLAB, CONFIG_SLUB. */
const isSlab = (k: Kernel): boolean => k.config.slab === 'slab';
/** Their caches are different structs behind one name. */
const slabCache = (s: Cache): SlabCache => ptr<'slab_kmem_cache'>(s);
const anyCache = (s: SlabCache): Cache => ptr<'kmem_cache'>(s);

/**
 * Memory of at least @size bytes; what it holds is whatever was there.
 *
 * Context: any if @gfp_mask does not allow to sleep, else process.
 * Return:  a linear address; NULL when there is none. For no bytes ZERO_SIZE_PTR with SLUB, an object with SLAB.
 */
export function kmalloc<T extends string = never>(k: Kernel, size: number, gfp_mask: number): Ptr<T> {
  gfp_mask = gfpOfVersion(k, gfp_mask);
  kasan_disable_current(k);
  const block = isSlab(k) ? slab.__kmalloc(k, size, gfp_mask) : slub.__kmalloc(k, size, gfp_mask);
  kasan_enable_current(k);
  k.trace(Ev.kmalloc, block, size, gfp_mask);
  kasan_kmalloc(k, block, size);
  return ptr<T>(block);
}

/** As kmalloc(), and all bytes are 0. */
export function kzalloc<T extends string = never>(k: Kernel, size: number, gfp_mask: number): Ptr<T> {
  return kmalloc<T>(k, size, gfp_mask | gfp(k).__GFP_ZERO);
}

/** Context: any. NULL is ignored. */
export function kfree(k: Kernel, block: Vaddr): void {
  block = vaddr(block);
  k.trace(Ev.kfree, block);
  kasan_slab_free(k, block);
  kasan_disable_current(k);
  if (isSlab(k)) slab.kfree(k, block);
  else slub.kfree(k, block);
  kasan_enable_current(k);
}

/** How many bytes of an object may be used. Context: any. */
export function ksize(k: Kernel, block: Vaddr): number {
  block = vaddr(block);
  kasan_unpoison_object(k, block);
  kasan_disable_current(k);
  const bytes = isSlab(k) ? slab.ksize(k, block) : slub.ksize(k, block);
  kasan_enable_current(k);
  return bytes;
}

/**
 * A cache of objects of one size. @ctor: which of `Kernel.ctors`, from 1; 0 for none.
 *
 * Context: process, may sleep. Return: NULL when there is none to be had. Errors: panic instead with SLAB_PANIC.
 */
export function kmem_cache_create(
  k: Kernel,
  name: string,
  size: number,
  align: number,
  flags: number,
  ctor = 0,
): Cache {
  kasan_disable_current(k);
  const cache = isSlab(k)
    ? anyCache(slab.kmem_cache_create(k, name, size, align, flags, ctor))
    : slub.kmem_cache_create(k, name, size, align, flags, ctor);
  kasan_enable_current(k);
  return cache;
}

/** Slabs without objects go back to the page allocator. Context: process, may sleep. Return: SLAB: 1 if slabs are left; SLUB: 0, or -ENOMEM. */
export function kmem_cache_shrink(k: Kernel, s: Cache): number {
  s = ptr<'kmem_cache'>(s);
  kasan_disable_current(k);
  const left = isSlab(k) ? slabShrink(k, slabCache(s)) : slubShrink(k, s);
  kasan_enable_current(k);
  return left;
}

/**
 * Have every object of a cache of SLUB looked at: /sys/slab/CACHE/validate. Context: process, interrupts on. Return: how many slabs were on lists.
 * Errors: SLAB has no such file.
 */
export function validate_slab_cache(k: Kernel, s: Cache): number {
  if (isSlab(k)) throw new UsageError('validate_slab_cache() is SLUB\'s: the machine has slab: "slab"; leave that out');
  kasan_disable_current(k);
  const slabs = slubValidate(k, ptr<'kmem_cache'>(s));
  kasan_enable_current(k);
  return slabs;
}

/** Give up a cache. Context: process, may sleep. Errors: a message, or WARN, when objects are still allocated. */
export function kmem_cache_destroy(k: Kernel, s: Cache): void {
  s = ptr<'kmem_cache'>(s);
  kasan_disable_current(k);
  if (isSlab(k)) slabDestroy(k, slabCache(s));
  else slubDestroy(k, s);
  kasan_enable_current(k);
}

/** As kmem_cache_alloc(), and the object's bytes are 0. */
export function kmem_cache_zalloc(k: Kernel, s: Cache, flags: number): Vaddr {
  const object = kmem_cache_alloc(k, s, flags);
  if (object !== NULL) memset(k, object, 0, countCache(k, s).objsize);
  return object;
}

/** An object of the cache. Context: any if @flags do not allow to sleep, else process. Return: NULL without memory. */
export function kmem_cache_alloc(k: Kernel, s: Cache, flags: number): Vaddr {
  s = ptr<'kmem_cache'>(s);
  flags = gfpOfVersion(k, flags);
  kasan_disable_current(k);
  const object = isSlab(k) ? slab.kmem_cache_alloc(k, slabCache(s), flags) : slub.kmem_cache_alloc(k, s, flags);
  kasan_enable_current(k);
  k.trace(Ev.cacheAlloc, object, s, flags);
  kasan_slab_alloc(k, s, object);
  return object;
}

/** Context: any. */
export function kmem_cache_free(k: Kernel, s: Cache, object: Vaddr): void {
  s = ptr<'kmem_cache'>(s);
  object = vaddr(object);
  k.trace(Ev.cacheFree, object, s);
  kasan_slab_free(k, object);
  kasan_disable_current(k);
  if (isSlab(k)) slab.kmem_cache_free(k, slabCache(s), object);
  else slub.kmem_cache_free(k, s, object);
  kasan_enable_current(k);
}

/** The cache that kmalloc(@size) takes from. NULL for sizes that have none. */
export const kmallocCache = (k: Kernel, size: number): Cache =>
  isSlab(k) ? anyCache(slab.kmallocCache(k, size)) : slub.kmallocCache(k, size);

/** Every cache, the youngest first. */
export const eachCache = (k: Kernel): Cache[] => (isSlab(k) ? slab.eachCache(k).map(anyCache) : slub.eachCache(k));

/** Exact when nobody allocates or frees meanwhile. */
export function countCache(k: Kernel, s: Cache): CacheCounters {
  s = ptr<'kmem_cache'>(s);
  kasan_disable_current(k);
  const counters = isSlab(k) ? slab.countCache(k, slabCache(s)) : slub.countCache(k, s);
  kasan_enable_current(k);
  return counters;
}

/** Objects in a slab of kmalloc(@size). */
export const objectsPerSlab = (k: Kernel, size: number): number =>
  data_race(k, () => countCache(k, kmallocCache(k, size)).objectsPerSlab);

/** What other CPUs are asked to do for a cache. */
export function slabCallFunctions(k: Kernel): void {
  k.callFunctions[CallFunction.flush_cpu_slab] = flush_cpu_slab;
  k.callFunctions[CallFunction.do_drain] = do_drain;
}

/** SLUB has the file from here on. */
const SLUB_PROC_SLABINFO = KERNEL_VERSION(2, 6, 24);

/** /proc/slabinfo. SLUB of 2.6.22 has no such file: what the tool of that name makes of /sys/slab. Context: nobody allocates or frees. */
export function slabinfo(k: Kernel): string[] {
  kasan_disable_current(k);
  const lines = isSlab(k) ? slabinfoOfSlab(k) : slabinfoOfVersion(k);
  kasan_enable_current(k);
  return lines;
}

const slabinfoOfVersion = (k: Kernel): string[] =>
  k.LINUX_VERSION_CODE >= SLUB_PROC_SLABINFO ? proc_slabinfo(k) : slabinfoOfSlub(k);
