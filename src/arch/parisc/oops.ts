/**
 * What the kernel prints when it faults. Source: arch/parisc/kernel/traps.c (parisc_terminate, show_regs), arch/parisc/mm/fault.c, Linux 2.6.30;
 * spec/slab-dma.md §5.3. General registers, PSW, instruction and addresses of code are not modelled: their lines have question marks.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { KernelBug } from '../../shared/errors.js';
import { hex8 } from '../../shared/types.js';
import { Trap } from './mmu.js';

const UNKNOWN = '????????';
const row = (name: string): string => `${name}  ${Array.from({ length: 4 }, () => UNKNOWN).join(' ')}`;

/** A space-0 fault comes through do_page_fault() for misses and access rights; other traps have names of their own. */
export function parisc_terminate(k: Kernel, addr: number, code: number, _write: boolean): never {
  const msg = code === Trap.unaligned ? 'Unaligned data reference' : 'Bad Address (null pointer deref?)';
  k.printk('Backtrace:');
  k.printk('');
  k.printk(`${msg}: Code=${code} regs=${UNKNOWN} (Addr=${hex8(addr)})`);
  k.printk('     YZrvWESTHLNXBCVMcbcbcbcbOGFRQPDI');
  k.printk(`PSW: ${'?'.repeat(32)} Not tainted`);
  for (let r = 0; r < 32; r += 4) k.printk(row(`r${two(r)}-${two(r + 3)}`));
  k.printk(row('sr00-03'));
  k.printk(row('sr04-07'));
  k.printk(`IASQ: 00000000 00000000 IAOQ: ${UNKNOWN} ${UNKNOWN}`);
  k.printk(` IIR: ${UNKNOWN}    ISR: 00000000  IOR: ${hex8(addr)}`);
  k.printk(` CPU: ${String(k.cpu).padStart(8)}   CR30: ${UNKNOWN} CR31: ${UNKNOWN}`);
  k.printk(`Kernel panic - not syncing: ${msg}`);
  throw new KernelBug('oops', `${msg}: Code=${code} (Addr=${hex8(addr)})`, addr);
}

const two = (n: number): string => String(n).padStart(2, '0');
