/**
 * What the kernel prints when it faults. Source: arch/parisc/kernel/traps.c (parisc_terminate, show_regs), arch/parisc/mm/fault.c, Linux 2.6.30;
 * spec/slab-dma.md §5.3. General registers, PSW, instruction and addresses of code are not modelled: their lines have question marks.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { KernelBug } from '../../shared/errors.js';
import { hex8 } from '../../shared/types.js';
import { dump_stack_print_info, kernelFunctions } from '../functions.js';
import { isUserAddress } from './memory.js';
import { Trap } from './mmu.js';

const UNKNOWN = '????????';
/** MAX_UNWIND_ENTRIES of traps.c. */
const BACKTRACE_FRAMES = 16;
const row = (name: string): string => `${name}  ${Array.from({ length: 4 }, () => UNKNOWN).join(' ')}`;

/**
 * Faults in the kernel's own space end here at once; those of user addresses come through do_page_fault(), which has another text. Traps with a name
 * of their own go through die_if_kernel().
 */
export function parisc_terminate(k: Kernel, addr: number, code: number, _write: boolean): never {
  const names = kernelFunctions();
  const named = code === Trap.unaligned;
  const fault = isUserAddress(addr) ? 'Bad Address (null pointer deref?)' : 'Kernel Fault';
  const msg = named ? 'Unaligned data reference' : fault;
  if (!named) backtrace(k, names);
  k.printk('');
  k.printk(
    named
      ? `thread${k.slot} (pid ${k.slot}): ${msg} (code ${code})`
      : `${msg}: Code=${code} regs=${UNKNOWN} (Addr=${hex8(addr)})`,
  );
  show_regs(k, addr, names);
  if (named) backtrace(k, names);
  k.printk(`Kernel panic - not syncing: ${msg}`);
  throw new KernelBug('oops', `${msg}: Code=${code} (Addr=${hex8(addr)})`, addr);
}

/** Return addresses do not exist: the names are those of the functions that are being executed. */
function backtrace(k: Kernel, names: readonly string[]): void {
  k.printk('Backtrace:');
  for (const name of names.slice(0, BACKTRACE_FRAMES)) k.printk(` [<${UNKNOWN}>] ${name}`);
}

/** For reports that do not end the kernel. Source: arch/parisc/kernel/traps.c, Linux 2.6.30. */
export function dump_stack(k: Kernel): void {
  dump_stack_print_info(k);
  backtrace(k, kernelFunctions());
}

function show_regs(k: Kernel, addr: number, names: readonly string[]): void {
  k.printk('');
  k.printk('     YZrvWESTHLNXBCVMcbcbcbcbOGFRQPDI');
  k.printk(`PSW: ${'?'.repeat(32)} Not tainted`);
  for (let r = 0; r < 32; r += 4) k.printk(row(`r${two(r)}-${two(r + 3)}`));
  k.printk(row('sr00-03'));
  k.printk(row('sr04-07'));
  k.printk('');
  k.printk(`IASQ: 00000000 00000000 IAOQ: ${UNKNOWN} ${UNKNOWN}`);
  k.printk(` IIR: ${UNKNOWN}    ISR: 00000000  IOR: ${hex8(addr)}`);
  k.printk(` CPU: ${String(k.cpu).padStart(8)}   CR30: ${UNKNOWN} CR31: ${UNKNOWN}`);
  k.printk(` ORIG_R28: ${UNKNOWN}`);
  k.printk(` IAOQ[0]: ${names[0] ?? '?'}`);
  k.printk(` IAOQ[1]: ${names[0] ?? '?'}`);
  k.printk(` RP(r2): ${names[1] ?? '?'}`);
}

const two = (n: number): string => String(n).padStart(2, '0');
