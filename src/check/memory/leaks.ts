/**
 * What an execution has left behind: objects that nothing points to any more, and who has which page.
 *
 * Source: mm/kmemleak.c, mm/page_owner.c, Linux 4.9; spec/checkers.md §6.7. At the end of an execution, when nobody runs, no age is waited for.
 * Roots are static memory, the race's words and the stacks of its threads. Only what the threads themselves allocated can leak: what
 * setup() leaves behind is the scenery.
 * Differs: the variables of the race's functions are no memory, so an object whose only pointer is in one has leaked as soon as they end.
 */
import type { DCache } from '../../cpu/dcache.js';
import { RACE_VARS, WB_HEAD } from '../../cpu/hw.js';
import type { Kernel } from '../../cpu/kernel.js';
import { jiffies_to_msecs } from '../../shared/jiffies.js';
import {
  PG_active,
  PG_arch_1,
  PG_error,
  PG_locked,
  PG_lru,
  PG_reclaim,
  PG_reserved,
  PG_slab,
  PG_swapcache,
} from '../../shared/structs/page.js';
import { hex2, hex8 } from '../../shared/types.js';
import { type Block, Flag, Kind, type MemoryArea, State } from './area.js';

const DUMP_BYTES = 32;
const ROW_BYTES = 16;

/** The words of memory as somebody sees them who looks into every cache first. */
class Contents {
  readonly #k: Kernel;
  /** Words that a cache holds, by index in memory. */
  readonly #cached = new Map<number, number>();

  constructor(k: Kernel) {
    this.#k = k;
    if (k.memory.outer !== null) this.#look(k.memory.outer.store);
    for (const cache of k.mmu.cache.units) this.#look(cache);
    for (let cpu = 0; cpu < k.config.cpus; cpu++) this.#lookAtBuffer(cpu);
  }

  #look(cache: DCache): void {
    const k = this.#k;
    for (let line = 0; line < cache.lines; line++) {
      if (!cache.isValid(line) || !cache.isDirty(line)) continue;
      const first = (cache.paOf(line) - k.config.core.physBase) >>> 2;
      for (let i = 0; i < cache.lineWords; i++) {
        this.#cached.set(first + i, k.hw[cache.data + line * cache.lineWords + i] as number);
      }
    }
  }

  /** Stores that are on their way to memory, oldest first. */
  #lookAtBuffer(cpu: number): void {
    const { hw, layout, config } = this.#k;
    const base = layout.writeBuffers + cpu * layout.writeBufferWords;
    const capacity = (layout.writeBufferWords - WB_HEAD) / 3;
    for (let i = 0; i < (hw[base + 1] as number); i++) {
      const at = base + WB_HEAD + (((hw[base] as number) + i) % capacity) * 3;
      const [entry, value, mask] = [hw[at] as number, hw[at + 1] as number, hw[at + 2] as number];
      const index = ((entry >>> 0) - config.core.physBase) >>> 2;
      this.#cached.set(index, (this.word(index) & ~mask) | (value & mask));
    }
  }

  /** @index: in memory. */
  word(index: number): number {
    return this.#cached.get(index) ?? (this.#k.memory.words[index] as number);
  }

  byte(index: number): number {
    const big = this.#k.config.core.byteOrder === 'big';
    return (this.word(index >>> 2) >>> ((big ? 3 - (index & 3) : index & 3) * 8)) & 0xff;
  }
}

/** Index of the first word of each page that @block has. */
function pagesOf(k: Kernel, block: Block): { index: number; words: number }[] {
  const { physBase } = k.config.core;
  const parts: { index: number; words: number }[] = [];
  for (let at = block.start; at < block.start + block.bytes; ) {
    const end = Math.min(((at & -4096) >>> 0) + 4096, block.start + block.bytes);
    const next = Math.max(end, at + 1);
    const pa = k.mmu.translationByTables(at) - physBase;
    if (pa >= 0) parts.push({ index: pa >>> 2, words: (next - at) >>> 2 });
    at = next;
  }
  return parts;
}

