/** Everything that a machine is, as data that can be sent to a worker. */
import type { Declared } from '../shared/declared.js';
import type { CoreRow } from './core.js';

export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 4096;

/** The slab allocator, and what its layout depends on besides. */
export interface SlabOptions {
  /** CONFIG_SLUB or CONFIG_SLAB. */
  readonly slab: 'slub' | 'slab';
  /** `slub_debug=`: letters of FZPUT, or `-` for FZPU, and behind a comma the caches it is for. Empty: none. */
  readonly slubDebug: string;
  readonly slubMinOrder: number;
  readonly slubMaxOrder: number;
  readonly slubMinObjects: number;
  /** `slub_nomerge`: every cache of SLUB stays its own. */
  readonly slubNomerge: boolean;
  /** CONFIG_DEBUG_SLAB. */
  readonly debugSlab: boolean;
  readonly debugSpinlock: boolean;
  /** CONFIG_DEBUG_VM: VM_BUG_ON() is BUG_ON(). */
  readonly debugVm: boolean;
  /** CONFIG_DEBUG_PAGEALLOC: free pages are filled with 0xaa and looked at when they are given out; vmalloc() unmaps at once. From 2.6.30 on. */
  readonly debugPagealloc: boolean;
  /** ARM: is the kernel compiled for the old ABI, with long long aligned to 4 bytes? */
  readonly oabi: boolean;
  /** arch_is_coherent(): the kernel takes devices to see the caches, which they do not: dma_alloc_coherent() is kmalloc(), maps maintain nothing. */
  readonly coherentDma: boolean;
  /** PA-RISC with coherent I/O: does the adapter translate bus addresses by an I/O page directory? Else they are physical ("real mode"). */
  readonly iommu: boolean;
  /** PDC_MODEL_IOPDIR_FDC: firmware says that Astro's adapter does not see what caches hold of the directory. It is so. */
  readonly ioPdirFdc: boolean;
  /** ARM's ISA_DMA_THRESHOLD: the last bus address that GFP_DMA gives memory up to. Devices with smaller masks are refused coherent memory. */
  readonly isaDmaThreshold: number;
}

/** As a kernel is built and booted when nobody asks for anything. */
export const SLAB_DEFAULTS: SlabOptions = {
  slab: 'slub',
  slubDebug: '',
  slubMinOrder: 0,
  slubMaxOrder: 1,
  slubMinObjects: 4,
  slubNomerge: false,
  debugSlab: false,
  debugSpinlock: false,
  debugVm: false,
  debugPagealloc: false,
  oabi: false,
  coherentDma: false,
  iommu: false,
  ioPdirFdc: false,
  isaDmaThreshold: 0xffffffff,
};

/** Checkers that watch the machine. */
export const CHECKERS = ['lockdep', 'memory', 'dma', 'races', 'hangs', 'spinlocks', 'context', 'leak'] as const;
/** Those that `all` does not stand for: a race that ends with what it has allocated is nothing unusual. */
const APART: readonly string[] = ['leak'];
export const ALL_CHECKERS = CHECKERS.filter((name) => !APART.includes(name));

/** Stands for several of them, in a list that a user gives. */
export const ALL = 'all';

/** A user's list of checkers with commas: spaces left out, `all` as those that it stands for, but @apart. Unknown names stay. */
export function checksAsked(list: string, apart: readonly string[] = []): string {
  const all = ALL_CHECKERS.filter((name) => !apart.includes(name));
  const names = list.split(',').map((name) => name.trim());
  return [...new Set(names.includes(ALL) ? [...all, ...names.filter((name) => name !== ALL)] : names)].join(',');
}

/** Names of a list with commas. */
export const checksOf = (list: string | undefined): string[] => (list ?? '').split(',').filter((name) => name !== '');

export interface MachineConfig extends SlabOptions {
  readonly core: CoreRow;
  readonly cpus: number;
  /** Kernel threads that the machine can hold: at least one per CPU. */
  readonly threadsMax: number;
  readonly devicesMax: number;
  /** Page frames mapped by the direct map: ZONE_DMA and ZONE_NORMAL. */
  readonly lowmemPages: number;
  /** The first so many of them are ZONE_DMA; 0: the machine has none. */
  readonly dmaPages: number;
  /** Page frames of ZONE_HIGHMEM. */
  readonly highmemPages: number;
  /** Do zones keep the reserves of the kernel's formulas? Without, on machines of a few pages, every page can be allocated. */
  readonly watermarks: boolean;
  readonly pageOffset: number;
  /** LAST_PKMAP: a power of two, at least 2. */
  readonly pkmapSlots: number;
  /** Kernel version as `uname -r` begins: '2.6.30'. */
  readonly kernel: string;
  /** Names of the patches in force: those that the version contains and those asked for. */
  readonly patches: readonly string[];
  /** CONFIG_DEBUG_HIGHMEM. */
  readonly debugHighmem: boolean;
  /** CONFIG_PREEMPT. */
  readonly preempt: boolean;
  /** Are spinlocks ticket locks (x86 from 2.6.25, ARM from 3.6), or plain test-and-set words (ARM until 3.5)? */
  readonly ticketLocks: boolean;
  /** Timer interrupts per second and CPU in parallel mode; 0 for none. */
  readonly hz: number;
  /** How many bytes of a page a race should use. */
  readonly bufferBytes: number;
  /** Numbers that the race's functions read, by name: what tells cases of one race apart that are no matter of machines. */
  readonly parameters: Readonly<Record<string, number>>;
  readonly seed: number;
  /** Checkers that watch, with commas between them; none when empty. */
  readonly check?: string;
  /** Rules of the lock validator: those of 2.6.22, 2.6.30, 4.9 or 5.10. Empty: as the kernel version has them. */
  readonly lockdepRules?: string;
  /** `linux`: the first report ends all checking. `continue`: only the same report about the same classes is left out. */
  readonly lockdepMode?: string;
  /** Does lockdep measure how long locks are waited for and held? */
  readonly lockStat?: boolean;
  /** Are spinlocks told from raw ones, which nobody may wait in for others? CONFIG_PROVE_RAW_LOCK_NESTING. */
  readonly rawLockNesting?: boolean;
  /** What sysctl sets of the watchdogs: seconds, 0 for none, and how many hung tasks are told of. See HANG_DEFAULTS. */
  readonly softlockupThresh?: number;
  readonly watchdogThresh?: number;
  readonly hungTaskTimeoutSecs?: number;
  readonly hungTaskWarnings?: number;
  /** Rules of the DMA checker: those of 2.6.30, 4.9, 5.10 or 5.14. Empty: as the kernel version has them. */
  readonly dmaRules?: string;
  /** What counts as a data race: `hb`, or what KCSAN would report. Empty: `hb`. */
  readonly raceRules?: string;
  /** Variables, locks and queues of the race, static objects of this machine. */
  readonly declared?: readonly Declared[];
}
