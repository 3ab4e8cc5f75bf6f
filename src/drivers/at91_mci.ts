/**
 * The MMC host of Atmel's AT91 chips: the driver, with the lines that it prints when it is verbose, and the controller with a card in it.
 *
 * Source: drivers/mmc/host/at91_mci.c, Linux 2.6.22; spec/slab-dma.md §5. The transfer goes by the peripheral DMA controller: a current and a
 * next buffer. Proposals of seed 001 that concern the driver are patches: `at91-mci-kunmap-offset`, `at91-mci-flush-range`,
 * `at91-mci-page-slab-check`.
 * Differs: the interrupt line falls while the handler runs; the data register, clocks, power and card detection are left out.
 */
import { km_type } from '../arch/arm/memory.js';
import { type Device, deviceRead, deviceWrite, ringDoorbell } from '../cpu/device.js';
import type { Kernel } from '../cpu/kernel.js';
import { dma_alloc_coherent, dma_free_coherent } from '../mm/arm/dma-coherent.js';
import { DMA_FROM_DEVICE } from '../mm/arm/dma-mapping.js';
import { kmap_atomic, kunmap_atomic } from '../mm/arm/highmem.js';
import { dma_map_page, dma_unmap_page } from '../mm/dma-mapping.js';
import { flush_dcache_page, flush_dcache_range } from '../mm/flush.js';
import { gfp } from '../mm/gfp.js';
import { kzalloc } from '../mm/kmalloc.js';
import type { Page } from '../mm/page.js';
import { PageSlab } from '../mm/slab-common.js';
import { BUG_ON } from '../shared/bug.js';
import { local_irq_disable, local_irq_enable } from '../shared/irqflags.js';
import { defineStruct } from '../shared/layout.js';
import { struct_scatterlist } from '../shared/structs/configured.js';
import { hex8, NULL, type Paddr, type Ptr, ptr, type Vaddr, vaddr } from '../shared/types.js';
import {
  MMC_DATA_WRITE,
  type MmcCommand,
  type MmcData,
  type MmcRequest,
  mmc_request_done,
  type Scatter,
  struct_mmc_command,
  struct_mmc_data,
  struct_mmc_request,
} from './mmc.js';

/** Registers. Differs: numbers of our device, not offsets. */
export const MCI = {
  CR: 0,
  MR: 1,
  ARGR: 2,
  CMDR: 3,
  SR: 4,
  IMR: 5,
  RPR: 6,
  RCR: 7,
  RNPR: 8,
  RNCR: 9,
  TPR: 10,
  TCR: 11,
  PTCR: 12,
  RSPR: 13, // four words
} as const;

/** Bits of SR and IMR. Source: include/asm-arm/arch-at91/at91_mci.h. */
export const AT91_MCI_CMDRDY = 1 << 0;
const AT91_MCI_TXRDY = 1 << 2;
const AT91_MCI_BLKE = 1 << 3;
const AT91_MCI_NOTBUSY = 1 << 5;
export const AT91_MCI_ENDRX = 1 << 6;
const AT91_MCI_ENDTX = 1 << 7;
const AT91_MCI_RXBUFF = 1 << 14;
export const AT91_MCI_TXBUFE = 1 << 15;
/** All that can go wrong: response and data errors, overrun, underrun. */
const AT91_MCI_ERRORS = 0xc07f0000;

const AT91_MCI_MCIEN = 1 << 0;
const AT91_MCI_MCIDIS = 1 << 1;
const AT91_MCI_PDCMODE = 1 << 15;
const AT91_MCI_TRCMD_START = 1 << 16;
const AT91_MCI_TRDIR_READ = 1 << 18;
const AT91_MCI_RSPTYP_48 = 1 << 6;
const AT91_PDC_RXTEN = 1 << 0;
const AT91_PDC_RXTDIS = 1 << 1;
const AT91_PDC_TXTEN = 1 << 8;
const AT91_PDC_TXTDIS = 1 << 9;

const FL_SENT_COMMAND = 1 << 0;
const FL_SENT_STOP = 1 << 1;

/** `struct at91mci_host`. Differs: offsets are ours; `device` is the number of the controller. */
export const struct_at91mci_host = defineStruct('at91mci_host', 48, {
  mmc: 0,
  cmd: 4,
  request: 8,
  device: 12,
  flags: 16,
  buffer: 20,
  physical_address: 24,
  total_length: 28,
  transfer_index: 32,
  in_use_index: 36,
});
export type At91mciHost = Ptr<'at91mci_host'>;

