/**
 * Claim: dm-bufio up to 4.9 allocates a block under the client's mutex, and its shrinker waits for that mutex when the mask has __GFP_FS. The block is asked for without
 * __GFP_FS and __GFP_IO; the page tables of the vmalloc area are not. Blocks have to be larger than the page allocator can give, so the area is large, and the array of
 * its pages is an area too.
 *
 * Lowmem is at its min mark, highmem is free. Reclaim may take clean pages one by one, or buffers of the client.
 *
 * Kernels: 4.12 with the order of 4.9 and without dm-bufio's scope: deadlock. With its scope the shrinker only tries the lock: clean. With the scope in vmalloc()
 * (`mp`), or with the lock (`sc`): clean. As in 4.12, where the first try does not wait and the lock is dropped for the second: clean.
 * Source: seed 003; spec/vmalloc-gfp.md §10, §12.2.
 */
import {
  buffersOf,
  dm_bufio_client_create,
  dm_bufio_lock,
  dm_bufio_new,
  dm_bufio_shrinker,
  dm_bufio_unlock,
  expect,
  fillCleanPages,
  free_buffer_data,
  type Kernel,
  NULL,
  race,
  sharedObject,
  struct_dm_bufio_client,
  wordsOf,
} from '../src/index.js';
import { anybodysPages, CLEAN_PAGES, SHORT_OF_LOWMEM, useUpLowmem } from './lib/reclaim.js';

/** Twice what the page allocator can give at once. */
const BLOCK_BYTES = 8 << 20;

const client = (k: Kernel) => sharedObject<'dm_bufio_client'>(k, 'client');

export default race({
  id: '2017-06-dm-bufio-shrinker-deadlock',
  title: 'dm-bufio waits for its own mutex in its own shrinker',
  source: 'seed 003',
  spec: ['vmalloc/V003-02'],
  machine: { ...SHORT_OF_LOWMEM, highmemPages: 4096 },
  stepsMax: 1_000_000,
  cases: [
    {
      name: 'under the lock, no scope',
      machine: { patches: ['-dm-bufio-drop-lock', 'mutant-no-caller-scopes'] },
      outcome: 'deadlock',
    },
    {
      name: "under the lock, dm-bufio's own scope, as in 4.9",
      machine: { patches: ['-dm-bufio-drop-lock'] },
      outcome: 'clean',
    },
    {
      name: 'under the lock, scope in vmalloc() (MP)',
      machine: { patches: ['-dm-bufio-drop-lock', 'mp'] },
      outcome: 'clean',
    },
    {
      name: 'under the lock, scope with the lock (SC)',
      machine: { patches: ['-dm-bufio-drop-lock', 'sc', 'mutant-no-caller-scopes'] },
      outcome: 'clean',
    },
    { name: 'as in 4.12', outcome: 'clean' },
  ],
  shared: { client: wordsOf(struct_dm_bufio_client), ...CLEAN_PAGES },
  shrinkers: [dm_bufio_shrinker('client'), anybodysPages],

  setup(k) {
    dm_bufio_client_create(k, client(k), BLOCK_BYTES);
    fillCleanPages(k, buffersOf(client(k)), 4);
    useUpLowmem(k, 48);
  },
  threads: [
    (k) => {
      dm_bufio_lock(k, client(k));
      const data = dm_bufio_new(k, client(k));
      expect(data !== NULL, 'there is memory');
      free_buffer_data(k, client(k), data);
      dm_bufio_unlock(k, client(k));
    },
  ],
});
