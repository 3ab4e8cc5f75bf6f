/**
 * The MMU of PA-RISC: a TLB that software fills, a data cache that is indexed by virtual and tagged by physical address, and the flush and
 * purge instructions. Source: spec/hardware.md §3.2 to §3.5, §6; arch/parisc/kernel/entry.S, Linux 2.6.30.
 *
 * The direct map goes through the TLB like everything else: a CPU may move lines in speculatively as long as a translation is there. Kernel
 * static data are reached before this file is, as on ARM. Differs: instruction and data TLB are one; a TLB entry keeps the word of the page
 * table, whose bits the machine has in another order.
 */
import type { MachineConfig } from '../../cpu/config.js';
import { CacheOp } from '../../cpu/cpu-cache.js';
import type { ViptCache } from '../../cpu/dcache.js';
import { Control, type HwLayout, Seat } from '../../cpu/hw.js';
import type { PhysicalMemory } from '../../cpu/memory.js';
import { Mmu, type MmuOwner } from '../../cpu/mmu.js';
import { Tlb } from '../../cpu/tlb.js';
import { Ev } from '../../cpu/tracer.js';
import { Point } from '../../shared/point.js';
import type { Paddr } from '../../shared/types.js';
import { isUserAddress } from './memory.js';
import {
  _PAGE_ACCESSED,
  _PAGE_DIRTY,
  _PAGE_FLUSH,
  _PAGE_NO_CACHE,
  _PAGE_PRESENT,
  _PAGE_READ,
  _PAGE_WRITE,
  pgd_address,
  pgd_index,
  pgd_present,
  pte_index,
} from './pgtable.js';

/**
 * Interruption codes. Source: arch/parisc/kernel/traps.c, Linux 2.6.30. PCX-S has one for what later cores tell apart as 26, 27 and 28.
 */
export const Trap = { dtlbMiss: 15, dataProtection: 18, dataRights: 26, unaligned: 28 } as const;

/** In a TLB entry the bit says: referenced since a line or the translation was flushed. The page table's bit has done its work by then. */
const REFERENCED = _PAGE_ACCESSED;
/** No page: the non-access miss handler nullifies the instruction. */
const NULLIFIED = -1;

export interface PariscMmuOwner extends MmuOwner {
  readonly staticBytes: number;
  saveIrqs(): number;
  restoreIrqs(flags: number): void;
  printk(text: string): void;
}

export class PariscMmu extends Mmu {
  /** First-level table of user addresses: CR25. */
  cr25: Paddr = 0 as Paddr;
  readonly #words: Int32Array;
  readonly #kernel: PariscMmuOwner;
  readonly #vipt: ViptCache;
  readonly #missAt: number;
  readonly #physBase: number;
  readonly #cpu: number;
  readonly #speculates: boolean;
  readonly #tracksReferences: boolean;
  readonly #singlePurge: boolean;
  readonly #uncachedRam: boolean;
  readonly #purgeOp: CacheOp;
  readonly #rightsTrap: number;
  #entry = 0;

  constructor(
    hw: Int32Array,
    layout: HwLayout,
    config: MachineConfig,
    cpu: number,
    memory: PhysicalMemory,
    owner: PariscMmuOwner,
  ) {
    super(hw, layout, config, cpu, memory, owner);
    const { core } = config;
    this.#words = hw;
    this.#kernel = owner;
    this.#vipt = this.cache.own as ViptCache;
    this.#missAt = layout.seats + cpu * Seat.words + Seat.tlbMisses;
    this.#physBase = core.physBase;
    this.#cpu = cpu;
    this.#speculates = core.speculativeFill;
    this.#tracksReferences = core.parisc?.moveInNeedsReference === true;
    this.#singlePurge = core.parisc?.singlePurge === true;
    this.#uncachedRam = core.parisc?.uncachedRam === true;
    this.#rightsTrap = core.parisc?.splitsTrap18 === false ? Trap.dataProtection : Trap.dataRights;
    this.#purgeOp = core.parisc?.pdcWritesBack === true ? CacheOp.flush : CacheOp.invalidate;
  }

  // ---- loads and stores --------------------------------------------------------------------------------------------

