/**
 * arch/arm/mm/highmem.c: kmap, kunmap, and the atomic kmaps in the fixmap.
 *
 * Source: arch/arm/mm/highmem.c, Linux 2.6.30 to 2.6.35; spec/highmem.md §5.10 and §7. The versions differ by the patches
 * `kmap-atomic-uses-pkmap` (2.6.32), `debug-kmap-atomic` (2.6.32), `kunmap-atomic-vivt-only` (2.6.34), `kmap-high-l1-vipt` (2.6.34) and
 * `kmap-atomic-debug-nonvivt` (2.6.35).
 */
import { flush_dcache_page_at } from '../../arch/arm/cache.js';
import {
  __fix_to_virt,
  cache_is_vivt,
  FIXADDR_START,
  KM_L1_CACHE,
  KM_TYPE_NR,
  km_type,
  LAST_PKMAP,
  PAGE_MASK,
  PKMAP_ADDR,
  PKMAP_NR,
  virt_to_page,
} from '../../arch/arm/memory.js';
import {
  mk_pte,
  PAGE_KERNEL,
  type PteP,
  pte_clear,
  pte_none,
  pte_pfn,
  pte_read,
  set_pte_ext,
} from '../../arch/arm/pgtable.js';
import { local_flush_tlb_kernel_page } from '../../arch/arm/tlb.js';
import type { Kernel } from '../../cpu/kernel.js';
import { BUG, BUG_ON, WARN_ON } from '../../shared/bug.js';
import {
  in_interrupt,
  in_irq,
  in_softirq,
  irqs_disabled,
  local_irq_restore,
  local_irq_save,
  might_sleep,
  preempt_disable,
  preempt_enable,
} from '../../shared/irqflags.js';
import { NULL, ptr, type Vaddr, vaddr } from '../../shared/types.js';
import { kmap_high, kmap_high_get, kunmap_high, page_address, pkmap_page } from '../highmem.js';
import { type Page, PageHighMem, page_to_pfn, pfn_to_page } from '../page.js';

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    /** Violations that debug_kmap_atomic() still reports. */
    debug_kmap_atomic_left: Vaddr;
    /** Depth of kmap_high_l1_vipt(), a word per CPU. */
    kmap_high_l1_vipt_depth: Vaddr;
  }
}

export const armHighmemSymbols = (cpus: number) => ({
  debug_kmap_atomic_left: { bytes: 4 },
  kmap_high_l1_vipt_depth: { bytes: cpus * 4 },
});

/** Linux entry of a fixmap page. */
export function fixmapPte(k: Kernel, addr: Vaddr): PteP {
  return ptr<'pte'>(k.sym.fixmap_pte_page + 2048 + ((addr >>> 12) & 511) * 4);
}

/** Map a page for as long as wanted. Context: Process, may sleep. Takes and releases kmap_lock for a highmem page. */
export function kmap(k: Kernel, page: Page): Vaddr {
  might_sleep(k, 'arch/arm/mm/highmem.c:0');
  if (!PageHighMem(k, page)) return page_address(k, page);
  return kmap_high(k, page);
}

/** Context: Process, also atomic. Errors: BUG in interrupts and with bottom halves disabled. */
export function kunmap(k: Kernel, page: Page): void {
  BUG_ON(k, in_interrupt(k), 'arch/arm/mm/highmem.c kunmap: in interrupt', page);
  if (!PageHighMem(k, page)) return;
  kunmap_high(k, page);
}

/** Neither preemption nor page-fault handling until pagefault_enable(). Source: include/linux/uaccess.h, Linux 2.6.30. */
function pagefault_disable(k: Kernel): void {
  preempt_disable(k);
}

function pagefault_enable(k: Kernel): void {
  preempt_enable(k);
}

const slotIndex = (k: Kernel, type: km_type): number => type + KM_TYPE_NR(k) * k.cpu;

/**
 * Map a page in this CPU's slot of @type. The slot is nobody else's as long as a context uses only the types reserved for it.
 *
 * Context: Any context. Preemption is off until kunmap_atomic(). From 2.6.32 takes and releases kmap_lock (irqsave).
 * Return:  the address: linear for lowmem, the fixmap slot, or from 2.6.32 the page's pkmap address if it has one.
 * Errors:  with DEBUG_HIGHMEM, BUG when the slot is in use.
 */
