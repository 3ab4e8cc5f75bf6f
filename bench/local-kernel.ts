/** A machine of one kernel object in this thread: what is measured is the code, not the threads. */
import { CORES } from '../src/arch/arm/cores.js';
import { type MachineConfig, SLAB_DEFAULTS } from '../src/cpu/config.js';
import { layoutHw } from '../src/cpu/hw.js';
import type { Kernel } from '../src/cpu/kernel.js';
import { arenaBytes } from '../src/cpu/memory.js';
import { patchesOf } from '../src/lab/catalogue.js';
import { createKernel, layoutStatics, start_kernel } from '../src/mm/boot.js';

/** @options: what differs from the machine of most measurements. Its patches are those of its kernel. */
export function localKernel(core: string, options: Partial<MachineConfig> = {}): Kernel {
  const row = CORES.find((c) => c.id === core);
  if (row === undefined) throw new Error(`no core ${core}`);
  const config: MachineConfig = {
    ...SLAB_DEFAULTS,
    core: row,
    cpus: Math.min(2, row.cpusMax),
    threadsMax: 2,
    devicesMax: 1,
    lowmemPages: 256,
    dmaPages: 0,
    highmemPages: 16,
    watermarks: false,
    pageOffset: 0xc0000000,
    pkmapSlots: 8,
    kernel: '2.6.31',
    patches: patchesOf(options.kernel ?? '2.6.31'),
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
  const k = createKernel(config, { arena, hw }, layoutStatics(config), 0, 0);
  start_kernel(k);
  return k;
}