  protected override loadWord(va: number): number {
    const pa = this.translate(va, false);
    if (this.#uncached()) return this.memory.read32(pa);
    return this.cache.load(this.keyOf(va, pa), pa, false);
  }

  protected override storeWord(va: number, value: number, mask: number): void {
    const pa = this.translate(va, true);
    if (this.#uncached()) this.memory.write32(pa, value, mask);
    else this.cache.store(this.keyOf(va, pa), pa, false, value, mask);
  }

  protected override keyOf(va: number, pa: number): number {
    return this.#vipt.viptKey(va, pa);
  }

  protected override remembered(va: number): number {
    const at = this.tlb.find(this.tagOf(va));
    return at < 0 ? -1 : physical(this.tlb.pte(at), va);
  }

  override translationByTables(va: number): number {
    const at = this.#pteAt(va);
    const pte = at < 0 ? 0 : this.#readTable(at);
    return (pte & _PAGE_PRESENT) === 0 ? -1 : physical(pte, va);
  }

  /** Cores that cannot map RAM uncached do not look at the bit. */
  #uncached(): boolean {
    return this.#uncachedRam && (this.#entry & _PAGE_NO_CACHE) !== 0;
  }

  /** Physical address of @va. Misses and dirty traps are taken here; a fault ends in dataAbort(). */
  override translate(va: number, write: boolean): Paddr {
    const tag = this.tagOf(va);
    const right = write ? _PAGE_WRITE : _PAGE_READ;
    for (;;) {
      const at = this.tlb.find(tag);
      if (at < 0) {
        this.miss(va, tag, write);
        continue;
      }
      const entry = this.tlb.pte(at);
      if ((entry & right) === 0) this.owner.dataAbort(va, this.#rightsTrap, write);
      if (write && (entry & _PAGE_DIRTY) === 0) {
        this.#dirtyTrap(va, tag);
        continue;
      }
      if (this.#tracksReferences && (entry & REFERENCED) === 0) this.#words[at + 1] = entry | REFERENCED;
      this.#entry = entry;
      return physical(entry, va);
    }
  }

  protected override tagOf(va: number): number {
    return Tlb.tag(va, isUserAddress(va) ? this.asid : 0);
  }

  // ---- the miss handlers -------------------------------------------------------------------------------------------

  /** Data TLB miss: load the entry, mark it as accessed, insert it. */
  protected override miss(va: number, tag: number, write: boolean): void {
    this.#begin(va);
    const generation = this.tlb.generation();
    const at = this.#pteAt(va);
    const pte = at < 0 ? 0 : this.#readTable(at);
    if ((pte & _PAGE_PRESENT) === 0) this.owner.dataAbort(va, Trap.dtlbMiss, write);
    if ((pte & _PAGE_ACCESSED) === 0) this.#writeTable(at, pte | _PAGE_ACCESSED);
    this.#insert(va, tag, pte, generation);
  }

  #insert(va: number, tag: number, pte: number, generation: number): void {
    this.tlb.insert(tag, pte & ~REFERENCED, generation);
    if (this.tracer !== null) this.tracer.event(Ev.tlbFill, va, pte, 0, 0);
  }

  #begin(va: number): void {
    this.owner.point(Point.Tlb, va);
    this.#words[this.#missAt] = ((this.#words[this.#missAt] as number) + 1) | 0;
  }

  /** A store to a page whose entry is clean: the handler sets the bit in the page table. One step, as under pa_dbit_lock. */
  #dirtyTrap(va: number, tag: number): void {
    this.#begin(va);
    const at = this.#pteAt(va);
    const pte = at < 0 ? 0 : this.#readTable(at);
    this.tlb.invalidatePage(va);
    if ((pte & _PAGE_PRESENT) === 0) return;
    this.#writeTable(at, pte | _PAGE_DIRTY | _PAGE_ACCESSED);
    this.#insert(va, tag, pte | _PAGE_DIRTY, this.tlb.generation());
  }

