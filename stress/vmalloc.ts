/**
 * Torture of vmalloc(): areas of random sizes and alignments on all CPUs, held for a while, read back word for word, freed in process context and in interrupts,
 * while others read anywhere in the vmalloc range by vread(), and a list of other areas is in the way.
 *
 * What has to hold: every word of an area is what its owner stored, until it frees the area; no two owners have an address. Pages that their owner maps keep
 * what was stored at their linear address, and afterwards have there what was stored through the mapping. Now and then all threads meet, and the invariants of
 * spec/vmalloc-gfp.md §12.5 hold. Once all read an area that is then freed and allocated again with other pages, and once all reserve and free at the same
 * time, so that what only goes wrong between two CPUs does not wait for chance. When all is freed nothing is left.
 *
 * What a kernel cannot do by itself is left out there (`rulesOf`); what is left has to be clean.
 */
import {
  __free_page,
  __get_free_page,
  __vmalloc,
  alloc_page,
  atomic_xchg,
  checkVmallocInvariants,
  expect,
  expectWord,
  flush_scheduled_work,
  free_page,
  get_vm_area,
  gfp,
  type Kernel,
  kfree,
  kmalloc,
  type Mutex,
  mutex_init,
  mutex_lock,
  mutex_unlock,
  NULL,
  Prng,
  page_address,
  page_to_pfn,
  ptr,
  purge_vmap_area_lazy,
  type RaceSpec,
  race,
  struct_vm_struct,
  type Vaddr,
  VM_IOREMAP,
  VMAP_MAX_ALLOC,
  vaddr,
  vfree,
  vm_map_ram,
  vm_unmap_aliases,
  vm_unmap_ram,
  vmalloc,
  vmalloc_to_page,
  vmap,
  vread,
  vunmap,
} from '../src/index.js';
import { initMeeting, meet } from './lib/meet.js';

const LINE = 5;
const PAGE = 4096;
const PAGES_MAX = 9;
/** Pages that all threads together hold at most, whatever their number. */
const PAGES_HELD = 1200;
/** Areas that a thread holds at once. */
const HELD = 5;
const ROUNDS = 3;
/** Operations of a thread between two meetings. */
const OPERATIONS = 20;
/** What these kernels read without the lock of those who write it: docs/checkers.md. */
const RACES = ['races: pmd_none', 'races: get_vm_area', 'races: rmqueue_bulk'];
const THREADS_PER_CPU = 2;
/** Areas that each thread reserves while all others do. */
const RESERVED_TOGETHER = 12;
/** Areas that are there all the time, each with a hole behind it. */
const BUSY = 40;

// ---- what may be done where ----------------------------------------------------------------------------------------

interface Rules {
  /** vread() of an area that is not the reader's: until 2.6.31 it faults where pages are missing. */
  readonly readsAnywhere: boolean;
  /** vread() sees what is dirty in the cache under the vmalloc address: from 2.6.32 on, not where addresses alias. */
  readonly readsOwn: boolean;
  /** vfree() in interrupts: a BUG until 3.x. */
  readonly freesInInterrupts: boolean;
  /**
   * Two must not allocate and free at a time: 2.5.53 gives the address of an area away before its entries are cleared; 2.6.28 to 2.6.34 have a variable that
   * all callers share.
   */
  readonly alone: boolean;
  /** vm_map_ram(): from 2.6.28 on. */
  readonly mapsRam: boolean;
}

function rulesOf(k: Kernel): Rules {
  const version = k.LINUX_VERSION_CODE;
  const aliases = k.arch.id !== 'arm' || k.config.core.dcache.tagBy === 'VA';
  const modern = version >= 0x030a00;
  return {
    readsAnywhere: version >= 0x020620,
    readsOwn: version < 0x020620 || !aliases,
    freesInInterrupts: modern,
    mapsRam: version >= 0x02061c,
    alone: version < 0x020600 || (version >= 0x02061c && !modern),
  };
}

/** What fixtures replace, to see that it is missed. */
export interface TortureFunctions {
  readonly mutex_lock: typeof mutex_lock;
  readonly mutex_unlock: typeof mutex_unlock;
}

// ---- where everything is: k.sym.race_data --------------------------------------------------------------------------

