/**
 * Claim: on machines with U2 or Uturn (ccio) a device that goes on after its buffer was unmapped writes to memory that belongs to somebody else, where the I/O MMU
 * should have stopped it: the entry of the I/O page directory is made invalid in the CPU's cache, and what is flushed to memory, where the adapter looks, is another line.
 *
 * A device fills a buffer that is mapped for it. The driver unmaps the buffer and gives its page back; the page is handed out again and filled by its new owner. The
 * device was not told to stop and writes the first word once more.
 *
 * Kernels: 2.6.22 with ccio: the new owner's word is the device's. With the flush of the entry itself (`ccio-flush-invalid`), and with sba, whose adapter sees the directory
 * in the caches, a machine check instead. With sba and a directory that firmware calls not coherent (`ioPdirFdc`) the same, as each change is flushed; without those flushes
 * already the first write finds no entry. Without purges of the adapter's TLB the second write goes through there too.
 * Source: drivers/parisc/ccio-dma.c (ccio_mark_invalid(), which gives FDC the valid byte for an address), sba_iommu.c, Linux 2.6.22; spec/hardware.md §8.2.
 */
import {
  __free_page,
  alloc_page,
  type Case,
  type Completion,
  complete,
  type Device,
  DMA_FROM_DEVICE,
  deviceWrite,
  dma_map_single,
  dma_unmap_single,
  expectWord,
  GFP_KERNEL,
  init_completion,
  type Kernel,
  lowmem_page_address,
  type Paddr,
  page_to_pfn,
  ptr,
  race,
  ringDoorbell,
  vaddr,
  wait_for_completion,
} from '../src/index.js';

const REG = { address: 0, bytes: 1 } as const;
const LINE = 3;
/** Of race_data: the completion of a round. */
const DONE_AT = 0x40;
const BYTES = 64;
const OWN = 0x0e110e11;
const FROM_DEVICE = 0xdededede;

/** Twice: what the driver asks for, and the first word once more, which nobody has asked for. */
function device(d: Device): void {
  for (const asked of [true, false]) {
    d.waitDoorbell();
    d.transferIn(d.register(REG.address) as Paddr, asked ? d.register(REG.bytes) : 4, () => FROM_DEVICE);
    d.raise(0, LINE);
  }
}

const doneOf = (k: Kernel): Completion => ptr<'completion'>(k.sym.race_data + DONE_AT);

/** Ring, and sleep until the device has raised its line. */
function round(k: Kernel): void {
  init_completion(k, doneOf(k));
  ringDoorbell(k, 0);
  wait_for_completion(k, doneOf(k));
}

function driver(k: Kernel): void {
  const page = alloc_page(k, GFP_KERNEL);
  const buffer = lowmem_page_address(k, page);
  const bus = dma_map_single(k, buffer, BYTES, DMA_FROM_DEVICE);
  deviceWrite(k, 0, REG.address, bus);
  deviceWrite(k, 0, REG.bytes, BYTES);
  round(k);
  dma_unmap_single(k, bus, BYTES, DMA_FROM_DEVICE);
  __free_page(k, page);

  const again = alloc_page(k, GFP_KERNEL);
  const owner = lowmem_page_address(k, again);
  for (let offset = 0; offset < BYTES; offset += 4) k.store32(vaddr(owner + offset), OWN);
  round(k);
  for (let offset = 0; offset < BYTES; offset += 4) {
    expectWord(page_to_pfn(k, again), offset, OWN, k.load32(vaddr(owner + offset)), 'the new owner of the page', 'big');
  }
}

const WRONG: Pick<Case, 'outcome' | 'says'> = { outcome: 'wrong-bytes', says: ['the new owner of the page'] };
const STOPPED: Pick<Case, 'outcome' | 'says'> = { outcome: 'oops', says: ['High Priority Machine Check (HPMC)'] };
const SBA = 'pcxw2';

export default race({
  id: '2007-06-ccio-directory-late-dma',
  title: 'a device that goes on after unmap reaches its page through an I/O page directory that was not flushed',
  source: 'drivers/parisc/ccio-dma.c, Linux 2.6.22',
  spec: [],
  machine: { core: 'pcxu', cpus: 1, kernel: '2.6.22', preempt: false, lowmemPages: 256, iommu: true },
  cases: [
    { name: 'ccio', ...WRONG },
    { name: 'ccio, the entry is flushed', machine: { patches: ['ccio-flush-invalid'] }, ...STOPPED },
    { name: 'ccio, nothing is flushed', machine: { patches: ['mutant-iopdir-no-fdc'] }, ...STOPPED },
    { name: 'sba', machine: { core: SBA }, ...STOPPED },
    { name: 'sba, directory not coherent', machine: { core: SBA, ioPdirFdc: true }, ...STOPPED },
    {
      name: 'sba, directory not coherent, nothing is flushed',
      machine: { core: SBA, ioPdirFdc: true, patches: ['mutant-iopdir-no-fdc'] },
      ...STOPPED,
    },
    { name: 'sba, nothing is purged', machine: { core: SBA, patches: ['mutant-sba-no-purge'] }, ...WRONG },
  ],
  irqs: { [LINE]: (k) => complete(k, doneOf(k)) },
  devices: [device],
  threads: [driver],
});
