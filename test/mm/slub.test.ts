/** SLUB: geometry, the life of a slab, and what its checks find. spec/slab-dma.md §2. */
import { describe, expect, it } from 'vitest';
import type { MachineConfig } from '../../src/cpu/config.js';
import { Control } from '../../src/cpu/hw.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { readLog } from '../../src/cpu/printk.js';
import { slabinfo as slabinfoOfKernel, validate_slab_cache } from '../../src/mm/kmalloc.js';
import { lowmem_page_address, type Page } from '../../src/mm/page.js';
import { GFP_KERNEL } from '../../src/mm/page_alloc.js';
import { type Cache, PageSlab, virt_to_head_page } from '../../src/mm/slab-common.js';
import { slabinfoRow } from '../../src/mm/slabinfo.js';
import { get_node, partialOf } from '../../src/mm/slub/cache.js';
import { alloc_debug_processing } from '../../src/mm/slub/debug.js';
import { kmem_cache_destroy, kmem_cache_shrink } from '../../src/mm/slub/shrink.js';
import { calculate_sizes, type SizeParameters, slub_debug_flags } from '../../src/mm/slub/sizes.js';
import { proc_slabinfo, slabinfo } from '../../src/mm/slub/slabinfo.js';
import {
  __flush_cpu_slab,
  __kmalloc,
  countCache,
  eachCache,
  kfree,
  kmalloc_index,
  kmallocCache,
  kmem_cache_alloc,
  kmem_cache_create,
  kmem_cache_free,
  ksize,
} from '../../src/mm/slub.js';
import { list_next } from '../../src/shared/list.js';
import { PG_slab, struct_page } from '../../src/shared/structs/page.js';
import { type Vaddr, vaddr } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';

const machine = (options: Partial<MachineConfig> = {}): Kernel =>
  localMachine('arm926', { kernel: '2.6.22', patches: [], oabi: true, preempt: false, lowmemPages: 512, ...options }).k;

const log = (k: Kernel): string[] => readLog(k.hw, k.layout.log, Control.logHead).map((r) => r.text);
const partial = (k: Kernel, size: number): number =>
  k.read(get_node(k, kmallocCache(k, size)), k.structs.kmem_cache_node.nr_partial);
const counts = (k: Kernel, size: number) => countCache(k, kmallocCache(k, size));

describe('the layout of objects in a slab', () => {
  const oabi: SizeParameters = {
    slub_min_order: 0,
    slub_max_order: 1,
    slub_min_objects: 4,
    L1_CACHE_BYTES: 32,
    minAlign: 4,
  };
  const eabi = { ...oabi, minAlign: 8 };
  const row = (p: SizeParameters, objsize: number, letters: string, align: number): string => {
    const flags = letters === '' ? 0 : slub_debug_flags(letters, 'kmalloc', objsize);
    const s = calculate_sizes(p, objsize, flags, align, false);
    return `${s?.size}/${s?.order}/${s?.objects}`;
  };

  it.each([
    [8, '8/0/512', '52/0/78', '56/0/73'],
    [16, '16/0/256', '60/0/68', '64/0/64'],
    [32, '32/0/128', '76/0/53', '80/0/51'],
    [64, '64/0/64', '108/0/37', '112/0/36'],
    [96, '96/0/42', '140/0/29', '144/0/28'],
    [128, '128/0/32', '172/0/23', '176/0/23'],
    [192, '192/0/21', '236/0/17', '240/0/17'],
    [256, '256/0/16', '300/0/13', '304/0/13'],
    [512, '512/0/8', '556/0/7', '560/0/7'],
    [1024, '1024/0/4', '1068/1/7', '1072/1/7'],
    [2048, '2048/1/4', '2092/1/3', '2096/1/3'],
    [4096, '4096/1/2', '4140/1/1', '4144/1/1'],
    [8192, '8192/1/1', '8236/2/1', '8240/2/1'],
  ])('has stride, order and number of objects of 2.6.22 for kmalloc-%i', (objsize, plain, debugOld, debugNew) => {
    expect([row(oabi, objsize, '', 4), row(oabi, objsize, 'ZPU', 4), row(eabi, objsize, 'ZPU', 8)]).toEqual([
      plain,
      debugOld,
      debugNew,
    ]);
  });

  it('follows the boot parameters for the order, and single debug flags', () => {
    expect(row({ ...oabi, slub_max_order: 2 }, 4096, 'ZPU', 4)).toBe('4140/2/3');
    expect(row({ ...oabi, slub_min_order: 1 }, 64, 'P', 4)).toBe('68/1/120');
    expect(row({ ...oabi, slub_min_order: 1 }, 64, 'ZU', 4)).toBe('104/1/78');
    expect([row(oabi, 1024, 'Z', 4), row(oabi, 2048, 'U', 4)]).toEqual(['1032/1/7', '2080/1/3']);
  });

  it('gives debug flags to all caches of kmalloc or to the odd ones, since the others get their names later', () => {
    const flagsOf = (slubDebug: string) => {
      const k = machine({ slubDebug });
      return [64, 96, 192, 2048].map((size) => k.read(kmallocCache(k, size), k.structs.kmem_cache.flags));
    };
    expect(flagsOf('Z,kmalloc')).toEqual([0x400, 0x400, 0x400, 0x400]);
    expect(flagsOf('Z,kmalloc-')).toEqual([0, 0x400, 0x400, 0]);
    expect(flagsOf('Z,kmalloc-64')).toEqual([0, 0, 0, 0]);
    expect(flagsOf(',kmalloc-96')).toEqual([0, 0x80010d00, 0, 0]);
  });

  it('gives debug flags to the caches that the parameter names', () => {
    expect(slub_debug_flags('Z,kmalloc-6', 'kmalloc-64', 64)).toBe(0x400);
    expect(slub_debug_flags('Z,kmalloc-6', 'kmalloc-128', 128)).toBe(0);
    expect(slub_debug_flags('-', 'kmalloc-64', 64)).toBe(0x100 | 0x400 | 0x800 | 0x10000);
  });
});

