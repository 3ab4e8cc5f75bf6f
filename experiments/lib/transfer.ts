/** A driver that lets a device fill a buffer: one transfer at a time, with a completion that the device's interrupt completes. */
import {
  type Completion,
  complete,
  type Device,
  DMA_FROM_DEVICE,
  deviceWrite,
  dma_map_single,
  dma_unmap_single,
  init_completion,
  type Kernel,
  type Paddr,
  ptr,
  ringDoorbell,
  type Vaddr,
  wait_for_completion,
} from '../../src/index.js';

const DEVICE = 0;
export const TRANSFER_LINE = 5;
/** The register with the bus address. */
const ADDRESS = 0;

const transferDone = (k: Kernel): Completion => ptr<'completion'>(k.sym.race_data);

/** For setup. */
export const initTransfers = (k: Kernel): void => init_completion(k, transferDone(k));

/** The handler of TRANSFER_LINE. */
export const transferIrq = (k: Kernel): void => complete(k, transferDone(k));

/** Map @buffer, have the device fill it, and take it back. Context: process, sleeps. */
export function fillByDevice(k: Kernel, buffer: Vaddr, bytes: number): void {
  const bus = dma_map_single(k, buffer, bytes, DMA_FROM_DEVICE);
  deviceWrite(k, DEVICE, ADDRESS, bus);
  ringDoorbell(k, DEVICE);
  wait_for_completion(k, transferDone(k));
  dma_unmap_single(k, bus, bytes, DMA_FROM_DEVICE);
}

/** What the device writes at an offset. */
export const byDevice = (offset: number): number => (0xde000000 ^ offset) >>> 0;

/** The device's part of a transfer: every word, or one each @step bytes. The function of the device itself has a name, for explanations. */
export function fillOnce(
  d: Device,
  bytes: number,
  word: (offset: number) => number = byDevice,
  step: number = 4,
): void {
  d.waitDoorbell();
  const at = d.register(ADDRESS);
  for (let offset = 0; offset < bytes; offset += step) d.write32((at + offset) as Paddr, word(offset));
  d.raise(0, TRANSFER_LINE);
}
