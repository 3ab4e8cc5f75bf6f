import { describe, expect, it } from 'vitest';
import type { Kernel } from '../../../src/cpu/kernel.js';
import { gfp } from '../../../src/mm/gfp.js';
import { alloc_page } from '../../../src/mm/page_alloc.js';
import { VM_IOREMAP } from '../../../src/mm/vmalloc/vm-struct.js';
import { get_vmalloc_info, vmallocinfo } from '../../../src/mm/vmalloc/vmallocinfo.js';
import { get_vm_area, vfree, vm_map_ram, vmalloc, vmalloc_user } from '../../../src/mm/vmalloc.js';
import { vaddr } from '../../../src/shared/types.js';
import { localMachine } from '../../machine.js';

const P = 4096;
const boot = (kernel: string, lowmemPages = 512): Kernel =>
  localMachine('cortex-a9', { kernel, patches: ['tlb-ops-broadcast'], lowmemPages }).k;

/** The format of spec/checkers.md §8.4. */
const LINE =
  /^0x([0-9a-f]{8})-0x([0-9a-f]{8}) {1,7}(\d+)(?: \S+\+0x[0-9a-f]+\/0x[0-9a-f]+)?(?: pages=(\d+))?(?: phys=[0-9a-f]+)?(?: ioremap)?(?: vmalloc)?(?: vmap)?(?: user)?(?: vpages)?$/;

interface Parsed {
  readonly start: number;
  readonly end: number;
  readonly size: number;
  readonly pages: number;
  readonly words: string;
}

function parse(text: string): Parsed[] {
  return text
    .trimEnd()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [, start, end, size, pages] = LINE.exec(line) ?? [];
      expect(start, line).toBeDefined();
      const words = (line.match(/ (ioremap|vmalloc|vmap|user|vpages)/g) ?? []).join('').trim();
      return {
        start: Number.parseInt(start as string, 16),
        end: Number.parseInt(end as string, 16),
        size: Number(size),
        pages: Number(pages ?? 0),
        words,
      };
    });
}

describe.each(['2.6.28', '2.6.34', '4.10', '4.12'])('/proc/vmallocinfo of %s', (kernel) => {
  it('has a line for each area, by address, with its guard page and what it is', () => {
    const k = boot(kernel, 2304);
    const [a, b] = [vmalloc(k, 2 * P), vmalloc_user(k, P)];
    get_vm_area(k, P, VM_IOREMAP);
    const big = vmalloc(k, 1025 * P);
    const lines = parse(vmallocinfo(k));
    const of = (addr: number): Parsed | undefined => lines.find((l) => l.start === addr);
    expect(of(a)).toEqual({ start: a, end: a + 3 * P, size: 3 * P, pages: 2, words: 'vmalloc' });
    expect(of(b)?.words).toBe('vmalloc user');
    expect(of(big)).toMatchObject({ pages: 1025, words: 'vmalloc vpages' });
    expect(lines.filter((l) => l.words === 'ioremap')).toHaveLength(1);
    expect(lines.map((l) => l.start)).toEqual(lines.map((l) => l.start).sort((x, y) => x - y));
  });

  it('has none for an area that waits for a purge, nor for one of vm_map_ram()', () => {
    const k = boot(kernel);
    const addr = vmalloc(k, P);
    const array = vmalloc(k, P);
    k.store(array, alloc_page(k, gfp(k).GFP_KERNEL));
    vm_map_ram(k, array, 1);
    vfree(k, addr);
    expect(parse(vmallocinfo(k)).map((l) => l.start)).toEqual([array]);
  });
});

describe('what 2.6.22 has instead', () => {
  it('is used bytes and the largest hole, guard pages included', () => {
    const k = boot('2.6.22');
    expect(vmallocinfo(k)).toBe('');
    const total = k.arch.VMALLOC_END(k) - k.arch.VMALLOC_START(k);
    expect(get_vmalloc_info(k)).toEqual({ used: 0, largest_chunk: total });
    const [a] = [vmalloc(k, P), vmalloc(k, P)];
    vfree(k, vaddr(a));
    expect(get_vmalloc_info(k)).toEqual({ used: 2 * P, largest_chunk: total - 4 * P });
  });
});