describe('kmalloc() of SLUB', () => {
  it('takes the class that fits, 96 and 192 among them', () => {
    expect([1, 8, 9, 64, 65, 96, 97, 128, 129, 192, 193, 4096].map(kmalloc_index)).toEqual([
      3, 3, 4, 6, 1, 1, 7, 7, 2, 2, 8, 12,
    ]);
    expect([kmalloc_index(0), kmalloc_index(1 << 22), kmalloc_index((1 << 22) + 1)]).toEqual([0, 22, -1]);
    const k = machine();
    expect(__kmalloc(k, 0, GFP_KERNEL)).toBe(16);
    expect(ksize(k, __kmalloc(k, 100, GFP_KERNEL))).toBe(128);
  });

  it('puts the address of its cache into the word that is also page->mapping, in the head page only', () => {
    const k = machine();
    const page = virt_to_head_page(k, __kmalloc(k, 2048, GFP_KERNEL));
    expect(k.read(page, struct_page.mapping)).toBe(kmallocCache(k, 2048));
    expect(PageSlab(k, page)).toBe(true);
    const tail = (page + 32) as typeof page;
    expect([k.read(tail, struct_page.mapping), PageSlab(k, tail)]).toEqual([0, false]);
    const last = [1, 2, 3].map(() => __kmalloc(k, 2048, GFP_KERNEL)).at(-1) as Vaddr;
    expect([last - lowmem_page_address(k, page), virt_to_head_page(k, last)]).toEqual([6144, page]);
  });

  it('hands out objects one behind the other and the one freed last first', () => {
    const k = machine();
    const [a, b, c] = [0, 0, 0].map(() => __kmalloc(k, 64, GFP_KERNEL)) as [Vaddr, Vaddr, Vaddr];
    expect([b - a, c - b]).toEqual([64, 64]);
    kfree(k, b);
    kfree(k, a);
    expect(k.load32(a)).toBe(b);
    expect([__kmalloc(k, 64, GFP_KERNEL), __kmalloc(k, 64, GFP_KERNEL)]).toEqual([a, b]);
  });

  it('counts a slab as partial when the first of its objects is freed', () => {
    const k = machine();
    const objects = Array.from({ length: 4 * 64 }, () => __kmalloc(k, 64, GFP_KERNEL));
    expect(partial(k, 64)).toBe(0);
    kfree(k, objects[0] as Vaddr);
    kfree(k, objects[1] as Vaddr);
    kfree(k, objects[64] as Vaddr);
    expect(partial(k, 64)).toBe(2);
    expect(counts(k, 64)).toMatchObject({ slabs: 4, partial: 2, cpuSlabs: 1, active: 4 * 64 - 3 });
  });

  it('gives a slab back to the page allocator when its last object is freed', () => {
    const k = machine();
    const objects = Array.from({ length: 2 * 64 }, () => __kmalloc(k, 64, GFP_KERNEL));
    const page = virt_to_head_page(k, objects[0] as Vaddr);
    for (const object of objects.slice(0, 64)) kfree(k, object);
    expect(counts(k, 64)).toMatchObject({ slabs: 1, partial: 0, active: 64 });
    expect([k.read(page, struct_page.mapping), PageSlab(k, page)]).toEqual([0, false]);
  });

  it('makes caches for GFP_DMA whose objects are too small for the classes 96 and 192', () => {
    for (const [oabi, apart] of [
      [true, 4],
      [false, 8],
    ] as const) {
      const k = machine({ oabi });
      const a = __kmalloc(k, 96, GFP_KERNEL | 1);
      expect(__kmalloc(k, 96, GFP_KERNEL | 1) - a).toBe(apart);
      expect(__kmalloc(k, 128, GFP_KERNEL | 1)).not.toBe(0);
    }
  });

  it('keeps its counters exact over many allocations in any order', () => {
    for (const slubDebug of ['', 'FZPU', 'P']) {
      const k = machine({ slubDebug });
      const live: Vaddr[] = [];
      let seed = 7;
      for (let i = 0; i < 2000; i++) {
        seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
        if ((seed >>> 16) % 3 !== 0 || live.length === 0) live.push(__kmalloc(k, 128, GFP_KERNEL));
        else kfree(k, live.splice((seed >>> 8) % live.length, 1)[0] as Vaddr);
      }
      expect(new Set(live).size).toBe(live.length);
      if (slubDebug !== 'P') expect(counts(k, 128).active).toBe(live.length);
      for (const x of live) kfree(k, x);
      expect(counts(k, 128).active).toBe(0);
      expect(log(k)).toEqual([]);
    }
  });
});

