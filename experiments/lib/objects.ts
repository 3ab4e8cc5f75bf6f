/** Objects of slab caches at places that an experiment wants. */
import {
  GFP_KERNEL,
  type Kernel,
  kmalloc,
  lowmem_page_address,
  type Page,
  pfn_to_page,
  type Vaddr,
  virt_to_head_page,
} from '../../src/index.js';

/** The page that an address is in, and no other: not the first of its slab. */
export const virt_to_page = (k: Kernel, x: Vaddr): Page => pfn_to_page(k, (k.__pa(x) >>> 12) as never);

/** Where an object stands in its slab. With SLAB the slab's pages do not know each other: the offset is that in the page. */
export const offsetInSlab = (k: Kernel, x: Vaddr): number => x - lowmem_page_address(k, virt_to_head_page(k, x));

/** Objects are allocated until one stands where @fits says; the others stay allocated. */
export function objectAt(k: Kernel, size: number, fits: (x: Vaddr) => boolean): Vaddr {
  for (let tries = 0; tries < 1000; tries++) {
    const x = kmalloc(k, size, GFP_KERNEL) as Vaddr;
    if (fits(x)) return x;
  }
  throw new Error(`no object of ${size} bytes stands where it is wanted`);
}
