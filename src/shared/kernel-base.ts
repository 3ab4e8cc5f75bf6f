/**
 * What the kernel code of the lower floors asks of the CPU that executes it. The one implementation is `cpu/kernel.ts`.
 */
import type { Barrier } from './access.js';
import type { Mark, VariableUses } from './knowledge.js';
import type { Field } from './layout.js';
import type { PatchName, PatchSet } from './patches.js';
import type { Point } from './point.js';
import type { Ptr, Vaddr } from './types.js';

/**
 * The machine's System.map: static kernel objects by name. Each file of kernel code adds its own by declaration merging and
 * lists them with their sizes for the layout (`SymbolSpec`).
 */
export interface Symbols {
  /** Contended by nobody: the address where static data begins. */
  _sdata: Vaddr;
}

/** Size and alignment of a static object, in bytes. */
export interface SymbolSpec {
  readonly bytes: number;
  readonly align?: number;
}

/**
 * Who watches the locks: lockdep. Called where the kernel calls its own: an acquisition before the lock is tried (a trylock: after it was
 * got), a release before the lock is free, interrupts and bottom halves before they are on and after they are off.
 */
export interface LockWatch {
  /** What spin_lock_nested() and its like say of the acquisition that comes next: the subclass, and a held lock that serialises it. */
  subclass: number;
  nestLock: number;
  /** Would the interrupt handler that runs be a thread of its own with forced threading? Those of a race would, as without IRQF_NO_THREAD. */
  threaded: boolean;
  /** The worker begins an execution: its thread holds nothing. */
  begin(): void;
  /** @read: 0 exclusive, 1 shared, 2 shared and recursive. */
  acquire(lock: number, read: number, trylock: boolean): void;
  release(lock: number): void;
  /** Are waits and holds measured? Then it wants to hear of the next two: see shared/lockstat.ts. */
  readonly stat: boolean;
  /** The lock is busy, and the task begins to wait; it has the lock. Both after acquire(). */
  contended(lock: number): void;
  acquired(lock: number): void;
  /**
   * A lock is initialised. @name: as the C source writes it, if not by its place in static memory. @key: what tells classes of one name apart;
   * without, the name stands for the place of the call. @wait: a WaitType; without, that of a spinlock.
   */
  init(lock: number, name?: string, key?: string, wait?: number): void;
  /** Interrupts are about to be enabled, if they are not; have been disabled. */
  hardirqs(on: boolean): void;
  /** Bottom halves are enabled again, the last of nested ones; are disabled, the first of them. */
  softirqsOn(): void;
  softirqsOff(): void;
  /** A soft interrupt is served, is no longer. */
  softirq(enter: boolean): void;
  /** An allocation with these flags may begin reclaim that calls filesystems. */
  alloc(mayReclaimFs: boolean): void;
  /** Reclaim with these flags begins, ends. */
  reclaim(enter: boolean): void;
  /** Memory that may contain locks is given back. */
  freed(from: number, bytes: number): void;
  /** The task ends. */
  taskExit(): void;
  /** It returns to user space. */
  sysExit(): void;
  /** The texts of /proc/lockdep and its neighbours. */
  proc(): Readonly<Record<'lockdep' | 'lockdep_chains' | 'lockdep_stats' | 'lock_stat', string>>;
  /** Lines about the running context for reports of others: held locks and, while interrupts are off, when they last were on. */
  context(): readonly string[];
}

/** Who watches memory: what the allocators give out and take back, and every access to page contents after it was made. */
export interface MemoryWatch {
  /** Above 0: accesses are those of an allocator, which may do what others may not. */
  paused: number;
  /** The worker begins an execution. */
  begin(): void;
  /** @addr: virtual; bytes: 1, 2 or 4. */
  access(addr: number, bytes: number, write: boolean): void;
  /** An access is refused by the MMU: the oops comes next. */
  refused(addr: number, bytes: number, write: boolean): void;
  /** A block of pages, by its physical address, was given out, was given back; a reference to a page is about to be dropped. */
  pages(pa: number, order: number, gfp_mask: number): void;
  pagesFreed(pa: number, order: number): void;
  pagePut(pa: number): void;
  /** @bytes of an object of @size bytes were given out. @name: address of the name of its cache. */
  object(addr: number, bytes: number, size: number, name: number): void;
  /** Its owner has been told that all of it may be used. */
  objectAll(addr: number): void;
  /** An object is about to be given back. */
  objectFreed(addr: number): void;
  /** vmalloc() and its neighbours begin, have ended: what is allocated meanwhile is their own. */
  vmalloc(enter: boolean): void;
  /** An area of vmalloc() was given out; is about to be given back. */
  mapped(addr: number, bytes: number): void;
  unmapped(addr: number): void;
  /** Addresses of vmalloc() were reserved: whatever was there before, they are somebody's now. */
  reserved(addr: number, bytes: number): void;
  /** The texts of /sys/kernel/debug/kmemleak and page_owner. */
  kmemleak(): string[];
  page_owner(): string[];
  /** What is live, by who asked for it. */
  leftOver(): string[];
}