/** Bytes of struct mmc_host with the driver's part behind it. Differs: rounded. */
const MMC_HOST_BYTES = 300;

/** The chips whose controller delivers the bytes of a word in the wrong order. */
const cpu_is_at91rm9200 = (k: Kernel): boolean => k.config.core.proc === 'arm920';

const pr_debug = (k: Kernel, text: string): void => k.printk(text);
const HEX8 = (value: number): string => hex8(value).toUpperCase();

const read = (k: Kernel, host: At91mciHost, register: number): number =>
  deviceRead(k, k.read(host, struct_at91mci_host.device), register);
const write = (k: Kernel, host: At91mciHost, register: number, value: number): void =>
  deviceWrite(k, k.read(host, struct_at91mci_host.device), register, value);
/** The controller looks at its registers. */
const kick = (k: Kernel, host: At91mciHost): void => ringDoorbell(k, k.read(host, struct_at91mci_host.device));

/** Interrupt enable and disable registers: they change the mask. */
const enable = (k: Kernel, host: At91mciHost, bits: number): void =>
  write(k, host, MCI.IMR, read(k, host, MCI.IMR) | bits);
const disable = (k: Kernel, host: At91mciHost, bits: number): void =>
  write(k, host, MCI.IMR, read(k, host, MCI.IMR) & ~bits);

const swab32 = (x: number): number =>
  (((x & 0xff) << 24) | ((x & 0xff00) << 8) | ((x >>> 8) & 0xff00) | (x >>> 24)) >>> 0;

const sgAt = (k: Kernel, data: MmcData, index: number): Scatter =>
  ptr<'scatterlist'>(k.read(data, struct_mmc_data.sg) + index * struct_scatterlist.sizeof);

function bump(k: Kernel, host: At91mciHost, field: 'transfer_index' | 'in_use_index'): number {
  const index = k.read(host, struct_at91mci_host[field]);
  k.write(host, struct_at91mci_host[field], index + 1);
  return index;
}

/** Probe: the host's struct, and the controller switched on. Context: process, may sleep. */
export function at91_mci_probe(k: Kernel, device: number): At91mciHost {
  pr_debug(k, 'Probe MCI devices');
  const mmc = kzalloc(k, MMC_HOST_BYTES, gfp(k).GFP_KERNEL);
  const host = ptr<'at91mci_host'>(mmc + MMC_HOST_BYTES - struct_at91mci_host.sizeof);
  k.write(host, struct_at91mci_host.mmc, mmc);
  k.write(host, struct_at91mci_host.device, device);
  write(k, host, MCI.CR, AT91_MCI_MCIEN);
  return host;
}

/** The controller is switched off; its worker comes to an end. Context: process. */
export function at91_mci_remove(k: Kernel, host: At91mciHost): void {
  write(k, host, MCI.CR, AT91_MCI_MCIDIS);
  kick(k, host);
  pr_debug(k, 'MCI Removed');
}

// ---- writing -------------------------------------------------------------------------------------------------------

/** Copy the pieces of a write into the coherent buffer. Context: process. */
function at91mci_sg_to_dma(k: Kernel, host: At91mciHost, data: MmcData): void {
  let size = k.read(data, struct_mmc_data.blksz) * k.read(data, struct_mmc_data.blocks);
  const length = k.read(data, struct_mmc_data.sg_len);
  let dmabuf = k.read(host, struct_at91mci_host.buffer);
  for (let i = 0; i < length; i++) {
    const sg = sgAt(k, data, i);
    const offset = k.read(sg, struct_scatterlist.offset);
    const sgbuffer = vaddr(kmap_atomic(k, pageOf(k, sg), km_type.KM_BIO_SRC_IRQ) + offset);
    const amount = Math.min(size, k.read(sg, struct_scatterlist.length));
    size -= amount;
    for (let at = 0; at < amount; at += 4) {
      const word = k.load32(vaddr(sgbuffer + at));
      k.store32(vaddr(dmabuf + at), cpu_is_at91rm9200(k) ? swab32(word) : word);
    }
    dmabuf += amount;
    kunmap_atomic(k, kunmapArgument(k, sgbuffer, offset), km_type.KM_BIO_SRC_IRQ);
    if (size === 0) break;
  }
  BUG_ON(k, size !== 0, 'drivers/mmc/host/at91_mci.c at91mci_sg_to_dma: bytes left', size);
}

