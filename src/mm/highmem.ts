/**
 * mm/highmem.c: permanent kernel mappings of highmem pages, and the table that knows their addresses.
 *
 * Source: mm/highmem.c, Linux 2.6.29 (without the patch `kmap-high-get`) and 2.6.30 (with it); spec/highmem.md §2 to §5. Every numbered step
 * of the specification is one access here, in the same order. Reads and writes of pkmap_count are plain, as in the kernel.
 * The patches named `mutant-*` are deliberate defects that the experiments must find, or equivalent changes that they must not.
 * Left out: WANT_PAGE_VIRTUAL, bounce buffers.
 */
import { flush_cache_all } from '../arch/arm/cache.js';
import { cache_is_vivt, LAST_PKMAP, PKMAP_ADDR, PKMAP_NR } from '../arch/arm/memory.js';
import {
  mk_pte,
  PAGE_KERNEL,
  type PteP,
  pte_clear,
  pte_none,
  pte_pfn,
  pte_read,
  set_pte_ext,
} from '../arch/arm/pgtable.js';
import { flush_tlb_kernel_range } from '../arch/arm/tlb.js';
import type { Kernel } from '../cpu/kernel.js';
import { BUG, BUG_ON } from '../shared/bug.js';
import type { IrqFlags } from '../shared/irqflags.js';
import { defineStruct } from '../shared/layout.js';
import {
  container_of,
  INIT_LIST_HEAD,
  type List,
  list_add,
  list_add_tail,
  list_del,
  list_empty,
  list_next,
  list_of,
} from '../shared/list.js';
import {
  type SpinLock,
  spin_lock,
  spin_lock_init,
  spin_lock_irq,
  spin_lock_irqsave,
  spin_unlock,
  spin_unlock_irq,
  spin_unlock_irqrestore,
} from '../shared/spinlock.js';
import { NULL, type Ptr, ptr, signed, type Vaddr, vaddr } from '../shared/types.js';
import {
  __set_current_state,
  add_wait_queue,
  add_wait_queue_exclusive,
  DECLARE_WAITQUEUE,
  init_waitqueue_head,
  remove_wait_queue,
  TASK_UNINTERRUPTIBLE,
  type WaitQueueHead,
  waitqueue_active,
  wake_up,
} from '../shared/wait.js';
import { lowmem_page_address, type Page, PageHighMem, page_to_pfn, pfn_to_page } from './page.js';

export const PA_HASH_ORDER = 7;
export const PA_BUCKETS = 1 << PA_HASH_ORDER;
/** GOLDEN_RATIO_PRIME_32. Source: include/linux/hash.h, Linux 2.6.30. */
const GOLDEN_RATIO_PRIME_32 = 0x9e370001;

/** Bucket of the table; each on its own cache line. */
export const struct_page_address_slot = defineStruct('page_address_slot', 32, { lh: [0, 8], lock: 8 });
export const struct_page_address_map = defineStruct('page_address_map', 16, { page: 0, virtual: 4, list: [8, 8] });

/** Offsets on the hottest path: constants of this file are folded into it. */
const SLOT_LIST = struct_page_address_slot.lh.offset;
const SLOT_LOCK = struct_page_address_slot.lock.offset;
const SLOT_SHIFT = Math.log2(struct_page_address_slot.sizeof);
const MAP_VIRTUAL = struct_page_address_map.virtual.offset;
const MAP_LIST = struct_page_address_map.list.offset;

declare module '../shared/kernel-base.js' {
  interface Symbols {
    pkmap_count: Vaddr;
    last_pkmap_nr: Vaddr;
    kmap_lock: SpinLock;
    /** Linux entry of slot 0. */
    pkmap_page_table: PteP;
    pkmap_map_wait: WaitQueueHead;
    page_address_htable: Ptr<'page_address_slot'>;
    page_address_maps: Ptr<'page_address_map'>;
    page_address_pool: List;
    pool_lock: SpinLock;
  }
}

/** Sizes for the layout of static data, bytes. */
export const highmemSymbols = (slots: number) => ({
  kmap_lock: { bytes: 4, align: 64 },
  last_pkmap_nr: { bytes: 4, align: 64 },
  pkmap_count: { bytes: slots * 4 },
  pkmap_map_wait: { bytes: 12 },
  pool_lock: { bytes: 4 },
  page_address_pool: { bytes: 8 },
  page_address_maps: { bytes: slots * struct_page_address_map.sizeof },
  page_address_htable: { bytes: PA_BUCKETS * struct_page_address_slot.sizeof, align: 32 },
});

