/** One group of measurements, in a worker of its own, so that no group sees what another has taught the compiler. */
import { parentPort, workerData } from 'node:worker_threads';
import { lockdepOf } from '../src/lab/lockdep.js';
import { kmap } from '../src/mm/arm/highmem.js';
import { kmap_high, kunmap_high } from '../src/mm/highmem.js';
import { kfree, kmalloc } from '../src/mm/kmalloc.js';
import { alloc_page, GFP_HIGHUSER, GFP_KERNEL } from '../src/mm/page_alloc.js';
import { spin_lock, spin_lock_irqsave, spin_unlock, spin_unlock_irqrestore } from '../src/shared/spinlock.js';
import { type Vaddr, vaddr } from '../src/shared/types.js';
import { localKernel } from './local-kernel.js';
import { measure, type Sample } from './measure.js';
import { liveAreas, pagePair, vmallocPair } from './vmalloc.js';

const WORDS = 1024;

/** Words of one page, all in the cache, against as many words of an array. */
function cached(core: string): Sample[] {
  const k = localKernel(core);
  const raw = new Int32Array(new SharedArrayBuffer(WORDS * 4));
  const base = vaddr(k.config.pageOffset + 250 * 4096);
  for (let i = 0; i < WORDS; i++) k.store32((base + i * 4) as Vaddr, k.load32((base + i * 4) as Vaddr));
  return measure(
    {
      'raw load': (n) => {
        let sum = 0;
        for (let i = 0; i < n; i++) sum = (sum + (raw[i & 1023] as number)) | 0;
        return sum;
      },
      load: (n) => {
        let sum = 0;
        for (let i = 0; i < n; i++) sum = (sum + k.load32((base + ((i & 1023) << 2)) as Vaddr)) | 0;
        return sum;
      },
      'raw store': (n) => {
        for (let i = 0; i < n; i++) raw[i & 1023] = i;
      },
      store: (n) => {
        for (let i = 0; i < n; i++) k.store32((base + ((i & 1023) << 2)) as Vaddr, i);
      },
    },
    2_000_000,
  );
}

/** Chain of free objects in a shared array, each the index of the next; the first word is the head, the second a lock. */
function freelist(): Int32Array {
  const raw = new Int32Array(new SharedArrayBuffer(4096 + 128));
  for (let i = 1; i <= 64; i++) raw[i * 16] = (i + 1) * 16;
  raw[0] = 16;
  return raw;
}

/** The words of a cache and a struct page that a pair of SLUB looks at and changes, as they would stand in an array. */
const CPU_SLAB = 2;
const STRUCT_PAGE = 4;
const LOCKLESS = STRUCT_PAGE + 1;
const OFFSET = STRUCT_PAGE + 2;
const OWNER = STRUCT_PAGE + 3;

/**
 * An object of 64 bytes allocated and freed, against chains of free objects in arrays: the first comes off and goes back. `raw` has the head in a register;
 * `head in memory` where other contexts would find it; `locked` takes a lock for each as well; `words of SLUB` looks at what SLUB looks at, without the
 * scheduling points, the masking of interrupts, the data cache and the way from an address to its struct page.
 */
function slab(allocator: 'slub' | 'slab'): Sample[] {
  const k = localKernel('cortex-a9', { slab: allocator });
  const raw = freelist();
  raw[CPU_SLAB] = STRUCT_PAGE;
  raw[LOCKLESS] = 32;
  kfree(k, kmalloc(k, 64, GFP_KERNEL));
  let head = 16;
  return measure(
    {
      raw: (n) => {
        for (let i = 0; i < n; i++) {
          const object = head;
          head = raw[object] as number;
          raw[object] = head;
          head = object;
        }
        return head;
      },
      'raw, head in memory': (n) => {
        for (let i = 0; i < n; i++) {
          const object = raw[0] as number;
          raw[0] = raw[object] as number;
          raw[object] = raw[0] as number;
          raw[0] = object;
        }
        return raw[0] as number;
      },
      'raw, locked': (n) => {
        for (let i = 0; i < n; i++) {
          while (Atomics.compareExchange(raw, 1, 0, 1) !== 0);
          const object = raw[0] as number;
          raw[0] = raw[object] as number;
          raw[1] = 0;
          while (Atomics.compareExchange(raw, 1, 0, 1) !== 0);
          raw[object] = raw[0] as number;
          raw[0] = object;
          raw[1] = 0;
        }
        return raw[0] as number;
      },
      'raw, words of SLUB': (n) => {
        for (let i = 0; i < n; i++) {
          const page = raw[CPU_SLAB] as number;
          const object = raw[page + 1] as number;
          raw[page + 1] = raw[object + (raw[OFFSET] as number)] as number;
          if (raw[page] !== 0 || raw[OWNER] !== 0 || raw[CPU_SLAB] !== page) return -1;
          raw[object + (raw[OFFSET] as number)] = raw[page + 1] as number;
          raw[page + 1] = object;
        }
        return raw[LOCKLESS] as number;
      },
      'kmalloc pair': (n) => {
        for (let i = 0; i < n; i++) kfree(k, kmalloc(k, 64, GFP_KERNEL));
      },
    },
    100_000,
  );
}

