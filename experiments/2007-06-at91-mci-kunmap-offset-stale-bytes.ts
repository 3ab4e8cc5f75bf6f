/**
 * Claim: which address inside the page a driver gives to kunmap_atomic() does not matter; an address outside of it does, on a machine with
 * highmem. The patch that at91_mci was offered in 2007, kunmap_atomic(buffer - sg->offset), subtracts the offset four times, since
 * buffer points to words. Its author withdrew it; on his machine, without highmem, the argument is dropped.
 *
 * The card reader writes two blocks to memory, one after the other, into two pages; after each its interrupt handler swaps the bytes of the
 * block in place through kmap_atomic(). Then both pages are read through kmap().
 *
 * Kernels, all on AT91RM9200 with its virtually tagged cache: with `at91-mci-kunmap-offset` another fixmap slot is flushed than the one in use,
 * so the swapped bytes stay in the cache under the slot's address: memory keeps the unswapped ones, and the second block is read from lines
 * of the first: wrong bytes. With DEBUG_HIGHMEM a BUG. Without highmem, and with the right argument: nothing.
 * Source: seed 001, mails of 2007-06-21 and 22; drivers/mmc/host/at91_mci.c, Linux 2.6.22; arch/arm/mm/highmem.c, Linux 2.6.30;
 * spec/highmem.md §7.4. Left out: the driver's flush_dcache_page(), which is the subject of other experiments.
 */
import {
  alloc_page,
  type Completion,
  complete,
  type Device,
  DMA_FROM_DEVICE,
  deviceWrite,
  dma_map_page,
  dma_unmap_page,
  expectWord,
  GFP_HIGHUSER,
  init_completion,
  type Kernel,
  km_type,
  kmap,
  kmap_atomic,
  kunmap,
  kunmap_atomic,
  type Paddr,
  type Page,
  page_plus,
  page_to_pfn,
  ptr,
  race,
  ringDoorbell,
  vaddr,
  wait_for_completion,
} from '../src/index.js';

const BLOCKS = 2;
const blockBytes = (k: { readonly config: Kernel['config'] }): number => Math.min(k.config.bufferBytes, 512);
/** sg->offset of the report: buffer c03afbc0. */
const OFFSET = 0xbc0;
const MCI = 0;
const MCI_IRQ = 5;
/** Register of the controller that holds the bus address. */
const PDC_RPR = 0;

/** What the card holds, as words in the byte order that memory is to have in the end. */
const onCard = (block: number, offset: number): number => (0x0a0b0c00 ^ (block << 24) ^ offset) >>> 0;

const swab32 = (x: number): number =>
  (((x & 0xff) << 24) | ((x & 0xff00) << 8) | ((x >>> 8) & 0xff00) | (x >>> 24)) >>> 0;

const transferDone = (k: Kernel): Completion => ptr<'completion'>(k.sym.race_data);

function readTwoBlocks(k: Kernel): void {
  for (let block = 0; block < BLOCKS; block++) {
    const page = page_plus(k.vars.firstPage as Page, block);
    k.vars.current = page;
    const bus = dma_map_page(k, page, OFFSET, blockBytes(k), DMA_FROM_DEVICE);
    k.vars.bus = bus;
    deviceWrite(k, MCI, PDC_RPR, bus);
    ringDoorbell(k, MCI);
    wait_for_completion(k, transferDone(k));
  }
  for (let block = 0; block < BLOCKS; block++) expectBlock(k, block);
}

function expectBlock(k: Kernel, block: number): void {
  const page = page_plus(k.vars.firstPage as Page, block);
  const addr = kmap(k, page);
  for (let offset = 0; offset < blockBytes(k); offset += 4) {
    const seen = k.load32(vaddr(addr + OFFSET + offset));
    expectWord(page_to_pfn(k, page), OFFSET + offset, onCard(block, offset), seen, `block ${block}`);
  }
  kunmap(k, page);
}

/** at91mci_post_dma_read(): the controller of the AT91RM9200 delivers the bytes of a word in the wrong order. */
function at91mci_post_dma_read(k: Kernel): void {
  dma_unmap_page(k, k.vars.bus as Paddr, blockBytes(k), DMA_FROM_DEVICE);
  const buffer = vaddr(kmap_atomic(k, k.vars.current as Page, km_type.KM_BIO_SRC_IRQ) + OFFSET);
  for (let offset = 0; offset < blockBytes(k); offset += 4) {
    const word = vaddr(buffer + offset);
    k.store32(word, swab32(k.load32(word)));
  }
  const argument = k.has('at91-mci-kunmap-offset') ? vaddr(buffer - 4 * OFFSET) : buffer;
  kunmap_atomic(k, argument, km_type.KM_BIO_SRC_IRQ);
  complete(k, transferDone(k));
}

function mci(d: Device): void {
  for (let block = 0; block < BLOCKS; block++) {
    d.waitDoorbell();
    d.transferIn(d.register(PDC_RPR) as Paddr, blockBytes(d), (offset) => swab32(onCard(block, offset)));
    d.raise(0, MCI_IRQ);
  }
}

export default race({
  id: '2007-06-at91-mci-kunmap-offset-stale-bytes',
  title: 'kunmap_atomic(buffer - sg->offset) leaves dirty lines under the slot of the next user',
  source: 'seed 001',
  spec: ['highmem/E12'],
  machine: { core: 'arm920t', kernel: '2.6.31' },
  smallest: { lowmemPages: 64, highmemPages: 16, bufferBytes: 32 },
  cases: [
    { name: 'buffer - offset', machine: { patches: ['at91-mci-kunmap-offset'] }, outcome: 'wrong-bytes' },
    {
      name: 'buffer - offset, DEBUG_HIGHMEM',
      machine: { debugHighmem: true, patches: ['at91-mci-kunmap-offset'] },
      outcome: 'bug',
    },
    {
      name: 'buffer - offset, no highmem',
      machine: { highmemPages: 0, patches: ['at91-mci-kunmap-offset'] },
      outcome: 'clean',
    },
    { name: 'buffer', outcome: 'clean' },
    { name: 'buffer, DEBUG_HIGHMEM', machine: { debugHighmem: true }, outcome: 'clean' },
  ],
  vars: ['firstPage', 'current', 'bus'],

  setup(k) {
    init_completion(k, transferDone(k));
    k.vars.firstPage = alloc_page(k, GFP_HIGHUSER);
    for (let block = 1; block < BLOCKS; block++) alloc_page(k, GFP_HIGHUSER);
  },

  irqs: { [MCI_IRQ]: at91mci_post_dma_read },
  devices: [mci],
  threads: [readTwoBlocks],
});