const place = (k: Kernel, offset: number): Vaddr => vaddr(k.sym.race_data + offset);
const alone = (k: Kernel): Mutex => ptr<'mutex'>(place(k, 0x40));
const meeting = (k: Kernel): Vaddr => place(k, 0x80);
/** Address and key of the area that all read. */
const relayed = (k: Kernel): { readonly addr: Vaddr; readonly key: Vaddr } => ({
  addr: place(k, 0xa0),
  key: place(k, 0xa4),
});
const busy = (k: Kernel, index: number): Vaddr => place(k, 0x100 + index * 4);
/** The word of a CPU that holds an area for its handler to free. */
const handedOver = (k: Kernel, cpu: number): Vaddr => place(k, 0x400 + 64 * cpu);

// ---- areas and their words -----------------------------------------------------------------------------------------

interface Area {
  readonly addr: Vaddr;
  readonly bytes: number;
  readonly key: number;
  /** Its struct page *, of `ram` and `map`. */
  readonly array?: Vaddr;
  /**
   * From vmalloc(); addresses without pages; a page of the page allocator, at its linear address, to which pages of the others go and come
   * from; pages under an address of vm_map_ram() or of vmap().
   */
  readonly kind: 'vmalloc' | 'io' | 'page' | 'ram' | 'map';
}

interface Torturer {
  readonly k: Kernel;
  readonly f: TortureFunctions;
  readonly prng: Prng;
  readonly rules: Rules;
  readonly pagesMax: number;
  readonly held: Area[];
  /** For vread(). */
  readonly buffer: Vaddr;
}

const wordOf = (area: Area, offset: number): number =>
  (Math.imul(area.key + offset, 0x9e3779b1) ^ Math.imul(area.addr, 0x85ebca6b)) >>> 0;

/** Bytes get lost by pages and lines: a word of every half line is stored and compared, which one depends on the area. */
const STRIDE = 16;
const firstWord = (area: Area): number => 4 * (area.key % 4);

function store(k: Kernel, area: Area): void {
  for (let at = firstWord(area); at < area.bytes; at += STRIDE) k.store32(vaddr(area.addr + at), wordOf(area, at));
}

/** @seen is what the owner stored there. */
function expectSame(k: Kernel, area: Area, at: number, seen: number, where: string): void {
  const expected = wordOf(area, at);
  if (seen >>> 0 === expected) return;
  const addr = vaddr(area.addr + at);
  const frame = area.kind === 'page' ? k.__pa(addr) >>> 12 : page_to_pfn(k, vmalloc_to_page(k, addr));
  expectWord(frame, at & (PAGE - 1), expected, seen, where);
}

function compare(k: Kernel, area: Area, where: string): void {
  if (area.kind === 'io') return;
  for (let at = firstWord(area); at < area.bytes; at += STRIDE) {
    expectSame(k, area, at, k.load32(vaddr(area.addr + at)), where);
  }
}

/** Linear address of the @at th byte of pages that are mapped. */
function linear(k: Kernel, area: Area, at: number): Vaddr {
  const page = k.loadPtr<'page'>(vaddr((area.array as number) + (at >>> 12) * 4));
  return vaddr(page_address(k, page) + (at & (PAGE - 1)));
}

/** The lines are in the cache before the store, since caches that allocate on reads only have nothing dirty else. */
function storeLinear(k: Kernel, area: Area): void {
  for (let at = firstWord(area); at < area.bytes; at += STRIDE) {
    const addr = linear(k, area, at);
    k.load32(addr);
    k.store32(addr, wordOf(area, at));
  }
}

/** Where the bytes are when nothing is mapped any more. */
function compareLinear(k: Kernel, area: Area): void {
  for (let at = firstWord(area); at < area.bytes; at += STRIDE) {
    const addr = linear(k, area, at);
    const seen = k.load32(addr) >>> 0;
    const expected = wordOf(area, at);
    if (seen !== expected) expectWord(k.__pa(addr) >>> 12, at & (PAGE - 1), expected, seen, 'after it is unmapped');
  }
}

// ---- the operations ------------------------------------------------------------------------------------------------

/** What other threads must not come in between, where that matters. */
function begin({ k, f, rules }: Torturer): void {
  if (rules.alone) f.mutex_lock(k, alone(k));
}

function end({ k, f, rules }: Torturer): void {
  if (rules.alone) f.mutex_unlock(k, alone(k));
}

