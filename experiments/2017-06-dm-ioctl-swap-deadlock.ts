/**
 * Claim: a device that is suspended holds back its I/O until an ioctl resumes it. The parameters of that ioctl are copied into memory from kvmalloc(), whose page tables
 * are allocated with GFP_KERNEL. If there is no page, reclaim swaps out, to the very device, and waits.
 *
 * Lowmem is at its min mark, highmem is free. Reclaim may take clean pages one by one, or swap out.
 *
 * Kernels: 4.12 without the scope of dm-ioctl: deadlock. With it, with the scope in vmalloc() (`mp`; kvmalloc() is given GFP_NOIO | __GFP_HIGH then), or with one that
 * lasts as long as the device is suspended (`sc`): clean.
 * Source: seed 003; spec/vmalloc-gfp.md §10, §12.2.
 */
import {
  copy_params,
  dm_create,
  dm_resume,
  dm_suspend,
  expect,
  type Kernel,
  kvfree,
  NULL,
  race,
  sharedObject,
  struct_mapped_device,
  swap_out,
  wordsOf,
} from '../src/index.js';
import { anybodysPages, CLEAN_PAGES, callerWithScope, SHORT_OF_LOWMEM, useUpLowmem } from './lib/reclaim.js';

const device = (k: Kernel) => sharedObject<'mapped_device'>(k, 'device');

export default race({
  id: '2017-06-dm-ioctl-swap-deadlock',
  title: 'dm-ioctl swaps to the device that it is to resume',
  source: 'seed 003',
  spec: ['vmalloc/V003-03'],
  machine: SHORT_OF_LOWMEM,
  stepsMax: 100_000,
  cases: callerWithScope("dm-ioctl's own scope, as in 4.12", 'deadlock', 'while suspended'),
  shared: { device: wordsOf(struct_mapped_device), ...CLEAN_PAGES },
  shrinkers: [swap_out('device'), anybodysPages],

  setup(k) {
    dm_create(k, device(k));
    useUpLowmem(k, 48);
  },
  threads: [
    (k) => {
      dm_suspend(k, device(k));
      const params = copy_params(k, 256 << 10);
      expect(params !== NULL, 'there is memory');
      kvfree(k, params);
      dm_resume(k, device(k));
    },
  ],
});