function locks(check: string): Sample[] {
  const k = localKernel('arm926', { check });
  const lockdep = lockdepOf(k, false);
  lockdep?.area.clear();
  k.watchLocks(lockdep);
  const raw = new Int32Array(new SharedArrayBuffer(64));
  return measure(
    {
      raw: (n) => {
        for (let i = 0; i < n; i++) {
          while (Atomics.compareExchange(raw, 0, 0, 1) !== 0);
          Atomics.store(raw, 0, 0);
        }
      },
      'raw, plain store': (n) => {
        for (let i = 0; i < n; i++) {
          while (Atomics.compareExchange(raw, 0, 0, 1) !== 0);
          raw[0] = 0;
        }
      },
      'lock pair': (n) => {
        for (let i = 0; i < n; i++) {
          spin_lock(k, k.sym.kmap_lock);
          spin_unlock(k, k.sym.kmap_lock);
        }
      },
      'irqsave pair': (n) => {
        for (let i = 0; i < n; i++) {
          const flags = spin_lock_irqsave(k, k.sym.kmap_lock);
          spin_unlock_irqrestore(k, k.sym.kmap_lock, flags);
        }
      },
    },
    300_000,
  );
}

/** Words of the hand-written loop: the same objects as kmap_high() uses, side by side. */
const Raw = {
  lock: 16,
  irqs: 32,
  preempt: 33,
  slot: 64,
  slotLock: 66,
  map: 128,
  count: 160,
  queue: 200,
  flags: 300,
} as const;
const PAGE = 77;

/**
 * kmap_high() and kunmap_high() of a mapped page by hand: the same loads, stores and atomics, no model around them. Locks are released by
 * Atomics.store, as JavaScript's memory model wants it, or with @plain by a plain store, as the model does where the host orders stores
 * (see cpu/hostlock.ts).
 */
function rawKmap(plain: boolean): (n: number) => void {
  const w = new Int32Array(new SharedArrayBuffer(4096));
  w[Raw.slot] = Raw.map;
  w[Raw.map] = Raw.slot;
  w[Raw.map + 1] = PAGE;
  w[Raw.map + 2] = 1;
  w[Raw.count] = 2;
  w[Raw.queue] = Raw.queue;
  w[Raw.flags] = 1 << 30;
  const lock = (at: number): number => {
    const flags = w[Raw.irqs] as number;
    w[Raw.irqs] = 1;
    w[Raw.preempt] = (w[Raw.preempt] as number) + 1;
    while (Atomics.compareExchange(w, at, 0, 1) !== 0);
    return flags;
  };
  const unlock = (at: number, flags: number): void => {
    if (plain) w[at] = 0;
    else Atomics.store(w, at, 0);
    w[Raw.irqs] = flags;
    w[Raw.preempt] = (w[Raw.preempt] as number) - 1;
  };
  const pageAddress = (page: number): number => {
    if ((w[Raw.flags] as number) >>> 30 === 0) return 0;
    const flags = lock(Raw.slotLock);
    let virtual = 0;
    for (let entry = w[Raw.slot] as number; entry !== Raw.slot; entry = w[entry] as number) {
      if (w[entry + 1] === page) {
        virtual = w[entry + 2] as number;
        break;
      }
    }
    unlock(Raw.slotLock, flags);
    return virtual;
  };
  const move = (by: number): void => {
    const flags = lock(Raw.lock);
    const at = Raw.count + pageAddress(PAGE) - 1;
    const count = (w[at] as number) + by;
    w[at] = count;
    if (count < 1) throw new Error('count');
    const wake = by < 0 && count === 1 && w[Raw.queue] !== Raw.queue;
    unlock(Raw.lock, flags);
    if (wake) throw new Error('nobody waits');
  };
  return (n) => {
    for (let i = 0; i < n; i++) {
      move(1);
      move(-1);
    }
  };
}

/** One baseline a worker: two instances of the same closures would keep V8 from treating what they close over as constant. */
function kmapPair(plain: boolean): Sample[] {
  const k = localKernel('arm926');
  const page = alloc_page(k, GFP_HIGHUSER);
  kmap(k, page);
  return measure(
    {
      raw: rawKmap(plain),
      'kmap pair': (n) => {
        for (let i = 0; i < n; i++) {
          kmap_high(k, page);
          kunmap_high(k, page);
        }
      },
    },
    60_000,
  );
}

/** 'areas/2.5.53/10': the group, and what it is about. */
function vmallocGroup(name: string): Sample[] {
  const [kind, ...rest] = name.split('/');
  if (kind === 'vmalloc') return vmallocPair(Number(rest[0]));
  if (kind === 'areas') return liveAreas(rest[0] as string, Number(rest[1]));
  return kind === 'order' ? pagePair(Number(rest[0])) : [];
}

const GROUPS: Readonly<Record<string, () => Sample[]>> = {
  'cached arm926': () => cached('arm926'),
  'cached cortex-a9': () => cached('cortex-a9'),
  'cached vivt-shared': () => cached('vivt-shared'),
  locks: () => locks(''),
  lockdep: () => locks('lockdep'),
  slub: () => slab('slub'),
  slab: () => slab('slab'),
  kmap: () => kmapPair(false),
  'kmap, plain release': () => kmapPair(true),
};

const group = GROUPS[workerData as string];
parentPort?.postMessage(group === undefined ? vmallocGroup(workerData as string) : group());
