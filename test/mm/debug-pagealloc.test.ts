/** CONFIG_DEBUG_PAGEALLOC without unmapping: mm/debug-pagealloc.c of Linux 2.6.30, mm/page_poison.c of 4.12, and what mm/vmalloc.c does then. */
import { describe, expect, it } from 'vitest';
import type { MachineConfig } from '../../src/cpu/config.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { checkersOf } from '../../src/lab/checkers.js';
import { gfp } from '../../src/mm/gfp.js';
import { kmalloc } from '../../src/mm/kmalloc.js';
import { kmap, kunmap } from '../../src/mm/kmap.js';
import { lowmem_page_address, type Page } from '../../src/mm/page.js';
import { __free_page, __free_pages, alloc_page, alloc_pages } from '../../src/mm/page_alloc.js';
import { vfree, vm_map_ram, vm_unmap_ram, vmalloc } from '../../src/mm/vmalloc.js';
import { type Vaddr, vaddr } from '../../src/shared/types.js';
import { dmesgOf, localMachine } from '../machine.js';

const machine = (options: Partial<MachineConfig> = {}, core = 'arm926'): Kernel =>
  localMachine(core, { kernel: '2.6.30', patches: [], debugPagealloc: true, ...options }).k;
const says = (k: Kernel): string[] => dmesgOf(k).filter((line) => line.startsWith('pagealloc: '));
const KERNEL = (k: Kernel): number => gfp(k).GFP_KERNEL;
const at = (addr: number, offset: number): Vaddr => vaddr(addr + offset);

/** A page that somebody has had, used and given back. */
function freed(k: Kernel): { page: Page; addr: Vaddr } {
  const page = alloc_page(k, KERNEL(k));
  const addr = lowmem_page_address(k, page);
  k.store32(at(addr, 100), 0x12345678);
  __free_page(k, page);
  return { page, addr };
}

describe.each([
  ['2.6.30', 'arm926'],
  ['4.12', 'cortex-a9'],
  ['2.6.30', 'pcxl2'],
])('a free page of %s on %s', (kernel, core) => {
  it('is filled, and given out without a word if nobody writes to it', () => {
    const k = machine({ kernel }, core);
    const { page, addr } = freed(k);
    expect([k.load8(addr), k.load32(at(addr, 100)), k.load8(at(addr, 4095))]).toEqual([0xaa, 0xaaaaaaaa, 0xaa]);
    expect(alloc_page(k, KERNEL(k))).toBe(page);
    expect(dmesgOf(k)).toEqual([]);
  });

  it('with a bit that has flipped is told of', () => {
    const k = machine({ kernel }, core);
    const { page, addr } = freed(k);
    k.store8(at(addr, 101), 0xae);
    expect(alloc_page(k, KERNEL(k))).toBe(page);
    expect(dmesgOf(k).slice(0, 2)).toEqual([
      'pagealloc: single bit error',
      `${(addr + 101).toString(16)}: ae${' '.repeat(45)}  .`,
    ]);
    expect(dmesgOf(k).length).toBeGreaterThan(2);
  });

  it('that was written to is told of from the first wrong byte to the last', () => {
    const k = machine({ kernel }, core);
    const { addr } = freed(k);
    k.store8(at(addr, 101), 0x41);
    k.store8(at(addr, 120), 0xab);
    alloc_page(k, KERNEL(k));
    expect(dmesgOf(k).slice(0, 3)).toEqual([
      'pagealloc: memory corruption',
      `${(addr + 101).toString(16)}: 41${' aa'.repeat(15)}  A...............`,
      `${(addr + 117).toString(16)}: aa aa aa ab${' '.repeat(36)}  ....`,
    ]);
  });

  it('of a block is looked at like any other', () => {
    const k = machine({ kernel }, core);
    const block = alloc_pages(k, KERNEL(k), 2);
    const addr = lowmem_page_address(k, block);
    __free_pages(k, block, 2);
    k.store32(at(addr, 3 * 4096), 0);
    expect(alloc_pages(k, KERNEL(k), 2)).toBe(block);
    expect(says(k)).toEqual(['pagealloc: memory corruption']);
  });
});

describe('a byte that is wrong by two bits', () => {
  it('is no single bit error', () => {
    const k = machine();
    const { addr } = freed(k);
    k.store8(addr, 0xa9);
    alloc_page(k, KERNEL(k));
    expect(says(k)).toEqual(['pagealloc: memory corruption']);
  });
});

describe('many spoilt pages', () => {
  it('are told of ten times', () => {
    const k = machine();
    const pages = Array.from({ length: 12 }, () => alloc_page(k, KERNEL(k)));
    for (const page of pages) __free_page(k, page);
    for (const page of pages) k.store32(lowmem_page_address(k, page), 0);
    for (let i = 0; i < 64; i++) alloc_page(k, KERNEL(k));
    expect(says(k)).toHaveLength(10);
  });
});

describe('highmem pages', () => {
  it.each([
    ['2.6.30', 'arm926', 'are left alone', 0],
    ['4.12', 'cortex-a9', 'are filled through an atomic mapping', 1],
  ])('of %s on %s %s', (kernel, core, _, reports) => {
    const k = machine({ kernel }, core);
    const mask = KERNEL(k) | gfp(k).__GFP_HIGHMEM;
    const page = alloc_page(k, mask);
    const addr = kmap(k, page);
    k.store32(addr, 0x12345678);
    __free_page(k, page);
    k.store8(addr, 1);
    kunmap(k, page);
    expect(alloc_page(k, mask)).toBe(page);
    expect(says(k)).toHaveLength(reports);
  });
});

describe('a machine without the option', () => {
  it('leaves pages as they are and says nothing', () => {
    const k = machine({ debugPagealloc: false });
    const { addr } = freed(k);
    expect(k.load32(at(addr, 100))).toBe(0x12345678);
    k.store8(at(addr, 5), 1);
    alloc_page(k, KERNEL(k));
    expect(dmesgOf(k)).toEqual([]);
  });
});

describe.each(['2.6.30', '2.6.32', '4.10', '4.12'])('a pointer into vmalloc() memory of %s', (kernel) => {
  const readAfter = (k: Kernel, addr: Vaddr, give: () => void): (() => number) => {
    k.load32(addr);
    give();
    return () => k.load32(addr);
  };

  it.each([true, false])('that is kept too long: it faults at once is %s', (debugPagealloc) => {
    const k = machine({ kernel, debugPagealloc }, 'cortex-a9');
    const area = vmalloc(k, 4096);
    const array = kmalloc(k, 4, KERNEL(k));
    k.store32(array, alloc_page(k, KERNEL(k)));
    const ram = vm_map_ram(k, array, 1);
    const reads = [readAfter(k, area, () => vfree(k, area)), readAfter(k, ram, () => vm_unmap_ram(k, ram, 1))];
    for (const read of reads) {
      if (debugPagealloc) expect(read).toThrow('Unable to handle kernel paging request');
      else expect(read()).toBeDefined();
    }
  });
});

describe('the memory checker', () => {
  it('takes what the option does with free pages for no access', () => {
    const { k } = localMachine('cortex-a9', { kernel: '4.12', patches: [], debugPagealloc: true, check: 'memory' });
    const reports: string[] = [];
    for (const checker of checkersOf(k, (report) => reports.push(report.headline))) checker.restart();
    const { addr } = freed(k);
    k.mmu.store32(at(addr, 8), 1);
    alloc_page(k, KERNEL(k));
    expect([says(k), reports]).toEqual([['pagealloc: memory corruption'], []]);
  });
});
