/**
 * The memory checker on machines of one CPU: each kind of report is provoked, and what comes near it stays silent. Shadow values, kinds and
 * texts follow mm/kasan, Linux 5.10, mm/kmemleak.c and mm/page_owner.c, Linux 4.9.
 */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { MachineConfig } from '../../src/cpu/config.js';
import { CacheOp } from '../../src/cpu/cpu-cache.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { explore } from '../../src/explore/explore.js';
import { type Checker, type CheckerReport, checkersOf } from '../../src/lab/checkers.js';
import { packageRoot } from '../../src/lab/modules.js';
import { DMA_TO_DEVICE } from '../../src/mm/arm/dma-mapping.js';
import { USER_BASE } from '../../src/mm/arm/flush.js';
import { kmap_atomic_to_page } from '../../src/mm/arm/highmem.js';
import { dma_map_page, dma_map_single, dma_unmap_single } from '../../src/mm/dma-mapping.js';
import { flush_dcache_page, PAGE_SHARED, pte_offset_user } from '../../src/mm/flush.js';
import { gfp } from '../../src/mm/gfp.js';
import { page_address } from '../../src/mm/highmem.js';
import {
  kfree,
  kmalloc,
  kmem_cache_alloc,
  kmem_cache_create,
  kmem_cache_destroy,
  kmem_cache_free,
  kmem_cache_shrink,
  ksize,
  slabinfo,
} from '../../src/mm/kmalloc.js';
import { kmap, kmap_atomic, kunmap, kunmap_atomic } from '../../src/mm/kmap.js';
import { probe_kernel_read } from '../../src/mm/maccess.js';
import { vmalloc_to_page } from '../../src/mm/memory.js';
import { lowmem_page_address, page_to_pfn } from '../../src/mm/page.js';
import {
  __free_page,
  __free_pages,
  __get_free_page,
  alloc_page,
  alloc_pages,
  free_page,
  get_zeroed_page,
} from '../../src/mm/page_alloc.js';
import { memcpy, memset } from '../../src/mm/string.js';
import { kvfree, kvmalloc } from '../../src/mm/util.js';
import { struct_vm_struct, VM_IOREMAP } from '../../src/mm/vmalloc/vm-struct.js';
import {
  find_vm_area,
  get_vm_area,
  map_vm_area,
  purge_vmap_area_lazy,
  vfree,
  vm_map_ram,
  vm_unmap_aliases,
  vm_unmap_ram,
  vmalloc,
  vmap,
  vunmap,
} from '../../src/mm/vmalloc.js';
import { advance_jiffies } from '../../src/shared/jiffies.js';
import { NULL, type Vaddr, vaddr } from '../../src/shared/types.js';
import { dmesgOf, localMachine } from '../machine.js';

interface Watched {
  readonly k: Kernel;
  readonly reports: CheckerReport[];
  readonly checker: Checker;
  kinds(): string[];
}

function watched(options: Partial<MachineConfig> = {}, core = 'vivt-shared'): Watched {
  const { k } = localMachine(core, { check: 'memory,leak', lockdepMode: 'continue', ...options });
  const reports: CheckerReport[] = [];
  const [checker] = checkersOf(k, (report) => reports.push(report));
  if (checker === undefined) throw new Error('no checker');
  checker.restart();
  return { k, reports, checker, kinds: () => reports.map((r) => r.kind) };
}

const KERNEL = (k: Kernel): number => gfp(k).GFP_KERNEL;
const at = (addr: number, offset: number): Vaddr => vaddr(addr + offset);

const ALLOCATORS: [string, Partial<MachineConfig>][] = [
  ['SLUB', { slab: 'slub' }],
  ['SLUB with slub_debug=FZPU', { slab: 'slub', slubDebug: '-' }],
  ['SLAB', { slab: 'slab' }],
  ['SLAB with CONFIG_DEBUG_SLAB', { slab: 'slab', debugSlab: true }],
];

