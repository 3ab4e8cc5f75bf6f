/**
 * The DMA checker on machines of one CPU: each error of the API as lib/dma-debug.c words it, each ownership error of ours, and what comes
 * near them and stays silent.
 */
import { describe, expect, it } from 'vitest';
import { atLeast, DMA_RULES, type DmaError, type DmaRules } from '../../src/check/dma/rules.js';
import type { MachineConfig } from '../../src/cpu/config.js';
import { Device } from '../../src/cpu/device.js';
import { Control, Stage } from '../../src/cpu/hw.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { type Checker, type CheckerReport, checkersOf, deviceChecker } from '../../src/lab/checkers.js';
import { dma_alloc_coherent, dma_free_coherent } from '../../src/mm/arm/dma-coherent.js';
import { DMA_BIDIRECTIONAL, DMA_FROM_DEVICE, DMA_TO_DEVICE, type Scatterlist } from '../../src/mm/arm/dma-mapping.js';
import { debug_dma_assert_idle, dma_debug_device_change } from '../../src/mm/dma-debug.js';
import * as dma from '../../src/mm/dma-mapping.js';
import { gfp } from '../../src/mm/gfp.js';
import { vmalloc_to_page } from '../../src/mm/memory.js';
import { lowmem_page_address, type Page, PageHighMem, page_to_phys, pfn_to_page } from '../../src/mm/page.js';
import { alloc_pages } from '../../src/mm/page_alloc.js';
import { vmalloc } from '../../src/mm/vmalloc.js';
import { NULL, type Paddr, type Vaddr, vaddr } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';

interface Watched {
  readonly k: Kernel;
  readonly device: Device;
  readonly reports: CheckerReport[];
  readonly checker: Checker;
  readonly page: Page;
  readonly addr: Vaddr;
  kinds(): string[];
}

/** A machine with four pages to map and a device that is watched. */
function watched(rules: DmaRules = '2.6.30', options: Partial<MachineConfig> = {}): Watched {
  const { k, config } = localMachine('vivt-shared', {
    check: 'dma',
    dmaRules: rules,
    lockdepMode: 'continue',
    lowmemPages: 512,
    ...options,
  });
  const reports: CheckerReport[] = [];
  const checker = checkersOf(k, (report) => reports.push(report)).find(({ name }) => name === 'dma');
  if (checker === undefined) throw new Error('no checker');
  checker.restart();
  const arena = k.words.buffer as SharedArrayBuffer;
  const device = new Device(config, { arena, hw: k.hw.buffer as SharedArrayBuffer }, 0);
  device.setTracer(
    deviceChecker(
      device,
      arena,
      (text) => k.printk(text),
      (report) => reports.push(report),
    ),
  );
  const page = alloc_pages(k, gfp(k).GFP_KERNEL, 2);
  const addr = lowmem_page_address(k, page);
  return { k, device, reports, checker, page, addr, kinds: () => reports.map((r) => r.kind) };
}

const at = (addr: number, offset: number): Vaddr => vaddr(addr + offset);
const pa = (bus: number, offset: number): Paddr => (bus + offset) as Paddr;

describe('the DMA API, used as it should be', () => {
  it.each(['2.6.30', '4.9', '5.10', '5.14'] as const)('gives no report by the rules of %s', (rules) => {
    const { k, page, addr, kinds } = watched(rules);
    for (const dir of [DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_BIDIRECTIONAL] as const) {
      const single = dma.dma_map_single(k, addr, 100, dir);
      dma.dma_mapping_error(k, single);
      dma.dma_sync_single_for_cpu(k, single, 100, dir);
      dma.dma_sync_single_for_device(k, single, 100, dir);
      dma.dma_unmap_single(k, single, 100, dir);
      const whole = dma.dma_map_page(k, page, 0, 4096, dir);
      dma.dma_mapping_error(k, whole);
      dma.dma_unmap_page(k, whole, 4096, dir);
    }
    const sg: Scatterlist[] = [0, 64].map((offset) => ({ page, offset, length: 64, dma_address: 0 as Paddr }));
    dma.dma_map_sg(k, sg, DMA_FROM_DEVICE);
    dma.dma_sync_sg_for_cpu(k, sg, DMA_FROM_DEVICE);
    dma.dma_unmap_sg(k, sg, DMA_FROM_DEVICE);
    const memory = dma_alloc_coherent(k, NULL, 256, gfp(k).GFP_KERNEL);
    dma_free_coherent(k, NULL, 256, memory.addr, memory.handle);
    dma_debug_device_change(k);
    expect(kinds()).toEqual([]);
  });
});