const countAt = (k: Kernel, nr: number): Vaddr => vaddr(k.sym.pkmap_count + nr * 4);
/** Where the count of a mapped address stands: &pkmap_count[PKMAP_NR(addr)]. */
const countOf = (k: Kernel, addr: Vaddr): Vaddr =>
  vaddr((k.sym.pkmap_count | 0) + ((((addr | 0) - (k.sym.PKMAP_BASE | 0)) >>> 12) << 2));
const pkmapPte = (k: Kernel, nr: number): PteP => ptr<'pte'>(k.sym.pkmap_page_table + nr * 4);

/** Plain load of pkmap_count[nr]. */
export function pkmap_count(k: Kernel, nr: number): number {
  return k.load(countAt(k, nr));
}

function setCount(k: Kernel, nr: number, count: number): void {
  k.store(countAt(k, nr), count);
}

/** Whose page the slot's page-table entry names; NULL when the entry is none. Plain load. */
export function pkmap_page(k: Kernel, nr: number): Page {
  const pte = pte_read(k, pkmapPte(k, nr));
  return pte_none(pte) ? NULL : pfn_to_page(k, pte_pfn(pte));
}

// ---- lock variants (spec/highmem.md §4.1) --------------------------------------------------------------------------

const kmapLock = (k: Kernel): SpinLock => signed(k.sym.kmap_lock);

function lock_kmap(k: Kernel): void {
  if (k.patched['kmap-high-get']) spin_lock_irq(k, kmapLock(k));
  else spin_lock(k, kmapLock(k));
}

function unlock_kmap(k: Kernel): void {
  if (k.patched['kmap-high-get']) spin_unlock_irq(k, kmapLock(k));
  else spin_unlock(k, kmapLock(k));
}

export function lock_kmap_any(k: Kernel): IrqFlags {
  if (k.patched['kmap-high-get']) return spin_lock_irqsave(k, kmapLock(k));
  spin_lock(k, kmapLock(k));
  return 0;
}

export function unlock_kmap_any(k: Kernel, flags: IrqFlags): void {
  if (!k.patched['kmap-high-get']) spin_unlock(k, kmapLock(k));
  else if (k.patched['mutant-kunmap-irq']) spin_unlock_irq(k, kmapLock(k));
  else spin_unlock_irqrestore(k, kmapLock(k), flags);
}

// ---- the table of addresses (§5.1 to §5.3) -------------------------------------------------------------------------

type Slot = Ptr<'page_address_slot'>;
type Map = Ptr<'page_address_map'>;
const slotLock = (slot: Slot): SpinLock => signed((slot + SLOT_LOCK) as SpinLock);
const slotList = (slot: Slot): List => list_of(slot, struct_page_address_slot.lh.offset);
const mapList = (map: Map): List => list_of(map, struct_page_address_map.list.offset);

/** Bucket of a page: hash_ptr(page, 7). Return: signed. */
function page_slot(k: Kernel, page: Page): Slot {
  const bucket = Math.imul(page, GOLDEN_RATIO_PRIME_32) >>> (32 - PA_HASH_ORDER);
  return (((k.sym.page_address_htable | 0) + (bucket << SLOT_SHIFT)) | 0) as Slot;
}

/** The map of @page in a bucket, or NULL. The bucket's lock is held. Takes signed addresses too. Return: signed. */
function findMap(k: Kernel, slot: Slot, page: Page): Map {
  const head = (slot + SLOT_LIST) | 0;
  for (let entry = k.load(head as Vaddr); entry !== head; entry = k.load(entry as Vaddr)) {
    const map = (entry - MAP_LIST) | 0;
    if (k.load(map as Vaddr) === (page | 0)) return map as Map;
  }
  return NULL;
}

/**
 * Kernel address of @page: linear for lowmem, that of its pkmap slot for highmem, NULL when it has none.
 *
 * Context: Any context. Takes and releases the bucket's lock (irqsave). The answer for a highmem page holds only as long as the caller
 *          holds kmap_lock, or a count on the slot.
 * Source:  mm/highmem.c, Linux 2.6.30.
 */
export function page_address(k: Kernel, page: Page): Vaddr {
  return PageHighMem(k, page) ? vaddr(pkmapAddress(k, signed(page))) : lowmem_page_address(k, page);
}

/** page_address() of a highmem page. Return: signed. */
function pkmapAddress(k: Kernel, page: Page): Vaddr {
  const slot = page_slot(k, page);
  const flags = spin_lock_irqsave(k, slotLock(slot));
  const map = findMap(k, slot, page);
  const ret = map === NULL ? NULL : k.load((map + MAP_VIRTUAL) as Vaddr);
  spin_unlock_irqrestore(k, slotLock(slot), flags);
  return ret as Vaddr;
}

