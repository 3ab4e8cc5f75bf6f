/**
 * Claim: what deadlocks in 2017-06-ubi-self-check-deadlock is reclaim by the task itself. If only kswapd asks the caches, it may wait for the lock as well; the task gets its page,
 * goes on and drops it.
 *
 * As there, but the cache that needs the lock is asked by kswapd only, which runs.
 *
 * Kernels: 4.12, with the scope in vmalloc() (`mp`), and with one that begins with the journal head (`sc`): clean. 4.12 with the task asking as well, for comparison:
 * deadlock, kswapd or not.
 * Source: seed 003; spec/vmalloc-gfp.md §12.2.
 */
import {
  type Kernel,
  kswapd,
  kswapd_stop,
  make_reservation,
  PF_KSWAPD,
  race,
  release_head,
  self_check_write,
  sharedObject,
  struct_ubifs_jhead,
  task_flags,
  ubi_self_check_all_ff,
  ubifs_jhead_init,
  ubifs_writeback,
  wordsOf,
} from '../src/index.js';
import { anybodysPages, CLEAN_PAGES, SHORT_OF_LOWMEM, useUpLowmem } from './lib/reclaim.js';

/** Parameter `direct`: the cache is asked whoever reclaims. */
const DIRECT = 1;
const jhead = (k: Kernel) => sharedObject<'ubifs_jhead'>(k, 'jhead');
const writeback = ubifs_writeback('jhead');

/** Page tables are allocated with GFP_KERNEL under a lock that reclaim takes: what lockdep is there for. */
const LOST_FLAGS = ['lockdep: inconsistent lock state', 'context: GFP context'];

export default race({
  id: '2017-06-vmalloc-nofs-kswapd-clean',
  title: 'a task does not wait for itself where kswapd alone reclaims',
  source: 'seed 003',
  spec: ['vmalloc/V003-20'],
  machine: { ...SHORT_OF_LOWMEM, cpus: 2 },
  stepsMax: 100_000,
  cases: [
    { name: 'asked by the task as well', machine: { parameters: { direct: DIRECT } }, outcome: 'deadlock' },
    { name: 'as in 4.12', outcome: 'clean', reports: LOST_FLAGS },
    { name: 'scope in vmalloc() (MP)', machine: { patches: ['mp'] }, outcome: 'clean' },
    { name: 'scope with the lock (SC)', machine: { patches: ['sc'] }, outcome: 'clean' },
  ],
  shared: { jhead: wordsOf(struct_ubifs_jhead), ...CLEAN_PAGES },
  shrinkers: [
    {
      ...writeback,
      shrink(k, nr, gfp_mask) {
        const asks = k.config.parameters.direct === DIRECT || (task_flags(k) & PF_KSWAPD(k)) !== 0;
        return asks ? writeback.shrink(k, nr, gfp_mask) : 0;
      },
    },
    anybodysPages,
  ],

  setup(k) {
    ubifs_jhead_init(k, jhead(k));
    useUpLowmem(k, 48);
  },
  threads: [
    (k) => {
      make_reservation(k, jhead(k));
      self_check_write(k, 64 << 10);
      ubi_self_check_all_ff(k, 64 << 10);
      release_head(k, jhead(k));
      kswapd_stop(k);
    },
    kswapd,
  ],
});
