/** The table of addresses of highmem pages, as it stands in memory: spec/highmem.md §2, §5.1, §5.2. */
import { describe, expect, it } from 'vitest';
import type { Kernel } from '../../src/cpu/kernel.js';
import { kmap, kunmap } from '../../src/mm/arm/highmem.js';
import { kmap_flush_unused, page_address, set_page_address } from '../../src/mm/highmem.js';
import type { Page } from '../../src/mm/page.js';
import { alloc_page, GFP_HIGHUSER, GFP_KERNEL } from '../../src/mm/page_alloc.js';
import { KernelBug } from '../../src/shared/errors.js';
import { NULL, type Vaddr } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';

const SLOT_BYTES = 32;
const MAP_BYTES = 16;
/** Offset of the list head in a map. */
const LINK = 8;

/** hash_ptr(page, 7) on 32 bits. */
const bucketOf = (page: number): number => Number(((BigInt(page) * 0x9e370001n) % 2n ** 32n) >> 25n);

const word = (k: Kernel, addr: number): number => k.load(addr as Vaddr) >>> 0;

/** Addresses of the entries between a list's head and itself. */
function entries(k: Kernel, head: number): number[] {
  const found: number[] = [];
  for (let at = word(k, head); at !== head; at = word(k, at)) found.push(at);
  return found;
}

/** Maps in a bucket, from the head: [index of the map, page, virtual]. */
const bucket = (k: Kernel, nr: number): number[][] =>
  entries(k, k.sym.page_address_htable + nr * SLOT_BYTES).map((link) => {
    const map = link - LINK;
    return [(map - k.sym.page_address_maps) / MAP_BYTES, word(k, map), word(k, map + 4)];
  });

/** Indices of the free maps, from the head. */
const pool = (k: Kernel): number[] =>
  entries(k, k.sym.page_address_pool).map((link) => (link - LINK - k.sym.page_address_maps) / MAP_BYTES);

const highmem = (k: Kernel): Page => alloc_page(k, GFP_HIGHUSER);

describe('the bucket of a page', () => {
  it('is the top seven bits of the product with the golden ratio prime', () => {
    expect(bucketOf(32)).toBe(99); // 32 * 9e370001 = 13_c6e00020, top bits 1100011
    expect(bucketOf(0xc0000000)).toBe(96); // 3 * 2^30, and an odd factor that ends in binary 01
  });

  it('holds the map of a mapped page, and no other bucket holds anything', () => {
    const { k } = localMachine('arm926', { pkmapSlots: 8 });
    const pages = Array.from({ length: 5 }, () => highmem(k));
    const addrs = pages.map((page) => kmap(k, page));
    pages.forEach((page, i) => {
      const mine = bucket(k, bucketOf(page)).filter(([, mapped]) => mapped === page);
      expect(mine).toEqual([[7 - i, page, addrs[i]]]);
    });
    const all = Array.from({ length: 128 }, (_, nr) => bucket(k, nr).length);
    expect(all.reduce((sum, n) => sum + n)).toBe(5);
  });

  it('takes a second page at its tail and finds both', () => {
    const { k } = localMachine('arm926', { pkmapSlots: 8, highmemPages: 200 });
    const pages = Array.from({ length: 200 }, () => highmem(k));
    const second = pages.findIndex((page, i) => pages.slice(0, i).some((p) => bucketOf(p) === bucketOf(page)));
    const b = pages[second] as Page;
    const a = pages.find((page) => bucketOf(page) === bucketOf(b)) as Page;
    set_page_address(k, b, 0xbfff1000 as Vaddr);
    set_page_address(k, a, 0xbfff2000 as Vaddr);
    expect(bucket(k, bucketOf(a))).toEqual([
      [7, b, 0xbfff1000],
      [6, a, 0xbfff2000],
    ]);
    expect([page_address(k, a), page_address(k, b)]).toEqual([0xbfff2000, 0xbfff1000]);
    set_page_address(k, b, NULL);
    expect([page_address(k, a), page_address(k, b)]).toEqual([0xbfff2000, NULL]);
  });
});

describe('the pool of maps', () => {
  it('hands the map with the highest index out first', () => {
    const { k } = localMachine('arm926');
    expect(pool(k)).toEqual([3, 2, 1, 0]);
    const page = highmem(k);
    kmap(k, page);
    expect(pool(k)).toEqual([2, 1, 0]);
    expect(bucket(k, bucketOf(page))[0]?.[0]).toBe(3);
  });

  it('takes freed maps back at its tail, in the order of their slots', () => {
    const { k } = localMachine('arm926');
    const pages = Array.from({ length: 3 }, () => highmem(k));
    for (const page of pages) kmap(k, page);
    for (const page of [...pages].reverse()) kunmap(k, page);
    expect(pool(k)).toEqual([0]);
    kmap_flush_unused(k);
    expect(pool(k)).toEqual([0, 3, 2, 1]);
    expect(pages.map((page) => page_address(k, page))).toEqual([NULL, NULL, NULL]);
  });

  it('is not touched by removing a page that has no address', () => {
    const { k } = localMachine('arm926');
    set_page_address(k, highmem(k), NULL);
    expect(pool(k)).toEqual([3, 2, 1, 0]);
  });

  it('is a bug to exhaust', () => {
    const { k } = localMachine('arm926');
    for (let i = 0; i < 4; i++) set_page_address(k, highmem(k), (0xbfffc000 + i * 4096) as Vaddr);
    const fifth = highmem(k);
    expect(() => set_page_address(k, fifth, 0xbfff0000 as Vaddr)).toThrow(KernelBug);
  });
});

describe('a lowmem page', () => {
  it('has its linear address and no map', () => {
    const { k } = localMachine('arm926');
    const page = alloc_page(k, GFP_KERNEL);
    expect(page_address(k, page)).toBe(0xc0000000 + ((page - k.sym.mem_map) / 32) * 4096);
    expect(pool(k)).toHaveLength(4);
    expect(() => set_page_address(k, page, 0xbfff0000 as Vaddr)).toThrow(KernelBug);
  });
});
