/**
 * Small programmes as data: threads, interrupt handlers and devices that work on a few shared words, locks and page contents. Random ones are
 * explored by several strategies, which have to agree; `raceOf()` makes the race.
 *
 * A thread has one local variable, into which it mixes all that it reads. What it is in the end is left in the hardware area, where no step sees it.
 */

import { CacheOp } from '../../../src/cpu/cpu-cache.js';
import type { Device } from '../../../src/cpu/device.js';
import { CallFunction, smp_call_function_many } from '../../../src/cpu/smp.js';
import {
  alloc_page,
  GFP_KERNEL,
  type Kernel,
  local_bh_disable,
  local_bh_enable,
  type MachineSpec,
  type Page,
  page_address,
  page_to_phys,
  type RaceSpec,
  race,
  raise_softirq,
  rcu_read_lock,
  rcu_read_unlock,
  report,
  ringDoorbell,
  Softirq,
  schedule_timeout,
  synchronize_rcu,
  type Vaddr,
} from '../../../src/index.js';
import { atomic_cmpxchg, atomic_inc_return, atomic_xchg } from '../../../src/shared/atomic.js';
import {
  local_irq_disable,
  local_irq_enable,
  local_irq_restore,
  local_irq_save,
  preempt_disable,
  preempt_enable,
} from '../../../src/shared/irqflags.js';
import { jiffies } from '../../../src/shared/jiffies.js';
import { type Mutex, mutex_init, mutex_lock, mutex_trylock, mutex_unlock } from '../../../src/shared/mutex.js';
import { Point } from '../../../src/shared/point.js';
import { cpu_relax, waitUntil } from '../../../src/shared/spin.js';
import {
  read_lock,
  read_lock_irqsave,
  read_unlock,
  read_unlock_irqrestore,
  spin_lock,
  spin_lock_irqsave,
  spin_trylock,
  spin_unlock,
  spin_unlock_irqrestore,
  write_lock,
  write_lock_irqsave,
  write_unlock,
  write_unlock_irqrestore,
} from '../../../src/shared/spinlock.js';
import type { Paddr } from '../../../src/shared/types.js';
import {
  type Completion,
  complete,
  init_completion,
  wait_event,
  wait_for_completion,
  wake_up,
} from '../../../src/shared/wait.js';

/** What a context does: one object per operation. */
export interface Op {
  readonly do:
    | 'load'
    | 'store'
    | 'add'
    | 'inc'
    | 'cas'
    | 'xchg'
    | 'lock'
    | 'lockIrq'
    | 'trylock'
    | 'read'
    | 'write'
    | 'irqsOff'
    | 'preemptOff'
    | 'bhOff'
    | 'softirq'
    | 'raise'
    | 'await'
    | 'spin'
    | 'sleep'
    | 'wake'
    | 'yield'
    | 'expect'
    | 'var'
    | 'pageLoad'
    | 'pageStore'
    | 'clean'
    | 'invalidate'
    | 'ring'
    | 'bell'
    | 'mutex'
    | 'mutexTry'
    | 'irqRead'
    | 'irqWrite'
    | 'rcu'
    | 'irqsOn'
    | 'if'
    | 'call'
    | 'sync'
    | 'timeout'
    | 'complete'
    | 'completion'
    | 'giveUp'
    | 'leave'
    | 'netTx';
  /** Word, lock, line or register, by number. */
  readonly at: number;
  /** What is stored, compared with or raised. */
  readonly value: number;
  readonly body?: readonly Op[];
}

export interface Programme {
  readonly machine: MachineSpec;
  /** CPU and operations of each thread. */
  readonly threads: readonly { readonly cpu: number; readonly ops: readonly Op[] }[];
  /** Handlers of the lines 1, 2, ... */
  readonly irqs: readonly (readonly Op[])[];
  readonly devices: readonly (readonly Op[])[];
  /** Values of the first words that the race's invariant does not allow together. */
  readonly forbidden?: readonly number[];
}

export const WORDS = 3;
export const LOCKS = 2;
export const CPUS = 2;
/** Words of page contents that operations name: three of them share two cache lines. */
export const PAGE_OFFSETS = [0, 4, 32];

/** With a mutex and a completion in words of their own. */
const SHARED = { w: Array.from({ length: WORDS }, () => 0), mutex: [0, 0, 0, 0], done: [0, 0, 0, 0] };
type K = Kernel<typeof SHARED, 'l[2]' | 'r' | 'q'>;

