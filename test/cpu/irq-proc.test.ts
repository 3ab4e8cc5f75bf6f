/** /proc/interrupts, read back by the formats of spec/checkers.md §8.4. */
import { describe, expect, it } from 'vitest';
import { show_interrupts } from '../../src/cpu/irq-proc.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { IPI_CALL_FUNC, IPI_RESCHEDULE, TIMER_LINE } from '../../src/cpu/lines.js';
import { vaddr } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';

const MMC = 10;
const NAMES = { chip: 'AIC', actions: { [MMC]: ['at91_mci'] } };

/** Interrupts @times on @k, one after the other. */
function interrupted(k: Kernel, line: number, times: number): void {
  for (let i = 0; i < times; i++) {
    k.raise(k.cpu, line);
    k.load(vaddr(k.sym.race_data));
  }
}

/** Two CPUs: CPU 0 has had 345 of the controller, both have had IPIs and the timer. Line 12 has no handler. */
function machine(core: string, kernel: string): Kernel {
  const { cpus, k } = localMachine(core, { cpus: 2, kernel, patches: ['tlb-ops-broadcast'] });
  for (const cpu of cpus) cpu.irqHandlers = new Map([[MMC, () => undefined]]);
  const [a, b] = cpus as [Kernel, Kernel];
  interrupted(a, MMC, 345);
  interrupted(a, TIMER_LINE, 2);
  interrupted(b, TIMER_LINE, 3);
  interrupted(b, IPI_RESCHEDULE, 4);
  interrupted(b, IPI_CALL_FUNC, 1);
  interrupted(a, IPI_CALL_FUNC, 6);
  interrupted(a, 12, 1);
  return k;
}

describe('/proc/interrupts', () => {
  it('counts each line with an action on each CPU, then IPIs and local timers, on ARM of 2.6.30', () => {
    expect(show_interrupts(machine('cortex-a9', '2.6.30'), NAMES).split('\n')).toEqual([
      '           CPU0       CPU1',
      ' 10:        345          0         AIC  at91_mci',
      'IPI:          6          5',
      'LOC:          2          3 ',
      'Err:          0',
      '',
    ]);
  });

  it('has no IPIs on ARM with one CPU, whose timer is a line like others', () => {
    const { k } = localMachine('arm926', { kernel: '2.6.30', patches: [] });
    k.irqHandlers = new Map([3, 1].map((line) => [line, () => undefined]));
    interrupted(k, 3, 2);
    interrupted(k, TIMER_LINE, 7);
    expect(show_interrupts(k, { actions: { 3: ['serial', 'rtc'] } }).split('\n')).toEqual([
      '           CPU0',
      '  1:          0           -  irq1',
      '  3:          2           -  serial, rtc',
      ' 16:          7           -  timer',
      'Err:          0',
      '',
    ]);
  });

  it('names the kinds of IPIs, the number of the controller and the trigger on ARM of 4.x', () => {
    expect(show_interrupts(machine('cortex-a9', '4.10'), NAMES).split('\n')).toEqual([
      '           CPU0       CPU1       ',
      ' 10:        345          0       AIC  10 Edge      at91_mci',
      ' 16:          2          3       AIC  16 Edge      timer',
      'IPI0:          0          0  CPU wakeup interrupts',
      'IPI1:          0          0  Timer broadcast interrupts',
      'IPI2:          0          4  Rescheduling interrupts',
      'IPI3:          6          1  Function call interrupts',
      'IPI4:          0          0  CPU stop interrupts',
      'IPI5:          0          0  IRQ work interrupts',
      'IPI6:          0          0  completion interrupts',
      'Err:          0',
      '',
    ]);
  });

  it('has lines in order and no IPIs on ARM of 4.x with one CPU, and no chip where nobody names one', () => {
    const { k } = localMachine('cortex-a9', { kernel: '4.12', patches: [] });
    k.irqHandlers = new Map([11, 3].map((line) => [line, () => undefined]));
    interrupted(k, 11, 2);
    interrupted(k, IPI_CALL_FUNC, 1);
    expect(show_interrupts(k).split('\n')).toEqual([
      '           CPU0       ',
      '  3:          0         -   3 Edge      irq3',
      ' 11:          2         -  11 Edge      irq11',
      ' 16:          0         -  16 Edge      timer',
      'Err:          0',
      '',
    ]);
  });

  it('is that of 2.6.30 up to 2.6.35', () => {
    for (const kernel of ['2.6.22', '2.6.35']) {
      expect(show_interrupts(machine('cortex-a9', kernel), NAMES)).toBe(
        show_interrupts(machine('cortex-a9', '2.6.30'), NAMES),
      );
    }
  });

  it('counts further than a signed word does', () => {
    const { k } = localMachine('arm926', { kernel: '2.6.30', patches: [] });
    k.irqHandlers = new Map([[3, () => undefined]]);
    k.hw[k.layout.irqCounts + 1 + 3] = -1;
    expect(show_interrupts(k)).toContain('  3: 4294967295           -  irq3\n');
  });

  it('has no line for IPIs on PA-RISC with one CPU', () => {
    const { k } = localMachine('pcxl2', { kernel: '2.6.30', patches: [] });
    interrupted(k, TIMER_LINE, 2);
    expect(show_interrupts(k).split('\n')).toEqual(['           CPU0', ' 64:          2             CPU  timer', '']);
  });

  it('has timer and IPIs as lines of the CPU on PA-RISC, and no errors', () => {
    expect(show_interrupts(machine('pcxu', '2.6.30'), { ...NAMES, chip: 'ASP' }).split('\n')).toEqual([
      '           CPU0       CPU1',
      ' 10:        345          0             ASP  at91_mci',
      ' 64:          2          3             CPU  timer',
      ' 65:          6          5             CPU  IPI',
      '',
    ]);
  });
});
