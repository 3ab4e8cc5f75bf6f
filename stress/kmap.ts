/**
 * Torture of kmap(), kmap_high_get(), kmap_atomic(), kmap_flush_unused() and dma_map_page(): random operations on all CPUs and in
 * interrupts, with more pages than slots and more threads than slots.
 *
 * What has to hold: every byte that a CPU or a device reads is the last one that was stored. Pages have owners, one writer or several
 * readers, so what that byte is is known: a function of page, place and version. Whenever kmap_lock is free the invariants I1 to I5 hold.
 * Nobody waits for a slot for ever.
 *
 * Operations that a kernel or core cannot do right by itself are left out there (`rulesOf`); what is left has to be clean.
 */
import {
  __free_page,
  alloc_page,
  atomic_cmpxchg,
  atomic_read,
  checkPkmapInvariants,
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  type DmaDirection,
  dma_map_page,
  dma_unmap_page,
  expect,
  expectWord,
  GFP_HIGHUSER,
  in_irq,
  type Kernel,
  km_type,
  kmap,
  kmap_atomic,
  kmap_flush_unused,
  kmap_high_get,
  kunmap,
  kunmap_atomic,
  kunmap_high,
  LAST_PKMAP,
  memoryWord,
  NULL,
  type Paddr,
  type Page,
  PKMAP_ADDR,
  Prng,
  page_to_pfn,
  page_to_phys,
  pinnedSlots,
  race,
  raise_softirq,
  report,
  Softirq,
  type Vaddr,
  vaddr,
  waitqueue_active,
} from '../src/index.js';
import { initMeeting, meet } from './lib/meet.js';

/** Operations of each thread in one execution. */
const OPERATIONS_EACH = 100;
const THREADS_PER_CPU = 2;
/** At least so many, to be more than there are slots. */
const THREADS_MIN = 6;
const PAGES = 32;
/** After so many operations all threads crowd before a slot. */
const CROWD_EVERY = 10;
const CROWD_ROUNDS = 3;
const PAGE_BYTES = 4096;
/** Every part of a page has a version of its own. */
const CHUNK = 256;
const CHUNKS = PAGE_BYTES / CHUNK;
const LINE = 0;

const threadCount = (cpus: number): number => Math.max(THREADS_MIN, cpus * THREADS_PER_CPU);

// ---- what may be done where ----------------------------------------------------------------------------------------

interface Rules {
  /** kmap_atomic() sees what is dirty under the page's pkmap address: not on VIVT before 2.6.32 (highmem/E8). */
  readonly atomic: boolean;
  /** kmap_lock may be taken in interrupts. */
  readonly lockInIrq: boolean;
  /** DMA of a page that is not mapped is maintained: not on physically tagged caches before 2.6.34 (highmem/E9). */
  readonly dmaUnmapped: boolean;
  /** Maintenance reaches the caches of all CPUs; else a page for DMA must stay with one CPU. */
  readonly broadcast: boolean;
  /** Lines may come in that nobody asked for: maintenance at unmap is needed (highmem/E10). */
  readonly speculation: boolean;
}

function rulesOf(k: Kernel): Rules {
  const { core } = k.config;
  const vivt = core.dcache.tagBy === 'VA';
  return {
    atomic: !vivt || k.has('kmap-atomic-uses-pkmap'),
    lockInIrq: k.has('kmap-high-get'),
    dmaUnmapped: vivt || k.has('kmap-high-l1-vipt'),
    broadcast: core.coherence !== 'mesi' || core.cacheOpsBroadcast,
    speculation: core.speculativeFill && k.has('dma-speculative-prefetch'),
  };
}

// ---- pages, their owners and contents ------------------------------------------------------------------------------

const PAGE_AT = 0x000; // struct page of each
const OWNER_AT = 0x100; // 0 nobody, n readers, -1 a writer
const VERSION_AT = 0x200; // a word for each chunk, 2 KB
const TAKEN_AT = 0xc00; // interrupts of each CPU
const MEETING_AT = 0xd00; // where all threads meet

const WRITER = -1;

