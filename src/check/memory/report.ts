/**
 * Reports in the kernel's form. Source: mm/kasan/report.c, report_generic.c, Linux 5.10; spec/checkers.md §6.3, §6.4.
 * Differs: code has no addresses; "on cpu" and the context are said of an allocation and a free as later kernels do.
 */
import { hex8 } from '../../shared/types.js';
import { type Block, Context, Kind, State, type TrackOf } from './area.js';
import type { MemoryChecker, MemoryReportKind } from './memory.js';

export interface Text {
  readonly headline: string;
  readonly lines: readonly string[];
}

interface Access {
  readonly addr: number;
  /** Offset from the first frame. */
  readonly pa: number;
  readonly bytes: number;
  readonly write: boolean;
}

const RULE = '='.repeat(66);
/** A row of the shadow: 16 bytes for 128 of memory. */
const ROW = 128;
const ROWS_AROUND = 2;

const task = (c: MemoryChecker): string => `thread${c.k.slot}/${c.k.slot}`;
const frames = (functions: readonly string[]): string[] => functions.map((f) => ` [<????????>] ${f}`);
const hex = (addr: number): string => hex8(addr >>> 0);

/** Where @stack is, for the headline: the allocators' own functions are part of the answer, as in the kernel. */
const where = (c: MemoryChecker, stack: readonly string[]): string => stack[0] ?? `thread${c.k.slot}`;

function backtrace(c: MemoryChecker, stack: readonly string[]): string[] {
  const { k } = c;
  const head = `CPU: ${k.cpu} PID: ${k.slot} Comm: thread${k.slot} Not tainted ${k.config.kernel} #1`;
  return ['', head, 'Call Trace:', ...frames(stack)];
}

const CONTEXTS = { [Context.task]: '', [Context.softirq]: ', in a softirq', [Context.hardirq]: ', in an interrupt' };

function tracked(what: string, track: TrackOf): string[] {
  const context = CONTEXTS[track.context as keyof typeof CONTEXTS];
  return ['', `${what} by task ${track.slot} on cpu ${track.cpu}${context}:`, ...track.stack.map((f) => ` ${f}`)];
}

/** A string in static memory. */
export function staticString(c: MemoryChecker, addr: number): string {
  const { k } = c;
  const mirror = k.config.core.byteOrder === 'big' ? 3 : 0;
  let text = '';
  for (let i = 0; i < 64 && addr !== 0; i++) {
    const byte = k.bytes[(((addr + i) ^ mirror) >>> 0) - k.staticBase] ?? 0;
    if (byte === 0) break;
    text += String.fromCharCode(byte);
  }
  return text;
}

function description(c: MemoryChecker, addr: number, block: Block): string[] {
  const end = block.start + block.size;
  const start = block.start;
  const relation =
    addr < start ? 'to the left of' : addr >= start + block.bytes && addr >= end ? 'to the right of' : 'inside of';
  const distance = addr < start ? start - addr : relation === 'inside of' ? addr - start : addr - end;
  const isArea = block.kind === Kind.vmalloc;
  const what = isArea
    ? [`The buggy address belongs to the vmalloc area at ${hex(start)}`, ` of ${block.bytes} bytes`]
    : [
        `The buggy address belongs to the object at ${hex(start)}`,
        ` which belongs to the cache ${staticString(c, block.name)} of size ${block.size}`,
      ];
  return [
    '',
    ...what,
    `The buggy address is located ${distance} bytes ${relation}`,
    ` ${block.size}-byte region [${hex(start)}, ${hex(end)})`,
    ...(isArea || block.bytes === block.size ? [] : [`${block.bytes} bytes of it were asked for`]),
  ];
}

const blockTracks = (block: Block): string[] => [
  ...tracked('Allocated', block.allocated),
  ...(block.freed === null ? [] : tracked('Freed', block.freed)),
];

function pageTracks(c: MemoryChecker, frame: number): string[] {
  const page = c.area.frame(frame);
  if (page === null) return [];
  const pfn = frame + (c.k.config.core.physBase >>> 12);
  return [
    ...(page.freed === null ? tracked('Page allocated', page.allocated) : tracked('Page freed', page.freed)),
    '',
    'The buggy address belongs to the page:',
    `page:${hex(c.k.sym.mem_map + frame * 32)} pfn:${pfn.toString(16).padStart(5, '0')} order:${page.order} mask:0x${page.mask.toString(16)}`,
  ];
}

