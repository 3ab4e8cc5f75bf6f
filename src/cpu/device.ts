/**
 * A bus master: reads and writes physical memory without the caches, and raises interrupt lines. It runs in a worker of its
 * own, executes no kernel code and holds no CPU.
 *
 * Each aligned word of a transfer is one step; CPUs and other masters come in between (spec/hardware.md §8.2).
 */
import { ExecutionStopped, MurphyError } from '../shared/errors.js';
import { type Footprint, Space } from '../shared/footprint.js';
import { Point } from '../shared/point.js';
import type { Paddr, Vaddr } from '../shared/types.js';
import { CoherentIo } from './coherent-io.js';
import type { MachineConfig } from './config.js';
import { Attention, Control, DEVICE_WORDS, type HwLayout, layoutHw, Request, Seat } from './hw.js';
import { IoMmu } from './io-mmu.js';
import { askCpu, type Buffers, raiseLine } from './kernel.js';
import { PhysicalMemory } from './memory.js';
import { Mmu } from './mmu.js';
import { OuterCache } from './outer.js';
import { Ev, type Tracer } from './tracer.js';

const DOORBELL = DEVICE_WORDS - 1;
/** Non-zero while the device waits for its doorbell. */
const WAITING = DEVICE_WORDS - 2;
const SLEEP_MS = 5;

/** What controlled mode installs behind a device's steps. */
export interface DeviceController {
  point(kind: Point, addr: number): void;
  /** Return when the word is no longer @value. */
  waitWhile(memory: Int32Array, index: number, value: number, on: number): void;
}

export class Device {
  readonly index: number;
  readonly config: MachineConfig;
  vars: Record<string, number> = {};
  #tracer: Tracer | null = null;
  readonly #arena: SharedArrayBuffer;
  readonly #memory: PhysicalMemory;
  readonly hw: Int32Array;
  readonly layout: HwLayout;
  readonly #registers: number;
  controller: DeviceController | null = null;
  footprint: Footprint | null = null;
  /** The memory system of each CPU, for what its hardware does by itself: made when first asked for. */
  readonly #mmus: Mmu[] = [];
  /** What those fill from and write to: memory with the outer cache, which the device's own transfers pass by. */
  #behindCaches: PhysicalMemory | null = null;
  #io: CoherentIo | null = null;
  #ioMmu: IoMmu | null = null;

  constructor(config: MachineConfig, buffers: Buffers, index: number) {
    this.config = config;
    this.index = index;
    this.layout = layoutHw(config);
    this.hw = new Int32Array(buffers.hw);
    this.#arena = buffers.arena;
    this.#memory = new PhysicalMemory(buffers.arena, config.core.physBase);
    this.#registers = this.layout.devices + index * DEVICE_WORDS;
  }

