/** A dirty line is evicted over what a device has written beside the CPU's bytes. */
import {
  alloc_page,
  type Device,
  deviceWrite,
  expectWord,
  fillMemory,
  GFP_KERNEL,
  type Kernel,
  memoryWord,
  type Paddr,
  type Page,
  page_address,
  page_to_pfn,
  page_to_phys,
  race,
  ringDoorbell,
  vaddr,
} from '../../../src/index.js';

const BY_DEVICE = 0xdededede;

function store(k: Kernel): void {
  const page = k.vars.page as Page;
  // A store allocates no line: the load does.
  k.store32(page_address(k, page), k.load32(page_address(k, page)) + 1);
  deviceWrite(k, 0, 0, page_to_phys(k, page));
  ringDoorbell(k, 0);
}

function writeBeside(d: Device): void {
  d.waitDoorbell();
  d.write32((d.register(0) + 4) as Paddr, BY_DEVICE);
}

export default race({
  id: 'evicted',
  title: 'an eviction over what a device has written',
  source: 'test',
  spec: [],
  machine: { core: 'arm926', cpus: 1, lowmemPages: 64, highmemPages: 0 },
  cases: [{ name: 'as it is', outcome: 'wrong-bytes' }],
  vars: ['page', 'buffer'],
  setup(k) {
    const page = alloc_page(k, GFP_KERNEL);
    fillMemory(k, page, () => 0x01010101);
    k.vars.page = page;
    k.vars.buffer = page_address(k, page);
  },
  threads: [store],
  devices: [writeBeside, (d) => d.evict(0, vaddr(d.vars.buffer!))],
  check(k) {
    const page = k.vars.page as Page;
    expectWord(page_to_pfn(k, page), 4, BY_DEVICE, memoryWord(k, page, 4), 'stored by the device');
  },
});