function allocate(t: Torturer): void {
  const bytes = PAGE * (1 + t.prng.below(t.pagesMax));
  begin(t);
  const addr = vmalloc(t.k, bytes);
  end(t);
  if (addr === NULL) return;
  const area = { addr, bytes, key: t.prng.u32(), kind: 'vmalloc' } as const;
  store(t.k, area);
  t.held.push(area);
}

/** Addresses as for I/O memory: aligned to a power of two. */
function reserve(t: Torturer): void {
  const bytes = PAGE << t.prng.below(4);
  begin(t);
  const area = get_vm_area(t.k, bytes, VM_IOREMAP);
  end(t);
  const addr = vaddr(t.k.read(area, struct_vm_struct.addr));
  // 2.5.53 aligns to nothing but pages; later ones to @bytes at least.
  const align = t.k.LINUX_VERSION_CODE < 0x020600 ? PAGE : bytes;
  expect(addr % align === 0, 'area for I/O memory is aligned', addr, bytes);
  t.held.push({ addr, bytes, key: 0, kind: 'io' });
}

function takePage(t: Torturer): void {
  const addr = __get_free_page(t.k, gfp(t.k).GFP_KERNEL);
  if (addr === NULL) return;
  const area = { addr, bytes: PAGE, key: t.prng.u32(), kind: 'page' } as const;
  store(t.k, area);
  t.held.push(area);
}

/** Pages of the caller's, with what it has stored in them: their array comes from kmalloc(). */
function mapPages(t: Torturer, kind: 'ram' | 'map'): void {
  const { k } = t;
  const { GFP_KERNEL } = gfp(k);
  const count = t.prng.below(8) === 0 ? VMAP_MAX_ALLOC + 1 : 1 + t.prng.below(t.pagesMax);
  const array = kmalloc<'page *'>(k, count * 4, GFP_KERNEL);
  for (let i = 0; i < count; i++) k.store(vaddr(array + i * 4), alloc_page(k, GFP_KERNEL));
  const before: Area = { addr: NULL, bytes: count * PAGE, key: t.prng.u32(), kind, array };
  storeLinear(k, before);
  begin(t);
  const addr = kind === 'ram' ? vm_map_ram(k, array, count) : vmap(k, array, count);
  end(t);
  expect(addr !== NULL, 'vm_map_ram() has room');
  for (let at = firstWord(before); at < before.bytes; at += STRIDE) {
    const seen = k.load32(vaddr(addr + at)) >>> 0;
    const expected = wordOf(before, at);
    const frame = k.__pa(linear(k, before, at)) >>> 12;
    if (seen !== expected) expectWord(frame, at & (PAGE - 1), expected, seen, 'when it has been mapped');
  }
  const area = { ...before, addr, key: t.prng.u32() };
  store(k, area);
  t.held.push(area);
}

/** The pages go back only when no CPU has a translation of them. */
function unmapPages(t: Torturer, area: Area): void {
  const { k } = t;
  const array = vaddr(area.array as number);
  begin(t);
  if (area.kind === 'ram') vm_unmap_ram(k, area.addr, area.bytes / PAGE);
  else vunmap(k, area.addr);
  vm_unmap_aliases(k);
  end(t);
  compareLinear(k, area);
  for (let at = 0; at < area.bytes / PAGE; at++) __free_page(k, k.loadPtr<'page'>(vaddr(array + at * 4)));
  kfree(k, array);
}

/** Its lines are dirty when it goes, as often as not. */
function free(t: Torturer, area: Area): void {
  compare(t.k, area, 'before it is freed');
  if (area.kind !== 'io' && t.prng.below(2) === 0) store(t.k, area);
  if (area.kind === 'page') {
    free_page(t.k, area.addr);
    return;
  }
  if (area.kind === 'ram' || area.kind === 'map') {
    unmapPages(t, area);
    return;
  }
  begin(t);
  if (area.kind === 'io') vunmap(t.k, area.addr);
  else vfree(t.k, area.addr);
  end(t);
}

/** The handler of this CPU frees it, or whoever comes next if it has not yet. */
function freeInInterrupt(t: Torturer, area: Area): void {
  if (area.kind !== 'vmalloc' || !t.rules.freesInInterrupts) {
    free(t, area);
    return;
  }
  compare(t.k, area, 'before an interrupt frees it');
  const before = vaddr(atomic_xchg(t.k, handedOver(t.k, t.k.cpu), area.addr | 0));
  if (before !== NULL) vfree(t.k, before);
  t.k.raise(t.k.cpu, LINE);
}

