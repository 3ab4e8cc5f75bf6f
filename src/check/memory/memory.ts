/**
 * The memory checker: each access to page contents against a shadow of what the allocators have given out.
 *
 * Models mm/kasan/, Linux 5.10 (shadow values, classification, report text), mm/kmemleak.c and mm/page_owner.c, Linux 4.9;
 * spec/checkers.md §6. The shadow belongs to frames, not to addresses, so that an access through kmap(), vmap() or a consistent mapping is
 * judged as one through the direct map. A granule has 4 bytes instead of 8: objects of these kernels are aligned to words.
 * Left out: stacks and globals; the quarantine, since a machine that is watched is to go the same ways as one that is not.
 */
import { PAGE_SIZE } from '../../cpu/config.js';
import { Control, Stage } from '../../cpu/hw.js';
import type { Kernel } from '../../cpu/kernel.js';
import { Space } from '../../shared/footprint.js';
import { HARDIRQ_MASK, SOFTIRQ_MASK } from '../../shared/irqflags.js';
import type { MemoryWatch } from '../../shared/kernel-base.js';
import type { Places } from '../places.js';
import { type Block, Context, Flag, Kind, MemoryArea, State, type TrackOf } from './area.js';
import { jiffiesNow, kmemleak, liveBySite, pageOwner } from './leaks.js';
import * as report from './report.js';

export const MEMORY_REPORTS = [
  'slab-out-of-bounds',
  'vmalloc-out-of-bounds',
  'use-after-free',
  'null-ptr-deref',
  'user-memory-access',
  'wild-memory-access',
  'double-free or invalid-free',
  'leak',
] as const;
export type MemoryReportKind = (typeof MEMORY_REPORTS)[number];

export interface MemoryReport {
  readonly kind: MemoryReportKind;
  readonly headline: string;
  readonly lines: readonly string[];
}

export interface MemoryOptions {
  readonly places: Places;
  /** Names of the flags of a mask. */
  readonly showGfp: (gfp_mask: number) => string;
  /** What it reports: what is done with memory, and what is left behind. */
  readonly accesses: boolean;
  readonly leaks: boolean;
  /** kasan_multi_shot: not only the first of the execution. */
  readonly every: boolean;
  readonly onReport?: (report: MemoryReport) => void;
}

/** Values of the shadow. Source: mm/kasan/kasan.h, Linux 5.10. */
const FREE_PAGE = 0xff;
const KMALLOC_REDZONE = 0xfc;
const KMALLOC_FREE = 0xfb;

/** What is younger is no leak yet. Source: mm/kmemleak.c, Linux 4.9. */
const MSECS_MIN_AGE = 5000;

const KASAN = 0;
const LEAKS = 1;

export class MemoryChecker implements MemoryWatch {
  paused = 0;
  readonly name = 'memory';
  declare readonly k: Kernel;
  declare readonly area: MemoryArea;
  readonly #options: MemoryOptions;
  readonly #physBase: number;
  readonly #bytes: number;
  /** Stacks that this worker has read, by what V8 wrote. */
  readonly #stacks = new Map<string, readonly string[]>();
  #inVmalloc = 0;

  constructor(k: Kernel, options: MemoryOptions) {
    this.k = k;
    this.area = new MemoryArea(k.hw, k.layout.memoryCheck, k.config);
    this.#options = options;
    this.#physBase = k.config.core.physBase;
    this.#bytes = this.area.frames * 4096;
  }

  // ---- executions --------------------------------------------------------------------------------------------------

  restart(): void {
    this.area.restart();
  }

  begin(): void {
    this.paused = 0;
    this.#inVmalloc = 0;
  }

  get headline(): string {
    return this.area.headline;
  }

  /** The execution is over: what nobody can find any more has leaked. */
  end(): void {
    // Nobody will ever look again: no age is waited for.
    const lines = this.#options.leaks ? kmemleak(this.k, this.area, 0) : [];
    if (lines.length === 0) return;
    const found = lines.filter((line) => line.startsWith('unreferenced')).length;
    const headline = `kmemleak: ${found} new suspected memory leaks (see /sys/kernel/debug/kmemleak)`;
    this.#say('leak', LEAKS, headline, [headline, ...lines]);
  }