const RESULTS = 16;
const HANDLERS = 32;

const mix = (acc: number, value: number): number => (Math.imul(acc, 31) + value + 7) | 0;
const page = (k: K, i: number): Vaddr =>
  (page_address(k as Kernel, k.vars.page as Page) + (PAGE_OFFSETS[i] as number)) as Vaddr;

/** A context that runs operations. */
interface Local {
  readonly name: string;
  /** Of the interrupt that it handles; 0 for a thread. */
  readonly line: number;
  acc: number;
}

function body(k: K, op: Op, local: Local): void {
  for (const inner of op.body ?? []) step(k, inner, local);
}

function plain(k: K, op: Op, local: Local): boolean {
  const at = k.at('w', op.at);
  switch (op.do) {
    case 'load':
      local.acc = mix(local.acc, k.load(at));
      return true;
    case 'store':
      k.store(at, op.value);
      return true;
    case 'add':
      k.store(at, k.load(at) + op.value);
      return true;
    case 'inc':
      local.acc = mix(local.acc, atomic_inc_return(k, at));
      return true;
    case 'cas':
      local.acc = mix(local.acc, atomic_cmpxchg(k, at, 0, op.value));
      return true;
    case 'xchg':
      local.acc = mix(local.acc, atomic_xchg(k, at, op.value));
      return true;
    case 'expect':
      if (k.load(at) === op.value) report(`${local.name} saw word ${'abc'[op.at]}`);
      return true;
    case 'var':
      local.acc = mix(local.acc, k.vars.v as number);
      k.vars.v = op.value;
      return true;
    default:
      return false;
  }
}

function locking(k: K, op: Op, local: Local): boolean {
  const lock = k.locks.l[op.at % LOCKS]!;
  switch (op.do) {
    case 'lock':
      spin_lock(k, lock);
      body(k, op, local);
      spin_unlock(k, lock);
      return true;
    case 'lockIrq': {
      const flags = spin_lock_irqsave(k, lock);
      body(k, op, local);
      spin_unlock_irqrestore(k, lock, flags);
      return true;
    }
    case 'trylock':
      if (!spin_trylock(k, lock)) local.acc = mix(local.acc, 1);
      else {
        body(k, op, local);
        spin_unlock(k, lock);
      }
      return true;
    case 'read':
      read_lock(k, k.rwlocks.r);
      body(k, op, local);
      read_unlock(k, k.rwlocks.r);
      return true;
    case 'write':
      write_lock(k, k.rwlocks.r);
      body(k, op, local);
      write_unlock(k, k.rwlocks.r);
      return true;
    default:
      return false;
  }
}

function masking(k: K, op: Op, local: Local): boolean {
  switch (op.do) {
    case 'irqsOff': {
      const flags = local_irq_save(k);
      body(k, op, local);
      local_irq_restore(k, flags);
      return true;
    }
    case 'preemptOff':
      preempt_disable(k);
      body(k, op, local);
      preempt_enable(k);
      return true;
    case 'bhOff':
      local_bh_disable(k as Kernel);
      body(k, op, local);
      local_bh_enable(k as Kernel);
      return true;
    default:
      return false;
  }
}

function signalling(k: K, op: Op, local: Local): boolean {
  const at = k.at('w', op.at);
  switch (op.do) {
    case 'softirq':
      raise_softirq(k as Kernel, Softirq.TASKLET);
      return true;
    case 'raise':
      // A handler raises lines after its own only: none for ever.
      if (local.line >= 2) return true;
      k.point(Point.Raise, op.at % k.config.cpus);
      k.raise(op.at % k.config.cpus, Math.max(local.line, op.value & 1) + 1);
      return true;
    case 'await':
      local.acc = mix(
        local.acc,
        waitUntil(k, at, (value) => value !== 0),
      );
      return true;
    case 'spin':
      while (k.load(at) === 0) cpu_relax(k);
      return true;
    case 'sleep':
      wait_event(k, k.queues.q, () => k.load(at) !== 0);
      return true;
    case 'wake':
      k.store(at, op.value);
      wake_up(k, k.queues.q);
      return true;
    case 'yield':
      k.schedule();
      return true;
    default:
      return false;
  }
}

