/**
 * From reset to a kernel with its memory set up: where every static object is (System.map), and start_kernel().
 *
 * The layout follows from the configuration alone, so each worker computes it for itself. Text does not exist. What differs between
 * architectures is in mm/<arch>/boot.ts.
 */
import { archOf } from '../arch/arch.js';
import type { MachineConfig } from '../cpu/config.js';
import type { Buffers, Kernel, StaticLayout } from '../cpu/kernel.js';
import { GROUP_LOG2 } from '../cpu/memory.js';
import { Scheduler } from '../cpu/sched.js';
import { bugSymbols } from '../shared/bug.js';
import { bindDeclared, declaredBytes, declaredSymbol, initDeclared } from '../shared/declared.js';
import { INITIAL_JIFFIES, jiffiesSymbols } from '../shared/jiffies.js';
import type { SymbolSpec, Symbols } from '../shared/kernel-base.js';
import { defineStruct } from '../shared/layout.js';
import type { Structs } from '../shared/structs/configured.js';
import { struct_page } from '../shared/structs/page.js';
import { type Ptr, ptr, type Vaddr, vaddr } from '../shared/types.js';
import { struct_task_struct } from '../shared/wait.js';
import { wait_bit_init, waitBitSymbols } from '../shared/wait-bit.js';
import type { ArchBoot } from './arch-boot.js';
import { ARM_BOOT } from './arm/boot.js';
import { debugPageallocSymbols } from './debug-pagealloc.js';
import { gfpEventSymbols } from './gfp-events.js';
import { kmem_cache_init, slabCallFunctions, slabSymbols, structsOf } from './kmalloc.js';
import { kswapd_init, kswapdSymbols } from './kswapd.js';
import { memorySymbols } from './memory.js';
import { zoneSymbols } from './mmzone.js';
import { oomSymbols } from './oom_kill.js';
import { free_area_init } from './page_alloc.js';
import { PARISC_BOOT } from './parisc/boot.js';
import { ratelimitSymbols } from './ratelimit.js';
import { rcuSymbols } from './rcu.js';
import { deferredSymbols } from './vmalloc/deferred.js';
import { vmlistSymbols } from './vmalloc/vm-struct.js';
import { vmap_area_init, vmapAreaSymbols } from './vmalloc/vmap-area.js';
import { vmap_block_init, vmapBlockSymbols } from './vmalloc/vmap-block.js';
import { vmapLazySymbols } from './vmalloc/vmap-lazy.js';
import { vmap_purge_init, vmapPurgeSymbols } from './vmalloc/vmap-purge.js';
import { free_work } from './vmalloc.js';
import { vmscanSymbols } from './vmscan.js';
import { Work, workqueueSymbols } from './workqueue.js';

/** `struct thread_info`. Source: arch/arm/include/asm/thread_info.h, Linux 2.6.30; the head only. */
export const struct_thread_info = defineStruct('thread_info', 32, {
  flags: 0,
  preempt_count: 4,
  addr_limit: 8,
  task: 12,
  exec_domain: 16,
  cpu: 20,
});

declare module '../shared/kernel-base.js' {
  interface Symbols {
    tasks: Ptr<'task_struct'>;
    thread_infos: Ptr<'thread_info'>;
    /** Words that a race can use as it likes: locks, counters. The first is a spinlock that is free at boot, or whatever else starts as 0 on ARM. */
    race_data: Vaddr;
    /** THREAD_STACK_BYTES for each thread: what functions keep on the kernel stack and others may see. */
    thread_stacks: Vaddr;
  }
}

export const RACE_DATA_BYTES = 4096;
/** Differs: the kernel's stacks have 8 KB and hold thread_info. */
export const THREAD_STACK_BYTES = 512;

const BOOTS: readonly ArchBoot[] = [ARM_BOOT, PARISC_BOOT];
const bootOf = (config: MachineConfig): ArchBoot => BOOTS.find((b) => b.id === config.core.arch) as ArchBoot;

function symbolSpecs(config: MachineConfig, structs: Structs): Record<string, SymbolSpec> {
  const specs = kernelSymbolSpecs(config, structs);
  const taken = { ...specs, _sdata: 0, swapper_pg_dir: 0, pkmap_page_table: 0, PKMAP_BASE: 0 };
  const own = (config.declared ?? []).map((d) => [declaredSymbol(d, taken), { bytes: declaredBytes(d) }] as const);
  return { ...specs, ...Object.fromEntries(own) };
}