/** What a driver does wrong, from which version on it is an error, what is said of it, and what comes near it and is right. */
type Wrong = readonly [DmaError, DmaRules, RegExp, (w: Watched) => void, (w: Watched) => void];
const map = (w: Watched, dir: 0 | 1 | 2 = DMA_FROM_DEVICE, offset = 0): Paddr =>
  dma.dma_map_single(w.k, at(w.addr, offset), 256, dir);
const mapPage = (w: Watched, offset = 0): Paddr => dma.dma_map_page(w.k, w.page, offset, 256, DMA_FROM_DEVICE);
const asked = (w: Watched, bus: Paddr): Paddr => {
  dma.dma_mapping_error(w.k, bus);
  return bus;
};
const unmap = (w: Watched, bus: Paddr, dir: 0 | 1 | 2 = DMA_FROM_DEVICE): void =>
  dma.dma_unmap_single(w.k, bus, 256, dir);
const entries = (w: Watched, count: number, length = 64): Scatterlist[] =>
  Array.from({ length: count }, (_, i) => ({ page: w.page, offset: i * 64, length, dma_address: 0 as Paddr }));

const WRONG: readonly Wrong[] = [
  [
    'invalid-address',
    '2.6.30',
    /tries to free an invalid DMA memory address$/,
    (w) => w.k.dmaWatch?.unmapped(0, 0, 0xffffffff, 256, DMA_FROM_DEVICE, 0),
    (w) => w.k.dmaWatch?.mappingError(0xffffffff),
  ],
  [
    'not-allocated',
    '2.6.30',
    /tries to free DMA memory it has not allocated \[device address=0x00000000[0-9a-f]{8}\] \[size=256 bytes\]$/,
    (w) => dma.dma_unmap_single(w.k, w.k.__pa(w.addr), 256, DMA_FROM_DEVICE),
    (w) => unmap(w, asked(w, map(w))),
  ],
  [
    'size',
    '2.6.30',
    /with different size \[device address=\S+\] \[map size=256 bytes\] \[unmap size=128 bytes\]$/,
    (w) => dma.dma_unmap_single(w.k, map(w), 128, DMA_FROM_DEVICE),
    (w) => {
      // Two mappings of one address: that which fits is unmapped, whichever came first.
      const [whole, part] = [map(w), dma.dma_map_single(w.k, w.addr, 128, DMA_FROM_DEVICE)];
      asked(w, part);
      dma.dma_unmap_single(w.k, part, 128, DMA_FROM_DEVICE);
      unmap(w, whole);
    },
  ],
  [
    'function',
    '2.6.30',
    /with wrong function .*\[mapped as scather-gather\] \[unmapped as single\]$/,
    (w) => {
      const sg = entries(w, 1);
      dma.dma_map_sg(w.k, sg, DMA_FROM_DEVICE);
      dma.dma_unmap_single(w.k, (sg[0] as Scatterlist).dma_address, 64, DMA_FROM_DEVICE);
    },
    (w) => {
      const sg = entries(w, 1);
      dma.dma_map_sg(w.k, sg, DMA_FROM_DEVICE);
      dma.dma_unmap_sg(w.k, sg, DMA_FROM_DEVICE);
    },
  ],
  [
    'cpu-address',
    '2.6.30',
    /with different CPU address .*\[cpu alloc address=0x[0-9a-f]+\] \[cpu free address=0x[0-9a-f]+\]$/,
    (w) => {
      const memory = dma_alloc_coherent(w.k, NULL, 256, gfp(w.k).GFP_KERNEL);
      w.k.dmaWatch?.unmapped(3, memory.addr + 8, memory.handle, 256, 0, 0);
    },
    (w) => {
      const memory = dma_alloc_coherent(w.k, NULL, 256, gfp(w.k).GFP_KERNEL);
      dma_free_coherent(w.k, NULL, 256, memory.addr, memory.handle);
    },
  ],
  [
    'sg-count',
    '2.6.30',
    /sg list with different entry count \[map count=2\] \[unmap count=1\]$/,
    (w) => {
      const sg = entries(w, 2);
      dma.dma_map_sg(w.k, sg, DMA_FROM_DEVICE);
      dma.dma_unmap_sg(w.k, sg.slice(0, 1), DMA_FROM_DEVICE);
    },
    (w) => {
      const sg = entries(w, 2);
      dma.dma_map_sg(w.k, sg, DMA_FROM_DEVICE);
      dma.dma_unmap_sg(w.k, sg, DMA_FROM_DEVICE);
    },
  ],
  [
    'direction',
    '2.6.30',
    /with different direction .*\[mapped with DMA_FROM_DEVICE\] \[unmapped with DMA_TO_DEVICE\]$/,
    (w) => dma.dma_unmap_single(w.k, map(w), 256, DMA_TO_DEVICE),
    (w) => unmap(w, asked(w, map(w, DMA_TO_DEVICE)), DMA_TO_DEVICE),
  ],
  [
    'map-error-unchecked',
    '4.9',
    /failed to check map error\[device address=\S+\] \[size=256 bytes\] \[mapped as (page|single)\]$/,
    (w) => dma.dma_unmap_page(w.k, mapPage(w), 256, DMA_FROM_DEVICE),
    (w) => dma.dma_unmap_page(w.k, asked(w, mapPage(w)), 256, DMA_FROM_DEVICE),
  ],
  [
    'stack',
    '2.6.30',
    /maps memory from stack \[addr=[0-9a-f]{8}\]$/,
    (w) => dma.dma_map_single(w.k, at(w.k.sym.thread_stacks, 64), 64, DMA_TO_DEVICE),
    (w) => {
      const { k } = w;
      // The stack of another thread, and what lies right behind one's own.
      for (const at of [k.sym.thread_stacks + 512 + 64, k.sym.thread_stacks + 512]) {
        asked(w, dma.dma_map_single(k, vaddr(at), 64, DMA_TO_DEVICE));
      }
    },
  ],
  [
    'text',
    '2.6.30',
    /maps memory from kernel text or rodata \[addr=[0-9a-f]{8}\] \[len=64\]$/,
    (w) => dma.dma_map_single(w.k, vaddr(w.k.config.pageOffset + 0x1000), 64, DMA_TO_DEVICE),
    (w) => asked(w, dma.dma_map_single(w.k, w.k.sym._sdata, 64, DMA_TO_DEVICE)),
  ],
  [
    'invalid-area',
    '5.10',
    /maps memory from invalid area/,
    (w) => {
      try {
        dma.dma_map_single(w.k, vaddr(0x1000), 64, DMA_TO_DEVICE);
      } catch {
        // ARM has a BUG of its own.
      }
    },
    (w) => asked(w, dma.dma_map_single(w.k, at(w.addr, 4096 * 4 - 64), 64, DMA_TO_DEVICE)),
  ],
  [
    'vmalloc-area',
    '5.10',
    /maps memory from vmalloc area/,
    (w) => {
      try {
        dma.dma_map_single(w.k, vmalloc(w.k, 4096), 64, DMA_TO_DEVICE);
      } catch {
        // The same.
      }
    },
    (w) => {
      // The memory is the same; its page may be mapped.
      asked(w, dma.dma_map_page(w.k, vmalloc_to_page(w.k, vmalloc(w.k, 4096)), 0, 64, DMA_TO_DEVICE));
    },
  ],
  [
    'sync-not-allocated',
    '2.6.30',
    /tries to sync DMA memory it has not allocated/,
    (w) => dma.dma_sync_single_for_cpu(w.k, w.k.__pa(w.addr), 64, DMA_FROM_DEVICE),
    (w) => dma.dma_sync_single_for_cpu(w.k, asked(w, map(w)), 64, DMA_FROM_DEVICE),
  ],
  [
    'sync-range',
    '2.6.30',
    /outside allocated range .*\[allocation size=256 bytes\] \[sync offset\+size=300\]$/,
    (w) => dma.dma_sync_single_for_cpu(w.k, map(w), 300, DMA_FROM_DEVICE),
    (w) => {
      const bus = map(w);
      dma.dma_sync_single_for_cpu(w.k, bus, 256, DMA_FROM_DEVICE);
      dma.dma_sync_single_range_for_cpu(w.k, bus, 192, 64, DMA_FROM_DEVICE);
      dma.dma_sync_single_range_for_device(w.k, bus, 192, 64, DMA_FROM_DEVICE);
    },
  ],
  [
    'sync-direction',
    '2.6.30',
    /syncs DMA memory with different direction .*\[mapped with DMA_FROM_DEVICE\] \[synced with DMA_TO_DEVICE\]$/,
    (w) => dma.dma_sync_single_for_cpu(w.k, map(w), 256, DMA_TO_DEVICE),
    (w) => dma.dma_sync_single_for_cpu(w.k, map(w), 256, DMA_FROM_DEVICE),
  ],
  [
    'sync-for-cpu',
    '2.6.30',
    /syncs device read-only DMA memory for cpu/,
    (w) => dma.dma_sync_single_for_cpu(w.k, map(w, DMA_TO_DEVICE), 256, DMA_FROM_DEVICE),
    (w) => dma.dma_sync_single_for_cpu(w.k, map(w, DMA_TO_DEVICE), 256, DMA_TO_DEVICE),
  ],
  [
    'sync-for-device',
    '2.6.30',
    /syncs device write-only DMA memory to device/,
    (w) => dma.dma_sync_single_for_device(w.k, map(w), 256, DMA_TO_DEVICE),
    (w) => dma.dma_sync_single_for_device(w.k, map(w), 256, DMA_FROM_DEVICE),
  ],
  [
    'sync-sg-count',
    '4.9',
    /syncs DMA sg list with different entry count \[map count=2\] \[sync count=1\]$/,
    (w) => {
      const sg = entries(w, 2);
      dma.dma_map_sg(w.k, sg, DMA_FROM_DEVICE);
      dma.dma_sync_sg_for_cpu(w.k, sg.slice(0, 1), DMA_FROM_DEVICE);
    },
    (w) => {
      const sg = entries(w, 2);
      dma.dma_map_sg(w.k, sg, DMA_FROM_DEVICE);
      dma.dma_sync_sg_for_cpu(w.k, sg, DMA_FROM_DEVICE);
    },
  ],
  [
    'pending',
    '4.9',
    /has pending DMA allocations while released from device \[count=1\]$/,
    (w) => {
      map(w);
      dma_debug_device_change(w.k);
    },
    (w) => {
      unmap(w, asked(w, map(w)));
      dma_debug_device_change(w.k);
    },
  ],
  [
    'segment',
    '5.10',
    /mapping sg segment longer than device claims to support \[len=69632\] \[max=65536\]$/,
    (w) => {
      const page = pfn_to_page(w.k, ((page_to_phys(w.k, w.page) >>> 12) + 64) as never);
      dma.dma_map_sg(w.k, [{ page, offset: 0, length: 69632, dma_address: 0 as Paddr }], DMA_TO_DEVICE);
    },
    (w) => {
      const page = pfn_to_page(w.k, ((page_to_phys(w.k, w.page) >>> 12) + 64) as never);
      dma.dma_map_sg(w.k, [{ page, offset: 0, length: 65536, dma_address: 0 as Paddr }], DMA_TO_DEVICE);
    },
  ],
];