/**
 * Enter or, with NULL, remove the address of a highmem page. A page that is not there is removed silently.
 *
 * Context: Under kmap_lock in practice. Takes and releases pool_lock and the bucket's lock (irqsave), one after the other.
 * Errors:  BUG when the page is lowmem, or the pool is empty (tested before its lock is taken).
 * Source:  mm/highmem.c, Linux 2.6.30.
 */
export function set_page_address(k: Kernel, page: Page, virtual: Vaddr): void {
  BUG_ON(k, !PageHighMem(k, page), 'mm/highmem.c set_page_address: lowmem page', page);
  const slot = page_slot(k, page);
  if (virtual !== NULL) {
    BUG_ON(k, list_empty(k, k.sym.page_address_pool), 'mm/highmem.c set_page_address: pool empty', page);
    const flags = spin_lock_irqsave(k, k.sym.pool_lock);
    const entry = list_next(k, k.sym.page_address_pool);
    list_del(k, entry);
    spin_unlock_irqrestore(k, k.sym.pool_lock, flags);
    const map = container_of<'page_address_map'>(entry, struct_page_address_map.list.offset);
    k.write(map, struct_page_address_map.page, page);
    k.write(map, struct_page_address_map.virtual, virtual);
    const slotFlags = spin_lock_irqsave(k, slotLock(slot));
    list_add_tail(k, mapList(map), slotList(slot));
    spin_unlock_irqrestore(k, slotLock(slot), slotFlags);
    return;
  }
  const flags = spin_lock_irqsave(k, slotLock(slot));
  const map = findMap(k, slot, page);
  if (map !== NULL) list_del(k, mapList(map));
  spin_unlock_irqrestore(k, slotLock(slot), flags);
  if (map === NULL) return;
  const poolFlags = spin_lock_irqsave(k, k.sym.pool_lock);
  list_add_tail(k, mapList(map), k.sym.page_address_pool);
  spin_unlock_irqrestore(k, k.sym.pool_lock, poolFlags);
}

/** Boot, one CPU. The pool is filled by head insertion, so the map with the highest index is handed out first. */
export function page_address_init(k: Kernel): void {
  INIT_LIST_HEAD(k, k.sym.page_address_pool);
  for (let i = 0; i < LAST_PKMAP(k); i++) {
    const map = ptr<'page_address_map'>(k.sym.page_address_maps + i * struct_page_address_map.sizeof);
    list_add(k, mapList(map), k.sym.page_address_pool);
  }
  for (let i = 0; i < PA_BUCKETS; i++) {
    const slot = ptr<'page_address_slot'>(k.sym.page_address_htable + i * struct_page_address_slot.sizeof);
    INIT_LIST_HEAD(k, slotList(slot));
    spin_lock_init(k, slotLock(slot), '&page_address_htable[i].lock');
  }
  spin_lock_init(k, k.sym.pool_lock);
}

/** Boot, one CPU: counts, queue, locks. */
export function kmap_init(k: Kernel): void {
  spin_lock_init(k, k.sym.kmap_lock);
  init_waitqueue_head(k, k.sym.pkmap_map_wait);
  k.store(k.sym.last_pkmap_nr, 0);
  for (let nr = 0; nr < LAST_PKMAP(k); nr++) setCount(k, nr, 0);
  page_address_init(k);
}

// ---- mapping and unmapping (§5.4 to §5.9) --------------------------------------------------------------------------

/** Until 2.6.33 the whole cache, whatever its kind; from 2.6.34 only if it is VIVT. */
function flush_cache_kmaps(k: Kernel): void {
  if (cache_is_vivt(k) || !k.patched['flush-kmaps-vivt-only']) flush_cache_all(k);
}

/**
 * Unmap every slot that has no user (count 1), so that it can be handed out again: count 0, entry clear, address forgotten, TLBs flushed.
 *
 * Context: kmap_lock held. Does not sleep.
 * Errors:  BUG when a slot with count 1 has no page-table entry.
 * Source:  mm/highmem.c, Linux 2.6.30.
 */
