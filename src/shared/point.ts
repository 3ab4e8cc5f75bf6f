/**
 * What kind of visible step a scheduling point announces. The point comes before the effect; together with the address
 * it says which other steps the step can conflict with.
 */
export const Point = {
  /** Plain load of shared kernel data. */
  Load: 1,
  /** Plain store to shared kernel data. */
  Store: 2,
  /** Atomic read-modify-write. */
  Atomic: 3,
  /** Acquisition of a spinlock: possible only while it is free. Attempts, and reader-writer locks, are `Atomic`. */
  Lock: 4,
  /** Release of a lock. */
  Unlock: 5,
  /** Load of page contents by virtual address, through the caches. */
  CachedLoad: 6,
  /** Store to page contents by virtual address, through the caches. */
  CachedStore: 7,
  /** A dirty victim, or one entry of the write buffer, moves to memory. */
  WriteBack: 8,
  /** A line moves from memory into a cache. */
  Fill: 9,
  /** One line of a cache maintenance operation. */
  CacheOp: 10,
  /** A TLB entry is looked up in the page tables, or invalidated. */
  Tlb: 11,
  /** One word of a device's transfer. */
  Dma: 12,
  /** An interrupt line is raised, or an inter-processor interrupt sent. */
  Raise: 13,
  /** Interrupts become enabled, so a pending one can be taken. */
  IrqEnable: 14,
  /** Interrupts become disabled. */
  IrqDisable: 15,
  /** A thread goes to sleep, wakes another, or gives up the CPU. */
  Sched: 16,
  /** One round of a wait for another context. */
  Wait: 17,
  /** Preemption becomes possible. */
  Preempt: 18,
} as const;
export type Point = (typeof Point)[keyof typeof Point];

/** Name of a kind, for traces. */
export const pointName = (kind: Point): string =>
  Object.entries(Point).find(([, value]) => value === kind)?.[0] ?? `Point(${kind})`;
