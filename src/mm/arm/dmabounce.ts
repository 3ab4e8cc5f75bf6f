/**
 * Streaming DMA of devices that do not reach all of memory: buffers that they cannot reach are copied to and from ones that they can.
 *
 * Source: arch/arm/common/dmabounce.c, Linux 2.6.22; spec/slab-dma.md §4.3. What a device may reach is its dma_mask; machines with such devices have an
 * ISA_DMA_THRESHOLD (`isaDmaThreshold`), up to which GFP_DMA gives memory.
 * Small and large buffers come from pools of the device, others from dma_alloc_coherent().
 * Differs: which buffers bounce is decided by the mask alone, no platform is asked. Left out: statistics.
 */
import { dma_clean_range, outer_clean_range } from '../../arch/arm/cache.js';
import type { Kernel } from '../../cpu/kernel.js';
import { BUG, BUG_ON } from '../../shared/bug.js';
import { defineStruct } from '../../shared/layout.js';
import {
  container_of,
  INIT_LIST_HEAD,
  type List,
  list_add,
  list_del,
  list_empty,
  list_next,
  list_of,
} from '../../shared/list.js';
import {
  type RwLock,
  read_lock_irqsave,
  read_unlock_irqrestore,
  write_lock_irqsave,
  write_unlock_irqrestore,
} from '../../shared/spinlock.js';
import { NULL, type Paddr, type Ptr, paddr, ptr, type Vaddr, vaddr } from '../../shared/types.js';
import { gfp } from '../gfp.js';
import { kfree, kmalloc } from '../kmalloc.js';
import { lowmem_page_address } from '../page.js';
import { memcpy } from '../string.js';
import { dma_alloc_coherent, dma_free_coherent, struct_device } from './dma-coherent.js';
import {
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_NONE,
  DMA_TO_DEVICE,
  type DmaDirection,
  dma_cache_maint,
  dma_map_single,
  type Scatterlist,
} from './dma-mapping.js';
import { type DmaPool, dma_pool_alloc, dma_pool_create, dma_pool_destroy, dma_pool_free } from './dmapool.js';

/** `struct dmabounce_device_info`: the caller's memory, static as its lock is. Differs: offsets are ours. */
export const struct_dmabounce_device_info = defineStruct('dmabounce_device_info', 80, {
  dev: 0,
  safe_buffers: [4, 8],
  lock: 12,
  small_size: 16,
  large_size: 20,
  small: [24, 28],
  large: [52, 28],
});
/** `struct safe_buffer`. Differs: offsets are ours. */
const struct_safe_buffer = defineStruct('safe_buffer', 32, {
  node: [0, 8],
  ptr: 8,
  size: 12,
  direction: 16,
  safe: 20,
  safe_dma_addr: 24,
  pool: 28,
});

export type BounceDevice = Ptr<'dmabounce_device_info'>;
type SafeBuffer = Ptr<'safe_buffer'>;

const lockOf = (device: BounceDevice): RwLock => vaddr(device + struct_dmabounce_device_info.lock.offset) as RwLock;
const buffersOf = (device: BounceDevice): List => list_of(device, struct_dmabounce_device_info.safe_buffers.offset);
const nodeOf = (buffer: SafeBuffer): List => list_of(buffer, struct_safe_buffer.node.offset);

const smallPool = (device: BounceDevice): DmaPool =>
  ptr<'dma_pool'>(device + struct_dmabounce_device_info.small.offset);
const largePool = (device: BounceDevice): DmaPool =>
  ptr<'dma_pool'>(device + struct_dmabounce_device_info.large.offset);

/**
 * The device's buffers are looked at from now on. @device: zeroed static memory; @large: 0 for no pool of large buffers.
 *
 * Context: process. Return: false without a size for small buffers.
 */
export function dmabounce_register_dev(
  k: Kernel,
  device: BounceDevice,
  dev: Ptr<'device'>,
  small: number,
  large: number,
): boolean {
  if (!dma_pool_create(k, smallPool(device), dev, small)) return false;
  if (large !== 0) dma_pool_create(k, largePool(device), dev, large);
  k.write(device, struct_dmabounce_device_info.small_size, small);
  k.write(device, struct_dmabounce_device_info.large_size, large);
  k.write(device, struct_dmabounce_device_info.dev, dev);
  INIT_LIST_HEAD(k, buffersOf(device));
  return true;
}

/** Context: process, interrupts on. Errors: BUG while buffers are mapped. */
export function dmabounce_unregister_dev(k: Kernel, device: BounceDevice): void {
  if (!list_empty(k, buffersOf(device))) {
    k.printk('Removing from dmabounce with pending buffers!');
    BUG(k, 'arch/arm/common/dmabounce.c dmabounce_unregister_dev', device);
  }
  dma_pool_destroy(k, smallPool(device));
  if (k.read(device, struct_dmabounce_device_info.large_size) !== 0) dma_pool_destroy(k, largePool(device));
}

const devOf = (k: Kernel, device: BounceDevice): Ptr<'device'> =>
  ptr<'device'>(k.read(device, struct_dmabounce_device_info.dev));