const pageOf = (k: Kernel, sg: Scatter): Page => ptr<'page'>(k.read(sg, struct_scatterlist.page));

/** The withdrawn patch subtracts the offset from a pointer to words. */
const kunmapArgument = (k: Kernel, buffer: Vaddr, offset: number): Vaddr =>
  k.patched['at91-mci-kunmap-offset'] ? vaddr(buffer - 4 * offset) : buffer;

/** Context: interrupt. */
function at91mci_handle_transmitted(k: Kernel, host: At91mciHost): void {
  pr_debug(k, 'Handling the transmit');
  write(k, host, MCI.PTCR, AT91_PDC_RXTDIS | AT91_PDC_TXTDIS);
  disable(k, host, AT91_MCI_TXBUFE);
  enable(k, host, AT91_MCI_NOTBUSY);
  const data = dataOf(k, host);
  if (data !== NULL) {
    k.write(data, struct_mmc_data.bytes_xfered, k.read(host, struct_at91mci_host.total_length));
  }
}

const dataOf = (k: Kernel, host: At91mciHost): MmcData => {
  const cmd = ptr<'mmc_command'>(k.read(host, struct_at91mci_host.cmd));
  return cmd === NULL ? NULL : ptr<'mmc_data'>(k.read(cmd, struct_mmc_command.data));
};

// ---- reading -------------------------------------------------------------------------------------------------------

/** Give the next pieces to the controller: as many as it has free places. Context: any. */
function at91mci_pre_dma_read(k: Kernel, host: At91mciHost): void {
  pr_debug(k, 'pre dma read');
  const data = dataOf(k, host);
  if (data === NULL) {
    pr_debug(k, 'no data');
    return;
  }
  for (let i = 0; i < 2; i++) {
    const transferIndex = k.read(host, struct_at91mci_host.transfer_index);
    if (transferIndex >= k.read(data, struct_mmc_data.sg_len)) {
      pr_debug(k, `Nothing left to transfer (index = ${transferIndex})`);
      break;
    }
    if (read(k, host, i === 0 ? MCI.RCR : MCI.RNCR) !== 0) {
      pr_debug(k, i === 0 ? 'Transfer active in current' : 'Transfer active in next');
      continue;
    }
    pr_debug(k, `Using transfer index ${transferIndex}`);
    const sg = sgAt(k, data, bump(k, host, 'transfer_index'));
    pr_debug(k, `sg = ${hex8(sg)}`);
    const bytes = k.read(sg, struct_scatterlist.length);
    const bus = dma_map_page(k, pageOf(k, sg), k.read(sg, struct_scatterlist.offset), bytes, DMA_FROM_DEVICE);
    k.write(sg, struct_scatterlist.dma_address, bus);
    pr_debug(k, `dma address = ${HEX8(bus)}, length = ${bytes}`);
    write(k, host, i === 0 ? MCI.RPR : MCI.RNPR, bus);
    write(k, host, i === 0 ? MCI.RCR : MCI.RNCR, bytes >>> 2);
  }
  pr_debug(k, 'pre dma read done');
}

/** A piece has arrived: put it in order for whoever asked for it. Context: interrupt. */
function finishPiece(k: Kernel, data: MmcData, index: number): void {
  pr_debug(k, `finishing index ${index}`);
  const sg = sgAt(k, data, index);
  const bus = k.read(sg, struct_scatterlist.dma_address) as Paddr;
  const bytes = k.read(sg, struct_scatterlist.length);
  const offset = k.read(sg, struct_scatterlist.offset);
  const page = pageOf(k, sg);
  pr_debug(k, `Unmapping page ${HEX8(bus)}`);
  dma_unmap_page(k, bus, bytes, DMA_FROM_DEVICE);
  const buffer = vaddr(kmap_atomic(k, page, km_type.KM_BIO_SRC_IRQ) + offset);
  pr_debug(k, `buffer = ${hex8(buffer)}, length = ${bytes}`);
  k.write(data, struct_mmc_data.bytes_xfered, k.read(data, struct_mmc_data.bytes_xfered) + bytes);
  if (cpu_is_at91rm9200(k)) {
    for (let at = 0; at < bytes; at += 4) {
      k.store32(vaddr(buffer + at), swab32(k.load32(vaddr(buffer + at))));
    }
  }
  kunmap_atomic(k, kunmapArgument(k, buffer, offset), km_type.KM_BIO_SRC_IRQ);
  flushTransferred(k, page, buffer, bytes);
}

