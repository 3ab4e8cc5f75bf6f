/**
 * Claim: before a page becomes consistent memory the lines of its linear alias must leave a VIVT cache. Otherwise they are written back one day, over what
 * the device has put there.
 *
 * CPU 0 writes a pattern through the linear addresses of pages and frees them; one of them comes back as consistent memory; a device writes it (behind the caches); then
 * all lines are evicted.
 *
 * Kernels: `rmk2`: clean. Without its invalidation: the old pattern is in memory.
 * Source: arch/arm/mm/consistent.c of 2003-01-10; spec/vmalloc-gfp.md §9.3, §12.1.
 */
import {
  __get_free_page,
  consistent_alloc,
  expectWord,
  fillMemory,
  flush_cache_all,
  free_page,
  gfp,
  type Kernel,
  memoryWord,
  pfn_to_page,
  race,
  vaddr,
} from '../src/index.js';

const OLD = 0x0a0a0a0a;
const PAGES = 4;
const DEVICE = 0x0b0b0b0b;

function reuse(k: Kernel): void {
  const { GFP_KERNEL, GFP_ATOMIC } = gfp(k);
  // One of several pages will be the one that comes back.
  const pages = Array.from({ length: PAGES }, () => __get_free_page(k, GFP_KERNEL));
  for (const linear of pages) {
    for (let offset = 0; offset < k.config.bufferBytes; offset += 4) {
      // A store alone would not bring the line in.
      k.load32(vaddr(linear + offset));
      k.store32(vaddr(linear + offset), OLD);
    }
  }
  for (const linear of pages) free_page(k, linear);
  const { addr, handle } = consistent_alloc(k, GFP_ATOMIC, 4096);
  const pfn = (handle >>> 12) as Parameters<typeof pfn_to_page>[1];
  fillMemory(k, pfn_to_page(k, pfn), () => DEVICE);
  flush_cache_all(k);
  for (let offset = 0; offset < k.config.bufferBytes; offset += 4) {
    expectWord(pfn, offset, DEVICE, k.load32(vaddr(addr + offset)), 'written by the device, read by the CPU');
    expectWord(pfn, offset, DEVICE, memoryWord(k, pfn_to_page(k, pfn), offset), 'written by the device');
  }
}

export default race({
  id: '2003-01-consistent-alloc-dirty-alias',
  title: 'dirty lines of the linear alias overwrite what a device wrote to consistent memory',
  source: 'arch/arm/mm/consistent.c, 2003-01-10',
  spec: ['vmalloc/V000-22'],
  machine: { core: 'arm926', cpus: 1, kernel: '2.5.53', patches: ['rmk2'], highmemPages: 0, bufferBytes: 256 },
  cases: [
    { name: 'not invalidated', machine: { patches: ['mutant-rmk2-no-invalidate'] }, outcome: 'wrong-bytes' },
    { name: 'invalidated', outcome: 'clean' },
  ],
  threads: [reuse],
});
