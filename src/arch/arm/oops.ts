/**
 * What the kernel prints when the MMU refuses an access. Source: arch/arm/mm/fault.c, arch/arm/kernel/traps.c, Linux 2.6.30.
 * Left out: registers, code line and stack dump, which the model does not have.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { KernelBug } from '../../shared/errors.js';
import { hex8 } from '../../shared/types.js';

const PAGE = 4096;
/** Fault status bit of a write, ARMv6 and later. */
const FSR_WRITE = 1 << 11;

export function do_kernel_fault(k: Kernel, addr: number, status: number, write: boolean): never {
  const fsr = write && (k.config.core.proc === 'v6' || k.config.core.proc === 'v7') ? status | FSR_WRITE : status;
  const what = addr < PAGE ? 'NULL pointer dereference' : 'paging request';
  const pgd = k.memory.read32(((k.mmu.ttbr + ((addr >>> 20) << 2)) >>> 0) as never) >>> 0;
  k.printk(`Unable to handle kernel ${what} at virtual address ${hex8(addr)}`);
  k.printk(`pgd = ${hex8(k.sym.swapper_pg_dir)}`);
  k.printk(`[${hex8(addr)}] *pgd=${hex8(pgd)}`);
  const preempt = k.preemptible ? ' PREEMPT' : '';
  k.printk(`Internal error: Oops: ${fsr.toString(16)} [#1]${preempt}${k.config.cpus > 1 ? ' SMP' : ''}`);
  throw new KernelBug('oops', `Unable to handle kernel ${what} at virtual address ${hex8(addr)}`, addr);
}
