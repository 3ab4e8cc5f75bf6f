/**
 * Calling functions on other CPUs. Source: kernel/smp.c, kernel/softirq.c (`on_each_cpu`), Linux 2.6.30.
 * Differs: one call at a time per sender, which `wait` and disabled preemption guarantee for all callers here; functions are
 * numbers, since workers share no closures.
 */
import { WARN_ON, WARN_ON_ONCE } from '../shared/bug.js';
import { Space } from '../shared/footprint.js';
import {
  irqs_disabled,
  local_irq_disable,
  local_irq_enable,
  preempt_disable,
  preempt_enable,
} from '../shared/irqflags.js';
import { Point } from '../shared/point.js';
import { KERNEL_VERSION, LINUX_2_6 } from '../shared/version.js';
import { Seat, WaitKind } from './hw.js';
import type { Kernel } from './kernel.js';
import { IPI_CALL_FUNC } from './lines.js';

/** Numbers of the functions that can be called; boot fills `k.callFunctions`. */
export const CallFunction = {
  flush_tlb_kernel_range: 0,
  flush_tlb_all: 1,
  race: 2,
  flush_cache_all: 3,
  flush_cpu_slab: 4,
  do_drain: 5,
} as const;

/** kernel/smp.c for all architectures; ARM's own code before did not ask whether interrupts are on, PA-RISC's did. */
const GENERIC_SMP = KERNEL_VERSION(2, 6, 27);
const PARISC_ASKS = KERNEL_VERSION(2, 6, 22);
/** WARN_ON(irqs_disabled()) before, WARN_ON_ONCE() from here. */
const WARNS_ONCE = KERNEL_VERSION(2, 6, 30);

/**
 * Run a function on all other CPUs and wait until each has run it.
 *
 * Context: process, preemption disabled, interrupts enabled: with interrupts masked two callers can wait for each other for ever,
 *          which is what the warning is about.
 */
export function smp_call_function_many(k: Kernel, fn: number, arg0: number, arg1: number): void {
  const { hw, layout } = k;
  const asks = k.LINUX_VERSION_CODE >= (k.arch.id === 'arm' ? GENERIC_SMP : PARISC_ASKS);
  const warn = k.LINUX_VERSION_CODE >= WARNS_ONCE ? WARN_ON_ONCE : WARN_ON;
  if (asks) warn(k, irqs_disabled(k), 'kernel/smp.c smp_call_function_many()');
  if (k.config.cpus === 1) return;
  k.contextWatch?.calls();
  const me = layout.seats + k.cpu * Seat.words;
  hw[me + Seat.callFn] = fn;
  hw[me + Seat.callArg0] = arg0;
  hw[me + Seat.callArg1] = arg1;
  Atomics.store(hw, me + Seat.callRefs, k.config.cpus - 1);
  for (let cpu = 0; cpu < k.config.cpus; cpu++) {
    if (cpu === k.cpu) continue;
    k.point(Point.Raise, cpu);
    Atomics.or(hw, layout.seats + cpu * Seat.words + Seat.callFrom, 1 << k.cpu);
    k.raise(cpu, IPI_CALL_FUNC);
  }
  for (let refs = k.config.cpus - 1; refs !== 0; refs = Atomics.load(hw, me + Seat.callRefs)) {
    k.waitWhile(hw, me + Seat.callRefs, refs, WaitKind.ipi, k.cpu);
  }
}

/** The receiving side. Context: hard interrupt. */
export function generic_smp_call_function_interrupt(k: Kernel): void {
  const { hw, layout } = k;
  const senders = Atomics.exchange(hw, layout.seats + k.cpu * Seat.words + Seat.callFrom, 0);
  for (let cpu = 0, left = senders >>> 0; left !== 0; cpu++, left >>>= 1) {
    if ((left & 1) === 0) continue;
    const sender = layout.seats + cpu * Seat.words;
    const fn = k.callFunctions[hw[sender + Seat.callFn] as number];
    fn?.(k, (hw[sender + Seat.callArg0] as number) >>> 0, (hw[sender + Seat.callArg1] as number) >>> 0);
    k.point(Point.Atomic, sender);
    k.footprint?.touch(Space.hw, sender + Seat.callRefs, true);
    Atomics.sub(hw, sender + Seat.callRefs, 1);
    Atomics.notify(hw, sender + Seat.callRefs);
  }
}

/** On every CPU, this one included. From 2.6 on interrupts are on afterwards, whatever they were. Source: include/linux/smp.h, Linux 2.5.53. */
export function on_each_cpu(k: Kernel, fn: number, arg0: number, arg1: number): void {
  preempt_disable(k);
  smp_call_function_many(k, fn, arg0, arg1);
  if (k.LINUX_VERSION_CODE < LINUX_2_6) k.callFunctions[fn]?.(k, arg0, arg1);
  else {
    local_irq_disable(k);
    k.callFunctions[fn]?.(k, arg0, arg1);
    local_irq_enable(k);
  }
  preempt_enable(k);
}
