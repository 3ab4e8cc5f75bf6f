/**
 * Claim: what deadlocks in 2017-06-ubi-self-check-deadlock is reclaim by the task itself. If only kswapd asks the caches, it may wait for the lock as well; the task gets its page,
 * goes on and drops it.
 *
 * As there, but the cache that needs the lock is asked by kswapd only, which runs. There is clean page cache on the list of lowmem.
 *
 * Kernels: 4.12, with the scope in vmalloc() (`mp`), and with one that begins with the journal head (`sc`): clean.
 * Source: seed 003; spec/vmalloc-gfp.md §12.2.
 */
import {
  alloc_page,
  gfp,
  type Kernel,
  kswapd,
  kswapd_stop,
  lowmemAtMin,
  lru_cache_add,
  make_reservation,
  PF_KSWAPD,
  race,
  release_head,
  self_check_write,
  sharedObject,
  struct_ubifs_jhead,
  task_flags,
  ubifs_jhead_init,
  ubifs_writeback,
  wordsOf,
} from '../src/index.js';
import { SHORT_OF_LOWMEM } from './lib/reclaim.js';

const CLEAN_PAGES = 48;
const jhead = (k: Kernel) => sharedObject<'ubifs_jhead'>(k, 'jhead');
const writeback = ubifs_writeback('jhead');

/** Page tables are allocated with GFP_KERNEL under a lock that reclaim takes: what lockdep is there for. */
const LOST_FLAGS = ['lockdep: inconsistent lock state'];

export default race({
  id: '2017-06-vmalloc-nofs-kswapd-clean',
  title: 'a task does not wait for itself where kswapd alone reclaims',
  source: 'seed 003',
  spec: ['vmalloc/V003-20'],
  machine: { ...SHORT_OF_LOWMEM, cpus: 2 },
  cases: [
    { name: 'as in 4.12', outcome: 'clean', reports: LOST_FLAGS },
    { name: 'scope in vmalloc() (MP)', machine: { patches: ['mp'] }, outcome: 'clean' },
    { name: 'scope with the lock (SC)', machine: { patches: ['sc'] }, outcome: 'clean' },
  ],
  shared: { jhead: wordsOf(struct_ubifs_jhead) },
  shrinkers: [
    {
      ...writeback,
      shrink: (k, nr, gfp_mask) => ((task_flags(k) & PF_KSWAPD(k)) === 0 ? 0 : writeback.shrink(k, nr, gfp_mask)),
    },
  ],

  setup(k) {
    ubifs_jhead_init(k, jhead(k));
    for (let i = 0; i < CLEAN_PAGES; i++) lru_cache_add(k, alloc_page(k, gfp(k).GFP_KERNEL));
    lowmemAtMin(k);
  },
  threads: [
    (k) => {
      make_reservation(k, jhead(k));
      self_check_write(k, 4096);
      release_head(k, jhead(k));
      kswapd_stop(k);
    },
    kswapd,
  ],
});
