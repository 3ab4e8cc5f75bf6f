/** Why vmalloc() and vfree() flush the cache where addresses alias: spec/vmalloc-gfp.md §7. Each flush, and what is lost without it. */
import { describe, expect, it } from 'vitest';
import { CacheOp } from '../../../src/cpu/cpu-cache.js';
import type { Kernel } from '../../../src/cpu/kernel.js';
import { gfp } from '../../../src/mm/gfp.js';
import { vmalloc_to_page } from '../../../src/mm/memory.js';
import { lowmem_page_address } from '../../../src/mm/page.js';
import { __get_free_page, free_page } from '../../../src/mm/page_alloc.js';
import { __vmalloc, vfree } from '../../../src/mm/vmalloc.js';
import { NULL, type Vaddr } from '../../../src/shared/types.js';
import { localMachine } from '../../machine.js';

const OLD = 0x0bad0bad;
const NEW = 0x600d600d;

const boot = (kernel: string, patches: string[]): Kernel =>
  localMachine('arm926', { kernel, patches, highmemPages: 0 }).k;

/** A line that is there, and dirty. */
function store(k: Kernel, addr: Vaddr, word: number): void {
  k.load32(addr);
  k.store32(addr, word);
}

/** The word in memory when its owner has written it back, and, later, everything else is. */
function seenAtLast(k: Kernel, owner: Vaddr, linear: Vaddr): number {
  store(k, owner, NEW);
  k.mmu.cacheLine(CacheOp.flush, owner);
  k.mmu.drain();
  expect(k.memory.read32(k.__pa(linear)) >>> 0).toBe(NEW);
  k.arch.flush_cache_all(k);
  k.mmu.drain();
  return k.memory.read32(k.__pa(linear)) >>> 0;
}

/** A page goes from an area to somebody who uses its linear address. */
function afterUnmap(kernel: string, patches: string[]): number {
  const k = boot(kernel, patches);
  const area = __vmalloc(k, 4096, gfp(k).GFP_KERNEL);
  const linear = lowmem_page_address(k, vmalloc_to_page(k, area));
  store(k, area, OLD);
  vfree(k, area);
  for (let page: Vaddr = NULL; page !== linear; ) page = __get_free_page(k, gfp(k).GFP_ATOMIC);
  return seenAtLast(k, linear, linear);
}

/** The other way round. */
function afterMap(kernel: string, patches: string[]): number {
  const k = boot(kernel, patches);
  // Tables and slabs are there already, so that the page goes to the area.
  vfree(k, __vmalloc(k, 4096, gfp(k).GFP_KERNEL));
  const linear = __get_free_page(k, gfp(k).GFP_KERNEL);
  store(k, linear, OLD);
  free_page(k, linear);
  const area = __vmalloc(k, 4096, gfp(k).GFP_KERNEL);
  expect(lowmem_page_address(k, vmalloc_to_page(k, area))).toBe(linear);
  return seenAtLast(k, area, linear);
}

describe.each(['2.6.22', '4.12'])('on a VIVT cache %s', (kernel) => {
  it('keeps the bytes of the next owner of a page, because vfree() writes back what is dirty under the vmalloc address', () => {
    expect(afterUnmap(kernel, [])).toBe(NEW);
    expect(afterUnmap(kernel, ['mutant-vunmap-no-cache-flush'])).toBe(OLD);
  });

  it('keeps the bytes of an area, because vmalloc() writes back what is dirty under the linear address of its pages', () => {
    expect(afterMap(kernel, [])).toBe(NEW);
    expect(afterMap(kernel, ['mutant-no-vmap-flush'])).toBe(OLD);
  });
});