/**
 * Who watches the DMA API. A buffer is told of before it is maintained and after, so that it is known what maintenance did. @type: 0 single,
 * 1 page, 2 an entry of a scatterlist, 3 coherent; @nents: entries of the call.
 */
export interface DmaWatch {
  /** The worker begins an execution. */
  begin(): void;
  /** @sg: entries of the list, 0 for what is none. */
  mapping(type: number, addr: number, pa: number, size: number, sg: number): void;
  mapped(type: number, addr: number, pa: number, bus: number, size: number, direction: number, nents: number): void;
  unmapping(type: number, bus: number, size: number): void;
  unmapped(type: number, addr: number, bus: number, size: number, direction: number, nents: number): void;
  syncing(bus: number, offset: number, size: number): void;
  synced(bus: number, offset: number, size: number, direction: number, forCpu: boolean, nents: number): void;
  /** The driver has asked whether a mapping failed. */
  mappingError(bus: number): void;
  /** The driver lets go of its device. */
  unbound(): void;
  /** Mappings and coherent buffers that are in force. */
  leftOver(): string[];
  /** The CPU is about to write to a page. */
  assertIdle(pa: number): void;
}

/** Who knows whose each spinlock is. Locks are told of by address, signed or not. */
export interface SpinlockWatch {
  /** A lock is initialised: nobody has it. */
  init(lock: number): void;
  /** The caller is about to take it, and will wait until it is free; has it. @tried: by a trylock, without a locking(). */
  locking(lock: number): void;
  locked(lock: number, tried: boolean): void;
  /** A trylock has found it taken. */
  missed(lock: number): void;
  /** The caller is about to give it back; does now. The latter is told of any lock, by the word that it uses. */
  unlocking(lock: number): void;
  dropped(word: number): void;
}

/** Who watches for CPUs that are stuck and tasks that nobody wakes. */
export interface HangWatch {
  /** The running thread waits for a time to pass, does no longer: meanwhile it needs no CPU, whatever the run queue says. */
  waitsForTime(on: boolean): void;
  /** @ticks have gone by. */
  timePassed(ticks: number): void;
  /** The outermost read-side critical section of RCU on this CPU begins, has ended. */
  rcuReader(): void;
  /** An object is out of reach and waits for readers; is about to be freed. */
  rcuQueued(object: number): void;
  rcuFreed(object: number): void;
}

/** Who watches what the kernel does not: masks of requests within requests, and calls of other CPUs. */
export interface ContextWatch {
  /** The worker begins an execution. */
  begin(): void;
  /** A request for memory with a mask begins, has ended: what is allocated meanwhile is for it. */
  request(gfp_mask: number): void;
  requestEnds(): void;
  /** A page-table page is about to be allocated. */
  tables(gfp_mask: number): void;
  /** Other CPUs are about to be called and waited for. */
  calls(): void;
  /** preempt_count is @old, and @by more or less comes next. */
  counts(old: number, by: number): void;
}

export interface KernelBase {
  readonly sym: Readonly<Symbols>;
  /** Source: include/linux/version.h; see shared/version.ts. */
  readonly LINUX_VERSION_CODE: number;
  /** Number of the executing CPU: smp_processor_id(). */
  readonly cpu: number;
  /** Thread slot of the running thread: its pid. */
  readonly slot: number;
  readonly ticketLocks: boolean;
  /** Neither ticket locks nor those of PA-RISC: lock() and unlock() do all there is to do. */
  readonly plainLocks: boolean;
  /** What a free plain lock word holds: 0; 1 on PA-RISC, whose LDCW leaves 0 behind. A word of the other value is held. */
  readonly freeLock: number;
  /** CONFIG_PREEMPT. */
  readonly preemptible: boolean;
  /** The running thread's task_struct. */
  readonly current: Ptr<'task_struct'>;

  /** Null unless somebody watches the locks. */
  readonly lockWatch: LockWatch | null;
  /** Null unless somebody watches whose the spinlocks are. */
  readonly spinlockWatch: SpinlockWatch | null;
  /** Null unless somebody watches memory. */
  readonly memoryWatch: MemoryWatch | null;
  /** Null unless the watchdogs are on. */
  readonly hangWatch: HangWatch | null;

  /** Is the named patch in force? */
  has(patch: PatchName): boolean;
  readonly patched: PatchSet;
  /** Announce a visible step; interrupts are taken here. */
  point(kind: Point, addr: number): void;
  /** The same, of a step that says more of itself: see access.ts. */
  pointAs(kind: Point, addr: number, how: number): void;