const wordAt = (k: Kernel, offset: number): Vaddr => vaddr(k.sym.race_data + offset);
const pageOf = (k: Kernel, i: number): Page => k.loadPtr<'page'>(wordAt(k, PAGE_AT + i * 4));
const ownerOf = (k: Kernel, i: number): Vaddr => wordAt(k, OWNER_AT + i * 4);
const versionAt = (k: Kernel, i: number, chunk: number): Vaddr => wordAt(k, VERSION_AT + (i * CHUNKS + chunk) * 4);

/** What the word at @offset of a page holds. */
const pattern = (pfn: number, version: number, offset: number): number =>
  (Math.imul(pfn ^ (version << 12), 0x9e3779b1) ^ Math.imul(offset + 1, 0x85ebca6b)) >>> 0;

/** Become one of the readers, or the writer, if that is possible at once. Context: any. */
function tryOwn(k: Kernel, i: number, writer: boolean): boolean {
  for (;;) {
    const owner = atomic_read(k, ownerOf(k, i));
    if (owner === WRITER || (writer && owner !== 0)) return false;
    if (atomic_cmpxchg(k, ownerOf(k, i), owner, writer ? WRITER : owner + 1) === owner) return true;
  }
}

function disown(k: Kernel, i: number, writer: boolean): void {
  for (;;) {
    const owner = atomic_read(k, ownerOf(k, i));
    expect(writer ? owner === WRITER : owner > 0, 'the suite itself has lost an owner', owner);
    if (atomic_cmpxchg(k, ownerOf(k, i), owner, writer ? 0 : owner - 1) === owner) return;
  }
}

/** The suite knows which part of which page it means. */
interface Chunk {
  readonly page: number;
  readonly chunk: number;
}

/** Read @bytes of a chunk through @addr, where the page is mapped. */
function verify(k: Kernel, { page, chunk }: Chunk, addr: Vaddr, where: string, bytes = CHUNK): void {
  const pfn = page_to_pfn(k, pageOf(k, page));
  const version = k.load(versionAt(k, page, chunk));
  for (let offset = chunk * CHUNK; offset < chunk * CHUNK + bytes; offset += 4) {
    expectWord(pfn, offset, pattern(pfn, version, offset), k.load32(vaddr(addr + offset)), where);
  }
}

/** Give a chunk new contents through @addr. The caller is the writer. Lines are read before they are stored to, or not. */
function rewrite(t: Torturer, { page, chunk }: Chunk, addr: Vaddr): void {
  const { k } = t;
  const pfn = page_to_pfn(k, pageOf(k, page));
  const version = k.load(versionAt(k, page, chunk)) + 1;
  const readFirst = chance(t, 2);
  for (let offset = chunk * CHUNK; offset < (chunk + 1) * CHUNK; offset += 4) {
    if (readFirst && offset % 16 === 0) k.load32(vaddr(addr + offset));
    k.store32(vaddr(addr + offset), pattern(pfn, version, offset));
  }
  k.store(versionAt(k, page, chunk), version);
}

/** A device reads a chunk. */
function deviceVerify(k: Kernel, { page, chunk }: Chunk, where: string): void {
  const pfn = page_to_pfn(k, pageOf(k, page));
  const version = k.load(versionAt(k, page, chunk));
  for (let offset = chunk * CHUNK; offset < (chunk + 1) * CHUNK; offset += 4) {
    expectWord(pfn, offset, pattern(pfn, version, offset), memoryWord(k, pageOf(k, page), offset), where);
  }
}

/** A device gives the words of [start, end) what they hold in @version. */
function deviceWrite(k: Kernel, page: number, version: number, start: number, end: number): void {
  const base = page_to_phys(k, pageOf(k, page));
  const pfn = page_to_pfn(k, pageOf(k, page));
  for (let offset = start; offset < end; offset += 4) {
    k.memory.write32((base + offset) as Paddr, pattern(pfn, version, offset));
  }
}

// ---- the operations of a thread ------------------------------------------------------------------------------------

interface Torturer {
  readonly k: Kernel;
  readonly prng: Prng;
  readonly index: number;
  readonly rules: Rules;
}

type Operation = (t: Torturer) => void;

const chance = (t: Torturer, oneIn: number): boolean => t.prng.below(oneIn) === 0;
const anyChunk = (t: Torturer, page: number): Chunk => ({ page, chunk: t.prng.below(CHUNKS) });

/** Where maintenance is local, the upper half of the pages belongs to a CPU each; only those are for DMA. */
const isPrivate = (page: number): boolean => page >= PAGES / 2;

