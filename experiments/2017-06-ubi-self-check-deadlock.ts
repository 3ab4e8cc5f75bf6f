/**
 * Claim: with self-checks on, UBI reads back what UBIFS has just written, while UBIFS holds a journal head. The buffer is a vmalloc area asked for with GFP_NOFS, its page table is
 * not. Writeback needs the journal head.
 *
 * Lowmem is at its min mark, highmem is free. Reclaim may take clean pages one by one, or do what needs the lock.
 *
 * Kernels: 4.12 has no scope there: deadlock. With the scope in vmalloc() (`mp`), or one that begins with the journal head (`sc`): clean.
 * Source: seed 003; spec/vmalloc-gfp.md §10, §12.2.
 */
import {
  type Kernel,
  make_reservation,
  race,
  release_head,
  self_check_write,
  sharedObject,
  struct_ubifs_jhead,
  ubi_self_check_all_ff,
  ubifs_jhead_init,
  ubifs_writeback,
  wordsOf,
} from '../src/index.js';
import { anybodysPages, CALLER_WITHOUT_SCOPE, CLEAN_PAGES, SHORT_OF_LOWMEM, useUpLowmem } from './lib/reclaim.js';

const jhead = (k: Kernel) => sharedObject<'ubifs_jhead'>(k, 'jhead');

export default race({
  id: '2017-06-ubi-self-check-deadlock',
  title: 'UBI checks what it has written and waits for the journal head of UBIFS',
  source: 'seed 003',
  spec: ['vmalloc/V003-07'],
  machine: SHORT_OF_LOWMEM,
  stepsMax: 100_000,
  cases: CALLER_WITHOUT_SCOPE,
  shared: { jhead: wordsOf(struct_ubifs_jhead), ...CLEAN_PAGES },
  shrinkers: [ubifs_writeback('jhead'), anybodysPages],

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
    },
  ],
});
