/** The checkers of a machine, other than lockdep, as its configuration asks for them. */
import { ContextChecker, type ContextReport, type GfpMasks } from '../check/context/context.js';
import { DmaChecker, DmaDeviceChecker, type DmaOptions, type DmaReport } from '../check/dma/dma.js';
import type { DmaRules } from '../check/dma/rules.js';
import { type HangReport, Hangs } from '../check/hangs/hangs.js';
import { type HangRules, hangLimits } from '../check/hangs/limits.js';
import { Area, Head } from '../check/lockdep/area.js';
import { MemoryChecker, type MemoryReport } from '../check/memory/memory.js';
import { type DebugLocks, SpinlockChecker, type SpinlockReport } from '../check/spinlocks/spinlocks.js';
import { checksOf, type MachineConfig } from '../cpu/config.js';
import type { Device } from '../cpu/device.js';
import type { Kernel } from '../cpu/kernel.js';
import { PhysicalMemory } from '../cpu/memory.js';
import { bothTracers, type Tracer } from '../cpu/tracer.js';
import { current_gfp_context, gfp, showGfp } from '../mm/gfp.js';
import { KERNEL_VERSION, versionCode } from '../shared/version.js';
import { waitText } from './deadlock.js';
import { allLocksOf, locksOfTask, PLACES } from './lockdep.js';
import { callers } from './stack.js';

/** What a worker does with each of its checkers. */
export interface Checker {
  readonly name: string;
  /** Slot 0, before each execution, and before boot: nothing is known. */
  restart(): void;
  /** Slot 0, when an execution has ended that nothing went wrong in: what only shows then. */
  end(): void;
  /** Slot 0, when the kernel has booted: that is how every execution begins. */
  booted?(): void;
  /** What the first report of the execution says; empty when there is none. */
  readonly headline: string;
  /** Nothing can happen any more: what it would say of that as time goes by. */
  foreseen?(): string[];
}

export interface CheckerReport {
  readonly checker: string;
  readonly kind: string;
  readonly headline: string;
  readonly lines: readonly string[];
}

/** The checkers, each of which hears of what this worker's thread does. @onReport: hears of each report, besides the log. */
export function checkersOf(k: Kernel, onReport?: (report: CheckerReport) => void): Checker[] {
  const names = checksOf(k.config.check);
  const every = k.config.lockdepMode === 'continue';
  const checkers: Checker[] = [];
  if (names.includes('memory') || names.includes('leak')) {
    const memory = new MemoryChecker(k, {
      places: PLACES,
      showGfp: (gfp_mask) => showGfp(k, gfp_mask),
      every,
      accesses: names.includes('memory'),
      leaks: names.includes('leak'),
      ...(onReport !== undefined && {
        onReport: (r: MemoryReport) => onReport({ checker: r.kind === 'leak' ? 'leak' : 'memory', ...r }),
      }),
    });
    k.watchMemory(memory);
    checkers.push(memory);
  }
  if (names.includes('dma')) {
    const dma = new DmaChecker(k, {
      ...dmaOptions(k.config),
      ...(onReport !== undefined && { onReport: (r: DmaReport) => onReport({ checker: 'dma', ...r }) }),
    });
    k.dmaWatch = dma;
    k.setTracer(bothTracers(k.tracer, dma));
    checkers.push(dma);
  }
  let spinlocks: SpinlockChecker | null = null;
  if (names.includes('spinlocks')) {
    spinlocks = new SpinlockChecker(k, {
      places: PLACES,
      debugLocks: every || !names.includes('lockdep') ? null : debugLocksOf(k),
      every,
      ...(onReport !== undefined && { onReport: (r: SpinlockReport) => onReport({ checker: 'spinlocks', ...r }) }),
    });
    k.watchSpinlocks(spinlocks);
    checkers.push(spinlocks);
  }
  // Without them nobody would know for how long a lock is waited for.
  if (names.includes('hangs') || spinlocks !== null) {
    const rules = hangRulesOf(k.config);
    const hangs = new Hangs(k, {
      rules,
      limits: hangLimits(rules, k.config),
      places: PLACES,
      locks: (slot) => (slot === null ? allLocksOf(k) : locksOfTask(k, slot)),
      waiting: (slot) => [waitText(k, slot)].filter((text) => text !== 'runs').map((text) => `thread${slot} ${text}`),
      silent: !names.includes('hangs'),
      ...(spinlocks !== null && { onSpun: spinlocks.stuck.bind(spinlocks) }),
      ...(onReport !== undefined && { onReport: (r: HangReport) => onReport({ checker: 'hangs', ...r }) }),
    });
    k.hangWatch = hangs;
    k.setTracer(bothTracers(k.tracer, hangs));
    checkers.push(hangs);
  }
  if (names.includes('context')) {
    const context = new ContextChecker(k, {
      places: PLACES,
      masks: masksOf(k),
      debugLocks: every || !names.includes('lockdep') ? null : debugLocksOf(k),
      every,
      ...(onReport !== undefined && { onReport: (r: ContextReport) => onReport({ checker: 'context', ...r }) }),
    });
    k.watchContext(context);
    checkers.push(context);
  }
  return checkers;
}

