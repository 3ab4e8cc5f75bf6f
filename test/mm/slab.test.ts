/** SLAB of 2.6.22: layout of slabs, queues, debugging. spec/slab-dma.md §2.2, §2.5, §4.5. */
import { describe, expect, it } from 'vitest';
import type { MachineConfig } from '../../src/cpu/config.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { gfp } from '../../src/mm/gfp.js';
import {
  countCache,
  kfree,
  kmalloc,
  kmallocCache,
  kmem_cache_alloc,
  kmem_cache_create,
  kmem_cache_destroy,
  kmem_cache_free,
  kmem_cache_shrink,
  ksize,
  slabinfo,
} from '../../src/mm/kmalloc.js';
import { page_plus } from '../../src/mm/page.js';
import { GFP_KERNEL } from '../../src/mm/page_alloc.js';
import { SLAB_DESTROY_BY_RCU, SLAB_HWCACHE_ALIGN, slabSizes, tunables } from '../../src/mm/slab/sizes.js';
import { PageSlab, virt_to_head_page } from '../../src/mm/slab-common.js';
import { Prng } from '../../src/shared/prng.js';
import { struct_page } from '../../src/shared/structs/page.js';
import { type Vaddr, vaddr } from '../../src/shared/types.js';
import { dmesgOf, localMachine } from '../machine.js';

const machine = (options: Partial<MachineConfig> = {}, core = 'arm926'): Kernel =>
  localMachine(core, { kernel: '2.6.22', patches: [], preempt: false, lowmemPages: 1024, slab: 'slab', ...options }).k;
const take = (k: Kernel, size: number): Vaddr => kmalloc(k, size, GFP_KERNEL) as Vaddr;

const parameters = (debug: boolean, oabi: boolean, breakOrder = 1) => ({
  lineBytes: 32,
  longLongAlign: oabi ? 4 : 8,
  minAlign: oabi ? 0 : 8,
  slab_break_gfp_order: breakOrder,
  debug,
});

describe('the layout of slabs', () => {
  it.each([
    // size, old ABI, buffer, order, objects, first object: spec/slab-dma.md §2.2
    [64, true, 84, 0, null, null],
    [64, false, 88, 0, null, null],
    [1024, true, 1044, 1, 7, 56],
    [1024, false, 1048, 1, 7, 56],
    [2048, true, 2068, 1, 3, 40],
    [2048, false, 2072, 1, 3, 40],
  ])('with debugging, objects of %i bytes, old ABI %s', (size, oabi, buffer, order, num, s_mem) => {
    const found = slabSizes(parameters(true, oabi), size, SLAB_HWCACHE_ALIGN, oabi ? 4 : 8);
    expect([found?.buffer_size, found?.gfporder, found?.obj_offset]).toEqual([buffer, order, 8]);
    if (num !== null) expect([found?.num, found?.slab_size]).toEqual([num, s_mem]);
  });

  it('with debugging has no red zones around a page, which stays aligned', () => {
    const found = slabSizes(parameters(true, true), 4096, SLAB_HWCACHE_ALIGN, 4);
    expect([found?.buffer_size, found?.obj_offset]).toEqual([4096, 0]);
  });

  it('without debugging aligns objects to lines, smaller ones to the largest part of a line that holds them', () => {
    const sizeOf = (size: number) => slabSizes(parameters(false, true), size, SLAB_HWCACHE_ALIGN, 4)?.buffer_size;
    expect([8, 16, 20, 33, 64, 100].map(sizeOf)).toEqual([8, 16, 32, 64, 64, 128]);
  });

  it('gives arrays of the lengths that the size asks for', () => {
    const of = (size: number, cpus = 1) => tunables(parameters(false, true), size, cpus);
    expect([64, 512, 4096, 8192, 1 << 18].map((s) => of(s).limit)).toEqual([120, 54, 24, 8, 1]);
    expect(of(64, 2)).toEqual({ limit: 120, batchcount: 60, shared: 8 });
    expect(of(8192, 2).shared).toBe(0);
  });
});

