/**
 * Claim: the controller of the AT91RM9200 delivers the bytes of a word in the wrong order, and the driver swaps them in place when a piece has arrived:
 * once, even if the interrupt comes again when nothing is pending, because it counts the pieces that it has finished.
 *
 * A card's 64 bytes of status are read; then the interrupt for received data comes once more.
 *
 * Kernels: 2.6.22 on AT91RM9200 and AT91SAM9263: the card's bytes, in the CPU's view and in memory. With `mutant-at91-mci-no-index` the RM9200's
 * bytes are swapped a second time: wrong.
 * Source: seed 001; drivers/mmc/host/at91_mci.c (at91mci_post_dma_read), Linux 2.6.22; spec/slab-dma.md §5.1, §6.
 */
import {
  AT91_MCI_ENDRX,
  type At91mciHost,
  at91_mci_expect,
  at91_mci_interrupt,
  expectWord,
  type Kernel,
  local_irq_disable,
  local_irq_enable,
  memoryWord,
  mmc_read_switch,
  page_to_pfn,
  race,
  vaddr,
} from '../src/index.js';
import { AT91SAM9263, MCI_LINE, mci, mciIrq, onCard, withReader } from './lib/at91.js';
import { virt_to_page } from './lib/objects.js';

const SWITCH = 6;

/** What has arrived so far is to be reported again. */
function interruptAgain(k: Kernel): void {
  const host = k.vars.host as At91mciHost;
  at91_mci_expect(k, host, AT91_MCI_ENDRX);
  local_irq_disable(k);
  at91_mci_interrupt(k, host);
  local_irq_enable(k);
}

function readStatus(k: Kernel): void {
  withReader(k, (request) => {
    const status = mmc_read_switch(k, request);
    interruptAgain(k);
    const page = virt_to_page(k, status);
    for (let i = 0; i < 64; i += 4) {
      const at = (status & 4095) + i;
      expectWord(page_to_pfn(k, page), at, onCard(SWITCH, i), k.load32(vaddr(status + i)), 'as the CPU reads it');
      expectWord(page_to_pfn(k, page), at, onCard(SWITCH, i), memoryWord(k, page, at), 'in memory');
    }
  });
}

export default race({
  id: '2007-06-at91-mci-spurious-interrupt-swaps-twice',
  title: 'an interrupt that comes twice swaps bytes once',
  source: 'seed 001',
  spec: ['slab-dma/S24'],
  machine: { ...AT91SAM9263, core: 'arm920t' },
  cases: [
    { name: 'AT91RM9200', outcome: 'clean' },
    {
      name: 'AT91RM9200, pieces not counted',
      machine: { patches: ['mutant-at91-mci-no-index'] },
      outcome: 'wrong-bytes',
      says: ['as the CPU reads it'],
    },
    { name: 'AT91SAM9263', machine: { core: 'arm926' }, outcome: 'clean' },
  ],
  vars: ['host'],

  irqs: { [MCI_LINE]: mciIrq },
  devices: [mci],
  threads: [readStatus],
});
