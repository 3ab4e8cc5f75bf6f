/**
 * An oracle that compares bytes. A device writes a word of memory; the CPU has an old copy in its cache and reads that, since the driver forgot
 * dma_map_page(). A device is a worker of its own: it sees memory, never a cache, and runs while the CPUs run.
 *
 *     npm run smp -- run ./examples/06-bytes-and-a-device.ts
 */
import * as m from 'murphy';

const LINE = 5;
const word = (k: m.Kernel): m.Vaddr => m.page_address(k, k.vars.page as m.Page);

export default m.race({
  id: 'bytes-and-a-device',
  machine: { core: 'arm926', cpus: 1 },
  vars: ['page', 'bus'],
  shared: { done: 0 },
  cases: [{ name: 'not mapped for the device', outcome: 'wrong-bytes' }],
  setup(k) {
    k.vars.page = m.alloc_page(k, m.GFP_KERNEL);
    k.vars.bus = m.page_to_phys(k, k.vars.page as m.Page);
    k.load32(word(k));
  },
  threads: [
    (k) => {
      m.ringDoorbell(k, 0);
      m.waitUntil(k, k.at('done'), (done) => done === 1);
      m.expectWord(m.page_to_pfn(k, k.vars.page as m.Page), 0, 0x22222222, k.load32(word(k)), 'read by the driver');
    },
  ],
  irqs: { [LINE]: (k) => k.store(k.at('done'), 1) },
  devices: [
    (d) => {
      d.waitDoorbell();
      d.write32(d.vars.bus as m.Paddr, 0x22222222);
      d.raise(0, LINE);
    },
  ],
});
