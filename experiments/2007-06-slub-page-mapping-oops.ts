/**
 * Claim: flush_dcache_page() of a page that SLUB has cut into objects oopses on ARM926, if slabs of the cache are partial: page_mapping() takes
 * the address of the kmem_cache for that of an address_space, and the number of partial slabs for the root of a tree of mappings.
 *
 * An SD card is brought up. Its 8-byte SCR goes into struct mmc_card, an object of kmalloc-512 without partial slabs; its 64 bytes of status
 * into an object of kmalloc-64, of which one slab is partial. After each transfer the driver of the card reader flushes the page.
 *
 * Kernels: 2.6.22 before the patch `page-mapping-slab` oopses at 0000000d in get_index(), in the interrupt of the second transfer; the first
 * goes well. With the patch, with SLAB, with a flush of the range, with a test of the page by the caller: nothing. With VM_BUG_ON() and DEBUG_VM
 * a BUG in the first transfer already, without DEBUG_VM the oops. Pignat's change of kunmap_atomic() makes no difference, nor do pages
 * instead of kmalloc() in dma_alloc_coherent(). With SLAB nothing, but VM_BUG_ON() and DEBUG_VM stop that as well, which was correct.
 * After the first transfer the page of the SCR is only marked where the oops is to come, and nothing of it is flushed; with the patch, and always with
 * SLAB, it is flushed from end to end, which are 128 line operations. A flush of the range and a test by the caller do neither.
 * Source: seed 001; include/linux/mm.h, mm/slub.c, arch/arm/mm/flush.c, drivers/mmc/host/at91_mci.c, Linux 2.6.22; spec/slab-dma.md §1.8, §6.
 */
import {
  assertEqual,
  type Kernel,
  memoryWord,
  mmc_alloc_card,
  mmc_app_send_scr,
  mmc_read_switch,
  mmcCardLayout,
  race,
  SCR_BYTES,
  SWITCH_BYTES,
  struct_page,
  type Vaddr,
  vaddr,
  virt_to_head_page,
} from '../src/index.js';
import {
  AT91SAM9263,
  BEFORE,
  lineOpsOfFlush,
  MCI_LINE,
  makePartial,
  mci,
  mciIrq,
  onCard,
  withReader,
} from './lib/at91.js';
import { type Claim, fixCases } from './lib/fixes.js';

/** The buffer of the report is the object with this number in its slab: offset bc0. */
const BUFFER_OBJECT = 47;
const SCR = 51;
const SWITCH = 6;

function expectOnCard(k: Kernel, opcode: number, at: Vaddr, bytes: number): void {
  for (let offset = 0; offset < bytes; offset += 4) {
    assertEqual(k.load32(vaddr(at + offset)), onCard(opcode, offset), `command ${opcode}, offset ${offset}`);
  }
}

const PG_dcache_dirty = 9;
const STORED = 0x5a5a1234;
/** Bytes of a line on all cores that the cases name. */
const LINE = 32;

/** The first and the last word of the card's struct, with the lines in the cache: the SCR has another. */
function storeAround(k: Kernel, card: Vaddr): Vaddr[] {
  const words = [card, vaddr(card + mmcCardLayout(k).bytes - 4)];
  for (const at of words) {
    k.load32(at);
    k.store32(at, STORED);
  }
  return words;
}

/**
 * Is the page of the SCR marked, have so many lines of it been flushed, and have the @words around it come to memory, as each fix has it while no slab is
 * partial?
 */
function expectPage(k: Kernel, card: Vaddr, words: readonly Vaddr[], lineOps: number): void {
  const page = virt_to_head_page(k, card);
  const byCaller = k.has('at91-mci-flush-range') || k.has('at91-mci-page-slab-check');
  const flushed = !byCaller && (k.config.slab === 'slab' || k.has('page-mapping-slab'));
  const marked = (k.read(page, struct_page.flags) >>> PG_dcache_dirty) & 1;
  assertEqual(marked, byCaller || flushed ? 0 : 1, 'mark on the page of the SCR');
  assertEqual(
    lineOps,
    flushed ? 4096 / LINE : k.has('at91-mci-flush-range') ? 1 : 0,
    'lines flushed after the transfer',
  );
  for (const at of words) {
    assertEqual(memoryWord(k, page, at & 4095) === STORED ? 1 : 0, flushed ? 1 : 0, `flushed at ${at & 4095}`);
  }
}

function bringUpCard(k: Kernel): void {
  withReader(k, (request) => {
    const card = mmc_alloc_card(k);
    const words = storeAround(k, card);
    const scr = vaddr(card + mmcCardLayout(k).raw_scr);
    const lineOps = lineOpsOfFlush(k, scr, SCR_BYTES, () => mmc_app_send_scr(k, request, card));
    expectPage(k, card, words, lineOps);
    const status = mmc_read_switch(k, request);
    expectOnCard(k, SCR, scr, SCR_BYTES);
    expectOnCard(k, SWITCH, status, SWITCH_BYTES);
  });
}

const CLEAN: Claim = { outcome: 'clean' };
const OOPS: Claim = {
  outcome: 'oops',
  says: ['at virtual address 0000000d', 'Oops: 1 [#1]', 'Fatal exception in interrupt'],
};
const BUG: Claim = { outcome: 'bug', says: ['page_mapping: a slab page'] };

export default race({
  id: '2007-06-slub-page-mapping-oops',
  title: 'flush_dcache_page() takes a slab cache for a file and walks the mappings that it does not have',
  source: 'seed 001',
  spec: ['slab-dma/S1', 'slab-dma/S3', 'slab-dma/S4', 'slab-dma/S18'],
  machine: AT91SAM9263,
  cases: [
    { name: '2.6.22-rc5', machine: { patches: BEFORE }, ...OOPS },
    { name: '2.6.22', outcome: 'clean' },
    ...fixCases(
      '',
      {},
      {
        'VM_BUG_ON, DEBUG_VM': BUG,
        VM_BUG_ON: OOPS,
        'pages for DMA memory, ARM': OOPS,
        'no coherent branch': OOPS,
        'kunmap_atomic(buffer - offset)': OOPS,
        'flush_dcache_range()': CLEAN,
        'PageSlab() in the caller': CLEAN,
      },
    ),
    ...fixCases(
      'SLAB',
      { slab: 'slab' },
      {
        none: CLEAN,
        'PageSlab test': CLEAN,
        'VM_BUG_ON, DEBUG_VM': BUG,
        VM_BUG_ON: CLEAN,
        'pages for DMA memory, ARM': CLEAN,
        'no coherent branch': CLEAN,
        'kunmap_atomic(buffer - offset)': CLEAN,
        'flush_dcache_range()': CLEAN,
        'PageSlab() in the caller': CLEAN,
      },
    ),
    { name: 'AT91RM9200, 2.6.22-rc5', machine: { core: 'arm920t', patches: BEFORE }, ...OOPS },
    { name: 'AT91RM9200, 2.6.22', machine: { core: 'arm920t' }, outcome: 'clean' },
    { name: 'new ABI, 2.6.22-rc5', machine: { oabi: false, patches: BEFORE }, ...OOPS },
    { name: 'AT91RM9200, SLAB', machine: { core: 'arm920t', slab: 'slab', patches: BEFORE }, outcome: 'clean' },
  ],
  vars: ['host'],

  setup(k) {
    makePartial(k, 64, 1, BUFFER_OBJECT);
  },

  irqs: { [MCI_LINE]: mciIrq },
  devices: [mci],
  threads: [bringUpCard],
});
