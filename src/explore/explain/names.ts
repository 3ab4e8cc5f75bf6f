/** What an address stands for, in the words of the kernel: slot, page, static object. */
import { FIXADDR_START } from '../../arch/arm/memory.js';
import type { MachineConfig } from '../../cpu/config.js';
import { layoutHw } from '../../cpu/hw.js';
import { OUTER_LINE } from '../../cpu/tracer.js';
import { symbolOf, waitedFor } from '../../lab/deadlock.js';
import { struct_zone } from '../../mm/mmzone.js';
import { MAX_NR_ZONES } from '../../mm/page.js';
import { type DeclaredKind, declaredBytes, declaredSymbol } from '../../shared/declared.js';
import type { Symbols } from '../../shared/kernel-base.js';
import { showVaddr } from '../../shared/types.js';

const PAGE = 4096;
const STRUCT_PAGE = 32;
/** The words that the hardware reads are so far below those of Linux. */
const PTE_HW_OFFSET = 2048;

const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;

/** A word as whoever wrote the race thinks of it: small numbers as they are, addresses and masks in hexadecimal. */
export const wordText = (word: number): string => (Math.abs(word | 0) < 0x10000 ? String(word | 0) : hex(word));
const plus = (offset: number): string => (offset === 0 ? '' : `+${hex(offset)}`);

/** Functions that say nothing about where one is: locks, lists, interrupt masks. */
const HELPER =
  /^(_raw_)?(spin|read|write)_|^(local_irq|preempt|irqs?|list|__list|pte|set_pte|cache_is|page_to|pfn_to)_|^(un)?lock_kmap|^pkmap_count$|^setCount$/;

export class Names {
  readonly config: MachineConfig;
  readonly sym: Readonly<Symbols>;
  /** Where the objects that the race declares are. */
  readonly #own: readonly { readonly kind: DeclaredKind; readonly from: number; readonly to: number }[];

