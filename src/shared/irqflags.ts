/** Local interrupt masking and preemption counting. Source: include/linux/{irqflags,preempt,hardirq}.h, Linux 2.6.30. */
import type { KernelBase } from './kernel-base.js';

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

/** In a hard or soft interrupt, or with bottom halves disabled. */
export function in_interrupt(k: KernelBase): boolean {
  return (k.preemptCount & (HARDIRQ_MASK | SOFTIRQ_MASK)) !== 0;
}

/** In a hard interrupt. */
export function in_irq(k: KernelBase): boolean {
  return (k.preemptCount & HARDIRQ_MASK) !== 0;
}

/** In a soft interrupt, or with bottom halves disabled. */
export function in_softirq(k: KernelBase): boolean {
  return (k.preemptCount & SOFTIRQ_MASK) !== 0;
}

/** Preemption is not allowed. With CONFIG_PREEMPT only: without it the kernel cannot tell. */
export function in_atomic(k: KernelBase): boolean {
  return k.preemptCount !== 0;
}

/** "BUG: sleeping function called from invalid context". Source: __might_sleep, kernel/sched.c, Linux 2.6.30. */
export function might_sleep(k: KernelBase): void {
  if (!k.irqsOff && k.preemptCount === 0) return;
  k.printk('BUG: sleeping function called from invalid context');
  k.printk(
    `in_atomic(): ${in_atomic(k) ? 1 : 0}, irqs_disabled(): ${k.irqsOff ? 1 : 0}, preempt_count: ${k.preemptCount.toString(16)}`,
  );
}