describe.each(ALLOCATORS)('objects of %s', (_, options) => {
  it('may be used to the last byte that was asked for, and given back', () => {
    const { k, kinds } = watched(options);
    const object = kmalloc(k, 61, KERNEL(k));
    memset(k, object, 0x11, 61);
    expect(k.load8(at(object, 60))).toBe(0x11);
    kfree(k, object);
    expect(kinds()).toEqual([]);
  });

  it('are left by a byte too far, in either direction of the access', () => {
    const { k, kinds } = watched(options);
    const object = kmalloc(k, 61, KERNEL(k));
    k.store8(at(object, 61), 0);
    k.load8(at(object, 61));
    k.load32(at(object, 60));
    expect(kinds()).toEqual(Array(3).fill('slab-out-of-bounds'));
  });

  it('are not those of their neighbours', () => {
    const { k, reports } = watched(options);
    const objects = [kmalloc(k, 120, KERNEL(k)), kmalloc(k, 120, KERNEL(k))];
    k.load32(at(Math.max(...objects), -4));
    expect(reports.map((r) => r.kind)).toEqual(['slab-out-of-bounds']);
  });

  it('are used after they were given back', () => {
    const { k, kinds } = watched(options);
    const object = kmalloc(k, 64, KERNEL(k));
    kfree(k, object);
    k.load32(at(object, 8));
    expect(kinds()).toEqual(['use-after-free']);
    const again = kmalloc(k, 64, KERNEL(k));
    k.store32(at(again, 8), 1);
    expect(kinds()).toEqual(['use-after-free']);
  });

  it('are given back twice, or by an address inside', () => {
    const { k, reports } = watched(options);
    const object = kmalloc(k, 64, KERNEL(k));
    const other = kmalloc(k, 64, KERNEL(k));
    kfree(k, object);
    try {
      kfree(k, object);
    } catch {
      // CONFIG_DEBUG_SLAB has a BUG of its own.
    }
    try {
      kfree(k, at(other, 8));
    } catch {
      // The same.
    }
    const found = reports.filter((r) => r.kind === 'double-free or invalid-free');
    expect(found).toHaveLength(2);
    expect(found[0]?.lines.join('\n')).toMatch(
      /Allocated by task 0 on cpu 0:\n[\s\S]* kmalloc\n[\s\S]*Freed by task 0 on cpu 0:\n[\s\S]* kfree\n/,
    );
    expect(found[1]?.lines.join('\n')).toContain('located 8 bytes inside of');
  });

  it('of a cache of its own are watched as well', () => {
    const { k, kinds } = watched(options);
    const cache = kmem_cache_create(k, 'victims', 40, 0, 0);
    const object = kmem_cache_alloc(k, cache, KERNEL(k));
    memset(k, object, 0, 40);
    expect(kinds()).toEqual([]);
    k.load8(at(object, 40));
    kmem_cache_free(k, cache, object);
    k.load8(object);
    expect(kinds()).toEqual(['slab-out-of-bounds', 'use-after-free']);
  });

  it('may be used as far as ksize() says', () => {
    const { k, kinds } = watched(options);
    const object = kmalloc(k, 50, KERNEL(k));
    const bytes = ksize(k, object);
    memset(k, object, 0, Math.min(bytes, 64));
    expect(kinds()).toEqual([]);
  });

  it('of every size, in any order, give no report', () => {
    const { k, kinds } = watched(options);
    const sizes = [1, 2, 3, 4, 5, 7, 8, 12, 31, 32, 33, 64, 96, 100, 192, 500, 1000, 2048, 4000];
    const objects = sizes.map((size) => [kmalloc(k, size, KERNEL(k)), size] as const);
    for (const [object, size] of objects) memset(k, object, 0x5c, size);
    const [first] = objects;
    memcpy(k, objects[9]![0], objects[10]![0], 32);
    for (const [object] of objects.reverse()) kfree(k, object);
    expect(first?.[0]).not.toBe(NULL);
    expect(kinds()).toEqual([]);
  });
});

