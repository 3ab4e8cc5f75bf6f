/**
 * Torture of locks, wait queues, completions, atomic operations, interrupt masking and bottom halves: random operations on all CPUs, with
 * interrupts that hit whoever holds something.
 *
 * What has to hold: what a lock protects is never torn and adds up in the end; readers see no half of an update; every sleeper is woken;
 * an interrupt that was raised while interrupts were masked is taken when they are unmasked and not before, a soft interrupt likewise;
 * after each operation the interrupt mask and preempt_count are what they were.
 * Kernels: any. The claim is `clean` everywhere.
 */
import {
  __set_current_state,
  add_wait_queue_exclusive,
  alloc_page,
  atomic_add_return,
  atomic_cmpxchg,
  atomic_inc,
  atomic_read,
  atomic_xchg,
  type Completion,
  clear_bit,
  complete,
  DECLARE_WAITQUEUE,
  expect,
  GFP_KERNEL,
  in_irq,
  in_softirq,
  init_completion,
  init_waitqueue_head,
  irqs_disabled,
  type Kernel,
  local_bh_disable,
  local_bh_enable,
  local_irq_restore,
  local_irq_save,
  type Page,
  Prng,
  page_address,
  preempt_disable,
  preempt_enable,
  ptr,
  type RaceSpec,
  type RwLock,
  race,
  raise_softirq,
  read_lock,
  read_unlock,
  remove_wait_queue,
  Softirq,
  type SpinLock,
  set_bit,
  set_current_state,
  spin_is_locked,
  spin_lock,
  spin_lock_bh,
  spin_lock_init,
  spin_lock_irqsave,
  spin_trylock,
  spin_unlock,
  spin_unlock_bh,
  spin_unlock_irqrestore,
  TASK_RUNNING,
  TASK_UNINTERRUPTIBLE,
  test_and_clear_bit,
  test_and_set_bit,
  test_bit,
  type Vaddr,
  vaddr,
  type WaitQueueHead,
  wait_event,
  wait_for_completion,
  waitqueue_active,
  wake_up,
  wake_up_all,
  write_lock_irqsave,
  write_unlock_irqrestore,
} from '../src/index.js';
import { bumpCounter, COUNTER_CACHED_BYTES, type Counter, readCounter, zeroCounter } from './lib/counter.js';
import { initMeeting, meet } from './lib/meet.js';

/** What is tortured. A test puts a broken one in, to see that it is noticed. */
export interface LockFunctions {
  spin_lock: typeof spin_lock;
  spin_unlock: typeof spin_unlock;
  spin_trylock: typeof spin_trylock;
  spin_lock_irqsave: typeof spin_lock_irqsave;
  spin_unlock_irqrestore: typeof spin_unlock_irqrestore;
  spin_lock_bh: typeof spin_lock_bh;
  spin_unlock_bh: typeof spin_unlock_bh;
  read_lock: typeof read_lock;
  read_unlock: typeof read_unlock;
  write_lock_irqsave: typeof write_lock_irqsave;
  write_unlock_irqrestore: typeof write_unlock_irqrestore;
  wait_event: typeof wait_event;
  wake_up: typeof wake_up;
  wake_up_all: typeof wake_up_all;
  complete: typeof complete;
  wait_for_completion: typeof wait_for_completion;
  atomic_add_return: typeof atomic_add_return;
  test_and_set_bit: typeof test_and_set_bit;
}

const KERNEL: LockFunctions = {
  spin_lock,
  spin_unlock,
  spin_trylock,
  spin_lock_irqsave,
  spin_unlock_irqrestore,
  spin_lock_bh,
  spin_unlock_bh,
  read_lock,
  read_unlock,
  write_lock_irqsave,
  write_unlock_irqrestore,
  wait_event,
  wake_up,
  wake_up_all,
  complete,
  wait_for_completion,
  atomic_add_return,
  test_and_set_bit,
};

