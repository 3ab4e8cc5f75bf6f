import { describe, expect, it } from 'vitest';
import { PKMAP_ADDR } from '../../src/arch/arm/memory.js';
import { DMA_FROM_DEVICE, DMA_TO_DEVICE, dma_map_page } from '../../src/mm/arm/dma-mapping.js';
import { kmap, kunmap } from '../../src/mm/arm/highmem.js';
import { kmap_flush_unused, kmap_high_get, kunmap_high, page_address, pkmap_count } from '../../src/mm/highmem.js';
import { page_to_phys } from '../../src/mm/page.js';
import { alloc_page, GFP_HIGHUSER } from '../../src/mm/page_alloc.js';
import { NULL } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';

describe('kmap_high() on a fresh machine', () => {
  it('hands out slot 1 first and keeps the mapping after kunmap()', () => {
    const { k } = localMachine('arm926');
    const page = alloc_page(k, GFP_HIGHUSER);
    const addr = kmap(k, page);
    expect(addr).toBe(PKMAP_ADDR(k, 1));
    expect(pkmap_count(k, 1)).toBe(2);
    kunmap(k, page);
    expect(pkmap_count(k, 1)).toBe(1);
    expect(page_address(k, page)).toBe(addr);
  });

  it('reads back through the pkmap what a store left in the cache, and memory keeps the old bytes until a clean', () => {
    const { k } = localMachine('arm926');
    const page = alloc_page(k, GFP_HIGHUSER);
    const addr = kmap(k, page);
    const before = k.memory.read32(page_to_phys(k, page)) >>> 0;
    expect(k.load32(addr)).toBe(before);
    k.store32(addr, 0x12345678);
    expect(k.load32(addr)).toBe(0x12345678);
    expect(k.memory.read32(page_to_phys(k, page)) >>> 0).toBe(before);
    dma_map_page(k, page, 0, 4096, DMA_TO_DEVICE);
    expect(k.memory.read32(page_to_phys(k, page))).toBe(0x12345678);
    k.store32(addr, 1);
    dma_map_page(k, page, 0, 4096, DMA_FROM_DEVICE);
    expect(k.load32(addr)).toBe(0x12345678);
  });

  it('recycles a slot only at the wrap, and not while it is pinned', () => {
    const { k } = localMachine('arm926');
    const pages = Array.from({ length: 6 }, () => alloc_page(k, GFP_HIGHUSER));
    const a = kmap(k, pages[0]!);
    kunmap(k, pages[0]!);
    for (const page of pages.slice(1, 3)) {
      kmap(k, page);
      kunmap(k, page);
    }
    expect(kmap_high_get(k, pages[0]!)).toBe(a);
    kmap(k, pages[3]!);
    expect(page_address(k, pages[0]!)).toBe(a);
    expect(page_address(k, pages[1]!)).toBe(NULL);
    kunmap_high(k, pages[0]!);
    kmap_flush_unused(k);
    expect(page_address(k, pages[0]!)).toBe(NULL);
  });
});
