/**
 * Texts that people and programs read, against the formats of spec/checkers.md §2.1, §8.4 and spec/vmalloc-gfp.md §5: each parser is written from the format, and what it
 * reads is compared with the state of the machine. (/proc/vmallocinfo: vmalloc/vmallocinfo.test.ts.)
 */
import { describe, expect, it } from 'vitest';
import type { MachineConfig } from '../../src/cpu/config.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { gfp, showGfp } from '../../src/mm/gfp.js';
import {
  free_area,
  MAX_ORDER,
  present_pages,
  spanned_pages,
  struct_free_area,
  struct_per_cpu_pages,
  struct_zone,
  zone_nr,
  zone_pcp,
  zone_start_pfn,
} from '../../src/mm/mmzone.js';
import { ZONE_DMA, ZONE_HIGHMEM, ZONE_NORMAL } from '../../src/mm/page.js';
import { __free_pages, alloc_page, alloc_pages, drainZone } from '../../src/mm/page_alloc.js';
import { vmalloc } from '../../src/mm/vmalloc.js';
import { buddyinfo, meminfo, zoneinfo } from '../../src/mm/vmstat.js';
import { might_sleep, schedule_debug } from '../../src/shared/irqflags.js';
import { vaddr } from '../../src/shared/types.js';
import { dmesgOf, localMachine } from '../machine.js';

const VERSIONS = ['2.6.22', '2.6.30', '4.10', '4.12'];
const ZONES: Readonly<Record<string, number>> = { DMA: ZONE_DMA, Normal: ZONE_NORMAL, HighMem: ZONE_HIGHMEM };

const boot = (kernel: string, options: Partial<MachineConfig> = {}): Kernel =>
  localMachine('cortex-a9', {
    kernel,
    patches: ['tlb-ops-broadcast'],
    cpus: 2,
    lowmemPages: 8448,
    dmaPages: 256,
    highmemPages: 128,
    watermarks: true,
    ...options,
  }).k;

/** A machine that somebody has used: blocks of many orders, pages on the lists of a CPU. */
function used(kernel: string): Kernel {
  const k = boot(kernel);
  alloc_page(k, gfp(k).GFP_HIGHUSER);
  vmalloc(k, 3 * 4096);
  const blocks = [0, 3, 1, 0, 5, 2, 0].map((order) => [alloc_pages(k, gfp(k).GFP_KERNEL, order), order] as const);
  for (const [page, order] of blocks.filter((_, i) => i % 2 === 0)) __free_pages(k, page, order);
  return k;
}

/** Cut @text at @widths columns; what is left has to be nothing. A width of 0 is the rest. */
function fixed(text: string, widths: readonly number[]): string[] {
  let at = 0;
  const cells = widths.map((width) => {
    const cell = width === 0 ? text.slice(at) : text.slice(at, at + width);
    at += cell.length;
    return cell;
  });
  expect(at, text).toBe(text.length);
  return cells;
}

/** `%6lu`: right-aligned in six columns at least. */
function paddedNumber(cell: string, width: number): number {
  expect(cell).toMatch(/^ *\d+$/);
  expect(cell.length).toBeGreaterThanOrEqual(width);
  if (cell.startsWith(' ')) expect(cell).toHaveLength(width);
  return Number(cell);
}

function linesOf(text: string): string[] {
  expect(text.endsWith('\n')).toBe(true);
  return text.slice(0, -1).split('\n');
}

/** "Node %d, zone %8s " and eleven "%6lu ". */
function parseBuddyinfo(text: string): Map<string, number[]> {
  return new Map(
    linesOf(text).map((line) => {
      const [node, name, space, counts] = fixed(line, ['Node 0, zone '.length, 8, 1, 0]) as [
        string,
        string,
        string,
        string,
      ];
      expect([node, space]).toEqual(['Node 0, zone ', ' ']);
      expect(counts.endsWith(' ')).toBe(true);
      const cells = fixed(
        counts,
        Array.from({ length: 11 }, () => 7),
      );
      return [name.trim(), cells.map((cell) => paddedNumber(cell.slice(0, -1), 6))];
    }),
  );
}