class Scan {
  readonly #k: Kernel;
  readonly #contents: Contents;
  readonly #blocks: readonly Block[];
  readonly #grey = new Set<Block>();
  readonly #todo: Block[] = [];

  constructor(k: Kernel, contents: Contents, blocks: readonly Block[]) {
    this.#k = k;
    this.#contents = contents;
    this.#blocks = blocks;
  }

  run(): ReadonlySet<Block> {
    const k = this.#k;
    for (let i = 0; i < k.staticBytes >>> 2; i++) this.#value(k.words[i] as number, false);
    for (let i = 0; i < RACE_VARS; i++) this.#value(k.hw[k.layout.raceVars + i] as number, false);
    for (const block of this.#blocks) if ((block.flags & Flag.threads) === 0) this.#reach(block);
    for (let block = this.#todo.pop(); block !== undefined; block = this.#todo.pop()) this.#object(block);
    return this.#grey;
  }

  #object(block: Block): void {
    const metadata = (block.flags & Flag.vmallocMetadata) !== 0;
    for (const { index, words } of pagesOf(this.#k, block)) {
      for (let i = 0; i < words; i++) this.#value(this.#contents.word(index + i), metadata);
    }
  }

  /** @metadata: what vmalloc() knows of its areas is no pointer to them. */
  #value(value: number, metadata: boolean): void {
    const block = this.#find(value >>> 0);
    if (block === null || (metadata && block.kind === Kind.vmalloc)) return;
    this.#reach(block);
  }

  #reach(block: Block): void {
    if (this.#grey.has(block)) return;
    this.#grey.add(block);
    this.#todo.push(block);
  }

  /** The block that the address is in. */
  #find(addr: number): Block | null {
    let [low, high] = [0, this.#blocks.length - 1];
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const block = this.#blocks[middle] as Block;
      if (addr < block.start) high = middle - 1;
      else if (addr >= block.start + block.size) low = middle + 1;
      else return block;
    }
    return null;
  }
}

/** The clock as it is: no scheduling point. */
export const jiffiesNow = (k: Kernel): number => (k.words[k.wordIndex(k.sym.jiffies)] as number) >>> 0;

const ageOf = (k: Kernel, block: Block): number => jiffies_to_msecs((jiffiesNow(k) - block.allocated.when) >>> 0);

/** The text of /sys/kernel/debug/kmemleak, of what is at least @minAge ms old; empty when nothing has leaked. */
export function kmemleak(k: Kernel, area: MemoryArea, minAge: number): string[] {
  const blocks = area.blocks().filter((block) => block.state === State.live);
  if (!blocks.some((block) => (block.flags & Flag.threads) !== 0)) return [];
  const contents = new Contents(k);
  const grey = new Scan(k, contents, blocks).run();
  const leaked = blocks.filter((block) => !grey.has(block) && ageOf(k, block) >= minAge);
  return leaked.flatMap((block) => leakText(k, contents, block));
}

function leakText(k: Kernel, contents: Contents, block: Block): string[] {
  const { slot, when, stack } = block.allocated;
  const age = ageOf(k, block);
  return [
    `unreferenced object 0x${hex8(block.start)} (size ${block.bytes}):`,
    `  comm "thread${slot}", pid ${slot}, jiffies ${when} (age ${Math.floor(age / 1000)}.${String(age % 1000).padStart(3, '0')}s)`,
    ...dump(k, contents, block),
    '  backtrace:',
    ...stack.map((f) => `    [<????????>] ${f}`),
  ];
}