/** The variable as lockdep has it. */
function debugLocksOf(k: Kernel): DebugLocks {
  const area = new Area(k.hw, k.layout.lockdep);
  return {
    get on() {
      return area.head(Head.debugLocks) !== 0;
    },
    turnOff() {
      area.lock();
      area.turnOff();
      area.unlock();
    },
  };
}

function masksOf(k: Kernel): GfpMasks {
  return {
    effective: (gfp_mask) => current_gfp_context(k, gfp_mask),
    bits() {
      const { __GFP_WAIT, __GFP_DIRECT_RECLAIM, __GFP_IO, __GFP_FS } = gfp(k);
      return [__GFP_WAIT | __GFP_DIRECT_RECLAIM, __GFP_IO, __GFP_FS];
    },
    show: (gfp_mask) => showGfp(k, gfp_mask),
  };
}

/** The watchdogs of the kernel version. */
function hangRulesOf({ kernel }: MachineConfig): HangRules {
  const version = versionCode(kernel);
  const since: readonly (readonly [HangRules, number])[] = [
    ['4.12', KERNEL_VERSION(4, 11, 0)],
    ['4.10', KERNEL_VERSION(4, 0, 0)],
    ['2.6.30', KERNEL_VERSION(2, 6, 30)],
    ['2.6.28', KERNEL_VERSION(2, 6, 23)],
  ];
  return since.find(([, first]) => version >= first)?.[0] ?? '2.6.22';
}

/** Rules by kernel version, where nobody asks for others. */
function dmaRulesOf(config: MachineConfig): DmaRules {
  const { dmaRules = '' } = config;
  if (dmaRules !== '') return dmaRules as DmaRules;
  return versionCode(config.kernel) >= KERNEL_VERSION(4, 0, 0) ? '4.9' : '2.6.30';
}

const dmaOptions = (config: MachineConfig): DmaOptions => ({
  rules: dmaRulesOf(config),
  every: config.lockdepMode === 'continue',
  leaks: checksOf(config.check).includes('leak'),
  stack: callers,
});

/** What watches the transfers of a device; null when the machine has no such checker. */
export function deviceChecker(
  device: Device,
  arena: SharedArrayBuffer,
  printk: (text: string) => void,
  onReport?: (report: CheckerReport) => void,
): Tracer | null {
  const { hw, layout, config, index } = device;
  if (!checksOf(config.check).includes('dma')) return null;
  const { words } = new PhysicalMemory(arena, config.core.physBase);
  return new DmaDeviceChecker({ hw, layout, config, words, printk }, index, {
    ...dmaOptions(config),
    ...(onReport !== undefined && { onReport: (r: DmaReport) => onReport({ checker: 'dma', ...r }) }),
  });
}
