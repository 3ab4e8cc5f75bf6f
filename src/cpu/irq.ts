/**
 * Hard and soft interrupts as the kernel handles them: irq_enter(), irq_exit(), soft interrupt vectors, bottom halves.
 * Source: kernel/softirq.c, include/linux/hardirq.h, Linux 2.6.30. Differs: no ksoftirqd; what is still pending after ten rounds waits for the
 * next interrupt exit.
 */
import {
  HARDIRQ_OFFSET,
  in_interrupt,
  preempt_enable,
  SOFTIRQ_DISABLE_OFFSET,
  SOFTIRQ_MASK,
  SOFTIRQ_OFFSET,
} from '../shared/irqflags.js';
import { IRQ_LINES, Seat } from './hw.js';
import type { Kernel } from './kernel.js';
import { DEVICE_LINES, IPI_CALL_FUNC, IPI_RESCHEDULE, TIMER_LINE } from './lines.js';
import { generic_smp_call_function_interrupt } from './smp.js';
import { Ev } from './tracer.js';

const MAX_SOFTIRQ_RESTART = 10;

/** Soft interrupt vectors. Source: include/linux/interrupt.h, Linux 2.6.30. */
export const Softirq = {
  HI: 0,
  TIMER: 1,
  NET_TX: 2,
  NET_RX: 3,
  BLOCK: 4,
  TASKLET: 5,
  SCHED: 6,
  HRTIMER: 7,
  RCU: 8,
} as const;

const seatOf = (k: Kernel): number => k.layout.seats + k.cpu * Seat.words;

function irq_enter(k: Kernel): void {
  k.preemptCount += HARDIRQ_OFFSET;
}

/** Soft interrupts run here unless this was nested. */
function irq_exit(k: Kernel): void {
  k.preemptCount -= HARDIRQ_OFFSET;
  if (!in_interrupt(k) && k.hw[seatOf(k) + Seat.softirqPending] !== 0) __do_softirq(k);
}

/** For /proc/interrupts, see irq-proc.ts. */
function countLine(k: Kernel, line: number): void {
  const { hw } = k;
  const { irqCounts } = k.layout;
  const at = irqCounts + 1 + k.cpu * IRQ_LINES + line;
  hw[at] = ((hw[at] as number) + 1) | 0;
  if (hw[irqCounts] === 0) hw[irqCounts] = 1;
}

/** The interrupt vector: one line, interrupts masked. */
export function handle_IRQ(k: Kernel, line: number): void {
  const depth = seatOf(k) + Seat.irqDepth;
  k.hw[depth] = (k.hw[depth] as number) + 1;
  k.count(Seat.interrupts);
  countLine(k, line);
  irq_enter(k);
  if (line < DEVICE_LINES) k.irqHandlers.get(line)?.(k);
  else if (line === TIMER_LINE) k.scheduler?.tick(k);
  else {
    k.count(Seat.ipis);
    if (line === IPI_CALL_FUNC) generic_smp_call_function_interrupt(k);
    else if (line === IPI_RESCHEDULE) wakePreempt(k);
  }
  irq_exit(k);
  k.hw[depth] = (k.hw[depth] as number) - 1;
}

/** Somebody was woken on this CPU: look at the run queue at interrupt exit. */
function wakePreempt(k: Kernel): void {
  k.scheduler?.tick(k);
}

/** Context: any with interrupts masked, or with bottom halves disabled. Runs at the next interrupt exit or local_bh_enable(). */
export function raise_softirq(k: Kernel, nr: number): void {
  const at = seatOf(k) + Seat.softirqPending;
  k.trace(Ev.softirqRaise, nr);
  k.hw[at] = (k.hw[at] as number) | (1 << nr);
}

/** Install the action of a vector. In every worker, since functions are not shared. */
export function open_softirq(k: Kernel, nr: number, action: (k: Kernel) => void): void {
  k.softirqs[nr] = action;
}

/** Interrupts masked on entry and exit; the actions run with interrupts on and bottom halves off. */
function __do_softirq(k: Kernel): void {
  const at = seatOf(k) + Seat.softirqPending;
  k.trace(Ev.softirqEnter);
  k.preemptCount += SOFTIRQ_OFFSET;
  k.lockWatch?.softirq(true);
  for (let restart = 0; restart < MAX_SOFTIRQ_RESTART && k.hw[at] !== 0; restart++) {
    let pending = k.hw[at] as number;
    k.hw[at] = 0;
    k.irqsOff = false;
    for (let nr = 0; pending !== 0; nr++, pending >>>= 1) {
      if ((pending & 1) === 0) continue;
      k.trace(Ev.softirqAction, nr);
      k.softirqs[nr]?.(k);
      k.trace(Ev.softirqActionEnd, nr);
    }
    k.irqsOff = true;
  }
  k.lockWatch?.softirq(false);
  k.preemptCount -= SOFTIRQ_OFFSET;
  k.trace(Ev.softirqExit);
}

export function local_bh_disable(k: Kernel): void {
  const first = (k.preemptCount & SOFTIRQ_MASK) === 0;
  k.preemptCount += SOFTIRQ_DISABLE_OFFSET(k);
  if (first && k.lockWatch !== null) k.lockWatch.softirqsOff();
}

/** Context: interrupts enabled. Pending soft interrupts run here. */
export function local_bh_enable(k: Kernel): void {
  if (k.lockWatch !== null && (k.preemptCount & SOFTIRQ_MASK) === SOFTIRQ_DISABLE_OFFSET(k)) k.lockWatch.softirqsOn();
  k.preemptCount -= SOFTIRQ_DISABLE_OFFSET(k) - 1;
  if (!in_interrupt(k) && k.hw[seatOf(k) + Seat.softirqPending] !== 0) {
    k.irqsOff = true;
    __do_softirq(k);
    k.irqsOff = false;
  }
  preempt_enable(k);
}