/** Maps a list of one segment of 64 KB, of which the last byte is at @last, by address lines of the device's bridge rather than memory. */
function mapSegment(w: Watched, last: number): void {
  const start = last - 0xffff;
  const page = pfn_to_page(w.k, (start >>> 12) as never);
  dma.dma_map_sg(w.k, [{ page, offset: start & 4095, length: 0x10000, dma_address: 0 as Paddr }], DMA_TO_DEVICE);
}

describe('dma-debug: a segment across a boundary', () => {
  const kindsOf = (rules: DmaRules, last: number): string[] => {
    const w = watched(rules, { coherentDma: true });
    mapSegment(w, last);
    return w.reports.map((r) => r.headline);
  };

  it.each(DMA_RULES)('is reported from 5.10 on, where it is as long as it may be: %s', (rules) => {
    const words =
      'DMA-API: mapping sg segment across boundary [start=0x00000000ffff0001] [end=0x0000000100000000] [boundary=0x00000000ffffffff]';
    expect(kindsOf(rules, 0x100000000)).toEqual(atLeast(rules, '5.10') ? [words] : []);
  });

  it('is not said of one that ends at the boundary, or begins there', () => {
    expect(kindsOf('5.10', 0xffffffff)).toEqual([]);
  });
});

describe.each(WRONG)('dma-debug: %s', (kind, since, words, wrong, right) => {
  it.each(DMA_RULES)(`is reported from ${since} on: %s`, (rules) => {
    const w = watched(rules);
    wrong(w);
    const found = w.reports.find((r) => r.kind === kind);
    if (!atLeast(rules, since)) expect(w.kinds()).not.toContain(kind);
    else expect(found?.headline).toMatch(new RegExp(`^DMA-API: .*${words.source}`));
  });

  it.each(DMA_RULES)('is not said of what is right: %s', (rules) => {
    const w = watched(rules);
    right(w);
    // Two mappings of one line are an error of their own by then.
    expect(w.kinds()).toEqual(kind === 'size' && rules === '5.14' ? ['overlap'] : []);
  });
});

