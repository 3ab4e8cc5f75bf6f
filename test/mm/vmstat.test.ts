import { describe, expect, it } from 'vitest';
import type { Kernel } from '../../src/cpu/kernel.js';
import { gfp } from '../../src/mm/gfp.js';
import { zone_nr } from '../../src/mm/mmzone.js';
import { ZONE_HIGHMEM } from '../../src/mm/page.js';
import { alloc_page, drainZone } from '../../src/mm/page_alloc.js';
import { lru_cache_add } from '../../src/mm/vmscan.js';
import { buddyinfo, meminfo, zoneinfo } from '../../src/mm/vmstat.js';
import { localMachine } from '../machine.js';

const machine = (kernel: string): Kernel =>
  localMachine('arm926', { kernel, patches: [], lowmemPages: 512, dmaPages: 256, highmemPages: 64 }).k;
const values = (text: string): Map<string, number> =>
  new Map(
    text.split('\n').flatMap((line): [string, number][] => {
      const match = /^(\S+):\s+(\d+)/.exec(line);
      return match === null ? [] : [[match[1] as string, Number(match[2])]];
    }),
  );

describe('/proc/buddyinfo', () => {
  it('counts the free blocks of each order, zone by zone', () => {
    const k = machine('2.6.22');
    const lines = buddyinfo(k).split('\n');
    expect(lines[1]).toBe(`Node 0, zone   Normal ${'     0 '.repeat(8)}     1 ${'     0 '.repeat(2)}`);
    expect(lines.slice(0, 3).map((l) => l.slice(0, 21))).toEqual([
      'Node 0, zone      DMA',
      'Node 0, zone   Normal',
      'Node 0, zone  HighMem',
    ]);
    expect(buddyinfo(k)).toMatch(/^(Node \d+, zone {1,8}\w+ ( *\d+ ){11}\n)+$/);
    drainZone(k, zone_nr(k, ZONE_HIGHMEM), 3);
    expect(buddyinfo(k)).toContain(`Node 0, zone  HighMem      1      1 ${'     0 '.repeat(9)}\n`);
  });
});

describe('/proc/zoneinfo', () => {
  it('has marks, sizes and the lists of each CPU', () => {
    const old = zoneinfo(machine('2.6.22'));
    expect(old).toContain('Node 0, zone  HighMem\n  pages free     64\n        min      0\n');
    expect(old).toContain('        scanned  0 (a: 0 i: 0)\n        spanned  64\n        present  64\n');
    expect(old).toContain('  pagesets\n    cpu: 0 pcp: 0\n              count: 0\n');
    const modern = zoneinfo(machine('4.12'));
    expect(modern).toContain('Node 0, zone      DMA\n  per-node stats\n      nr_inactive_file 0\n');
    expect(modern.match(/per-node stats/g)).toHaveLength(1);
    expect(modern).toContain('      nr_zone_inactive_file 0\n      nr_zone_active_file 0\n');
    expect(old).toContain('    nr_active    0\n    nr_inactive  0\n');
    expect(modern).toContain('        managed  256\n        protection: (0, 0, 0)\n');
    expect(modern).toContain('    cpu: 0\n              count: 0\n');
  });
});

describe('/proc/meminfo', () => {
  it('has the lines of the version in its columns', () => {
    const names = (kernel: string): string => [...values(meminfo(machine(kernel))).keys()].join(' ');
    expect(names('2.5.53')).toMatch(/^MemTotal MemFree MemShared Buffers .* PageTables ReverseMaps$/);
    expect(names('2.6.22')).toMatch(/^MemTotal MemFree Buffers .* Committed_AS VmallocTotal VmallocUsed VmallocChunk$/);
    expect(names('2.6.30')).toContain('Inactive Active(anon)');
    expect(names('2.6.31')).not.toMatch(/Shmem|KernelStack/);
    for (const kernel of ['2.6.32', '2.6.34', '4.12']) {
      expect(names(kernel)).toMatch(/ Mapped Shmem Slab SReclaimable SUnreclaim KernelStack PageTables /);
    }
    expect(names('4.12')).toMatch(/^MemTotal MemFree MemAvailable/);
    expect(meminfo(machine('2.6.22'))).toMatch(/^MemTotal: {5} *\d+ kB\nMemFree: {6} *\d+ kB\n/);
    expect(meminfo(machine('2.6.30'))).toContain('HighFree:            256 kB\n');
  });

  it('splits total and free memory into high and low', () => {
    const k = machine('2.6.30');
    for (let i = 0; i < 8; i++) lru_cache_add(k, alloc_page(k, gfp(k).GFP_HIGHUSER));
    const v = values(meminfo(k, { VmallocUsed: 12 }));
    expect(v.get('HighFree')).toBe((64 - 8) * 4);
    expect(v.get('Cached')).toBe(32);
    expect((v.get('LowFree') as number) + (v.get('HighFree') as number)).toBe(v.get('MemFree'));
    expect((v.get('LowTotal') as number) + (v.get('HighTotal') as number)).toBe(v.get('MemTotal'));
    expect(v.get('VmallocUsed')).toBe(12);
  });

  it('has no line for high memory on a machine without, and nothing to say about vmalloc in 4.12', () => {
    const { k } = localMachine('arm926', { kernel: '4.12', patches: [], highmemPages: 0 });
    const v = values(meminfo(k, { VmallocTotal: 99, VmallocUsed: 12 }));
    expect(v.has('HighTotal')).toBe(false);
    expect([v.get('VmallocTotal'), v.get('VmallocUsed')]).toEqual([99, 0]);
  });
});
