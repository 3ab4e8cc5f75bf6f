/** flush_dcache_page() on PA-RISC, and the words of SLUB that it takes for a file's. spec/slab-dma.md §1.7, §3.4, S19 to S22. */
import { describe, expect, it } from 'vitest';
import type { MachineConfig } from '../../src/cpu/config.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import {
  type AddressSpace,
  add_to_page_cache,
  address_space_init_once,
  treeLockOf,
  vma_link,
} from '../../src/mm/filemap.js';
import { flush_dcache_page, set_user_pte } from '../../src/mm/flush.js';
import { writeLockIrq, writeUnlockIrq } from '../../src/mm/lock-types.js';
import { lowmem_page_address, type Page, page_to_phys } from '../../src/mm/page.js';
import { alloc_page, GFP_KERNEL } from '../../src/mm/page_alloc.js';
import { USER_WINDOW } from '../../src/mm/parisc/boot.js';
import type { Vma } from '../../src/mm/prio_tree.js';
import { virt_to_head_page } from '../../src/mm/slab-common.js';
import { __kmalloc, kfree, kmallocCache } from '../../src/mm/slub.js';
import { KernelBug } from '../../src/shared/errors.js';
import { struct_page } from '../../src/shared/structs/page.js';
import { type Paddr, ptr, type Vaddr, vaddr } from '../../src/shared/types.js';
import { dmesgOf, localMachine } from '../machine.js';

const machine = (options: Partial<MachineConfig> = {}, core = 'pcxs'): Kernel =>
  localMachine(core, { kernel: '2.6.22', patches: [], preempt: false, lowmemPages: 512, ...options }).k;

/** So many slabs of kmalloc-64 are partial. Return: an object of the CPU's slab. */
function withPartial(k: Kernel, n: number): Vaddr {
  const objects = Array.from({ length: (n + 1) * 64 }, () => __kmalloc(k, 64, GFP_KERNEL));
  for (let i = 0; i < n; i++) kfree(k, objects[i * 64] as Vaddr);
  return objects.at(-1) as Vaddr;
}

function faultOf(act: () => void): number {
  try {
    act();
    return -1;
  } catch (error) {
    if (error instanceof KernelBug) return error.addr;
    throw error;
  }
}

const flush = (k: Kernel, x: Vaddr): number => faultOf(() => flush_dcache_page(k, virt_to_head_page(k, x)));
const marked = (k: Kernel, page: Page): number => (k.read(page, struct_page.flags) >>> 9) & 1;
const inMemory = (k: Kernel, page: Page): number => k.memory.read32(page_to_phys(k, page) as Paddr) >>> 0;

describe('flush_dcache_page() of a slab page on PA-RISC with one CPU', () => {
  it.each([1, 2, 4, 9])('with %i partial slabs loads vm_pgoff of a VMA that is none', (n) => {
    const k = machine();
    expect(flush(k, withPartial(k, n))).toBe(n + 32);
    expect(dmesgOf(k).find((l) => l.startsWith('Kernel Fault: Code=18'))).toContain('(Addr=000000');
    expect(dmesgOf(k)).toContain(' IAOQ[0]: get_index');
    expect(dmesgOf(k).at(-1)).toBe('Kernel panic - not syncing: Kernel Fault');
  });

  it.each(['pcxt', 'pcxl', 'pcxl2'])(
    'is a violation of access rights on %s, which PCX-S does not tell from others',
    (core) => {
      const k = machine({}, core);
      expect(flush(k, withPartial(k, 4))).toBe(36);
      expect(dmesgOf(k)).toContain('Kernel Fault: Code=26 regs=???????? (Addr=00000024)');
    },
  );

  it('without partial slabs marks the page and flushes no line', () => {
    const k = machine();
    const x = withPartial(k, 0);
    const page = virt_to_head_page(k, x);
    k.store32(lowmem_page_address(k, page), 0x12345678);
    expect([flush(k, x), marked(k, page)]).toEqual([-1, 1]);
    expect(inMemory(k, page)).not.toBe(0x12345678);
  });

  it('flushes it with the test for slabs', () => {
    const k = machine({ patches: ['page-mapping-slab'] });
    const x = withPartial(k, 2);
    const page = virt_to_head_page(k, x);
    k.store32(lowmem_page_address(k, page), 0x12345678);
    expect([flush(k, x), marked(k, page), inMemory(k, page)]).toEqual([-1, 0, 0x12345678]);
  });
});