describe('the checks of SLUB', () => {
  const debugged = (): { k: Kernel; a: Vaddr } => {
    const k = machine({ slubDebug: 'FZPU,kmalloc' });
    return { k, a: __kmalloc(k, 64, GFP_KERNEL) };
  };

  it('find a write behind the object when it is freed', () => {
    const { k, a } = debugged();
    k.store8(vaddr(a + 64), 1);
    kfree(k, a);
    expect(log(k)[0]).toMatch(/^\*\*\* SLUB kmalloc-64: Redzone Active@0x/);
    expect(log(k).some((l) => l.includes('Restoring redzone (0xcc)'))).toBe(true);
    expect(log(k).some((l) => /^Last alloc: \? jiffies_ago=0 cpu=0 pid=\d+$/.test(l))).toBe(true);
  });

  it('find a write to a free object when it is handed out again', () => {
    const { k, a } = debugged();
    kfree(k, a);
    expect([k.load8(a), k.load8(vaddr(a + 63)), k.load8(vaddr(a + 64))]).toEqual([0x6b, 0xa5, 0xbb]);
    k.store8(vaddr(a + 5), 0);
    expect(__kmalloc(k, 64, GFP_KERNEL)).not.toBe(a);
    expect(log(k)[0]).toMatch(/^\*\*\* SLUB kmalloc-64: Poison check failed@0x/);
  });

  it('find an object that is freed twice, and leave the chain as it is', () => {
    const { k, a } = debugged();
    kfree(k, a);
    kfree(k, a);
    expect(log(k)[0]).toMatch(/^SLUB: kmalloc-64 slab 0x\w+ object 0x\w+ already free\.$/);
  });

  const LATER = { kernel: '2.6.30', slubDebug: 'FZPU,kmalloc' } as const;
  const hex = (n: number): string => `0x${n.toString(16)}`;
  const RULES = ['='.repeat(77), '-'.repeat(77)];

  it('tell from 2.6.23 on which bytes are wrong, whose they are, and mend only them', () => {
    const k = machine(LATER);
    const a = __kmalloc(k, 64, GFP_KERNEL);
    k.store8(vaddr(a + 65), 0x12);
    kfree(k, a);
    const [rule, bug, line, first, ...rest] = log(k);
    expect([rule, line]).toEqual(RULES);
    expect(bug).toBe('BUG kmalloc-64: Redzone overwritten');
    expect(first).toBe(`INFO: ${hex(a + 65)}-${hex(a + 65)}. First byte 0x12 instead of 0xcc`);
    expect(rest[0]).toMatch(/^INFO: Allocated in \? age=0 cpu=0 pid=\d+$/);
    expect(rest[1]).toMatch(/^INFO: Slab 0x\w{8} objects=\d+ used=1 fp=0x\w{8} flags=0x\w{4,}$/);
    expect(rest[2]).toMatch(new RegExp(`^INFO: Object ${hex(a)} @offset=\\d+ fp=0x`));
    expect(rest).toContain(` Redzone ${hex(a + 64)}:  cc 12 cc cc${' '.repeat(36)} Ì.ÌÌ${' '.repeat(12)}`);
    expect(rest.at(-1)).toBe(`FIX kmalloc-64: Restoring ${hex(a + 65)}-${hex(a + 65)}=0xcc`);
    expect(k.load8(vaddr(a + 65))).toBe(0xcc);
  });

  it('tell from 2.6.23 on of poison, and which of it was overwritten', () => {
    const k = machine(LATER);
    const a = __kmalloc(k, 64, GFP_KERNEL);
    kfree(k, a);
    k.store8(vaddr(a + 5), 0);
    k.store8(vaddr(a + 63), 1);
    expect(__kmalloc(k, 64, GFP_KERNEL)).not.toBe(a);
    const bugs = log(k).filter((l) => /^(BUG|FIX|INFO: 0x)/.test(l));
    expect(bugs).toEqual([
      'BUG kmalloc-64: Poison overwritten',
      `INFO: ${hex(a + 5)}-${hex(a + 5)}. First byte 0x0 instead of 0x6b`,
      `FIX kmalloc-64: Restoring ${hex(a + 5)}-${hex(a + 5)}=0x6b`,
      'FIX kmalloc-64: Marking all objects used',
    ]);
    expect(log(k)).toContainEqual(expect.stringMatching(/^INFO: Freed in \? age=0 cpu=0 pid=\d+$/));
  });

  it('tell from 2.6.23 on of an object that is freed twice, and of one that is none', () => {
    const k = machine(LATER);
    const a = __kmalloc(k, 64, GFP_KERNEL);
    kfree(k, vaddr(a + 8));
    kfree(k, a);
    kfree(k, a);
    expect(log(k).filter((l) => /^(BUG|FIX)/.test(l))).toEqual([
      `BUG kmalloc-64: Invalid object pointer ${hex(a + 8)}`,
      `FIX kmalloc-64: Object at ${hex(a + 8)} not freed`,
      'BUG kmalloc-64: Object already free',
      `FIX kmalloc-64: Object at ${hex(a)} not freed`,
    ]);
  });

  it('give rows of bytes as the dump of all the kernel does from 3.2 on, and say that nothing is tainted', () => {
    const k = machine({ ...LATER, kernel: '4.12' });
    const a = __kmalloc(k, 64, GFP_KERNEL);
    k.store32(a, 0x5a5a4141);
    k.store8(vaddr(a + 64), 1);
    kfree(k, a);
    expect(log(k)[1]).toBe('BUG kmalloc-64 (Not tainted): Redzone overwritten');
    expect(log(k)).toContain(
      `Redzone ${a.toString(16).slice(0, -2)}${((a + 64) & 255).toString(16).padStart(2, '0')}: 01 cc cc cc${' '.repeat(36)}  ....`,
    );
    expect(log(k).find((l) => l.startsWith('Object '))).toMatch(/: 41 41 5a 5a 6b .* {2}AAZZkkkkkkkkkkkk$/);
  });

  it.each([
    ['2.6.31', 'loses every object of the slab', 0x5a],
    ['2.6.32', 'leaves the objects alone', 0x6b],
  ])('of %s mend the end of a slab in a way that %s', (kernel, _, first) => {
    const k = machine({ ...LATER, kernel });
    const a = __kmalloc(k, 64, GFP_KERNEL);
    const slab = (a & -4096) >>> 0;
    const { objectsPerSlab } = countCache(k, kmallocCache(k, 64));
    const end = slab + objectsPerSlab * k.read(kmallocCache(k, 64), k.structs.kmem_cache.size);
    k.store8(vaddr(end), 0);
    kfree(k, a);
    expect(log(k)[1]).toBe(`BUG kmalloc-64: Padding overwritten. ${hex(end)}-${hex(end)}`);
    expect([k.load8(vaddr(slab)), k.load8(vaddr(end))]).toEqual([first, 0x5a]);
  });

  it.each(['2.6.22', '2.6.30', '4.12'])(
    'of %s have nothing to say of an object that is used to its last byte',
    (kernel) => {
      const k = machine({ ...LATER, kernel });
      const a = __kmalloc(k, 64, GFP_KERNEL);
      for (let i = 0; i < 64; i++) k.store8(vaddr(a + i), i);
      kfree(k, a);
      kfree(k, __kmalloc(k, 64, GFP_KERNEL));
      expect(log(k)).toEqual([]);
    },
  );

  it('do not find it without debugging: the object is handed out twice', () => {
    const k = machine();
    const a = __kmalloc(k, 64, GFP_KERNEL);
    kfree(k, a);
    kfree(k, a);
    expect([__kmalloc(k, 64, GFP_KERNEL), __kmalloc(k, 64, GFP_KERNEL)]).toEqual([a, a]);
  });

  it('remember who allocated and freed an object', () => {
    const { k, a } = debugged();
    const track = a + 68 + 4;
    expect(k.load32(vaddr(track))).not.toBe(0);
    expect(k.load32(vaddr(track + 16))).toBe(0);
    kfree(k, a);
    expect(k.load32(vaddr(track + 16))).not.toBe(0);
  });
});

