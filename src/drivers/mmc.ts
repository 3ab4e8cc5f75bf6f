/**
 * The MMC core as the host driver sees it: requests, and the two transfers that bring up an SD card.
 *
 * Source: include/linux/mmc/core.h, drivers/mmc/core/{core,sd,sd_ops}.c, Linux 2.6.22; spec/slab-dma.md §5.1. Request, command, data and
 * scatterlist stand on the stack of the thread that waits, as in the kernel. Left out: everything else that a card is asked for.
 */
import type { Kernel } from '../cpu/kernel.js';
import { THREAD_STACK_BYTES } from '../mm/boot.js';
import { gfp } from '../mm/gfp.js';
import { kmalloc, kzalloc } from '../mm/kmalloc.js';
import { pfn_to_page } from '../mm/page.js';
import { defineStruct } from '../shared/layout.js';
import { struct_scatterlist } from '../shared/structs/configured.js';
import { NULL, type Ptr, ptr, type Vaddr, vaddr } from '../shared/types.js';
import { type Completion, complete, init_completion, wait_for_completion } from '../shared/wait.js';

export const struct_mmc_command = defineStruct('mmc_command', 44, {
  opcode: 0,
  arg: 4,
  resp: [8, 16],
  flags: 24,
  retries: 28,
  error: 32,
  data: 36,
  mrq: 40,
});
export const struct_mmc_data = defineStruct('mmc_data', 44, {
  timeout_ns: 0,
  timeout_clks: 4,
  blksz: 8,
  blocks: 12,
  error: 16,
  flags: 20,
  bytes_xfered: 24,
  stop: 28,
  mrq: 32,
  sg_len: 36,
  sg: 40,
});
/** Differs: the callback is always the one that wakes the waiting thread. */
export const struct_mmc_request = defineStruct('mmc_request', 16, { cmd: 0, data: 4, stop: 8, done_data: 12 });

export type MmcCommand = Ptr<'mmc_command'>;
export type MmcData = Ptr<'mmc_data'>;
export type MmcRequest = Ptr<'mmc_request'>;
export type Scatter = Ptr<'scatterlist'>;

export const MMC_READ_SINGLE_BLOCK = 17;
export const MMC_WRITE_BLOCK = 24;
export const SD_SWITCH = 6;
export const SD_APP_SEND_SCR = 51;
export const MMC_DATA_WRITE = 1 << 8;
export const MMC_DATA_READ = 1 << 9;

/** What a host driver gives to the core. */
export type RequestFn = (k: Kernel, mrq: MmcRequest) => void;

/** Where a transfer keeps its parts on the stack of the executing thread: the scatterlist, and behind it the data. */
interface Frame {
  readonly sg: Scatter;
  readonly data: MmcData;
  readonly cmd: MmcCommand;
  readonly mrq: MmcRequest;
  readonly done: Completion;
}

const SG_MAX = 4;

function frameOf(k: Kernel): Frame {
  const sg = k.sym.thread_stacks + k.slot * THREAD_STACK_BYTES;
  const data = sg + SG_MAX * struct_scatterlist.sizeof;
  const cmd = data + struct_mmc_data.sizeof;
  const mrq = cmd + struct_mmc_command.sizeof;
  const done = mrq + struct_mmc_request.sizeof;
  return { sg: ptr(sg), data: ptr(data), cmd: ptr(cmd), mrq: ptr(mrq), done: ptr(done) };
}

/** One entry: @bytes at a linear address. Source: include/linux/scatterlist.h. */
export function sg_init_one(k: Kernel, sg: Scatter, addr: Vaddr, bytes: number): void {
  k.write(sg, struct_scatterlist.page, pfn_to_page(k, (k.__pa(addr) >>> 12) as never));
  k.write(sg, struct_scatterlist.offset, addr & 4095);
  k.write(sg, struct_scatterlist.dma_address, 0);
  k.write(sg, struct_scatterlist.length, bytes);
}

/** A piece of a transfer: linear address and bytes. */
export interface Piece {
  readonly addr: Vaddr;
  readonly bytes: number;
}