describe('what dma-debug says of memory by its address', () => {
  it('it says of pages and of lists as well', () => {
    const w = watched();
    const page = pfn_to_page(w.k, (w.k.__pa(vaddr(w.k.config.pageOffset + 0x1000)) >>> 12) as never);
    dma.dma_map_page(w.k, page, 0, 64, DMA_TO_DEVICE);
    dma.dma_map_sg(w.k, [{ page, offset: 0, length: 64, dma_address: 0 as Paddr }], DMA_TO_DEVICE);
    expect(w.kinds()).toEqual(['text', 'text']);
  });

  it('it does not say of pages without one', () => {
    const w = watched();
    const page = alloc_pages(w.k, gfp(w.k).GFP_KERNEL | gfp(w.k).__GFP_HIGHMEM, 0);
    expect(PageHighMem(w.k, page)).toBe(true);
    dma.dma_map_page(w.k, page, 0, 64, DMA_TO_DEVICE);
    expect(w.kinds()).toEqual([]);
  });
});

describe('which of several mappings is meant', () => {
  /** One buffer of 256 bytes, and its first 128, from the same address. */
  const twice = (rules: DmaRules, act: (w: Watched, bus: Paddr) => void): string[] => {
    const w = watched(rules);
    const bus = dma.dma_map_single(w.k, w.addr, 128, DMA_FROM_DEVICE);
    map(w);
    asked(w, bus);
    act(w, bus);
    return w.kinds();
  };
  const versions = ['2.6.30', '4.9', '5.10'] as const;

  it.each(versions)('is that which fits, whichever came first: %s', (rules) => {
    expect(twice(rules, (w, bus) => unmap(w, bus))).toEqual([]);
    expect(twice(rules, (w, bus) => dma.dma_sync_single_for_cpu(w.k, bus, 256, DMA_FROM_DEVICE))).toEqual([]);
  });

  it.each(versions)('is none where none fits: %s', (rules) => {
    expect(twice(rules, (w, bus) => dma.dma_unmap_single(w.k, bus, 64, DMA_FROM_DEVICE))).toEqual(['not-allocated']);
    expect(twice(rules, (w, bus) => dma.dma_sync_single_for_cpu(w.k, bus, 64, DMA_FROM_DEVICE))).toEqual([
      'sync-not-allocated',
    ]);
  });
});