/** Two objects of one slab, and where SLUB has what. */
interface Slab {
  readonly k: Kernel;
  readonly s: Cache;
  readonly other: Cache;
  readonly page: Page;
  readonly a: Vaddr;
  readonly b: Vaddr;
}

/** What is spoilt, what then meets it, what 2.6.30 says of it, and how 2.6.22 begins. */
const SPOILT: readonly (readonly [
  what: string,
  letters: string,
  spoil: (slab: Slab) => void,
  meet: (slab: Slab) => void,
  later: readonly string[],
  old: RegExp,
])[] = [
  [
    'the padding behind an object',
    'FZPU',
    ({ k, s, a }) => k.store8(vaddr(a + cacheWord(k, s, 'size') - 1), 0),
    ({ k, s, a }) => kmem_cache_free(k, s, a),
    ['BUG own: Object padding overwritten', 'FIX own: Restoring'],
    /^\*\*\* SLUB own: Object padding check fails@/,
  ],
  [
    'the padding that aligns an object',
    'FP',
    ({ k, a }) => k.store8(vaddr(a + 63), 0),
    ({ k, s, a }) => kmem_cache_free(k, s, a),
    ['BUG own: Alignment padding overwritten', 'FIX own: Restoring'],
    /^\*\*\* SLUB own: Alignment padding check fails@/,
  ],
  [
    'the free pointer of an object in use',
    'FZPU',
    ({ k, s, a }) => k.store32(vaddr(a + cacheWord(k, s, 'offset')), a + 8),
    ({ k, s, a }) => kmem_cache_free(k, s, a),
    ['BUG own: Freepointer corrupt'],
    /^\*\*\* SLUB own: Freepointer corrupt@/,
  ],
  [
    'the head of the free chain',
    'FZPU',
    ({ k, page, a }) => k.write(page, struct_page.freelist, a + 8),
    ({ k, s, a }) => kmem_cache_free(k, s, a),
    ['BUG own: Freepointer corrupt', 'FIX own: Freelist cleared'],
    /^SLUB: own slab 0x\w+ freepointer 0x\w+ corrupted\.$/,
  ],
  [
    'a free pointer on the chain',
    'FZPU',
    ({ k, s, page }) => {
      const first = k.read(page, struct_page.freelist);
      k.store32(vaddr(first + cacheWord(k, s, 'offset')), first + 8);
    },
    ({ k, s, a }) => kmem_cache_free(k, s, a),
    ['BUG own: Freechain corrupt', 'BUG own: Wrong object count. Counter is 2', 'FIX own: Object count adjusted.'],
    /^\*\*\* SLUB own: Freechain corrupt@/,
  ],
  [
    'the count of objects in use',
    'FZPU',
    ({ k, page }) => k.write(page, struct_page.inuse, 3),
    ({ k, s, a }) => kmem_cache_free(k, s, a),
    ['BUG own: Wrong object count. Counter is 3 but counted were 2', 'FIX own: Object count adjusted.'],
    /^slab own: page 0x\w+ wrong object count\. counter is 3 but counted were 2$/,
  ],
  [
    'a count that no slab can have',
    'FZPU',
    ({ k, page }) => k.write(page, struct_page.inuse, 200),
    ({ k, s, a }) => kmem_cache_free(k, s, a),
    ['BUG own: inuse 200 > max', 'FIX own: Object at 0x'],
    /^SLUB: own Inuse 200 > max \d+ in slab page @/,
  ],
  [
    'the flag of a slab',
    'FZPU',
    ({ k, page }) => k.write(page, struct_page.flags, k.read(page, struct_page.flags) & ~(1 << PG_slab)),
    ({ k, s, a }) => kmem_cache_free(k, s, a),
    ['BUG own: Not a valid slab page', 'FIX own: Object at 0x'],
    /^SLUB: own Not a valid slab page @/,
  ],
  [
    'the first free object, for one that is none',
    'FZPU',
    ({ k, page, a }) => k.write(page, struct_page.freelist, a + 8),
    ({ k, s }) => kmem_cache_alloc(k, s, GFP_KERNEL),
    ['BUG own: Freelist Pointer check fails', 'FIX own: Marking all objects used'],
    /^\*\*\* SLUB own: Freelist Pointer check fails@/,
  ],
  [
    'whose slab it is',
    'FZPU',
    ({ k, page, other }) => k.write(page, struct_page.slab, other),
    ({ k, s, a }) => kmem_cache_free(k, s, a),
    ['BUG own: page slab pointer corrupt.', 'FIX own: Object at 0x'],
    /^slab_free own\(\d+\): object at 0x\w+ belongs to slab other$/,
  ],
  [
    'that it is a slab of somebody',
    'FZPU',
    ({ k, page }) => k.write(page, struct_page.slab, 0),
    ({ k, s, a }) => kmem_cache_free(k, s, a),
    ['SLUB <none>: no slab for object 0x', 'FIX own: Object at 0x'],
    /^slab_free : no slab\(NULL\) for object 0x\w+\.$/,
  ],
];

