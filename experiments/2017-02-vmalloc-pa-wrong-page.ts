/**
 * Claim: __pa() is arithmetic for linear addresses. For a vmalloc address it gives an address that belongs to nobody, or to somebody else: highmem or lowmem makes no
 * difference to a driver that hands it to a device.
 *
 * A driver allocates an area and has a device write to __pa() of it. That is the address of a highmem page with another owner.
 *
 * Kernels: 4.10 and `hm`: the owner of that page finds the device's bytes.
 * Source: seed 004; spec/vmalloc-gfp.md §6.6, §12.3.
 */
import {
  __vmalloc,
  expect,
  expectWord,
  fillMemory,
  gfp,
  memoryWord,
  NULL,
  type Pfn,
  page_to_pfn,
  pfn_to_page,
  race,
  vmalloc_to_page,
} from '../src/index.js';

const OWN = 0x11111111;
const DEVICE = 0xeeeeeeee;

export default race({
  id: '2017-02-vmalloc-pa-wrong-page',
  title: 'a driver gives a device __pa() of a vmalloc address',
  source: 'seed 004',
  spec: ['vmalloc/V004-06'],
  // The vmalloc area begins 8 MB above the direct map, and highmem goes on behind it.
  machine: { core: 'cortex-a9', cpus: 1, kernel: '4.10', lowmemPages: 256, highmemPages: 4096 },
  cases: [
    { name: 'as in 4.10', outcome: 'wrong-bytes' },
    { name: 'HIGHMEM in vmalloc() (HM)', machine: { patches: ['hm'] }, outcome: 'wrong-bytes' },
  ],
  vars: ['victim'],

  threads: [
    (k) => {
      const area = __vmalloc(k, 8192, gfp(k).GFP_KERNEL);
      expect(area !== NULL, 'there is memory');
      const wrong = k.__pa(area);
      const victim = pfn_to_page(k, (wrong >>> 12) as Pfn);
      expect(victim !== vmalloc_to_page(k, area), 'it is not the page of the area');
      fillMemory(k, victim, () => OWN);
      // What the device does.
      k.memory.write32(wrong, DEVICE);
      k.vars.victim = victim;
    },
  ],
  check(k) {
    const victim = k.vars.victim as ReturnType<typeof pfn_to_page>;
    expectWord(page_to_pfn(k, victim), 0, OWN, memoryWord(k, victim, 0), 'of a page that the device was not given');
  },
});
