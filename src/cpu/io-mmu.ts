/**
 * The I/O MMU of an adapter inside the coherence domain (U2/Uturn, Astro, Ike): devices give I/O virtual addresses, which the adapter's TLB, and behind it
 * the I/O page directory in memory, turn into a physical address and the coherence index of the buffer.
 *
 * Source: spec/hardware.md §8.1, §8.2; layout of the entries: drivers/parisc/{ccio-dma,sba_iommu}.c, Linux 2.6.22. U2 does not see what CPUs' caches hold of the
 * directory, Astro does unless firmware says otherwise (`ioPdirFdc`). A TLB entry stays until it is purged, whatever becomes of the directory.
 * Differs: Astro's TLB is one of 256 entries, selected by page number; how it is built is not documented. A purge is over when its command is.
 */
import { KernelBug } from '../shared/errors.js';
import { type Footprint, Space } from '../shared/footprint.js';
import { Point } from '../shared/point.js';
import { hex8, type Paddr } from '../shared/types.js';
import type { CoherentIo } from './coherent-io.js';
import type { MachineConfig } from './config.js';
import type { DeviceAccess } from './device.js';
import { type HwLayout, IOMMU_TLB_ENTRIES, IOMMU_TLB_ENTRY_WORDS } from './hw.js';
import type { PhysicalMemory } from './memory.js';

/** What an entry says. Words as the CPU stores them: U2's are big-endian, Astro's a little-endian 64-bit word. */
interface Format {
  valid(high: number, low: number): boolean;
  page(high: number, low: number): number;
  index(high: number, low: number): number;
}

const swab32 = (x: number): number =>
  (((x & 0xff) << 24) | ((x & 0xff00) << 8) | ((x >>> 8) & 0xff00) | (x >>> 24)) >>> 0;

const CCIO: Format = {
  valid: (_, second) => (second & 1) !== 0,
  page: (_, second) => (second & ~0xfff) >>> 0,
  index: (first) => (first >>> 16) & 0xff,
};
const SBA: Format = {
  valid: (_, second) => (second & 0x80) !== 0,
  page: (first) => (swab32(first) & ~0xfff) >>> 0,
  index: (first) => first >>> 24,
};

/** Which entry of the TLB a page goes to: U2's chain id is the top 8 bits of the I/O address space. */
function tlbEntryOf(config: MachineConfig, entries: number, page: number): number {
  if (config.core.parisc?.iommu !== 'ccio') return page & (IOMMU_TLB_ENTRIES - 1);
  return entries <= IOMMU_TLB_ENTRIES ? page : Math.floor(page / (entries / IOMMU_TLB_ENTRIES));
}

/** What is given up in the TLB: shared by purges of CPUs and by who looks. */
const entryAt = (layout: HwLayout, entry: number): number => layout.iommuTlb + entry * IOMMU_TLB_ENTRY_WORDS;

/** The device's side: one for each bus master, all of one adapter. */
export class IoMmu {
  readonly #hw: Int32Array;
  readonly #layout: HwLayout;
  readonly #config: MachineConfig;
  readonly #io: CoherentIo;
  readonly #memory: PhysicalMemory;
  readonly #format: Format;
  footprint: Footprint | null = null;

  constructor(hw: Int32Array, layout: HwLayout, config: MachineConfig, io: CoherentIo, memory: PhysicalMemory) {
    this.#hw = hw;
    this.#layout = layout;
    this.#config = config;
    this.#io = io;
    this.#memory = memory;
    this.#format = config.core.parisc?.iommu === 'ccio' ? CCIO : SBA;
  }

  read32(iova: number): number {
    const at = this.#lookUp(iova);
    return this.#io.read32(this.#physical(at, iova), this.#indexOf(at)) >>> 0;
  }

  write32(iova: number, value: number): void {
    const at = this.#lookUp(iova);
    this.#io.write32(this.#physical(at, iova), this.#indexOf(at), value);
  }

  #physical(at: number, iova: number): Paddr {
    const [first, second] = [this.#hw[at + 1] as number, this.#hw[at + 2] as number];
    return (this.#format.page(first, second) + (iova & 0xfff)) as Paddr;
  }

  #indexOf(at: number): number {
    return this.#format.index(this.#hw[at + 1] as number, this.#hw[at + 2] as number);
  }

  /** The TLB entry of @iova, from the directory if need be. Errors: an address without a valid entry is a machine check. */
  #lookUp(iova: number): number {
    const entries = this.#hw[this.#layout.iommu + 1] as number;
    const page = iova >>> 12;
    if (page >= entries) this.#machineCheck(iova);
    const at = entryAt(this.#layout, tlbEntryOf(this.#config, entries, page));
    this.footprint?.touch(Space.hw, at, false);
    this.footprint?.observe(this.#hw[at + 2] as number);
    if (this.#hw[at] === page + 1) return at;
    const entry = ((this.#hw[this.#layout.iommu] as number) + page * 8) >>> 0;
    const [first, second] = [this.#directory(entry), this.#directory(entry + 4)];
    if (!this.#format.valid(first, second)) this.#machineCheck(iova);
    this.#hw[at] = page + 1;
    this.#hw[at + 1] = first;
    this.#hw[at + 2] = second;
    this.footprint?.touch(Space.hw, at, true);
    this.footprint?.hwChanged(at, IOMMU_TLB_ENTRY_WORDS);
    return at;
  }

  /** A word of the directory, as the adapter fetches it. */
  #directory(pa: number): number {
    const { core, ioPdirFdc, pageOffset } = this.#config;
    if (core.parisc?.iommu === 'ccio' || ioPdirFdc) return this.#memory.read32(pa as Paddr);
    return this.#io.read32(pa as Paddr, ((pa - core.physBase + pageOffset) >>> 12) & 0xff);
  }

  #machineCheck(iova: number): never {
    throw new KernelBug('oops', `High Priority Machine Check (HPMC): Code=1 (Addr=${hex8(iova >>> 0)})`, iova);
  }
}

/** Boot: where the directory is. It stays so for every execution. */
export function setIoPdir(k: DeviceAccess, pa: Paddr, entries: number): void {
  k.hw[k.layout.iommu] = pa;
  k.hw[k.layout.iommu + 1] = entries;
}

function purgeEntry(k: DeviceAccess, entry: number): void {
  const at = entryAt(k.layout, entry);
  Atomics.store(k.hw, at, 0);
  k.footprint?.touch(Space.hw, at, true);
  k.footprint?.hwChanged(at, IOMMU_TLB_ENTRY_WORDS);
}

/** Astro's purge command: the entries of [iovp, iovp + bytes). @bytes: a power of two, to which @iovp is aligned. */
export function purgeIoRange(k: DeviceAccess & { readonly config: MachineConfig }, iovp: number, bytes: number): void {
  k.point(Point.Store, 0);
  k.mmu.drain();
  const entries = k.hw[k.layout.iommu + 1] as number;
  for (let page = iovp >>> 12; page < (iovp + bytes) >>> 12; page++) {
    const entry = tlbEntryOf(k.config, entries, page);
    if (k.hw[entryAt(k.layout, entry)] === page + 1) purgeEntry(k, entry);
  }
}

/** U2's purge command: whatever stands in the entry of the chain of @iovp. */
export function purgeIoChain(k: DeviceAccess & { readonly config: MachineConfig }, iovp: number): void {
  k.point(Point.Store, 0);
  k.mmu.drain();
  purgeEntry(k, tlbEntryOf(k.config, k.hw[k.layout.iommu + 1] as number, iovp >>> 12));
}