describe.each(VERSIONS)('/proc/buddyinfo of %s', (kernel) => {
  it('gives the free blocks of each order in each zone with pages, low to high', () => {
    const k = used(kernel);
    const parsed = parseBuddyinfo(buddyinfo(k));
    expect([...parsed.keys()]).toEqual(['DMA', 'Normal', 'HighMem']);
    for (const [name, counts] of parsed) {
      const zone = zone_nr(k, ZONES[name] as number);
      expect(counts).toEqual(
        Array.from({ length: MAX_ORDER }, (_, order) => k.read(free_area(zone, order), struct_free_area.nr_free)),
      );
      const pages = counts.reduce((sum, blocks, order) => sum + (blocks << order), 0);
      expect(pages).toBe(k.read(zone, struct_zone.free_pages));
    }
    // Something is there to be told apart.
    expect(parsed.get('Normal')?.filter((blocks) => blocks !== 0).length).toBeGreaterThan(3);
  });

  it('leaves out a zone without pages', () => {
    expect([...parseBuddyinfo(buddyinfo(boot(kernel, { dmaPages: 0, highmemPages: 0 }))).keys()]).toEqual(['Normal']);
  });
});

interface ZoneInfo {
  readonly values: ReadonlyMap<string, number>;
  readonly protection: readonly number[];
  /** count, high and batch of each list of each CPU. */
  readonly pagesets: readonly (readonly number[])[];
}

/** Blocks that begin "Node N, zone NAME"; below, names with a number, "protection: (a, b, c)" and the lists after "pagesets". */
function parseZoneinfo(text: string): Map<string, ZoneInfo> {
  const zones = new Map<string, ZoneInfo>();
  for (const block of text.split(/^(?=Node )/m)) {
    const [head, ...lines] = linesOf(block) as [string, ...string[]];
    const name = /^Node 0, zone ( *\w+)$/.exec(head)?.[1];
    expect(name, head).toHaveLength(8);
    const values = new Map<string, number>();
    const pagesets: number[][] = [];
    let protection: number[] = [];
    for (const line of lines) {
      const list = /^ {8}protection: \((\d+(?:, \d+)*)\)$/.exec(line)?.[1];
      const set = /^ {4}cpu: \d+(?: pcp: \d+)?$/.test(line);
      const item = /^ +(?:pages )?([\w()]+):? +(\d+)(?: \(a: \d+ i: \d+\))?$/.exec(line);
      if (list !== undefined) protection = list.split(', ').map(Number);
      else if (set) pagesets.push([]);
      else if (/^ {2}(pagesets|per-node stats)$/.test(line)) continue;
      else if (/^ {14}(count|high|batch):/.test(line)) pagesets.at(-1)?.push(Number(item?.[2]));
      else {
        expect(item, line).not.toBeNull();
        values.set((item as RegExpExecArray)[1] as string, Number(item?.[2]));
      }
    }
    zones.set((name as string).trim(), { values, protection, pagesets });
  }
  return zones;
}

const BEFORE_4 = 'free min low high scanned spanned present nr_free_pages';
const SINCE_4 = 'free min low high spanned present managed nr_free_pages';

