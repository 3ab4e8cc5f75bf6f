/**
 * The structs whose layout depends on the kernel's configuration: what a lock is decides where everything behind it lies.
 *
 * Source: include/linux/{spinlock_types,slub_def,fs,prio_tree,mm_types}.h, mm/slab.c, lib/kobject, Linux 2.6.22.19, 32 bit;
 * spec/slab-dma.md §1. `layoutStructs` is pure: the same configuration gives the same layouts in every worker.
 */
import { defineStruct } from '../layout.js';

/** What the layouts depend on. */
export interface StructConfig {
  readonly smp: boolean;
  /** CONFIG_PREEMPT: spinlocks have a break_lock if there are several CPUs. */
  readonly preempt: boolean;
  /** CONFIG_DEBUG_SPINLOCK. */
  readonly debugSpinlock: boolean;
  /** CONFIG_DEBUG_LOCK_ALLOC, without LOCK_STAT. */
  readonly lockdep: boolean;
  /** Entries of per-CPU arrays. */
  readonly nrCpus: number;
  readonly cpu: 'arm' | 'pa1.1' | 'pa2.0';
  /** CONFIG_DEBUG_SLAB adds two words to SLAB's kmem_cache. */
  readonly debugSlab: boolean;
}

/** Where the parts of a lock are, from its start; -1 for what it does not have. */
export interface LockLayout {
  readonly sizeof: number;
  readonly rawBytes: number;
  readonly break_lock: number;
  readonly magic: number;
  readonly owner_cpu: number;
  readonly owner: number;
}

const LOCKDEP_MAP_BYTES = 12;

/** `spinlock_t`, `rwlock_t`: raw lock, break_lock, magic, owner_cpu, owner, dep_map. Source: include/linux/spinlock_types.h. */
export function lockLayout(config: StructConfig, kind: 'spin' | 'rw'): LockLayout {
  const rawBytes = rawLockBytes(config, kind);
  let next = rawBytes;
  const word = (there: boolean): number => {
    if (!there) return -1;
    next += 4;
    return next - 4;
  };
  const break_lock = word(config.smp && config.preempt);
  const magic = word(config.debugSpinlock);
  const owner_cpu = word(config.debugSpinlock);
  const owner = word(config.debugSpinlock);
  const sizeof = next + (config.lockdep ? LOCKDEP_MAP_BYTES : 0);
  // With DEBUG_LOCK_ALLOC the raw locks of one CPU are as spec/slab-dma.md §1.1 has them.
  return { sizeof, rawBytes, break_lock, magic, owner_cpu, owner };
}

function rawLockBytes({ smp, cpu, debugSpinlock, lockdep }: StructConfig, kind: 'spin' | 'rw'): number {
  if (!smp) return debugSpinlock && (kind === 'spin' || lockdep) ? (lockdep ? LOCKDEP_RAW[kind] : 4) : 0;
  if (cpu === 'arm') return 4;
  if (cpu === 'pa2.0') return kind === 'spin' ? 4 : 8;
  return kind === 'spin' ? 16 : 20;
}

/** Raw lock words of one CPU with DEBUG_SPINLOCK and DEBUG_LOCK_ALLOC: the raw lock has a dep_map of its own. */
const LOCKDEP_RAW = { spin: 16, rw: 12 } as const;

/** Hands out offsets one after the other, as a compiler does for words. */
class Layout {
  at = 0;
  take(bytes: number): number {
    this.at += bytes;
    return this.at - bytes;
  }
  word(): number {
    return this.take(4);
  }
}

function kmemCacheNode(spin: number) {
  const l = new Layout();
  const list_lock = l.take(spin);
  return defineStruct('kmem_cache_node', spin + 24, {
    list_lock: [list_lock, spin],
    nr_partial: l.word(),
    nr_slabs: l.word(),
    partial: [l.take(8), 8],
    full: [l.take(8), 8],
  });
}

/** Bytes of a kobject: name, links, and the wait queue `poll`. */
const kobjectBytes = (spin: number): number => 52 + spin + 8;