  kmemleak(): string[] {
    return kmemleak(this.k, this.area, MSECS_MIN_AGE);
  }

  leftOver(): string[] {
    return liveBySite(this.area);
  }

  page_owner(): string[] {
    return pageOwner(this.k, this.area, this.#options.showGfp);
  }

  // ---- accesses ----------------------------------------------------------------------------------------------------

  access(addr: number, bytes: number, write: boolean): void {
    if (this.paused !== 0) return;
    const { area, k } = this;
    const pa = k.mmu.translationByTables(addr) - this.#physBase;
    if (pa < 0 || pa >= this.#bytes) return;
    k.footprint?.touch(Space.line, pa >>> 5, false);
    if (area.areaRefuses(addr, bytes)) {
      this.#badAccess('vmalloc-out-of-bounds', addr, pa, bytes, write);
      return;
    }
    if (!area.knows(pa >>> 12)) return;
    const shadow = area.shadow[pa >>> 2] as number;
    if (shadow === 0 || (shadow < 4 && (pa & 3) + bytes <= shadow)) return;
    const after = shadow < 4 ? (area.shadow[(pa >>> 2) + 1] as number) : shadow;
    const freed = after === FREE_PAGE || (shadow >= 4 && shadow === KMALLOC_FREE);
    this.#badAccess(freed ? 'use-after-free' : 'slab-out-of-bounds', addr, pa, bytes, write);
  }

  /** An oops is told of before it happens, as by compiled code that looks before each access; the allocators are compiled without. */
  refused(addr: number, bytes: number, write: boolean): void {
    if (this.paused !== 0) return;
    const kind = this.#withoutFrame(addr);
    if (kind === null) this.access(addr, bytes, write);
    else this.#report(kind, () => report.wildAccess(this, kind, { addr, pa: -1, bytes, write }));
  }

  /** What an address is that no frame is behind; null where there is one. */
  #withoutFrame(addr: number): MemoryReportKind | null {
    const { k } = this;
    if (addr < PAGE_SIZE) return 'null-ptr-deref';
    if (k.arch.isUserAddress(k, addr)) return 'user-memory-access';
    if (k.mmu.translationByTables(addr) >= 0) return null;
    const inVmalloc = addr >= k.arch.VMALLOC_START(k) && addr < k.arch.VMALLOC_END(k);
    return inVmalloc ? 'vmalloc-out-of-bounds' : 'wild-memory-access';
  }

  #badAccess(kind: MemoryReportKind, addr: number, pa: number, bytes: number, write: boolean): void {
    this.#report(kind, () => report.badAccess(this, kind, { addr, pa, bytes, write }));
  }

  // ---- pages -------------------------------------------------------------------------------------------------------

