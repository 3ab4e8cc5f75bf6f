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
  fillCleanPages,
  type Kernel,
  kvfree,
  lowmemAtMin,
  NULL,
  page_cache_clean,
  race,
  sharedObject,
  struct_clean_pages,
  struct_mapped_device,
  swap_out,
  wordsOf,
} from '../src/index.js';

const device = (k: Kernel) => sharedObject<'mapped_device'>(k, 'device');

export default race({
  id: '2017-06-dm-ioctl-swap-deadlock',
  title: 'dm-ioctl swaps to the device that it is to resume',
  source: 'seed 003',
  spec: ['vmalloc/V003-03'],
  machine: { core: 'cortex-a9', cpus: 1, kernel: '4.12', watermarks: true, lowmemPages: 512, highmemPages: 512 },
  stepsMax: 100_000,
  cases: [
    { name: 'no scope', machine: { patches: ['mutant-no-caller-scopes'] }, outcome: 'deadlock' },
    { name: "dm-ioctl's own scope, as in 4.12", outcome: 'clean' },
    { name: 'scope in vmalloc() (MP)', machine: { patches: ['mp'] }, outcome: 'clean' },
    { name: 'scope while suspended (SC)', machine: { patches: ['sc', 'mutant-no-caller-scopes'] }, outcome: 'clean' },
  ],
  shared: { device: wordsOf(struct_mapped_device), cleanPages: wordsOf(struct_clean_pages) },
  shrinkers: [swap_out('device'), page_cache_clean('cleanPages')],

  setup(k) {
    dm_create(k, device(k));
    fillCleanPages(k, sharedObject(k, 'cleanPages'), 48);
    lowmemAtMin(k);
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