export function kmap_atomic(k: Kernel, page: Page, type: km_type): Vaddr {
  k.op();
  pagefault_disable(k);
  if (!PageHighMem(k, page)) return page_address(k, page);
  if (k.patched['debug-kmap-atomic']) debug_kmap_atomic(k, type);
  if (k.patched['kmap-atomic-uses-pkmap'] && !ignoresPkmap(k)) {
    const kmapped = kmap_high_get(k, page);
    if (kmapped !== NULL) return kmapped;
  }
  return mapSlot(k, mk_pte(page_to_pfn(k, page), PAGE_KERNEL(k)), type);
}

/** 2.6.35 with DEBUG_HIGHMEM and a cache that is not VIVT: never the pkmap address, to have more use of the checks. */
const ignoresPkmap = (k: Kernel): boolean =>
  k.patched['kmap-atomic-debug-nonvivt'] && k.config.debugHighmem && !cache_is_vivt(k);

function mapSlot(k: Kernel, pte: number, type: km_type): Vaddr {
  const addr = __fix_to_virt(slotIndex(k, type));
  const ptep = fixmapPte(k, addr);
  if (k.config.debugHighmem) {
    BUG_ON(k, !pte_none(pte_read(k, ptep)), 'arch/arm/mm/highmem.c kmap_atomic: slot in use', addr);
  }
  set_pte_ext(k, ptep, pte);
  local_flush_tlb_kernel_page(k, addr);
  return addr;
}

/** As kmap_atomic() without the test for lowmem. Context: Any context. */
export function kmap_atomic_pfn(k: Kernel, pfn: number, type: km_type): Vaddr {
  k.op();
  pagefault_disable(k);
  return mapSlot(k, mk_pte(pfn as never, PAGE_KERNEL(k)), type);
}

/**
 * Give an atomic mapping up. @kvaddr may be any address inside the mapped page; a wrong one flushes or unpins a wrong page.
 *
 * Context: Any context.
 * Errors:  with DEBUG_HIGHMEM, BUG when the address is not that of the slot.
 */
export function kunmap_atomic(k: Kernel, kvaddr: Vaddr, type: km_type): void {
  k.op();
  const addr = vaddr(kvaddr & PAGE_MASK);
  if (kvaddr >= FIXADDR_START) {
    const flushes = cache_is_vivt(k) || !k.patched['kunmap-atomic-vivt-only'];
    if (flushes && !k.patched['mutant-kunmap-atomic-no-flush']) flush_dcache_page_at(k, addr);
    if (k.config.debugHighmem) {
      BUG_ON(
        k,
        addr !== __fix_to_virt(slotIndex(k, type)),
        'arch/arm/mm/highmem.c kunmap_atomic: not the slot',
        kvaddr,
      );
      pte_clear(k, fixmapPte(k, addr));
      local_flush_tlb_kernel_page(k, addr);
    }
  } else if (k.patched['kmap-atomic-uses-pkmap'] && addr >= PKMAP_ADDR(k, 0) && addr < PKMAP_ADDR(k, LAST_PKMAP(k))) {
    kunmap_high(k, pkmap_page(k, PKMAP_NR(k, addr)));
  }
  pagefault_enable(k);
}

/** The page behind an atomic mapping's address; no pkmap case. Context: Any context. */
export function kmap_atomic_to_page(k: Kernel, addr: Vaddr): Page {
  addr = vaddr(addr);
  if (addr < FIXADDR_START) return virt_to_page(k, addr);
  return pfn_to_page(k, pte_pfn(pte_read(k, fixmapPte(k, addr))));
}

const HARDIRQ_TYPES: readonly number[] = [
  km_type.KM_IRQ0,
  km_type.KM_IRQ1,
  km_type.KM_BIO_SRC_IRQ,
  km_type.KM_BIO_DST_IRQ,
  km_type.KM_BOUNCE_READ,
];
const SOFTIRQ_TYPES: readonly number[] = [
  km_type.KM_IRQ0,
  km_type.KM_IRQ1,
  km_type.KM_SOFTIRQ0,
  km_type.KM_SOFTIRQ1,
  km_type.KM_SKB_SUNRPC_DATA,
  km_type.KM_SKB_DATA_SOFTIRQ,
  km_type.KM_BOUNCE_READ,
];
const IRQS_OFF_TYPES: readonly number[] = [
  km_type.KM_IRQ0,
  km_type.KM_IRQ1,
  km_type.KM_BOUNCE_READ,
  km_type.KM_BIO_SRC_IRQ,
  km_type.KM_BIO_DST_IRQ,
];