describe.each(VERSIONS)('/proc/zoneinfo of %s', (kernel) => {
  const modern = kernel.startsWith('4.');

  it('gives marks, sizes and protection of each zone', () => {
    const k = used(kernel);
    const parsed = parseZoneinfo(zoneinfo(k));
    expect([...parsed.keys()]).toEqual(['DMA', 'Normal', 'HighMem']);
    for (const [name, { values, protection }] of parsed) {
      const zone = zone_nr(k, ZONES[name] as number);
      const expected = {
        free: k.read(zone, struct_zone.free_pages),
        min: k.read(zone, struct_zone.pages_min),
        low: k.read(zone, struct_zone.pages_low),
        high: k.read(zone, struct_zone.pages_high),
        spanned: spanned_pages(k, zone),
        present: present_pages(k, zone),
        nr_free_pages: k.read(zone, struct_zone.free_pages),
        start_pfn: zone_start_pfn(k, zone),
      };
      for (const [item, value] of Object.entries(expected)) expect(values.get(item), `${name} ${item}`).toBe(value);
      if (modern) expect(values.get('managed')).toBe(k.read(zone, struct_zone.managed_pages));
      expect(protection).toEqual(
        protection.map((_, i) => k.load(vaddr(zone + struct_zone.lowmem_reserve.offset + 4 * i))),
      );
    }
    expect(parsed.get('DMA')?.protection.some((pages) => pages > 0)).toBe(true);
  });

  it('has the lines of the version in their order', () => {
    const names = [
      ...(parseZoneinfo(zoneinfo(boot(kernel)))
        .get('Normal')
        ?.values.keys() ?? []),
    ];
    const wanted = (modern ? SINCE_4 : BEFORE_4).split(' ');
    expect(names.filter((name) => wanted.includes(name))).toEqual(wanted);
    const tail = modern
      ? ['node_unreclaimable', 'start_pfn', 'node_inactive_ratio']
      : ['all_unreclaimable', 'prev_priority', 'start_pfn'];
    expect(names.slice(-3)).toEqual(tail);
  });

  it('gives count, high and batch of the lists of each CPU: two until 3.x, hot and cold, one from then on', () => {
    const k = used(kernel);
    const lists = modern ? [0] : [0, 1];
    const zone = zone_nr(k, ZONE_NORMAL);
    const { count, high, batch } = struct_per_cpu_pages;
    const expected = [0, 1].flatMap((cpu) =>
      lists.map((nr) => [count, high, batch].map((field) => k.read(zone_pcp(k, zone, cpu, nr), field))),
    );
    expect(parseZoneinfo(zoneinfo(k)).get('Normal')?.pagesets).toEqual(expected);
    expect(expected.some(([pages]) => (pages as number) > 0)).toBe(true);
  });
});

/** "Name:" in @width columns, "%8lu kB". */
function parseMeminfo(text: string, width: number): Map<string, number> {
  return new Map(
    linesOf(text).map((line) => {
      const [label, rest] = fixed(line, [width, 0]) as [string, string];
      const name = /^(\S+): *$/.exec(label)?.[1];
      expect(name, line).toBeDefined();
      expect(rest, line).toMatch(/ kB$/);
      return [name as string, paddedNumber(rest.slice(0, -3), 8)];
    }),
  );
}

const HIGH_LOW = ['HighTotal', 'HighFree', 'LowTotal', 'LowFree'];
const LRU = ['Active(anon)', 'Inactive(anon)', 'Active(file)', 'Inactive(file)', 'Unevictable', 'Mlocked'];
/** spec/checkers.md §8.4: that of 2.6.30, and what the others have less or more. */
const ORDER_2_6_30 = [
  ...['MemTotal', 'MemFree', 'Buffers', 'Cached', 'SwapCached', 'Active', 'Inactive', ...LRU, ...HIGH_LOW],
  ...['SwapTotal', 'SwapFree', 'Dirty', 'Writeback', 'AnonPages', 'Mapped', 'Slab', 'SReclaimable', 'SUnreclaim'],
  ...['PageTables', 'NFS_Unstable', 'Bounce', 'WritebackTmp', 'CommitLimit', 'Committed_AS'],
  ...['VmallocTotal', 'VmallocUsed', 'VmallocChunk'],
];
const after = (list: string[], name: string, more: string): string[] =>
  list.flatMap((item) => (item === name ? [item, more] : [item]));
const ORDER: Readonly<Record<string, readonly string[]>> = {
  '2.6.22': ORDER_2_6_30.filter((name) => !LRU.includes(name) && name !== 'WritebackTmp'),
  '2.6.30': ORDER_2_6_30,
  '4.10': after(after(after(ORDER_2_6_30, 'MemFree', 'MemAvailable'), 'Mapped', 'Shmem'), 'SUnreclaim', 'KernelStack'),
};