describe('kmalloc() with SLAB', () => {
  it('hands out objects of a line each', () => {
    const k = machine();
    const objects = Array.from({ length: 300 }, () => take(k, 8));
    expect(new Set(objects).size).toBe(300);
    expect(objects.every((x) => x % 32 === 0)).toBe(true);
    expect(ksize(k, objects[0] as Vaddr)).toBe(32);
  });

  it('hands out last what was freed last', () => {
    const k = machine();
    const [a, b] = [take(k, 64), take(k, 64)];
    kfree(k, a);
    kfree(k, b);
    expect([take(k, 64), take(k, 64)]).toEqual([b, a]);
  });

  it('marks every page of a slab, and leaves their mapping NULL', () => {
    const k = machine({ lowmemPages: 9000 });
    const x = take(k, 8192);
    const page = virt_to_head_page(k, x);
    for (let i = 0; i < 2; i++) {
      expect(PageSlab(k, page_plus(page, i))).toBe(true);
      expect(k.read(page_plus(page, i), struct_page.mapping)).toBe(0);
    }
  });

  it('takes GFP_DMA from caches of their own, whatever the size', () => {
    const k = machine({ dmaPages: 512, oabi: true });
    const [a, b] = [
      kmalloc(k, 96, GFP_KERNEL | gfp(k).GFP_DMA) as Vaddr,
      kmalloc(k, 96, GFP_KERNEL | gfp(k).GFP_DMA) as Vaddr,
    ];
    expect(Math.abs(a - b)).toBe(96);
    expect(k.__pa(a)).toBeLessThan(k.config.core.physBase + 512 * 4096);
  });

  it.each([false, true])('keeps bytes and counters over many allocations in any order, debugging %s', (debugSlab) => {
    const k = machine({ debugSlab });
    const prng = new Prng(7);
    let wrong = 0;
    const live: { x: Vaddr; size: number; tag: number }[] = [];
    for (let i = 0; i < 800; i++) {
      if (live.length > 150 || (live.length > 0 && prng.below(2) === 0)) {
        const [one] = live.splice(prng.below(live.length), 1) as [{ x: Vaddr; size: number; tag: number }];
        for (let at = 0; at < one.size; at += 4) if (k.load32(vaddr(one.x + at)) >>> 0 !== one.tag + at) wrong++;
        kfree(k, one.x);
        continue;
      }
      const size = [8, 32, 60, 96, 192, 512, 2048][prng.below(7)] as number;
      const x = take(k, size);
      expect(x).not.toBe(0);
      for (let at = 0; at < size; at += 4) k.store32(vaddr(x + at), i * 4096 + at);
      live.push({ x, size, tag: i * 4096 });
    }
    for (const size of [32, 64, 96, 192, 512, 2048]) {
      const expected = live.filter((o) => kmallocCache(k, o.size) === kmallocCache(k, size)).length;
      // A struct slab that stands elsewhere is an object of one of these caches.
      expect(countCache(k, kmallocCache(k, size)).active).toBeGreaterThanOrEqual(expected);
    }
    for (const { x } of live) kfree(k, x);
    expect(wrong).toBe(0);
    expect(dmesgOf(k)).toEqual([]);
    expect(countCache(k, kmallocCache(k, 96)).active).toBe(0);
  });

  it('shows the caches as /proc/slabinfo does', () => {
    const k = machine();
    take(k, 64);
    const text = slabinfo(k);
    expect(text[0]).toBe('slabinfo - version: 2.1');
    const line = text.find((l) => l.startsWith('size-64 '));
    expect(line).toBe(
      'size-64               16     59     64   59    1 : tunables  120   60    0 : slabdata      1      1      0',
    );
  });
});

describe('a row of /proc/slabinfo of SLAB', () => {
  it('counts the objects of full and partial slabs, slabs without objects, and what the shared array has', () => {
    const k = machine({ cpus: 2 }, 'cortex-a9');
    const s = kmem_cache_create(k, 'own', 1000, 0, 0);
    const objects = Array.from({ length: 300 }, () => kmem_cache_alloc(k, s, GFP_KERNEL));
    const row = (): number[] => (slabinfo(k).find((l) => l.startsWith('own ')) ?? '').match(/\d+/g)?.map(Number) ?? [];
    const [active = 0, all = 0, size = 0, perSlab = 0, pages, limit, batch, shared, activeSlabs = 0, slabs = 0, spare] =
      row();
    // The array of the CPU has what it took in advance: that counts as active.
    expect(active).toBeGreaterThanOrEqual(300);
    expect(active).toBeLessThan(300 + (batch ?? 0));
    expect([all, slabs, spare]).toEqual([activeSlabs * perSlab, activeSlabs, 0]);
    expect([size, pages]).toEqual([k.read(s, k.structs.slab_kmem_cache.buffer_size), 1]);
    expect([limit, batch, shared]).toEqual(
      (['limit', 'batchcount', 'shared'] as const).map((field) => k.read(s, k.structs.slab_kmem_cache[field])),
    );
    for (const x of objects) kmem_cache_free(k, s, x);
    const after = row();
    expect(after[10]).toBeGreaterThan(0);
    expect(after[9]).toBeGreaterThan(after[8] ?? 0);
    expect(after[1]).toBe((after[9] ?? 0) * perSlab);
    expect(after[0]).toBeLessThan(active);
  });

  it('counts the pages of a slab, not its order', () => {
    const k = machine();
    const s = kmem_cache_create(k, 'big', 8192, 0, 0);
    kmem_cache_alloc(k, s, GFP_KERNEL);
    expect(slabinfo(k).find((l) => l.startsWith('big '))).toMatch(/^big +\d+ +\d+ +8192 +1 +2 : /);
  });
});