  /** Plain 32-bit load, signed. */
  load(addr: Vaddr): number;
  /** Plain 32-bit load of a pointer or another unsigned word. */
  loadPtr<T extends string>(addr: Vaddr): Ptr<T>;
  /** Plain 32-bit store. */
  store(addr: Vaddr, value: number): void;
  read<T extends string>(p: Ptr<T>, field: Field<T>): number;
  write<T extends string>(p: Ptr<T>, field: Field<T>, value: number): void;

  /** What became of the operation that was announced as `How.conditional`: for whoever looks for races. */
  compared(succeeded: boolean): void;

  /** What data_race() says: for whoever looks for races. */
  dataRace(begins: boolean): void;
  /** What an ASSERT_EXCLUSIVE_ says of a word: see access.ts. @mask: the bits that it is about, -1 for all. */
  assertExclusive(addr: Vaddr, what: number, mask: number): void;
  /** load() and store() that say more of themselves, such as that they are marked: see access.ts. */
  loadAs(addr: Vaddr, how: number): number;
  storeAs(addr: Vaddr, value: number, how: number): void;
  /** A memory barrier. */
  barrier(kind: Barrier): void;

  /** atomic_set(): a plain store, or one under the lock that the architecture's other atomic operations take. */
  atomicSet(addr: Vaddr, value: number): void;
  /** Atomic operations on an aligned word of static memory; each returns the old value, signed. */
  atomicLoad(addr: Vaddr): number;
  atomicStore(addr: Vaddr, value: number): void;
  atomicAdd(addr: Vaddr, value: number): number;
  atomicOr(addr: Vaddr, value: number): number;
  atomicAnd(addr: Vaddr, value: number): number;
  cmpxchg(addr: Vaddr, old: number, value: number): number;
  xchg(addr: Vaddr, value: number): number;

  /** Which word of the lock at @addr is used: PA-RISC 1.1 takes the aligned one of four. */
  lockWord(addr: Vaddr): Vaddr;
  /** One try to set a free plain lock word from 0 to 1, with its scheduling point and bookkeeping. */
  acquire(addr: Vaddr): boolean;
  /** Set a plain lock word to 0, with its scheduling point and bookkeeping; wakes those who wait. */
  release(addr: Vaddr): void;

  /** preempt_disable(), then acquire() of a plain lock. Return: false when it is taken, or no plain one; preemption is off even so. */
  lock(addr: Vaddr): boolean;
  /** release() of a plain lock, restoreIrqs(@irqs) unless it is negative, preempt_enable(). */
  unlock(addr: Vaddr, irqs: number): void;

  /** A failed CAS on a lock word: wait until the word is no longer @seen. Interrupts are taken meanwhile if enabled. */
  waitForLock(addr: Vaddr, seen: number): void;
  /** Wait until one of the words of static memory no longer holds what it was @seen to hold. */
  waitForChange(addrs: readonly Vaddr[], seen: readonly number[]): void;
  /** A round of a loop that waits: see cpu_relax() of shared/spin.ts. */
  relax(): void;
  /** What the thread has learnt so far, to come back to; null while nobody wants to know. */
  mark(): Mark | null;
  /** The thread knows what it knew at @mark, and stands where it stood: it goes round a loop. */
  recall(mark: Mark | null): void;
  /** Of what it has read since @mark the thread remembers nothing but @learnt, from here on. */
  forget(mark: Mark | null, learnt?: number): void;
  /** Who is told of each use of `k.shared`. */
  readonly uses: VariableUses | null;
  /** Wake those who sleep in waitForLock() on the word. */
  lockReleased(addr: Vaddr): void;
  /** Bookkeeping for reports: which locks this thread holds. @shared: 1 where readers share it. */
  lockHeld(addr: Vaddr, shared?: number): void;
  lockDropped(addr: Vaddr, shared?: number): void;

  /** Low-level interrupt mask of this CPU: true = masked. */
  irqsOff: boolean;
  /** Mask interrupts. Return: 1 if they were masked already, else 0. */
  saveIrqs(): number;
  /** Set the mask to what saveIrqs() answered; pending interrupts are taken if that unmasks. */
  restoreIrqs(flags: number): void;
  /** preempt_count of the running thread. */
  preemptCount: number;
  /** Is TIF_NEED_RESCHED set? Give up the CPU if it may. Called when preempt_count has dropped to 0. */
  preemptCheck(): void;
  /** local_bh_enable() of cpu/irq.ts, for the locks that end with it. */
  localBhEnable(): void;
  /** Sleep or let others run: see cpu/sched.ts. */
  schedule(): void;
  /** Bookkeeping for reports: the lock that this thread is about to sleep for, by address; 0: none. */
  sleepsOn(addr: number): void;
  tryToWakeUp(task: Ptr<'task_struct'>): boolean;

  printk(text: string): void;
  /** dump_stack() of the architecture: the functions that are being executed, into the log. */
  dumpStack(): void;
  /** State of the running task, as it is: no step. */
  currentState(): number;
}
