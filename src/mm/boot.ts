/**
 * From reset to a kernel with its memory set up: where every static object is (System.map), and start_kernel().
 *
 * The layout follows from the configuration alone, so each worker computes it for itself. As on ARM, the first-level page table
 * is at 16 KB, the kernel's data from 32 KB on; text does not exist.
 */

import { FIXADDR_START, pkmapBase } from '../arch/arm/memory.js';
import { do_kernel_fault } from '../arch/arm/oops.js';
import { ipi_flush_tlb_kernel_range } from '../arch/arm/tlb.js';
import type { MachineConfig } from '../cpu/config.js';
import { handle_IRQ } from '../cpu/irq.js';
import { type Buffers, Kernel, type StaticLayout } from '../cpu/kernel.js';
import { Scheduler } from '../cpu/sched.js';
import { CallFunction } from '../cpu/smp.js';
import type { SymbolSpec, Symbols } from '../shared/kernel-base.js';
import { defineStruct } from '../shared/layout.js';
import { struct_page } from '../shared/structs/page.js';
import { type Paddr, type Pfn, type Ptr, ptr, type Vaddr, vaddr } from '../shared/types.js';
import { struct_task_struct } from '../shared/wait.js';
import { cpu_switch_mm } from './arm/dma-mapping.js';
import { armHighmemSymbols } from './arm/highmem.js';
import { highmemSymbols, kmap_init } from './highmem.js';
import { pfn_to_page, ZONE_HIGHMEM, ZONE_NORMAL, ZONES_PGSHIFT } from './page.js';
import { free_area_init, struct_zone } from './page_alloc.js';

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
    /** Words that a race can use as it likes: locks, counters. */
    race_data: Vaddr;
  }
}

const SWAPPER_OFFSET = 0x4000;
const DATA_OFFSET = 0x8000;
const PMD_SECT = 0x41e; // section, cacheable, bufferable, kernel read-write
const PMD_TABLE = 1;
export const RACE_DATA_BYTES = 4096;

function symbolSpecs(config: MachineConfig): Record<string, SymbolSpec> {
  return {
    ...highmemSymbols(config.pkmapSlots),
    ...armHighmemSymbols(config.cpus),
    l2x0_lock: { bytes: 4, align: 32 },
    zones: { bytes: 2 * struct_zone.sizeof, align: 32 },
    tasks: { bytes: config.threadsMax * struct_task_struct.sizeof, align: 64 },
    thread_infos: { bytes: config.threadsMax * struct_thread_info.sizeof, align: 32 },
    race_data: { bytes: RACE_DATA_BYTES, align: 64 },
    mem_map: { bytes: (config.lowmemPages + config.highmemPages) * struct_page.sizeof, align: 64 },
    pkmap_pte_page: { bytes: 4096, align: 4096 },
    fixmap_pte_page: { bytes: 4096, align: 4096 },
  };
}

/** Where the static objects of a kernel are. Pure: the same configuration gives the same addresses. */
export function layoutStatics(config: MachineConfig): StaticLayout {
  const sym: Record<string, number> = {
    _sdata: config.pageOffset + DATA_OFFSET,
    swapper_pg_dir: config.pageOffset + SWAPPER_OFFSET,
  };
  let next = config.pageOffset + DATA_OFFSET;
  for (const [name, { bytes, align = 4 }] of Object.entries(symbolSpecs(config))) {
    next = Math.ceil(next / align) * align;
    sym[name] = next;
    next += bytes;
  }
  sym.PKMAP_BASE = pkmapBase(config);
  const pkmapIndex = (sym.PKMAP_BASE >>> 12) & 511;
  sym.pkmap_page_table = (sym.pkmap_pte_page as number) + 2048 + pkmapIndex * 4;
  const bytes = (Math.ceil(next / 4096) * 4096 - config.pageOffset) >>> 0;
  // An object that grew key by key is a hash table to V8; one that was parsed has fields, and a field is ten times as fast to read.
  return { sym: Object.freeze(JSON.parse(JSON.stringify(sym))) as Readonly<Symbols>, bytes };
}

