/**
 * Claim: vmalloc_32() is for devices that do not reach all of memory; on a 32-bit kernel it is __vmalloc() with GFP_KERNEL, and so is what drivers write who do not know it. While
 * GFP_KERNEL meant lowmem both worked. With highmem taken without being asked, pages come from where the device does not reach, and its address lines reach another page.
 *
 * A driver allocates an area, and a device reads its pages by their physical addresses, of which it drives only the lines for lowmem. The area comes from vmalloc_32(); from
 * __vmalloc() in its place; or from vmalloc_32_user(), mapped by a user who writes to it, as video drivers have it.
 *
 * Kernels: 4.10: the right bytes. With `hm`: others.
 * Source: seed 004; spec/vmalloc-gfp.md §6.6, §12.3.
 */
import {
  __vmalloc,
  type Case,
  DMA_TO_DEVICE,
  dma_map_page,
  expect,
  expectWord,
  gfp,
  type Kernel,
  NULL,
  type Paddr,
  page_to_pfn,
  page_to_phys,
  ptr,
  race,
  remap_vmalloc_range,
  USER_BASE,
  type Vaddr,
  vaddr,
  vma_init,
  vmalloc_32,
  vmalloc_32_user,
  vmalloc_to_page,
} from '../src/index.js';

const PAGES = 4;
const BYTES = PAGES * 4096;
const MM = 1;
const word = (i: number): number => 0x5a000000 + i;

/** The word at a physical address, as a device sees it whose address lines end with those of lowmem. */
function deviceReads(k: Kernel, address: number): number {
  const { physBase } = k.config.core;
  const mask = k.config.lowmemPages * 4096 - 1;
  return k.memory.read32((physBase + ((address - physBase) & mask)) as Paddr) >>> 0;
}

/** Where the words are stored: the area itself, unless a user maps it. */
function writable(k: Kernel, area: Vaddr): Vaddr {
  if (k.config.parameters.user !== 1) return area;
  const vma = ptr<'vm_area_struct'>(k.sym.race_data);
  vma_init(k, vma, { mm: MM, start: vaddr(USER_BASE), pages: PAGES, pgoff: 0, flags: 0 });
  expect(remap_vmalloc_range(k, vma, area, 0) === 0, 'the area is mapped');
  return vaddr(USER_BASE);
}

function allocate(k: Kernel): Vaddr {
  if (k.config.parameters.user === 1) return vmalloc_32_user(k, BYTES);
  return k.config.parameters.plain === 1 ? __vmalloc(k, BYTES, gfp(k).GFP_KERNEL) : vmalloc_32(k, BYTES);
}

const HM = ', HIGHMEM in vmalloc() (HM)';
const cases = (name: string, parameters: Readonly<Record<string, number>>): Case[] => [
  { name, machine: { parameters }, outcome: 'clean' },
  { name: name + HM, machine: { parameters, patches: ['hm'] }, outcome: 'wrong-bytes' },
];

export default race({
  id: '2017-02-vmalloc-32-beyond-mask',
  title: 'vmalloc_32(), what stands in its place, and vmalloc_32_user() for a device that reaches lowmem only',
  source: 'seed 004',
  spec: ['vmalloc/V004-07', 'vmalloc/V004-08', 'vmalloc/V004-09'],
  machine: { core: 'cortex-a9', cpus: 1, kernel: '4.10', lowmemPages: 256, highmemPages: 128 },
  cases: [
    ...cases('vmalloc_32()', {}),
    ...cases('__vmalloc() instead', { plain: 1 }),
    ...cases('vmalloc_32_user(), mapped by a user', { user: 1 }),
  ],

  threads: [
    {
      cpu: 0,
      mm: MM,
      run: (k) => {
        const area = allocate(k);
        expect(area !== NULL, 'there is memory');
        const at = writable(k, area);
        for (let i = 0; i < PAGES; i++) {
          const page = vmalloc_to_page(k, area + i * 4096);
          k.store32(vaddr(at + i * 4096), word(i));
          dma_map_page(k, page, 0, 4096, DMA_TO_DEVICE);
          const seen = deviceReads(k, page_to_phys(k, page));
          expectWord(page_to_pfn(k, page), 0, word(i), seen, 'read by a device through its DMA mask');
        }
      },
    },
  ],
});