/** Operations of each thread in one execution. */
const OPERATIONS = 500;
/** After so many of them all threads meet, and a thread meets its partner. */
const MEET_EVERY = 100;
const HANDSHAKE_EVERY = 10;
const THREADS_PER_CPU = 2;
const THREADS_ALONE = 4;
const BIT_LOCK_TRIES = 4;
/** Interrupt line of the handler below. */
const LINE = 0;

const threadCount = (cpus: number): number => (cpus === 1 ? THREADS_ALONE : cpus * THREADS_PER_CPU);

// ---- where everything is: k.sym.race_data --------------------------------------------------------------------------

/** The counters, each with the lock at its head. */
const GUARDS = ['plain', 'irqsave', 'bh', 'rw', 'bit'] as const;
type Guard = (typeof GUARDS)[number];
const GUARD_BYTES = 64;

const TOTALS = 0x200; // how often each counter was to be counted up, by number of the guard
const ALL = 0x300; // wait queue of non-exclusive waiters, and tokens at 16
const EXCLUSIVE = 0x340; // the same for exclusive waiters
const MEETING = 0x380; // where all threads meet
const DONE = 0x400; // completion
const DONE_BY_IRQ = 0x440; // completion
const SUM = 0x480; // atomic_t
const BITS = 0x484; // a bit for each thread
const CHANGED = 0x488; // what is exchanged
const EXPECTED_SUM = 0x48c;
const OWNED = 0x490; // sum of what the threads got in exchange
const PER_CPU = 0x500; // 64 bytes for each CPU: requests, interrupts taken, soft interrupts run, one raised
const PAIRS = 0x800; // 64 bytes for two threads: wait queue, arrivals of each at 16, completion of each at 32

const place = (k: Kernel, offset: number): Vaddr => vaddr(k.sym.race_data + offset);
const queueAt = (k: Kernel, offset: number): WaitQueueHead => ptr<'wait_queue_head'>(place(k, offset));
const completionAt = (k: Kernel, offset: number): Completion => ptr<'completion'>(place(k, offset));
const pairAt = (index: number): number => PAIRS + (index >>> 1) * 64;
const perCpu = (k: Kernel, cpu: number): Vaddr => place(k, PER_CPU + cpu * 64);
const requests = (k: Kernel, cpu: number): Vaddr => perCpu(k, cpu);
const taken = (k: Kernel): Vaddr => vaddr(perCpu(k, k.cpu) + 4);
const softRun = (k: Kernel): Vaddr => vaddr(perCpu(k, k.cpu) + 8);

const headOf = (k: Kernel, guard: Guard): Vaddr => place(k, GUARDS.indexOf(guard) * GUARD_BYTES);
const lockOf = (k: Kernel, guard: Guard): SpinLock => ptr<'spinlock'>(headOf(k, guard));
const rwLock = (k: Kernel): RwLock => ptr<'rwlock'>(headOf(k, 'rw'));
const totalOf = (k: Kernel, guard: Guard): Vaddr => place(k, TOTALS + GUARDS.indexOf(guard) * 4);

function counterOf(k: Kernel, guard: Guard): Counter {
  const page = page_address(k, k.vars.page as Page);
  const cached = vaddr(page + GUARDS.indexOf(guard) * COUNTER_CACHED_BYTES);
  return { name: `counter under the ${guard} lock`, words: vaddr(headOf(k, guard) + 8), cached };
}

/** A thread of the torture in one execution. */
interface Torturer {
  readonly k: Kernel;
  readonly prng: Prng;
  readonly index: number;
  readonly counters: Readonly<Record<Guard, Counter>>;
  /** How often it has counted up. */
  readonly counted: Record<Guard, number>;
  /** How often it has met its partner. */
  handshakes: number;
  /** What it has added to SUM. */
  sum: number;
  /** What it got at CHANGED. */
  owned: number;
}

/** Count up under the lock of @guard, which is held. */
function count(t: Torturer, guard: Guard, where: string): void {
  bumpCounter(t.k, t.counters[guard], where);
  t.counted[guard]++;
}

