/**
 * mm/oom_kill.c: when nothing can be reclaimed, a task has to go.
 *
 * Source: mm/oom_kill.c, Linux 2.5.53, 2.6.22 and 4.12; spec/vmalloc-gfp.md §4.8. A victim is a task with an address space; the largest is
 * chosen. Killing sets its flags: it uses the reserves from then on, and ends when it looks. That high memory is free helps nobody.
 * Left out: badness other than by size, children, the OOM reaper, notifiers, constraints.
 */
import type { Kernel } from '../cpu/kernel.js';
import { panic } from '../shared/bug.js';
import { comm } from '../shared/irqflags.js';
import { HZ, jiffies } from '../shared/jiffies.js';
import type { SymbolSpec } from '../shared/kernel-base.js';
import { is_oom_victim, PF_MEMALLOC, PF_MEMDIE, TIF_MEMDIE, TIF_SIGPENDING } from '../shared/task.js';
import { type Ptr, ptr, type Vaddr, vaddr } from '../shared/types.js';
import { KERNEL_VERSION, LINUX_2_6, LINUX_4_4 } from '../shared/version.js';
import { struct_task_struct } from '../shared/wait.js';
import { gfp, showGfp } from './gfp.js';
import { show_mem } from './show_mem.js';

type Task = Ptr<'task_struct'>;

declare module '../shared/kernel-base.js' {
  interface Symbols {
    /** Of out_of_memory() in 2.5.53: first, last, count, lastkill. */
    oom_state: Vaddr;
  }
}

export const oomSymbols: Record<string, SymbolSpec> = { oom_state: { bytes: 16, align: 4 } };

const taskOf = (k: Kernel, slot: number): Task => ptr<'task_struct'>(k.sym.tasks + slot * struct_task_struct.sizeof);

/** The largest task that can be killed; 0: none; -1: one is on its way out, wait for it. */
function select_bad_process(k: Kernel): Task | 0 | -1 {
  let chosen: Task | 0 = 0;
  let most = -1;
  for (let slot = 0; slot < k.config.threadsMax; slot++) {
    const task = taskOf(k, slot);
    if (k.read(task, struct_task_struct.mm) === 0) continue;
    if (is_oom_victim(k, task)) return -1;
    const points = k.read(task, struct_task_struct.total_vm);
    if (points <= most) continue;
    most = points;
    chosen = task;
  }
  return chosen;
}

/** The victim learns of it when it looks. */
function kill(k: Kernel, task: Task): void {
  const old = k.LINUX_VERSION_CODE < LINUX_2_6;
  const bits = old ? 1 << TIF_SIGPENDING : (1 << TIF_SIGPENDING) | (1 << TIF_MEMDIE);
  k.write(task, struct_task_struct.thread_flags, k.read(task, struct_task_struct.thread_flags) | bits);
  if (old) k.write(task, struct_task_struct.flags, k.read(task, struct_task_struct.flags) | PF_MEMALLOC | PF_MEMDIE);
}

const nameOf = (k: Kernel, task: Task): { pid: number; name: string } => {
  const pid = k.read(task, struct_task_struct.pid);
  return { pid, name: `thread${pid}` };
};

/**
 * At the end of a direct reclaim that freed nothing. Only after ten calls within a time in which no second passed without one, and not more
 * often than every five seconds, is a task killed.
 *
 * Source: out_of_memory(), mm/oom_kill.c, Linux 2.5.53.
 */
export function out_of_memory_2_5_53(k: Kernel): void {
  const [first, last, count, lastkill] = [0, 4, 8, 12].map((offset) => vaddr(k.sym.oom_state + offset)) as [
    Vaddr,
    Vaddr,
    Vaddr,
    Vaddr,
  ];
  const now = jiffies(k);
  const sinceLast = now - k.load(last);
  k.store(last, now);
  if (sinceLast > 5 * HZ) {
    k.store(first, now);
    k.store(count, 0);
    return;
  }
  if (now - k.load(first) < HZ) return;
  const calls = k.load(count) + 1;
  k.store(count, calls);
  if (calls < 10) return;
  if (now - k.load(lastkill) < 5 * HZ) return;
  k.store(lastkill, now);
  const task = select_bad_process(k);
  if (task === -1) return;
  if (task === 0) panic(k, 'Out of memory and no killable processes...');
  const { pid, name } = nameOf(k, task);
  k.printk(`Out of Memory: Killed process ${pid} (${name}).`);
  kill(k, task);
  k.store(first, now);
  k.store(count, 0);
}

function header(k: Kernel, gfp_mask: number, order: number): void {
  const mask = `0x${gfp_mask.toString(16)}`;
  if (k.LINUX_VERSION_CODE >= LINUX_4_4) {
    // The node mask is that of the request from 4.11 on, and before that of the task. Two blanks, as there.
    const nodes = k.LINUX_VERSION_CODE >= KERNEL_VERSION(4, 11, 0) ? '(null), ' : '0,';
    const words = `gfp_mask=${mask}(${showGfp(k, gfp_mask)}), nodemask=${nodes} order=${order}`;
    k.printk(`${comm(k)} invoked oom-killer: ${words}, oom_score_adj=0`);
    k.printk(`${comm(k)} cpuset=/ mems_allowed=0`);
  } else k.printk(`${comm(k)} invoked oom-killer: gfp_mask=${mask}, order=${order}, oomkilladj=0`);
  k.dumpStack();
  show_mem(k);
}

/** Source: out_of_memory(), mm/oom_kill.c, Linux 2.6.22. */
export function out_of_memory_2_6_22(k: Kernel, gfp_mask: number, order: number): void {
  header(k, gfp_mask, order);
  const task = select_bad_process(k);
  if (task === -1) return;
  if (task === 0) panic(k, 'Out of memory and no killable processes...');
  const { pid, name } = nameOf(k, task);
  const points = k.read(task, struct_task_struct.total_vm);
  k.printk(`Out of memory: kill process ${pid} (${name}) score ${points} or a child`);
  k.printk(`Killed process ${pid} (${name})`);
  kill(k, task);
}

/**
 * Kills nobody for a request without __GFP_FS: its own reclaim could not do what others' can.
 *
 * Return: true if the caller should try again.
 * Source: out_of_memory(), mm/oom_kill.c, Linux 4.12.
 */
export function out_of_memory_4_12(k: Kernel, gfp_mask: number, order: number): boolean {
  if ((gfp_mask & gfp(k).__GFP_FS) === 0) return true;
  const task = select_bad_process(k);
  if (task === -1) return true;
  header(k, gfp_mask, order);
  if (task === 0) panic(k, 'Out of memory and no killable processes...');
  const { pid, name } = nameOf(k, task);
  const pages = k.read(task, struct_task_struct.total_vm);
  const score = Math.floor((pages * 1000) / (k.config.lowmemPages + k.config.highmemPages));
  k.printk(`Out of memory: Kill process ${pid} (${name}) score ${score} or sacrifice child`);
  const sizes = `total-vm:${pages * 4}kB, anon-rss:${pages * 4}kB, file-rss:0kB, shmem-rss:0kB`;
  k.printk(`Killed process ${pid} (${name}) ${sizes}`);
  kill(k, task);
  return true;
}
