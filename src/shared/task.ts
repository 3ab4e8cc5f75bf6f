/** Flags of a task that allocators ask for. Source: include/linux/sched.h, Linux 2.5.53, 2.6.22, 4.10 and 4.12; spec/vmalloc-gfp.md §3. */
import type { KernelBase } from './kernel-base.js';
import type { Ptr } from './types.js';
import { KERNEL_VERSION, LINUX_2_6 } from './version.js';
import { struct_task_struct } from './wait.js';

const LINUX_4_12 = KERNEL_VERSION(4, 12, 0);

/** This task frees memory: it may use the reserves, and does not reclaim again. */
export const PF_MEMALLOC = 0x800;
/** 2.5.53: the OOM killer has chosen this task. Later a flag of thread_info. */
export const PF_MEMDIE = 0x1000;
/** XFS: in a transaction. Gone in 4.12. */
export const PF_FSTRANS = 0x20000;
export const PF_MEMALLOC_NOIO = 0x80000;
export const PF_KSWAPD = (k: KernelBase): number => (k.LINUX_VERSION_CODE >= LINUX_4_12 ? 0x20000 : 0x40000);
/** 0 before 4.12, where nobody looks at it. */
export const PF_MEMALLOC_NOFS = (k: KernelBase): number => (k.LINUX_VERSION_CODE >= LINUX_4_12 ? 0x40000 : 0);

/** Bits of thread_info.flags. Source: arch/arm/include/asm/thread_info.h, Linux 2.6.30. */
export const TIF_SIGPENDING = 0;
export const TIF_MEMDIE = 18;

/** Only the task itself changes its flags. */
export const task_flags = (k: KernelBase): number => k.read(k.current, struct_task_struct.flags);

export function set_task_flags(k: KernelBase, bits: number): void {
  k.write(k.current, struct_task_struct.flags, task_flags(k) | bits);
}

export function clear_task_flags(k: KernelBase, bits: number): void {
  k.write(k.current, struct_task_struct.flags, task_flags(k) & ~bits);
}

export function test_tsk_thread_flag(k: KernelBase, task: Ptr<'task_struct'>, nr: number): boolean {
  return (k.read(task, struct_task_struct.thread_flags) & (1 << nr)) !== 0;
}

/** Has the OOM killer chosen this task? */
export function is_oom_victim(k: KernelBase, task: Ptr<'task_struct'>): boolean {
  if (k.LINUX_VERSION_CODE < LINUX_2_6) return (k.read(task, struct_task_struct.flags) & PF_MEMDIE) !== 0;
  return test_tsk_thread_flag(k, task, TIF_MEMDIE);
}

/** Has the current task been killed, and not noticed yet? */
export const fatal_signal_pending = (k: KernelBase): boolean => test_tsk_thread_flag(k, k.current, TIF_SIGPENDING);

/** The bits of @mask that were set; then all of them are. */
function scope_save(k: KernelBase, mask: number): number {
  const old = task_flags(k) & mask;
  set_task_flags(k, mask);
  return old;
}

/** Exactly what the matching save answered: nothing checks the order. */
function scope_restore(k: KernelBase, mask: number, old: number): void {
  k.write(k.current, struct_task_struct.flags, (task_flags(k) & ~mask) | old);
}

/** From here on allocations of this task start no I/O. Source: include/linux/sched/mm.h, Linux 4.12; sched.h, 3.9. */
export const memalloc_noio_save = (k: KernelBase): number => scope_save(k, PF_MEMALLOC_NOIO);
export const memalloc_noio_restore = (k: KernelBase, old: number): void => scope_restore(k, PF_MEMALLOC_NOIO, old);
/** From here on allocations of this task call no file system. From 4.12 on. */
export const memalloc_nofs_save = (k: KernelBase): number => scope_save(k, PF_MEMALLOC_NOFS(k));
export const memalloc_nofs_restore = (k: KernelBase, old: number): void => scope_restore(k, PF_MEMALLOC_NOFS(k), old);
export const memalloc_noreclaim_save = (k: KernelBase): number => scope_save(k, PF_MEMALLOC);
export const memalloc_noreclaim_restore = (k: KernelBase, old: number): void => scope_restore(k, PF_MEMALLOC, old);