describe('objects on a big-endian machine', () => {
  it('are judged by their bytes, not by where the host has them', () => {
    const { k, kinds } = watched({}, 'pcxl2');
    const object = kmalloc(k, 5, KERNEL(k));
    k.store8(at(object, 4), 1);
    k.store16(at(object, 2), 1);
    expect(kinds()).toEqual([]);
    k.load8(at(object, 5));
    k.load16(at(object, 4));
    expect(kinds()).toEqual(['slab-out-of-bounds', 'slab-out-of-bounds']);
  });
});

describe('pages', () => {
  it.each(['2.5.53', '2.6.22', '2.6.31', '4.12'])('of %s are used after they were given back', (kernel) => {
    const { k, kinds } = watched({ kernel, patches: [] });
    const page = alloc_page(k, KERNEL(k));
    const addr = lowmem_page_address(k, page);
    k.store32(addr, 1);
    expect(kinds()).toEqual([]);
    __free_page(k, page);
    k.load32(addr);
    expect(kinds()).toEqual(['use-after-free']);
  });

  it('of a block are given back together', () => {
    const { k, kinds } = watched();
    const block = alloc_pages(k, KERNEL(k), 2);
    const addr = lowmem_page_address(k, block);
    k.store32(at(addr, 3 * 4096), 1);
    __free_pages(k, block, 2);
    k.store32(at(addr, 3 * 4096), 1);
    expect(kinds()).toEqual(['use-after-free']);
  });

  it('are given back twice', () => {
    const { k, reports } = watched();
    const page = alloc_page(k, KERNEL(k));
    __free_page(k, page);
    __free_page(k, page);
    expect(reports.map((r) => r.kind)).toEqual(['double-free or invalid-free']);
  });

  it('that others still hold are not free', () => {
    const { k, kinds } = watched();
    const page = alloc_page(k, KERNEL(k));
    k.store(at(page, 4), 2);
    __free_page(k, page);
    k.load32(lowmem_page_address(k, page));
    __free_page(k, page);
    expect(kinds()).toEqual([]);
  });

  it('of highmem are found by whichever mapping', () => {
    const { k, kinds } = watched();
    const page = alloc_page(k, KERNEL(k) | gfp(k).__GFP_HIGHMEM);
    const addr = kmap(k, page);
    k.store32(addr, 1);
    __free_page(k, page);
    k.load32(addr);
    kunmap(k, page);
    expect(kinds()).toEqual(['use-after-free']);
  });

  it('that nobody was given in this execution are no business of the checker', () => {
    const { k, kinds } = watched();
    k.load32(vaddr(k.config.pageOffset + 200 * 4096));
    expect(kinds()).toEqual([]);
  });
});