/** Own some page, do @act with it, and let go of it. Nothing happens if the page is somebody else's. */
function withPage(t: Torturer, writer: boolean, act: (page: number) => void): void {
  const { k } = t;
  const page = t.prng.below(PAGES);
  if (!t.rules.broadcast && isPrivate(page) && page % k.config.cpus !== k.cpu) return;
  if (!tryOwn(k, page, writer)) return;
  act(page);
  disown(k, page, writer);
}

/** A page to give to a device: mapped, just unmapped so that it keeps its slot until the next wrap, or as it is. */
function withDmaPage(t: Torturer, writer: boolean, act: (page: number) => void): void {
  const { k, rules } = t;
  withPage(t, writer, (page) => {
    if (!rules.broadcast && !isPrivate(page)) return;
    const keep = !rules.dmaUnmapped || chance(t, 8);
    const touch = keep || !chance(t, 4);
    if (touch) {
      const addr = kmap(k, pageOf(k, page));
      if (writer) rewrite(t, anyChunk(t, page), addr);
      else verify(k, anyChunk(t, page), addr, 'read through kmap() before DMA');
      if (!keep) kunmap(k, pageOf(k, page));
    }
    act(page);
    if (keep) kunmap(k, pageOf(k, page));
  });
}

/** Others may run while the page is mapped. */
function maybeYield(t: Torturer): void {
  if (chance(t, 4)) t.k.schedule();
}

