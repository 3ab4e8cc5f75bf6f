/**
 * The oops of seed 001 on configurations that nobody has chosen: whatever stands in the bytes of struct kmem_cache that are read as a file's tree is what
 * the fault address, the fault status and the registers follow from. The offsets are those of spec/slab-dma.md §1.4, §1.5 and §1.7, not the model's.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CORES } from '../../src/arch/arch.js';
import type { MachineConfig } from '../../src/cpu/config.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { flush_dcache_page } from '../../src/mm/flush.js';
import { GFP_KERNEL } from '../../src/mm/page_alloc.js';
import { virt_to_head_page } from '../../src/mm/slab-common.js';
import { __kmalloc, countCache, kfree, kmallocCache } from '../../src/mm/slub.js';
import { KernelBug } from '../../src/shared/errors.js';
import { struct_page } from '../../src/shared/structs/page.js';
import { type Vaddr, vaddr } from '../../src/shared/types.js';
import { dmesgOf, localMachine } from '../machine.js';

/** Where i_mmap.prio_tree_node, i_mmap.raw and i_mmap_nonlinear of struct address_space are, and nr_partial of struct kmem_cache. */
interface Layout {
  readonly root: number;
  readonly raw: number;
  readonly nonlinear: number;
  readonly nrPartial: number;
}
const UP: Layout = { root: 20, raw: 26, nonlinear: 28, nrPartial: 20 };
const UP_DEBUG: Layout = { root: 32, raw: 38, nonlinear: 40, nrPartial: 36 };
const SMP: Layout = { root: 24, raw: 30, nonlinear: 32, nrPartial: 24 };
const SMP_PREEMPT: Layout = { root: 28, raw: 34, nonlinear: 36, nrPartial: 28 };
const SMP_DEBUG: Layout = { root: 36, raw: 42, nonlinear: 44, nrPartial: 36 };
/** Both locks have break_lock before the words of the debugger. */
const SMP_PREEMPT_DEBUG: Layout = { root: 40, raw: 46, nonlinear: 48, nrPartial: 40 };

interface Machine {
  readonly core: string;
  readonly options: Partial<MachineConfig>;
  readonly size: number;
  readonly partial: number;
}

function layoutOf({ options }: Machine): Layout {
  if (options.cpus === 1) return options.debugSpinlock === true ? UP_DEBUG : UP;
  if (options.debugSpinlock === true) return options.preempt === true ? SMP_PREEMPT_DEBUG : SMP_DEBUG;
  return options.preempt === true ? SMP_PREEMPT : SMP;
}

const VIVT = CORES.filter((c) => c.arch === 'arm' && c.dcache.tagBy === 'VA');
const PARISC_UP = ['pcxs', 'pcxt', 'pcxl', 'pcxl2', 'pcxu'];
/** Of one page, whatever the debugging: the order is what several CPUs have for a lock. */
const SMALL = [8, 16, 32, 60, 64, 96, 128, 192, 256, 512];

const common = {
  kernel: fc.constant('2.6.22'),
  patches: fc.constant([]),
  lowmemPages: fc.constantFrom(256, 384, 512),
  slubDebug: fc.constantFrom('', '', 'Z', 'P', 'U', 'F', 'ZP', 'ZPU', 'FZPU', 'Z,kmalloc-96', 'P,nothing'),
  slubMaxOrder: fc.constantFrom(1, 1, 2, 3),
  slubMinObjects: fc.constantFrom(1, 4, 8),
  seed: fc.nat(),
};

const arm: fc.Arbitrary<Machine> = fc
  .record({
    core: fc.constantFrom(...VIVT.map((c) => c.id)),
    options: fc.record({
      ...common,
      oabi: fc.boolean(),
      preempt: fc.boolean(),
      debugSpinlock: fc.boolean(),
      highmemPages: fc.constantFrom(0, 16),
      cpus: fc.constantFrom(1, 1, 2),
    }),
    size: fc.constantFrom(...SMALL, 1024, 2048),
    partial: fc.nat(9),
  })
  .map(({ core, options, size, partial }) => {
    const cpus = core === 'vivt-shared' ? options.cpus : 1;
    // The lock debugger reads further words of the cache; only one page is no lock that is held.
    const plain = { ...options, slubMaxOrder: 1, slubMinObjects: 4 };
    return cpus === 1
      ? { core, options: { ...options, cpus }, size, partial }
      : { core, options: { ...plain, cpus }, size: Math.min(size, 512), partial };
  });

const parisc: fc.Arbitrary<Machine> = fc.record({
  core: fc.constantFrom(...PARISC_UP),
  options: fc.record({ ...common, preempt: fc.constant(false), cpus: fc.constant(1) }),
  size: fc.constantFrom(...SMALL, 1024, 2048),
  partial: fc.nat(9),
});

const boot = ({ core, options }: Machine): Kernel => localMachine(core, options).k;

