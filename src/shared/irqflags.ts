/**
 * Local interrupt masking and preemption counting, and what follows from them, by version.
 *
 * Source: include/linux/{irqflags,preempt,hardirq}.h, Linux 2.6.30; spec/checkers.md §1-2. Differs: preempt_count counts spinlocks in every
 * configuration; where the kernel would not, because it has no CONFIG_PREEMPT, in_atomic() leaves that part of it out.
 */
import { WARN_ONCE } from './bug.js';
import { HZ, jiffies } from './jiffies.js';
import type { KernelBase } from './kernel-base.js';
import { KERNEL_VERSION, LINUX_2_6, LINUX_4_4 } from './version.js';

/** Saved interrupt state: 1 = interrupts were masked. */
export type IrqFlags = number;

export const PREEMPT_MASK = 0xff;
export const SOFTIRQ_OFFSET = 0x100;
export const SOFTIRQ_MASK = 0xff00;
export const HARDIRQ_OFFSET = 0x10000;
export const HARDIRQ_MASK = 0x3ff0000;

export function local_irq_disable(k: KernelBase): void {
  k.irqsOff = true;
}

/** Pending interrupts are taken before it returns. */
export function local_irq_enable(k: KernelBase): void {
  k.restoreIrqs(0);
}

export function local_irq_save(k: KernelBase): IrqFlags {
  return k.saveIrqs();
}

export function local_irq_restore(k: KernelBase, flags: IrqFlags): void {
  k.restoreIrqs(flags);
}

export function irqs_disabled(k: KernelBase): boolean {
  return k.irqsOff;
}

export function preempt_disable(k: KernelBase): void {
  k.preemptCount += 1;
}

export function preempt_enable_no_resched(k: KernelBase): void {
  k.preemptCount -= 1;
}

/** Reschedules if somebody asked for it and nothing forbids it. */
export function preempt_enable(k: KernelBase): void {
  const count = k.preemptCount - 1;
  k.preemptCount = count;
  if (count === 0) k.preemptCheck();
}

/**
 * The counter as far as interrupts are concerned. Without CONFIG_PREEMPT spinlocks do not count; here they do, and an unlock too many must not borrow from
 * the bits above.
 */
const interruptWord = (k: KernelBase): number =>
  k.preemptible ? k.preemptCount : (k.preemptCount + 0x80) & ~PREEMPT_MASK;

/** In a hard or soft interrupt, or with bottom halves disabled. */
export function in_interrupt(k: KernelBase): boolean {
  return (interruptWord(k) & (HARDIRQ_MASK | SOFTIRQ_MASK)) !== 0;
}

/** In a hard interrupt. */
export function in_irq(k: KernelBase): boolean {
  return (interruptWord(k) & HARDIRQ_MASK) !== 0;
}

/** In a soft interrupt, or with bottom halves disabled. */
export function in_softirq(k: KernelBase): boolean {
  return (k.preemptCount & SOFTIRQ_MASK) !== 0;
}

/** Is a soft interrupt being served, rather than only kept away? Source: include/linux/preempt.h, Linux 4.10: a bit of its own. */
export function in_serving_softirq(k: KernelBase): boolean {
  return (k.preemptCount & SOFTIRQ_OFFSET) !== 0;
}

/** What local_bh_disable() adds: from 2.6.37 on twice the offset, so that the bit of a served soft interrupt stays free. */
export function SOFTIRQ_DISABLE_OFFSET(k: KernelBase): number {
  return k.LINUX_VERSION_CODE >= KERNEL_VERSION(2, 6, 37) ? 2 * SOFTIRQ_OFFSET : SOFTIRQ_OFFSET;
}

/** The word as the version keeps it: without CONFIG_PREEMPT a spinlock leaves no trace before 4.x, where debugging counts always. */
function preempt_word(k: KernelBase): number {
  const blind = !k.preemptible && k.LINUX_VERSION_CODE < LINUX_4_4;
  return blind ? interruptWord(k) : k.preemptCount;
}

/** Preemption is not allowed, as far as the kernel can tell. */
export function in_atomic(k: KernelBase): boolean {
  return preempt_word(k) !== 0;
}

/** What irqs_disabled() answers as a number: the raw bit of ARM's status register. */
const rawIrqsDisabled = (k: KernelBase): number => (k.irqsOff ? 0x80 : 0);