const OPERATIONS: readonly Operation[] = [
  function kmap_write(t) {
    const { k } = t;
    withPage(t, true, (page) => {
      const addr = kmap(k, pageOf(k, page));
      const chunk = anyChunk(t, page);
      rewrite(t, chunk, addr);
      maybeYield(t);
      verify(k, chunk, addr, 'read back through kmap()');
      rewrite(t, anyChunk(t, page), addr);
      kunmap(k, pageOf(k, page));
    });
  },

  function kmap_read(t) {
    const { k } = t;
    withPage(t, false, (page) => {
      const addr = kmap(k, pageOf(k, page));
      verify(k, anyChunk(t, page), addr, 'read through kmap()');
      maybeYield(t);
      verify(k, anyChunk(t, page), addr, 'read through kmap()');
      kunmap(k, pageOf(k, page));
    });
  },

  /** Two users of one mapping, in one thread: the second one takes no slot. */
  function kmap_twice(t) {
    const { k } = t;
    withPage(t, false, (page) => {
      const addr = kmap(k, pageOf(k, page));
      expect(kmap(k, pageOf(k, page)) === addr, 'a page that is mapped got a second address', addr);
      kunmap(k, pageOf(k, page));
      verify(k, anyChunk(t, page), addr, 'read through the second kmap()');
      kunmap(k, pageOf(k, page));
    });
  },

  function kmap_high_get_read(t) {
    const { k } = t;
    if (!k.has('kmap-high-get')) return;
    withPage(t, false, (page) => {
      const addr = kmap_high_get(k, pageOf(k, page));
      if (addr === NULL) return;
      verify(k, anyChunk(t, page), addr, 'read through kmap_high_get()');
      kunmap_high(k, pageOf(k, page));
    });
  },

  function kmap_atomic_write(t) {
    const { k } = t;
    if (!t.rules.atomic) return;
    withPage(t, true, (page) => {
      const addr = kmap_atomic(k, pageOf(k, page), km_type.KM_USER0);
      const chunk = anyChunk(t, page);
      rewrite(t, chunk, addr);
      verify(k, chunk, addr, 'read back through kmap_atomic()');
      kunmap_atomic(k, vaddr(addr + t.prng.below(PAGE_BYTES)), km_type.KM_USER0);
    });
  },

  /** From one page to another, as copy_highpage() nests its two slots. */
  function kmap_atomic_pair(t) {
    const { k } = t;
    if (!t.rules.atomic) return;
    withPage(t, false, (from) =>
      withPage(t, true, (to) => {
        const source = kmap_atomic(k, pageOf(k, from), km_type.KM_USER0);
        const target = kmap_atomic(k, pageOf(k, to), km_type.KM_USER1);
        verify(k, anyChunk(t, from), source, 'read through the first of two kmap_atomic()');
        rewrite(t, anyChunk(t, to), target);
        kunmap_atomic(k, source, km_type.KM_USER0);
        kunmap_atomic(k, target, km_type.KM_USER1);
      }),
    );
  },

  /** A device reads what the CPUs have stored. */
  function dma_to_device(t) {
    const { k } = t;
    withDmaPage(t, false, (page) => {
      const chunk = anyChunk(t, page);
      transfer(k, chunk, DMA_TO_DEVICE, () => deviceVerify(k, chunk, 'read by a device, DMA_TO_DEVICE'));
    });
  },

  /** A device writes a chunk, and nothing of it is lost or stale. */
  function dma_from_device(t) {
    const { k } = t;
    withDmaPage(t, true, (page) => {
      const chunk = anyChunk(t, page);
      transfer(k, chunk, DMA_FROM_DEVICE, () => deviceRewrite(k, chunk));
    });
  },

  /** A device writes the whole page: 128 lines to invalidate. */
  function dma_whole_page(t) {
    const { k } = t;
    withDmaPage(t, true, (page) => {
      const handle = dma_map_page(k, pageOf(k, page), 0, PAGE_BYTES, DMA_FROM_DEVICE);
      for (let chunk = 0; chunk < CHUNKS; chunk++) deviceRewrite(k, { page, chunk });
      dma_unmap_page(k, handle, PAGE_BYTES, DMA_FROM_DEVICE);
    });
  },

  function dma_bidirectional(t) {
    const { k } = t;
    withDmaPage(t, true, (page) => {
      const chunk = anyChunk(t, page);
      transfer(k, chunk, DMA_BIDIRECTIONAL, () => {
        deviceVerify(k, chunk, 'read by a device, DMA_BIDIRECTIONAL');
        deviceRewrite(k, chunk);
      });
    });
  },

  /** A buffer that shares its first and last line with other data of the page (highmem/E11 i). */
  function dma_partial_lines(t) {
    const { k } = t;
    withDmaPage(t, true, (page) => {
      const { chunk } = anyChunk(t, page);
      const start = chunk * CHUNK + 4 + t.prng.below(16) * 4;
      const end = start + 4 + t.prng.below(32) * 4;
      const next = k.load(versionAt(k, page, chunk)) + 1;
      const handle = dma_map_page(k, pageOf(k, page), start, end - start, DMA_FROM_DEVICE);
      deviceWrite(k, page, next, start, end);
      dma_unmap_page(k, handle, end - start, DMA_FROM_DEVICE);
      const addr = kmap(k, pageOf(k, page));
      verifySpliced(k, { page, chunk }, addr, start, end);
      rewrite(t, { page, chunk }, addr);
      kunmap(k, pageOf(k, page));
    });
  },

  /** A page of one's own: its frame may still be mapped from its last owner. */
  function short_lived_page(t) {
    const { k } = t;
    const page = alloc_page(k, GFP_HIGHUSER);
    if (page === NULL) return;
    const pfn = page_to_pfn(k, page);
    const version = t.prng.u32();
    const [start, end] = [t.prng.below(CHUNKS) * CHUNK, PAGE_BYTES];
    const addr = kmap(k, page);
    for (let offset = start; offset < end; offset += 32) {
      k.store32(vaddr(addr + offset), pattern(pfn, version, offset));
    }
    kunmap(k, page);
    const again = kmap(k, page);
    for (let offset = start; offset < end; offset += 32) {
      const seen = k.load32(vaddr(again + offset));
      expectWord(pfn, offset, pattern(pfn, version, offset), seen, 'read after a second kmap()');
    }
    kunmap(k, page);
    __free_page(k, page);
  },

  function flush_unused(t) {
    kmap_flush_unused(t.k);
  },

  function invariants(t) {
    checkSlots(t.k);
  },

  function speculate(t) {
    const { k } = t;
    if (!t.rules.speculation) return;
    const slot = PKMAP_ADDR(k, t.prng.below(LAST_PKMAP(k)));
    for (let i = 0; i < 16; i++) k.mmu.speculativeFill(slot + t.prng.below(PAGE_BYTES / 4) * 4);
  },
];

/**
 * A crowd before the last slot: some threads hold all others, the rest want one each at the same moment. The next wake-up comes only
 * when everybody has had it, so one that is lost is not made up for.
 */