function kernelSymbolSpecs(config: MachineConfig, structs: Structs): Record<string, SymbolSpec> {
  return {
    ...zoneSymbols(config),
    ...jiffiesSymbols,
    ...bugSymbols,
    ...vmscanSymbols,
    ...kswapdSymbols,
    ...oomSymbols,
    ...ratelimitSymbols,
    ...gfpEventSymbols,
    ...waitBitSymbols,
    oom_lock: { bytes: 4, align: 4 },
    tasks: { bytes: config.threadsMax * struct_task_struct.sizeof, align: 64 },
    thread_infos: { bytes: config.threadsMax * struct_thread_info.sizeof, align: 32 },
    race_data: { bytes: RACE_DATA_BYTES, align: 64 },
    ...memorySymbols,
    ...vmlistSymbols,
    ...deferredSymbols(config.cpus),
    ...workqueueSymbols(config.cpus),
    ...rcuSymbols(config.cpus),
    ...vmapAreaSymbols,
    ...vmapLazySymbols,
    ...vmapPurgeSymbols,
    ...vmapBlockSymbols(config.cpus),
    thread_stacks: { bytes: config.threadsMax * THREAD_STACK_BYTES, align: 64 },
    mem_map: { bytes: (config.lowmemPages + config.highmemPages) * struct_page.sizeof, align: 64 },
    ...slabSymbols(config, structs),
    ...debugPageallocSymbols(config),
    ...bootOf(config).symbols(config),
  };
}

/** Where the static objects of a kernel are. Pure: the same configuration gives the same addresses. */
export function layoutStatics(config: MachineConfig): StaticLayout {
  const boot = bootOf(config);
  const structs = structsOf(config);
  let next = config.pageOffset + boot.dataOffset;
  const sym: Record<string, number> = { _sdata: next };
  for (const [name, { bytes, align = 4 }] of Object.entries(symbolSpecs(config, structs))) {
    const unit = Math.max(align, boot.symbolAlign);
    next = Math.ceil(next / unit) * unit;
    sym[name] = next;
    next += bytes;
  }
  boot.fixedSymbols(config, sym);
  const bytes = (Math.ceil(next / 4096) * 4096 - config.pageOffset) >>> 0;
  // An object that grew key by key is a hash table to V8; one that was parsed has fields, and a field is ten times as fast to read.
  return { sym: Object.freeze(JSON.parse(JSON.stringify(sym))) as Readonly<Symbols>, structs, bytes };
}

/** The kernel object of a thread slot on a CPU, with the vectors and call functions that the kernel installs. */
export function createKernel(
  config: MachineConfig,
  buffers: Buffers,
  statics: StaticLayout,
  cpu: number,
  slot: number,
): Kernel {
  const k = archOf(config.core).createCpu(config, buffers, statics, cpu, slot, (nr) => ({
    task: ptr<'task_struct'>(statics.sym.tasks + nr * struct_task_struct.sizeof),
    preemptCount: vaddr(
      statics.sym.thread_infos + nr * struct_thread_info.sizeof + struct_thread_info.preempt_count.offset,
    ),
  }));
  k.bind(bindDeclared(k, config.declared ?? [], statics.sym));
  k.scheduler = new Scheduler();
  k.works[Work.free_work] = free_work;
  slabCallFunctions(k);
  bootOf(config).install(k);
  return k;
}

/** Junk that a frame nobody has written holds: never zeros, so that stale reads show. */
const junk = (word: number): number => Math.imul(word ^ 0x5bd1e995, 0x9e3779b1) | 0x01010101;

/** Boot, CPU 0 alone: page tables, mem_map, zones, tasks. */
export function start_kernel(k: Kernel): void {
  const { config } = k;
  const { words } = k.memory;
  for (let i = 0; i < words.length; i++) words[i] = junk(i);
  words.fill(0, 0, k.staticBytes >>> 2);
  const boot = bootOf(config);
  k.store(k.sym.jiffies, INITIAL_JIFFIES);
  k.store(k.sym.shrinker_list, -1);
  boot.paging_init(k);
  free_area_init(k, k.staticBytes >>> 12);
  boot.mem_init(k);
  vmap_area_init(k);
  vmap_purge_init(k);
  vmap_block_init(k);
  kmem_cache_init(k);
  initDeclared(k, config.declared ?? [], k.sym);
  kswapd_init(k);
  wait_bit_init(k);
  for (let slot = 0; slot < config.threadsMax; slot++) {
    const task = ptr<'task_struct'>(k.sym.tasks + slot * struct_task_struct.sizeof);
    k.write(task, struct_task_struct.pid, slot);
  }
}

/**
 * The frames that were written hold junk again, as after boot. Kernel data is the caller's business.
 *
 * @snapshot: memory from its beginning on as it was after boot, to copy from; what lies behind it is made again.
 */
export function restoreFrames(k: Kernel, snapshot: Int32Array | null): void {
  const { written, writtenGroups } = k.memory;
  const statics = k.staticBytes >>> 12;
  for (let group = statics >>> GROUP_LOG2; group < writtenGroups.length; group++) {
    if (writtenGroups[group] === 0) continue;
    writtenGroups[group] = 0;
    const end = Math.min((group + 1) << GROUP_LOG2, written.length);
    for (let frame = Math.max(group << GROUP_LOG2, statics); frame < end; frame++) {
      if (written[frame] !== 0) restoreFrame(k, frame, snapshot);
    }
  }
}

function restoreFrame(k: Kernel, frame: number, snapshot: Int32Array | null): void {
  const { written, words } = k.memory;
  written[frame] = 0;
  const first = frame << 10;
  if (snapshot !== null && first < snapshot.length) words.set(snapshot.subarray(first, first + 1024), first);
  else for (let i = first; i < first + 1024; i++) words[i] = junk(i);
}