describe.each(['2.5.53', '2.6.22', '2.6.31', '4.10', '4.12'])('vmalloc() of %s', (kernel) => {
  const machine = { kernel, patches: [], cpus: 1 };

  it('gives memory up to the last byte that was asked for', () => {
    const { k, kinds } = watched(machine);
    const addr = vmalloc(k, 5000);
    k.store8(at(addr, 4999), 1);
    expect(kinds()).toEqual([]);
    k.load8(at(addr, 5000));
    expect(kinds()).toEqual(['vmalloc-out-of-bounds']);
  });

  it('takes it back once', () => {
    const { k, reports, kinds } = watched(machine);
    const addr = vmalloc(k, 4096);
    k.load32(addr);
    vfree(k, addr);
    expect(kinds()).toEqual([]);
    try {
      vfree(k, addr);
    } catch {
      // What there was is somebody else's by now: the kernel goes down.
    }
    expect(reports[0]?.kind).toBe('double-free or invalid-free');
  });

  it('maps pages that stay whose they are', () => {
    const { k, kinds } = watched(machine);
    const page = alloc_page(k, KERNEL(k));
    const array = kmalloc(k, 4, KERNEL(k));
    k.store32(array, page);
    const addr = vmap(k, array, 1);
    k.store32(addr, 7);
    vunmap(k, addr);
    expect(k.load32(lowmem_page_address(k, page))).toBeDefined();
    expect(kinds()).toEqual([]);
  });

  it('leaves addresses that get_vm_area() reserves anew to whoever reserved them', () => {
    const { k, kinds } = watched(machine);
    const first = vmalloc(k, 8192);
    vfree(k, first);
    vm_unmap_aliases(k);
    purge_vmap_area_lazy(k);
    const area = get_vm_area(k, 8192, VM_IOREMAP);
    const addr = vaddr(k.read(area, struct_vm_struct.addr));
    expect(addr).toBe(first);
    const array = kmalloc(k, 8, KERNEL(k));
    for (const offset of [0, 4]) k.store32(at(array, offset), alloc_page(k, KERNEL(k)));
    expect(map_vm_area(k, area, array)).toBe(true);
    k.store32(at(addr, 8188), 7);
    vunmap(k, addr);
    expect(kinds()).toEqual([]);
    vfree(k, vmalloc(k, 8192));
    expect(kinds()).toEqual([]);
  });
});

describe('vmalloc() areas that are freed lazily', () => {
  it('can be reached after vfree(), and that is reported', () => {
    const { k, reports } = watched({ kernel: '4.12', patches: [] });
    const addr = vmalloc(k, 4096);
    k.load32(addr);
    vfree(k, addr);
    try {
      k.load32(addr);
    } catch {
      // The entries are cleared at once: without a translation in the TLB the CPU faults instead.
    }
    const page = alloc_page(k, KERNEL(k));
    const array = kmalloc(k, 4, KERNEL(k));
    k.store32(array, page);
    const ram = vm_map_ram(k, array, 1);
    k.store32(ram, 1);
    vm_unmap_ram(k, ram, 1);
    expect(reports.filter((r) => r.kind !== 'vmalloc-out-of-bounds')).toEqual([]);
  });
});

