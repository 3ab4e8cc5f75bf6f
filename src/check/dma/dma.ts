/**
 * The DMA checker: how drivers use the API, as dma-debug does, and whose the bytes are, which the kernel cannot know.
 *
 * Models lib/dma-debug.c, Linux 2.6.30 and 4.9, kernel/dma/debug.c, Linux 5.10 (`rules`); spec/checkers.md §7. The models have no devices to
 * tell apart: a NULL device has all mappings. The ownership checks are ours: they follow each byte of a mapped buffer through stores,
 * caches and transfers, as a tracer of the CPUs and of the devices.
 * Left out: debugfs, driver filters, resources.
 */

import type { MachineConfig } from '../../cpu/config.js';
import { DCache } from '../../cpu/dcache.js';
import { Control, type HwLayout, Stage } from '../../cpu/hw.js';
import type { Kernel } from '../../cpu/kernel.js';
import { Cause, Ev, type Tracer } from '../../cpu/tracer.js';
import type { DmaWatch } from '../../shared/kernel-base.js';
import { Point } from '../../shared/point.js';
import { hex2, hex8 } from '../../shared/types.js';
import { DmaArea, Entry, Line } from './area.js';
import {
  atLeast,
  BIDIRECTIONAL,
  type DmaError,
  type DmaRules,
  DmaType,
  directionName,
  FROM_DEVICE,
  OVERLAPS_MAX,
  type OwnershipError,
  SEGMENT_MAX,
  TO_DEVICE,
  typeName,
} from './rules.js';

export interface DmaReport {
  readonly kind: DmaError | OwnershipError;
  readonly headline: string;
  readonly lines: readonly string[];
}

export interface DmaOptions {
  readonly rules: DmaRules;
  /** all_errors: not only the first of the execution. */
  readonly every: boolean;
  /** Is what the threads leave mapped an error? */
  readonly leaks: boolean;
  /** Functions that the worker is in, innermost first. */
  readonly stack: () => readonly string[];
  readonly onReport?: (report: DmaReport) => void;
}

/** What a CPU and a device have in common for the ownership checks. */
export interface DmaView {
  readonly hw: Int32Array;
  readonly layout: HwLayout;
  readonly config: MachineConfig;
  /** Physical memory from the first frame on. */
  readonly words: Int32Array;
  printk(text: string): void;
}

const API = 0;
const OWNERSHIP = 1;
const ours = "(Murphy's own check: the kernel has none)";
const RULE = '='.repeat(66);

/** A bus address as it is printed: a signed word or a sum above 32 bits, too. */
const address = (pa: number): string => `0x${(pa < 0 ? pa >>> 0 : pa).toString(16).padStart(16, '0')}`;

/** Bits of the bytes [from, from + count) of a line, as two words. */
function bits(from: number, count: number): [number, number] {
  const low = from >= 32 ? 0 : span(from, Math.min(count, 32 - from));
  const first = Math.max(from, 32);
  const high = from + count <= 32 ? 0 : span(first - 32, from + count - first);
  return [low, high];
}

const span = (from: number, count: number): number => (count >= 32 ? -1 : (((1 << count) - 1) << from) | 0);

/** Whose the bytes are: what the CPUs' checker and the devices' have in common. */
export class Ownership {
  readonly view: DmaView;
  readonly area: DmaArea;
  readonly options: DmaOptions;
  readonly lineBytes: number;
  readonly #physBase: number;
  readonly #caches: readonly DCache[];
  /** Do devices see the caches? Then nothing has to be maintained. */
  readonly #coherent: boolean;

  constructor(view: DmaView, area: DmaArea, options: DmaOptions) {
    const { core, coherentDma } = view.config;
    this.view = view;
    this.area = area;
    this.options = options;
    this.lineBytes = core.dcache.lineBytes;
    this.#physBase = core.physBase;
    this.#caches = view.layout.caches.map((layout) => new DCache(view.hw, layout, core.dcache));
    this.#coherent = coherentDma || core.parisc?.coherentIo === true;
  }

  get on(): boolean {
    return !this.#coherent;
  }

  /** The record of the line of @pa; -1 when there is none. */
  record(pa: number, make = false): number {
    return this.area.line((pa - this.#physBase) >>> this.#shift, make);
  }

  get #shift(): number {
    return 31 - Math.clz32(this.lineBytes);
  }

  get(at: number, field: number): [number, number] {
    return [this.area.word(at, field), this.area.word(at, field + 1)];
  }

  change(at: number, field: number, set: readonly [number, number], clear: readonly [number, number]): void {
    for (const i of [0, 1] as const) {
      this.area.set(at, field + i, (this.area.word(at, field + i) & ~clear[i]) | set[i]);
    }
  }

