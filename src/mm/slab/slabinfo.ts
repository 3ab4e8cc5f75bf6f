/** /proc/slabinfo of SLAB. Source: s_show(), print_slabinfo_header(), mm/slab.c, Linux 2.6.22. */
import type { Kernel } from '../../cpu/kernel.js';
import { NULL } from '../../shared/types.js';
import { countList, eachCache, sharedOf } from '../slab.js';
import { SLABINFO_HEADER, slabinfoRow } from '../slabinfo.js';
import { freeOf, fullOf, nodelist, partialOf, type SlabCache, slabNameOf } from './cache.js';

/** /proc/slabinfo. Context: nobody allocates or frees. Source: s_show(), print_slabinfo_header(), Linux 2.6.22, without statistics. */
export function slabinfo(k: Kernel): string[] {
  return [...SLABINFO_HEADER, ...eachCache(k).map((s) => slabinfoLine(k, s))];
}

/** Objects in arrays count as active here, but for those in the shared one. */
function slabinfoLine(k: Kernel, s: SlabCache): string {
  const f = k.structs.slab_kmem_cache;
  const l3 = nodelist(k, s);
  const num = k.read(s, f.num);
  const [partial, full, free] = [partialOf(k, l3), fullOf(k, l3), freeOf(k, l3)].map((head) => countList(k, head));
  const activeSlabs = (partial?.slabs ?? 0) + (full?.slabs ?? 0);
  const slabs = activeSlabs + (free?.slabs ?? 0);
  const active = (full?.slabs ?? 0) * num + (partial?.inuse ?? 0);
  const shared = sharedOf(k, l3);
  const sharedAvail = shared === NULL ? 0 : k.read(shared, k.structs.array_cache.avail);
  return slabinfoRow({
    ...{ name: slabNameOf(k, s), active, objects: slabs * num, size: k.read(s, f.buffer_size), perSlab: num },
    pages: 1 << k.read(s, f.gfporder),
    tunables: [k.read(s, f.limit), k.read(s, f.batchcount), k.read(s, f.shared)],
    slabs: [activeSlabs, slabs, sharedAvail],
  });
}