describe('addresses that no frame is behind', () => {
  it.each<[string, string, number, (k: Kernel, addr: Vaddr) => void, string]>([
    ['null-ptr-deref', 'in the first page', 0x24, (k, addr) => void k.load32(addr), 'Read of size 4'],
    ['null-ptr-deref', 'in the first page, of kernel data', 0x24, (k, addr) => k.store(addr, 1), 'Write of size 4'],
    ['user-memory-access', 'of poison', 0x6b6b6b6b, (k, addr) => k.store8(addr, 1), 'Write of size 1'],
    ['user-memory-access', 'of poison, unaligned', 0x6b6b6b6b, (k, addr) => void k.load32(addr), 'Read of size 4'],
    [
      'wild-memory-access',
      'between user space and the direct map',
      0xbf100002,
      (k, a) => void k.load16(a),
      'Read of size 2',
    ],
    [
      'vmalloc-out-of-bounds',
      'for vmalloc() that it has not given',
      0xc8000000,
      (k, a) => k.store32(a, 0),
      'Write of size 4',
    ],
  ])('are a %s %s, said before the oops', (kind, _, addr, access, what) => {
    const { k, reports } = watched();
    expect(() => access(k, vaddr(addr))).toThrow('Unable to handle kernel');
    expect(reports.map((r) => r.kind)).toEqual([kind]);
    expect(reports[0]?.headline).toMatch(new RegExp(`^BUG: KASAN: ${kind} in \\S+$`));
    expect(reports[0]?.lines[2]).toBe(`${what} at addr ${addr.toString(16).padStart(8, '0')} by task thread0/0`);
    const log = dmesgOf(k);
    const oops = log.findIndex((line) => line.startsWith('Unable to handle kernel'));
    expect(oops).toBeGreaterThan(log.indexOf(reports[0]?.headline ?? ''));
  });

  it('are told of with the area that was there', () => {
    const { k, reports } = watched({ kernel: '2.6.22', patches: [] });
    const addr = vmalloc(k, 4096);
    vfree(k, addr);
    expect(() => k.load32(at(addr, 8))).toThrow('Unable to handle kernel');
    expect(reports.map((r) => r.kind)).toEqual(['vmalloc-out-of-bounds']);
    expect(reports[0]?.lines.join('\n')).toMatch(/Freed by task 0 on cpu 0:[\s\S]*located 8 bytes inside of/);
  });

  it('are NULL on PA-RISC too', () => {
    const { k, kinds } = watched({}, 'pcxl2');
    expect(() => k.load32(vaddr(0x24))).toThrow();
    expect(kinds()).toEqual(['null-ptr-deref']);
  });

  it('are no business of the checker where a user has mapped a page', () => {
    const { k, kinds } = watched();
    const page = alloc_page(k, KERNEL(k));
    const addr = vaddr(USER_BASE);
    k.arch.set_pte(k, pte_offset_user(k, addr), k.arch.mk_pte(page_to_pfn(k, page), PAGE_SHARED(k)));
    k.store32(addr, 1);
    expect(kinds()).toEqual([]);
  });

  it('are not those of an object that is reached by an unaligned address', () => {
    const { k, kinds } = watched();
    const object = kmalloc(k, 64, KERNEL(k));
    expect(() => k.load32(at(object, 2))).toThrow('Unable to handle kernel');
    expect(kinds()).toEqual([]);
  });

  it('are not told of in maintenance of a cache, which no compiler sees', () => {
    const { k, kinds } = watched({}, 'arm1136');
    expect(() => k.mmu.cacheLine(CacheOp.clean, 0xc8000000)).toThrow('Unable to handle kernel');
    expect(kinds()).toEqual([]);
  });

  it('are not told of where a read may fault, which leaves no oops either', () => {
    const { k, kinds } = watched();
    expect(probe_kernel_read(k, vaddr(0xc8000000))).toBeNull();
    const object = kmalloc(k, 64, KERNEL(k));
    k.store32(object, 0xcafe);
    expect(probe_kernel_read(k, object)).toBe(0xcafe);
    expect([kinds(), dmesgOf(k)]).toEqual([[], []]);
    expect(() => k.load32(vaddr(0xc8000000))).toThrow('Unable to handle kernel');
    expect(kinds()).toEqual(['vmalloc-out-of-bounds']);
  });

  it('are not told of in an allocator, which is compiled without', () => {
    const { k, kinds } = watched({ slab: 'slub' });
    const object = kmalloc(k, 64, KERNEL(k));
    kfree(k, object);
    k.mmu.store32(object, 0x6b6b6b68);
    expect(() => [kmalloc(k, 64, KERNEL(k)), kmalloc(k, 64, KERNEL(k))]).toThrow('Unable to handle kernel');
    expect(kinds()).toEqual([]);
  });
});