describe('a cache of its own', () => {
  it('is filled, emptied and gives slabs back beyond its limit', () => {
    const k = machine();
    const s = kmem_cache_create(k, 'own', 100, 0, 0);
    const objects = Array.from({ length: 2000 }, () => kmem_cache_alloc(k, s, GFP_KERNEL));
    const full = countCache(k, s);
    expect(full.active).toBe(2000);
    for (const x of objects) kmem_cache_free(k, s, x);
    const empty = countCache(k, s);
    expect(empty.active).toBe(0);
    expect(empty.slabs).toBeLessThan(full.slabs / 3);
  });

  it('has its constructor called for the objects of a new slab, or for each that is handed out where poison would spoil it', () => {
    for (const debugSlab of [false, true]) {
      const k = machine({ debugSlab });
      let built = 0;
      k.ctors = [
        (_k, object) => {
          built++;
          k.store32(object, 0xc0ffee);
        },
      ];
      const s = kmem_cache_create(k, 'built', 64, 0, 0, 1);
      const objects = Array.from({ length: 50 }, () => kmem_cache_alloc(k, s, GFP_KERNEL));
      const { slabs, objectsPerSlab } = countCache(k, s);
      expect(built).toBe(debugSlab ? 50 : slabs * objectsPerSlab);
      for (const x of objects) kmem_cache_free(k, s, x);
      const again = Array.from({ length: 50 }, () => k.load32(kmem_cache_alloc(k, s, GFP_KERNEL)));
      expect(new Set(again)).toEqual(new Set([0xc0ffee]));
      expect(dmesgOf(k)).toEqual([]);
    }
  });

  it('tells of a constructor that writes beyond its object', () => {
    const k = machine({ debugSlab: true });
    k.ctors = [(_k, object) => k.store32(vaddr(object + 64), 1)];
    // Without poison, which is what RCU asks for.
    const s = kmem_cache_create(k, 'built', 64, 0, SLAB_DESTROY_BY_RCU, 1);
    kmem_cache_alloc(k, s, GFP_KERNEL);
    expect(dmesgOf(k)[0]).toBe(
      "slab error in cache_init_objs(): cache `built': constructor overwrote the end of an object",
    );
  });

  it('gives back what arrays and free slabs hold when it is shrunk', () => {
    const k = machine();
    const s = kmem_cache_create(k, 'own', 600, 0, 0);
    const objects = Array.from({ length: 100 }, () => kmem_cache_alloc(k, s, GFP_KERNEL));
    const kept = objects.splice(0, 3);
    for (const x of objects) kmem_cache_free(k, s, x);
    expect(countCache(k, s).slabs).toBeGreaterThan(4);
    expect(kmem_cache_shrink(k, s)).toBe(1);
    expect(countCache(k, s)).toMatchObject({ slabs: 1, active: 3 });
    for (const x of kept) kmem_cache_free(k, s, x);
    expect(kmem_cache_shrink(k, s)).toBe(0);
    expect(countCache(k, s)).toMatchObject({ slabs: 0, active: 0 });
    expect(dmesgOf(k)).toEqual([]);
  });

  it('goes when it is empty, and stays with a message when it is not', () => {
    const k = machine();
    const s = kmem_cache_create(k, 'own', 100, 0, 0);
    const x = kmem_cache_alloc(k, s, GFP_KERNEL);
    kmem_cache_destroy(k, s);
    expect(dmesgOf(k)).toEqual(["slab error in kmem_cache_destroy(): cache `own': Can't free all objects"]);
    expect(kmem_cache_create(k, 'own', 100, 0, 0)).toBe(0);
    expect(dmesgOf(k).at(-1)).toBe('kmem_cache_create: duplicate cache own');
    kmem_cache_free(k, s, x);
    kmem_cache_destroy(k, s);
    for (let i = 0; i < 40; i++) {
      const again = kmem_cache_create(k, 'own', 100, 0, 0);
      expect(again).not.toBe(0);
      kmem_cache_destroy(k, again);
    }
  });
});

