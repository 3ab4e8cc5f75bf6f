/**
 * GFP flags by version: which bit has which name, and what the names stand for together.
 *
 * Source: include/linux/gfp.h and include/linux/slab.h, Linux 2.5.53, 2.6.22, 4.10 and 4.12; spec/vmalloc-gfp.md §2. Versions in between take
 * the row of the last of these before them. A flag that a version does not have is 0 there. 4.12's __GFP_NOLOCKDEP is there whatever the
 * configuration.
 */
import type { KernelBase } from '../shared/kernel-base.js';
import { PF_MEMALLOC_NOFS, PF_MEMALLOC_NOIO, task_flags } from '../shared/task.js';
import { LINUX_2_6, LINUX_4_4 } from '../shared/version.js';

const BITS_2_5_53 = {
  __GFP_DMA: 0x01,
  __GFP_HIGHMEM: 0x02,
  __GFP_DMA32: 0,
  __GFP_MOVABLE: 0,
  __GFP_RECLAIMABLE: 0,
  __GFP_WAIT: 0x10,
  __GFP_HIGH: 0x20,
  __GFP_IO: 0x40,
  __GFP_HIGHIO: 0x80,
  __GFP_FS: 0x100,
  __GFP_COLD: 0x200,
  __GFP_NOWARN: 0x400,
  __GFP_REPEAT: 0,
  __GFP_NOFAIL: 0,
  __GFP_NORETRY: 0,
  __GFP_MEMALLOC: 0,
  __GFP_COMP: 0,
  __GFP_ZERO: 0,
  __GFP_NOMEMALLOC: 0,
  __GFP_HARDWALL: 0,
  __GFP_THISNODE: 0,
  __GFP_ATOMIC: 0,
  __GFP_ACCOUNT: 0,
  __GFP_NOTRACK: 0,
  __GFP_DIRECT_RECLAIM: 0,
  __GFP_WRITE: 0,
  __GFP_KSWAPD_RECLAIM: 0,
  __GFP_NOLOCKDEP: 0,
};

type Bits = { readonly [name in keyof typeof BITS_2_5_53]: number };

const BITS_2_6_22: Bits = {
  ...BITS_2_5_53,
  __GFP_DMA32: 0x04,
  __GFP_HIGHIO: 0,
  __GFP_FS: 0x80,
  __GFP_COLD: 0x100,
  __GFP_NOWARN: 0x200,
  __GFP_REPEAT: 0x400,
  __GFP_NOFAIL: 0x800,
  __GFP_NORETRY: 0x1000,
  __GFP_COMP: 0x4000,
  __GFP_ZERO: 0x8000,
  __GFP_NOMEMALLOC: 0x10000,
  __GFP_HARDWALL: 0x20000,
  __GFP_THISNODE: 0x40000,
};

const BITS_4_10: Bits = {
  ...BITS_2_6_22,
  __GFP_MOVABLE: 0x08,
  __GFP_RECLAIMABLE: 0x10,
  __GFP_WAIT: 0,
  __GFP_MEMALLOC: 0x2000,
  __GFP_ATOMIC: 0x80000,
  __GFP_ACCOUNT: 0x100000,
  __GFP_NOTRACK: 0x200000,
  __GFP_DIRECT_RECLAIM: 0x400000,
  __GFP_WRITE: 0x800000,
  __GFP_KSWAPD_RECLAIM: 0x1000000,
  __GFP_NOLOCKDEP: 0x2000000,
};