describe('leaks', () => {
  it('are objects and areas that nothing points to', () => {
    const { k, reports, checker } = watched();
    const object = kmalloc(k, 40, KERNEL(k));
    k.store32(object, 0x6b616554);
    vmalloc(k, 4096);
    checker.end();
    expect(reports.map((r) => r.headline)).toEqual([
      'kmemleak: 2 new suspected memory leaks (see /sys/kernel/debug/kmemleak)',
    ]);
    const text = reports[0]?.lines.join('\n') ?? '';
    expect(text).toMatch(
      /unreferenced object 0x[0-9a-f]{8} \(size 40\):\n {2}comm "thread0", pid 0, jiffies 1000 \(age 0\.000s\)\n/,
    );
    expect(text).toMatch(/hex dump \(first 32 bytes\):\n {4}54 65 61 6b .*Teak/);
    expect(text).toMatch(/ {2}backtrace:\n( {4}\[<\?+>\] \w+\n)* {4}\[<\?+>\] kmalloc\n/);
  });

  it('are not what static memory, an object or a cached word still points to', () => {
    const { k, kinds, checker } = watched();
    const list = kmalloc(k, 16, KERNEL(k));
    const element = kmalloc(k, 32, KERNEL(k));
    k.store(k.sym.race_data, list);
    k.store32(list, element + 8);
    const area = vmalloc(k, 8192);
    k.store32(at(list, 4), area);
    const page = __get_free_page(k, KERNEL(k));
    k.store32(page, 1);
    checker.end();
    expect(kinds()).toEqual([]);
  });

  it('are in the file when they are five seconds old, with their age', () => {
    const { k } = watched();
    const file = (): string[] => k.memoryWatch?.kmemleak() ?? [];
    kmalloc(k, 40, KERNEL(k));
    advance_jiffies(k, 499);
    expect(file()).toEqual([]);
    advance_jiffies(k, 2);
    expect(file()[1]).toBe('  comm "thread0", pid 0, jiffies 1000 (age 5.010s)');
  });

  it('are not what was given back', () => {
    const { k, kinds, checker } = watched();
    kfree(k, kmalloc(k, 40, KERNEL(k)));
    vfree(k, vmalloc(k, 4096));
    checker.end();
    expect(kinds()).toEqual([]);
  });
});