function flush_all_zero_pkmaps(k: Kernel): void {
  let need_flush = false;
  if (!k.patched['mutant-cache-flush-after-pte']) flush_cache_kmaps(k);
  if (k.patched['mutant-tlb-flush-before-pte']) flushPkmapTlb(k);
  for (let i = 0; i < LAST_PKMAP(k); i++) {
    if (pkmap_count(k, i) !== 1) continue;
    setCount(k, i, 0);
    const pte = pte_read(k, pkmapPte(k, i));
    BUG_ON(k, pte_none(pte), 'mm/highmem.c flush_all_zero_pkmaps: no entry', PKMAP_ADDR(k, i));
    const page = pfn_to_page(k, pte_pfn(pte));
    if (k.patched['mutant-forget-before-pte']) set_page_address(k, page, NULL);
    pte_clear(k, pkmapPte(k, i));
    if (!k.patched['mutant-forget-before-pte']) set_page_address(k, page, NULL);
    need_flush = true;
  }
  if (k.patched['mutant-cache-flush-after-pte']) flush_cache_kmaps(k);
  if (need_flush && !k.patched['mutant-tlb-flush-before-pte']) flushPkmapTlb(k);
}

function flushPkmapTlb(k: Kernel): void {
  flush_tlb_kernel_range(k, PKMAP_ADDR(k, 0), PKMAP_ADDR(k, LAST_PKMAP(k)));
}

/** Unmap all unused slots now. Context: Process, interrupts enabled. Takes and releases kmap_lock. Source: mm/highmem.c, Linux 2.6.30. */
export function kmap_flush_unused(k: Kernel): void {
  k.op();
  lock_kmap(k);
  flush_all_zero_pkmaps(k);
  unlock_kmap(k);
}

/** Sleep until a slot may have become free (steps M6 to M8). kmap_lock is held on entry and exit. */
function waitForSlot(k: Kernel): void {
  const wait = DECLARE_WAITQUEUE(k);
  const late = k.patched['mutant-state-after-unlock'];
  if (!late) __set_current_state(k, TASK_UNINTERRUPTIBLE);
  const queue = k.patched['mutant-exclusive-waiters'] ? add_wait_queue_exclusive : add_wait_queue;
  if (k.patched['mutant-queue-after-unlock']) {
    unlock_kmap(k);
    queue(k, k.sym.pkmap_map_wait, wait);
  } else {
    queue(k, k.sym.pkmap_map_wait, wait);
    unlock_kmap(k);
  }
  if (late) __set_current_state(k, TASK_UNINTERRUPTIBLE);
  k.schedule();
  remove_wait_queue(k, k.sym.pkmap_map_wait, wait);
  lock_kmap(k);
}

/** The next slot with count 0 in round-robin order (steps M1 to M5), or -1 when a whole budget found none. */
function scanForSlot(k: Kernel): number {
  const mask = LAST_PKMAP(k) - 1;
  let budget = LAST_PKMAP(k);
  for (;;) {
    const nr = (k.load(k.sym.last_pkmap_nr) + 1) & mask;
    k.store(k.sym.last_pkmap_nr, nr);
    if (nr === 0) {
      if (budget !== LAST_PKMAP(k) && k.patched['mutant-scan-without-wrap']) {
        k.store(k.sym.last_pkmap_nr, mask);
        return -1;
      }
      flush_all_zero_pkmaps(k);
      budget = LAST_PKMAP(k);
    }
    if (pkmap_count(k, nr) === 0) return nr;
    if (--budget === 0) return -1;
  }
}

/**
 * Map @page in the next free slot. Slots that are merely unused are not taken: they become free at the next wrap.
 *
 * Context: Process, may sleep. kmap_lock held on entry and exit; dropped while sleeping.
 * Return:  the address; the count is then 1.
 * Source:  mm/highmem.c, Linux 2.6.30.
 */
function map_new_virtual(k: Kernel, page: Page): Vaddr {
  let nr = scanForSlot(k);
  while (nr < 0) {
    waitForSlot(k);
    // Somebody else might have mapped it while we slept.
    const already = page_address(k, page);
    if (already !== NULL) return already;
    nr = scanForSlot(k);
  }
  const addr = PKMAP_ADDR(k, nr);
  const pte = mk_pte(page_to_pfn(k, page), PAGE_KERNEL(k));
  if (k.patched['mutant-hash-before-pte']) set_page_address(k, page, addr);
  if (k.patched['mutant-count-before-pte']) setCount(k, nr, 1);
  set_pte_ext(k, pkmapPte(k, nr), pte);
  if (!k.patched['mutant-count-before-pte']) setCount(k, nr, 1);
  if (!k.patched['mutant-hash-before-pte']) set_page_address(k, page, addr);
  return addr;
}