  /** Bits of the aligned word at @pa, as far as @mask selects its bytes. */
  wordBits(pa: number, mask = -1): [number, number] {
    let nibble = 0;
    for (let i = 0; i < 4; i++) if (((mask >>> (8 * i)) & 0xff) !== 0) nibble |= 1 << i;
    const at = pa & (this.lineBytes - 1) & ~3;
    return at < 32 ? [nibble << at, 0] : [0, nibble << (at - 32)];
  }

  touches(at: number, field: number, [low, high]: readonly [number, number]): boolean {
    const [l, h] = this.get(at, field);
    return ((l & low) | (h & high)) !== 0;
  }

  covers(at: number, field: number, [low, high]: readonly [number, number]): boolean {
    const [l, h] = this.get(at, field);
    return (l & low) === low && (h & high) === high;
  }

  /** A bus master is about to read or write an aligned word. */
  deviceAccess(device: number, pa: number, value: number, write: boolean): void {
    const at = this.on ? this.record(pa) : -1;
    if (at < 0) return;
    const word = this.wordBits(pa);
    if (this.touches(at, Line.cpu, word)) {
      const what = `device ${device} ${write ? 'writes to' : 'reads'} memory that the CPU has back`;
      this.say('device-access', what, at, pa, []);
      return;
    }
    if (!this.touches(at, Line.device, word)) return;
    if (!write) {
      this.#readByDevice(device, at, pa, value);
      return;
    }
    this.change(at, Line.written, word, [0, 0]);
    this.area.set(at, Line.writer, -1 - device);
  }

  #readByDevice(device: number, at: number, pa: number, value: number): void {
    const holder = this.dirtyCopy(pa, value);
    if (holder === null) return;
    const what = `device ${device} reads bytes that are newer in a cache`;
    this.say('stale-for-device', what, at, pa, this.#bytes(pa, holder.value, value), holder.cache);
  }

  /** A cache that has the aligned word at @pa dirty, and not as @value. */
  dirtyCopy(pa: number, value: number): { cache: number; value: number } | null {
    const wanted = (pa & -this.lineBytes) >>> 0;
    for (const [cache, store] of this.#caches.entries()) {
      for (let line = 0; line < store.lines; line++) {
        if (store.paOf(line) !== wanted || !store.isValid(line) || !store.isDirty(line)) continue;
        const offset = pa & (this.lineBytes - 1);
        if ((store.flagsOf(line) & store.dirtyBit(offset)) === 0) continue;
        const copy = this.view.hw[store.data + line * store.lineWords + (offset >>> 2)] as number;
        if (copy !== (value | 0)) return { cache, value: copy };
      }
    }
    return null;
  }

  /** Lines of [pa, pa + bytes) that are dirty in a cache: one look at each line of the caches, of which a buffer may have as many. */
  dirtyLines(pa: number, bytes: number): ReadonlySet<number> {
    const found = new Set<number>();
    for (const store of this.#caches) {
      for (let line = 0; line < store.lines; line++) {
        const at = store.paOf(line);
        if (at >= pa && at < pa + bytes && store.isValid(line) && store.isDirty(line)) found.add(at);
      }
    }
    return found;
  }

  /** The cache of a line by its number among those of all, and the line in it; null for the outer cache. */
  lineOf(number: number): { cache: DCache; unit: number; line: number } | null {
    const lines = (this.#caches[0] as DCache).lines;
    const unit = Math.floor(number / lines);
    const cache = this.#caches[unit];
    return cache === undefined ? null : { cache, unit, line: number % lines };
  }

  memoryWord(pa: number): number {
    return this.view.words[(pa - this.#physBase) >>> 2] as number;
  }

  /** The first byte of the word in which the two differ. */
  #bytes(pa: number, expected: number, seen: number): string[] {
    const big = this.view.config.core.byteOrder === 'big';
    for (let i = 0; i < 4; i++) {
      const shift = (big ? 3 - i : i) * 8;
      const [right, wrong] = [(expected >>> shift) & 0xff, (seen >>> shift) & 0xff];
      if (right !== wrong) return [`byte P0x${hex8((pa & ~3) + i)}: expected 0x${hex2(right)}, seen 0x${hex2(wrong)}`];
    }
    return [];
  }

  bytes(pa: number, expected: number, seen: number): string[] {
    return this.#bytes(pa, expected, seen);
  }

  /** Report what @what says about the line of @pa. @unit: the cache that it is about. @functions: where the CPU is. */
  say(
    kind: OwnershipError,
    what: string,
    at: number,
    pa: number,
    more: readonly string[],
    unit = -1,
    functions: readonly string[] = [],
  ): void {
    const { area, options } = this;
    // What setup() and check() look at is the race's own business.
    if (this.view.hw[Control.stage] !== Stage.threads) return;
    if (!area.mayReport(OWNERSHIP, options.every)) return;
    const headline = `DMA ownership: ${what}`;
    const line = (pa & -this.lineBytes) >>> 0;
    const lines = [
      RULE,
      headline,
      ours,
      `line P0x${hex8(line)} of ${this.lineBytes} bytes${unit < 0 ? '' : `, in the cache of CPU${unit}`}`,
      ...more,
      ...this.#writer(at),
      ...(functions.length === 0 ? [] : ['Call Trace:', ...frames(functions)]),
      ...this.#mapped(at),
      RULE,
    ];
    this.print(kind, headline, lines);
  }

  #writer(at: number): string[] {
    if (at < 0) return [];
    const writer = this.area.word(at, Line.writer);
    if (writer === 0) return ['last written before anybody watched'];
    if (writer < 0) return [`last written by device ${-1 - writer}`];
    const stack = this.area.stack(this.area.word(at, Line.writerStack));
    return [`last written by thread${writer - 1} on CPU${this.area.word(at, Line.writerCpu)}:`, ...frames(stack)];
  }

  #mapped(at: number): string[] {
    const stack = at < 0 ? [] : this.area.stack(this.area.word(at, Line.mapStack));
    return stack.length === 0 ? [] : ['Mapped at:', ...frames(stack)];
  }

