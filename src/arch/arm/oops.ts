/**
 * What the kernel prints when the MMU refuses an access.
 *
 * Source: arch/arm/mm/fault.c, arch/arm/kernel/{traps,process}.c, Linux 2.6.22; spec/slab-dma.md §5.3. There is no machine code and no
 * kernel stack here: registers are printed where the model knows them (`Kernel.executing`) and as question marks where it does not, the
 * backtrace names the kernel functions that are being executed. The stack has no words to dump and the code no instructions.
 */
import type { Kernel } from '../../cpu/kernel.js';
import type { Place } from '../../cpu/place.js';
import { KernelBug } from '../../shared/errors.js';
import { in_interrupt } from '../../shared/irqflags.js';
import { hex8 } from '../../shared/types.js';
import { KERNEL_VERSION } from '../../shared/version.js';
import { dump_stack_print_info, kernelFunctions } from '../functions.js';

const PAGE = 4096;
/** Fault status bit of a write, ARMv6 and later. */
const FSR_WRITE = 1 << 11;
const UNKNOWN = '????????';
/** Type bit of a first-level entry that maps a section. */
const PMD_SECT = 2;

export function do_kernel_fault(k: Kernel, addr: number, status: number, write: boolean): never {
  const fsr = write && (k.config.core.proc === 'v6' || k.config.core.proc === 'v7') ? status | FSR_WRITE : status;
  const what = addr < PAGE ? 'NULL pointer dereference' : 'paging request';
  const pgd = k.memory.read32(((k.mmu.ttbr + ((addr >>> 20) << 2)) >>> 0) as never) >>> 0;
  k.printk(`Unable to handle kernel ${what} at virtual address ${hex8(addr)}`);
  k.printk(`pgd = ${hex8(k.sym.swapper_pg_dir)}`);
  k.printk(show_pte(k, addr, pgd));
  const preempt = k.preemptible ? ' PREEMPT' : '';
  k.printk(`Internal error: Oops: ${fsr.toString(16)} [#1]${preempt}${k.config.cpus > 1 ? ' SMP' : ''}`);
  const place = k.executing !== null && k.executing.addr === addr >>> 0 ? k.executing : null;
  show_regs(k, place);
  k.printk(`Stack: (0x${UNKNOWN} to 0x${UNKNOWN})`);
  dump_backtrace(k);
  k.printk(`Code: ${UNKNOWN} ${UNKNOWN} ${UNKNOWN} ${UNKNOWN} (${UNKNOWN})`);
  if (in_interrupt(k)) k.printk('Kernel panic - not syncing: Fatal exception in interrupt');
  throw new KernelBug('oops', `Unable to handle kernel ${what} at virtual address ${hex8(addr)}`, addr);
}

/** A section is no table; entries are shown by kernels without highmem: the kernel's own, and the one that the hardware reads, 2 KB before it. */
function show_pte(k: Kernel, addr: number, pgd: number): string {
  const text = `[${hex8(addr)}] *pgd=${hex8(pgd)}`;
  if (pgd === 0) return text;
  if ((pgd & PMD_SECT) !== 0) return `${text}(bad)`;
  if (k.config.highmemPages > 0) return text;
  const hardware = (pgd & ~0x3ff) + ((addr >>> 12) & 0xff) * 4;
  const entry = (pa: number): string => hex8(k.memory.read32((pa >>> 0) as never));
  return `${text}, *pte=${entry(hardware + 2048)}, *ppte=${entry(hardware)}`;
}

const hex = (n: number): string => `0x${n.toString(16)}`;

/** Lines 5 to 16 of the text, in the layout of the release. */
function show_regs(k: Kernel, place: Place | null): void {
  const reg = (name: string): string => {
    const value = place?.registers[name];
    return value === undefined ? UNKNOWN : hex8(value);
  };
  k.printk('Modules linked in:');
  k.printk(`CPU: ${k.cpu}    Not tainted  (${k.config.kernel} #1)`);
  const code = place?.code ?? null;
  const within = code === null ? '?/?' : `${hex(code.offset)}/${hex(code.size)}`;
  k.printk(`PC is at ${place === null ? '?' : `${place.symbol}+${within}`}`);
  k.printk(`LR is at ${code?.lr ?? '?'}`);
  k.printk(`pc : [<${reg('pc')}>]    lr : [<${reg('lr')}>]    psr: ${reg('psr')}`);
  k.printk(`sp : ${reg('sp')}  ip : ${reg('ip')}  fp : ${reg('fp')}`);
  k.printk(`r10: ${reg('r10')}  r9 : ${reg('r9')}  r8 : ${reg('r8')}`);
  k.printk(`r7 : ${reg('r7')}  r6 : ${reg('r6')}  r5 : ${reg('r5')}  r4 : ${reg('r4')}`);
  k.printk(`r3 : ${reg('r3')}  r2 : ${reg('r2')}  r1 : ${reg('r1')}  r0 : ${reg('r0')}`);
  k.printk(`Flags: ????  IRQs ${k.irqsOff ? 'off' : 'on'}  FIQs on  Mode SVC_32  Segment kernel`);
  k.printk(`Control: ${UNKNOWN}  Table: ${hex8(k.mmu.ttbr)}  DAC: ${UNKNOWN}`);
  k.printk(`Process thread${k.slot} (pid: ${k.slot}, stack limit = 0x${UNKNOWN})`);
}

/** The kernel functions that are being executed, innermost first. Return addresses do not exist. */
function dump_backtrace(k: Kernel): void {
  const names = kernelFunctions();
  if (names.length < 2) return;
  k.printk('Backtrace: ');
  c_backtrace(k, names);
}

/**
 * For reports that do not end the kernel.
 *
 * Source: arch/arm/kernel/traps.c, Linux 2.6.22, 2.6.30, 4.10. Differs: 2.5.53 prints no names.
 */
export function dump_stack(k: Kernel): void {
  dump_stack_print_info(k);
  const titled = k.LINUX_VERSION_CODE >= KERNEL_VERSION(2, 6, 28) && k.LINUX_VERSION_CODE < KERNEL_VERSION(3, 0, 0);
  if (titled) k.printk('Backtrace: ');
  c_backtrace(k, kernelFunctions());
}

function c_backtrace(k: Kernel, names: readonly string[]): void {
  names.slice(0, -1).forEach((name, i) => {
    k.printk(`[<${UNKNOWN}>] (${name}) from [<${UNKNOWN}>] (${names[i + 1]})`);
  });
}