describe('dma-debug: rules that changed', () => {
  it('a buffer and a page are the same from 5.10 on', () => {
    const w = watched('5.10');
    const bus = map(w);
    dma.dma_mapping_error(w.k, bus);
    dma.dma_unmap_page(w.k, bus, 256, DMA_FROM_DEVICE);
    expect(w.kinds()).toEqual([]);
  });

  it('a part of a mapping can be synced from 4.9 on', () => {
    const partly = (rules: DmaRules): string[] => {
      const w = watched(rules);
      dma.dma_sync_single_for_cpu(w.k, pa(map(w), 64), 64, DMA_FROM_DEVICE);
      return w.kinds();
    };
    expect(partly('2.6.30')).toEqual(['sync-not-allocated']);
    expect(partly('4.9')).toEqual([]);
  });

  it('overlapping mappings are counted from 4.9 on, up to seven, and are an error at once in 5.14', () => {
    const overlaps = (rules: DmaRules, count: number): string[] => {
      const w = watched(rules);
      for (let i = 0; i < count; i++) map(w);
      return w.kinds();
    };
    expect(overlaps('2.6.30', 10)).toEqual([]);
    expect(overlaps('4.9', 8)).toEqual([]);
    expect(overlaps('4.9', 9)).toEqual(['overlaps']);
    expect(overlaps('5.14', 2)).toEqual(['overlap']);
    const w = watched('5.14');
    for (let i = 0; i < 3; i++) map(w, DMA_TO_DEVICE);
    expect(w.kinds()).toEqual([]);
  });

  it('a page with a mapped line is not to be written to by the rules of 4.9', () => {
    const touched = (rules: DmaRules, dir: 1 | 2): string[] => {
      const w = watched(rules);
      map(w, dir);
      debug_dma_assert_idle(w.k, w.page);
      return w.kinds();
    };
    expect(touched('4.9', DMA_FROM_DEVICE)).toEqual(['touched']);
    expect(touched('4.9', DMA_TO_DEVICE)).toEqual([]);
    expect(touched('5.10', DMA_FROM_DEVICE)).toEqual([]);
    expect(touched('2.6.30', DMA_FROM_DEVICE)).toEqual([]);
  });

  it('a page whose mapping has been undone may be written to, and one beside it', () => {
    const w = watched('4.9');
    const bus = asked(w, map(w));
    debug_dma_assert_idle(w.k, pfn_to_page(w.k, ((page_to_phys(w.k, w.page) >>> 12) + 1) as never));
    unmap(w, bus);
    debug_dma_assert_idle(w.k, w.page);
    expect(w.kinds()).toEqual([]);
  });

  it('mappings of one line one after the other do not overlap, nor do neighbours', () => {
    const w = watched('5.14');
    for (let i = 0; i < 3; i++) unmap(w, asked(w, map(w)));
    const [one, other] = [asked(w, map(w)), asked(w, map(w, DMA_FROM_DEVICE, 256))];
    unmap(w, one);
    unmap(w, other);
    expect(w.kinds()).toEqual([]);
  });

  it('both directions pass every check of the direction but that they differ', () => {
    const w = watched('2.6.30');
    const bus = map(w, DMA_BIDIRECTIONAL);
    dma.dma_sync_single_for_cpu(w.k, bus, 256, DMA_FROM_DEVICE);
    expect(w.kinds()).toEqual(['sync-direction']);
    const modern = watched('5.10');
    dma.dma_sync_single_for_cpu(modern.k, map(modern, DMA_BIDIRECTIONAL), 256, DMA_FROM_DEVICE);
    expect(modern.kinds()).toEqual([]);
  });

  it('only the first error is printed, unless all are asked for', () => {
    const w = watched('2.6.30', { lockdepMode: 'linux' });
    for (let i = 0; i < 3; i++) dma.dma_unmap_single(w.k, w.k.__pa(w.addr), 256, DMA_FROM_DEVICE);
    expect(w.kinds()).toEqual(['not-allocated']);
  });
});