const chance = (t: Torturer, oneIn: number): boolean => t.prng.below(oneIn) === 0;

// ---- the operations ------------------------------------------------------------------------------------------------

type Operation = (t: Torturer) => void;

function operations(f: LockFunctions): Readonly<Record<string, Operation>> {
  return {
    spin_lock(t) {
      f.spin_lock(t.k, lockOf(t.k, 'plain'));
      count(t, 'plain', 'under spin_lock()');
      f.spin_unlock(t.k, lockOf(t.k, 'plain'));
    },

    spin_trylock(t) {
      if (!f.spin_trylock(t.k, lockOf(t.k, 'plain'))) return;
      count(t, 'plain', 'under spin_trylock()');
      f.spin_unlock(t.k, lockOf(t.k, 'plain'));
    },

    spin_lock_irqsave(t) {
      const { k } = t;
      const masked = chance(t, 2);
      const outer = masked ? local_irq_save(k) : 0;
      const flags = f.spin_lock_irqsave(k, lockOf(k, 'irqsave'));
      const before = k.load(taken(k));
      const raise = chance(t, 4);
      if (raise) k.raise(k.cpu, LINE);
      count(t, 'irqsave', 'under spin_lock_irqsave()');
      expect(k.load(taken(k)) === before, 'an interrupt was taken under spin_lock_irqsave()');
      f.spin_unlock_irqrestore(k, lockOf(k, 'irqsave'), flags);
      expect(irqs_disabled(k) === masked, 'spin_unlock_irqrestore() left another interrupt mask', masked ? 1 : 0);
      if (!masked) return;
      const stillBefore = k.load(taken(k));
      local_irq_restore(k, outer);
      if (raise) expect(k.load(taken(k)) !== stillBefore, 'a pending interrupt was not taken by local_irq_restore()');
    },

    spin_lock_bh(t) {
      const { k } = t;
      f.spin_lock_bh(k, lockOf(k, 'bh'));
      const before = k.load(softRun(k));
      if (chance(t, 4)) k.raise(k.cpu, LINE);
      count(t, 'bh', 'under spin_lock_bh()');
      expect(k.load(softRun(k)) === before, 'a soft interrupt ran under spin_lock_bh()');
      f.spin_unlock_bh(k, lockOf(k, 'bh'));
    },

    local_bh_disable(t) {
      const { k } = t;
      local_bh_disable(k);
      const before = k.load(softRun(k));
      k.raise(k.cpu, LINE);
      const handled = k.load(taken(k));
      expect(k.load(softRun(k)) === before, 'a soft interrupt ran with bottom halves disabled');
      expect(handled !== 0, 'an interrupt was not taken with bottom halves disabled');
      // Interrupts in between may have run it already, but only once bottom halves were enabled.
      local_bh_enable(k);
      preempt_disable(k);
      expect(k.load(vaddr(perCpu(k, k.cpu) + 12)) === 0, 'a soft interrupt is pending after local_bh_enable()');
      preempt_enable(k);
    },

    read_lock(t) {
      const { k } = t;
      f.read_lock(k, rwLock(k));
      const value = readCounter(k, t.counters.rw, 'under read_lock()');
      if (chance(t, 4)) k.raise(k.cpu, LINE);
      if (chance(t, 4)) {
        f.read_lock(k, rwLock(k));
        f.read_unlock(k, rwLock(k));
      }
      const again = readCounter(k, t.counters.rw, 'under read_lock()');
      expect(again === value, 'a writer came in under read_lock()', value, again);
      f.read_unlock(k, rwLock(k));
    },

    write_lock(t) {
      const { k } = t;
      const flags = f.write_lock_irqsave(k, rwLock(k));
      count(t, 'rw', 'under write_lock_irqsave()');
      f.write_unlock_irqrestore(k, rwLock(k), flags);
    },

    wait_event(t) {
      const { k } = t;
      atomic_inc(k, tokens(k, ALL));
      f.wake_up(k, queueAt(k, ALL));
      f.wait_event(k, queueAt(k, ALL), () => takeToken(k, ALL));
    },

    /** One waiter is woken for each token; who may have been woken for a token that it did not need passes the wake-up on. */
    wait_exclusive(t) {
      const { k } = t;
      const queue = queueAt(k, EXCLUSIVE);
      atomic_inc(k, tokens(k, EXCLUSIVE));
      f.wake_up(k, queue);
      const wait = DECLARE_WAITQUEUE(k);
      add_wait_queue_exclusive(k, queue, wait);
      for (;;) {
        set_current_state(k, TASK_UNINTERRUPTIBLE);
        if (takeToken(k, EXCLUSIVE)) break;
        k.schedule();
      }
      __set_current_state(k, TASK_RUNNING);
      remove_wait_queue(k, queue, wait);
      if (atomic_read(k, tokens(k, EXCLUSIVE)) > 0) f.wake_up(k, queue);
    },

    complete({ k }) {
      f.complete(k, completionAt(k, DONE));
      f.wait_for_completion(k, completionAt(k, DONE));
    },

    complete_from_irq(t) {
      const { k } = t;
      const cpu = t.prng.below(k.config.cpus);
      atomic_inc(k, requests(k, cpu));
      k.raise(cpu, LINE);
      f.wait_for_completion(k, completionAt(k, DONE_BY_IRQ));
    },

    raise({ k, prng }) {
      k.raise(prng.below(k.config.cpus), LINE);
    },

    atomic_add(t) {
      const value = t.prng.below(1000) - 500;
      f.atomic_add_return(t.k, value, place(t.k, SUM));
      t.sum += value;
    },

    atomic_cmpxchg(t) {
      const at = place(t.k, SUM);
      for (;;) {
        const old = atomic_read(t.k, at);
        if (atomic_cmpxchg(t.k, at, old, (old + 1) | 0) === old) break;
      }
      t.sum++;
    },

    atomic_xchg(t) {
      t.owned = atomic_xchg(t.k, place(t.k, CHANGED), t.owned);
    },

    /** A bit of one's own in a word of everybody's. */
    own_bit({ k, index, prng }) {
      const bits = place(k, BITS);
      set_bit(k, index, bits);
      if (prng.below(2) === 0) k.raise(k.cpu, LINE);
      expect(test_bit(k, index, bits), 'a bit that was set is clear', index);
      clear_bit(k, index, bits);
      expect(!test_bit(k, index, bits), 'a bit that was cleared is set', index);
    },

    bit_lock(t) {
      const { k } = t;
      for (let i = 0; i < BIT_LOCK_TRIES; i++) {
        preempt_disable(k);
        if (!f.test_and_set_bit(k, 0, lockOf(k, 'bit'))) {
          count(t, 'bit', 'under a bit lock');
          expect(test_and_clear_bit(k, 0, lockOf(k, 'bit')), 'the bit of a bit lock was cleared by somebody else');
        }
        preempt_enable(k);
      }
    },
  };
}