/** Hand a request to the host driver and sleep until it is done. Context: process, may sleep. Return: the command's error. */
export function mmc_wait_for_req(k: Kernel, request: RequestFn, mrq: MmcRequest): number {
  const { done, cmd } = frameOf(k);
  init_completion(k, done);
  k.write(mrq, struct_mmc_request.done_data, done);
  request(k, mrq);
  wait_for_completion(k, done);
  return k.read(cmd, struct_mmc_command.error);
}

/** The host driver has finished a request. Context: any. */
export function mmc_request_done(k: Kernel, mrq: MmcRequest): void {
  complete(k, ptr<'completion'>(k.read(mrq, struct_mmc_request.done_data)));
}

/** Transfer @pieces, in blocks of the first one's size. Context: process, may sleep. Return: 0 or an error. */
export function mmc_transfer(
  k: Kernel,
  request: RequestFn,
  opcode: number,
  arg: number,
  flags: number,
  pieces: readonly Piece[],
): number {
  const { sg, data, cmd, mrq } = frameOf(k);
  pieces.forEach(({ addr, bytes }, i) => {
    sg_init_one(k, ptr(sg + i * struct_scatterlist.sizeof), addr, bytes);
  });
  k.write(cmd, struct_mmc_command.opcode, opcode);
  k.write(cmd, struct_mmc_command.arg, arg);
  k.write(cmd, struct_mmc_command.error, 0);
  k.write(cmd, struct_mmc_command.data, data);
  k.write(cmd, struct_mmc_command.mrq, mrq);
  k.write(data, struct_mmc_data.blksz, pieces[0]?.bytes ?? 0);
  k.write(data, struct_mmc_data.blocks, pieces.length);
  k.write(data, struct_mmc_data.flags, flags);
  k.write(data, struct_mmc_data.bytes_xfered, 0);
  k.write(data, struct_mmc_data.stop, NULL);
  k.write(data, struct_mmc_data.sg_len, pieces.length);
  k.write(data, struct_mmc_data.sg, sg);
  k.write(mrq, struct_mmc_request.cmd, cmd);
  k.write(mrq, struct_mmc_request.data, data);
  k.write(mrq, struct_mmc_request.stop, NULL);
  return mmc_wait_for_req(k, request, mrq);
}

export const SCR_BYTES = 8;
export const SWITCH_BYTES = 64;

/** `struct mmc_card`: its size and the place of raw_scr in it depend on the ABI. Source: compiled headers, spec/slab-dma.md §1.8. */
export const mmcCardLayout = (k: Kernel): { readonly bytes: number; readonly raw_scr: number } =>
  k.config.oabi ? { bytes: 444, raw_scr: 360 } : { bytes: 456, raw_scr: 372 };

/** The SCR goes straight into the card's struct. Context: process, may sleep. */
export function mmc_app_send_scr(k: Kernel, request: RequestFn, card: Vaddr): number {
  const piece = { addr: vaddr(card + mmcCardLayout(k).raw_scr), bytes: SCR_BYTES };
  return mmc_transfer(k, request, SD_APP_SEND_SCR, 0, MMC_DATA_READ, [piece]);
}

/** 64 bytes of status into @resp. Context: process, may sleep. */
export function mmc_sd_switch(k: Kernel, request: RequestFn, resp: Vaddr): number {
  return mmc_transfer(k, request, SD_SWITCH, 0x00ffffff, MMC_DATA_READ, [{ addr: resp, bytes: SWITCH_BYTES }]);
}

/** The card's struct. Context: process, may sleep. */
export function mmc_alloc_card(k: Kernel): Vaddr {
  return kzalloc(k, mmcCardLayout(k).bytes, gfp(k).GFP_KERNEL);
}

/** mmc_read_switch(): the status goes into a block of kmalloc(). Return: that block, which is the caller's to free. */
export function mmc_read_switch(k: Kernel, request: RequestFn): Vaddr {
  const status = kmalloc(k, SWITCH_BYTES, gfp(k).GFP_KERNEL);
  if (status !== NULL) mmc_sd_switch(k, request, status);
  return status;
}
