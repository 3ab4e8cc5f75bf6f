/**
 * Claim: pa11_dma_alloc_consistent() does not look at what the page allocator answers. Without memory the driver gets an address and a bus address like
 * any others; the bus address is __pa(0), and a device that is given it writes to firmware's space, which keeps nothing.
 *
 * The driver allocates and starts the device; the device writes a word to the bus address; the driver reads it.
 *
 * Kernels: 2.5.53 and 2.6.22 alike, with `rmk1` and `rmk2-pcxl-tables` too: nobody looks. The one message is that of the page allocator.
 * Source: arch/parisc/kernel/pci-dma.c, Linux 2.5.53 and 2.6.22; spec/vmalloc-gfp.md §9.1.
 */
import {
  alloc_page,
  type Completion,
  complete,
  type Device,
  deviceWrite,
  expect,
  gfp,
  init_completion,
  type Kernel,
  NULL,
  type Paddr,
  pa11_dma_alloc_consistent,
  ptr,
  race,
  ringDoorbell,
  wait_for_completion,
} from '../src/index.js';

/** Interrupt line of the device. */
const LINE = 5;
const DEVICE = 0;
const SENT = 0x5e4d0fff;
const written = (k: Kernel): Completion => ptr<'completion'>(k.sym.race_data + 64);
const SAYS = ['page allocation failure. order:0, mode:0x20', 'the CPU reads what the device has written'];

export default race({
  id: '2003-01-pcxl-alloc-without-memory',
  title: 'pa11_dma_alloc_consistent() hands out bus address f0000000 when there is no memory',
  source: 'arch/parisc/kernel/pci-dma.c, Linux 2.6.22',
  spec: ['vmalloc/V000-05'],
  machine: { core: 'pcxl', cpus: 1, kernel: '2.5.53', lowmemPages: 128 },
  cases: [
    { name: '2.5.53', outcome: 'report', says: SAYS },
    { name: 'GFP flags passed on (RMK1)', machine: { patches: ['rmk1'] }, outcome: 'report', says: SAYS },
    { name: 'tables from boot (RMK2)', machine: { patches: ['rmk2-pcxl-tables'] }, outcome: 'report', says: SAYS },
    { name: '2.6.22', machine: { kernel: '2.6.22' }, outcome: 'report', says: SAYS },
    { name: 'with memory', machine: { parameters: { memory: 1 } }, outcome: 'clean' },
  ],

  setup(k) {
    init_completion(k, written(k));
    if (k.config.parameters.memory !== 1) while (alloc_page(k, gfp(k).GFP_ATOMIC) !== NULL);
  },
  threads: [
    (k: Kernel) => {
      const { addr, handle } = pa11_dma_alloc_consistent(k, 256, gfp(k).GFP_ATOMIC);
      expect(addr !== NULL, 'the driver has an address');
      deviceWrite(k, DEVICE, 0, handle);
      ringDoorbell(k, DEVICE);
      wait_for_completion(k, written(k));
      const seen = k.load32(addr);
      expect(seen === SENT, 'the CPU reads what the device has written', seen, handle);
    },
  ],
  irqs: { [LINE]: (k) => complete(k, written(k)) },
  devices: [
    (d: Device) => {
      d.waitDoorbell();
      d.write32(d.register(0) as Paddr, SENT);
      d.raise(0, LINE);
    },
  ],
});