  print(kind: DmaReport['kind'], headline: string, lines: readonly string[]): void {
    this.area.setHeadline(headline);
    for (const line of lines) this.view.printk(line);
    this.options.onReport?.({ kind, headline, lines });
  }
}

const frames = (functions: readonly string[]): string[] => functions.map((f) => ` [<????????>] ${f}`);

/** The checker of a bus master: it hears of the words that the device moves. */
export class DmaDeviceChecker implements Tracer {
  readonly #ownership: Ownership;
  readonly #device: number;

  constructor(view: DmaView, device: number, options: DmaOptions) {
    this.#ownership = new Ownership(view, new DmaArea(view.hw, view.layout.dmaCheck), options);
    this.#device = device;
  }

  event(what: Ev, a: number, b: number): void {
    if (what === Ev.dmaRead || what === Ev.dmaWrite)
      this.#ownership.deviceAccess(this.#device, a, b, what === Ev.dmaWrite);
  }
}

/** What a driver says about a buffer, to be compared with its mapping. */
interface Told {
  readonly type: number;
  readonly bus: number;
  readonly size: number;
  readonly direction: number;
  readonly nents: number;
  readonly addr: number;
}

const isPlain = (kind: number): boolean =>
  kind === Point.CachedStore || kind === Point.CachedLoad || kind === Point.Load || kind === Point.Store;

/** The checker of a CPU. */
export class DmaChecker implements DmaWatch, Tracer {
  readonly name = 'dma';
  readonly area: DmaArea;
  readonly #k: Kernel;
  readonly #options: DmaOptions;
  readonly #rules: DmaRules;
  readonly #ownership: Ownership;
  readonly #physBase: number;
  /** Which bytes the store that comes next writes. */
  #mask = -1;
  /** Functions of the first of the stores that come with nothing but plain accesses between them, or 0: a look for each would take longer than all else. */
  #rowStack = 0;
  /** The buffer that this CPU is giving to a device, or taking back; what is dropped outside it is not the driver's. */
  #from = 0;
  #bytes = 0;

  constructor(k: Kernel, options: DmaOptions) {
    this.#k = k;
    this.#options = options;
    this.#rules = options.rules;
    this.area = new DmaArea(k.hw, k.layout.dmaCheck);
    this.#physBase = k.config.core.physBase;
    const view = { hw: k.hw, layout: k.layout, config: k.config, words: k.memory.words };
    this.#ownership = new Ownership({ ...view, printk: (text) => k.printk(text) }, this.area, options);
  }

  restart(): void {
    this.area.restart();
  }

  begin(): void {
    this.#from = 0;
    this.#bytes = 0;
    this.#rowStack = 0;
  }

