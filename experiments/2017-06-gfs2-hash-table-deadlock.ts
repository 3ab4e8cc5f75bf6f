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
  get_hash_table,
  gfs2_glock_dq,
  gfs2_glock_init,
  gfs2_glock_nq,
  gfs2_inode_cache,
  type Kernel,
  kvfree,
  NULL,
  race,
  sharedObject,
  struct_gfs2_glock,
  wordsOf,
} from '../src/index.js';
import { anybodysPages, CALLER_WITHOUT_SCOPE, CLEAN_PAGES, SHORT_OF_LOWMEM, useUpLowmem } from './lib/reclaim.js';

const glock = (k: Kernel) => sharedObject<'gfs2_glock'>(k, 'glock');

export default race({
  id: '2017-06-gfs2-hash-table-deadlock',
  title: 'gfs2 takes its own glock when it reads a hash table',
  source: 'seed 003',
  spec: ['vmalloc/V003-06'],
  machine: SHORT_OF_LOWMEM,
  stepsMax: 100_000,
  cases: CALLER_WITHOUT_SCOPE,
  shared: { glock: wordsOf(struct_gfs2_glock), ...CLEAN_PAGES },
  shrinkers: [gfs2_inode_cache('glock'), anybodysPages],

  setup(k) {
    gfs2_glock_init(k, glock(k));
    useUpLowmem(k, 48);
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