/** A part of an own area, or of whatever is there. */
function read(t: Torturer, area: Area | undefined): void {
  const { k, prng, buffer } = t;
  const bytes = 4 * (1 + prng.below(64));
  if (area?.kind === 'vmalloc' && t.rules.readsOwn) {
    const from = firstWord(area) + STRIDE * prng.below(Math.floor((area.bytes - bytes) / STRIDE));
    expect(vread(k, buffer, vaddr(area.addr + from), bytes) === bytes, 'vread() of an area');
    for (let at = 0; at < bytes; at += STRIDE) {
      expectSame(k, area, from + at, k.load32(vaddr(buffer + at)), 'vread()');
    }
  } else if (t.rules.readsAnywhere) {
    const space = PAGE * (BUSY * 4 + PAGES_HELD);
    vread(k, buffer, vaddr(k.arch.VMALLOC_START(k) + prng.below(space)), bytes);
  }
}

function operate(t: Torturer): void {
  const what = t.prng.below(16);
  const at = t.prng.below(HELD);
  const area = t.held[at];
  if (what < 4 && area === undefined) allocate(t);
  else if (what < 5 && area === undefined) mapPages(t, t.rules.mapsRam && t.prng.below(4) !== 0 ? 'ram' : 'map');
  else if (what < 6 && area === undefined) takePage(t);
  else if (what < 8 && area === undefined) reserve(t);
  else if (what < 9 && area !== undefined) compare(t.k, area, 'while it is held');
  else if (what < 13 && area !== undefined) {
    t.held.splice(at, 1);
    if (what < 12) free(t, area);
    else freeInInterrupt(t, area);
  } else if (what < 15) read(t, area);
  else if (t.prng.below(2) === 0) flush_scheduled_work(t.k);
  else purge_vmap_area_lazy(t.k);
}

/** Map pages and unmap them again at once, while nobody else works: what is dirty when an address goes is dirty for certain. */
function mapAndUnmap(t: Torturer): void {
  for (const kind of t.rules.mapsRam ? (['ram', 'map'] as const) : (['map'] as const)) {
    mapPages(t, kind);
    unmapPages(t, t.held.pop() as Area);
  }
}

/**
 * All threads read an area; its owner frees it and gets the same addresses again, with other pages; all read them again. Who has kept a translation
 * reads a page that is somebody else's by then.
 */
function relay(t: Torturer, index: number, together: () => void): void {
  const { k } = t;
  const { addr, key } = relayed(k);
  together();
  const readAll = (): void => {
    together();
    compare(
      k,
      { addr: vaddr(k.load(addr) >>> 0), bytes: PAGE, key: k.load(key) >>> 0, kind: 'vmalloc' },
      'by all CPUs',
    );
    together();
  };
  if (index === 0) {
    mapAndUnmap(t);
    purge_vmap_area_lazy(k);
    publish(t);
  }
  readAll();
  if (index === 0) {
    vfree(k, vaddr(k.load(addr) >>> 0));
    purge_vmap_area_lazy(k);
    takePage(t);
    takePage(t);
    publish(t);
  }
  readAll();
  if (index === 0) vfree(k, vaddr(k.load(addr) >>> 0));
}

/** An area for relay(). Nobody else is at work. */
function publish(t: Torturer): void {
  const { k } = t;
  const area = {
    addr: __vmalloc(k, PAGE, gfp(k).GFP_KERNEL),
    bytes: PAGE,
    key: t.prng.u32(),
    kind: 'vmalloc',
  } as const;
  expect(area.addr !== NULL, 'vmalloc() of a page');
  store(k, area);
  k.store(relayed(k).addr, area.addr);
  k.store(relayed(k).key, area.key);
}

/** All threads reserve addresses at the same time, and give them back. */
function reserveTogether(t: Torturer, index: number, together: () => void): void {
  const mine: Area[] = [];
  for (let i = 0; i < RESERVED_TOGETHER; i++) {
    reserve(t);
    mine.push(t.held.pop() as Area);
  }
  together();
  if (index === 0) look(t.k);
  together();
  for (const area of mine) free(t, area);
}