describe.each(['2.6.22', '2.6.30', '4.10'])('/proc/meminfo of %s', (kernel) => {
  const width = kernel === '2.6.22' ? 14 : 16;

  it('has the lines of the version in their order and columns', () => {
    const parsed = parseMeminfo(meminfo(boot(kernel)), width);
    expect([...parsed.keys()]).toEqual(ORDER[kernel]);
  });

  it('adds up to the zones', () => {
    const k = used(kernel);
    const parsed = parseMeminfo(meminfo(k, { Slab: 44 }), width);
    const kB = (field: 'free_pages' | 'managed_pages', ...names: string[]): number =>
      names.reduce((sum, name) => sum + 4 * k.read(zone_nr(k, ZONES[name] as number), struct_zone[field]), 0);
    expect(parsed.get('MemTotal')).toBe(kB('managed_pages', 'DMA', 'Normal', 'HighMem'));
    expect(parsed.get('MemFree')).toBe(kB('free_pages', 'DMA', 'Normal', 'HighMem'));
    expect(parsed.get('HighFree')).toBe(kB('free_pages', 'HighMem'));
    expect(parsed.get('LowTotal')).toBe(kB('managed_pages', 'DMA', 'Normal'));
    expect(parsed.get('LowFree')).toBe(kB('free_pages', 'DMA', 'Normal'));
    expect(parsed.get('Slab')).toBe((parsed.get('SReclaimable') as number) + (parsed.get('SUnreclaim') as number));
  });
});

// ---- messages ----------------------------------------------------------------------------------------------------------

interface Report {
  readonly where: string;
  readonly in_atomic: number;
  readonly irqs_disabled: number;
  readonly held: readonly string[];
  readonly stack: readonly string[];
}

const HEADS = {
  '2.5.53': /^Debug: sleeping function called from illegal context at (\S+:\d+)$/,
  since: /^BUG: sleeping function called from invalid context at (\S+:\d+)$/,
};
const STATES: Readonly<Record<string, RegExp>> = {
  '2.6.22': /^in_atomic\(\):(\d+), irqs_disabled\(\):(\d+)$/,
  since: /^in_atomic\(\): (\d+), irqs_disabled\(\): (\d+), pid: \d+, name: \S+$/,
};
/** `[<address>] (function) from [<address>] (function)`; from 3.x on below a line that says who it is. */
const FRAME = /^\[<[0-9a-f?]{8}>\] \((\w+)\) from \[<[0-9a-f?]{8}>\] \((\w+)\)$/;
const WHO = /^CPU: \d+ PID: \d+ Comm: \S+ Not tainted \S+ #1$/;

/** The functions, innermost first: each line has one and its caller. */
function parseStack(lines: readonly string[]): string[] {
  const pairs = lines.map((line) => {
    const frame = FRAME.exec(line);
    expect(frame, line).not.toBeNull();
    return (frame as RegExpExecArray).slice(1);
  });
  pairs.forEach(([name], i) => {
    if (i > 0) expect(name).toBe(pairs[i - 1]?.[1]);
  });
  return [...pairs.map(([name]) => name as string), pairs.at(-1)?.[1] ?? ''];
}