  /** Physical address of the second-level entry, or -1. */
  #pteAt(va: number): number {
    const pgd = isUserAddress(va) ? this.cr25 : this.ttbr;
    const entry = this.#readTable(pgd + pgd_index(va) * 4);
    return pgd_present(entry) ? pgd_address(entry) + pte_index(va) * 4 : -1;
  }

  #readTable(pa: number): number {
    return this.cache.peek(pa as Paddr);
  }

  #writeTable(pa: number, pte: number): void {
    if (pa - this.#physBase < this.#kernel.staticBytes) this.memory.write32(pa as Paddr, pte);
    else this.cache.store(pa, pa as Paddr, false, pte, -1);
  }

  /** For flush instructions: any translation will do, also one of an entry with FLUSH. Return: NULLIFIED when there is none. */
  #translateNonAccess(va: number): number {
    const tag = this.tagOf(va);
    for (;;) {
      const found = this.tlb.find(tag);
      if (found >= 0) return physical(this.tlb.pte(found), va);
      this.#begin(va);
      const generation = this.tlb.generation();
      const at = this.#pteAt(va);
      const pte = at < 0 ? 0 : this.#readTable(at);
      if ((pte & (_PAGE_PRESENT | _PAGE_FLUSH)) === 0) return NULLIFIED;
      const rights = (pte & _PAGE_PRESENT) !== 0 ? pte : pte & ~(_PAGE_READ | _PAGE_WRITE);
      this.#insert(va, tag, rights, generation);
    }
  }

  // ---- cache instructions ------------------------------------------------------------------------------------------

  override cacheLine(op: CacheOp, va: number): void {
    if (op === CacheOp.invalidate) this.pdc(va);
    else this.fdc(va);
  }

  /** FDC: write the line back and drop it, in every CPU's cache, at the set of @va. Nothing without a translation. */
  fdc(va: number): void {
    this.#lineInstruction(CacheOp.flush, va);
  }

  /** PDC: drop the line, in every CPU's cache. Dirty bytes are lost, but for cores where it is FDC. */
  pdc(va: number): void {
    this.#lineInstruction(this.#purgeOp, va);
  }

  #lineInstruction(op: CacheOp, va: number): void {
    this.owner.point(Point.CacheOp, va);
    const pa = this.#translateNonAccess(va);
    if (pa === NULLIFIED) return;
    this.cache.lineOp(op, this.keyOf(va, pa));
    if (this.#tracksReferences) this.#stopMoveIns(va);
  }

  /** No line of the page is moved in again until it is referenced, on any CPU. */
  #stopMoveIns(va: number): void {
    const tag = this.tagOf(va);
    for (const tlb of this.tlbs) {
      const at = tlb.find(tag);
      if (at >= 0) this.#words[at + 1] = tlb.pte(at) & ~REFERENCED;
    }
  }

  /** LCI: the coherence index by which an I/O adapter finds lines of @va in the caches: VA[19:12]. */
  lci(va: number): number {
    return (va >>> 12) & 0xff;
  }

  /** A line of a page whose translation is in this CPU's TLB comes in, clean, unasked. */
  override speculativeFill(va: number): boolean {
    if (!this.#speculates) return false;
    const at = this.tlb.find(this.tagOf(va));
    if (at < 0) return false;
    const entry = this.tlb.pte(at);
    if ((entry & _PAGE_READ) === 0 || (entry & _PAGE_NO_CACHE) !== 0) return false;
    if (this.#tracksReferences && (entry & REFERENCED) === 0) return false;
    const pa = physical(entry, va);
    return this.cache.speculativeFill(this.keyOf(va, pa), pa);
  }

  // ---- TLB instructions --------------------------------------------------------------------------------------------

  /** PDTLB: remove the page's translation from every CPU's TLB. Complete when it returns. */
  pdtlb(va: number): void {
    this.owner.point(Point.Tlb, va);
    if (this.#singlePurge) this.#purgeOnBus(va);
    else for (const tlb of this.tlbs) tlb.invalidatePage(va);
    if (this.tracer !== null) this.tracer.event(Ev.tlbFlush, va, 1, 0, 0);
  }

  /**
   * The Merced bus has room for one purge. The instruction is not interrupted, but another CPU's may begin before it is over: software has to
   * see to it that none does. The one that comes second does not reach one of the other CPUs.
   */
  #purgeOnBus(va: number): void {
    const flags = this.#kernel.saveIrqs();
    const first = Atomics.add(this.#words, Control.purges, 1) === 0;
    this.owner.point(Point.Tlb, va);
    const missed = first ? -1 : (this.#cpu + 1) % this.tlbs.length;
    this.tlbs.forEach((tlb, cpu) => {
      if (cpu !== missed) tlb.invalidatePage(va);
    });
    Atomics.sub(this.#words, Control.purges, 1);
    if (!first) this.#kernel.printk(`WARNING: PXTLB_OVERLAP: two TLB purges on the bus, CPU${missed} has missed one`);
    this.#kernel.restoreIrqs(flags);
  }

  override flushTlbPage(va: number, _everywhere: boolean): void {
    this.pdtlb(va);
  }
}

const physical = (entry: number, va: number): Paddr => (((entry & ~0xfff) | (va & 0xfff)) >>> 0) as Paddr;
