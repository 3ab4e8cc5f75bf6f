/** vm_map_ram() and vm_unmap_ram(), with the constants of 2.6.28 and 4.12. */
import { describe, expect, it } from 'vitest';
import type { Kernel } from '../../../src/cpu/kernel.js';
import { gfp } from '../../../src/mm/gfp.js';
import { kmalloc } from '../../../src/mm/kmalloc.js';
import { vmalloc_to_page } from '../../../src/mm/memory.js';
import type { Page } from '../../../src/mm/page.js';
import { alloc_page } from '../../../src/mm/page_alloc.js';
import {
  purge_vmap_area_lazy,
  vfree,
  vm_map_ram,
  vm_unmap_aliases,
  vm_unmap_ram,
  vmalloc,
} from '../../../src/mm/vmalloc.js';
import { checkVmallocInvariants } from '../../../src/mm/vmalloc-invariants.js';
import { NULL, type Vaddr, vaddr } from '../../../src/shared/types.js';
import { localMachine } from '../../machine.js';

const P = 4096;
/** min(1024, 128 MB in pages / CPUs / 16) on one and on two CPUs. */
const BLOCK = 1024 * P;

interface Ram {
  readonly k: Kernel;
  readonly other: Kernel;
  /** An array of so many struct page *. */
  pages(count: number): Vaddr;
  map(count: number): Vaddr;
}

function boot(kernel: string, cpus = 1): Ram {
  const machine = localMachine('cortex-a9', { kernel, patches: ['tlb-ops-broadcast'], lowmemPages: 512, cpus });
  const { k } = machine;
  const pages = (count: number): Vaddr => {
    const array = kmalloc<'page *'>(k, count * 4, gfp(k).GFP_KERNEL);
    for (let i = 0; i < count; i++) k.store(vaddr(array + i * 4), alloc_page(k, gfp(k).GFP_KERNEL));
    return array;
  };
  return { k, other: machine.cpus.at(-1) as Kernel, pages, map: (count) => vm_map_ram(k, pages(count), count) };
}

const faults = (k: Kernel, addr: Vaddr): boolean => {
  try {
    k.load32(addr);
    return false;
  } catch (error) {
    expect(String(error)).toMatch(/paging request/);
    return true;
  }
};

describe.each(['2.6.28', '2.6.34', '4.10', '4.12'])('vm_map_ram() of %s', (kernel) => {
  it('vmalloc/C-09: takes a power of two of a block up to 32 pages, and addresses of its own for more', () => {
    const { k, map } = boot(kernel);
    const first = map(3);
    expect(first % BLOCK).toBe(0);
    expect([map(1), map(32), map(2)]).toEqual([
      first + 4 * P,
      first + nextAt(kernel, 5, 32) * P,
      first + nextTwo(kernel) * P,
    ]);
    const big = map(33);
    expect(big >= first && big < first + BLOCK).toBe(false);
    // No guard page: the next one follows.
    expect(map(33) - big).toBe(kernel.startsWith('4') ? 33 * P : 34 * P);
    expect(checkVmallocInvariants(k)).toBe(null);
  });

  it('vmalloc/C-10: does not hand out again what has been given back while its block is in use', () => {
    const { k, map } = boot(kernel);
    const first = map(3);
    map(1);
    vm_unmap_ram(k, first, 3);
    expect(map(3)).toBe(first + (kernel.startsWith('4') ? 5 : 8) * P);
  });

  it('shows the pages that it was given, in their order', () => {
    const { k, pages } = boot(kernel);
    const array = pages(5);
    const addr = vm_map_ram(k, array, 5);
    const shown = Array.from({ length: 5 }, (_, i) => vmalloc_to_page(k, addr + i * P));
    expect(shown).toEqual(Array.from({ length: 5 }, (_, i): Page => k.loadPtr<'page'>(vaddr(array + i * 4))));
    expect(vmalloc_to_page(k, addr + 5 * P)).toBe(NULL);
  });

  it('leaves translations until vm_unmap_aliases(), after which no CPU has any', () => {
    const { k, other, map } = boot(kernel, 2);
    const addr = map(3);
    map(1);
    for (const cpu of [k, other]) cpu.load32(addr);
    vm_unmap_ram(k, addr, 3);
    expect([k, other].map((cpu) => faults(cpu, addr))).toEqual([false, false]);
    vm_unmap_aliases(k);
    expect([k, other].map((cpu) => faults(cpu, addr))).toEqual([true, true]);
  });

  it('gives a block back when all of it has been used and freed', () => {
    const { k, pages } = boot(kernel);
    const array = pages(32);
    const areas = Array.from({ length: 32 }, () => vm_map_ram(k, array, 32));
    expect(Math.max(...areas) - Math.min(...areas)).toBe(BLOCK - 32 * P);
    for (const addr of areas) vm_unmap_ram(k, addr, 32);
    purge_vmap_area_lazy(k);
    expect(checkVmallocInvariants(k)).toBe(null);
    expect(vmalloc(k, P)).toBe(k.arch.VMALLOC_START(k));
  });
});

/** Where 32 pages lie when so many are taken: aligned to 32 in the maps of 2.6, behind the last one in 4.x. */
const nextAt = (kernel: string, taken: number, pages: number): number =>
  kernel.startsWith('4') ? taken : Math.ceil(taken / pages) * pages;
/** And then two: the first hole of 2.6. */
const nextTwo = (kernel: string): number => (kernel.startsWith('4') ? 37 : 6);

describe.each([
  ['2.6.28', false],
  ['2.6.34', true],
  ['4.12', true],
])('a block of which nothing is in use, %s', (kernel, goes) => {
  it('goes at a purge from 2.6.32 on', () => {
    const { k, map } = boot(kernel);
    vm_unmap_ram(k, map(3), 3);
    purge_vmap_area_lazy(k);
    const next = map(3);
    expect(next % BLOCK === 0).toBe(goes);
    vfree(k, vmalloc(k, P));
    expect(checkVmallocInvariants(k)).toBe(null);
  });
});

it('is not there before 2.6.28', () => {
  const { map } = boot('2.6.22');
  expect(() => map(1)).toThrow(/from 2\.6\.28 on/);
});
