/** The layouts of spec/slab-dma.md §1, whose numbers were printed by compiling the headers of Linux 2.6.22.19. */
import { describe, expect, it } from 'vitest';
import type { Field } from '../../src/shared/layout.js';
import {
  layoutStructs,
  lockLayout,
  type StructConfig,
  struct_page_split_ptl_debug,
  struct_scatterlist,
  struct_scatterlist_parisc,
  struct_vm_area_struct,
} from '../../src/shared/structs/configured.js';

const up: StructConfig = {
  smp: false,
  preempt: false,
  debugSpinlock: false,
  lockdep: false,
  nrCpus: 1,
  cpu: 'arm',
  debugSlab: false,
};
const smp: StructConfig = { ...up, smp: true, nrCpus: 4 };

const CONFIGS: readonly StructConfig[] = [
  up,
  smp,
  { ...smp, preempt: true },
  { ...up, debugSpinlock: true },
  { ...smp, debugSpinlock: true },
  { ...smp, cpu: 'pa2.0' },
  { ...smp, cpu: 'pa1.1' },
];

const offset = (f: unknown): number => (f as Field<string>).offset;

describe('a spinlock and a reader-writer lock', () => {
  it('are as wide as the configuration makes them', () => {
    const sizes = (c: StructConfig): number[] => [lockLayout(c, 'spin').sizeof, lockLayout(c, 'rw').sizeof];
    expect(CONFIGS.map(sizes)).toEqual([
      [0, 0],
      [4, 4],
      [8, 8],
      [16, 12],
      [16, 16],
      [4, 8],
      [16, 20],
    ]);
    expect(sizes({ ...up, debugSpinlock: true, lockdep: true })).toEqual([40, 36]);
  });

  it('have magic, owner_cpu and owner behind the raw lock when they are debugged', () => {
    expect(lockLayout({ ...smp, debugSpinlock: true }, 'spin')).toMatchObject({ magic: 4, owner_cpu: 8, owner: 12 });
    expect(lockLayout({ ...up, debugSpinlock: true }, 'rw')).toMatchObject({ magic: 0, owner_cpu: 4, owner: 8 });
  });
});

describe('struct kmem_cache of SLUB', () => {
  it.each([
    ['local_node', [20, 20, 20, 20, 20, 20, 20]],
    ['objects', [44, 48, 52, 60, 60, 48, 60]],
    ['list', [68, 72, 76, 84, 84, 72, 84]],
    ['kobj', [76, 80, 84, 92, 92, 80, 92]],
    ['cpu_slab', [136, 144, 152, 168, 168, 144, 168]],
  ] as const)('has %s where seven configurations put it', (name, offsets) => {
    expect(CONFIGS.map((c) => offset(layoutStructs(c).kmem_cache[name]))).toEqual(offsets);
  });

  it('ends where its last CPU does', () => {
    expect(CONFIGS.map((c) => layoutStructs(c).kmem_cache.sizeof)).toEqual([140, 160, 168, 172, 184, 160, 184]);
  });

  it('has a node whose counters stand behind the lock', () => {
    const node = (c: StructConfig) => layoutStructs(c).kmem_cache_node;
    expect(CONFIGS.map((c) => offset(node(c).nr_partial))).toEqual([0, 4, 8, 16, 16, 4, 16]);
    expect(CONFIGS.map((c) => offset(node(c).full))).toEqual([16, 20, 24, 32, 32, 20, 32]);
    expect(CONFIGS.map((c) => node(c).sizeof)).toEqual([24, 28, 32, 40, 40, 28, 40]);
  });
});

describe('struct address_space', () => {
  it.each([
    ['i_mmap_writable', [16, 20, 24, 28, 32, 24, 36]],
    ['i_mmap', [20, 24, 28, 32, 36, 28, 40]],
    ['i_mmap_nonlinear', [28, 32, 36, 40, 44, 36, 48]],
    ['truncate_count', [36, 44, 52, 64, 68, 48, 72]],
    ['a_ops', [48, 56, 64, 76, 80, 60, 84]],
    ['private_list', [60, 72, 84, 104, 108, 76, 112]],
    ['assoc_mapping', [68, 80, 92, 112, 116, 84, 120]],
  ] as const)('has %s where seven configurations put it', (name, offsets) => {
    expect(CONFIGS.map((c) => offset(layoutStructs(c).address_space[name]))).toEqual(offsets);
  });

  it('is as long as they make it', () => {
    expect(CONFIGS.map((c) => layoutStructs(c).address_space.sizeof)).toEqual([72, 84, 96, 116, 120, 88, 124]);
  });

  it('has the root of its tree where a cache counts partial slabs, unless the two locks differ in width', () => {
    const alias = (c: StructConfig): string => {
      const { address_space, kmem_cache, kmem_cache_node } = layoutStructs(c);
      const at = address_space.i_mmap.offset - kmem_cache.local_node.offset;
      const fields = ['list_lock', 'nr_partial', 'nr_slabs', 'partial'] as const;
      return fields.filter((f) => kmem_cache_node[f].offset <= at).at(-1) as string;
    };
    expect(CONFIGS.map(alias)).toEqual([
      'nr_partial',
      'nr_partial',
      'nr_partial',
      'list_lock',
      'nr_partial',
      'nr_slabs',
      'nr_slabs',
    ]);
  });
});

describe('the structs of SLAB', () => {
  it('are laid out for one CPU and for four', () => {
    const one = layoutStructs(up);
    const four = layoutStructs(smp);
    expect([one.slab_kmem_cache.sizeof, four.slab_kmem_cache.sizeof]).toEqual([80, 92]);
    expect([one.slab_kmem_cache.buffer_size.offset, four.slab_kmem_cache.buffer_size.offset]).toEqual([16, 28]);
    expect([one.slab_kmem_cache.nodelists.offset, four.slab_kmem_cache.nodelists.offset]).toEqual([76, 88]);
    expect([one.kmem_list3.sizeof, four.kmem_list3.sizeof]).toEqual([52, 56]);
    expect([one.kmem_list3.shared.offset, four.kmem_list3.shared.offset]).toEqual([36, 40]);
    expect([one.array_cache.sizeof, four.array_cache.sizeof]).toEqual([16, 20]);
    expect(one.slab.sizeof).toBe(28);
  });
});

describe('structs that depend on nothing', () => {
  it('are as the compiler laid them out', () => {
    expect(struct_vm_area_struct.shared.offset).toBe(36);
    expect(struct_vm_area_struct.vm_pgoff.offset).toBe(68);
    expect([struct_scatterlist.length.offset, struct_scatterlist.sizeof]).toEqual([12, 16]);
    expect([struct_scatterlist_parisc.length.offset, struct_scatterlist_parisc.sizeof]).toEqual([8, 20]);
    expect([struct_page_split_ptl_debug.index.offset, struct_page_split_ptl_debug.mapping.offset]).toEqual([28, 16]);
  });
});