describe('what is mapped at the end of an execution', () => {
  /** @stage: when it is mapped. @undo: and unmapped by a thread. */
  const left = (check: string, rules: DmaRules, stage: number, undo: boolean): CheckerReport[] => {
    const { k, reports, checker, addr } = watched(rules, { check });
    k.hw[Control.stage] = stage;
    const bus = dma.dma_map_single(k, addr, 60, DMA_TO_DEVICE);
    if (atLeast(rules, '4.9')) dma.dma_mapping_error(k, bus);
    k.hw[Control.stage] = Stage.threads;
    if (undo) dma.dma_unmap_single(k, bus, 60, DMA_TO_DEVICE);
    k.hw[Control.stage] = Stage.setup;
    checker.end();
    return reports;
  };

  it.each(DMA_RULES)('is pending by the rules of %s where leaks are asked for, and a thread has mapped it', (rules) => {
    const [report, ...more] = left('dma,leak', rules, Stage.threads, false);
    expect(more).toEqual([]);
    expect(report).toMatchObject({ checker: 'dma', kind: 'pending' });
    expect(report?.headline).toContain('has pending DMA allocations while released from device [count=1]');
    expect(report?.lines.some((line) => line.startsWith("(Murphy's own check"))).toBe(rules === '2.6.30');
  });

  it.each(DMA_RULES)('is none of its business by the rules of %s otherwise', (rules) => {
    expect(left('dma,leak', rules, Stage.threads, true)).toEqual([]);
    expect(left('dma,leak', rules, Stage.setup, false)).toEqual([]);
    expect(left('dma', rules, Stage.threads, false)).toEqual([]);
  });
});

