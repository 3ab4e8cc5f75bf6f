/**
 * dma_alloc_coherent() of ARM: kmalloc() where devices see the caches, else pages that are mapped a second time, uncached.
 *
 * Source: arch/arm/mm/consistent.c, Linux 2.6.22; spec/slab-dma.md §4.2. The region of addresses is consistent-region.ts. Proposals of seed 001 are
 * patches: `arm-coherent-pages` (pages instead of kmalloc()), `arm-no-coherent-branch` (all machines take the other way).
 * Differs: the pages are cleared after they have been mapped, before anybody knows them; a mask of 64 bits is left out.
 */
import { dma_flush_range } from '../../arch/arm/cache.js';
import { virt_addr_valid } from '../../arch/arm/memory.js';
import type { Kernel } from '../../cpu/kernel.js';
import { WARN_ON } from '../../shared/bug.js';
import { irqs_disabled } from '../../shared/irqflags.js';
import { defineStruct } from '../../shared/layout.js';
import { NULL, type Paddr, type Ptr, paddr, type Vaddr, vaddr } from '../../shared/types.js';
import { debug_dma_alloc_coherent, debug_dma_free_coherent } from '../dma-debug.js';
import { gfp } from '../gfp.js';
import { kfree, kmalloc } from '../kmalloc.js';
import { get_order } from '../page.js';
import { __get_free_pages, free_pages } from '../page_alloc.js';
import { memset } from '../string.js';
import { PAGE_ALIGN } from '../vmalloc/vm-struct.js';
import type { Consistent } from './consistent.js';
import { CONSISTENT_BASE, CONSISTENT_END, region_alloc, region_free } from './consistent-region.js';

/** What the DMA API looks at in `struct device`. Differs: offsets are ours, masks have 32 bits. */
export const struct_device = defineStruct('device', 8, { dma_mask: 0, coherent_dma_mask: 4 });

/** Machines with less say so. Source: include/asm-arm/dma.h. */
const ISA_DMA_THRESHOLD = (k: Kernel): number => k.config.isaDmaThreshold;
const NO_HANDLE = 0xffffffff as Paddr;
const FAILED: Consistent = { addr: NULL, handle: NO_HANDLE };

/** Devices see the caches, and the kernel has code for that. */
const coherentBranch = (k: Kernel): boolean => k.config.coherentDma && !k.patched['arm-no-coherent-branch'];

/** The device, its mask and the size of what it asks for do not matter. */
function allocCached(k: Kernel, size: number, flags: number): Consistent {
  const addr = k.patched['arm-coherent-pages'] ? __get_free_pages(k, flags, get_order(size)) : kmalloc(k, size, flags);
  return addr === NULL ? FAILED : { addr: vaddr(addr), handle: k.__pa(addr) };
}

/** %#x */
const hex = (n: number): string => `0x${(n >>> 0).toString(16)}`;

/** Never fewer bytes than the device's window or the region has: one page less is the most. */
function isTooBig(k: Kernel, mask: number, size: number): boolean {
  const bytes = PAGE_ALIGN(size);
  const limit = ((mask + 1) & ~mask) >>> 0;
  if ((limit === 0 || bytes < limit) && bytes < CONSISTENT_END - CONSISTENT_BASE) return false;
  k.printk(`coherent allocation too big (requested ${hex(bytes)} mask ${hex(mask)})`);
  return true;
}

/** Can the device reach memory at all? It is said why not. */
function checkMask(k: Kernel, mask: number): boolean {
  if (mask === 0) k.printk('coherent DMA mask is unset');
  else if ((~mask & ISA_DMA_THRESHOLD(k)) !== 0) {
    k.printk(`coherent DMA mask ${hex(mask)} is smaller than system GFP_DMA mask ${hex(ISA_DMA_THRESHOLD(k))}`);
  } else return true;
  return false;
}

/**
 * @size bytes that CPUs and device see alike, all 0 unless they come from kmalloc().
 *
 * Context: any if @flags do not allow to sleep, else process.
 * Return:  the CPUs' address and the device's; NULL and ~0 without memory, room, or a mask that reaches all of GFP_DMA, and for 2 MB or more.
 */
export function dma_alloc_coherent(k: Kernel, dev: Ptr<'device'>, size: number, flags: number): Consistent {
  k.op();
  const got = allocCoherent(k, dev, size, flags);
  debug_dma_alloc_coherent(k, size, got.handle, got.addr);
  return got;
}

function allocCoherent(k: Kernel, dev: Ptr<'device'>, size: number, flags: number): Consistent {
  if (coherentBranch(k)) return allocCached(k, size, flags);
  const mask = dev === NULL ? ISA_DMA_THRESHOLD(k) : k.read(dev, struct_device.coherent_dma_mask);
  if (!checkMask(k, mask) || isTooBig(k, mask, size)) return FAILED;
  const got = region_alloc(k, mask === 0xffffffff ? flags : flags | gfp(k).GFP_DMA, size);
  if (got.addr === NULL) return FAILED;
  const linear = k.__va(got.handle);
  memset(k, linear, 0, size);
  dma_flush_range(k, linear, vaddr(linear + size));
  return got;
}

/**
 * Context: process, interrupts on.
 * Errors:  WARN with interrupts off, on coherent machines as well.
 */
export function dma_free_coherent(k: Kernel, _dev: Ptr<'device'>, size: number, addr: Vaddr, handle: Paddr): void {
  addr = vaddr(addr);
  handle = paddr(handle);
  k.op();
  debug_dma_free_coherent(k, size, addr, handle);
  if (!coherentBranch(k)) {
    region_free(k, addr, size);
    return;
  }
  WARN_ON(k, irqs_disabled(k), 'arch/arm/mm/consistent.c dma_free_coherent()');
  if (k.patched['arm-coherent-pages'] && virt_addr_valid(k, addr)) free_pages(k, addr, get_order(size));
  else kfree(k, addr);
}

/** There is none. Source: include/asm-arm/dma-mapping.h, Linux 2.6.22. Differs: the kernel leaves the handle as it is. */
export const dma_alloc_noncoherent = (): Consistent => FAILED;