function dump(k: Kernel, contents: Contents, block: Block): string[] {
  const pa = k.mmu.translationByTables(block.start) - k.config.core.physBase;
  const count = Math.min(DUMP_BYTES, block.bytes);
  if (pa < 0) return [];
  const lines = [`  hex dump (first ${count} bytes):`];
  for (let row = 0; row < count; row += ROW_BYTES) {
    const bytes = Array.from({ length: Math.min(ROW_BYTES, count - row) }, (_, i) => contents.byte(pa + row + i));
    const text = bytes.map((b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '.')).join('');
    lines.push(
      `    ${bytes
        .map(hex2)
        .join(' ')
        .padEnd(ROW_BYTES * 3 - 1)}  ${text}`,
    );
  }
  return lines;
}

/** Names of flags as the kernel prints them. Source: include/trace/events/mmflags.h, Linux 4.9. */
const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [PG_locked, 'locked'],
  [PG_error, 'error'],
  [PG_lru, 'lru'],
  [PG_active, 'active'],
  [PG_slab, 'slab'],
  [PG_arch_1, 'arch_1'],
  [PG_reserved, 'reserved'],
  [PG_swapcache, 'swapcache'],
  [PG_reclaim, 'reclaim'],
];
const flagNames = (flags: number): string =>
  FLAG_NAMES.filter(([bit]) => ((flags >>> bit) & 1) !== 0)
    .map(([, name]) => name)
    .join('|');

/** The text of /sys/kernel/debug/page_owner: a record for each block of pages that somebody has. */
export function pageOwner(k: Kernel, area: MemoryArea, showGfp: (gfp_mask: number) => string): string[] {
  const lines: string[] = [];
  for (let number = 0; number < area.frames; number++) {
    const frame = area.frame(number);
    if (frame?.state !== State.live || frame.head !== number) continue;
    const flags = k.words[(k.sym.mem_map + number * 32 - k.staticBase) >>> 2] as number;
    lines.push(
      `Page allocated via order ${frame.order}, mask 0x${(frame.mask >>> 0).toString(16)}(${showGfp(frame.mask)})`,
      `PFN ${number + (k.config.core.physBase >>> 12)} type Unmovable Block ${number >>> 10} type Unmovable Flags 0x${(flags >>> 0).toString(16)}(${flagNames(flags)})`,
      ...frame.allocated.stack.map((f) => ` [<????????>] ${f}`),
      '',
    );
  }
  return lines;
}

interface Site {
  count: number;
  bytes: number;
  readonly what: string;
  readonly stack: readonly string[];
}

const KIND_NAMES = { [Kind.object]: 'object', [Kind.vmalloc]: 'vmalloc area' } as const;
const PAGE_BYTES = 4096;
const BLOCK_OF_PAGES = 'block of pages';
const PLURALS: Readonly<Record<string, string>> = {
  object: 'objects',
  'vmalloc area': 'vmalloc areas',
  [BLOCK_OF_PAGES]: 'blocks of pages',
};

/** What is live, by who asked for it, the largest first: objects, vmalloc areas, and blocks of pages that are no slabs. Ours. */
export function liveBySite(area: MemoryArea): string[] {
  const sites = new Map<string, Site>();
  const add = (what: string, bytes: number, stack: readonly string[]): void => {
    const key = [what, ...stack].join('\n');
    const site = sites.get(key) ?? { count: 0, bytes: 0, what, stack };
    site.count++;
    site.bytes += bytes;
    sites.set(key, site);
  };
  for (const { state, kind, bytes, allocated } of area.blocks()) {
    if (state === State.live) add(KIND_NAMES[kind], bytes, allocated.stack);
  }
  for (let number = 0; number < area.frames; number++) {
    const frame = area.frame(number);
    if (frame?.state !== State.live || frame.head !== number || frame.slab) continue;
    add(BLOCK_OF_PAGES, PAGE_BYTES << frame.order, frame.allocated.stack);
  }
  const all = [...sites.values()].sort((a, b) => b.bytes - a.bytes);
  return all.flatMap(({ count, bytes, what, stack }) => [
    `${count} ${count === 1 ? what : (PLURALS[what] ?? what)}, ${bytes} bytes, allocated in`,
    ...stack.map((f) => `  ${f}`),
  ]);
}
