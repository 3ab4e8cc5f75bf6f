/**
 * Logical threads, and the objects that order them without being locks: spec/checkers.md §5.4. Every task, every CPU's hard interrupts and
 * soft interrupts, every device; a context keeps its clock from one invocation to the next.
 */
import type { MachineConfig } from '../../cpu/config.js';

export type ContextKind = 'task' | 'irq' | 'softirq' | 'device';

export class Contexts {
  readonly #tasks: number;
  readonly #cpus: number;
  readonly count: number;

  constructor({ threadsMax, cpus, devicesMax }: Pick<MachineConfig, 'threadsMax' | 'cpus' | 'devicesMax'>) {
    this.#tasks = threadsMax;
    this.#cpus = cpus;
    this.count = threadsMax + cpus * 2 + devicesMax;
  }

  hardirq(cpu: number): number {
    return this.#tasks + cpu;
  }

  softirq(cpu: number): number {
    return this.#tasks + this.#cpus + cpu;
  }

  device(index: number): number {
    return this.#tasks + this.#cpus * 2 + index;
  }

  /** What a context is: a task by its number, interrupts by their CPU, a device by its number. */
  of(context: number): { kind: ContextKind; number: number } {
    const other = context - this.#tasks;
    if (other < 0) return { kind: 'task', number: context };
    if (other >= this.#cpus * 2) return { kind: 'device', number: other - this.#cpus * 2 };
    return other < this.#cpus ? { kind: 'irq', number: other } : { kind: 'softirq', number: other - this.#cpus };
  }

  /** What to call it where it has no function. */
  title(context: number): string {
    const { kind, number } = this.of(context);
    return `${kind === 'task' ? 'thread' : kind}${number}`;
  }
}

/** Keys of what orders; locks and words have their address. */
export const Key = {
  /** Interrupts off on a CPU are a lock that its handlers take as well; so are bottom halves, and, among tasks, preemption. */
  irqsOff: (cpu: number): number => 0x10 + cpu,
  bhOff: (cpu: number): number => 0x20 + cpu,
  preemptOff: (cpu: number): number => 0x30 + cpu,
  /** Soft interrupts raised on a CPU. */
  softirq: (cpu: number): number => 0x40 + cpu,
  /** A call on other CPUs, made by this one, has returned there. */
  called: (cpu: number): number => 0x50 + cpu,
  wake: (slot: number): number => 0x80 + slot,
  line: (cpu: number, line: number): number => 0x100 + cpu * 32 + line,
  doorbell: (device: number): number => 0x200 + device,
  register: (device: number, register: number): number => 0x400 + device * 64 + register,
} as const;