/** checkers.md §2.1, line by line. */
function parseReport(kernel: string, lines: readonly string[]): Report {
  const rest = [...lines];
  const take = (pattern: RegExp): string[] => {
    const match = pattern.exec(rest.shift() ?? '');
    expect(match, `${pattern} in ${lines.join('\n')}`).not.toBeNull();
    return [...(match as RegExpExecArray)].slice(1);
  };
  const [where] = take(kernel === '2.5.53' ? HEADS['2.5.53'] : HEADS.since) as [string];
  const state = kernel === '2.5.53' ? [] : take((STATES[kernel] ?? STATES.since) as RegExp);
  const held: string[] = [];
  while (/lock(s)? held by|^ #\d+: |^irq event stamp|^hardirqs last/.test(rest[0] ?? ''))
    held.push(rest.shift() as string);
  if (kernel.startsWith('4.')) take(WHO);
  if (rest[0] === 'Backtrace: ') rest.shift();
  const stack = parseStack(rest);
  return { where, in_atomic: Number(state[0]), irqs_disabled: Number(state[1]), held, stack };
}

const asleep = (k: Kernel): void => void vmalloc(k, 4096);

describe.each(['2.5.53', '2.6.22', '2.6.30', '4.10', '4.12'])('a might_sleep() report of %s', (kernel) => {
  it('says where, in what state, and by which functions it came there', () => {
    const k = boot(kernel);
    k.preemptCount += 1;
    asleep(k);
    const { where, in_atomic, stack } = parseReport(kernel, dmesgOf(k));
    expect(where).toMatch(/^(mm|include)\/.*\.[ch]:\d+$/);
    if (kernel !== '2.5.53') expect(in_atomic).toBe(1);
    expect(stack).toContain('vmalloc');
    expect(stack[0]).toBe('might_sleep');
  });

  it('has no interrupt mask to show in 2.5.53, the raw bit of the status register later', () => {
    const k = boot(kernel);
    k.irqsOff = true;
    might_sleep(k, 'mm/slab.c:1');
    if (kernel === '2.5.53') expect(dmesgOf(k)).toEqual([]);
    else expect(parseReport(kernel, dmesgOf(k)).irqs_disabled).toBe(128);
  });
});

describe('"scheduling while atomic"', () => {
  it('is followed by the stack', () => {
    const k = boot('2.6.30');
    k.preemptCount += 1;
    const first_schedule = (): void => schedule_debug(k);
    first_schedule();
    const [head, title, ...frames] = dmesgOf(k);
    expect([head, title]).toEqual(['BUG: scheduling while atomic: thread0/0/0x00000001', 'Backtrace: ']);
    expect(parseStack(frames)[0]).toBe('schedule_debug');
  });
});

/** spec/vmalloc-gfp.md §5.3. */
const FAILURES: Readonly<Record<string, RegExp>> = {
  '2.5.53': /^(\S+): page allocation failure\. order:(\d+), mode:0x([0-9a-f]+)$/,
  '2.6.22': /^(\S+): page allocation failure\. order:(\d+), mode:0x([0-9a-f]+)$/,
  '2.6.30': /^(\S+): page allocation failure\. order:(\d+), mode:0x([0-9a-f]+)$/,
  '4.10': /^(\S+): page allocation failure: order:(\d+), mode:0x([0-9a-f]+)\(([\w|]+)\)$/,
  '4.12': /^(\S+): page allocation failure: order:(\d+), mode:0x([0-9a-f]+)\(([\w|]+)\), nodemask=\(null\)$/,
};

describe.each(Object.entries(FAILURES))('a page allocation failure of %s', (kernel, pattern) => {
  const k = boot(kernel, { dmaPages: 0 });
  for (const nr of [ZONE_NORMAL, ZONE_HIGHMEM]) drainZone(k, zone_nr(k, nr), 0);
  const mask = gfp(k).GFP_ATOMIC;
  alloc_pages(k, mask, 2);
  const lines = dmesgOf(k);

  it('names task, order and mask', () => {
    const [, name, order, mode, words] = pattern.exec(lines[0] ?? '') ?? [];
    expect(name, lines[0]).toBe('thread0');
    expect([Number(order), Number.parseInt(mode as string, 16)]).toEqual([2, mask]);
    if (kernel.startsWith('4.')) expect(words).toBe(showGfp(k, mask));
  });

  it('shows stack and memory from 2.6 on', () => {
    if (kernel === '2.5.53') {
      expect(lines).toHaveLength(1);
      return;
    }
    const rest = lines.slice(1);
    if (kernel.startsWith('4.')) {
      if (kernel === '4.12') expect(rest.shift()).toBe('thread0 cpuset=/ mems_allowed=0');
      expect(rest.shift()).toMatch(WHO);
    }
    if (rest[0] === 'Backtrace: ') rest.shift();
    const frames = rest.filter((line) => FRAME.test(line));
    expect(rest.slice(0, frames.length)).toEqual(frames);
    expect(parseStack(frames)).toContain('alloc_pages');
    expect(rest[frames.length]).toMatch(/^Mem-[Ii]nfo:$/);
    const blocks = rest.filter((line) => /^(?:Node 0 )?\w+: (?:\d+\*\d+kB ){11}= \d+kB$/.test(line));
    expect(blocks).toHaveLength(2);
  });
});
