/**
 * From a virtual address to bytes: direct map, TLB, table walk, data cache, write buffer. As ARM does it: what PA-RISC does otherwise is in
 * arch/parisc/mmu.ts.
 *
 * The direct map of lowmem is translated without the TLB (its sections are never changed). Kernel static data, `mem_map` and
 * the page tables in it are reached before this file is: they count as coherent and skip the cache model.
 * Page tables: two levels, spec/hardware.md §2.5. Domains and access permissions are not checked.
 */
import type { Footprint } from '../shared/footprint.js';
import { Point } from '../shared/point.js';
import type { Paddr } from '../shared/types.js';
import type { MachineConfig } from './config.js';
import type { CoreRow } from './core.js';
import { type CacheOp, CpuCache, type PointSink } from './cpu-cache.js';
import { ViptCache } from './dcache.js';
import { type HwLayout, Seat } from './hw.js';
import type { PhysicalMemory } from './memory.js';
import { Tlb } from './tlb.js';
import { Ev, type Tracer } from './tracer.js';

/** C and B of a page-table entry. */
export const Attr = { uncached: 0, buffered: 1, writeThrough: 2, writeBack: 3 } as const;

const PTE_TYPE = 3;
const SECTION = 2;
const COARSE = 1;

export interface MmuOwner extends PointSink {
  /** The MMU refused: @status as the fault status register. Does not return. */
  dataAbort(va: number, status: number, write: boolean): never;
}

/** Fault status: translation fault of a section, of a page. Source: ARM926EJ-S TRM, fault status register. */
const FSR_SECTION = 0x5;
const FSR_PAGE = 0x7;

export class Mmu {
  readonly cache: CpuCache;
  readonly tlbs: readonly Tlb[];
  readonly tlb: Tlb;
  readonly memory: PhysicalMemory;
  /** Physical address of the first-level table in use: TTBR. */
  ttbr: Paddr = 0 as Paddr;
  /** Address space of user translations. */
  asid = 0;
  protected readonly owner: MmuOwner;
  readonly #vivt: boolean;
  /** The cache, if it is indexed by virtual and tagged by physical address, and a page may be in several places of it. */
  readonly #vipt: ViptCache | null;
  readonly #directBase: number;
  readonly #directEnd: number;
  readonly #directDelta: number;
  readonly #hw: Int32Array;
  readonly #missStat: number;
  readonly #walkReads: CoreRow['walkReads'];
  readonly #speculates: boolean;
  readonly #broadcast: boolean;
  /** C and B of the last translation. */
  #attr: number = Attr.writeBack;
  protected tracer: Tracer | null = null;

  constructor(
    hw: Int32Array,
    layout: HwLayout,
    config: MachineConfig,
    cpu: number,
    memory: PhysicalMemory,
    owner: MmuOwner,
  ) {
    this.#hw = hw;
    this.memory = memory;
    this.owner = owner;
    this.cache = new CpuCache(hw, layout, config.core, cpu, memory, owner);
    this.tlbs = Array.from({ length: config.cpus }, (_, i) => {
      return new Tlb(hw, layout.tlbs + i * layout.tlbWords, config.core.tlbEntries);
    });
    this.tlb = this.tlbs[cpu] as Tlb;
    this.#vivt = config.core.dcache.tagBy === 'VA';
    this.#vipt = this.cache.own instanceof ViptCache ? this.cache.own : null;
    this.#directBase = config.pageOffset;
    this.#directEnd = config.pageOffset + config.lowmemPages * 4096;
    this.#directDelta = config.core.physBase - config.pageOffset;
    this.#missStat = layout.seats + cpu * Seat.words + Seat.tlbMisses;
    this.#walkReads = config.core.walkReads;
    this.#speculates = config.core.speculativeFill;
    this.#broadcast = config.core.tlbOpsBroadcast;
  }

  /** Whoever watches this CPU's accesses, its cache, its write buffer and the outer cache. */
  setTracer(tracer: Tracer | null): void {
    this.tracer = tracer;
    this.cache.tracer = tracer;
    this.cache.writeBuffer.tracer = tracer;
    if (this.memory.outer !== null) this.memory.outer.tracer = tracer;
  }

  /** Aligned word at @va. Faults end in dataAbort(). */
  load32(va: number): number {
    const value = this.loadWord(va);
    if (this.tracer !== null) this.#traceAccess(this.tracer, Ev.load, va, value);
    return value;
  }