/**
 * Map a highmem page, or count one more user of the mapping that it has.
 *
 * Context: Process, interrupts enabled, may sleep. Takes and releases kmap_lock.
 * Return:  the address, valid until the matching kunmap_high().
 * Errors:  BUG when the count is below 2 afterwards.
 * Source:  mm/highmem.c, Linux 2.6.30.
 */
export function kmap_high(k: Kernel, page: Page): Vaddr {
  k.op();
  lock_kmap(k);
  let addr = page_address(k, page);
  if (addr === NULL) addr = map_new_virtual(k, page);
  const at = countOf(k, addr);
  const count = k.load(at) + 1;
  k.store(at, count);
  if (count < 2) BUG(k, 'mm/highmem.c kmap_high: slot without mapping', addr);
  unlock_kmap(k);
  return addr;
}

/**
 * Pin the pkmap mapping of @page if it has one, so that no kmap_high() can recycle its address.
 *
 * Context: Any context. Takes and releases kmap_lock (irqsave with the patch `kmap-high-get`).
 * Return:  address of the mapping; NULL when @page is not mapped. Undo non-NULL with kunmap_high().
 * Errors:  BUG when the slot of a mapped page has pkmap_count below 1.
 * Source:  mm/highmem.c, Linux 2.6.30 (ARCH_NEEDS_KMAP_HIGH_GET). Seed 002.
 */
export function kmap_high_get(k: Kernel, page: Page): Vaddr {
  k.op();
  const locked = !k.patched['mutant-get-unlocked'];
  const flags = locked ? lock_kmap_any(k) : 0;
  const addr = page_address(k, page);
  if (addr !== NULL) {
    const nr = PKMAP_NR(k, addr);
    const count = pkmap_count(k, nr);
    BUG_ON(k, count < 1, 'mm/highmem.c kmap_high_get: slot not in use', addr);
    setCount(k, nr, count + 1);
  }
  if (locked) unlock_kmap_any(k, flags);
  return addr;
}

/**
 * Drop one user of a mapping. The mapping and its cache lines stay until the next flush.
 *
 * Context: Any context with the patch `kmap-high-get`, else process or atomic with interrupts on. Takes and releases kmap_lock; wakes
 *          all who wait for a slot, outside the lock.
 * Errors:  BUG when the page has no address, or its count drops to 0.
 * Source:  mm/highmem.c, Linux 2.6.30.
 */
export function kunmap_high(k: Kernel, page: Page): void {
  k.op();
  const testEarly = k.patched['mutant-queue-test-before-lock'] && waitqueue_active(k, k.sym.pkmap_map_wait);
  const flags = lock_kmap_any(k);
  const addr = page_address(k, page);
  if (addr === NULL) BUG(k, 'mm/highmem.c kunmap_high: page not mapped', page);
  const at = countOf(k, addr);
  const testBefore = k.patched['mutant-eq-queue-test-before-decrement'] && waitqueue_active(k, k.sym.pkmap_map_wait);
  const count = k.load(at) - 1;
  k.store(at, count);
  if (count === 0) BUG(k, 'mm/highmem.c kunmap_high: count dropped to 0', addr);
  const need_wakeup = count === 1 && someoneWaits(k, testEarly, testBefore);
  unlock_kmap_any(k, flags);
  if (need_wakeup && stillToWake(k)) wake_up(k, k.sym.pkmap_map_wait);
}

/** The bare test of the queue, under kmap_lock; a mutant has tested before, or is yet to test. */
function someoneWaits(k: Kernel, testEarly: boolean, testBefore: boolean): boolean {
  if (k.patched['mutant-queue-test-before-lock']) return testEarly;
  if (k.patched['mutant-eq-queue-test-before-decrement']) return testBefore;
  return k.patched['mutant-eq-queue-test-after-unlock'] || waitqueue_active(k, k.sym.pkmap_map_wait);
}

const stillToWake = (k: Kernel): boolean =>
  !k.patched['mutant-eq-queue-test-after-unlock'] || waitqueue_active(k, k.sym.pkmap_map_wait);

/**
 * How many pkmap slots have a user besides the mapping itself. For oracles.
 *
 * Context: Any context. Takes and releases kmap_lock (irqsave).
 * Source:  ours; the kernel has no such function.
 */
export function pinnedSlots(k: Kernel): number {
  const flags = spin_lock_irqsave(k, k.sym.kmap_lock);
  let pinned = 0;
  for (let nr = 0; nr < LAST_PKMAP(k); nr++) if (pkmap_count(k, nr) > 1) pinned++;
  spin_unlock_irqrestore(k, k.sym.kmap_lock, flags);
  return pinned;
}