function kmemCache(config: StructConfig, spin: number) {
  const l = new Layout();
  const [flags, size, objsize, offset, order] = [l.word(), l.word(), l.word(), l.word(), l.word()];
  const node = l.take(spin + 24);
  const [objects, refcount, ctor, inuse, align, name] = [l.word(), l.word(), l.word(), l.word(), l.word(), l.word()];
  const list = l.take(8);
  const kobj = l.take(kobjectBytes(spin));
  const cpu_slab = l.take(config.nrCpus * 4);
  return defineStruct('kmem_cache', l.at, {
    flags,
    size,
    objsize,
    offset,
    order,
    local_node: [node, spin + 24],
    objects,
    refcount,
    ctor,
    inuse,
    align,
    name,
    list: [list, 8],
    kobj: [kobj, kobjectBytes(spin)],
    cpu_slab: [cpu_slab, config.nrCpus * 4],
  });
}

function addressSpace(spin: number, rw: number) {
  const l = new Layout();
  const host = l.word();
  const page_tree = l.take(12);
  const tree_lock = l.take(rw);
  const i_mmap_writable = l.word();
  const i_mmap = l.take(8);
  const i_mmap_nonlinear = l.take(8);
  const i_mmap_lock = l.take(spin);
  const [truncate_count, nrpages, writeback_index, a_ops, flags, bdi] = [
    l.word(),
    l.word(),
    l.word(),
    l.word(),
    l.word(),
    l.word(),
  ];
  const private_lock = l.take(spin);
  const private_list = l.take(8);
  const assoc_mapping = l.word();
  return defineStruct('address_space', l.at, {
    host,
    page_tree: [page_tree, 12],
    tree_lock: [tree_lock, rw],
    i_mmap_writable,
    i_mmap: [i_mmap, 8],
    i_mmap_nonlinear: [i_mmap_nonlinear, 8],
    i_mmap_lock: [i_mmap_lock, spin],
    truncate_count,
    nrpages,
    writeback_index,
    a_ops,
    flags,
    backing_dev_info: bdi,
    private_lock: [private_lock, spin],
    private_list: [private_list, 8],
    assoc_mapping,
  });
}

/** SLAB's own `struct kmem_cache`. Differs: with DEBUG_SLAB obj_offset and obj_size stand behind nodelists, the statistics are left out. */
function slabKmemCache(config: StructConfig) {
  const l = new Layout();
  const array = l.take(config.nrCpus * 4);
  const words = {
    batchcount: l.word(),
    limit: l.word(),
    shared: l.word(),
    buffer_size: l.word(),
    reciprocal_buffer_size: l.word(),
    flags: l.word(),
    num: l.word(),
    gfporder: l.word(),
    gfpflags: l.word(),
    colour: l.word(),
    colour_off: l.word(),
    slabp_cache: l.word(),
    slab_size: l.word(),
    dflags: l.word(),
    ctor: l.word(),
    name: l.word(),
  };
  const next = l.take(8);
  const nodelists = l.word();
  const debug = l.at;
  return defineStruct(
    'slab_kmem_cache',
    debug + (config.debugSlab ? 8 : 0),
    {
      array: [array, config.nrCpus * 4],
      ...words,
      next: [next, 8],
      nodelists,
      obj_offset: config.debugSlab ? debug : 0,
      obj_size: config.debugSlab ? debug + 4 : 0,
    },
    [['array', 'obj_offset', 'obj_size']],
  );
}

function kmemList3(spin: number) {
  return defineStruct('kmem_list3', 36 + spin + 16, {
    slabs_partial: [0, 8],
    slabs_full: [8, 8],
    slabs_free: [16, 8],
    free_objects: 24,
    free_limit: 28,
    colour_next: 32,
    list_lock: [36, spin],
    shared: 36 + spin,
    alien: 40 + spin,
    next_reap: 44 + spin,
    free_touched: 48 + spin,
  });
}

