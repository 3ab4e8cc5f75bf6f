/** flush_dcache_page() on slab pages: what the word that two subsystems share leads to. spec/slab-dma.md §1.7, §1.8, §3, §6. */
import { describe, expect, it } from 'vitest';
import type { MachineConfig } from '../../src/cpu/config.js';
import { Control } from '../../src/cpu/hw.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { readLog } from '../../src/cpu/printk.js';
import { configureRace } from '../../src/lab/configure.js';
import { race } from '../../src/lab/race.js';
import { flush_dcache_page, flush_dcache_range, set_user_pte, USER_BASE } from '../../src/mm/arm/flush.js';
import {
  add_to_page_cache,
  address_space_init_once,
  page_mapping,
  VM_MAYSHARE,
  VM_SHARED,
  vma_link,
} from '../../src/mm/filemap.js';
import { kmalloc } from '../../src/mm/kmalloc.js';
import { lowmem_page_address, type Page, page_plus, page_to_phys } from '../../src/mm/page.js';
import { alloc_page, GFP_KERNEL } from '../../src/mm/page_alloc.js';
import { virt_to_head_page } from '../../src/mm/slab-common.js';
import { get_node } from '../../src/mm/slub/cache.js';
import { __kmalloc, kfree, kmallocCache } from '../../src/mm/slub.js';
import { KernelBug } from '../../src/shared/errors.js';
import { struct_page } from '../../src/shared/structs/page.js';
import { NULL, ptr, type Vaddr, vaddr } from '../../src/shared/types.js';
import { ram } from '../cpu/bytes.js';
import { localMachine } from '../machine.js';

const machine = (options: Partial<MachineConfig> = {}, core = 'arm926'): Kernel =>
  localMachine(core, { kernel: '2.6.22', patches: [], oabi: true, preempt: false, lowmemPages: 1024, ...options }).k;

const log = (k: Kernel): string[] => readLog(k.hw, k.layout.log, Control.logHead).map((r) => r.text);
const dirtyBit = (k: Kernel, x: Vaddr): number => (k.read(virt_to_head_page(k, x), struct_page.flags) >>> 9) & 1;

/** @n slabs of the class on the partial list, as spec §2.4 does it. Return: an object of the CPU's slab. */
function withPartial(k: Kernel, size: number, n: number): Vaddr {
  const perSlab = k.read(kmallocCache(k, size), k.structs.kmem_cache.objects);
  const objects = Array.from({ length: (n + 1) * perSlab }, () => __kmalloc(k, size, GFP_KERNEL));
  for (let i = 0; i < n; i++) kfree(k, objects[i * perSlab] as Vaddr);
  expect(k.read(get_node(k, kmallocCache(k, size)), k.structs.kmem_cache_node.nr_partial)).toBe(n);
  return objects.at(-1) as Vaddr;
}

function oopsOf(act: () => void): KernelBug | null {
  try {
    act();
    return null;
  } catch (error) {
    if (error instanceof KernelBug) return error;
    throw error;
  }
}

const flush = (k: Kernel, x: Vaddr) => oopsOf(() => flush_dcache_page(k, virt_to_head_page(k, x)));