describe('kmem_cache_destroy() of SLAB in 4.12', () => {
  it('says what mm/slab_common.c says', () => {
    const k = machine({ kernel: '4.12' });
    const s = kmem_cache_create(k, 'own', 100, 0, 0);
    const x = kmem_cache_alloc(k, s, GFP_KERNEL);
    kmem_cache_destroy(k, s);
    expect(dmesgOf(k)[0]).toBe('kmem_cache_destroy own: Slab cache still has objects');
    const said = dmesgOf(k).length;
    kmem_cache_free(k, s, x);
    kmem_cache_destroy(k, s);
    expect(dmesgOf(k)).toHaveLength(said);
  });
});

describe('CONFIG_DEBUG_SLAB', () => {
  it('notices a store behind an object when it is freed', () => {
    const k = machine({ debugSlab: true });
    const x = take(k, 64);
    k.store8(vaddr(x + 64), 1);
    kfree(k, x);
    expect(dmesgOf(k)[0]).toBe(
      "slab error in verify_redzone_free(): cache `size-64': memory outside object was overwritten",
    );
    expect(dmesgOf(k)[1]).toMatch(/^c0[0-9a-f]{6}: redzone 1:0xd84156c5635688c0, redzone 2:0xd84156c5635688\w\w$/);
  });

  it('notices a store to a free object when it is handed out again', () => {
    const k = machine({ debugSlab: true });
    const x = take(k, 64);
    kfree(k, x);
    k.store8(vaddr(x + 17), 0x11);
    take(k, 64);
    const text = dmesgOf(k);
    expect(text[0]).toMatch(/^Slab corruption: start=c0[0-9a-f]{6}, len=64$/);
    expect(text.at(-1)).toBe('010: 6b 11 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b');
  });

  it('notices that an object is freed twice', () => {
    const k = machine({ debugSlab: true });
    const x = take(k, 64);
    kfree(k, x);
    kfree(k, x);
    expect(dmesgOf(k)[0]).toContain('double free detected');
  });

  it('notices what was written to free objects when their slab goes', () => {
    const k = machine({ debugSlab: true });
    const s = kmem_cache_create(k, 'own', 64, 0, 0);
    const x = kmem_cache_alloc(k, s, GFP_KERNEL);
    kmem_cache_free(k, s, x);
    k.store8(vaddr(x + 5), 1);
    k.store8(vaddr(x + 64), 1);
    kmem_cache_shrink(k, s);
    expect(dmesgOf(k)[0]).toMatch(/^Slab corruption: start=/);
    expect(dmesgOf(k).at(-1)).toBe(
      "slab error in slab_destroy_objs(): cache `own': end of a freed object was overwritten",
    );
  });

  it('takes what arrays gave out and got back, and is a BUG for what is in its slab already', () => {
    const k = machine({ debugSlab: true });
    const s = kmem_cache_create(k, 'own', 64, 0, SLAB_DESTROY_BY_RCU);
    const objects = Array.from({ length: 40 }, () => kmem_cache_alloc(k, s, GFP_KERNEL));
    for (const x of objects) kmem_cache_free(k, s, x);
    kmem_cache_shrink(k, s);
    expect([dmesgOf(k), countCache(k, s).slabs]).toEqual([[], 0]);
    const [x] = [0, 0].map(() => kmem_cache_alloc(k, s, GFP_KERNEL)) as [Vaddr];
    kmem_cache_free(k, s, x);
    kmem_cache_shrink(k, s);
    kmem_cache_free(k, s, x);
    expect(() => kmem_cache_shrink(k, s)).toThrow(/slab_put_obj/);
    expect(dmesgOf(k).at(-1)).toMatch(/^slab: double free detected in cache 'own', objp c0/);
  });

  it('is a BUG for an address inside an object', () => {
    const k = machine({ debugSlab: true });
    const x = take(k, 64);
    expect(() => kfree(k, vaddr(x + 8))).toThrow(/no object/);
  });
});