/** What a driver does when data have come into a buffer: as released, and as the mails of seed 001 propose. Context: any. */
export function flushTransferred(k: Kernel, page: Page, buffer: Vaddr, bytes: number): void {
  if (k.patched['at91-mci-flush-range']) flush_dcache_range(k, buffer, bytes);
  else if (!k.patched['at91-mci-page-slab-check'] || !PageSlab(k, page)) flush_dcache_page(k, page);
}

/** Context: interrupt. */
function at91mci_post_dma_read(k: Kernel, host: At91mciHost): void {
  pr_debug(k, 'post dma read');
  const data = dataOf(k, host);
  if (data === NULL) {
    pr_debug(k, 'no data');
    return;
  }
  if (k.patched['mutant-at91-mci-no-index']) k.write(host, struct_at91mci_host.in_use_index, 0);
  while (k.read(host, struct_at91mci_host.in_use_index) < k.read(host, struct_at91mci_host.transfer_index)) {
    finishPiece(k, data, bump(k, host, 'in_use_index'));
  }
  if (k.read(host, struct_at91mci_host.transfer_index) < k.read(data, struct_mmc_data.sg_len)) {
    at91mci_pre_dma_read(k, host);
  } else {
    enable(k, host, AT91_MCI_RXBUFF);
    write(k, host, MCI.PTCR, AT91_PDC_RXTDIS | AT91_PDC_TXTDIS);
  }
  pr_debug(k, 'post dma read done');
}

// ---- commands ------------------------------------------------------------------------------------------------------

/** Return: the interrupts that say how it goes on. Context: process or interrupt. */
function at91_mci_send_command(k: Kernel, host: At91mciHost, cmd: MmcCommand): number {
  k.write(host, struct_at91mci_host.cmd, cmd);
  const data = dataOf(k, host);
  const blocks = data === NULL ? 0 : k.read(data, struct_mmc_data.blocks);
  const blockLength = data === NULL ? 0 : k.read(data, struct_mmc_data.blksz);
  const writes = data !== NULL && (k.read(data, struct_mmc_data.flags) & MMC_DATA_WRITE) !== 0;
  const opcode = k.read(cmd, struct_mmc_command.opcode);
  const arg = k.read(cmd, struct_mmc_command.arg);
  const start = data === NULL ? 0 : AT91_MCI_TRCMD_START | (writes ? 0 : AT91_MCI_TRDIR_READ);
  const cmdr = opcode | AT91_MCI_RSPTYP_48 | start;
  const mr = read(k, host, MCI.MR);
  pr_debug(
    k,
    `Sending command ${opcode} as ${HEX8(cmdr)}, arg = ${HEX8(arg)}, blocks = ${blocks}, length = ${blockLength} (MR = ${HEX8(mr)})`,
  );
  write(k, host, MCI.PTCR, AT91_PDC_RXTDIS | AT91_PDC_TXTDIS);
  write(k, host, MCI.MR, data === NULL ? mr : (mr & 0x7fff) | (blockLength << 16) | AT91_MCI_PDCMODE);
  let ier = AT91_MCI_CMDRDY;
  if (data !== NULL) {
    k.write(data, struct_mmc_data.bytes_xfered, 0);
    k.write(host, struct_at91mci_host.transfer_index, 0);
    k.write(host, struct_at91mci_host.in_use_index, 0);
    ier = writes ? prepareWrite(k, host, data, blockLength * blocks) : prepareRead(k, host);
  }
  write(k, host, MCI.ARGR, arg);
  write(k, host, MCI.CMDR, cmdr);
  if (data !== NULL) write(k, host, MCI.PTCR, writes ? AT91_PDC_TXTEN : AT91_PDC_RXTEN);
  return ier;
}

function prepareRead(k: Kernel, host: At91mciHost): number {
  k.write(host, struct_at91mci_host.buffer, NULL);
  k.write(host, struct_at91mci_host.total_length, 0);
  at91mci_pre_dma_read(k, host);
  return AT91_MCI_ENDRX;
}