describe('a page of a file on PA-RISC', () => {
  const setup = (core: string): { k: Kernel; page: Page; vma: Vma; mapping: AddressSpace; at: Vaddr } => {
    const k = machine({ patches: ['page-mapping-slab'] }, core);
    const mapping = ptr<'address_space'>(k.sym.race_data + 64);
    address_space_init_once(k, mapping);
    const page = alloc_page(k, GFP_KERNEL);
    add_to_page_cache(k, page, mapping, 3);
    const vma = ptr<'vm_area_struct'>(k.sym.race_data + 1024);
    return { k, page, vma, mapping, at: vaddr(USER_WINDOW + 0x7000) };
  };

  it.each(['pcxs', 'pcxu', 'pa8800'])('is marked, and flushed when it is mapped: %s', (core) => {
    const { k, page, vma, mapping, at } = setup(core);
    k.store32(lowmem_page_address(k, page), 0x0badcafe);
    flush_dcache_page(k, page);
    expect(marked(k, page)).toBe(1);
    vma_link(k, vma, mapping, { mm: 1, start: at, pages: 1, pgoff: 3, flags: 0 });
    set_user_pte(k, vma, at, page);
    expect([marked(k, page), k.load32(at) >>> 0]).toEqual([0, 0x0badcafe]);
  });

  it('is flushed at the address of user space too, private mapping or not', () => {
    const { k, page, vma, mapping, at } = setup('pcxs');
    vma_link(k, vma, mapping, { mm: 1, start: at, pages: 1, pgoff: 3, flags: 0 });
    set_user_pte(k, vma, at, page);
    const before = k.load32(at) >>> 0;
    k.store32(lowmem_page_address(k, page), ~before);
    expect(k.load32(at) >>> 0).toBe(before);
    flush_dcache_page(k, page);
    expect(k.load32(at) >>> 0).toBe(~before >>> 0);
  });

  it('has a tree_lock that is a spinlock and a counter, the last word of it', () => {
    for (const [core, counter] of [
      ['pcxu', 4],
      ['pcxt-prime', 16],
    ] as const) {
      const k = machine({ cpus: 2 }, core);
      const mapping = ptr<'address_space'>(k.sym.race_data + 64);
      address_space_init_once(k, mapping);
      const lock = treeLockOf(k, mapping);
      writeLockIrq(k, lock);
      expect([k.load(k.lockWord(lock)), k.load(vaddr(lock + counter))]).toEqual([0, -1]);
      writeUnlockIrq(k, lock);
      expect([k.load(k.lockWord(lock)), k.load(vaddr(lock + counter))]).toEqual([1, 0]);
    }
  });
});

describe('SLUB on PA-RISC with several CPUs', () => {
  it.each(['pcxu', 'pcxt-prime'])('has struct kmem_cache laid out with its locks: %s', (core) => {
    const k = machine({ cpus: 2 }, core);
    const { spinlock, kmem_cache_node, kmem_cache } = k.structs;
    expect(spinlock.sizeof).toBe(core === 'pcxu' ? 4 : 16);
    expect(kmem_cache.local_node.offset + kmem_cache_node.nr_partial.offset).toBe(core === 'pcxu' ? 24 : 36);
    const objects = Array.from({ length: 300 }, () => __kmalloc(k, 100, GFP_KERNEL));
    expect(new Set(objects).size).toBe(300);
    for (const x of objects) kfree(k, x);
    expect(k.read(kmallocCache(k, 100), kmem_cache.order)).toBe(0);
  });
});