describe('ownership', () => {
  it("is the device's between mapping and unmapping", () => {
    const w = watched();
    const bus = map(w);
    w.k.load32(w.addr);
    w.k.store32(at(w.addr, 32), 1);
    dma.dma_unmap_single(w.k, bus, 256, DMA_FROM_DEVICE);
    w.k.load32(w.addr);
    expect(w.kinds()).toEqual(['cpu-access', 'cpu-access']);
  });

  it('lets the CPU read what the device only reads', () => {
    const w = watched();
    map(w, DMA_TO_DEVICE);
    w.k.load32(w.addr);
    expect(w.kinds()).toEqual([]);
    w.k.store32(w.addr, 1);
    expect(w.kinds()).toEqual(['cpu-access']);
  });

  it('goes back and forth by sync', () => {
    const w = watched();
    const bus = map(w);
    dma.dma_sync_single_for_cpu(w.k, bus, 256, DMA_FROM_DEVICE);
    w.k.load32(w.addr);
    expect(w.kinds()).toEqual([]);
    w.device.write32(bus, 1);
    expect(w.kinds()).toEqual(['device-access']);
    dma.dma_sync_single_for_device(w.k, bus, 256, DMA_FROM_DEVICE);
    w.device.write32(bus, 2);
    expect(w.kinds()).toEqual(['device-access']);
  });

  it("is nobody's business where nothing was mapped", () => {
    const w = watched();
    w.k.store32(w.addr, 1);
    w.device.write32(w.k.__pa(w.addr), 2);
    w.device.read32(w.k.__pa(w.addr));
    expect(w.kinds()).toEqual([]);
  });

  it('shows what maintenance has left out, and who dirtied the line', () => {
    const w = watched();
    w.k.load32(w.addr);
    w.k.store32(w.addr, 0x11223344);
    // A driver that maps nothing, but tells that it has.
    w.k.dmaWatch?.mapped(0, w.addr, w.k.__pa(w.addr), w.k.__pa(w.addr), 256, DMA_TO_DEVICE, 0);
    expect(w.kinds()).toEqual(['left-dirty']);
    w.device.read32(w.k.__pa(w.addr));
    expect(w.kinds()).toEqual(['left-dirty', 'stale-for-device']);
    const text = w.reports[1]?.lines.join('\n') ?? '';
    expect(text).toMatch(/byte P0x[0-9a-f]{8}: expected 0x44, seen 0x[0-9a-f]{2}\n/);
    expect(text).toMatch(/line P0x[0-9a-f]{8} of \d+ bytes, in the cache of CPU0\n/);
    expect(text).toContain('last written by thread0 on CPU0:');
  });

  it('lets a device have what maintenance has brought to memory', () => {
    const w = watched();
    w.k.load32(w.addr);
    w.k.store32(w.addr, 0x11223344);
    const bus = map(w, DMA_TO_DEVICE);
    expect(w.device.read32(bus)).toBe(0x11223344);
    expect(w.kinds()).toEqual([]);
  });

  it('lets the CPU have what the device wrote, and write lines back that the device did not write', () => {
    const w = watched();
    const bus = map(w);
    w.device.write32(bus, 0x55667788);
    unmap(w, bus);
    expect(w.k.load32(w.addr)).toBe(0x55667788);
    w.k.store32(w.addr, 1);
    w.k.mmu.evict(w.addr);
    expect(w.k.memory.words[(w.k.__pa(w.addr) - w.k.config.core.physBase) >>> 2]).toBe(1);
    expect(w.kinds()).toEqual([]);
  });

  it('shows bytes that were in the cache before the device wrote', () => {
    const w = watched();
    const bus = map(w);
    w.k.setTracer(null);
    w.k.load32(w.addr);
    w.k.setTracer(w.checker as never);
    w.device.write32(bus, 0x55667788);
    w.k.dmaWatch?.unmapped(0, 0, bus, 256, DMA_FROM_DEVICE, 0);
    w.k.load32(w.addr);
    expect(w.kinds()).toEqual(['stale-for-cpu']);
  });

  it('shows a dirty line that is written back over what the device wrote', () => {
    const w = watched();
    const bus = map(w);
    w.k.setTracer(null);
    w.k.load32(w.addr);
    w.k.store32(at(w.addr, 4), 1);
    w.k.setTracer(w.checker as never);
    w.device.write32(bus, 0x55667788);
    w.k.mmu.evict(w.addr);
    expect(w.kinds()).toEqual(['overwritten']);
  });

  it('shows a line that a buffer shares with others', () => {
    const w = watched();
    const bus = map(w, DMA_FROM_DEVICE, 16);
    w.k.store32(w.addr, 1);
    expect(w.kinds()).toEqual(['shared-line']);
    dma.dma_unmap_single(w.k, bus, 256, DMA_FROM_DEVICE);
    const apart = watched();
    map(apart, DMA_FROM_DEVICE, 256);
    apart.k.store32(apart.addr, 1);
    expect(apart.kinds()).toEqual([]);
  });

  it('shows a line that is thrown away although it is not of the buffer', () => {
    const w = watched();
    w.k.load32(w.addr);
    w.k.store32(w.addr, 0x11223344);
    // As through an address that means another page by now.
    w.k.dmaWatch?.mapping(1, 0, w.k.__pa(w.addr) + 4096, 256, 0);
    w.k.mmu.cacheLine(2, w.addr);
    expect(w.kinds()).toEqual(['wrong-line']);
  });

  it('may have lines of its own thrown away', () => {
    const w = watched();
    w.k.load32(w.addr);
    w.k.store32(w.addr, 0x11223344);
    w.k.dmaWatch?.mapping(1, 0, w.k.__pa(w.addr), 256, 0);
    w.k.mmu.cacheLine(2, w.addr);
    expect(w.kinds()).toEqual([]);
  });

  it('is not looked at where devices see the caches', () => {
    const w = watched('2.6.30', { coherentDma: true });
    map(w);
    w.k.load32(w.addr);
    expect(w.kinds()).toEqual([]);
  });
});