function torture(k: Kernel, index: number, threads: number, f: TortureFunctions): void {
  const t: Torturer = {
    k,
    f,
    prng: new Prng(k.config.seed * 977 + k.execution * 61 + index),
    rules: rulesOf(k),
    pagesMax: Math.max(1, Math.min(PAGES_MAX, Math.floor(PAGES_HELD / (threads * HELD)))),
    held: [],
    buffer: k.vars.buffers === undefined ? NULL : vaddr(k.vars.buffers + index * PAGE),
  };
  const together = (): void => meet(k, meeting(k), threads);
  relay(t, index, together);
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < OPERATIONS; i++) operate(t);
    together();
    if (index === 0) look(k);
    together();
    if (round === 0) reserveTogether(t, index, together);
  }
  for (const area of t.held) free(t, area);
}

/** Nobody else is at work. */
function look(k: Kernel): void {
  const wrong = checkVmallocInvariants(k);
  expect(wrong === null, wrong ?? '');
}

// ---- before and after ----------------------------------------------------------------------------------------------

function setup(k: Kernel): void {
  mutex_init(k, alone(k));
  initMeeting(k, meeting(k));
  const holes: Vaddr[] = [];
  for (let i = 0; i < 2 * BUSY; i++) {
    const addr = vaddr(k.read(get_vm_area(k, PAGE, VM_IOREMAP), struct_vm_struct.addr));
    if (i % 2 === 0) k.store(busy(k, i / 2), addr);
    else holes.push(addr);
  }
  for (const addr of holes) vunmap(k, addr);
  purge_vmap_area_lazy(k);
  k.vars.buffers = vmalloc(k, PAGE * k.config.cpus * THREADS_PER_CPU);
}

/** Free what is left, and find the range empty. */
function check(k: Kernel): void {
  for (let cpu = 0; cpu < k.config.cpus; cpu++) {
    const left = vaddr(atomic_xchg(k, handedOver(k, cpu), NULL));
    if (left !== NULL) vfree(k, left);
  }
  flush_scheduled_work(k);
  look(k);
  for (let i = 0; i < BUSY; i++) vunmap(k, k.loadPtr<'vm_struct'>(busy(k, i)));
  vfree(k, vaddr(k.vars.buffers as number));
  purge_vmap_area_lazy(k);
  const first = vmalloc(k, PAGE);
  expect(first === k.arch.VMALLOC_START(k), 'all areas are gone', first);
}

/** The suite with some functions of its own. */
export const vmallocTorture = (functions: Partial<TortureFunctions> = {}): RaceSpec =>
  race({
    id: 'stress-vmalloc',
    title: 'vmalloc, vfree and vread under random load',
    source: 'stress suite',
    machine: { core: 'cortex-a9', cpus: 4, kernel: '4.12', lowmemPages: 2048, highmemPages: 64 },
    cases: [
      { name: '4.12', outcome: 'clean', reports: RACES },
      { name: '4.10, shared VIVT', machine: { kernel: '4.10', core: 'vivt-shared' }, outcome: 'clean', reports: RACES },
      { name: '2.6.34, one CPU', machine: { kernel: '2.6.34', core: 'arm926' }, outcome: 'clean', reports: RACES },
      { name: '2.6.34', machine: { kernel: '2.6.34' }, outcome: 'clean', reports: RACES },
      {
        name: '2.6.22, shared VIVT',
        machine: { kernel: '2.6.22', core: 'vivt-shared' },
        outcome: 'clean',
        reports: RACES,
      },
      {
        name: '2.5.53, ARM11 MPCore',
        machine: { kernel: '2.5.53', core: 'arm11mpcore' },
        outcome: 'clean',
        reports: RACES,
      },
    ],
    executionSeconds: 15,
    stallPoints: 5000,
    vars: ['buffers'],
    setup,
    threads: ({ cpus }) =>
      Array.from({ length: cpus * THREADS_PER_CPU }, (_, index) => ({
        cpu: index % cpus,
        run: (k: Kernel) => torture(k, index, cpus * THREADS_PER_CPU, { mutex_lock, mutex_unlock, ...functions }),
      })),
    irqs: {
      [LINE]: (k) => {
        const addr = vaddr(atomic_xchg(k, handedOver(k, k.cpu), NULL));
        if (addr !== NULL) vfree(k, addr);
      },
    },
    check,
  });

export default vmallocTorture();