/** A byte of the kernel's shadow, which stands for 8 bytes of memory: two of ours. */
function shadowByte(c: MemoryChecker, offset: number): string {
  const [low, high] = [c.area.shadow[offset >>> 2] as number, c.area.shadow[(offset >>> 2) + 1] as number];
  const value = low !== 0 ? low : high === 0 ? 0 : high < 4 ? 4 + high : 4;
  return value.toString(16).padStart(2, '0');
}

/** Five rows of the shadow, the middle one marked. @pa: offset from the first frame; addresses are those of the direct map. */
function memoryState(c: MemoryChecker, pa: number): string[] {
  const lines = ['', 'Memory state around the buggy address:'];
  const middle = pa & -ROW;
  for (let row = middle - ROWS_AROUND * ROW; row <= middle + ROWS_AROUND * ROW; row += ROW) {
    if (row < 0 || row >= c.area.frames * 4096) continue;
    const bytes = Array.from({ length: 16 }, (_, i) => shadowByte(c, row + i * 8));
    const mark = row === middle ? '>' : ' ';
    lines.push(`${mark}${hex(c.k.config.pageOffset + row)}: ${bytes.join(' ')}`);
    if (row === middle) lines.push(`${' '.repeat(11 + ((pa - row) >>> 3) * 3)}^`);
  }
  return lines;
}

const ofAccess = (c: MemoryChecker, { addr, bytes, write }: Access): string =>
  `${write ? 'Write' : 'Read'} of size ${bytes} at addr ${hex(addr)} by task ${task(c)}`;

export function badAccess(c: MemoryChecker, kind: MemoryReportKind, access: Access): Text {
  const { addr, pa } = access;
  const stack = c.stack();
  const headline = `BUG: KASAN: ${kind} in ${where(c, stack)}`;
  const frame = pa >>> 12;
  const page = c.area.frame(frame);
  const block = kind === 'vmalloc-out-of-bounds' || page?.state !== State.freed ? c.blockOf(addr, pa) : null;
  const linear = block !== null && block.kind !== Kind.vmalloc ? c.k.config.pageOffset + pa : addr;
  return {
    headline,
    lines: [
      RULE,
      headline,
      ofAccess(c, access),
      ...backtrace(c, stack),
      ...(block === null ? [] : [...blockTracks(block), ...description(c, linear, block)]),
      ...pageTracks(c, frame),
      ...memoryState(c, pa),
      RULE,
    ],
  };
}

/** An address that no frame is behind. There is no shadow to show. */
export function wildAccess(c: MemoryChecker, kind: MemoryReportKind, access: Access): Text {
  const { addr } = access;
  const stack = c.stack();
  const headline = `BUG: KASAN: ${kind} in ${where(c, stack)}`;
  const area = c.area.areaAt(addr);
  const about = area === null ? [] : [...blockTracks(area), ...description(c, addr, area)];
  return { headline, lines: [RULE, headline, ofAccess(c, access), ...backtrace(c, stack), ...about, RULE] };
}

function freeText(c: MemoryChecker, addr: number, body: readonly string[]): Text {
  const stack = c.stack();
  const headline = `BUG: KASAN: double-free or invalid-free in ${where(c, stack)}`;
  const free = `Free of addr ${hex(addr)} by task ${task(c)}`;
  return { headline, lines: [RULE, headline, free, ...backtrace(c, stack), ...body, RULE] };
}

export function badFree(c: MemoryChecker, addr: number): Text {
  const pa = c.k.mmu.translationByTables(addr) - c.k.config.core.physBase;
  const block = c.area.block(addr) ?? (pa >= 0 ? c.blockOf(addr, pa) : null);
  const body = block === null ? [] : [...blockTracks(block), ...description(c, addr, block)];
  const inside = pa >= 0 && pa < c.area.frames * 4096 && block?.kind !== Kind.vmalloc;
  return freeText(c, addr, [...body, ...(inside ? memoryState(c, pa) : [])]);
}

export function badPageFree(c: MemoryChecker, pa: number): Text {
  const frame = (pa - c.k.config.core.physBase) >>> 12;
  return freeText(c, c.k.config.pageOffset + frame * 4096, pageTracks(c, frame));
}
