/**
 * A device-mapper ioctl on a suspended device: I/O to it waits until the device is resumed, by an ioctl whose parameters have to be copied in first.
 *
 * Source: drivers/md/dm-ioctl.c, drivers/md/dm.c, Linux 4.10 and 4.12; spec/vmalloc-gfp.md §10. Differs: offsets are ours; the device belongs to the task that has
 * suspended it, since that is who resumes it, so whoever waits for the device waits for that task.
 */
import type { Kernel, Shrinker } from '../cpu/kernel.js';
import { sharedObject } from '../cpu/shared-object.js';
import { gfp } from '../mm/gfp.js';
import { kmalloc } from '../mm/kmalloc.js';
import { kvmalloc } from '../mm/util.js';
import { __vmalloc } from '../mm/vmalloc.js';
import { clear_bit, set_bit, test_bit } from '../shared/atomic.js';
import { defineStruct } from '../shared/layout.js';
import { memalloc_noio_restore, memalloc_noio_save } from '../shared/task.js';
import { NULL, type Ptr, ptr, type Vaddr, vaddr } from '../shared/types.js';
import { KERNEL_VERSION } from '../shared/version.js';
import { init_waitqueue_head, type WaitQueueHead, wait_event, wake_up_all } from '../shared/wait.js';

const DMF_BLOCK_IO_FOR_SUSPEND = 0;
/** KMALLOC_MAX_SIZE: up to here 4.10 tries kmalloc(). */
const KMALLOC_MAX_SIZE = 4096 << 10;

export const struct_mapped_device = defineStruct('mapped_device', 20, { flags: 0, wait: [4, 12], pflags: 16 });
export type MappedDevice = Ptr<'mapped_device'>;

const flagsOf = (md: MappedDevice): Vaddr => vaddr(md + struct_mapped_device.flags.offset);
const waitOf = (md: MappedDevice): WaitQueueHead => ptr<'wait_queue_head'>(md + struct_mapped_device.wait.offset);

export const dm_create = (k: Kernel, md: MappedDevice): void => init_waitqueue_head(k, waitOf(md));

/** I/O to the device waits from now on. With `sc` the task's own allocations start none meanwhile. */
export function dm_suspend(k: Kernel, md: MappedDevice): void {
  set_bit(k, DMF_BLOCK_IO_FOR_SUSPEND, flagsOf(md));
  k.lockHeld(md);
  if (k.patched.sc) k.write(md, struct_mapped_device.pflags, memalloc_noio_save(k));
}

export function dm_resume(k: Kernel, md: MappedDevice): void {
  if (k.patched.sc) memalloc_noio_restore(k, k.read(md, struct_mapped_device.pflags));
  k.lockDropped(md);
  clear_bit(k, DMF_BLOCK_IO_FOR_SUSPEND, flagsOf(md));
  wake_up_all(k, waitOf(md));
}

/** Write to the device, and wait for it. Context: process, sleeps. */
export function dm_submit_bio(k: Kernel, md: MappedDevice): void {
  if (!test_bit(k, DMF_BLOCK_IO_FOR_SUSPEND, flagsOf(md))) return;
  k.sleepsOn(md);
  wait_event(k, waitOf(md), () => !test_bit(k, DMF_BLOCK_IO_FOR_SUSPEND, flagsOf(md)));
  k.sleepsOn(0);
}

/** Memory for the parameters of an ioctl. Context: process, may sleep. Return: NULL without memory. */
export function copy_params(k: Kernel, size: number): Vaddr {
  const { GFP_KERNEL, GFP_NOIO, __GFP_HIGH, __GFP_HIGHMEM, __GFP_NORETRY, __GFP_NOMEMALLOC, __GFP_NOWARN } = gfp(k);
  if (k.patched.mp) return kvmalloc(k, size, GFP_NOIO | __GFP_HIGH);
  const scoped = !k.patched['mutant-no-caller-scopes'];
  const is4_12 = k.LINUX_VERSION_CODE >= KERNEL_VERSION(4, 12, 0);
  const once = GFP_NOIO | __GFP_NORETRY | __GFP_NOMEMALLOC | __GFP_NOWARN;
  const dmi = is4_12 || size > KMALLOC_MAX_SIZE ? NULL : kmalloc(k, size, once);
  if (dmi !== NULL) return dmi;
  const noio_flag = scoped ? memalloc_noio_save(k) : 0;
  const params = is4_12
    ? kvmalloc(k, size, GFP_KERNEL | __GFP_HIGH)
    : __vmalloc(k, size, GFP_NOIO | __GFP_HIGH | __GFP_HIGHMEM);
  if (scoped) memalloc_noio_restore(k, noio_flag);
  return params;
}

/** Swap space on the device: a page that goes out is written to it. */
export const swap_out = (name: string): Shrinker => ({
  name: 'swap_out',
  gate: 'IO',
  shrink: function swap_writepage(k) {
    dm_submit_bio(k, sharedObject<'mapped_device'>(k, name));
    return 0;
  },
});
