/**
 * Claim: at91_mci frees the coherent buffer of a write in its interrupt handler. dma_free_coherent() warns if interrupts are off; they are on, since
 * the driver asks for its line with IRQF_SHARED only. With IRQF_DISABLED it would warn.
 *
 * A block of two pieces is written to the card; the card's bytes are compared.
 *
 * Kernels: 2.6.22: nothing, and the card has the bytes. With IRQF_DISABLED: "WARNING". If arch_is_coherent() were true on this machine, whose devices do
 * not see the caches, the card would get what was in memory before.
 * Source: seed 001; drivers/mmc/host/at91_mci.c, arch/arm/mm/consistent.c, kernel/irq/handle.c, Linux 2.6.22; spec/slab-dma.md §4.2, §5.1.
 */
import {
  type At91mciHost,
  at91_mci_controller,
  at91_mci_interrupt,
  expect,
  GFP_KERNEL,
  IRQF_DISABLED,
  IRQF_SHARED,
  type Kernel,
  kmalloc,
  MMC_DATA_WRITE,
  MMC_WRITE_BLOCK,
  mmc_transfer,
  race,
  type Vaddr,
  vaddr,
} from '../src/index.js';
import { AT91SAM9263, MCI_LINE, withReader } from './lib/at91.js';

const BYTES = 64;
const PIECES = 2;
const wordAt = (offset: number): number => (0x77000000 | (offset * 3)) >>> 0;

function mciIrq(k: Kernel): void {
  const flags = IRQF_SHARED | (k.config.parameters.disabled === 1 ? IRQF_DISABLED : 0);
  at91_mci_interrupt(k, k.vars.host as At91mciHost, flags);
}

function writeBlock(k: Kernel): void {
  const pieces = Array.from({ length: PIECES }, (_, nr) => {
    const addr = kmalloc(k, BYTES, GFP_KERNEL) as Vaddr;
    for (let i = 0; i < BYTES; i += 4) k.store32(vaddr(addr + i), wordAt(nr * BYTES + i));
    return { addr, bytes: BYTES };
  });
  withReader(k, (request) => {
    mmc_transfer(k, request, MMC_WRITE_BLOCK, 0, MMC_DATA_WRITE, pieces);
  });
  expect(k.vars.wrong === 0 && k.vars.written === PIECES * BYTES, 'the card has what was written', k.vars.written ?? 0);
}

export default race({
  id: '2007-06-at91-mci-free-coherent-in-irq-warn',
  title: 'coherent memory is freed in an interrupt handler',
  source: 'seed 001',
  spec: ['slab-dma/S25'],
  machine: AT91SAM9263,
  cases: [
    { name: 'IRQF_SHARED', outcome: 'clean' },
    {
      name: 'IRQF_SHARED and IRQF_DISABLED',
      machine: { parameters: { disabled: 1 } },
      outcome: 'warn',
      says: ['consistent.c dma_free_coherent()'],
    },
    {
      name: 'called coherent',
      machine: { coherentDma: true },
      outcome: 'report',
      says: ['the card has what was written'],
    },
    { name: 'IRQF_SHARED, AT91RM9200', machine: { core: 'arm920t' }, outcome: 'clean' },
  ],
  vars: ['host', 'written', 'wrong'],

  irqs: { [MCI_LINE]: mciIrq },
  devices: [
    (d) =>
      at91_mci_controller(
        {
          read: () => 0,
          write: (_opcode, _arg, offset, word) => {
            d.vars.written = (d.vars.written ?? 0) + 4;
            if (word !== wordAt(offset)) d.vars.wrong = 1;
          },
        },
        MCI_LINE,
      )(d),
  ],
  threads: [writeBlock],
});
