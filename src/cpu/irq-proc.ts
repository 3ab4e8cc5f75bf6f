/**
 * /proc/interrupts: how often each interrupt has been taken on each CPU, in the form of architecture and version.
 *
 * Source: show_interrupts() of arch/arm/kernel/irq.c with show_ipi_list() and show_local_irqs() of smp.c, and of arch/parisc/kernel/irq.c, Linux
 * 2.6.30; show_interrupts() of kernel/irq/proc.c with arch/arm/kernel/smp.c, Linux 4.9; spec/checkers.md §8.4.
 */
import { KERNEL_VERSION } from '../shared/version.js';
import { IRQ_LINES } from './hw.js';
import type { Kernel } from './kernel.js';
import { IPI_CALL_FUNC, IPI_RESCHEDULE, TIMER_LINE } from './lines.js';

/** ARM shows them with the code that all architectures share. */
const GENERIC_IRQ_SHOW = KERNEL_VERSION(2, 6, 39);
/** Source: arch/parisc/include/asm/irq.h, Linux 2.6.30, with CONFIG_GSC. */
const PARISC_TIMER_IRQ = 64;
const PARISC_IPI_IRQ = 65;
/** Source: enum ipi_msg_type and ipi_types, arch/arm/kernel/smp.c, Linux 4.9. */
const IPI_TYPES: readonly (readonly [name: string, line: number | null])[] = [
  ['CPU wakeup interrupts', null],
  ['Timer broadcast interrupts', null],
  ['Rescheduling interrupts', IPI_RESCHEDULE],
  ['Function call interrupts', IPI_CALL_FUNC],
  ['CPU stop interrupts', null],
  ['IRQ work interrupts', null],
  ['completion interrupts', null],
];

/** What request_irq() and the interrupt controller would have said. */
export interface InterruptNames {
  /** Names of the actions of a line, in their order. Default: `irqN`. */
  readonly actions?: Readonly<Record<number, readonly string[]>>;
  /** Name of the controller. Default: none. */
  readonly chip?: string;
}

interface Row {
  readonly irq: number;
  readonly counts: readonly number[];
  readonly chip: string;
  readonly actions: readonly string[];
}

const right = (value: number | string, width: number): string => String(value).padStart(width);
const perCpu = (k: Kernel, what: (cpu: number) => string): string =>
  Array.from({ length: k.config.cpus }, (_, cpu) => what(cpu)).join('');

/** How often each CPU has taken one of the lines. */
const countsOf = (k: Kernel, ...lines: readonly number[]): number[] =>
  Array.from({ length: k.config.cpus }, (_, cpu) =>
    lines.reduce((sum, line) => sum + ((k.hw[k.layout.irqCounts + 1 + cpu * IRQ_LINES + line] as number) >>> 0), 0),
  );

/** Lines with a handler, by number. */
const deviceRows = (k: Kernel, { actions = {}, chip = '-' }: InterruptNames): Row[] =>
  [...k.irqHandlers.keys()]
    .sort((a, b) => a - b)
    .map((irq) => ({ irq, counts: countsOf(k, irq), chip, actions: actions[irq] ?? [`irq${irq}`] }));

const timerRow = (k: Kernel, irq: number, chip: string): Row => ({
  ...{ irq, counts: countsOf(k, TIMER_LINE), chip, actions: ['timer'] },
});

/** The part of a row that all have. */
const counted = ({ irq, counts }: Row): string => `${right(irq, 3)}: ${counts.map((n) => `${right(n, 10)} `).join('')}`;

function arm(k: Kernel, names: InterruptNames): string {
  const smp = k.config.cpus > 1;
  const rows = [...deviceRows(k, names), ...(smp ? [] : [timerRow(k, TIMER_LINE, names.chip ?? '-')])];
  const ipis = countsOf(k, IPI_RESCHEDULE, IPI_CALL_FUNC);
  const local = countsOf(k, TIMER_LINE);
  return [
    `    ${perCpu(k, (cpu) => ` ${right(`CPU${cpu}`, 10)}`)}`,
    ...rows.map((row) => `${counted(row)} ${right(row.chip, 10)}  ${row.actions.join(', ')}`),
    ...(smp ? [`IPI:${perCpu(k, (cpu) => ` ${right(ipis[cpu] as number, 10)}`)}`] : []),
    ...(smp ? [`LOC: ${perCpu(k, (cpu) => `${right(local[cpu] as number, 10)} `)}`] : []),
    `Err: ${right(0, 10)}`,
    '',
  ].join('\n');
}

function armGeneric(k: Kernel, names: InterruptNames): string {
  const rows = [...deviceRows(k, names), timerRow(k, TIMER_LINE, names.chip ?? '-')];
  const ipi = (line: number | null): readonly number[] =>
    line === null ? Array.from({ length: k.config.cpus }, () => 0) : countsOf(k, line);
  const ipiRows = IPI_TYPES.map(
    ([name, line], i) =>
      `IPI${i}: ${ipi(line)
        .map((n) => `${right(n, 10)} `)
        .join('')} ${name}`,
  );
  return [
    `${' '.repeat(11)}${perCpu(k, (cpu) => `CPU${String(cpu).padEnd(8)}`)}`,
    ...rows.map(
      (row) => `${counted(row)} ${right(row.chip, 8)} ${right(row.irq, 3)} Edge      ${row.actions.join(', ')}`,
    ),
    ...(k.config.cpus > 1 ? ipiRows : []),
    `Err: ${right(0, 10)}`,
    '',
  ].join('\n');
}

function parisc(k: Kernel, names: InterruptNames): string {
  const rows = [...deviceRows(k, names), timerRow(k, PARISC_TIMER_IRQ, 'CPU')];
  const counts = countsOf(k, IPI_RESCHEDULE, IPI_CALL_FUNC);
  if (k.config.cpus > 1) rows.push({ irq: PARISC_IPI_IRQ, counts, chip: 'CPU', actions: ['IPI'] });
  return [
    `    ${perCpu(k, (cpu) => `       CPU${cpu}`)}`,
    ...rows.map((row) => `${counted(row)} ${right(row.chip, 14)}  ${row.actions.join(', ')}`),
    '',
  ].join('\n');
}

/**
 * /proc/interrupts: interrupts of this execution. Context: any. No step: what a race does must not depend on it.
 *
 * Differs: a machine of one CPU is one without CONFIG_SMP; PA-RISC has the text of 2.6.30 in every version.
 */
export function show_interrupts(k: Kernel, names: InterruptNames = {}): string {
  if (k.arch.id === 'parisc') return parisc(k, names);
  return (k.LINUX_VERSION_CODE >= GENERIC_IRQ_SHOW ? armGeneric : arm)(k, names);
}
