/**
 * Claim: gfs2 reads the hash table of a directory under its glock, into memory that it asks for with GFP_NOFS. What is too large for kmalloc() comes from __vmalloc(), whose page
 * table does not obey. Eviction of the inode takes the glock.
 *
 * Lowmem is at its min mark, highmem is free. Reclaim may take clean pages one by one, or do what needs the lock.
 *
 * Kernels: 4.12 has no scope there: deadlock. With the scope in vmalloc() (`mp`), or one that begins with the glock (`sc`): clean.
 * Source: seed 003; spec/vmalloc-gfp.md §10, §12.2.
 */
import {
  expect,
  fillCleanPages,
  get_hash_table,
  gfs2_glock_dq,
  gfs2_glock_init,
  gfs2_glock_nq,
  gfs2_inode_cache,
  type Kernel,
  kvfree,
  lowmemAtMin,
  NULL,
  page_cache_clean,
  race,
  sharedObject,
  struct_clean_pages,
  struct_gfs2_glock,
  wordsOf,
} from '../src/index.js';

const glock = (k: Kernel) => sharedObject<'gfs2_glock'>(k, 'glock');

export default race({
  id: '2017-06-gfs2-hash-table-deadlock',
  title: 'gfs2 takes its own glock when it reads a hash table',
  source: 'seed 003',
  spec: ['vmalloc/V003-06'],
  machine: { core: 'cortex-a9', cpus: 1, kernel: '4.12', watermarks: true, lowmemPages: 512, highmemPages: 512 },
  stepsMax: 100_000,
  cases: [
    { name: 'as in 4.12', outcome: 'deadlock' },
    { name: 'scope in vmalloc() (MP)', machine: { patches: ['mp'] }, outcome: 'clean' },
    { name: 'scope with the lock (SC)', machine: { patches: ['sc'] }, outcome: 'clean' },
  ],
  shared: { glock: wordsOf(struct_gfs2_glock), cleanPages: wordsOf(struct_clean_pages) },
  shrinkers: [gfs2_inode_cache('glock'), page_cache_clean('cleanPages')],

  setup(k) {
    gfs2_glock_init(k, glock(k));
    fillCleanPages(k, sharedObject(k, 'cleanPages'), 48);
    lowmemAtMin(k);
  },
  threads: [
    (k) => {
      gfs2_glock_nq(k, glock(k));
      const table = get_hash_table(k, 15);
      expect(table !== NULL, 'there is memory');
      kvfree(k, table);
      gfs2_glock_dq(k, glock(k));
    },
  ],
});
