/**
 * kswapd: the thread that reclaims in the background. Source: mm/vmscan.c (`kswapd`, `balance_pgdat`, `wakeup_kswapd`), Linux 2.5.53, 2.6.22, 4.12.
 *
 * A machine has one if its race runs kswapd() as a thread. Differs: after a round in which nothing could be freed it sleeps until the next
 * allocation wakes it; the kernel calls the zones unreclaimable then.
 */
import type { Kernel } from '../cpu/kernel.js';
import { congestion_wait } from '../cpu/timer.js';
import { atomic_read, atomic_set } from '../shared/atomic.js';
import { HZ } from '../shared/jiffies.js';
import type { SymbolSpec } from '../shared/kernel-base.js';
import { PF_KSWAPD, PF_MEMALLOC, set_task_flags } from '../shared/task.js';
import type { Vaddr } from '../shared/types.js';
import { LINUX_2_6 } from '../shared/version.js';
import {
  __set_current_state,
  add_wait_queue,
  DECLARE_WAITQUEUE,
  init_waitqueue_head,
  remove_wait_queue,
  set_current_state,
  TASK_INTERRUPTIBLE,
  TASK_RUNNING,
  type WaitQueueHead,
  waitqueue_active,
  wake_up,
} from '../shared/wait.js';
import { gfp } from './gfp.js';
import { lockdep_clear_current_reclaim_state, lockdep_set_current_reclaim_state } from './lockdep.js';
import { struct_zone, type Zone, zone_idx, zonelist } from './mmzone.js';
import { ZONE_HIGHMEM } from './page.js';
import { watermark_ok } from './page_alloc/watermark.js';
import { DEF_PRIORITY, reclaimForKswapd } from './vmscan.js';

declare module '../shared/kernel-base.js' {
  interface Symbols {
    /** pgdat->kswapd_wait */
    kswapd_wait: WaitQueueHead;
    /** Has somebody asked kswapd for pages since it last looked? */
    kswapd_wanted: Vaddr;
    kswapd_should_stop: Vaddr;
  }
}

export const kswapdSymbols: Record<string, SymbolSpec> = {
  kswapd_wait: { bytes: 12, align: 4 },
  kswapd_wanted: { bytes: 4, align: 4 },
  kswapd_should_stop: { bytes: 4, align: 4 },
};

export function kswapd_init(k: Kernel): void {
  init_waitqueue_head(k, k.sym.kswapd_wait);
}

/** Context: any. Wakes kswapd if @zone is below its low mark and kswapd sleeps. */
export function wakeup_kswapd(k: Kernel, zone: Zone, order: number): void {
  const low = k.read(zone, struct_zone.pages_low);
  if (k.LINUX_VERSION_CODE < LINUX_2_6) {
    if (k.read(zone, struct_zone.free_pages) > low) return;
  } else if (watermark_ok(k, zone, order, low, 0, 0)) return;
  if (!waitqueue_active(k, k.sym.kswapd_wait)) return;
  atomic_set(k, k.sym.kswapd_wanted, 1);
  wake_up(k, k.sym.kswapd_wait);
}

const balanced = (k: Kernel, zone: Zone): boolean =>
  watermark_ok(k, zone, 0, k.read(zone, struct_zone.pages_high), zone_idx(k, zone), 0);

/** Bring every zone back above its high mark. Context: kswapd. Return: pages freed. */
export function balance_pgdat(k: Kernel): number {
  let freed = 0;
  for (let priority = DEF_PRIORITY; priority >= 0; priority--) {
    const wanting = zonelist(k, ZONE_HIGHMEM).filter((zone) => !balanced(k, zone));
    if (wanting.length === 0) break;
    let now = 0;
    for (const zone of wanting) now += reclaimForKswapd(k, zone);
    freed += now;
    if (now === 0 && priority < DEF_PRIORITY - 2) congestion_wait(k, HZ / 10);
  }
  return freed;
}

/** The thread's body: give it to a thread of the race; kswapd_stop() ends it. Context: process, sleeps. */
export function kswapd(k: Kernel): void {
  set_task_flags(k, PF_MEMALLOC | PF_KSWAPD(k));
  for (;;) {
    // Again each time: whoever sleeps on a mutex meanwhile uses the same entry.
    const wait = DECLARE_WAITQUEUE(k);
    add_wait_queue(k, k.sym.kswapd_wait, wait);
    set_current_state(k, TASK_INTERRUPTIBLE);
    if (atomic_read(k, k.sym.kswapd_wanted) === 0 && atomic_read(k, k.sym.kswapd_should_stop) === 0) k.schedule();
    __set_current_state(k, TASK_RUNNING);
    remove_wait_queue(k, k.sym.kswapd_wait, wait);
    if (atomic_read(k, k.sym.kswapd_should_stop) !== 0) return;
    atomic_set(k, k.sym.kswapd_wanted, 0);
    const traced = lockdep_set_current_reclaim_state(k, gfp(k).GFP_KERNEL);
    balance_pgdat(k);
    lockdep_clear_current_reclaim_state(k, traced);
  }
}

/** Have kswapd end. Source: kthread_stop(), kernel/kthread.c; does not wait for it. */
export function kswapd_stop(k: Kernel): void {
  atomic_set(k, k.sym.kswapd_should_stop, 1);
  wake_up(k, k.sym.kswapd_wait);
}
