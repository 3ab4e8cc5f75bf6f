/**
 * Claim: a scope restricts every allocation of the task, also those that need no restriction. If all that can be reclaimed hangs on inodes, a GFP_KERNEL allocation inside
 * the scope finds nothing; it does not fail either, nor is a task killed for it, since without __GFP_FS it has not tried everything: it stalls, and the kernel says so every ten
 * seconds. That is what speaks for scopes in the right place, or for `mp`, which restricts nothing but the page tables.
 *
 * A thread allocates pages for a user, then takes the inode's lock and a large buffer. Lowmem is at its min mark; the inode cache can give pages; clean pages come only
 * after more than ten seconds.
 *
 * Kernels: 4.12 with a scope around all of it: more than ten seconds. With a scope that begins with the lock (`sc`), or in vmalloc() (`mp`): at once.
 * Source: seed 003; spec/vmalloc-gfp.md §10, §12.2.
 */
import {
  alloc_page,
  expect,
  fillCleanPages,
  gfp,
  HZ,
  jiffies,
  type Kernel,
  KM_NOFS,
  lowmemAtMin,
  memalloc_nofs_restore,
  memalloc_nofs_save,
  NULL,
  race,
  type Shrinker,
  sharedObject,
  shrinkCleanPages,
  struct_clean_pages,
  wordsOf,
  xfs_inode_cache,
  xfs_inode_init,
} from '../src/index.js';
import { CLEAN_PAGES, SHORT_OF_LOWMEM, XFS_INODE, xfsInode, zallocUnderIlock } from './lib/reclaim.js';

const USER_PAGES = 4;
const inodePages = (k: Kernel): number => shrinkCleanPages(k, sharedObject(k, 'inodePages'));

/** Clean pages that nobody can give back before 12 seconds have passed, unless the task is in the middle of its own business. */
const latePages: Shrinker = {
  name: 'late_pages',
  gate: 'none',
  shrink: (k) =>
    jiffies(k) - k.vars.began! < 12 * HZ && k.vars.took === 0 ? 0 : shrinkCleanPages(k, sharedObject(k, 'cleanPages')),
};

export default race({
  id: '2017-06-scope-too-early-stalls',
  title: 'an allocation scope that is opened too early stalls allocations that could reclaim',
  source: 'seed 003',
  spec: ['vmalloc/V003-17'],
  machine: SHORT_OF_LOWMEM,
  stepsMax: 1_000_000,
  cases: [
    {
      name: 'scope around everything',
      machine: { patches: ['mutant-sc-early', 'mutant-no-caller-scopes'] },
      outcome: 'report',
      says: ['page allocation stalls for 1', 'a page takes less than ten seconds'],
    },
    { name: 'scope with the lock (SC)', machine: { patches: ['sc', 'mutant-no-caller-scopes'] }, outcome: 'clean' },
    { name: 'scope in vmalloc() (MP)', machine: { patches: ['mp'] }, outcome: 'clean' },
  ],
  shared: {
    ...XFS_INODE,
    ...CLEAN_PAGES,
    inodePages: wordsOf(struct_clean_pages),
  },
  shrinkers: [xfs_inode_cache('inode', inodePages), latePages],

  vars: ['began', 'took'],

  setup(k) {
    xfs_inode_init(k, xfsInode(k));
    fillCleanPages(k, sharedObject(k, 'cleanPages'), 32);
    fillCleanPages(k, sharedObject(k, 'inodePages'), 32);
    lowmemAtMin(k);
    k.vars.began = jiffies(k);
  },
  threads: [
    (k) => {
      const scope = k.patched['mutant-sc-early'] ? memalloc_nofs_save(k) : 0;
      for (let i = 0; i < USER_PAGES; i++) expect(alloc_page(k, gfp(k).GFP_KERNEL) !== NULL, 'there is a page');
      k.vars.took = jiffies(k) - k.vars.began!;
      if (k.patched['mutant-sc-early']) memalloc_nofs_restore(k, scope);
      expect(k.vars.took < 10 * HZ, 'a page takes less than ten seconds', k.vars.took);
      zallocUnderIlock(k, KM_NOFS);
    },
  ],
});