/** What the names of several flags stand for, and the masks that code tests with. */
function compose(b: Bits, era: '2.5.53' | '2.6.22' | '4.10') {
  const reclaim = b.__GFP_WAIT | b.__GFP_DIRECT_RECLAIM | b.__GFP_KSWAPD_RECLAIM;
  const GFP_NOFS = reclaim | b.__GFP_IO | b.__GFP_HIGHIO;
  const GFP_KERNEL = GFP_NOFS | b.__GFP_FS;
  const GFP_USER = GFP_KERNEL | b.__GFP_HARDWALL;
  const level = b.__GFP_HIGH | b.__GFP_IO | b.__GFP_FS | b.__GFP_NOWARN | b.__GFP_REPEAT | b.__GFP_NOFAIL;
  return {
    ...b,
    /** 4.x only. */
    __GFP_RECLAIM: b.__GFP_DIRECT_RECLAIM | b.__GFP_KSWAPD_RECLAIM,
    GFP_ATOMIC: b.__GFP_HIGH | b.__GFP_ATOMIC | b.__GFP_KSWAPD_RECLAIM,
    /** Not in 2.5.53. */
    GFP_NOWAIT: b.__GFP_KSWAPD_RECLAIM,
    GFP_NOIO: reclaim,
    GFP_NOFS,
    GFP_KERNEL,
    GFP_USER,
    GFP_HIGHUSER: GFP_USER | b.__GFP_HIGHMEM,
    GFP_TEMPORARY: GFP_KERNEL | b.__GFP_RECLAIMABLE,
    GFP_DMA: b.__GFP_DMA,
    /** The bits that choose a zonelist. */
    GFP_ZONEMASK: era === '2.6.22' ? 0x07 : 0x0f,
    /** What a slab passes on when it grows, besides GFP_DMA; 4.x has GFP_RECLAIM_MASK. */
    GFP_LEVEL_MASK:
      era === '4.10'
        ? 0
        : level |
          b.__GFP_WAIT |
          b.__GFP_HIGHIO |
          b.__GFP_COLD |
          b.__GFP_NORETRY |
          b.__GFP_COMP |
          b.__GFP_NOMEMALLOC |
          b.__GFP_HARDWALL |
          b.__GFP_THISNODE,
    /** What is handed on to allocations of metadata, from 2.6.24 on. */
    GFP_RECLAIM_MASK: reclaim | level | b.__GFP_NORETRY | b.__GFP_MEMALLOC | b.__GFP_NOMEMALLOC | b.__GFP_ATOMIC,
  };
}

export type Gfp = ReturnType<typeof compose>;

/** GFP_KERNEL of 2.6.22 to 2.6.35, which races have as a constant. */
export const GFP_KERNEL_2_6 = 0xd0;
const RECLAIM_4_10 = BITS_4_10.__GFP_DIRECT_RECLAIM | BITS_4_10.__GFP_KSWAPD_RECLAIM;

/**
 * The mask that a race means by the constants GFP_KERNEL and GFP_HIGHUSER on 4.x, where their bits are I/O and filesystems without reclaim: no mask
 * of that kernel. It would not sleep, and nobody would ask whether it may.
 */
export function gfpOfVersion(k: KernelBase, gfp_mask: number): number {
  if ((gfp_mask & (GFP_KERNEL_2_6 | RECLAIM_4_10)) !== GFP_KERNEL_2_6 || k.LINUX_VERSION_CODE < LINUX_4_4)
    return gfp_mask;
  return (gfp_mask & ~GFP_KERNEL_2_6) | gfp(k).GFP_KERNEL;
}

const GFP_2_5_53: Gfp = compose(BITS_2_5_53, '2.5.53');
const GFP_2_6_22: Gfp = compose(BITS_2_6_22, '2.6.22');
const GFP_4_10: Gfp = compose(BITS_4_10, '4.10');

interface HasVersion {
  readonly LINUX_VERSION_CODE: number;
}

/**
 * The flags of the running kernel: `const { GFP_KERNEL, __GFP_HIGHMEM } = gfp(k)`.
 *
 * Context: any.
 */
export function gfp(k: HasVersion): Gfp {
  if (k.LINUX_VERSION_CODE >= LINUX_4_4) return GFP_4_10;
  return k.LINUX_VERSION_CODE >= LINUX_2_6 ? GFP_2_6_22 : GFP_2_5_53;
}