const tokens = (k: Kernel, queue: number): Vaddr => place(k, queue + 16);

function takeToken(k: Kernel, queue: number): boolean {
  const at = tokens(k, queue);
  for (;;) {
    const left = atomic_read(k, at);
    if (left <= 0) return false;
    if (atomic_cmpxchg(k, at, left, left - 1) === left) return true;
  }
}

/**
 * Two threads of different CPUs wait for each other, by wait queue or completion. Nobody else wakes them, so a wake-up that is lost
 * stops them for good.
 */
function handshake(f: LockFunctions, t: Torturer): void {
  const { k, index } = t;
  const pair = pairAt(index);
  const [me, partner] = [index & 1, (index & 1) ^ 1];
  t.handshakes++;
  if (t.handshakes % 2 === 0) {
    f.complete(k, completionAt(k, pair + 32 + partner * 16));
    f.wait_for_completion(k, completionAt(k, pair + 32 + me * 16));
    return;
  }
  atomic_inc(k, place(k, pair + 16 + me * 4));
  f.wake_up(k, queueAt(k, pair));
  f.wait_event(k, queueAt(k, pair), () => 2 * atomic_read(k, place(k, pair + 16 + partner * 4)) >= t.handshakes);
}

// ---- interrupts ----------------------------------------------------------------------------------------------------

