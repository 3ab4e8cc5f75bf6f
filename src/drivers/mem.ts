/**
 * /dev/kmem and /proc/kcore: readers of vmalloc memory in user space's name. Both copy at most a page for each time that they take vmlist_lock.
 *
 * Source: drivers/char/mem.c (`read_kmem`), fs/proc/kcore.c (`read_kcore`), Linux 2.5.53; spec/vmalloc-gfp.md §6.2. Differs: user space's buffer is kernel
 * memory. Left out: the direct map, the ELF header.
 */
import type { Kernel } from '../cpu/kernel.js';
import { gfp } from '../mm/gfp.js';
import { kfree, kmalloc } from '../mm/kmalloc.js';
import { __get_free_page, free_page } from '../mm/page_alloc.js';
import { memcpy, memset } from '../mm/string.js';
import { PAGE_SIZE, struct_vm_struct, VM_IOREMAP } from '../mm/vmalloc/vm-struct.js';
import { read_lock_vmlist, read_unlock_vmlist } from '../mm/vmalloc/vmlist.js';
import { vread } from '../mm/vmalloc.js';
import { NULL, type Vaddr, vaddr } from '../shared/types.js';

/** Context: process, may sleep. Return: bytes read; 0 without memory for the bounce page. */
export function read_kmem(k: Kernel, buf: Vaddr, addr: Vaddr, count: number): number {
  const kbuf = __get_free_page(k, gfp(k).GFP_KERNEL);
  if (kbuf === NULL) return 0;
  let done = 0;
  while (done < count) {
    const bytes = vread(k, kbuf, vaddr(addr + done), Math.min(count - done, PAGE_SIZE));
    if (bytes === 0) break;
    memcpy(k, vaddr(buf + done), kbuf, bytes);
    done += bytes;
  }
  free_page(k, kbuf);
  return done;
}

/** Context: process, may sleep. Kernels with vmlist. Return: bytes read; 0 without memory for the bounce page. */
export function read_kcore(k: Kernel, buf: Vaddr, addr: Vaddr, count: number): number {
  let done = 0;
  while (done < count) {
    const bytes = Math.min(count - done, PAGE_SIZE - ((addr + done) & (PAGE_SIZE - 1)));
    const elf_buf = kmalloc<'page'>(k, bytes, gfp(k).GFP_KERNEL);
    if (elf_buf === NULL) break;
    memset(k, elf_buf, 0, bytes);
    copyAreas(k, elf_buf, addr + done, bytes);
    memcpy(k, vaddr(buf + done), elf_buf, bytes);
    kfree(k, elf_buf);
    done += bytes;
  }
  return done;
}

/** Holes and I/O memory stay zero. */
function copyAreas(k: Kernel, buf: Vaddr, start: number, bytes: number): void {
  const flags = read_lock_vmlist(k);
  let m = k.loadPtr<'vm_struct'>(k.sym.vmlist);
  for (; m !== NULL; m = k.loadPtr<'vm_struct'>(vaddr(m + struct_vm_struct.next.offset))) {
    const from = Math.max(k.read(m, struct_vm_struct.addr), start);
    const to = Math.min(k.read(m, struct_vm_struct.addr) + k.read(m, struct_vm_struct.size) - PAGE_SIZE, start + bytes);
    if (from >= to || (k.read(m, struct_vm_struct.flags) & VM_IOREMAP) !== 0) continue;
    memcpy(k, vaddr(buf + from - start), vaddr(from), to - from);
  }
  read_unlock_vmlist(k, flags);
}
