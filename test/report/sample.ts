/** Results as the lab would return them. */
import type { CpuStats, Outcome, Progress, RunResult } from '../../src/lab/types.js';

export function cpuStats(cpu: number, change: Partial<CpuStats> = {}): CpuStats {
  return {
    ...{ cpu, ops: 3000, interrupts: 40, ipis: 4, lockAcquired: 200, lockContended: 50, writeBacks: 12, fills: 90 },
    ...{ evictions: 7, invalidatedDirty: 3, tlbMisses: 5, switches: 1 },
    ...change,
  };
}

const NO_OUTCOMES: Record<Outcome, number> = {
  ...{ clean: 0, report: 0, warn: 0, 'wrong-bytes': 0 },
  ...{ oops: 0, bug: 0, deadlock: 0, hang: 0 },
};

/** Seed 002 without its fix: bytes lost, as claimed. */
export function lostBytes(change: Partial<RunResult> = {}): RunResult {
  return {
    experiment: '2009-03-kmap-recycle-lost-bytes',
    title: 'an unpinned kmap is recycled during DMA maintenance',
    caseName: 'unpinned',
    spec: ['highmem/E1'],
    mode: 'parallel',
    core: 'arm926-smp',
    cpus: 2,
    kernel: '2.6.29',
    patches: [],
    outcome: 'wrong-bytes',
    claimed: ['wrong-bytes'],
    expected: true,
    executions: 1200,
    outcomes: { ...NO_OUTCOMES, clean: 1183, 'wrong-bytes': 17 },
    exhausted: false,
    seconds: 2,
    seed: 1,
    replay: null,
    memoryHash: 'cbf43926',
    failure: {
      outcome: 'wrong-bytes',
      message: 'page B lost bytes that CPU1 stored',
      execution: 31,
      pfn: 0x1a3,
      offset: 0x40,
      expected: 0x5a,
      seen: 0xa5,
    },
    dmesg: ['[    0.000125] CPU0: highmem: 4 pkmap slots'],
    cpuStats: [cpuStats(0), cpuStats(1, { ops: 5000 })],
    interrupted: false,
    error: null,
    ...change,
  };
}

/** The same with the fix. */
export function clean(change: Partial<RunResult> = {}): RunResult {
  return lostBytes({
    caseName: 'pinned',
    kernel: '2.6.30',
    patches: ['kmap-high-get'],
    outcome: 'clean',
    claimed: ['clean'],
    outcomes: { ...NO_OUTCOMES, clean: 1200 },
    failure: null,
    dmesg: [],
    ...change,
  });
}

export function progress(seconds: number, change: Partial<Progress> = {}): Progress {
  return {
    experiment: '2009-03-kmap-recycle-lost-bytes',
    caseName: 'unpinned',
    seconds,
    secondsMax: 10,
    executions: 100,
    failures: 2,
    cpus: [cpuStats(0), cpuStats(1)],
    ...change,
  };
}

/** Keeps what is written. */
export class Kept {
  text = '';
  readonly isTTY: boolean;
  constructor(isTTY = false) {
    this.isTTY = isTTY;
  }
  write(text: string): boolean {
    this.text += text;
    return true;
  }
  get lines(): string[] {
    return this.text.split('\n').slice(0, -1);
  }
}