function prepareWrite(k: Kernel, host: At91mciHost, data: MmcData, bytes: number): number {
  const buffer = dma_alloc_coherent(k, NULL, bytes, gfp(k).GFP_KERNEL);
  k.write(host, struct_at91mci_host.total_length, bytes);
  k.write(host, struct_at91mci_host.buffer, buffer.addr);
  k.write(host, struct_at91mci_host.physical_address, buffer.handle);
  at91mci_sg_to_dma(k, host, data);
  pr_debug(k, `Transmitting ${bytes} bytes`);
  write(k, host, MCI.TPR, buffer.handle);
  write(k, host, MCI.TCR, bytes >>> 2);
  return AT91_MCI_TXBUFE;
}

function at91mci_process_command(k: Kernel, host: At91mciHost, cmd: MmcCommand): void {
  const ier = at91_mci_send_command(k, host, cmd);
  pr_debug(k, `setting ier to ${HEX8(ier)}`);
  enable(k, host, AT91_MCI_ERRORS | ier);
}

function at91mci_process_next(k: Kernel, host: At91mciHost): void {
  const flags = k.read(host, struct_at91mci_host.flags);
  const mrq = ptr<'mmc_request'>(k.read(host, struct_at91mci_host.request));
  const stop = ptr<'mmc_command'>(k.read(mrq, struct_mmc_request.stop));
  if ((flags & FL_SENT_COMMAND) === 0) {
    k.write(host, struct_at91mci_host.flags, flags | FL_SENT_COMMAND);
    at91mci_process_command(k, host, ptr<'mmc_command'>(k.read(mrq, struct_mmc_request.cmd)));
  } else if ((flags & FL_SENT_STOP) === 0 && stop !== NULL) {
    k.write(host, struct_at91mci_host.flags, flags | FL_SENT_STOP);
    at91mci_process_command(k, host, stop);
  } else mmc_request_done(k, mrq);
}

/** Context: interrupt. The buffer of a write is freed here. */
function at91mci_completed_command(k: Kernel, host: At91mciHost): void {
  disable(k, host, -1);
  const cmd = ptr<'mmc_command'>(k.read(host, struct_at91mci_host.cmd));
  const responses = [0, 1, 2, 3].map((i) => read(k, host, MCI.RSPR + i));
  for (const [i, response] of responses.entries()) k.store(vaddr(cmd + 8 + i * 4), response);
  const buffer = vaddr(k.read(host, struct_at91mci_host.buffer));
  if (buffer !== NULL) {
    const handle = k.read(host, struct_at91mci_host.physical_address) as Paddr;
    dma_free_coherent(k, NULL, k.read(host, struct_at91mci_host.total_length), buffer, handle);
    k.write(host, struct_at91mci_host.buffer, NULL);
  }
  const status = read(k, host, MCI.SR);
  pr_debug(k, `Status = ${HEX8(status)} [${responses.map(HEX8).join(' ')}]`);
  k.write(cmd, struct_mmc_command.error, (status & AT91_MCI_ERRORS) === 0 ? 0 : 1);
  at91mci_process_next(k, host);
}

/** mmc_host_ops.request. Context: process. */
export function at91_mci_request(k: Kernel, host: At91mciHost, mrq: MmcRequest): void {
  k.write(host, struct_at91mci_host.request, mrq);
  k.write(host, struct_at91mci_host.flags, 0);
  at91mci_process_next(k, host);
  kick(k, host);
}

/** What the status bits stand for, in the order of the source. Context: interrupt. */
function at91_mci_irq(k: Kernel, host: At91mciHost): void {
  const sr = read(k, host, MCI.SR);
  const imr = read(k, host, MCI.IMR);
  const status = (sr & imr) >>> 0;
  pr_debug(k, `MCI irq: status = ${HEX8(sr)}, ${HEX8(imr)}, ${HEX8(status)}`);
  let completed = (status & AT91_MCI_ERRORS) !== 0;
  if ((status & AT91_MCI_TXBUFE) !== 0) {
    pr_debug(k, 'TX buffer empty');
    at91mci_handle_transmitted(k, host);
  }
  if ((status & AT91_MCI_RXBUFF) !== 0) {
    pr_debug(k, 'RX buffer full');
    enable(k, host, AT91_MCI_CMDRDY);
  }
  if ((status & AT91_MCI_ENDTX) !== 0) pr_debug(k, 'Transmit has ended');
  if ((status & AT91_MCI_ENDRX) !== 0) {
    pr_debug(k, 'Receive has ended');
    at91mci_post_dma_read(k, host);
  }
  if ((status & AT91_MCI_NOTBUSY) !== 0) {
    pr_debug(k, 'Card is ready');
    enable(k, host, AT91_MCI_CMDRDY);
  }
  if ((status & AT91_MCI_CMDRDY) !== 0) {
    pr_debug(k, 'Command ready');
    completed = true;
  }
  disable(k, host, status);
  if (completed) {
    pr_debug(k, 'Completed command');
    disable(k, host, -1);
    at91mci_completed_command(k, host);
  }
  kick(k, host);
}