function crowd(t: Torturer): void {
  const { k } = t;
  const threads = threadCount(k.config.cpus);
  const holds = t.index < LAST_PKMAP(k) - 1;
  const page = chance(t, 8) && !holds ? LAST_PKMAP(k) : t.index;
  meet(k, wordAt(k, MEETING_AT), threads);
  expect(tryOwn(k, page, false), 'the suite itself has lost an owner', page);
  if (holds) kmap(k, pageOf(k, page));
  meet(k, wordAt(k, MEETING_AT), threads);
  for (let round = 0; round < CROWD_ROUNDS; round++) {
    if (!holds) {
      const addr = kmap(k, pageOf(k, page));
      verify(k, anyChunk(t, page), addr, 'read in a crowd', 32);
      if (chance(t, 2)) k.schedule();
      kunmap(k, pageOf(k, page));
    }
    meet(k, wordAt(k, MEETING_AT), threads);
  }
  if (holds) kunmap(k, pageOf(k, page));
  disown(k, page, false);
}

/** The operations as often as each is to be chosen: more of those that give slots to others, and of the longest maintenance. */
const CHOICE: readonly Operation[] = OPERATIONS.flatMap((operation) => {
  const often = ['kmap_write', 'dma_whole_page'].includes(operation.name);
  return often ? [operation, operation, operation] : [operation];
});

/** dma_map_page() and dma_unmap_page() around what the device does with a chunk. */
function transfer(k: Kernel, { page, chunk }: Chunk, dir: DmaDirection, act: () => void): void {
  const handle = dma_map_page(k, pageOf(k, page), chunk * CHUNK, CHUNK, dir);
  act();
  dma_unmap_page(k, handle, CHUNK, dir);
}

/** A device gives a chunk new contents. The caller is the writer. */
function deviceRewrite(k: Kernel, { page, chunk }: Chunk): void {
  const version = k.load(versionAt(k, page, chunk)) + 1;
  deviceWrite(k, page, version, chunk * CHUNK, (chunk + 1) * CHUNK);
  k.store(versionAt(k, page, chunk), version);
}

/** The device has written [start, end) of the chunk; the rest is as before. */
function verifySpliced(k: Kernel, { page, chunk }: Chunk, addr: Vaddr, start: number, end: number): void {
  const pfn = page_to_pfn(k, pageOf(k, page));
  const version = k.load(versionAt(k, page, chunk));
  for (let offset = chunk * CHUNK; offset < (chunk + 1) * CHUNK; offset += 4) {
    const inside = offset >= start && offset < end;
    const expected = pattern(pfn, inside ? version + 1 : version, offset);
    const where = inside ? 'written by a device' : 'beside what a device wrote';
    expectWord(pfn, offset, expected, k.load32(vaddr(addr + offset)), where);
  }
}

// ---- interrupts ----------------------------------------------------------------------------------------------------

/** In a hard or soft interrupt: read some page through whatever mapping there is. */
function readInInterrupt(k: Kernel, type: km_type): void {
  const count = wordAt(k, TAKEN_AT + k.cpu * 4);
  const chance = Math.imul(k.load(count) * 2 + (in_irq(k) ? 1 : 0), 0x9e3779b1) >>> 0;
  const rules = rulesOf(k);
  const page = chance % PAGES;
  if (!rules.broadcast && isPrivate(page)) return;
  if (!tryOwn(k, page, false)) return;
  const chunk = { page, chunk: (chance >>> 8) % CHUNKS };
  const how = (chance >>> 16) % 3;
  if (how === 0 && rules.lockInIrq) {
    const addr = kmap_high_get(k, pageOf(k, page));
    if (addr !== NULL) {
      verify(k, chunk, addr, 'read through kmap_high_get() in an interrupt', 64);
      kunmap_high(k, pageOf(k, page));
    }
  } else if (how === 1 && rules.atomic && (rules.lockInIrq || !k.has('kmap-atomic-uses-pkmap'))) {
    const addr = kmap_atomic(k, pageOf(k, page), type);
    verify(k, chunk, addr, 'read through kmap_atomic() in an interrupt', 64);
    kunmap_atomic(k, addr, type);
  } else if (how === 2 && rules.dmaUnmapped) {
    transfer(k, chunk, DMA_TO_DEVICE, () => deviceVerify(k, chunk, 'read by a device, mapped in an interrupt'));
  }
  disown(k, page, false);
}