describe.each(SPOILT)('the checks of SLUB, where somebody has spoilt %s', (_, letters, spoil, meet, later, old) => {
  const slab = (kernel: string): Slab => {
    const k = machine({ kernel, slubDebug: letters });
    const s = kmem_cache_create(k, 'own', 62, 0, 0);
    const other = kmem_cache_create(k, 'other', 62, 0, 0);
    const [a, b] = [kmem_cache_alloc(k, s, GFP_KERNEL), kmem_cache_alloc(k, s, GFP_KERNEL)];
    return { k, s, other, page: virt_to_head_page(k, a), a, b };
  };
  const said = (kernel: string, spoils: boolean): string[] => {
    const it = slab(kernel);
    if (spoils) spoil(it);
    meet(it);
    kmem_cache_free(it.k, it.s, it.b);
    return log(it.k);
  };

  it('say so in the words of the version, and nothing where nobody has', () => {
    const lines = said('2.6.30', true).filter((line) => /^(BUG|FIX|SLUB)/.test(line));
    expect(lines.slice(0, later.length)).toEqual(later.map((text) => expect.stringContaining(text)));
    expect(said('2.6.22', true)[0]).toMatch(old);
    expect([...said('2.6.30', false), ...said('2.6.22', false)]).toEqual([]);
  });
});

