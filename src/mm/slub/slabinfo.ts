/**
 * SLUB's caches as text: /proc/slabinfo, and what the tool `slabinfo` that comes with the kernel makes of /sys/slab. 2.6.22 has the second only.
 * Source: s_show() in mm/slub.c, Linux 2.6.30; Documentation/vm/slabinfo.c, slab_objects() in mm/slub.c, Linux 2.6.22.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { atomic_read } from '../../shared/atomic.js';
import { container_of, list_next } from '../../shared/list.js';
import { struct_page } from '../../shared/structs/page.js';
import { NULL, vaddr } from '../../shared/types.js';
import type { Cache } from '../slab-common.js';
import { SLABINFO_HEADER, slabinfoRow } from '../slabinfo.js';
import { eachCache } from '../slub.js';
import { cpuSlabOf, get_node, nameOf, partialOf } from './cache.js';
import {
  SLAB_CACHE_DMA,
  SLAB_DEBUG_FREE,
  SLAB_HWCACHE_ALIGN,
  SLAB_POISON,
  SLAB_RECLAIM_ACCOUNT,
  SLAB_RED_ZONE,
  SLAB_STORE_USER,
  SLAB_TRACE,
} from './sizes.js';

/** Letters in the tool's order. */
const LETTERS: readonly (readonly [string, number])[] = [
  ['d', SLAB_CACHE_DMA],
  ['A', SLAB_HWCACHE_ALIGN],
  ['P', SLAB_POISON],
  ['a', SLAB_RECLAIM_ACCOUNT],
  ['Z', SLAB_RED_ZONE],
  ['F', SLAB_DEBUG_FREE],
  ['U', SLAB_STORE_USER],
  ['T', SLAB_TRACE],
];

const HEAD = 'Name                   Objects Objsize    Space Slabs/Part/Cpu  O/S O %Fr %Ef Flg';

/** Every cache that has slabs, by name. Context: nobody allocates or frees. */
export function slabinfo(k: Kernel): string[] {
  const rows = eachCache(k).map((s) => ({ name: nameOf(k, s), s }));
  rows.sort((a, b) => (a.name < b.name ? -1 : 1));
  return [HEAD, ...rows.flatMap(({ name, s }) => row(k, name, s))];
}

/**
 * /proc/slabinfo: all caches. Objects count as active unless they are free in a slab of the partial list: what the CPUs' slabs have is not looked at.
 *
 * Context: nobody allocates or frees.
 * Source:  s_show(), mm/slub.c, Linux 2.6.30; cache_show(), mm/slab_common.c, Linux 4.9.
 */
export function proc_slabinfo(k: Kernel): string[] {
  return [...SLABINFO_HEADER, ...eachCache(k).map((s) => procRow(k, s))];
}

function procRow(k: Kernel, s: Cache): string {
  const f = k.structs.kmem_cache;
  const perSlab = k.read(s, f.objects);
  const n = get_node(k, s);
  const head = partialOf(k, n);
  let free = 0;
  for (let e = list_next(k, head); e !== head; e = list_next(k, e)) {
    free += perSlab - k.read(container_of<'page'>(e, struct_page.lru.offset), struct_page.inuse);
  }
  const slabs = atomic_read(k, vaddr(n + k.structs.kmem_cache_node.nr_slabs.offset));
  return slabinfoRow({
    ...{ name: nameOf(k, s), active: slabs * perSlab - free, objects: slabs * perSlab, size: k.read(s, f.size) },
    ...{ perSlab, pages: 1 << k.read(s, f.order), tunables: [0, 0, 0], slabs: [slabs, slabs, 0] },
  });
}

interface Slabs {
  readonly slabs: number;
  readonly partial: number;
  readonly cpuSlabs: number;
  /** Those in a CPU's slab count as allocated, for nobody sees what the CPU has of them. */
  readonly objects: number;
}

function countSlabs(k: Kernel, s: Cache): Slabs {
  const n = get_node(k, s);
  const head = partialOf(k, n);
  let objects = 0;
  for (let e = list_next(k, head); e !== head; e = list_next(k, e)) {
    objects += k.read(container_of<'page'>(e, struct_page.lru.offset), struct_page.inuse);
  }
  let cpuSlabs = 0;
  for (let cpu = 0; cpu < k.config.cpus; cpu++) {
    const page = k.loadPtr<'page'>(cpuSlabOf(k, s, cpu));
    if (page === NULL) continue;
    cpuSlabs++;
    objects += k.read(page, struct_page.inuse);
  }
  const slabs = atomic_read(k, vaddr(n + k.structs.kmem_cache_node.nr_slabs.offset));
  const partial = k.read(n, k.structs.kmem_cache_node.nr_partial);
  objects += (slabs - partial - cpuSlabs) * k.read(s, k.structs.kmem_cache.objects);
  return { slabs, partial, cpuSlabs, objects };
}

function row(k: Kernel, name: string, s: Cache): string[] {
  const f = k.structs.kmem_cache;
  const { slabs, partial, cpuSlabs, objects } = countSlabs(k, s);
  if (slabs === 0) return [];
  const objsize = k.read(s, f.objsize);
  const order = k.read(s, f.order);
  const space = slabs * (4096 << order);
  const flags = k.read(s, f.flags);
  const shared = k.read(s, f.refcount) > 1 ? '*' : '';
  const letters = LETTERS.map(([letter, bit]) => ((flags & bit) !== 0 ? letter : '')).join('');
  return [
    [
      name.padEnd(21),
      String(objects).padStart(8),
      String(objsize).padStart(7),
      store_size(space).padStart(8),
      `${slabs}/${partial}/${cpuSlabs}`.padStart(14),
      String(k.read(s, f.objects)).padStart(4),
      String(order),
      String(Math.floor((partial * 100) / slabs)).padStart(3),
      String(Math.floor((objects * objsize * 100) / space)).padStart(3),
      shared + letters,
    ].join(' '),
  ];
}

/** 4096 is `4.0K`. */
function store_size(value: number): string {
  const [divisor, trailer] = value > 1e9 ? [1e8, 'G'] : value > 1e6 ? [1e5, 'M'] : value > 1000 ? [100, 'K'] : [1, ''];
  const text = String(Math.floor(value / divisor));
  return divisor === 1 ? text : `${text.slice(0, -1)}.${text.slice(-1)}${trailer}`;
}
