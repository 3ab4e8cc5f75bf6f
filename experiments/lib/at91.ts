/** What the experiments with the AT91's card reader share: the board, the card, and the state of SLUB that the report found. */
import {
  type At91mciHost,
  at91_mci_controller,
  at91_mci_interrupt,
  at91_mci_probe,
  at91_mci_remove,
  at91_mci_request,
  cacheLineOps,
  type Device,
  DMA_FROM_DEVICE,
  dma_map_single,
  dma_unmap_single,
  GFP_KERNEL,
  type Kernel,
  kfree,
  kmalloc,
  type MachineSpec,
  objectsPerSlab,
  type Vaddr,
} from '../../src/index.js';

export const MCI_LINE = 10;

/** The board of the report: ARM926, 2 MB here instead of 64, no highmem, no preemption, the old ABI. */
export const AT91SAM9263: MachineSpec = {
  core: 'arm926',
  cpus: 1,
  kernel: '2.6.22',
  lowmemPages: 1024,
  highmemPages: 0,
  preempt: false,
  oabi: true,
  slab: 'slub',
};

export const BEFORE = ['-page-mapping-slab'];

/** What the card answers to a read: a word for every place, different for every command. */
export const onCard = (opcode: number, offset: number): number =>
  (Math.imul(opcode + 1, 0x01010101) ^ (0x00420000 + offset)) >>> 0;

export const mci: (d: Device) => void = at91_mci_controller(
  { read: (opcode, _, offset) => onCard(opcode, offset) },
  MCI_LINE,
);

/** The line's handler: the host's struct is where probe has put it. */
export const mciIrq = (k: Kernel): void => at91_mci_interrupt(k, k.vars.host as At91mciHost);

export const requestTo =
  (host: At91mciHost) =>
  (k: Kernel, mrq: Parameters<typeof at91_mci_request>[2]): void =>
    at91_mci_request(k, host, mrq);

/** Probe, let @act use the reader, and switch it off. */
export function withReader(k: Kernel, act: (request: ReturnType<typeof requestTo>) => void): void {
  const host = at91_mci_probe(k, 0);
  k.vars.host = host;
  act(requestTo(host));
  at91_mci_remove(k, host);
}

/**
 * Line operations that @transfer of @bytes into @buffer makes besides those of mapping the buffer, by the cache model's counter: what the driver does
 * when the data have come. Those of mapping are counted first, with a map of the same buffer.
 */
export function lineOpsOfFlush(k: Kernel, buffer: Vaddr, bytes: number, transfer: () => void): number {
  const atFirst = cacheLineOps(k);
  dma_unmap_single(k, dma_map_single(k, buffer, bytes, DMA_FROM_DEVICE), bytes, DMA_FROM_DEVICE);
  const mapped = cacheLineOps(k);
  transfer();
  return cacheLineOps(k) - mapped - (mapped - atFirst);
}

/**
 * So many slabs of a class are partial: as many are filled and an object of each is freed. The CPU's slab has @used objects and room for more, so
 * that the next kmalloc() does not take one of the partial slabs.
 */
export function makePartial(k: Kernel, size: number, slabs: number, used = 1): void {
  const perSlab = objectsPerSlab(k, size);
  const first: Vaddr[] = [];
  for (let i = 0; i < slabs * perSlab + used; i++) {
    const object = kmalloc(k, size, GFP_KERNEL) as Vaddr;
    if (i % perSlab === 0) first.push(object);
  }
  for (const object of first.slice(0, slabs)) kfree(k, object);
}