describe('flush_dcache_page() of a slab page on ARM926, before page_mapping() knew slabs', () => {
  it.each([
    [1, '0000000d', '1'],
    [2, '0000000e', '1'],
    [3, '0000000f', '1'],
    [4, '00000010', '5'],
    [5, '00000011', '1'],
    [8, '00000014', '5'],
    [17, '0000001d', '1'],
  ])('with %i partial slabs faults at 0x%s with status %s', (n, address, status) => {
    const k = machine();
    const error = flush(k, withPartial(k, 64, n));
    expect(error?.addr.toString(16).padStart(8, '0')).toBe(address);
    const text = log(k);
    expect(text[0]).toBe(`Unable to handle kernel NULL pointer dereference at virtual address ${address}`);
    expect(text[3]).toBe(`Internal error: Oops: ${status} [#1]`);
    const ip = (n - 36) >>> 0;
    expect(text).toContain(`sp : ????????  ip : ${ip.toString(16)}  fp : ????????`);
    expect(text).toContain('PC is at get_index+0x1c/0x50');
    expect(text.some((l) => l.startsWith('Flags: ') && l.includes('IRQs off'))).toBe(true);
  });

  it('says where in the function only for the kernel of which that is known', () => {
    const pc = (k: Kernel): string[] => {
      flush(k, withPartial(k, 64, 1));
      return log(k).filter((l) => /^(PC|LR) is at/.test(l));
    };
    expect(pc(machine())).toEqual(['PC is at get_index+0x1c/0x50', 'LR is at prio_tree_next+0x60/0x194']);
    expect(pc(machine({ oabi: false }))).toEqual(['PC is at get_index+?/?', 'LR is at ?']);
    expect(pc(machine({ preempt: true }))).toEqual(['PC is at get_index+?/?', 'LR is at ?']);
    expect(pc(machine({ kernel: '2.6.28' }))).toEqual(['PC is at get_index+?/?', 'LR is at ?']);
  });

  it('has the lines of the kernel, in its order, with question marks for what is not modelled', () => {
    const k = machine({ highmemPages: 0 });
    flush(k, withPartial(k, 64, 1));
    const heads = log(k).map((l) => /^(\[[0-9a-f]+\] \*pgd|[A-Za-z][A-Za-z0-9]*)/.exec(l)?.[1]);
    expect(heads.filter((head) => head !== undefined)).toEqual([
      ...['Unable', 'pgd', '[0000000d] *pgd', 'Internal', 'Modules', 'CPU', 'PC', 'LR', 'pc', 'sp', 'r10', 'r7', 'r3'],
      ...['Flags', 'Control', 'Process', 'Stack', 'Backtrace', 'Code'],
    ]);
    expect(log(k).at(-1)).toBe('Code: ???????? ???????? ???????? ???????? (????????)');
  });

  it('shows both entries of an address that has a page table, without highmem', () => {
    const k = machine({ highmemPages: 0 });
    expect(oopsOf(() => k.load(vaddr(0x40003000)))).not.toBeNull();
    expect(log(k)[2]).toMatch(/^\[40003000\] \*pgd=[0-9a-f]{8}, \*pte=00000000, \*ppte=00000000$/);
  });

  it('names the functions on the way to it', () => {
    const k = machine();
    flush(k, withPartial(k, 192, 1));
    const names = log(k)
      .map((l) => /^\[<\?+>\] \((\w+)\)/.exec(l)?.[1])
      .filter((name) => name !== undefined);
    // prio_tree_first() and __flush_dcache_aliases() are parts of their callers.
    expect(names).toEqual(['get_index', 'prio_tree_next', 'vma_prio_tree_next']);
    expect(log(k)).toContain('[<????????>] (vma_prio_tree_next) from [<????????>] (flush_dcache_page)');
  });

  it('without partial slabs only marks the page, and leaves its lines in the cache', () => {
    const k = machine();
    const x = __kmalloc(k, 64, GFP_KERNEL);
    k.load32(x);
    k.store32(x, 0x5a5a5a5a);
    expect(flush(k, x)).toBeNull();
    expect(dirtyBit(k, x)).toBe(1);
    expect(ram(k, k.__pa(x), 4)).not.toBe('5a*4');
  });

  it('faults through the head page of a large slab, not through a tail', () => {
    const k = machine();
    const x = withPartial(k, 2048, 1);
    const head = virt_to_head_page(k, x);
    expect(oopsOf(() => flush_dcache_page(k, page_plus(head, 1)))).toBeNull();
    expect(flush(k, x)).not.toBeNull();
  });

  it('reads the owner of list_lock as the tree when locks are debugged, whatever the number of partial slabs', () => {
    for (const n of [0, 1, 5]) {
      const k = machine({ debugSpinlock: true });
      const error = flush(k, withPartial(k, 64, n));
      expect(error?.addr).toBe(0x0b);
      expect(log(k)[0]).toMatch(/^BUG: rwlock bad magic on CPU#0, thread0\/0, c0/);
      const node = get_node(k, kmallocCache(k, 64));
      expect(k.load(vaddr(node)) >>> 0).toBe(0);
      expect(k.load(vaddr(node + 4)) >>> 0).toBe(k.current);
    }
  });

  it('does not fault on caches that are physically tagged', () => {
    for (const core of ['arm11mpcore', 'cortex-a9']) {
      const k = machine({}, core);
      expect(flush(k, withPartial(k, 64, 1))).toBeNull();
      const smp = machine({ cpus: 2 }, core);
      const x = withPartial(smp, 64, 1);
      expect(flush(smp, x)).toBeNull();
      expect(dirtyBit(smp, x)).toBe(0);
    }
  });

  it('on several CPUs with a virtually tagged cache locks the order of the cache for writing first', () => {
    const k = machine({ cpus: 2 }, 'vivt-shared');
    expect(flush(k, withPartial(k, 64, 1))?.addr).toBe(0x0d);
    expect(k.read(kmallocCache(k, 64), k.structs.kmem_cache.order)).toBe(0x80000000);
  });
});

describe('flush_dcache_page() of a slab page with the test for slabs', () => {
  it('writes the page back, as it does for other pages that no file owns', () => {
    for (const n of [0, 1, 4]) {
      const k = machine({ patches: ['page-mapping-slab'] });
      const x = withPartial(k, 64, n);
      k.load32(x);
      k.store32(x, 0x5a5a5a5a);
      expect(flush(k, x)).toBeNull();
      expect([dirtyBit(k, x), ram(k, k.__pa(x), 4)]).toEqual([0, '5a*4']);
    }
  });

  it('covers the page that an object begins in and no other; flush_dcache_range() covers the object', () => {
    const k = machine({ patches: ['page-mapping-slab'], slubDebug: 'ZPU' });
    const objects = Array.from({ length: 4 }, () => __kmalloc(k, 1024, GFP_KERNEL));
    const x = objects[3] as Vaddr;
    expect(x - lowmem_page_address(k, virt_to_head_page(k, x))).toBe(3204);
    for (let i = 0; i < 1024; i++) {
      k.load8(vaddr(x + i));
      k.store8(vaddr(x + i), 0x77);
    }
    flush(k, x);
    const pa = page_to_phys(k, virt_to_head_page(k, x)) + 3204;
    expect(ram(k, pa, 892)).toBe('77*892');
    expect(ram(k, pa + 892, 132)).not.toContain('77');
    flush_dcache_range(k, x, 1024);
    expect(ram(k, pa, 1024)).toBe('77*1024');
  });
});

describe('page_mapping() of 4.9 and later', () => {
  it('takes no slab page for a page of a file, of whichever allocator, head or tail', () => {
    for (const slab of ['slub', 'slab'] as const) {
      const k = machine({ kernel: '4.12', slab, patches: [] });
      const head = virt_to_head_page(k, kmalloc(k, 2048, GFP_KERNEL));
      k.write(head, struct_page.mapping, 0xc0100000);
      expect(page_mapping(k, head)).toBe(NULL);
      if (slab === 'slub') expect(page_mapping(k, page_plus(head, 1))).toBe(NULL);
    }
  });

  it('leaves the low bits out of the address', () => {
    const of = (kernel: string, word: number): number => {
      const k = machine({ kernel, patches: [] });
      const page = alloc_page(k, GFP_KERNEL);
      k.write(page, struct_page.mapping, word);
      return page_mapping(k, page);
    };
    expect(of('4.12', 0xc0100002)).toBe(0xc0100000);
    expect(of('2.6.22', 0xc0100002)).toBe(0xc0100002);
    expect([of('4.12', 0xc0100001), of('2.6.22', 0xc0100001)]).toEqual([NULL, NULL]);
  });
});

describe('VM_BUG_ON() in page_mapping()', () => {
  it('is a BUG with DEBUG_VM, before anything is flushed, for the head page of a slab only', () => {
    const k = machine({ patches: ['page-mapping-vm-bug-on'], debugVm: true });
    const x = withPartial(k, 2048, 1);
    expect(flush(k, x)?.kind).toBe('bug');
    expect(oopsOf(() => flush_dcache_page(k, page_plus(virt_to_head_page(k, x), 1)))).toBeNull();
  });

  it('changes nothing without', () => {
    const k = machine({ patches: ['page-mapping-vm-bug-on'] });
    expect(flush(k, withPartial(k, 64, 1))?.addr).toBe(0x0d);
  });
});

describe('a cache in which a page has two places (ARM1136)', () => {
  const [K_STORES, U_STORES] = [0x11111111, 0x22222222];

  /** A page of a file, mapped by user space at a place of the cache that is not the kernel's. */
  function aliased(mapped: boolean): { k: Kernel; page: Page; kernel: Vaddr; user: Vaddr; map: () => void } {
    const k = machine({ highmemPages: 0, patches: ['page-mapping-slab'] }, 'arm1136');
    const mapping = ptr<'address_space'>(k.sym.race_data + 64);
    address_space_init_once(k, mapping);
    const page = alloc_page(k, GFP_KERNEL);
    const kernel = lowmem_page_address(k, page);
    const pgoff = ((kernel >>> 12) & 1) ^ 1;
    add_to_page_cache(k, page, mapping, pgoff);
    const user = vaddr(USER_BASE + pgoff * 4096);
    const vma = ptr<'vm_area_struct'>(k.sym.race_data + 1024);
    const map = (): void => {
      vma_link(k, vma, mapping, { mm: 0, start: user, pages: 1, pgoff, flags: VM_SHARED | VM_MAYSHARE });
      set_user_pte(k, vma, user, page);
    };
    if (mapped) map();
    return { k, page, kernel, user, map };
  }

  it('has different bytes at the two addresses of a page, until it is flushed at both', () => {
    const { k, page, kernel, user } = aliased(true);
    k.load32(user);
    k.load32(kernel);
    k.store32(kernel, K_STORES);
    expect([k.load32(kernel), k.load32(user) === K_STORES]).toEqual([K_STORES, false]);
    flush_dcache_page(k, page);
    expect([k.load32(kernel), k.load32(user)]).toEqual([K_STORES, K_STORES]);
    // The other way round the user's store is written back.
    k.store32(user, U_STORES);
    expect(k.load32(kernel)).toBe(K_STORES);
    flush_dcache_page(k, page);
    expect([k.load32(kernel), k.load32(user)]).toEqual([U_STORES, U_STORES]);
  });

  it('has a page that is only marked flushed when it is mapped', () => {
    const { k, page, kernel, user, map } = aliased(false);
    k.load32(kernel);
    k.store32(kernel, K_STORES);
    flush_dcache_page(k, page);
    expect(ram(k, page_to_phys(k, page), 4)).not.toBe('11*4');
    map();
    expect(k.load32(user)).toBe(K_STORES);
  });

  it('does not oops for a slab page: the garbage that is taken for a mapping costs a second flush', () => {
    const k = machine({ highmemPages: 0 }, 'arm1136');
    const x = withPartial(k, 64, 1);
    k.load32(x);
    k.store32(x, 0x5a5a5a5a);
    expect(flush(k, x)).toBeNull();
    expect(ram(k, k.__pa(x), 4)).toBe('5a*4');
    const entry = k.mmu.translationByTables(0xffff4000);
    expect(entry).toBe(page_to_phys(k, virt_to_head_page(k, x)));
  });

  it('has no high memory', () => {
    const spec = race({ id: 'aliases', machine: { core: 'arm1136' }, threads: [() => {}] });
    expect(configureRace(spec, null, {}).config.highmemPages).toBe(0);
    expect(() => configureRace(spec, null, { settings: { highmemPages: 4 } })).toThrow(/ignores high memory/);
  });
});
