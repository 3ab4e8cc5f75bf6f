/** A machine whose CPUs are called from this thread, one after the other: for measurements that count steps and need no parallelism. */
import { layoutHw } from '../cpu/hw.js';
import type { Kernel } from '../cpu/kernel.js';
import { arenaBytes } from '../cpu/memory.js';
import { createKernel, layoutStatics, start_kernel } from '../mm/boot.js';
import { configure } from './configure.js';
import type { MachineSpec } from './race.js';

/** Boot. Throws UsageError for a machine that there is not. Return: its CPUs. */
export function bootLocal(spec: MachineSpec): readonly Kernel[] {
  const config = configure([spec], 1, 1, 1);
  const arena = new SharedArrayBuffer(arenaBytes(config.lowmemPages + config.highmemPages));
  const hw = new SharedArrayBuffer(layoutHw(config).words * 4);
  const statics = layoutStatics(config);
  const cpus = Array.from({ length: config.cpus }, (_, cpu) => createKernel(config, { arena, hw }, statics, cpu, cpu));
  start_kernel(cpus[0] as Kernel);
  return cpus;
}