  /** Nobody will unmap it any more: as if the driver let go of its device. */
  end(): void {
    if (!this.#options.leaks) return;
    const left = this.area.entries().filter((at) => this.area.word(at, Entry.byThreads) === 1);
    this.#pending(left, atLeast(this.#rules, '4.9') ? [] : [ours]);
  }

  get headline(): string {
    return this.area.headline;
  }

  // ---- the API -----------------------------------------------------------------------------------------------------

  mapping(type: number, addr: number, pa: number, size: number, sg: number): void {
    this.#from = pa;
    this.#bytes = type === DmaType.sg ? 0 : size;
    // Pages of highmem have no address to look at.
    if (addr !== 0) this.#checkArea(addr, size);
    if (type === DmaType.single && atLeast(this.#rules, '5.10')) this.#checkLinear(addr, size);
    if (sg > 0) this.#checkSegment(pa, size);
  }

  /** Source: check_for_stack(), check_for_illegal_area(), which see every mapping of lowmem. */
  #checkArea(addr: number, size: number): void {
    const k = this.#k;
    const at = `[addr=${hex8(addr)}]`;
    const own = k.sym.thread_stacks + k.slot * STACK_BYTES;
    if (addr >= own && addr < own + STACK_BYTES) this.#error('stack', `device driver maps memory from stack ${at}`, -1);
    if (addr >= k.config.pageOffset && addr < k.sym._sdata) {
      this.#error('text', `device driver maps memory from kernel text or rodata ${at} [len=${size}]`, -1);
    }
  }

  /** Source: debug_dma_map_single(), Linux 5.10. */
  #checkLinear(addr: number, size: number): void {
    const k = this.#k;
    const at = `[addr=${hex8(addr)}]`;
    const linear = addr >= k.config.pageOffset && addr < k.config.pageOffset + k.config.lowmemPages * 4096;
    if (addr >= k.arch.VMALLOC_START(k) && addr < k.arch.VMALLOC_END(k)) {
      this.#error('vmalloc-area', `device driver maps memory from vmalloc area ${at} [len=${size}]`, -1);
    } else if (!linear) {
      this.#error('invalid-area', `device driver maps memory from invalid area ${at} [len=${size}]`, -1);
    }
  }

  #checkSegment(pa: number, size: number): void {
    if (!atLeast(this.#rules, '5.10')) return;
    if (size > SEGMENT_MAX) {
      const text = `mapping sg segment longer than device claims to support [len=${size}] [max=${SEGMENT_MAX}]`;
      this.#error('segment', text, -1);
    }
    if (pa + size > 0x100000000) {
      const text = `mapping sg segment across boundary [start=${address(pa)}] [end=${address(pa + size - 1)}] [boundary=0x00000000ffffffff]`;
      this.#error('segment', text, -1);
    }
  }

  mapped(type: number, addr: number, pa: number, bus: number, size: number, direction: number, nents: number): void {
    this.#bytes = 0;
    this.#touch(pa, size);
    const stack = this.area.keep(this.stack().join('\n'));
    if (!this.area.disabled) this.#add({ type, bus, size, direction, nents, addr }, pa, stack);
    if (type !== DmaType.coherent) this.#give(pa, size, direction, stack);
    else this.#forget(pa, size);
  }

  #add(told: Told, pa: number, stack: number): void {
    this.#checkOverlap(told, pa);
    this.area.lock();
    const at = this.area.addEntry();
    if (at >= 0) {
      const fields = [
        this.area.epoch,
        told.type,
        pa,
        told.bus,
        told.size,
        told.direction,
        told.nents,
        0,
        told.addr,
        stack,
        this.#k.hw[Control.stage] === Stage.threads ? 1 : 0,
      ];
      for (const [field, value] of fields.entries()) this.area.set(at, field, value);
    }
    this.area.unlock();
    if (at < 0) this.#k.printk('DMA-API: debugging out of memory - disabling');
  }

  /** Only the first line of a mapping counts, and mappings that the device only reads do not. */
  #checkOverlap(told: Told, pa: number): void {
    if (!atLeast(this.#rules, '4.9') || told.direction === TO_DEVICE || told.type === DmaType.coherent) return;
    const line = (at: number): number => Math.floor(at / this.#ownership.lineBytes);
    const same = this.area.entries().filter((at) => {
      const counts =
        this.area.word(at, Entry.direction) !== TO_DEVICE && this.area.word(at, Entry.type) !== DmaType.coherent;
      return counts && line(this.area.word(at, Entry.pa) >>> 0) === line(pa);
    });
    if (same.length === 0) return;
    if (atLeast(this.#rules, '5.14')) {
      this.#error('overlap', "cacheline tracking EEXIST, overlapping mappings aren't supported", -1);
    } else if (same.length > OVERLAPS_MAX) {
      this.#error('overlaps', `exceeded ${OVERLAPS_MAX} overlapping mappings of cacheline ${address(line(pa))}`, -1);
    }
  }

  unmapping(type: number, bus: number, size: number): void {
    this.#from = bus;
    this.#bytes = type === DmaType.coherent ? 0 : size;
  }

  unmapped(type: number, addr: number, bus: number, size: number, direction: number, nents: number): void {
    this.#bytes = 0;
    this.#touch(bus, size);
    if (!this.area.disabled) this.#checkUnmap({ type, addr, bus, size, direction, nents });
    if (type === DmaType.coherent) this.#forget(bus, size);
    else this.#take(bus, size);
  }

  /** Source: check_unmap(). */
  #checkUnmap(told: Told): void {
    const { bus, size, type, direction } = told;
    const at = this.#find(told);
    const where = `[device address=${address(bus)}]`;
    if (bus === 0xffffffff && (at < 0 || !atLeast(this.#rules, '4.9'))) {
      this.#error('invalid-address', 'device driver tries to free an invalid DMA memory address', -1);
      return;
    }
    if (at < 0) {
      const text = `device driver tries to free DMA memory it has not allocated ${where} [size=${size} bytes]`;
      this.#error('not-allocated', text, -1);
      return;
    }
    const word = (field: number): number => this.area.word(at, field);
    const name = (t: number): string => typeName(t, this.#rules);
    if (word(Entry.size) !== size) {
      const sizes = `[map size=${word(Entry.size)} bytes] [unmap size=${size} bytes]`;
      this.#error('size', `device driver frees DMA memory with different size ${where} ${sizes}`, at);
    }
    if (name(word(Entry.type)) !== name(type)) {
      const names = `[size=${size} bytes] [mapped as ${name(word(Entry.type))}] [unmapped as ${name(type)}]`;
      this.#error('function', `device driver frees DMA memory with wrong function ${where} ${names}`, at);
    } else if (type === DmaType.coherent && word(Entry.addr) !== (told.addr | 0)) {
      const addresses = `[cpu alloc address=0x${hex8(word(Entry.addr))}] [cpu free address=0x${hex8(told.addr)}]`;
      const text = `device driver frees DMA memory with different CPU address ${where} [size=${size} bytes] ${addresses}`;
      this.#error('cpu-address', text, at);
    }
    if (type === DmaType.sg && word(Entry.nents) !== told.nents) {
      const counts = `[map count=${word(Entry.nents)}] [unmap count=${told.nents}]`;
      this.#error('sg-count', `device driver frees DMA sg list with different entry count ${counts}`, at);
    }
    if (word(Entry.direction) !== direction) {
      const names = `[mapped with ${directionName(word(Entry.direction))}] [unmapped with ${directionName(direction)}]`;
      this.#error(
        'direction',
        `device driver frees DMA memory with different direction ${where} [size=${size} bytes] ${names}`,
        at,
      );
    }
    const mayFail = type === DmaType.single || type === DmaType.page;
    if (atLeast(this.#rules, '4.9') && mayFail && word(Entry.checked) === 0) {
      const text = `device driver failed to check map error${where} [size=${size} bytes] [mapped as ${name(type)}]`;
      this.#error('map-error-unchecked', text, at);
    }
    this.area.removeEntry(at);
  }

  /** The mapping at the same bus address that fits best; -1 when there is none, or several and none fits. */
  #find(told: Told): number {
    return this.#best(this.#at(told.bus), told);
  }

  /** Mappings at a bus address. */
  #at(bus: number): number[] {
    return this.area.entries().filter((at) => this.area.word(at, Entry.bus) >>> 0 === bus >>> 0);
  }

  /** Source: hash_bucket_find(). */
  #best(same: readonly number[], { type, size, direction, nents }: Omit<Told, 'addr' | 'bus'>): number {
    if (same.length <= 1) return same[0] ?? -1;
    const fits = (at: number): boolean =>
      this.area.word(at, Entry.size) === size &&
      typeName(this.area.word(at, Entry.type), this.#rules) === typeName(type, this.#rules) &&
      this.area.word(at, Entry.direction) === direction &&
      (!atLeast(this.#rules, '5.10') || this.area.word(at, Entry.nents) === nents);
    return same.find(fits) ?? -1;
  }

  mappingError(bus: number): void {
    for (const at of this.area.entries()) {
      if (this.area.word(at, Entry.bus) >>> 0 === bus >>> 0) this.area.set(at, Entry.checked, 1);
    }
  }

  syncing(bus: number, offset: number, size: number): void {
    this.#from = bus + offset;
    this.#bytes = size;
  }

  /** Source: check_sync(). */
  synced(bus: number, offset: number, size: number, direction: number, forCpu: boolean, nents: number): void {
    this.#bytes = 0;
    this.#touch(bus + offset, size);
    if (!this.area.disabled) this.#checkSync(bus, offset + size, direction, forCpu, nents);
    if (forCpu) this.#take(bus + offset, size);
    else this.#give(bus + offset, size, direction, 0);
  }

  #checkSync(bus: number, end: number, direction: number, forCpu: boolean, nents: number): void {
    const where = `[device address=${address(bus)}]`;
    const at = this.#findContaining(bus, {
      type: nents > 0 ? DmaType.sg : DmaType.single,
      size: end,
      direction,
      nents,
    });
    if (at < 0) {
      const text = `device driver tries to sync DMA memory it has not allocated ${where} [size=${end} bytes]`;
      this.#error('sync-not-allocated', text, -1);
      return;
    }
    const size = this.area.word(at, Entry.size);
    const mappedAs = this.area.word(at, Entry.direction);
    const names = `[size=${size} bytes] [mapped with ${directionName(mappedAs)}] [synced with ${directionName(direction)}]`;
    const past = bus - (this.area.word(at, Entry.bus) >>> 0) + end;
    if (past > size) {
      const text = `device driver syncs DMA memory outside allocated range ${where} [allocation size=${size} bytes] [sync offset+size=${past}]`;
      this.#error('sync-range', text, at);
    }
    const lenient = atLeast(this.#rules, '5.10') && mappedAs === BIDIRECTIONAL;
    if (mappedAs !== direction && !lenient) {
      this.#error('sync-direction', `device driver syncs DMA memory with different direction ${where} ${names}`, at);
    }
    if (mappedAs === BIDIRECTIONAL) return;
    if (forCpu && mappedAs !== FROM_DEVICE && direction !== TO_DEVICE) {
      this.#error('sync-for-cpu', `device driver syncs device read-only DMA memory for cpu ${where} ${names}`, at);
    }
    if (!forCpu && mappedAs !== TO_DEVICE && direction !== FROM_DEVICE) {
      this.#error(
        'sync-for-device',
        `device driver syncs device write-only DMA memory to device ${where} ${names}`,
        at,
      );
    }
    if (atLeast(this.#rules, '4.9') && nents > 0 && this.area.word(at, Entry.nents) !== nents) {
      const counts = `[map count=${this.area.word(at, Entry.nents)}] [sync count=${nents}]`;
      this.#error('sync-sg-count', `device driver syncs DMA sg list with different entry count ${counts}`, at);
    }
  }

  /** By the same address; from 4.9 on the one that has all of the range, or, where there is none, that which begins like it. */
  #findContaining(bus: number, told: Omit<Told, 'addr' | 'bus'>): number {
    const same = this.#at(bus);
    if (!atLeast(this.#rules, '4.9')) return this.#best(same, told);
    const containing = this.area.entries().filter((at) => {
      const from = this.area.word(at, Entry.bus) >>> 0;
      return from <= bus && bus + told.size <= from + this.area.word(at, Entry.size);
    });
    return containing.length > 0 ? this.#best(containing, told) : this.#best(same, told);
  }

  /** The driver lets go of its device. Source: dma_debug_device_change(), Linux 4.9. */
  unbound(): void {
    if (atLeast(this.#rules, '4.9')) this.#pending(this.area.entries(), []);
  }

  #pending(left: readonly number[], more: readonly string[]): void {
    const [first] = left;
    if (first === undefined) return;
    const word = (field: number): number => this.area.word(first, field);
    const details = `[device address=${address(word(Entry.bus))}] [size=${word(Entry.size)} bytes] [mapped with ${directionName(word(Entry.direction))}] [mapped as ${typeName(word(Entry.type), this.#rules)}]`;
    const text = `device driver has pending DMA allocations while released from device [count=${left.length}]`;
    this.#error('pending', text, first, [...more, `One of leaked entries details: ${details}`]);
  }

  leftOver(): string[] {
    return this.area.entries().flatMap((at) => {
      const word = (field: number): number => this.area.word(at, field);
      const isCoherent = word(Entry.type) === DmaType.coherent;
      const mapped = `DMA mapping (${typeName(word(Entry.type), this.#rules)}, ${directionName(word(Entry.direction))})`;
      const what = isCoherent ? 'coherent buffer' : mapped;
      return [
        `${what} of ${word(Entry.size)} bytes, device address ${address(word(Entry.bus))}, made in`,
        ...this.area.stack(word(Entry.stack)).map((f) => `  ${f}`),
      ];
    });
  }

  /** The CPU is about to write to a page. Source: debug_dma_assert_idle(), Linux 4.9; gone before 5.10. */
  assertIdle(pa: number): void {
    if (!atLeast(this.#rules, '4.9') || atLeast(this.#rules, '5.10')) return;
    const at = this.area.entries().find((entry) => {
      const counts = this.area.word(entry, Entry.direction) !== TO_DEVICE;
      return counts && this.area.word(entry, Entry.pa) >>> 12 === pa >>> 12;
    });
    if (at === undefined) return;
    const line = Math.floor((this.area.word(at, Entry.pa) >>> 0) / this.#ownership.lineBytes);
    this.#error('touched', `cpu touching an active dma mapped cacheline [cln=${address(line)}]`, at);
  }

  /** @at: the mapping that it is about, or -1. */
  #error(kind: DmaError, text: string, at: number, more: readonly string[] = []): void {
    const { area } = this;
    area.countError();
    if (!area.mayReport(API, this.#options.every)) return;
    const k = this.#k;
    const headline = `DMA-API: ${text}`;
    const stack = this.stack();
    const lines = [
      '------------[ cut here ]------------',
      // No function runs at the end of an execution.
      `WARNING: at lib/dma-debug.c ${stack[0] ?? 'dma_debug_device_change'}()`,
      `NULL NULL: ${headline}`,
      ...more,
      `Pid: ${k.slot}, comm: thread${k.slot} Not tainted ${k.config.kernel} #1`,
      'Call Trace:',
      ...frames(stack),
      ...(at < 0 ? [] : ['Mapped at:', ...frames(area.stack(area.word(at, Entry.stack)))]),
      '---[ end trace ]---',
    ];
    this.#ownership.print(kind, headline, lines);
  }

  /** Functions that the thread is in, innermost first. */
  stack(): readonly string[] {
    return this.#options.stack();
  }

  /** For strategies: whoever uses these bytes does not commute with this. */
  #touch(pa: number, bytes: number): void {
    const { footprint } = this.#k;
    const first = (pa - this.#physBase) >>> 2;
    if (footprint === null || pa < this.#physBase) return;
    footprint.memory(first, Math.max(1, bytes >>> 2), true);
  }

  // ---- ownership ---------------------------------------------------------------------------------------------------

  /** The lines of [pa, pa + bytes), each with the bits of the bytes in it. */
  #eachLine(pa: number, bytes: number, act: (line: number, set: [number, number], whole: boolean) => void): void {
    const { lineBytes } = this.#ownership;
    if (!this.#ownership.on) return;
    for (let line = (pa & -lineBytes) >>> 0; line < pa + bytes; line += lineBytes) {
      const from = Math.max(0, pa - line);
      const count = Math.min(lineBytes, pa + bytes - line) - from;
      act(line, bits(from, count), count === lineBytes);
    }
  }

  #give(pa: number, bytes: number, direction: number, stack: number): void {
    const none = [0, 0] as const;
    const o = this.#ownership;
    if (!o.on) return;
    const dirty = o.dirtyLines(pa, bytes);
    this.#eachLine(pa, bytes, (line, set, whole) => {
      const at = o.record(line, true);
      if (at < 0) return;
      o.change(at, Line.device, set, none);
      o.change(at, Line.cpu, none, set);
      o.change(at, Line.written, none, set);
      this.area.set(at, Line.direction, direction);
      if (stack !== 0) this.area.set(at, Line.mapStack, stack);
      if (whole && dirty.has(line)) this.#leftDirty(line, at);
    });
  }

  /** A line that maintenance should have cleaned or thrown away. */
  #leftDirty(line: number, at: number): void {
    const o = this.#ownership;
    for (let pa = line; pa < line + o.lineBytes; pa += 4) {
      const seen = o.memoryWord(pa);
      const holder = o.dirtyCopy(pa, seen);
      if (holder === null) continue;
      const what = `a buffer is the device's, and a line of it still dirty in a cache`;
      o.say('left-dirty', what, at, pa, o.bytes(pa, holder.value, seen), holder.cache, this.stack());
      return;
    }
  }

  #take(pa: number, bytes: number): void {
    this.#eachLine(pa, bytes, (line, set) => {
      const o = this.#ownership;
      const at = o.record(line);
      if (at < 0 || !o.touches(at, Line.device, set)) return;
      o.change(at, Line.device, [0, 0], set);
      o.change(at, Line.cpu, set, [0, 0]);
    });
  }

  /** Memory that CPUs and devices share from now on, or that is free. */
  #forget(pa: number, bytes: number): void {
    this.#eachLine(pa, bytes, (line, set) => {
      const at = this.#ownership.record(line);
      if (at < 0) return;
      for (const field of [Line.device, Line.cpu, Line.written]) this.#ownership.change(at, field, [0, 0], set);
    });
  }

  event(what: Ev, a: number, b: number, c: number, d: number): void {
    if (what === Ev.bytes) this.#mask = a;
    else if (what === Ev.point || what === Ev.step) {
      if (!isPlain(a)) this.#rowStack = 0;
    } else if (what === Ev.store) {
      this.#stored(b, c, this.#mask);
      this.#mask = -1;
    } else if (what === Ev.load) this.#loaded(b, c);
    else if (what === Ev.lineWriteBack) this.#writtenBack(a, c, d);
    else if (what === Ev.lineDrop) this.#dropped(a, c, d);
    else if (what === Ev.pageAlloc && a !== 0) this.#forgetPages(a, b);
  }

  /** Somebody else's pages now. @page: address of the struct page. */
  #forgetPages(page: number, order: number): void {
    const pa = this.#physBase + ((page - this.#k.sym.mem_map) >>> 5) * 4096;
    this.#forget(pa, 4096 << order);
  }