function caching(k: K, op: Op, local: Local): boolean {
  const at = page(k, op.at);
  switch (op.do) {
    case 'pageLoad':
      local.acc = mix(local.acc, k.load32(at));
      return true;
    case 'pageStore':
      k.store32(at, op.value);
      return true;
    case 'clean':
      k.mmu.cacheLine(CacheOp.clean, at);
      return true;
    case 'invalidate':
      k.mmu.cacheLine(CacheOp.invalidate, at);
      return true;
    case 'ring':
      if (k.config.devicesMax > 1) ringDoorbell(k as Kernel, 0);
      return true;
    default:
      return false;
  }
}

const mutexOf = (k: K): Mutex => k.at('mutex', 0) as unknown as Mutex;
const completionOf = (k: K): Completion => k.at('done', 0) as unknown as Completion;

/** Whoever does this ends before its other operations. */
class Leave extends Error {}

function sections(k: K, op: Op, local: Local): boolean {
  switch (op.do) {
    case 'mutex':
      mutex_lock(k, mutexOf(k));
      body(k, op, local);
      mutex_unlock(k, mutexOf(k));
      return true;
    case 'mutexTry':
      if (!mutex_trylock(k, mutexOf(k))) local.acc = mix(local.acc, 1);
      else {
        body(k, op, local);
        mutex_unlock(k, mutexOf(k));
      }
      return true;
    case 'irqRead': {
      const flags = read_lock_irqsave(k, k.rwlocks.r);
      body(k, op, local);
      read_unlock_irqrestore(k, k.rwlocks.r, flags);
      return true;
    }
    case 'irqWrite': {
      const flags = write_lock_irqsave(k, k.rwlocks.r);
      body(k, op, local);
      write_unlock_irqrestore(k, k.rwlocks.r, flags);
      return true;
    }
    case 'rcu':
      rcu_read_lock(k as Kernel);
      body(k, op, local);
      rcu_read_unlock(k as Kernel);
      return true;
    case 'irqsOn':
      local_irq_enable(k);
      body(k, op, local);
      local_irq_disable(k);
      return true;
    case 'if':
      if (k.load(k.at('w', op.at)) === op.value) body(k, op, local);
      return true;
    default:
      return false;
  }
}

function calling(k: K, op: Op, local: Local): boolean {
  switch (op.do) {
    case 'call':
      smp_call_function_many(k as Kernel, CallFunction.race, 0, 0);
      return true;
    case 'sync':
      synchronize_rcu(k as Kernel);
      return true;
    case 'timeout':
      schedule_timeout(k as Kernel, 1);
      local.acc = mix(local.acc, jiffies(k));
      return true;
    case 'complete':
      complete(k, completionOf(k));
      return true;
    case 'completion':
      wait_for_completion(k, completionOf(k));
      return true;
    case 'giveUp':
      for (let rounds = 0; rounds < 2 && k.load(k.at('w', op.at)) === 0; rounds++) cpu_relax(k);
      return true;
    case 'leave':
      if (k.load(k.at('w', op.at)) === op.value) throw new Leave();
      return true;
    case 'netTx':
      raise_softirq(k as Kernel, Softirq.NET_TX);
      return true;
    default:
      return false;
  }
}

function step(k: K, op: Op, local: Local): void {
  const known =
    plain(k, op, local) ||
    locking(k, op, local) ||
    masking(k, op, local) ||
    signalling(k, op, local) ||
    caching(k, op, local) ||
    sections(k, op, local) ||
    calling(k, op, local);
  if (!known) throw new Error(`a CPU does no ${op.do}`);
}

function deviceStep(d: Device, op: Op, local: Local): void {
  const at = (d.vars.bus! + (PAGE_OFFSETS[op.at] as number)) as Paddr;
  switch (op.do) {
    case 'pageLoad':
      local.acc = mix(local.acc, d.read32(at));
      break;
    case 'pageStore':
      d.write32(at, op.value);
      break;
    case 'raise':
      d.raise(op.at % d.config.cpus, 1 + (op.value & 1));
      break;
    case 'bell':
      d.waitDoorbell();
      break;
    case 'var':
      local.acc = mix(local.acc, d.vars.v as number);
      d.vars.v = op.value;
      break;
    default:
      throw new Error(`a device does no ${op.do}`);
  }
}

function runAll(k: K, ops: readonly Op[], name: string, line: number): number {
  const local = { name, line, acc: 0 };
  try {
    for (const op of ops) step(k, op, local);
  } catch (error) {
    if (!(error instanceof Leave)) throw error;
  }
  return local.acc;
}