/** Flags of request_irq(). Source: include/linux/interrupt.h, Linux 2.6.22. */
export const IRQF_DISABLED = 0x20;
export const IRQF_SHARED = 0x80;

/**
 * The handler as kernel/irq/handle.c calls it. The driver asks for its line with IRQF_SHARED: without IRQF_DISABLED interrupts are on in it.
 *
 * Context: interrupt.
 */
export function at91_mci_interrupt(k: Kernel, host: At91mciHost, flags: number = IRQF_SHARED): void {
  if ((flags & IRQF_DISABLED) === 0) local_irq_enable(k);
  at91_mci_irq(k, host);
  local_irq_disable(k);
}

/** Enable interrupts of the controller from outside of the driver: for experiments with interrupts that nobody waits for. */
export function at91_mci_expect(k: Kernel, host: At91mciHost, bits: number): void {
  enable(k, host, bits);
}

// ---- the controller ------------------------------------------------------------------------------------------------

/** A card: what it answers to a read, as words in the byte order of memory, and where it puts what is written. */
export interface Card {
  read(opcode: number, arg: number, offset: number): number;
  write?(opcode: number, arg: number, offset: number, word: number): void;
}

const IDLE = AT91_MCI_CMDRDY | AT91_MCI_TXRDY | AT91_MCI_BLKE | AT91_MCI_NOTBUSY;

function statusOf(d: Device): number {
  const received = d.register(MCI.RCR) === 0;
  const sent = d.register(MCI.TCR) === 0;
  return (
    IDLE |
    (received ? AT91_MCI_ENDRX : 0) |
    (received && d.register(MCI.RNCR) === 0 ? AT91_MCI_RXBUFF : 0) |
    (sent ? AT91_MCI_ENDTX | AT91_MCI_TXBUFE : 0)
  );
}

/** The buffer of the card for this command, then the next one. Each word is a step. */
function receive(d: Device, card: Card, swapped: boolean): void {
  const opcode = d.register(MCI.CMDR) & 0x3f;
  const arg = d.register(MCI.ARGR);
  let from = 0;
  while (d.register(MCI.RCR) !== 0) {
    const bytes = d.register(MCI.RCR) * 4;
    d.transferIn(d.register(MCI.RPR) as Paddr, bytes, (offset) => {
      const word = card.read(opcode, arg, from + offset) >>> 0;
      return swapped ? swab32(word) : word;
    });
    from += bytes;
    d.setRegister(MCI.RPR, d.register(MCI.RNPR));
    d.setRegister(MCI.RCR, d.register(MCI.RNCR));
    d.setRegister(MCI.RNCR, 0);
  }
}

function transmit(d: Device, card: Card, swapped: boolean): void {
  const opcode = d.register(MCI.CMDR) & 0x3f;
  const arg = d.register(MCI.ARGR);
  d.transferOut(d.register(MCI.TPR) as Paddr, d.register(MCI.TCR) * 4, (offset, word) => {
    card.write?.(opcode, arg, offset, swapped ? swab32(word) : word);
  });
  d.setRegister(MCI.TCR, 0);
}

/**
 * The controller with a card in it, as a device of a race: it works until the driver switches it off.
 *
 * Differs: the level of its line is looked at when the driver has finished with its registers.
 */
export function at91_mci_controller(card: Card, line: number): (d: Device) => void {
  return (d) => {
    const swapped = d.config.core.proc === 'arm920';
    d.setRegister(MCI.SR, statusOf(d));
    for (;;) {
      d.waitDoorbell();
      if ((d.register(MCI.CR) & AT91_MCI_MCIDIS) !== 0) return;
      const pdc = d.register(MCI.PTCR);
      if ((pdc & AT91_PDC_RXTEN) !== 0) receive(d, card, swapped);
      if ((pdc & AT91_PDC_TXTEN) !== 0) transmit(d, card, swapped);
      d.setRegister(MCI.SR, statusOf(d));
      if ((statusOf(d) & d.register(MCI.IMR)) !== 0) d.raise(0, line);
    }
  };
}
