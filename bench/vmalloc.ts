/** What is measured of vmalloc() and the page allocator, each in a worker of its own. */
import type { Kernel } from '../src/cpu/kernel.js';
import { gfp } from '../src/mm/gfp.js';
import { kfree, kmalloc } from '../src/mm/kmalloc.js';
import { __free_pages, alloc_pages, GFP_KERNEL } from '../src/mm/page_alloc.js';
import { struct_vm_struct, VM_MAP } from '../src/mm/vmalloc/vm-struct.js';
import { alloc_vmap_area, va_start } from '../src/mm/vmalloc/vmap-area.js';
import { get_vm_area, purge_vmap_area_lazy, remove_vm_area, vfree, vmalloc } from '../src/mm/vmalloc.js';
import { NULL, type Vaddr, vaddr } from '../src/shared/types.js';
import { KERNEL_VERSION } from '../src/shared/version.js';
import { localKernel } from './local-kernel.js';
import { measure, type Sample } from './measure.js';

const PAGE = 4096;
export const VMALLOC_PAGES = [1, 16, 256] as const;
export const LIVE_AREAS = [10, 1_000, 10_000] as const;
/** A kernel for each era of mm/vmalloc.c. */
export const ERAS = ['2.5.53', '2.6.22', '2.6.34', '4.12'] as const;
export const ORDERS = [0, 3] as const;

/** vmalloc() and vfree() against as many pages by themselves. */
export function vmallocPair(pages: number): Sample[] {
  const k = localKernel('cortex-a9', { kernel: '4.12', cpus: 1, lowmemPages: 2048 });
  const list: number[] = new Array(pages).fill(0);
  return measure(
    {
      pages: (n) => {
        for (let i = 0; i < n; i++) {
          for (let page = 0; page < pages; page++) list[page] = alloc_pages(k, GFP_KERNEL, 0);
          for (let page = 0; page < pages; page++) __free_pages(k, list[page] as never, 0);
        }
      },
      pair: (n) => {
        for (let i = 0; i < n; i++) vfree(k, vmalloc(k, pages * PAGE));
      },
    },
    Math.ceil(2_000 / pages),
  );
}

/** So many areas of a page each, made by hand where get_vm_area() would take the square of their number. */
function populate(k: Kernel, areas: number): void {
  const { GFP_KERNEL: mask } = gfp(k);
  const vmapAreas = k.LINUX_VERSION_CODE >= KERNEL_VERSION(2, 6, 28);
  let link: Vaddr = k.sym.vmlist;
  let addr: number = k.arch.VMALLOC_START(k);
  for (let i = 0; i < areas; i++) {
    const area = kmalloc<'vm_struct'>(k, struct_vm_struct.sizeof, mask);
    if (vmapAreas) {
      const va = alloc_vmap_area(k, 2 * PAGE, PAGE, addr, k.arch.VMALLOC_END(k), mask, () => {});
      addr = va_start(k, va);
    }
    k.write(area, struct_vm_struct.next, NULL);
    k.write(area, struct_vm_struct.flags, VM_MAP);
    k.write(area, struct_vm_struct.addr, addr);
    k.write(area, struct_vm_struct.size, 2 * PAGE);
    k.store(link, area);
    link = vaddr(area + struct_vm_struct.next.offset);
    addr += (vmapAreas ? 3 : 2) * PAGE;
  }
}

const GROUPS = 8;
const PAIRS = 8;

/**
 * get_vm_area() and remove_vm_area() of one page while so many areas are there: the median of single calls. What waits for a purge is purged now and then, in
 * time that does not count.
 */
export function liveAreas(kernel: string, areas: number): Sample[] {
  const k = localKernel('cortex-a9', { kernel, cpus: 1, lowmemPages: 4096 });
  populate(k, areas);
  const times: number[] = [];
  for (let group = 0; group < GROUPS; group++) {
    purge_vmap_area_lazy(k);
    for (let i = 0; i < PAIRS; i++) {
      const started = performance.now();
      const area = get_vm_area(k, PAGE, VM_MAP);
      remove_vm_area(k, vaddr(k.read(area, struct_vm_struct.addr)));
      times.push((performance.now() - started) * 1e6);
      kfree(k, area);
    }
  }
  return [{ name: 'pair', nanoseconds: times.sort((a, b) => a - b)[times.length >> 1] as number }];
}

/** A block of the page allocator against the head of a list of numbers. */
export function pagePair(order: number): Sample[] {
  const k = localKernel('cortex-a9', { kernel: '4.12', cpus: 1, lowmemPages: 2048 });
  const next = new Int32Array(new SharedArrayBuffer(4096));
  for (let i = 0; i < 1023; i++) next[i] = i + 1;
  return measure(
    {
      raw: (n) => {
        for (let i = 0; i < n; i++) {
          const first = next[0] as number;
          next[0] = next[first] as number;
          next[first] = next[0] as number;
          next[0] = first;
        }
      },
      pair: (n) => {
        for (let i = 0; i < n; i++) __free_pages(k, alloc_pages(k, GFP_KERNEL, order), order);
      },
    },
    50_000,
  );
}