describe('the file validate of SLUB', () => {
  const RED = /^(BUG own: Redzone overwritten|\*\*\* SLUB own: Redzone (Active|Inactive)@)/;
  /** A full slab and a partial one, and what is free. */
  const prepared = (kernel: string, letters: string) => {
    const k = machine({ kernel, slubDebug: letters });
    const s = kmem_cache_create(k, 'own', 64, 0, 0);
    const { objectsPerSlab } = countCache(k, s);
    const objects = Array.from({ length: objectsPerSlab + 2 }, () => kmem_cache_alloc(k, s, GFP_KERNEL));
    const last = objects.at(-1) as Vaddr;
    kmem_cache_free(k, s, last);
    return { k, s, inUse: objects[0] as Vaddr, free: last };
  };

  it.each(['2.6.22', '2.6.30'])(
    'has all objects of %s looked at, in use and free, and ends at the first of a slab',
    (kernel) => {
      const { k, s, inUse, free } = prepared(kernel, 'FZPU');
      expect(validate_slab_cache(k, s)).toBe(2);
      expect(log(k)).toEqual([]);
      for (const object of [inUse, inUse + k.read(s, k.structs.kmem_cache.size), free])
        k.store8(vaddr(object + 64), 0x11);
      expect(validate_slab_cache(k, s)).toBe(2);
      // What is found is mended: the next look comes to the next one of that slab, and then there is none.
      for (const found of [2, 3, 3]) {
        expect(log(k).filter((line) => RED.test(line))).toHaveLength(found);
        validate_slab_cache(k, s);
      }
    },
  );

  it('finds no full slab that nobody keeps on a list, and counts', () => {
    const { k, s, inUse } = prepared('2.6.30', 'FZP');
    k.store8(vaddr(inUse + 64), 0x11);
    expect(validate_slab_cache(k, s)).toBe(1);
    expect(log(k)).toEqual([]);
    k.write(get_node(k, s), k.structs.kmem_cache_node.nr_partial, 3);
    validate_slab_cache(k, s);
    expect(log(k)).toEqual(['SLUB own: 1 partial slabs counted but counter=3']);
  });

  it('is not there with SLAB', () => {
    const { k } = localMachine('arm926', { slab: 'slab' });
    expect(() => validate_slab_cache(k, 0 as never)).toThrow(/SLUB's.*leave that out/);
  });
});

describe('an object that is in use', () => {
  it.each(['2.6.22', '2.6.30'])('is not given out again by %s, and what is free is', (kernel) => {
    const k = machine({ kernel, slubDebug: 'FZPU,kmalloc' });
    const [a, free] = [__kmalloc(k, 64, GFP_KERNEL), __kmalloc(k, 64, GFP_KERNEL)];
    kfree(k, free);
    const s = kmallocCache(k, 64);
    const page = virt_to_head_page(k, a);
    expect(alloc_debug_processing(k, s, page, free)).toBe(true);
    expect(log(k)).toEqual([]);
    expect(alloc_debug_processing(k, s, page, a)).toBe(false);
    const already = log(k).filter((line) => /already allocated|Marking all/.test(line));
    expect(already).toEqual(
      kernel === '2.6.30'
        ? ['BUG kmalloc-64: Object already allocated', 'FIX kmalloc-64: Marking all objects used']
        : [
            expect.stringMatching(/^SLUB: kmalloc-64 Object 0x\w+@0x\w+ already allocated\.$/),
            expect.stringContaining('Marking all objects used.'),
          ],
    );
  });
});

const cacheWord = (k: Kernel, s: Cache, field: 'refcount' | 'objsize' | 'size' | 'offset'): number =>
  k.read(s, k.structs.kmem_cache[field]);

describe('a cache of its own', () => {
  it('aligns objects to lines if it is asked to and they are larger than half of one', () => {
    const k = machine({ slubNomerge: true });
    const s = kmem_cache_create(k, 'twenty', 20, 0, 0x2000);
    expect(cacheWord(k, s, 'size')).toBe(32);
    expect(cacheWord(k, kmem_cache_create(k, 'ten', 10, 0, 0x2000), 'size')).toBe(12);
  });

  it('is an old one where that wastes less than a word, with the same alignment', () => {
    const k = machine();
    expect(kmem_cache_create(k, 'sixty-two', 62, 0, 0)).toBe(kmallocCache(k, 64));
    expect(kmem_cache_create(k, 'twenty', 20, 0, 0x2000)).toBe(kmallocCache(k, 32));
    const sixty = kmem_cache_create(k, 'sixty', 60, 0, 0);
    expect(sixty).not.toBe(kmallocCache(k, 64));
    expect(kmem_cache_create(k, 'fifty-seven', 57, 0, 0)).toBe(sixty);
    expect([cacheWord(k, sixty, 'refcount'), cacheWord(k, kmallocCache(k, 64), 'refcount')]).toEqual([2, 2]);
    // 96 bytes do not lie on boundaries of 64.
    expect(kmem_cache_create(k, 'aligned', 96, 64, 0)).not.toBe(kmallocCache(k, 96));
  });

  it('takes the size of the largest user, so that clearing clears all', () => {
    const k = machine();
    const s = kmem_cache_create(k, 'fifty-eight', 58, 0, 0);
    expect(cacheWord(k, s, 'objsize')).toBe(58);
    expect(kmem_cache_create(k, 'sixty', 60, 0, 0)).toBe(s);
    expect(cacheWord(k, s, 'objsize')).toBe(60);
  });

  it.each([
    ['slub_nomerge', { slubNomerge: true }, 0, 0],
    ['debug flags', { slubDebug: 'Z' }, 0, 0],
    ['another zone', {}, 0x4000, 0],
    ['a constructor', {}, 0, 1],
    ['RCU', {}, 0x80000, 0],
  ] as const)('stays its own with %s', (_, options, flags, ctor) => {
    const k = machine(options);
    expect(kmem_cache_create(k, 'own', 64, 0, flags, ctor)).not.toBe(kmallocCache(k, 64));
  });

  it('is what GFP_DMA gets, and never one of kmalloc', () => {
    const k = machine();
    const page = virt_to_head_page(k, __kmalloc(k, 64, GFP_KERNEL | 1));
    expect(k.read(page, struct_page.slab)).not.toBe(kmallocCache(k, 64));
  });

  it('has its constructor called once for each object of a slab, and its objects keep what it stored', () => {
    for (const slubDebug of ['', 'FZPU']) {
      const k = machine({ slubDebug });
      let built = 0;
      k.ctors = [
        (_k, object) => {
          built++;
          k.store32(object, 0xc0ffee);
        },
      ];
      const s = kmem_cache_create(k, 'built', 64, 0, 0, 1);
      expect(cacheWord(k, s, 'offset')).toBe(slubDebug === '' ? 64 : 68);
      const objects = Array.from({ length: 50 }, () => kmem_cache_alloc(k, s, GFP_KERNEL));
      const { slabs, objectsPerSlab } = countCache(k, s);
      expect(built).toBe(slabs * objectsPerSlab);
      for (const x of objects) kmem_cache_free(k, s, x);
      const again = Array.from({ length: 50 }, () => k.load32(kmem_cache_alloc(k, s, GFP_KERNEL)));
      expect(new Set(again)).toEqual(new Set([0xc0ffee]));
      expect(log(k)).toEqual([]);
    }
  });

  it('is given up by its last user, with its slabs', () => {
    const k = machine();
    const s = kmem_cache_create(k, 'sixty', 60, 0, 0);
    kmem_cache_create(k, 'fifty-eight', 58, 0, 0);
    kmem_cache_free(k, s, kmem_cache_alloc(k, s, GFP_KERNEL));
    kmem_cache_destroy(k, s);
    expect([eachCache(k).includes(s), countCache(k, s).slabs]).toEqual([true, 1]);
    kmem_cache_destroy(k, s);
    expect([eachCache(k).includes(s), countCache(k, s).slabs]).toEqual([false, 0]);
    expect(log(k)).toEqual([]);
  });

  it('is given up with objects in it, and a warning', () => {
    const k = machine();
    const s = kmem_cache_create(k, 'sixty', 60, 0, 0);
    kmem_cache_alloc(k, s, GFP_KERNEL);
    kmem_cache_destroy(k, s);
    expect(log(k)[0]).toMatch(/^WARNING: at mm\/slub\.c kmem_cache_destroy/);
  });

  it.each([
    [
      '2.6.30',
      '',
      /^BUG sixty: Objects remaining on kmem_cache_close\(\)$/,
      /^SLUB sixty: kmem_cache_destroy called for cache that still has objects\.$/,
    ],
    [
      '2.6.30',
      'U',
      /^BUG sixty: Objects remaining on kmem_cache_close\(\)$/,
      /^SLUB sixty: kmem_cache_destroy called for cache that still has objects\.$/,
    ],
    [
      '4.12',
      '',
      /^BUG sixty \(Not tainted\): Objects remaining in sixty on __kmem_cache_shutdown\(\)$/,
      /^kmem_cache_destroy sixty: Slab cache still has objects$/,
    ],
  ])('of %s, slub_debug=%s, is given up with a list of its objects', (kernel, letters, first, last) => {
    const k = machine({ kernel, slubDebug: letters });
    const s = kmem_cache_create(k, 'sixty', 60, 0, 0);
    const [, second, third] = Array.from({ length: 3 }, () => kmem_cache_alloc(k, s, GFP_KERNEL)) as [
      Vaddr,
      Vaddr,
      Vaddr,
    ];
    const page = virt_to_head_page(k, third);
    kmem_cache_free(k, s, second);
    kmem_cache_destroy(k, s);
    const lines = log(k);
    expect(lines.slice(0, 3)).toEqual(['='.repeat(77), expect.stringMatching(first), '-'.repeat(77)]);
    expect(lines[3]).toMatch(/^INFO: Slab 0x[0-9a-f]{8} objects=\d+ used=2 fp=0x[0-9a-f]{8} flags=0x[0-9a-f]+$/);
    const start = lowmem_page_address(k, page);
    const objects = lines.filter((line) => line.startsWith('INFO: Object'));
    expect(objects).toHaveLength(2);
    expect(objects.at(1)).toBe(`INFO: Object 0x${third.toString(16)} @offset=${third - start}`);
    const tracks = lines.filter((line) => line.startsWith('INFO: Allocated in ? age='));
    expect(tracks).toHaveLength(letters === '' ? 0 : 2);
    expect(lines.filter((line) => last.test(line))).toHaveLength(1);
  });

  it.each(['2.6.30', '4.12'])('of %s, that is full, is given up without a list, for nobody has its slab', (kernel) => {
    const k = machine({ kernel });
    const s = kmem_cache_create(k, 'sixty', 60, 0, 0);
    const { objectsPerSlab } = countCache(k, s);
    for (let i = 0; i < objectsPerSlab; i++) kmem_cache_alloc(k, s, GFP_KERNEL);
    kmem_cache_destroy(k, s);
    expect(log(k)[0]).toMatch(/still has objects/);
  });

  it.each(['2.6.30', '4.12'])('of %s, whose objects were all given back, goes without a word', (kernel) => {
    const k = machine({ kernel });
    const s = kmem_cache_create(k, 'sixty', 60, 0, 0);
    const objects = Array.from({ length: 3 }, () => kmem_cache_alloc(k, s, GFP_KERNEL));
    for (const x of objects) kmem_cache_free(k, s, x);
    kmem_cache_destroy(k, s);
    expect(log(k)).toEqual([]);
  });

  it('can be made and given up for ever', () => {
    const k = machine({ slubNomerge: true });
    for (let i = 0; i < 100; i++) {
      const s = kmem_cache_create(k, `cache${i}`, 8 + i, 0, 0);
      expect(s).not.toBe(0);
      kmem_cache_free(k, s, kmem_cache_alloc(k, s, GFP_KERNEL));
      kmem_cache_destroy(k, s);
    }
  });
});

describe('kmem_cache_shrink() of SLUB', () => {
  /** @used: objects in each of so many slabs, the last of which is the CPU's. Return: what is allocated, by slab. */
  function slabsOf(k: Kernel, s: Cache, used: readonly number[]): Vaddr[][] {
    const { objectsPerSlab } = countCache(k, s);
    const all = used.map(() => Array.from({ length: objectsPerSlab }, () => kmem_cache_alloc(k, s, GFP_KERNEL)));
    all.forEach((objects, i) => {
      for (const x of objects.splice(used[i] as number)) kmem_cache_free(k, s, x);
    });
    return all;
  }
  const inuse = (k: Kernel, s: Cache): number[] => {
    const head = partialOf(k, get_node(k, s));
    const found: number[] = [];
    for (let e = list_next(k, head); e !== head; e = list_next(k, e)) {
      found.push(k.read((e - struct_page.lru.offset) as Page, struct_page.inuse));
    }
    return found;
  };

  it("gives back the slabs without objects, the CPU's among them, and keeps the order of few", () => {
    const k = machine();
    const s = kmem_cache_create(k, 'own', 400, 0, 0);
    const all = slabsOf(k, s, [3, 5, 2, 4, 0]);
    expect(countCache(k, s).slabs).toBe(5);
    expect(kmem_cache_shrink(k, s)).toBe(0);
    expect(countCache(k, s)).toMatchObject({ slabs: 4, partial: 4, cpuSlabs: 0, active: 14 });
    expect(inuse(k, s)).toEqual([4, 2, 5, 3]);
    for (const x of all.flat()) kmem_cache_free(k, s, x);
    expect(countCache(k, s)).toMatchObject({ slabs: 0, partial: 0, active: 0 });
  });

  it('puts many in order, the fullest first', () => {
    const k = machine();
    const s = kmem_cache_create(k, 'own', 400, 0, 0);
    const all = slabsOf(k, s, [3, 5, 2, 4, 1, 6, 7, 2, 3, 9, 8, 1, 5, 0]);
    kmem_cache_shrink(k, s);
    expect(inuse(k, s)).toEqual([9, 8, 7, 6, 5, 5, 4, 3, 3, 2, 2, 1, 1]);
    for (const x of all.flat()) kmem_cache_free(k, s, x);
    expect(countCache(k, s)).toMatchObject({ slabs: 0, partial: 0, active: 0 });
  });

  it.each([
    ['loses the slabs that it has put aside when the number falls to ten on the way', [], 0],
    ['loses none with the change of 2.6.23', ['slub-shrink-sorts-always'], 10],
  ] as const)('%s', (_, patches, there) => {
    const k = machine({ patches });
    const s = kmem_cache_create(k, 'own', 400, 0, 0);
    const { objectsPerSlab } = countCache(k, s);
    const all = slabsOf(
      k,
      s,
      Array.from({ length: 11 }, () => objectsPerSlab),
    );
    // The CPU's slab becomes empty, and goes to the end of the list; ten come before it.
    for (const x of all.pop() ?? []) kmem_cache_free(k, s, x);
    __flush_cpu_slab(k, s);
    for (const objects of all) kmem_cache_free(k, s, objects.pop() as Vaddr);
    expect(inuse(k, s)).toEqual([...Array.from({ length: 10 }, () => objectsPerSlab - 1), 0]);
    kmem_cache_shrink(k, s);
    expect([inuse(k, s).length, k.read(get_node(k, s), k.structs.kmem_cache_node.nr_partial)]).toEqual([there, 10]);
    // Nobody finds the room that is there.
    const before = countCache(k, s).slabs;
    kmem_cache_alloc(k, s, GFP_KERNEL);
    expect(countCache(k, s).slabs - before).toBe(there === 0 ? 1 : 0);
  });
});

describe('/proc/slabinfo of SLUB', () => {
  const ROW = /^(\S+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) : tunables {4}0 {4}0 {4}0 : slabdata ( *\d+) ( *\d+) {6}0$/;

  it('has every cache in the columns of version 2.1, without tunables, with the whole of a slot for the size', () => {
    const k = machine({ slubDebug: 'FZPU,own' });
    const own = kmem_cache_create(k, 'own', 100, 0, 0);
    const objects = Array.from({ length: 40 }, () => kmem_cache_alloc(k, own, GFP_KERNEL));
    const [version, header, ...rows] = proc_slabinfo(k);
    expect(version).toBe('slabinfo - version: 2.1');
    expect(header).toMatch(
      /^# name {12}<active_objs> <num_objs> .* : slabdata <active_slabs> <num_slabs> <sharedavail>$/,
    );
    const names = rows.map((row) => ROW.exec(row)?.[1]);
    expect(names).not.toContain(undefined);
    expect(names).toEqual(expect.arrayContaining(['own', 'kmalloc-64']));
    const line = (active: number): string =>
      `own                   ${active}     56    144   28    1 : tunables    0    0    0 : slabdata      2      2      0`;
    expect(rows).toContain(line(56));
    // The full slab goes to the partial list with its first free object; the other one is the CPU's.
    kmem_cache_free(k, own, objects[0] as Vaddr);
    expect(proc_slabinfo(k)).toContain(line(55));
  });

  it('is there from 2.6.24 on', () => {
    const of = (kernel: string): string | undefined => slabinfoOfKernel(machine({ kernel }))[0];
    expect(of('2.6.22')).toMatch(/^Name {19}Objects/);
    for (const kernel of ['2.6.28', '2.6.30', '4.12']) expect(of(kernel)).toBe('slabinfo - version: 2.1');
  });
});

describe('a row of /proc/slabinfo', () => {
  it('has each number in its own columns', () => {
    const row = { name: 'n', active: 1, objects: 23, size: 456, perSlab: 7, pages: 8 };
    expect(slabinfoRow({ ...row, tunables: [9, 10, 11], slabs: [12, 13, 14] })).toBe(
      'n                      1     23    456    7    8 : tunables    9   10   11 : slabdata     12     13     14',
    );
  });

  it('counts the pages of a slab, not its order, and what is free in each partial slab', () => {
    const k = machine({ slubMinOrder: 2, slubMaxOrder: 2 });
    const big = kmem_cache_create(k, 'big', 3000, 0, 0);
    const perSlab = k.read(big, k.structs.kmem_cache.objects);
    const order = k.read(big, k.structs.kmem_cache.order);
    expect(order).toBe(2);
    const objects = Array.from({ length: 3 * perSlab }, () => kmem_cache_alloc(k, big, GFP_KERNEL));
    // Of two full slabs one has one object less, the other all but one.
    kmem_cache_free(k, big, objects[0] as Vaddr);
    for (let i = perSlab + 1; i < 2 * perSlab; i++) kmem_cache_free(k, big, objects[i] as Vaddr);
    const row = proc_slabinfo(k).find((l) => l.startsWith('big '));
    expect(row?.split(/\s+/).slice(1, 6).map(Number)).toEqual([
      3 * perSlab - 1 - (perSlab - 1),
      3 * perSlab,
      k.read(big, k.structs.kmem_cache.size),
      perSlab,
      1 << order,
    ]);
  });
});

describe('the tool slabinfo', () => {
  it('shows the caches that have slabs, by name', () => {
    const k = machine({ slubDebug: 'FZPU,own' });
    const own = kmem_cache_create(k, 'own', 100, 0, 0);
    for (let i = 0; i < 40; i++) kmem_cache_alloc(k, own, GFP_KERNEL);
    for (let i = 0; i < 3; i++) __kmalloc(k, 64, GFP_KERNEL);
    expect(slabinfo(k)).toEqual([
      'Name                   Objects Objsize    Space Slabs/Part/Cpu  O/S O %Fr %Ef Flg',
      'kmalloc-64                  64      64     4.0K          1/0/1   64 0   0 100 ',
      'own                         40     100     8.1K          2/0/1   28 0   0  48 PZFU',
    ]);
  });

  it('says which part of the slabs is partial, how much memory they take, and of which caches several names are one', () => {
    const k = machine({ lowmemPages: 1024 });
    const [one] = [kmem_cache_create(k, 'one', 100, 0, 0), kmem_cache_create(k, 'other', 100, 0, 0)];
    const large = kmem_cache_create(k, 'large', 4000, 0, 0);
    const perSlab = k.read(one, k.structs.kmem_cache.objects);
    const objects = Array.from({ length: perSlab + 1 }, () => kmem_cache_alloc(k, one, GFP_KERNEL));
    for (let i = 0; i < 260; i++) kmem_cache_alloc(k, large, GFP_KERNEL);
    kmem_cache_free(k, one, objects[0] as Vaddr);
    const rows = slabinfo(k);
    expect(rows.find((row) => row.startsWith('one '))).toMatch(/ 8\.1K +2\/1\/1 +\d+ 0 {2}50 +\d+ \*/);
    expect(rows.find((row) => row.startsWith('large '))).toMatch(/ 1\.0M +130\/0\/1 +2 1 {3}0 {2}97 $/);
  });
});
