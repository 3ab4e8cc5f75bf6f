/** Machines of one CPU in the test's own thread, for tests of hardware and kernel code that need no parallelism. */
import { archOf, CORES } from '../src/arch/arch.js';
import { type MachineConfig, SLAB_DEFAULTS } from '../src/cpu/config.js';
import { Control, layoutHw } from '../src/cpu/hw.js';
import type { Kernel } from '../src/cpu/kernel.js';
import { arenaBytes } from '../src/cpu/memory.js';
import { readLog } from '../src/cpu/printk.js';
import { createKernel, layoutStatics, start_kernel } from '../src/mm/boot.js';

export interface LocalMachine {
  readonly config: MachineConfig;
  /** A kernel object for each CPU, all in this thread. */
  readonly cpus: readonly Kernel[];
  readonly k: Kernel;
}

/** Boot a machine in this thread. Its CPUs run when the test calls on them. */
export function localMachine(core: string, options: Partial<MachineConfig> = {}): LocalMachine {
  const row = CORES.find((c) => c.id === core);
  if (row === undefined) throw new Error(`no core ${core}`);
  const config: MachineConfig = {
    ...SLAB_DEFAULTS,
    core: row,
    cpus: 1,
    threadsMax: 4,
    devicesMax: 1,
    lowmemPages: 256,
    dmaPages: 0,
    highmemPages: row.arch === 'arm' ? 16 : 0,
    watermarks: false,
    pageOffset: archOf(row).pageOffset,
    pkmapSlots: 4,
    kernel: '2.6.31',
    patches: ['kmap-high-get', 'tlb-ops-broadcast'],
    debugHighmem: false,
    preempt: true,
    ticketLocks: false,
    hz: 0,
    bufferBytes: 4096,
    parameters: {},
    seed: 1,
    ...options,
  };
  const arena = new SharedArrayBuffer(arenaBytes(config.lowmemPages + config.highmemPages));
  const hw = new SharedArrayBuffer(layoutHw(config).words * 4);
  const statics = layoutStatics(config);
  const cpus = Array.from({ length: config.cpus }, (_, cpu) => createKernel(config, { arena, hw }, statics, cpu, cpu));
  const k = cpus[0] as Kernel;
  start_kernel(k);
  return { config, cpus, k };
}

/** The texts of the log so far. */
export const dmesgOf = (k: Kernel): string[] => readLog(k.hw, k.layout.log, Control.logHead).map((r) => r.text);

const STACK_LINE = /^(\[<.*>\] \(|Backtrace: ?$| \[<.*>\] \w+$|CPU: \d+ PID: )/;

/** The same without the lines of stacks, which formats.test.ts looks at. */
export const messagesOf = (k: Kernel): string[] => dmesgOf(k).filter((line) => !STACK_LINE.test(line));