  constructor(config: MachineConfig, sym: Readonly<Symbols>) {
    this.config = config;
    this.sym = sym;
    const table: Readonly<Record<string, number>> = sym;
    this.#own = (config.declared ?? []).map((d) => {
      const name = declaredSymbol(d, {});
      const from = (table[`race.${name}`] ?? table[name]) as number;
      return { kind: d.kind, from, to: from + declaredBytes(d) };
    });
  }

  #declared(addr: number): DeclaredKind | null {
    return this.#own.find(({ from, to }) => addr >= from && addr < to)?.kind ?? null;
  }

  /** Is it one of the variables that the race declares? */
  isVariable(addr: number): boolean {
    return this.#declared(addr) === 'word';
  }

  /** Is it one of its locks? */
  isOwnLock(addr: number): boolean {
    return /lock$/.test(this.#declared(addr) ?? '');
  }

  /** Does the race declare variables? */
  get hasVariables(): boolean {
    return this.#own.some(({ kind }) => kind === 'word');
  }

  /** Number of the pkmap slot at an address, or -1. */
  slotOf(va: number): number {
    const nr = (va - this.sym.PKMAP_BASE) / PAGE;
    return nr >= 0 && nr < this.config.pkmapSlots ? Math.floor(nr) : -1;
  }

  /** Number of the pkmap slot whose Linux page-table entry is at an address, or -1. */
  slotOfEntry(addr: number): number {
    const nr = (addr - this.sym.pkmap_page_table) / 4;
    return Number.isInteger(nr) && nr >= 0 && nr < this.config.pkmapSlots ? nr : -1;
  }

  /** Number of the pkmap slot whose pkmap_count is at an address, or -1. */
  slotOfCount(addr: number): number {
    const nr = (addr - this.sym.pkmap_count) / 4;
    return Number.isInteger(nr) && nr >= 0 && nr < this.config.pkmapSlots ? nr : -1;
  }

  /** Number of the zone whose free_pages is at an address, or -1. */
  zoneOfFree(addr: number): number {
    const nr = (addr - this.sym.zones - struct_zone.free_pages.offset) / struct_zone.sizeof;
    return Number.isInteger(nr) && nr >= 0 && nr < MAX_NR_ZONES ? nr : -1;
  }

  /** Frame of the page whose struct page is at an address. */
  pfnOf(page: number): number {
    return (page - this.sym.mem_map) / STRUCT_PAGE + (this.config.core.physBase >>> 12);
  }

  /** `V0xbffff060 (pkmap slot 1)`. */
  mapped(va: number): string {
    const slot = this.slotOf(va);
    if (slot >= 0) return `${showVaddr(va)} (pkmap slot ${slot})`;
    if (va >= FIXADDR_START) return `${showVaddr(va)} (fixmap slot ${(va - FIXADDR_START) >>> 12})`;
    return showVaddr(va);
  }

  /** `pkmap_count[3]`, `kmap_lock`, `pkmap slot 1+0x60`, `page 0x20041+0x60`. */
  virtual(addr: number): string {
    const { config, sym } = this;
    const slot = this.slotOf(addr);
    if (slot >= 0) return `pkmap slot ${slot}${plus(addr & 0xfff)}`;
    if (addr >= FIXADDR_START) return `fixmap slot ${(addr - FIXADDR_START) >>> 12}${plus(addr & 0xfff)}`;
    const offset = addr - config.pageOffset;
    if (offset < 0 || offset >= config.lowmemPages * PAGE) return showVaddr(addr);
    const entry = this.slotOfEntry(addr);
    if (entry >= 0) return `pkmap entry ${entry}`;
    const hardware = this.slotOfEntry(addr + PTE_HW_OFFSET);
    if (hardware >= 0) return `pkmap entry ${hardware} (hardware)`;
    const count = this.slotOfCount(addr);
    if (count >= 0) return `pkmap_count[${count}]`;
    const page = (addr - sym.mem_map) / STRUCT_PAGE;
    if (page >= 0 && page < config.lowmemPages + config.highmemPages) {
      return `struct page of ${hex(Math.floor(page) + (config.core.physBase >>> 12))}${plus(addr - sym.mem_map - Math.floor(page) * STRUCT_PAGE)}`;
    }
    const last = Math.max(...Object.values(sym).filter((at) => at < config.pageOffset + config.lowmemPages * PAGE));
    if (addr >= last + PAGE) return this.physical(offset + config.core.physBase);
    return symbolOf(this, addr);
  }

  /** virtual() of what is waited for: a word of `k.vars` is no address. */
  waitedFor(on: number): string {
    const { config, sym } = this;
    return on < config.pageOffset ? waitedFor({ config, sym, layout: layoutHw(config) }, on) : this.virtual(on);
  }

  /** `page 0x20041+0x60`. */
  physical(pa: number): string {
    return `page ${hex(pa >>> 12)}${plus(pa & 0xfff)}`;
  }

  /** `page 0x20041 (highmem)`. */
  page(pfn: number): string {
    const zone = pfn - (this.config.core.physBase >>> 12) >= this.config.lowmemPages ? 'highmem' : 'lowmem';
    return `page ${hex(pfn)} (${zone})`;
  }

  /** The cache that a line belongs to. */
  cacheOf(line: number): string {
    if (line >= OUTER_LINE) return 'the outer cache';
    const { sets, ways } = this.config.core.dcache;
    if (this.config.core.coherence === 'shared') return 'the shared cache';
    return `the cache of CPU${Math.floor(line / (sets * ways))}`;
  }
}

/** The functions that tell where a context is, innermost first: `dma_inv_range < dma_cache_maint_contiguous < dma_map_page`. */
export function where(stack: readonly string[], most = 3): string {
  const telling = stack.filter((name) => !HELPER.test(name));
  const shown = (telling.length > 0 ? telling : stack)
    .map((name) => (/^\d+$/.test(name) ? `handler ${name}` : name))
    .filter((name, i, all) => name !== all[i - 1]);
  if (shown.length === 0) return 'its start';
  if (shown.length <= most) return shown.join(' < ');
  return [...shown.slice(0, most - 1), shown.at(-1)].join(' < ');
}