/** So many slabs are partial. Return: an object of the CPU's slab. */
function withPartial(k: Kernel, size: number, n: number): Vaddr {
  const { objectsPerSlab } = countCache(k, kmallocCache(k, size));
  const objects: Vaddr[] = [];
  for (let i = 0; i < n * objectsPerSlab + 1; i++) objects.push(__kmalloc(k, size, GFP_KERNEL));
  for (let i = 0; i < n; i++) kfree(k, objects[i * objectsPerSlab] as Vaddr);
  return objects.at(-1) as Vaddr;
}

/** Address of the fault, or null. */
function flush(k: Kernel, x: Vaddr): number | null {
  try {
    flush_dcache_page(k, virt_to_head_page(k, x));
    return null;
  } catch (error) {
    if (error instanceof KernelBug && error.kind === 'oops') return error.addr >>> 0;
    throw error;
  }
}

const word = (k: Kernel, at: number): number => k.load(vaddr(at)) >>> 0;
const half = (k: Kernel, at: number): number => k.load16(vaddr(at));

/** What get_index() loads first, from the bytes as they are. Null: nothing is mapped, nothing is walked. */
function expectedFault(k: Kernel, s: number, { root, raw, nonlinear }: Layout): number | null {
  const node = word(k, s + root);
  if (node === 0 && word(k, s + nonlinear) === s + nonlinear) return null;
  return (node + (half(k, s + raw) === 0 ? 12 : 32)) >>> 0;
}

const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, '0');

function expectArmOops(k: Kernel, s: number, layout: Layout, node: number, address: number): void {
  const text = dmesgOf(k);
  const what = address < 4096 ? 'NULL pointer dereference' : 'paging request';
  expect(text).toContain(`Unable to handle kernel ${what} at virtual address ${hex(address)}`);
  const oops = text.find((l) => l.startsWith('Internal error'));
  expect(oops?.startsWith(`Internal error: Oops: ${address % 4 === 0 ? 5 : 1} [#1]`)).toBe(true);
  expect(text).toContain(`sp : ????????  ip : ${hex(node - 36)}  fp : ????????`);
  expect(text).toContain(`r3 : ????????  r2 : ????????  r1 : ${hex(node)}  r0 : ${hex(s + layout.root)}`);
}

describe('flush_dcache_page() of a slab page before page_mapping() knew slabs, on machines drawn by lot', () => {
  it('faults on ARM where the bytes of the cache say, with the status and the registers that follow', () => {
    fc.assert(
      fc.property(arm, (m) => {
        const k = boot(m);
        fc.pre(countCache(k, kmallocCache(k, m.size)).objectsPerSlab > 1);
        const layout = layoutOf(m);
        const x = withPartial(k, m.size, m.partial);
        const s = kmallocCache(k, m.size) as number;
        expect(word(k, s + layout.nrPartial)).toBe(m.partial);
        const node = word(k, s + layout.root);
        // One CPU with debugged locks: the owner of a free lock. Else the partial slabs.
        expect(node).toBe(layout === UP_DEBUG ? 0xffffffff : m.partial);
        const address = expectedFault(k, s, layout);
        expect(flush(k, x)).toBe(address);
        if (address !== null) expectArmOops(k, s, layout, node, address);
        else if (m.options.cpus === 1) {
          expect((k.read(virt_to_head_page(k, x), struct_page.flags) >>> 9) & 1).toBe(1);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('follows any value of the two words, as far as nothing is mapped there', () => {
    const value = fc.oneof(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 0x3fff_ff00 }));
    const slabs = fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0, max: 0x7fff_ffff }));
    fc.assert(
      fc.property(arm, value, slabs, (m, node, nr_slabs) => {
        const k = boot({ ...m, partial: 0 });
        const layout = layoutOf(m);
        const x = withPartial(k, m.size, 0);
        const s = kmallocCache(k, m.size) as number;
        k.store(vaddr(s + layout.root), node);
        k.store(vaddr(s + layout.raw - 2), nr_slabs);
        const address = (node + (nr_slabs >>> 16 === 0 ? 12 : 32)) >>> 0;
        expect(expectedFault(k, s, layout)).toBe(address);
        expect(flush(k, x)).toBe(address);
        expectArmOops(k, s, layout, node, address);
      }),
      { numRuns: 40 },
    );
  });

  it('faults on PA-RISC at the VMA that the number of slabs makes of the node', () => {
    fc.assert(
      fc.property(parisc, (m) => {
        const k = boot(m);
        fc.pre(countCache(k, kmallocCache(k, m.size)).objectsPerSlab > 1);
        const x = withPartial(k, m.size, m.partial);
        const s = kmallocCache(k, m.size) as number;
        expect(word(k, s + UP.root)).toBe(m.partial);
        // Big-endian: the half word behind is the low one of nr_slabs.
        expect(half(k, s + UP.raw)).toBe(m.partial + 1);
        const address = expectedFault(k, s, UP);
        expect(address).toBe(m.partial === 0 ? null : m.partial + 32);
        expect(flush(k, x)).toBe(address);
        if (address !== null) {
          expect(
            dmesgOf(k).some((l) => l.startsWith('Kernel Fault: Code=') && l.endsWith(`(Addr=${hex(address)})`)),
          ).toBe(true);
        }
      }),
      { numRuns: 20 },
    );
  });
});