/** May the caller be put to sleep? Source: include/linux/gfp.h, Linux 4.10; before, a test of __GFP_WAIT in the open. */
export function gfpflags_allow_blocking(k: HasVersion, gfp_mask: number): boolean {
  const { __GFP_WAIT, __GFP_DIRECT_RECLAIM } = gfp(k);
  return (gfp_mask & (__GFP_WAIT | __GFP_DIRECT_RECLAIM)) !== 0;
}

/** The names that `%pGg` looks for, first to last. Source: include/trace/events/mmflags.h, Linux 4.10. */
const SHOWN: readonly (keyof Gfp | readonly [name: string, ...of: (keyof Gfp)[]])[] = [
  ['GFP_HIGHUSER_MOVABLE', 'GFP_HIGHUSER', '__GFP_MOVABLE'],
  'GFP_HIGHUSER',
  'GFP_USER',
  ['GFP_TEMPORARY', 'GFP_KERNEL', '__GFP_RECLAIMABLE'],
  ['GFP_KERNEL_ACCOUNT', 'GFP_KERNEL', '__GFP_ACCOUNT'],
  'GFP_KERNEL',
  'GFP_NOFS',
  'GFP_ATOMIC',
  'GFP_NOIO',
  'GFP_NOWAIT',
  'GFP_DMA',
  '__GFP_HIGHMEM',
  ['GFP_DMA32', '__GFP_DMA32'],
  '__GFP_HIGH',
  '__GFP_ATOMIC',
  '__GFP_IO',
  '__GFP_FS',
  '__GFP_COLD',
  '__GFP_NOWARN',
  '__GFP_REPEAT',
  '__GFP_NOFAIL',
  '__GFP_NORETRY',
  '__GFP_COMP',
  '__GFP_ZERO',
  '__GFP_NOMEMALLOC',
  '__GFP_MEMALLOC',
  '__GFP_HARDWALL',
  '__GFP_THISNODE',
  '__GFP_RECLAIMABLE',
  '__GFP_MOVABLE',
  '__GFP_ACCOUNT',
  '__GFP_NOTRACK',
  '__GFP_WRITE',
  '__GFP_RECLAIM',
  '__GFP_DIRECT_RECLAIM',
  '__GFP_KSWAPD_RECLAIM',
];

/** A mask in words, as `%pGg` prints it. Source: lib/vsprintf.c, Linux 4.10. */
export function showGfp(k: HasVersion, gfp_mask: number): string {
  const flags = gfp(k);
  const names: string[] = [];
  let left = gfp_mask;
  for (const entry of SHOWN) {
    const [name, ...of] = typeof entry === 'string' ? ([entry, entry] as const) : entry;
    const bits = of.reduce((sum, flag) => sum | flags[flag as keyof Gfp], 0);
    // A version without one of the flags has not got the name.
    if (of.some((flag) => flags[flag as keyof Gfp] === 0) || (left & bits) !== bits) continue;
    names.push(name);
    left &= ~bits;
  }
  if (left !== 0) names.push(`0x${(left >>> 0).toString(16)}`);
  return names.length === 0 ? 'none' : names.join('|');
}

/**
 * The mask with what the scopes of the current task take away. NOIO wins over NOFS.
 *
 * Context: any; in an interrupt the scopes are those of the interrupted task.
 * Source:  current_gfp_context(), include/linux/sched/mm.h, Linux 4.12; memalloc_noio_flags(), include/linux/sched.h, Linux 4.10.
 */
export function current_gfp_context(k: KernelBase, gfp_mask: number): number {
  const { __GFP_IO, __GFP_FS } = gfp(k);
  const flags = task_flags(k);
  if ((flags & PF_MEMALLOC_NOIO) !== 0) return gfp_mask & ~(__GFP_IO | __GFP_FS);
  return (flags & PF_MEMALLOC_NOFS(k)) !== 0 ? gfp_mask & ~__GFP_FS : gfp_mask;
}