  #stored(pa: number, _value: number, mask: number): void {
    if (pa < 0 || !this.#ownership.on) return;
    const o = this.#ownership;
    const at = o.record(pa, true);
    if (at < 0) return;
    const word = o.wordBits(pa, mask);
    const mine = o.touches(at, Line.device, word);
    if (mine) this.#access('cpu-access', "the CPU writes to memory that is a device's", at, pa);
    else this.#besides(at, pa);
    o.change(at, Line.written, [0, 0], word);
    if (this.#rowStack === 0 || this.area.word(at, Line.mapStack) !== 0)
      this.#rowStack = this.area.keep(this.stack().join('\n'));
    this.area.set(at, Line.writer, this.#k.slot + 1);
    this.area.set(at, Line.writerCpu, this.#k.cpu);
    this.area.set(at, Line.writerStack, this.#rowStack);
  }

  #access(kind: OwnershipError, what: string, at: number, pa: number): void {
    this.#ownership.say(kind, what, at, pa, [], -1, this.stack());
  }

  /** Bytes next to a buffer that a device writes to: the line that becomes dirty has both. */
  #besides(at: number, pa: number): void {
    const [low, high] = this.#ownership.get(at, Line.device);
    if ((low | high) === 0 || this.area.word(at, Line.direction) === TO_DEVICE) return;
    this.#access('shared-line', "a cache line has bytes of a device's buffer and others that the CPU uses", at, pa);
  }

  #loaded(pa: number, seen: number): void {
    const o = this.#ownership;
    const at = pa < 0 || !o.on ? -1 : o.record(pa);
    if (at < 0) return;
    const word = o.wordBits(pa);
    const direction = this.area.word(at, Line.direction);
    if (o.covers(at, Line.device, word)) {
      if (direction !== TO_DEVICE) this.#access('cpu-access', "the CPU reads memory that is a device's", at, pa);
      return;
    }
    if (!o.covers(at, Line.written, word)) return;
    const expected = o.memoryWord(pa);
    if (expected === (seen | 0)) return;
    const what = 'the CPU reads what was in its cache before the device wrote';
    o.say('stale-for-cpu', what, at, pa, o.bytes(pa, expected, seen), this.#k.cpu, this.stack());
  }

  /** A dirty line is about to go to memory. */
  #writtenBack(number: number, pa: number, dirty: number): void {
    const o = this.#ownership;
    const at = o.on ? o.record(pa) : -1;
    const found = at < 0 ? null : o.lineOf(number);
    if (found === null) return;
    const { cache, unit, line } = found;
    for (let offset = 0; offset < o.lineBytes; offset += 4) {
      if ((dirty & cache.dirtyBit(offset)) === 0) continue;
      const word = pa + offset;
      if (!o.covers(at, Line.written, o.wordBits(word))) continue;
      const copy = this.#k.hw[cache.data + line * cache.lineWords + (offset >>> 2)] as number;
      const expected = o.memoryWord(word);
      if (copy === expected) continue;
      const what = 'a dirty line is written back over what the device has written';
      o.say('overwritten', what, at, word, o.bytes(word, expected, copy), unit, this.stack());
      return;
    }
  }

  /** A line is thrown away, dirty bytes and all, while a buffer is maintained: bytes that are not the buffer's are lost. */
  #dropped(number: number, pa: number, dirty: number): void {
    if (this.#bytes === 0 || (dirty & 0xff) === 0 || dirty >>> 8 !== Cause.invalidate) return;
    const o = this.#ownership;
    const found = o.on ? o.lineOf(number) : null;
    if (found === null) return;
    const { cache, unit, line } = found;
    for (let offset = 0; offset < o.lineBytes; offset += 4) {
      const word = pa + offset;
      if ((dirty & cache.dirtyBit(offset)) === 0 || (word + 4 > this.#from && word < this.#from + this.#bytes))
        continue;
      const copy = this.#k.hw[cache.data + line * cache.lineWords + (offset >>> 2)] as number;
      const seen = o.memoryWord(word);
      if (copy === seen) continue;
      const shared = pa < this.#from + this.#bytes && pa + o.lineBytes > this.#from;
      const what = shared
        ? "maintenance of a buffer throws away a neighbour's bytes"
        : 'maintenance of a buffer throws away a line that is not of the buffer';
      o.say(
        shared ? 'shared-line' : 'wrong-line',
        what,
        o.record(pa),
        word,
        o.bytes(word, copy, seen),
        unit,
        this.stack(),
      );
      return;
    }
  }
}

/** THREAD_STACK_BYTES of mm/boot.ts. */
const STACK_BYTES = 512;