/** Name of the running task. */
export const comm = (k: KernelBase): string => `thread${k.slot}`;

/**
 * "sleeping function called": for functions that may sleep, at their entry.
 *
 * Context: any. A report at most once in HZ, one about the task's state once; the call goes on.
 * Source:  __might_sleep(), kernel/sched.c, Linux 2.5.53 (which does not look at the interrupt mask), 2.6.22, 2.6.30; kernel/sched/core.c, 4.12.
 *          CONFIG_DEBUG_SPINLOCK_SLEEP, CONFIG_DEBUG_ATOMIC_SLEEP.
 *
 * @param where FILE:LINE of the caller
 */
export function might_sleep(k: KernelBase, where = 'include/linux/kernel.h:0'): void {
  if (k.LINUX_VERSION_CODE >= ASKS_STATE) nestedSleep(k);
  mayNotSleep(k, where);
}

/** The same for who gives up the CPU, but stays as runnable as it is: nothing is asked of its state. */
export function ___might_sleep(k: KernelBase, where = 'include/linux/kernel.h:0'): void {
  mayNotSleep(k, where);
}

/**
 * Who is about to wait for something must not wait for something else in between: that ends with TASK_RUNNING, and the sleep that was meant
 * with it. No step of its own.
 */
function nestedSleep(k: KernelBase): void {
  const state = k.currentState();
  if (state === RUNNING) return;
  const text = `do not call blocking ops when !TASK_RUNNING; state=${state.toString(16)} set at [<????????>] ?`;
  if (WARN_ONCE(k, 'kernel/sched/core.c __might_sleep()', text)) k.dumpStack();
}

const ASKS_STATE = KERNEL_VERSION(3, 19, 0);
/** TASK_RUNNING of wait.ts, which needs this file. */
const RUNNING = 0;

function mayNotSleep(k: KernelBase, where: string): void {
  const old = k.LINUX_VERSION_CODE < LINUX_2_6;
  const atomic = in_atomic(k);
  if (!atomic && (old || !k.irqsOff)) return;
  const now = jiffies(k);
  const last = k.load(k.sym.might_sleep_prev_jiffy) >>> 0;
  if (last !== 0 && now - last < HZ) return;
  k.store(k.sym.might_sleep_prev_jiffy, now);
  if (old) {
    k.printk(`Debug: sleeping function called from illegal context at ${where}`);
    showContext(k);
    return;
  }
  k.printk(`BUG: sleeping function called from invalid context at ${where}`);
  const [a, i] = [atomic ? 1 : 0, rawIrqsDisabled(k)];
  if (k.LINUX_VERSION_CODE < KERNEL_VERSION(2, 6, 28)) k.printk(`in_atomic():${a}, irqs_disabled():${i}`);
  else k.printk(`in_atomic(): ${a}, irqs_disabled(): ${i}, pid: ${k.slot}, name: ${comm(k)}`);
  showContext(k);
}

/** What follows a report of a wrong context: held locks as far as lockdep knows them, from 2.6 on, and the stack. Left out: where preemption was disabled. */
function showContext(k: KernelBase): void {
  if (k.LINUX_VERSION_CODE >= LINUX_2_6) for (const line of k.lockWatch?.context() ?? []) k.printk(line);
  k.dumpStack();
}

export function might_sleep_if(k: KernelBase, condition: boolean, where: string): void {
  if (condition) might_sleep(k, where);
}

/**
 * "scheduling while atomic": at the entry of schedule().
 *
 * Source: schedule(), kernel/sched.c, Linux 2.5.53 and 2.6.22; __schedule_bug(), Linux 2.6.30.
 */
export function schedule_debug(k: KernelBase): void {
  if (!in_atomic(k)) return;
  const word = `0x${(preempt_word(k) >>> 0).toString(16).padStart(8, '0')}`;
  if (k.LINUX_VERSION_CODE < LINUX_2_6) k.printk('bad: scheduling while atomic!');
  else if (k.LINUX_VERSION_CODE < KERNEL_VERSION(2, 6, 28)) {
    k.printk(`BUG: scheduling while atomic: ${comm(k)}/${word}/${k.slot}`);
  } else k.printk(`BUG: scheduling while atomic: ${comm(k)}/${k.slot}/${word}`);
  showContext(k);
}