  protected loadWord(va: number): number {
    const cache = this.cache;
    if (this.#vivt && cache.loadHit(va)) return cache.value;
    const pa = this.translate(va, false);
    const attr = this.#attr;
    if (attr >= Attr.writeThrough) {
      return cache.load(this.keyOf(va, pa), pa, attr === Attr.writeThrough);
    }
    cache.writeBuffer.drain();
    return this.memory.read32(pa);
  }

  /** The bytes of the aligned word at @va that @mask selects. */
  store32(va: number, value: number, mask = -1): void {
    this.storeWord(va, value, mask);
    if (this.tracer === null) return;
    this.tracer.event(Ev.bytes, mask, 0, 0, 0);
    this.#traceAccess(this.tracer, Ev.store, va, value);
  }

  protected storeWord(va: number, value: number, mask: number): void {
    const cache = this.cache;
    if (this.#vivt && cache.storeHit(va, value, mask)) return;
    const pa = this.translate(va, true);
    const attr = this.#attr;
    if (attr >= Attr.writeThrough) {
      cache.store(this.keyOf(va, pa), pa, attr === Attr.writeThrough, value, mask);
      return;
    }
    if (attr === Attr.buffered) {
      cache.writeBuffer.push(pa, value, mask, false);
      return;
    }
    cache.writeBuffer.drain();
    this.memory.write32(pa, value, mask);
  }

  /** Tell of an access that has just been made: the bytes are still where it found or put them. */
  #traceAccess(tracer: Tracer, what: Ev, va: number, value: number): void {
    const { own } = this.cache;
    const translated = this.remembered(va);
    const line = own.find(this.keyOf(va, translated));
    const pa = line >= 0 ? (own.paOf(line) + (va & ~own.lineMask)) >>> 0 : translated;
    const named = this.translationByTables(va);
    if (named !== pa) tracer.event(Ev.stale, va, named, 0, 0);
    tracer.event(what, va, pa, value, line < 0 ? -1 : this.cache.lineNumber(own, line));
  }

  /** By what the data cache looks for the bytes at @va. */
  protected keyOf(va: number, pa: number): number {
    if (this.#vivt) return va;
    return this.#vipt === null ? pa : this.#vipt.viptKey(va, pa);
  }

  /** Physical address of @va by the direct map or this CPU's TLB, or -1; nothing is walked. */
  protected remembered(va: number): number {
    if (va >= this.#directBase && va < this.#directEnd) return (va + this.#directDelta) >>> 0;
    const at = this.tlb.find(this.tagOf(va));
    return at < 0 ? -1 : ((this.tlb.pte(at) & ~0xfff) | (va & 0xfff)) >>> 0;
  }

  /** Physical address of @va by the page tables as they are in memory, or -1. For tracers and checkers: nothing is touched. A subclass
   * with other tables than walk() reads here answers for itself. */
  translationByTables(va: number): number {
    if (va >= this.#directBase && va < this.#directEnd) return (va + this.#directDelta) >>> 0;
    const first = this.memory.read32(((this.ttbr + ((va >>> 20) << 2)) >>> 0) as Paddr);
    if ((first & PTE_TYPE) === SECTION) return ((first & 0xfff00000) | (va & 0xfffff)) >>> 0;
    if ((first & PTE_TYPE) !== COARSE) return -1;
    const second = this.memory.read32((((first & ~0x3ff) + (((va >>> 12) & 0xff) << 2)) >>> 0) as Paddr);
    return (second & PTE_TYPE) === 0 ? -1 : ((second & ~0xfff) | (va & 0xfff)) >>> 0;
  }

  /** Physical address of @va by this CPU's TLB, walking the tables on a miss. */
  translate(va: number, write: boolean): Paddr {
    if (va >= this.#directBase && va < this.#directEnd) {
      this.#attr = Attr.writeBack;
      return ((va + this.#directDelta) >>> 0) as Paddr;
    }
    const tag = this.tagOf(va);
    let at = this.tlb.find(tag);
    while (at < 0) {
      this.miss(va, tag, write);
      at = this.tlb.find(tag);
    }
    const pte = this.tlb.pte(at);
    this.#attr = (pte >>> 2) & 3;
    return (((pte & ~0xfff) | (va & 0xfff)) >>> 0) as Paddr;
  }

  /** Kernel mappings are global; TASK_SIZE is 16 MB below PAGE_OFFSET. */
  protected tagOf(va: number): number {
    return Tlb.tag(va, va < this.#directBase - 0x1000000 ? this.asid : 0);
  }

  protected miss(va: number, tag: number, write: boolean): void {
    this.owner.point(Point.Tlb, va);
    this.#hw[this.#missStat] = ((this.#hw[this.#missStat] as number) + 1) | 0;
    const generation = this.tlb.generation();
    const pte = this.walk(va, write);
    this.tlb.insert(tag, pte, generation);
    if (this.tracer !== null) this.tracer.event(Ev.tlbFill, va, pte, 0, 0);
  }

  /** Two reads; the result is a small-page entry, made up for a section. */
  protected walk(va: number, write: boolean): number {
    const first = this.#readTable((this.ttbr + ((va >>> 20) << 2)) >>> 0);
    if ((first & PTE_TYPE) === SECTION) {
      return (first & 0xfff00000) | (va & 0xff000) | (first & 0xc) | SECTION;
    }
    if ((first & PTE_TYPE) !== COARSE) this.owner.dataAbort(va, FSR_SECTION, write);
    const second = this.#readTable(((first & ~0x3ff) + (((va >>> 12) & 0xff) << 2)) >>> 0);
    if ((second & PTE_TYPE) === 0) this.owner.dataAbort(va, FSR_PAGE, write);
    return second;
  }

  #readTable(pa: number): number {
    if (this.#walkReads === 'l1') return this.cache.peek(pa as Paddr);
    return this.#walkReads === 'outer' ? this.memory.readCacheable32(pa as Paddr) : this.memory.read32(pa as Paddr);
  }

  /**
   * Maintenance of the line that holds @va: one step. VIVT looks the address up as it is and never faults; a physically tagged
   * cache translates by this CPU's TLB and faults if the mapping has gone (spec/hardware.md §2.2).
   */
  cacheLine(op: CacheOp, va: number): void {
    this.owner.point(Point.CacheOp, va);
    this.cache.lineOp(op, this.#vivt ? va : this.keyOf(va, this.translate(va, false)));
  }

  /**
   * The lines of [start, end), in one step: hardware range operations (Feroceon). The registers take the last address, so an empty range
   * is one line.
   */
  cacheRange(op: CacheOp, start: number, end: number): void {
    this.owner.point(Point.CacheOp, start);
    const step = this.cache.own.geometry.lineBytes;
    let va = start & -step;
    do {
      this.cache.lineOp(op, va >>> 0);
      va += step;
    } while (va >>> 0 < end);
  }

  /**
   * The cache brings in the line that holds @va although no instruction asked for it: a prefetcher, or a load on a path not taken. It
   * needs a translation that this CPU's TLB has and a cacheable page; nothing is walked and nothing faults.
   *
   * Return:  whether a line came in. Never on cores without speculation.
   * Context: this CPU's own worker.
   * Source:  spec/hardware.md §4.3 S14.
   */
  speculativeFill(va: number): boolean {
    if (!this.#speculates) return false;
    const direct = va >= this.#directBase && va < this.#directEnd;
    if (direct) return this.#speculate(va, this.translate(va, false));
    const at = this.tlb.find(this.tagOf(va));
    if (at < 0) return false;
    // Not by translate(): another CPU may remove the entry at any moment, and a walk could fault.
    const pte = this.tlb.pte(at);
    this.#attr = (pte >>> 2) & 3;
    return this.#speculate(va, (((pte & ~0xfff) | (va & 0xfff)) >>> 0) as Paddr);
  }

  /** The line that holds @va leaves this CPU's cache, written back if it is dirty: an eviction that chance has brought. */
  evict(va: number): void {
    if (this.#vivt) {
      this.cache.evict(va);
      return;
    }
    const direct = va >= this.#directBase && va < this.#directEnd;
    const at = direct ? 0 : this.tlb.find(this.tagOf(va));
    if (at < 0) return;
    const pa = direct ? this.translate(va, false) : ((this.tlb.pte(at) & ~0xfff) | (va & 0xfff)) >>> 0;
    this.cache.evict(this.keyOf(va, pa));
  }

  #speculate(va: number, pa: Paddr): boolean {
    return this.#attr === Attr.writeBack && this.cache.speculativeFill(this.keyOf(va, pa), pa);
  }

  /** Remove the page's translation from this CPU's TLB, or everybody's if the core broadcasts and @everywhere. */
  flushTlbPage(va: number, everywhere: boolean): void {
    this.owner.point(Point.Tlb, va);
    const all = everywhere && this.#broadcast;
    if (all) for (const tlb of this.tlbs) tlb.invalidatePage(va);
    else this.tlb.invalidatePage(va);
    if (this.tracer !== null) this.tracer.event(Ev.tlbFlush, va, all ? 1 : 0, 0, 0);
  }

  flushTlbAll(): void {
    this.owner.point(Point.Tlb, 0);
    this.tlb.invalidateAll();
    if (this.tracer !== null) this.tracer.event(Ev.tlbFlush, -1, 0, 0, 0);
  }

  /** Note what each step touches, or no longer. */
  traceFootprints(footprint: Footprint | null): void {
    this.cache.traceFootprints(footprint);
    this.memory.footprint = footprint;
    for (const tlb of this.tlbs) tlb.footprint = footprint;
  }

  /** Drain the write buffer: DSB on these cores. */
  drain(): void {
    this.cache.writeBuffer.drain();
  }
}