/** Leave a result where no step of another context sees it, but as part of the state. */
function leave(
  { hw, layout, footprint }: Pick<Device, 'hw' | 'layout' | 'footprint'>,
  at: number,
  result: number,
): void {
  hw[layout.raceVars + at] = result;
  footprint?.hwChanged(layout.raceVars + at, 1);
}

/** The words as they are in memory: an execution that is called off makes no steps any more. */
export const wordsOf = (k: Kernel): number[] => {
  const first = ((k as K).at('w', 0) - k.config.pageOffset) >>> 2;
  return [...k.memory.words.subarray(first, first + WORDS)];
};

/** What an execution has come to, as text: words, page contents and what each context has read. */
function finalState(k: K): string {
  const words = [...k.shared.w];
  const bytes = PAGE_OFFSETS.map((_, i) => k.load32(page(k, i)) >>> 0);
  const { raceVars } = k.layout;
  return JSON.stringify([words, bytes, k.vars.v, [...k.hw.subarray(raceVars + RESULTS, raceVars + HANDLERS + 16)]]);
}

/** Where a strategy of collect.ts looks for what has come of an execution. */
export interface Collected {
  kernel: Kernel | null;
  /** Text of the execution that has ended; null while its check has not been made. */
  final: string | null;
}

export const collected = (): Collected => {
  const scope = globalThis as { murphyCollected?: Collected };
  scope.murphyCollected ??= { kernel: null, final: null };
  return scope.murphyCollected;
};

/** Of the words of a race an execution finds those zero that have a name. */
const VARS = ['page', 'bus', 'v', ...Array.from({ length: HANDLERS + 16 - 3 }, (_, i) => `result${i}`)];

const forbids =
  (values: readonly number[]) =>
  (k: K): void => {
    if (values.every((value, i) => k.shared.w[i] === value)) report(`the words are ${values}`);
  };

export function raceOf(id: string, p: Programme): RaceSpec {
  const name = (i: number): string => `thread ${'abcdef'[i]}`;
  return race<typeof SHARED, 'l[2]' | 'r' | 'q'>({
    id,
    machine: { lowmemPages: 64, highmemPages: 0, ...p.machine },
    vars: VARS,
    shared: SHARED,
    locks: ['l[2]'],
    rwlocks: ['r'],
    queues: ['q'],
    setup(k) {
      mutex_init(k, mutexOf(k));
      init_completion(k, completionOf(k));
      k.vars.page = alloc_page(k as Kernel, GFP_KERNEL);
      k.vars.bus = page_to_phys(k as Kernel, k.vars.page as Page);
      for (let i = 0; i < PAGE_OFFSETS.length; i++) k.memory.write32((k.vars.bus + PAGE_OFFSETS[i]!) as Paddr, 100 + i);
      Object.assign(collected(), { kernel: k as Kernel, final: null });
    },
    threads: p.threads.map(({ cpu, ops }, i) => ({
      cpu,
      run: (k) => {
        leave(k, RESULTS + i, runAll(k, ops, name(i), 0));
      },
    })),
    irqs: Object.fromEntries(
      p.irqs.map((ops, i) => [
        i + 1,
        (k: K): void => {
          const at = HANDLERS + k.cpu * 4 + i;
          const result = mix(runAll(k, ops, `handler ${'abc'[i]}`, i + 1), 1);
          // Added up: which thread a handler interrupted makes no difference to it.
          leave(k, at, (k.hw[k.layout.raceVars + at] as number) + Math.imul(result, 0x9e3779b1));
        },
      ]),
    ),
    softirqs: {
      [Softirq.TASKLET]: (k) => {
        const word = k.at('w', 0);
        k.store(word, k.load(word) + 16);
      },
      [Softirq.NET_TX]: (k) => k.store(k.at('w', 2), k.load(k.at('w', 0)) * 3 + k.load(k.at('w', 1)) + 1),
    },
    ...(p.forbidden === undefined ? {} : { invariant: forbids(p.forbidden) }),
    devices: p.devices.map((ops, i) => (d: Device) => {
      const local = { name: 'a device', line: 0, acc: 0 };
      for (const op of ops) deviceStep(d, op, local);
      leave(d, RESULTS + 8 + i, local.acc);
    }),
    check(k) {
      collected().final = finalState(k);
    },
  });
}