/**
 * Warn when @type is not meant for the context. Ten warnings in all.
 *
 * Context: Any context.
 * Source:  mm/highmem.c, Linux 2.6.30 (DEBUG_HIGHMEM and TRACE_IRQFLAGS_SUPPORT); called by ARM from 2.6.32.
 */
export function debug_kmap_atomic(k: Kernel, type: km_type): void {
  if (!k.config.debugHighmem) return;
  if (k.load(k.sym.debug_kmap_atomic_left) === 0) return;
  // Two rules can be broken at once; each warns and counts for itself.
  const warn = (wrong: boolean): void => {
    if (!WARN_ON(k, wrong, 'mm/highmem.c debug_kmap_atomic()')) return;
    k.store(k.sym.debug_kmap_atomic_left, k.load(k.sym.debug_kmap_atomic_left) - 1);
  };
  if (in_interrupt(k)) {
    if (in_irq(k)) warn(!HARDIRQ_TYPES.includes(type));
    else if (!irqs_disabled(k)) warn(!SOFTIRQ_TYPES.includes(type));
  }
  if (IRQS_OFF_TYPES.includes(type)) warn(!irqs_disabled(k));
  else if (type === km_type.KM_SOFTIRQ0 || type === km_type.KM_SOFTIRQ1) {
    warn(!in_irq(k) && !in_softirq(k) && !irqs_disabled(k));
  }
}

/** What kmap_high_l1_vipt() found in its slot; pass it to kunmap_high_l1_vipt(). */
export interface SavedPte {
  pte: number;
}

const depthAt = (k: Kernel): Vaddr => vaddr(k.sym.kmap_high_l1_vipt_depth + k.cpu * 4);

/**
 * Map an unmapped highmem page for L1 maintenance; re-entrant from interrupts.
 *
 * Context: Any context. Preemption is off until kunmap_high_l1_vipt() unless in an interrupt.
 * Source:  arch/arm/mm/highmem.c, Linux 2.6.34. The CPU number is read before preemption is disabled, as there.
 */
export function kmap_high_l1_vipt(k: Kernel, page: Page, saved: SavedPte): Vaddr {
  const addr = __fix_to_virt(slotIndex(k, KM_L1_CACHE));
  const ptep = fixmapPte(k, addr);
  const pte = mk_pte(page_to_pfn(k, page), PAGE_KERNEL(k));
  if (!in_interrupt(k)) preempt_disable(k);
  const flags = local_irq_save(k);
  k.store(depthAt(k), k.load(depthAt(k)) + 1);
  const old = pte_read(k, ptep);
  if (old === pte) saved.pte = pte;
  else {
    saved.pte = old;
    set_pte_ext(k, ptep, pte);
    local_flush_tlb_kernel_page(k, addr);
  }
  local_irq_restore(k, flags);
  return addr;
}

/** Context: as kmap_high_l1_vipt(). Errors: BUG when the slot does not hold @page, or the depth is 0. Source: Linux 2.6.34. */
export function kunmap_high_l1_vipt(k: Kernel, page: Page, saved: SavedPte): void {
  const addr = __fix_to_virt(slotIndex(k, KM_L1_CACHE));
  const ptep = fixmapPte(k, addr);
  const pte = mk_pte(page_to_pfn(k, page), PAGE_KERNEL(k));
  if (pte_read(k, ptep) !== pte) BUG(k, 'arch/arm/mm/highmem.c kunmap_high_l1_vipt: not the page', addr);
  BUG_ON(k, k.load(depthAt(k)) <= 0, 'arch/arm/mm/highmem.c kunmap_high_l1_vipt: depth', addr);
  const flags = local_irq_save(k);
  const depth = k.load(depthAt(k)) - 1;
  k.store(depthAt(k), depth);
  if (depth !== 0 && saved.pte !== pte) {
    set_pte_ext(k, ptep, saved.pte);
    local_flush_tlb_kernel_page(k, addr);
  }
  local_irq_restore(k, flags);
  if (!in_interrupt(k)) preempt_enable(k);
}