describe('the text', () => {
  it('is that of the kernel', () => {
    const { k, reports } = watched();
    const object = kmalloc(k, 40, KERNEL(k));
    k.store32(at(object, 40), 1);
    const [report] = reports;
    const lines = report?.lines ?? [];
    expect(lines[0]).toBe('='.repeat(66));
    expect(lines[1]).toMatch(/^BUG: KASAN: slab-out-of-bounds in \S+$/);
    expect(lines[2]).toMatch(/^Write of size 4 at addr [0-9a-f]{8} by task thread0\/0$/);
    expect(lines.join('\n')).toMatch(/The buggy address is located 40 bytes inside of\n 64-byte region \[/);
    expect(lines.join('\n')).toMatch(/which belongs to the cache kmalloc-64 of size 64\n/);
    const marked = lines.findIndex((line) => line.startsWith('>'));
    const shadow = lines[marked]?.slice(11).split(' ') ?? [];
    const column = ((object + 40) & 127) >>> 3;
    expect(shadow.slice(column - 5, column + 3)).toEqual(['00', '00', '00', '00', '00', 'fc', 'fc', 'fc']);
    expect(lines[marked + 1]?.indexOf('^')).toBe(11 + column * 3);
  });

  it('of a race has its first report only, unless all are asked for', () => {
    const { k, kinds } = watched({ lockdepMode: 'linux' });
    const object = kmalloc(k, 40, KERNEL(k));
    k.load8(at(object, 40));
    k.load8(at(object, 41));
    expect(kinds()).toEqual(['slab-out-of-bounds']);
  });

  it('of page_owner names who has each block', () => {
    const { k } = watched();
    alloc_pages(k, KERNEL(k), 1);
    const text = k.memoryWatch?.page_owner().join('\n') ?? '';
    expect(text).toMatch(
      /^Page allocated via order 1, mask 0xd0\(GFP_KERNEL\)\nPFN \d+ type Unmovable Block \d+ .* Flags 0x\w+\(\)$/m,
    );
    expect(text).toContain(' [<????????>] __alloc_pages_nodemask');
    kmalloc(k, 40, KERNEL(k));
    expect(k.memoryWatch?.page_owner().join('\n')).toMatch(/^PFN \d+ .* Flags 0x\w+\([\w|]*slab[\w|]*\)$/m);
  });
});

/** As a word of k.shared, or of k.load(), gives back what was kept there. */
const kept = <A extends number>(address: A): A => (address | 0) as A;

describe.each(ALLOCATORS)('a pointer kept in a word, which reads as a signed number, with %s', (_, options) => {
  it('frees an object, once', () => {
    const { k, kinds } = watched(options);
    const object = kept(kmalloc(k, 64, KERNEL(k)));
    expect(object).toBeLessThan(0);
    kfree(k, object);
    k.load32(object);
    expect(kinds()).toEqual(['use-after-free']);
    try {
      kfree(k, object);
    } catch {
      // CONFIG_DEBUG_SLAB has a BUG of its own.
    }
    expect(kinds()).toEqual(['use-after-free', 'double-free or invalid-free']);
  });

  it('frees an object of a cache, whose pointer was kept too', () => {
    const { k, kinds } = watched(options);
    const cache = kept(kmem_cache_create(k, 'mine', 40, 0, 0));
    const object = kept(kmem_cache_alloc(k, cache, KERNEL(k)));
    k.load8(at(object, 39));
    expect(kinds()).toEqual([]);
    kmem_cache_free(k, cache, object);
    k.load8(object);
    expect(kinds()).toEqual(['use-after-free']);
  });

  it('says how much there is, and all of it may be used', () => {
    const { k, kinds } = watched(options);
    const object = kept(kmalloc(k, 61, KERNEL(k)));
    const bytes = ksize(k, object);
    k.load8(at(object, bytes - 1));
    expect(kinds()).toEqual([]);
  });

  it('leaves nothing behind that would be a leak', () => {
    const { k, reports, checker } = watched(options);
    kfree(k, kept(kmalloc(k, 64, KERNEL(k))));
    vfree(k, kept(vmalloc(k, 6000)));
    kvfree(k, kept(kvmalloc(k, 64, KERNEL(k))));
    kvfree(k, kept(vmalloc(k, 6000)));
    checker.end();
    expect(reports).toEqual([]);
  });
});

describe('a pointer kept in a word, which reads as a signed number', () => {
  it('frees pages by their address and by their struct page', () => {
    const { k, kinds } = watched();
    const address = kept(__get_free_page(k, KERNEL(k)));
    free_page(k, address);
    k.load8(address);
    expect(kinds()).toEqual(['use-after-free']);
    const page = kept(alloc_page(k, KERNEL(k)));
    const linear = page_address(k, page);
    expect(linear).toBe(lowmem_page_address(k, page));
    __free_page(k, page);
    k.load8(linear);
    expect(kinds()).toEqual(['use-after-free', 'use-after-free']);
  });

  it.each(['2.6.31', '4.12'])('frees and finds areas of %s', (kernel) => {
    const { k, kinds } = watched({ kernel, patches: [] });
    const area = kept(vmalloc(k, 6000));
    expect(vmalloc_to_page(k, area)).toBe(vmalloc_to_page(k, vaddr(area)));
    expect(find_vm_area(k, area)).not.toBe(NULL);
    vfree(k, area);
    expect(dmesgOf(k).join('\n')).not.toContain('Trying to vfree()');
    const pages = kept(kmalloc(k, 4, KERNEL(k)));
    k.store(pages, alloc_page(k, KERNEL(k)));
    const mapped = kept(vmap(k, pages, 1));
    k.store(mapped, 5);
    vunmap(k, mapped);
    expect(dmesgOf(k).join('\n')).not.toContain('Trying to');
    const ram = kept(vm_map_ram(k, pages, 1));
    expect(k.load(ram)).toBe(5);
    vm_unmap_ram(k, ram, 1);
    expect(kinds()).toEqual([]);
  });

  it('maps highmem pages and finds what was mapped', () => {
    const { k } = watched();
    const page = kept(alloc_page(k, gfp(k).GFP_KERNEL | gfp(k).__GFP_HIGHMEM));
    const address = kept(kmap(k, page));
    expect(page_address(k, page)).toBe(vaddr(address));
    kunmap(k, page);
    const atomic = kept(kmap_atomic(k, page, 0));
    expect(vaddr(atomic)).not.toBe(vaddr(address));
    expect(kmap_atomic_to_page(k, atomic)).toBe(vaddr(page));
    kunmap_atomic(k, atomic, 0);
    expect(k.preemptCount).toBe(0);
    __free_page(k, page);
  });

  it('is given to devices', () => {
    const { k } = watched();
    const object = kmalloc(k, 64, KERNEL(k));
    const handle = dma_map_single(k, kept(object), 64, DMA_TO_DEVICE);
    expect(handle).toBe(k.__pa(object));
    dma_unmap_single(k, kept(handle), 64, DMA_TO_DEVICE);
    const page = alloc_page(k, KERNEL(k));
    expect(dma_map_page(k, kept(page), 32, 64, DMA_TO_DEVICE)).toBe(dma_map_page(k, page, 32, 64, DMA_TO_DEVICE));
    flush_dcache_page(k, kept(page));
  });
});

const VERSIONS = ['2.6.22', '2.6.30', '4.12'];
const EACH_OF_EACH = VERSIONS.flatMap((kernel) =>
  ALLOCATORS.map(([name, options]): [string, Partial<MachineConfig>] => [
    `${name} in ${kernel}`,
    { ...options, kernel },
  ]),
);

describe.each(EACH_OF_EACH)('caches of %s', (_, options) => {
  const make = (k: Kernel): ReturnType<typeof kmem_cache_create> => kmem_cache_create(k, 'mine', 40, 0, 0);

  it('are given up when they are empty, and nothing is said', () => {
    const { k, kinds } = watched(options);
    const s = make(k);
    for (const x of [1, 2, 3].map(() => kmem_cache_alloc(k, s, KERNEL(k)))) kmem_cache_free(k, s, x);
    kmem_cache_destroy(k, s);
    expect([kinds(), dmesgOf(k)]).toEqual([[], []]);
  });

  it('are given up with objects in them: the allocator says so, and the checker nothing', () => {
    const { k, kinds } = watched(options);
    const s = make(k);
    const [first] = [1, 2, 3].map(() => kmem_cache_alloc(k, s, KERNEL(k)));
    kmem_cache_free(k, s, first as Vaddr);
    kmem_cache_destroy(k, s);
    expect(kinds()).toEqual([]);
    expect(dmesgOf(k).join('\n')).toMatch(/Objects remaining|still has objects|Can't free all|WARNING/);
  });

  it('are shrunk and listed, and their objects stay what they were', () => {
    const { k, kinds } = watched(options);
    const s = make(k);
    const objects = Array.from({ length: 300 }, () => kmem_cache_alloc(k, s, KERNEL(k)));
    for (let i = 0; i < 300; i++) if (i % 7 !== 0) kmem_cache_free(k, s, objects[i] as Vaddr);
    kmem_cache_shrink(k, s);
    slabinfo(k);
    kmem_cache_alloc(k, s, KERNEL(k));
    k.store8(objects[0] as Vaddr, 1);
    expect(kinds()).toEqual([]);
    k.load8(objects[8] as Vaddr);
    expect(kinds()).toEqual(['use-after-free']);
  });

  it('are made of memory that was an object before', () => {
    const { k, kinds } = watched(options);
    for (const x of [32, 64, 128, 256].map((bytes) => kmalloc(k, bytes, KERNEL(k)))) kfree(k, x);
    const page = __get_free_page(k, KERNEL(k));
    free_page(k, page);
    free_page(k, get_zeroed_page(k, KERNEL(k)));
    kmem_cache_destroy(k, make(k));
    expect(kinds()).toEqual([]);
  });
});

describe('a cache that one CPU shrinks', () => {
  it.each(['slub', 'slab'] as const)('has every other give back what it holds, unseen: %s', async (slab) => {
    const file = join(packageRoot(), 'test', 'explore', 'races', 'shrinks.ts');
    const { error, failure, outcome } = await explore(file, { slab, check: 'memory', executions: 1 });
    expect([error, failure, outcome]).toEqual([null, null, 'clean']);
  });
});