  point(kind: Point, addr: number): void {
    if (this.hw[Control.abort] !== 0) throw new ExecutionStopped('stopped');
    if (this.#tracer !== null) this.#tracer.event(Ev.point, kind, addr, 0, 0);
    this.controller?.point(kind, addr);
    if (this.#tracer !== null) this.#tracer.event(Ev.step, kind, addr, 0, 0);
  }

  /** Note from now on what each step touches, or no longer. */
  traceFootprints(footprint: Footprint | null): void {
    this.footprint = footprint;
    this.#memory.footprint = footprint;
    this.#io?.traceFootprints(footprint);
    if (this.#ioMmu !== null) this.#ioMmu.footprint = footprint;
    for (const mmu of this.#mmus) mmu?.traceFootprints(footprint);
    this.#behindCaches?.outer?.traceFootprints(footprint);
  }

  /** Have somebody watch this device's transfers, and what it makes the caches do. Null for nobody. */
  setTracer(tracer: Tracer | null): void {
    this.#tracer = tracer;
    for (const mmu of this.#mmus) mmu?.setTracer(tracer);
  }

  /** The device's function has returned: one context less lives. */
  ended(): void {
    Atomics.sub(this.hw, Control.devicesBusy, 1);
    Atomics.add(this.hw, Control.progress, 1);
    if (Atomics.sub(this.hw, Control.live, 1) !== 1) return;
    for (let cpu = 0; cpu < this.config.cpus; cpu++) {
      const attention = this.layout.seats + cpu * Seat.words + Seat.attention;
      Atomics.or(this.hw, attention, Attention.wake);
      Atomics.notify(this.hw, attention);
    }
  }

  /** One word of memory. On a machine with an I/O page directory addresses are those of the bus, and caches are looked into. */
  read32(pa: Paddr): number {
    this.point(Point.Dma, pa);
    if (this.config.iommu) return this.#knows(this.#translating().read32(pa));
    const value = this.#memory.read32(pa) >>> 0;
    if (this.#tracer !== null) this.#tracer.event(Ev.dmaRead, pa, value, 0, 0);
    return this.#knows(value);
  }

  #knows(value: number): number {
    this.footprint?.observe(value);
    return value;
  }

  write32(pa: Paddr, value: number): void {
    this.point(Point.Dma, pa);
    if (this.config.iommu) {
      this.#translating().write32(pa, value);
      return;
    }
    if (this.#tracer !== null) this.#tracer.event(Ev.dmaWrite, pa, value, 0, 0);
    this.#memory.write32(pa, value);
  }

  /** Fill [pa, pa + bytes) with the words that @word gives, ascending. */
  transferIn(pa: Paddr, bytes: number, word: (offset: number) => number): void {
    for (let offset = 0; offset < bytes; offset += 4) this.write32((pa + offset) as Paddr, word(offset));
  }

  /** Read [pa, pa + bytes), ascending. */
  transferOut(pa: Paddr, bytes: number, word: (offset: number, value: number) => void): void {
    for (let offset = 0; offset < bytes; offset += 4) word(offset, this.read32((pa + offset) as Paddr));
  }

  /** Bytes to memory in the machine's byte order, by whole words, ascending. */
  writeBytes(pa: Paddr, bytes: ArrayLike<number>): void {
    const shift = (i: number): number => (this.config.core.byteOrder === 'big' ? 3 - i : i) * 8;
    this.transferIn(pa, bytes.length, (offset) => {
      let word = 0;
      for (let i = 0; i < 4; i++) word |= (bytes[offset + i] as number) << shift(i);
      return word;
    });
  }

  /** @count bytes from memory in the machine's byte order, by whole words, ascending. */
  readBytes(pa: Paddr, count: number): number[] {
    const bytes: number[] = [];
    const big = this.config.core.byteOrder === 'big';
    this.transferOut(pa, count, (_, word) => {
      for (let i = 0; i < 4; i++) bytes.push((word >>> ((big ? 3 - i : i) * 8)) & 0xff);
    });
    return bytes;
  }

  /**
   * One word through an I/O adapter that snoops the CPUs' caches at the sets that @index names: `lci()` of the buffer's virtual address.
   * Errors: on cores without coherent I/O there is no such adapter.
   */
  snoopingRead32(pa: Paddr, index: number): number {
    this.point(Point.Dma, pa);
    return this.#knows(this.#adapter().read32(pa, index) >>> 0);
  }

  snoopingWrite32(pa: Paddr, index: number, value: number): void {
    this.point(Point.Dma, pa);
    this.#adapter().write32(pa, index, value);
  }

  #adapter(): CoherentIo {
    const { core } = this.config;
    if (core.parisc?.coherentIo !== true) throw new MurphyError(`core ${core.id} has no coherent I/O`);
    if (this.#io === null) {
      this.#io = new CoherentIo(this.hw, this.layout, core, this.#memory);
      this.#io.traceFootprints(this.footprint);
    }
    return this.#io;
  }

  #translating(): IoMmu {
    if (this.#ioMmu === null) {
      this.#ioMmu = new IoMmu(this.hw, this.layout, this.config, this.#adapter(), this.#memory);
      this.#ioMmu.footprint = this.footprint;
    }
    return this.#ioMmu;
  }

  /** Raise an interrupt line of a CPU: the completion interrupt. */
  raise(cpu: number, line: number): void {
    this.point(Point.Raise, line);
    this.footprint?.touch(Space.seat, cpu, true);
    if (this.#tracer !== null) this.#tracer.event(Ev.raise, cpu, line, 0, 0);
    raiseLine(this.hw, this.layout, cpu, line);
    Atomics.add(this.hw, Control.progress, 1);
  }

  /** Register @n (0 to 31) as the driver sees it. */
  register(n: number): number {
    const value = Atomics.load(this.hw, this.#registers + n) >>> 0;
    this.footprint?.touch(Space.hw, this.#registers + n, false);
    this.footprint?.observe(value);
    this.#tracer?.event(Ev.registerRead, this.index, n, 0, 0);
    return value;
  }

  setRegister(n: number, value: number): void {
    this.footprint?.touch(Space.hw, this.#registers + n, true);
    this.footprint?.hwChanged(this.#registers + n, 1);
    this.#tracer?.event(Ev.registerWrite, this.index, n, 0, 0);
    Atomics.store(this.hw, this.#registers + n, value);
  }

  /**
   * The cache of @cpu brings in the line that holds @va although no instruction asked for it. Without effect on cores that do not
   * speculate, and where that CPU's TLB has no translation. In parallel mode the CPU does it at its next scheduling point.
   */
  prefetch(cpu: number, va: Vaddr): void {
    this.point(Point.Fill, va);
    if (this.controller === null) askCpu(this.hw, this.layout, cpu, va, Request.prefetch);
    else this.#mmuOf(cpu).speculativeFill(va);
  }

  /** The cache of @cpu gives up the line that holds @va, writing it back if it is dirty. In parallel mode as `prefetch()`. */
  evict(cpu: number, va: Vaddr): void {
    this.point(Point.WriteBack, va);
    if (this.controller === null) askCpu(this.hw, this.layout, cpu, va, Request.evict);
    else this.#mmuOf(cpu).evict(va);
  }

  #mmuOf(cpu: number): Mmu {
    let mmu = this.#mmus[cpu];
    if (mmu === undefined) {
      this.#behindCaches ??= this.#memoryBehindCaches();
      mmu = new Mmu(this.hw, this.layout, this.config, cpu, this.#behindCaches, {
        point: (kind, addr) => this.point(kind, addr),
        dataAbort: (va) => {
          throw new MurphyError(`hardware of CPU ${cpu} faults at ${va.toString(16)}`);
        },
      });
      mmu.traceFootprints(this.footprint);
      mmu.setTracer(this.#tracer);
      this.#mmus[cpu] = mmu;
    }
    return mmu;
  }

  #memoryBehindCaches(): PhysicalMemory {
    const { core } = this.config;
    const memory = new PhysicalMemory(this.#arena, core.physBase);
    if (core.outer !== null && this.layout.outer !== null) {
      memory.outer = new OuterCache(this.hw, this.layout.outer, core.outer, this.#arena, core.physBase);
      memory.outer.traceFootprints(this.footprint);
    }
    return memory;
  }

  /** Sleep until the driver rings; takes one ring. */
  waitDoorbell(): void {
    const bell = this.#registers + DOORBELL;
    Atomics.store(this.hw, this.#registers + WAITING, 1);
    Atomics.sub(this.hw, Control.devicesBusy, 1);
    this.controller?.waitWhile(this.hw, bell, 0, bell);
    while (Atomics.load(this.hw, bell) === 0) {
      this.point(Point.Wait, bell);
      Atomics.wait(this.hw, bell, 0, SLEEP_MS);
    }
    Atomics.add(this.hw, Control.devicesBusy, 1);
    Atomics.store(this.hw, this.#registers + WAITING, 0);
    this.footprint?.touch(Space.hw, bell, true);
    this.footprint?.hwChanged(bell, 1);
    this.#tracer?.event(Ev.doorbellTaken, this.index, 0, 0, 0);
    Atomics.sub(this.hw, bell, 1);
  }
}

/** The driver's side: device registers are strongly ordered, so buffered stores go first. */
export interface DeviceAccess {
  readonly hw: Int32Array;
  readonly layout: HwLayout;
  readonly mmu: { drain(): void };
  readonly footprint: Footprint | null;
  point(kind: Point, addr: number): void;
  trace(what: Ev, a: number, b?: number): void;
}

export function deviceWrite(k: DeviceAccess, device: number, register: number, value: number): void {
  k.point(Point.Store, device);
  k.mmu.drain();
  const at = k.layout.devices + device * DEVICE_WORDS + register;
  k.footprint?.touch(Space.hw, at, true);
  k.footprint?.hwChanged(at, 1);
  k.trace(Ev.registerWrite, device, register);
  k.hw[Control.registers] = 1;
  Atomics.store(k.hw, at, value);
}

export function deviceRead(k: DeviceAccess, device: number, register: number): number {
  k.point(Point.Load, device);
  k.mmu.drain();
  const at = k.layout.devices + device * DEVICE_WORDS + register;
  const value = Atomics.load(k.hw, at) >>> 0;
  k.footprint?.touch(Space.hw, at, false);
  k.footprint?.observe(value);
  k.trace(Ev.registerRead, device, register);
  return value;
}

/** Does it wait for its doorbell? */
export const deviceWaits = (hw: Int32Array, layout: HwLayout, device: number): boolean =>
  Atomics.load(hw, layout.devices + device * DEVICE_WORDS + WAITING) !== 0;

/** Tell the device that there is work: wakes waitDoorbell(). */
export function ringDoorbell(k: DeviceAccess, device: number): void {
  k.point(Point.Raise, device);
  k.mmu.drain();
  k.trace(Ev.doorbell, device);
  const bell = k.layout.devices + device * DEVICE_WORDS + DOORBELL;
  k.footprint?.touch(Space.hw, bell, true);
  k.footprint?.hwChanged(bell, 1);
  k.hw[Control.registers] = 1;
  Atomics.add(k.hw, bell, 1);
  Atomics.add(k.hw, Control.progress, 1);
  Atomics.notify(k.hw, bell);
}

/** Has a device been rung that still sleeps? Its worker may take a while to wake up. */
export function deviceRung(hw: Int32Array, layout: HwLayout, devices: number): boolean {
  for (let i = 0; i < devices; i++) {
    const registers = layout.devices + i * DEVICE_WORDS;
    if (Atomics.load(hw, registers + WAITING) !== 0 && Atomics.load(hw, registers + DOORBELL) !== 0) return true;
  }
  return false;
}
