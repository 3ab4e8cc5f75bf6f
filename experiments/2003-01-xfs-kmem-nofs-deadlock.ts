/**
 * Claim: seed 003 fourteen years early. XFS in a transaction passes GFP_NOFS to __vmalloc() of 2.5.53, whose data pages keep to it; the page table does
 * not. When there is no page for it reclaim enters the file system, and eviction of the inode waits for the lock that the task holds.
 *
 * Lowmem has as many pages above its min mark as the data need, and nothing that reclaim could take but the inode. Another thread gives memory back when it
 * comes to run.
 *
 * Kernels: 2.5.53: deadlock. With the caller's mask passed on (`rmk1`) the table waits until there is memory: clean.
 * Source: seed 000; fs/xfs/support/kmem.c, mm/vmalloc.c, mm/vmscan.c, Linux 2.5.53; spec/vmalloc-gfp.md §4.7, §10, §12.1.
 */
import {
  __free_pages,
  alloc_pages,
  expect,
  gfp,
  type Kernel,
  KM_NOFS,
  KM_SLEEP,
  kfree,
  kmalloc,
  kmem_alloc,
  lowmemAtMin,
  NULL,
  type Page,
  race,
  sharedObject,
  struct_xfs_inode,
  wordsOf,
  xfs_ilock,
  xfs_inode_cache,
  xfs_inode_init,
  xfs_iunlock,
} from '../src/index.js';

const inode = (k: Kernel) => sharedObject<'xfs_inode'>(k, 'inode');
const BYTES = 128 << 10;
const ORDER = 5;

/** __alloc_pages() and wakeup_kswapd() compare zone->free_pages with the watermarks without the zone's lock. */
const UNLOCKED = ['races: pass', 'races: wakeup_kswapd'];

export default race({
  id: '2003-01-xfs-kmem-nofs-deadlock',
  title: 'XFS with KM_NOFS waits for its own inode lock, because page tables are allocated with GFP_KERNEL',
  source: 'seed 000',
  spec: ['vmalloc/V000-09'],
  machine: { core: 'arm926', cpus: 1, kernel: '2.5.53', watermarks: true, lowmemPages: 512, highmemPages: 0 },
  stepsMax: 100_000,
  cases: [
    { name: '2.5.53', outcome: 'deadlock' },
    { name: 'GFP flags passed on (RMK1)', machine: { patches: ['rmk1'] }, outcome: 'clean', reports: UNLOCKED },
  ],
  vars: ['later'],
  shared: { inode: wordsOf(struct_xfs_inode) },
  shrinkers: [xfs_inode_cache('inode')],

  setup(k) {
    const { GFP_KERNEL } = gfp(k);
    xfs_inode_init(k, inode(k));
    // The slab caches of vm_struct and array have room.
    for (const bytes of [32, 128]) kfree(k, kmalloc(k, bytes, GFP_KERNEL));
    const data = alloc_pages(k, GFP_KERNEL, ORDER);
    k.vars.later = alloc_pages(k, GFP_KERNEL, ORDER);
    lowmemAtMin(k);
    __free_pages(k, data, ORDER);
  },
  threads: [
    (k) => {
      xfs_ilock(k, inode(k));
      const p = kmem_alloc(k, BYTES, KM_SLEEP | KM_NOFS);
      expect(p !== NULL, 'there is memory');
      xfs_iunlock(k, inode(k));
    },
    { cpu: 0, run: (k) => __free_pages(k, k.vars.later as Page, ORDER) },
  ],
});