/** Hard interrupt: takes the locks that the threads take with interrupts masked, completes what was asked for. */
function handler(f: LockFunctions, k: Kernel): void {
  const preemptCount = k.preemptCount;
  expect(in_irq(k), 'in_irq() is false in a handler');
  expect(irqs_disabled(k), 'interrupts are enabled in a handler');
  k.store(taken(k), k.load(taken(k)) + 1);
  f.spin_lock(k, lockOf(k, 'irqsave'));
  bumpCounter(k, counterOf(k, 'irqsave'), 'in an interrupt handler');
  f.spin_unlock(k, lockOf(k, 'irqsave'));
  atomic_inc(k, totalOf(k, 'irqsave'));
  f.read_lock(k, rwLock(k));
  readCounter(k, counterOf(k, 'rw'), 'under read_lock() in an interrupt handler');
  f.read_unlock(k, rwLock(k));
  const asked = atomic_xchg(k, requests(k, k.cpu), 0);
  for (let i = 0; i < asked; i++) f.complete(k, completionAt(k, DONE_BY_IRQ));
  k.store(vaddr(perCpu(k, k.cpu) + 12), 1);
  raise_softirq(k, Softirq.TASKLET);
  expect(irqs_disabled(k), 'a handler enabled interrupts');
  expect(k.preemptCount === preemptCount, 'a handler changed preempt_count', preemptCount, k.preemptCount);
}

/** Soft interrupt: takes the lock that the threads take with bottom halves disabled. Interrupts are on. */
function action(f: LockFunctions, k: Kernel): void {
  const preemptCount = k.preemptCount;
  expect(in_softirq(k) && !in_irq(k), 'a soft interrupt runs in another context', preemptCount);
  expect(!irqs_disabled(k), 'interrupts are masked in a soft interrupt');
  k.store(vaddr(perCpu(k, k.cpu) + 12), 0);
  k.store(softRun(k), k.load(softRun(k)) + 1);
  f.spin_lock(k, lockOf(k, 'bh'));
  bumpCounter(k, counterOf(k, 'bh'), 'in a soft interrupt');
  f.spin_unlock(k, lockOf(k, 'bh'));
  atomic_inc(k, totalOf(k, 'bh'));
  expect(k.preemptCount === preemptCount, 'a soft interrupt changed preempt_count', preemptCount, k.preemptCount);
}

// ---- the race ------------------------------------------------------------------------------------------------------

function torture(f: LockFunctions, k: Kernel, index: number): void {
  const list = Object.entries(operations(f));
  const counters = Object.fromEntries(GUARDS.map((g) => [g, counterOf(k, g)])) as Record<Guard, Counter>;
  const counted = Object.fromEntries(GUARDS.map((g) => [g, 0])) as Record<Guard, number>;
  const prng = Prng.of(k.config.seed, k.execution, index);
  const t: Torturer = { k, prng, index, counters, counted, handshakes: 0, sum: 0, owned: index + 1 };
  for (let i = 1; i <= OPERATIONS; i++) {
    const [name, operation] = list[prng.below(list.length)]!;
    k.op();
    if (chance(t, 4)) k.raise(prng.below(k.config.cpus), LINE);
    operation(t);
    expect(!irqs_disabled(k), `interrupts are masked after ${name}`);
    expect(k.preemptCount === 0, `preempt_count is not 0 after ${name}`, k.preemptCount);
    if (i % HANDSHAKE_EVERY === 0) handshake(f, t);
    if (i % MEET_EVERY === 0) meet(k, place(k, MEETING), threadCount(k.config.cpus), f);
  }
  for (const guard of GUARDS) atomic_add_return(k, counted[guard], totalOf(k, guard));
  atomic_add_return(k, t.sum, place(k, EXPECTED_SUM));
  atomic_add_return(k, t.owned, place(k, OWNED));
  local_bh_disable(k);
  local_bh_enable(k);
}

