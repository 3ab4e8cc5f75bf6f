/**
 * A CPU of parallel.test.ts on its own thread: it counts in its own word of every line, and watches the others count. Lines move between caches and
 * memory all the time, since there are few ways, and are cleaned and flushed by everybody.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { MachineConfig } from '../../src/cpu/config.js';
import { CacheOp } from '../../src/cpu/cpu-cache.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { createKernel, layoutStatics } from '../../src/mm/boot.js';
import { Prng } from '../../src/shared/prng.js';
import { vaddr } from '../../src/shared/types.js';

export interface Job {
  readonly config: MachineConfig;
  readonly arena: SharedArrayBuffer;
  readonly hw: SharedArrayBuffer;
  readonly cpu: number;
  readonly base: number;
  readonly lines: number;
  readonly steps: number;
}

export interface Report {
  readonly cpu: number;
  /** Loads of the own word that did not give what was stored last. */
  readonly lost: number;
  /** Loads of another CPU's word that gave an older value than a load before. */
  readonly older: number;
  readonly counts: readonly number[];
}

function count(k: Kernel, { config, cpu, base, lines, steps }: Job): Report {
  const chance = new Prng(cpu + 1);
  const counts = new Array<number>(lines).fill(0);
  const seen = Array.from({ length: config.cpus }, () => new Array<number>(lines).fill(0));
  let lost = 0;
  let older = 0;
  for (let step = 0; step < steps; step++) {
    const line = chance.below(lines);
    const va = vaddr(base + line * config.core.dcache.lineBytes);
    const own = vaddr(va + cpu * 4);
    if (k.load32(own) !== counts[line]) lost++;
    counts[line] = (counts[line] as number) + 1;
    k.store32(own, counts[line] as number);
    const other = chance.below(config.cpus);
    const value = k.load32(vaddr(va + other * 4));
    const before = seen[other] as number[];
    if (value < (before[line] as number)) older++;
    before[line] = value;
    const what = chance.below(16);
    if (what === 0) k.mmu.cacheLine(CacheOp.flush, va);
    else if (what === 1) k.mmu.cacheLine(CacheOp.clean, va);
    else if (what === 2) k.mmu.cache.flushAll();
    else if (what === 3) k.mmu.speculativeFill(va);
  }
  k.mmu.cache.flushAll();
  return { cpu, lost, older, counts };
}

const job = workerData as Job;
const k = createKernel(job.config, job, layoutStatics(job.config), job.cpu, job.cpu);
parentPort?.postMessage(count(k, job));
