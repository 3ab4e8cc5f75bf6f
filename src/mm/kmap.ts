/** kmap() and its kind as the machine's architecture has them. */
import type { Kernel } from '../cpu/kernel.js';
import { type Vaddr, vaddr } from '../shared/types.js';
import * as arm from './arm/highmem.js';
import type { Page } from './page.js';
import * as parisc from './parisc/highmem.js';

/** Map a page for as long as wanted. Context: process, may sleep. */
export function kmap(k: Kernel, page: Page): Vaddr {
  return k.arch.id === 'arm' ? arm.kmap(k, page) : parisc.kmap(k, page);
}

/** Context: process, also atomic. */
export function kunmap(k: Kernel, page: Page): void {
  if (k.arch.id === 'arm') arm.kunmap(k, page);
  else parisc.kunmap(k, page);
}

/** Map a page in this CPU's slot of @type; PA-RISC has no slots. Context: any. */
export function kmap_atomic(k: Kernel, page: Page, type: number): Vaddr {
  return k.arch.id === 'arm' ? arm.kmap_atomic(k, page, type) : parisc.kmap_atomic(k, page, type);
}

/** Context: any. */
export function kunmap_atomic(k: Kernel, addr: Vaddr, type: number): void {
  addr = vaddr(addr);
  if (k.arch.id === 'arm') arm.kunmap_atomic(k, addr, type);
  else parisc.kunmap_atomic(k, addr, type);
}