/** `struct array_cache`: the entries follow the head. */
function arrayCache(spin: number) {
  return defineStruct('array_cache', 16 + spin, {
    avail: 0,
    limit: 4,
    batchcount: 8,
    touched: 12,
    lock: [16, spin],
  });
}

/** `struct slab`: kmem_bufctl_t of every object follows. */
const struct_slab = defineStruct('slab', 28, {
  list: [0, 8],
  colouroff: 8,
  s_mem: 12,
  inuse: 16,
  free: 20,
  nodeid: [24, 2],
});

/** `struct prio_tree_root`. Source: include/linux/prio_tree.h. */
export const struct_prio_tree_root = defineStruct('prio_tree_root', 8, {
  prio_tree_node: 0,
  index_bits: [4, 2],
  raw: [6, 2],
});
/** `struct prio_tree_node`, and the raw form without start and last that a VMA embeds. */
export const struct_prio_tree_node = defineStruct('prio_tree_node', 20, {
  left: 0,
  right: 4,
  parent: 8,
  start: 12,
  last: 16,
});
/** `struct vm_area_struct` with an MMU, without NUMA. Source: include/linux/mm_types.h. */
export const struct_vm_area_struct = defineStruct(
  'vm_area_struct',
  84,
  {
    vm_mm: 0,
    vm_start: 4,
    vm_end: 8,
    vm_next: 12,
    vm_page_prot: 16,
    vm_flags: 20,
    vm_rb: [24, 12],
    shared: [36, 16],
    shared_left: 36,
    shared_right: 40,
    shared_parent: 44,
    shared_head: 48,
    anon_vma_node: [52, 8],
    anon_vma: 60,
    vm_ops: 64,
    vm_pgoff: 68,
    vm_file: 72,
    vm_private_data: 76,
    vm_truncate_count: 80,
  },
  [
    ['shared', 'shared_left'],
    ['shared', 'shared_right'],
    ['shared', 'shared_parent'],
    ['shared', 'shared_head'],
  ],
);
/** `struct scatterlist` of ARM. Source: include/asm-arm/scatterlist.h. */
export const struct_scatterlist = defineStruct('scatterlist', 16, { page: 0, offset: 4, dma_address: 8, length: 12 });
/** `struct scatterlist` of PA-RISC. Source: include/asm-parisc/scatterlist.h. */
export const struct_scatterlist_parisc = defineStruct('scatterlist_parisc', 20, {
  page: 0,
  offset: 4,
  length: 8,
  iova: 12,
  iova_length: 16,
});

/** `struct page` on several CPUs with DEBUG_SPINLOCK: the split page-table lock is wider than the word it shares. */
export const struct_page_split_ptl_debug = defineStruct(
  'page',
  40,
  {
    flags: 0,
    _count: 4,
    _mapcount: 8,
    private: 12,
    ptl: [12, 16],
    mapping: 16,
    slab: 16,
    index: 28,
    lru: [32, 8],
  },
  [
    ['mapping', 'slab', 'ptl'],
    ['private', 'ptl'],
  ],
);

/** The layouts of one configuration. */
export type Structs = ReturnType<typeof layoutStructs>;

/** Source: spec/slab-dma.md §1.4 to §1.6. */
export function layoutStructs(config: StructConfig) {
  const spinlock = lockLayout(config, 'spin');
  const rwlock = lockLayout(config, 'rw');
  const structs = {
    smp: config.smp,
    spinlock,
    rwlock,
    kmem_cache_node: kmemCacheNode(spinlock.sizeof),
    kmem_cache: kmemCache(config, spinlock.sizeof),
    address_space: addressSpace(spinlock.sizeof, rwlock.sizeof),
    slab_kmem_cache: slabKmemCache(config),
    kmem_list3: kmemList3(spinlock.sizeof),
    array_cache: arrayCache(spinlock.sizeof),
    slab: struct_slab,
  };
  // A parsed object has fields to V8, one that grew key by key is a hash table.
  return JSON.parse(JSON.stringify(structs)) as typeof structs;
}