/** The kernel object of a thread slot on a CPU, with the vectors and call functions that the kernel installs. */
export function createKernel(
  config: MachineConfig,
  buffers: Buffers,
  statics: StaticLayout,
  cpu: number,
  slot: number,
): Kernel {
  const k = new Kernel(config, buffers, statics, cpu, slot, (nr) => ({
    task: ptr<'task_struct'>(statics.sym.tasks + nr * struct_task_struct.sizeof),
    preemptCount: vaddr(
      statics.sym.thread_infos + nr * struct_thread_info.sizeof + struct_thread_info.preempt_count.offset,
    ),
  }));
  k.mmu.ttbr = (config.core.physBase + SWAPPER_OFFSET) as Paddr;
  k.scheduler = new Scheduler();
  k.vectors = { irq: handle_IRQ, dataAbort: do_kernel_fault, switchMm: cpu_switch_mm };
  k.callFunctions[CallFunction.flush_tlb_kernel_range] = ipi_flush_tlb_kernel_range;
  return k;
}

/** Junk that a frame nobody has written holds: never zeros, so that stale reads show. */
const junk = (word: number): number => Math.imul(word ^ 0x5bd1e995, 0x9e3779b1) | 0x01010101;

/** Boot, CPU 0 alone: page tables, mem_map, zones, pkmap, tasks. */
export function start_kernel(k: Kernel): void {
  const { config } = k;
  const { words } = k.memory;
  for (let i = 0; i < words.length; i++) words[i] = junk(i);
  words.fill(0, 0, k.staticBytes >>> 2);
  paging_init(k);
  const first = config.core.physBase >>> 12;
  for (let frame = 0; frame < config.lowmemPages + config.highmemPages; frame++) {
    const page = pfn_to_page(k, (first + frame) as Pfn);
    const zone = frame < config.lowmemPages ? ZONE_NORMAL : ZONE_HIGHMEM;
    k.write(page, struct_page.flags, zone << ZONES_PGSHIFT);
    k.write(page, struct_page._mapcount, -1);
  }
  free_area_init(k, k.staticBytes >>> 12);
  kmap_init(k);
  k.store(k.sym.debug_kmap_atomic_left, 10);
  for (let slot = 0; slot < config.threadsMax; slot++) {
    const task = ptr<'task_struct'>(k.sym.tasks + slot * struct_task_struct.sizeof);
    k.write(task, struct_task_struct.pid, slot);
  }
}

/** The frames that were written hold junk again, as after boot. Kernel data is the caller's business. */
export function restoreFrames(k: Kernel): void {
  const { written, words } = k.memory;
  for (let frame = k.staticBytes >>> 12; frame < written.length; frame++) {
    if (written[frame] === 0) continue;
    written[frame] = 0;
    for (let i = frame << 10; i < (frame + 1) << 10; i++) words[i] = junk(i);
  }
}

/** First-level entries: the direct map by sections, tables for pkmap and fixmap. */
function paging_init(k: Kernel): void {
  const { config } = k;
  const entry = (va: number): Vaddr => vaddr(k.sym.swapper_pg_dir + (va >>> 20) * 4);
  const lowmemBytes = config.lowmemPages * 4096;
  for (let offset = 0; offset < lowmemBytes; offset += 0x100000) {
    k.store(entry(config.pageOffset + offset), ((config.core.physBase + offset) & 0xfff00000) | PMD_SECT);
  }
  const table = (va: number, page: Vaddr): void => {
    const pair = va & ~0x1fffff;
    k.store(entry(pair), k.__pa(page) | PMD_TABLE);
    k.store(entry(pair + 0x100000), (k.__pa(page) + 1024) | PMD_TABLE);
  };
  table(k.sym.PKMAP_BASE & ~0x1fffff, k.sym.pkmap_pte_page);
  table(FIXADDR_START, k.sym.fixmap_pte_page);
}