/** Does the first or the last byte's address have a bit beyond the device's mask? */
function needsBounce(k: Kernel, device: BounceDevice, addr: Vaddr, size: number): boolean {
  const mask = k.read(devOf(k, device), struct_device.dma_mask);
  const first = k.__pa(addr);
  return ((first | (first + size - 1)) & ~mask) !== 0;
}

/** The pool for a buffer of so many bytes, or NULL. */
function poolFor(k: Kernel, device: BounceDevice, size: number): DmaPool {
  if (size <= k.read(device, struct_dmabounce_device_info.small_size)) return smallPool(device);
  return size <= k.read(device, struct_dmabounce_device_info.large_size) ? largePool(device) : NULL;
}

/** Context: any. Takes and releases the device's lock (irqsave). Return: NULL without memory. */
function alloc_safe_buffer(k: Kernel, device: BounceDevice, addr: Vaddr, size: number, dir: DmaDirection): SafeBuffer {
  const { GFP_ATOMIC } = gfp(k);
  const buffer = kmalloc<'safe_buffer'>(k, struct_safe_buffer.sizeof, GFP_ATOMIC);
  if (buffer === NULL) return NULL;
  const pool = poolFor(k, device, size);
  const safe = pool === NULL ? dma_alloc_coherent(k, devOf(k, device), size, GFP_ATOMIC) : dma_pool_alloc(k, pool);
  if (safe.addr === NULL) {
    kfree(k, buffer);
    return NULL;
  }
  k.write(buffer, struct_safe_buffer.pool, pool);
  k.write(buffer, struct_safe_buffer.ptr, addr);
  k.write(buffer, struct_safe_buffer.size, size);
  k.write(buffer, struct_safe_buffer.direction, dir);
  k.write(buffer, struct_safe_buffer.safe, safe.addr);
  k.write(buffer, struct_safe_buffer.safe_dma_addr, safe.handle);
  const flags = write_lock_irqsave(k, lockOf(device));
  list_add(k, nodeOf(buffer), buffersOf(device));
  write_unlock_irqrestore(k, lockOf(device), flags);
  return buffer;
}

/** Context: any. Takes and releases the device's lock (irqsave). Return: NULL when the handle is that of no bounced buffer. */
function find_safe_buffer(k: Kernel, device: BounceDevice, handle: Paddr): SafeBuffer {
  const flags = read_lock_irqsave(k, lockOf(device));
  const head = buffersOf(device);
  let found: SafeBuffer = NULL;
  for (let entry = list_next(k, head); entry !== head && found === NULL; entry = list_next(k, entry)) {
    const buffer = container_of<'safe_buffer'>(entry, struct_safe_buffer.node.offset);
    if (k.read(buffer, struct_safe_buffer.safe_dma_addr) === handle >>> 0) found = buffer;
  }
  read_unlock_irqrestore(k, lockOf(device), flags);
  return found;
}

/** Context: any for a buffer of a pool; else process, interrupts on: dma_free_coherent() warns else. */
function free_safe_buffer(k: Kernel, device: BounceDevice, buffer: SafeBuffer): void {
  const flags = write_lock_irqsave(k, lockOf(device));
  list_del(k, nodeOf(buffer));
  write_unlock_irqrestore(k, lockOf(device), flags);
  const safe = vaddr(k.read(buffer, struct_safe_buffer.safe));
  const handle = k.read(buffer, struct_safe_buffer.safe_dma_addr) as Paddr;
  const pool = ptr<'dma_pool'>(k.read(buffer, struct_safe_buffer.pool));
  if (pool !== NULL) dma_pool_free(k, pool, safe, handle);
  else dma_free_coherent(k, devOf(k, device), k.read(buffer, struct_safe_buffer.size), safe, handle);
  kfree(k, buffer);
}

/** @toSafe: from the driver's buffer to the device's. Return: the driver's buffer. */
function copy(k: Kernel, buffer: SafeBuffer, size: number, toSafe: boolean): Vaddr {
  const own = vaddr(k.read(buffer, struct_safe_buffer.ptr));
  const safe = vaddr(k.read(buffer, struct_safe_buffer.safe));
  if (toSafe) memcpy(k, safe, own, size);
  else memcpy(k, own, safe, size);
  return own;
}

const NO_HANDLE = 0xffffffff;

/** Can the device's window never hold so many bytes? */
function isTooBig(k: Kernel, device: BounceDevice, size: number): boolean {
  const mask = k.read(devOf(k, device), struct_device.dma_mask);
  const limit = ((mask + 1) & ~mask) >>> 0;
  if (limit === 0 || size <= limit) return false;
  k.printk(`DMA mapping too big (requested 0x${size.toString(16)} mask 0x${(mask >>> 0).toString(16)})`);
  return true;
}