function setup(k: Kernel): void {
  k.vars.page = alloc_page(k, GFP_KERNEL);
  for (const guard of GUARDS) zeroCounter(k, counterOf(k, guard));
  for (const guard of ['plain', 'irqsave', 'bh'] as const) spin_lock_init(k, lockOf(k, guard), `${guard}_lock`);
  for (const queue of [ALL, EXCLUSIVE]) init_waitqueue_head(k, queueAt(k, queue));
  initMeeting(k, place(k, MEETING));
  init_completion(k, completionAt(k, DONE));
  init_completion(k, completionAt(k, DONE_BY_IRQ));
  for (let index = 0; index < threadCount(k.config.cpus); index++) {
    if ((index & 1) === 0) init_waitqueue_head(k, queueAt(k, pairAt(index)));
    init_completion(k, completionAt(k, pairAt(index) + 32 + (index & 1) * 16));
  }
}

/** Everything adds up, nothing is left over. */
function check(k: Kernel): void {
  for (const guard of GUARDS) {
    const value = readCounter(k, counterOf(k, guard), 'in the end');
    const total = k.load(totalOf(k, guard));
    expect(
      value === total,
      `${guard} lock: the counter and the number of times it was counted up differ`,
      value,
      total,
    );
    expect(!spin_is_locked(k, lockOf(k, guard)), `${guard} lock: still held in the end`);
  }
  const sum = k.load(place(k, SUM));
  const expected = k.load(place(k, EXPECTED_SUM));
  expect(sum === expected, 'an atomic addition was lost', sum, expected);
  const threads = threadCount(k.config.cpus);
  const owned = k.load(place(k, OWNED)) + k.load(place(k, CHANGED));
  expect(owned === (threads * (threads + 1)) / 2, 'an atomic exchange lost or doubled a value', owned);
  for (const queue of [ALL, EXCLUSIVE]) expect(k.load(tokens(k, queue)) === 0, 'a token of a wait queue is left over');
  for (const queue of [ALL, EXCLUSIVE, MEETING]) {
    expect(!waitqueue_active(k, queueAt(k, queue)), 'a waiter is left on a wait queue', queue);
  }
  for (const x of [DONE, DONE_BY_IRQ]) expect(k.load(completionAt(k, x)) === 0, 'a completion is left over', x);
}

/** The race, with functions of the kernel or of a test. */
export function lockTorture(functions: Partial<LockFunctions> = {}, id = 'stress-locks'): RaceSpec {
  const f: LockFunctions = { ...KERNEL, ...functions };
  return race({
    id,
    title: 'locks, wait queues, completions and atomic operations under random load',
    source: 'stress suite',
    spec: [],
    machine: { core: 'cortex-a9', cpus: 4, hz: 1000 },
    cases: [
      { name: 'plain spinlocks', machine: {}, outcome: 'clean' },
      { name: 'ticket spinlocks', machine: { ticketLocks: true, core: 'vivt-shared' }, outcome: 'clean' },
      { name: 'without preemption', machine: { preempt: false, core: 'arm11mpcore' }, outcome: 'clean' },
      { name: 'one CPU', machine: { core: 'arm926', cpus: 1 }, outcome: 'clean' },
    ],
    executionSeconds: 15,
    stallPoints: 300,
    vars: ['page'],
    setup,
    threads: ({ cpus }) =>
      Array.from({ length: threadCount(cpus) }, (_, index) => ({
        cpu: index % cpus,
        run: (k) => torture(f, k, index),
      })),
    irqs: { [LINE]: (k) => handler(f, k) },
    softirqs: { [Softirq.TASKLET]: (k) => action(f, k) },
    check,
  });
}

export default lockTorture();