function handler(k: Kernel): void {
  const count = wordAt(k, TAKEN_AT + k.cpu * 4);
  k.store(count, k.load(count) + 1);
  readInInterrupt(k, km_type.KM_IRQ0);
  raise_softirq(k, Softirq.TASKLET);
}

// ---- the race ------------------------------------------------------------------------------------------------------

function torture(k: Kernel, index: number): void {
  const t: Torturer = { k, prng: Prng.of(k.config.seed, k.execution, index), index, rules: rulesOf(k) };
  for (let i = 1; i <= OPERATIONS_EACH; i++) {
    if (chance(t, 4)) k.raise(t.prng.below(k.config.cpus), LINE);
    const operation = CHOICE[t.prng.below(CHOICE.length)]!;
    operation(t);
    if (i % CROWD_EVERY === 0) crowd(t);
    expect(!k.irqsOff && k.preemptCount === 0, `interrupts or preemption are off after ${operation.name}`);
  }
}

function setup(k: Kernel): void {
  initMeeting(k, wordAt(k, MEETING_AT));
  for (let i = 0; i < PAGES; i++) {
    k.store(wordAt(k, PAGE_AT + i * 4), alloc_page(k, GFP_HIGHUSER));
    for (let chunk = 0; chunk < CHUNKS; chunk++) deviceRewrite(k, { page: i, chunk });
  }
}

/** I1 to I5, under kmap_lock. */
function checkSlots(k: Kernel): void {
  const [wrong] = checkPkmapInvariants(k);
  if (wrong !== undefined) report(wrong);
}

/** Every byte of every page, then the slots, then nobody waits. */
function check(k: Kernel): void {
  for (let page = 0; page < PAGES; page++) {
    expect(atomic_read(k, ownerOf(k, page)) === 0, 'the suite itself has lost an owner', page);
    const addr = kmap(k, pageOf(k, page));
    for (let chunk = 0; chunk < CHUNKS; chunk++) verify(k, { page, chunk }, addr, 'in the end');
    kunmap(k, pageOf(k, page));
  }
  checkSlots(k);
  expect(pinnedSlots(k) === 0, 'a slot has a user left');
  expect(!waitqueue_active(k, k.sym.pkmap_map_wait), 'a waiter is left on pkmap_map_wait');
  kmap_flush_unused(k);
  checkSlots(k);
  expect(pinnedSlots(k) === 0, 'a slot has a user left');
  if (k.config.core.dcache.tagBy !== 'VA') return;
  for (let page = 0; page < PAGES; page++) {
    for (let chunk = 0; chunk < CHUNKS; chunk++) deviceVerify(k, { page, chunk }, 'in memory after the last flush');
  }
}

export default race({
  id: 'stress-kmap',
  title: 'kmap, kmap_atomic, kmap_high_get and DMA maintenance under random load',
  source: 'stress suite',
  spec: ['highmem/E18'],
  machine: { core: 'vivt-shared', cpus: 4, kernel: '2.6.32', pkmapSlots: 4, highmemPages: 64 },
  cases: [
    { name: 'shared VIVT', outcome: 'clean' },
    { name: 'Cortex-A9', machine: { core: 'cortex-a9', kernel: '2.6.35' }, outcome: 'clean' },
    // kmap_lock with interrupts off does not go with TLB flushes by inter-processor call: no kmap_high_get() there.
    {
      name: 'ARM11 MPCore',
      machine: { core: 'arm11mpcore', kernel: '2.6.31', patches: ['-kmap-high-get'] },
      outcome: 'clean',
    },
    { name: 'one CPU', machine: { core: 'arm926', cpus: 1, debugHighmem: true, hz: 1000 }, outcome: 'clean' },
  ],
  executionSeconds: 15,
  stallPoints: 1000,
  setup,
  threads: ({ cpus }) =>
    Array.from({ length: threadCount(cpus) }, (_, index) => ({
      cpu: index % cpus,
      mm: index % 3,
      run: (k) => torture(k, index),
    })),
  irqs: { [LINE]: handler },
  softirqs: { [Softirq.TASKLET]: (k) => readInInterrupt(k, km_type.KM_SOFTIRQ0) },
  check,
});