function map_single(k: Kernel, device: BounceDevice, addr: Vaddr, size: number, dir: DmaDirection): Paddr {
  if (isTooBig(k, device, size)) return NO_HANDLE as Paddr;
  if (!needsBounce(k, device, addr, size)) return dma_map_single(k, addr, size, dir);
  const buffer = alloc_safe_buffer(k, device, addr, size, dir);
  if (buffer === NULL) {
    k.printk(`map_single: unable to map unsafe buffer ${(addr >>> 0).toString(16)}!`);
    return 0 as Paddr;
  }
  if (dir !== DMA_FROM_DEVICE) copy(k, buffer, size, true);
  return k.read(buffer, struct_safe_buffer.safe_dma_addr) as Paddr;
}

/** What the device has written is copied back, and written to memory: cleaned, not flushed. */
function unmap_single(k: Kernel, device: BounceDevice, handle: Paddr, size: number, dir: DmaDirection): void {
  if (handle >>> 0 === NO_HANDLE) {
    k.printk('Trying to unmap invalid mapping');
    return;
  }
  const buffer = find_safe_buffer(k, device, handle);
  if (buffer === NULL) return;
  BUG_ON(k, k.read(buffer, struct_safe_buffer.size) !== size, 'arch/arm/common/dmabounce.c unmap_single: size', size);
  if (dir !== DMA_TO_DEVICE) {
    const own = copy(k, buffer, size, false);
    dma_clean_range(k, own, vaddr(own + size));
    outer_clean_range(k, k.__pa(own), k.__pa(vaddr(own + size)));
  }
  free_safe_buffer(k, device, buffer);
}

/** One copy, in the direction of the transfer. Errors: BUG for both directions. */
function sync_single(k: Kernel, device: BounceDevice, handle: Paddr, size: number, dir: DmaDirection): void {
  const buffer = find_safe_buffer(k, device, handle);
  if (buffer === NULL) {
    dma_cache_maint(k, k.__va(handle), size, dir);
    return;
  }
  BUG_ON(k, dir === DMA_BIDIRECTIONAL || dir === DMA_NONE, 'arch/arm/common/dmabounce.c sync_single', dir);
  copy(k, buffer, size, dir === DMA_TO_DEVICE);
}

const checkDirection = (k: Kernel, dir: DmaDirection, where: string): void =>
  BUG_ON(k, dir === DMA_NONE, `arch/arm/common/dmabounce.c ${where}`, dir);

/**
 * Context: any.
 * Return:  what the device is to use; 0, not ~0, when there is no memory to bounce to; ~0 for what its mask can never hold.
 * Errors:  BUG without a direction.
 */
export function dmabounce_map_single(
  k: Kernel,
  device: BounceDevice,
  addr: Vaddr,
  size: number,
  dir: DmaDirection,
): Paddr {
  addr = vaddr(addr);
  k.op();
  checkDirection(k, dir, 'dma_map_single');
  return map_single(k, device, addr, size, dir);
}

/** Context: any for what bounced to a pool; else process, interrupts on. */
export function dmabounce_unmap_single(
  k: Kernel,
  device: BounceDevice,
  handle: Paddr,
  size: number,
  dir: DmaDirection,
): void {
  handle = paddr(handle);
  k.op();
  checkDirection(k, dir, 'dma_unmap_single');
  unmap_single(k, device, handle, size, dir);
}

/** For the CPU and for the device alike. Context: any. Errors: BUG for both directions. */
export function dmabounce_sync_single(
  k: Kernel,
  device: BounceDevice,
  handle: Paddr,
  size: number,
  dir: DmaDirection,
): void {
  handle = paddr(handle);
  k.op();
  sync_single(k, device, handle, size, dir);
}

/** An operation on each entry of a list. */
function eachEntry(
  k: Kernel,
  sg: readonly Scatterlist[],
  dir: DmaDirection,
  where: string,
  op: (entry: Scatterlist) => void,
): void {
  checkDirection(k, dir, where);
  for (const entry of sg) {
    k.op();
    op(entry);
  }
}

/** Every entry as it needs it. An entry that could not be mapped has the handle 0, and counts. Context: any. Return: number of entries. */
export function dmabounce_map_sg(
  k: Kernel,
  device: BounceDevice,
  sg: readonly Scatterlist[],
  dir: DmaDirection,
): number {
  eachEntry(k, sg, dir, 'dma_map_sg', (s) => {
    s.dma_address = map_single(k, device, vaddr(lowmem_page_address(k, s.page) + s.offset), s.length, dir);
  });
  return sg.length;
}

export function dmabounce_unmap_sg(
  k: Kernel,
  device: BounceDevice,
  sg: readonly Scatterlist[],
  dir: DmaDirection,
): void {
  eachEntry(k, sg, dir, 'dma_unmap_sg', (s) => unmap_single(k, device, s.dma_address, s.length, dir));
}

/** For the CPU and for the device alike. */
export function dmabounce_sync_sg(
  k: Kernel,
  device: BounceDevice,
  sg: readonly Scatterlist[],
  dir: DmaDirection,
): void {
  eachEntry(k, sg, dir, 'dma_sync_sg', (s) => sync_single(k, device, s.dma_address, s.length, dir));
}