  pages(pa: number, order: number, gfp_mask: number): void {
    this.#touch(pa, 4096 << order);
    this.area.giveFrames((pa - this.#physBase) >>> 12, order, gfp_mask, this.track());
  }

  pagesFreed(pa: number, order: number): void {
    this.#touch(pa, 4096 << order);
    this.area.takeFrames((pa - this.#physBase) >>> 12, order, FREE_PAGE, this.track());
  }

  /** A reference to a page is dropped: whoever drops one of a free page has freed it twice. */
  pagePut(pa: number): void {
    const frame = this.area.frame((pa - this.#physBase) >>> 12);
    if (frame?.state !== State.freed) return;
    this.#report('double-free or invalid-free', () => report.badPageFree(this, pa));
  }

  // ---- objects -----------------------------------------------------------------------------------------------------

  object(addr: number, bytes: number, size: number, name: number): void {
    const offset = this.k.__pa(addr as never) - this.#physBase;
    if (offset < 0 || offset >= this.#bytes) return;
    this.#touch(offset + this.#physBase, size);
    const metadata = this.#inVmalloc > 0 ? Flag.vmallocMetadata : 0;
    this.area.makeSlab(offset >>> 12, KMALLOC_REDZONE);
    this.area.poison(offset, offset + size, KMALLOC_REDZONE);
    this.area.unpoison(offset, bytes);
    const block = { start: addr >>> 0, bytes, size, kind: Kind.object, name, allocated: this.track() };
    this.area.give({ ...block, flags: this.#stageFlag() | metadata });
  }

  /** All of the object may be used: ksize() has said how much there is. */
  objectAll(addr: number): void {
    const block = this.area.block(addr);
    if (block?.state !== State.live) return;
    this.area.unpoison(this.k.__pa(addr as never) - this.#physBase, block.size);
    this.area.give({ ...block, bytes: block.size });
  }

  objectFreed(addr: number): void {
    const block = this.area.block(addr);
    const offset = this.k.__pa(addr as never) - this.#physBase;
    if (block !== null && block.kind === Kind.object && block.state === State.live) {
      this.#touch(offset + this.#physBase, block.size);
      this.area.poison(offset, offset + block.size, KMALLOC_FREE);
      this.area.take(addr, this.track());
      return;
    }
    // What was given out before this execution may be given back: nobody knows of it.
    const known = (this.area.frame(offset >>> 12)?.state ?? State.unknown) !== State.unknown;
    if (block === null && !known) return;
    this.#report('double-free or invalid-free', () => report.badFree(this, addr));
  }

  // ---- vmalloc -----------------------------------------------------------------------------------------------------

  vmalloc(enter: boolean): void {
    this.#inVmalloc += enter ? 1 : -1;
  }

  mapped(addr: number, bytes: number): void {
    const block = { start: addr >>> 0, bytes, size: (bytes + 4095) & -4096, kind: Kind.vmalloc, name: 0 };
    this.area.give({ ...block, flags: this.#stageFlag(), allocated: this.track() });
  }

  unmapped(addr: number): void {
    const block = this.area.block(addr >>> 0);
    if (block?.kind !== Kind.vmalloc || block.state === State.unknown) return;
    if (block.state === State.live) this.area.take(addr >>> 0, this.track());
    else this.#report('double-free or invalid-free', () => report.badFree(this, addr));
  }

  reserved(addr: number, bytes: number): void {
    this.area.forget(addr >>> 0, bytes);
  }

  // ---- what is remembered ------------------------------------------------------------------------------------------

  #stageFlag(): number {
    return this.k.hw[Control.stage] === Stage.threads ? Flag.threads : 0;
  }

  /** For strategies: whoever uses these bytes does not commute with this. */
  #touch(pa: number, bytes: number): void {
    const { footprint } = this.k;
    if (footprint === null) return;
    const from = (pa - this.#physBase) >>> 5;
    for (let line = from; line <= from + ((bytes - 1) >>> 5); line++) footprint.touch(Space.line, line, true);
  }

  track(): TrackOf {
    const { k } = this;
    const count = k.preemptCount;
    const context =
      (count & HARDIRQ_MASK) !== 0 ? Context.hardirq : (count & SOFTIRQ_MASK) !== 0 ? Context.softirq : Context.task;
    return { slot: k.slot, cpu: k.cpu, context, when: jiffiesNow(k), stack: this.stack() };
  }

  /** Functions that the thread is in, innermost first. */
  stack(): readonly string[] {
    const captured = this.#options.places.capture();
    const raw = (captured as { stack?: string }).stack ?? '';
    let stack = this.#stacks.get(raw);
    if (stack === undefined) {
      stack = this.#options.places.functions(captured);
      this.#stacks.set(raw, stack);
    }
    return stack;
  }

  /** The object, vmalloc area, or neither, that an address is about. */
  blockOf(addr: number, pa: number): Block | null {
    const area = this.area.areaAt(addr);
    if (area !== null) return area;
    return this.area.blockNear(this.k.__va((pa + this.#physBase) as never));
  }

  // ---- reports -----------------------------------------------------------------------------------------------------

  #report(kind: MemoryReportKind, make: () => report.Text): void {
    if (!this.#options.accesses || !this.area.mayReport(KASAN, this.#options.every)) return;
    const { headline, lines } = make();
    this.#print(kind, headline, lines);
  }

  #say(kind: MemoryReportKind, bit: number, headline: string, lines: readonly string[]): void {
    if (this.area.mayReport(bit, this.#options.every)) this.#print(kind, headline, lines);
  }

  #print(kind: MemoryReportKind, headline: string, lines: readonly string[]): void {
    this.area.setHeadline(headline);
    for (const line of lines) this.k.printk(line);
    this.#options.onReport?.({ kind, headline, lines });
  }
}
