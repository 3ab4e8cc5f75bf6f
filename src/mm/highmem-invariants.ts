/**
 * What must hold of the kmap slots whenever nobody holds kmap_lock: I1 to I5 of spec/highmem.md §3. For oracles; the kernel has no such
 * file. It looks at memory, TLBs and cache from outside: no scheduling points but those of the lock, and nothing is changed.
 */
import { cache_is_vivt, LAST_PKMAP, PKMAP_ADDR } from '../arch/arm/memory.js';
import { hardwarePte, PTE_HW_OFFSET, pte_none, pte_pfn } from '../arch/arm/pgtable.js';
import type { Kernel } from '../cpu/kernel.js';
import { Tlb } from '../cpu/tlb.js';
import { container_of, list_of } from '../shared/list.js';
import { ptr, showVaddr } from '../shared/types.js';
import {
  lock_kmap_any,
  PA_BUCKETS,
  struct_page_address_map,
  struct_page_address_slot,
  unlock_kmap_any,
} from './highmem.js';
import { type Page, page_to_pfn, pfn_to_page } from './page.js';

/** An entry of the table of addresses. */
interface Entry {
  readonly page: number;
  readonly virtual: number;
}

const wordAt = (k: Kernel, addr: number): number => (k.words[(addr - k.staticBase) >>> 2] as number) >>> 0;

/** The maps on a list, or null when the list does not come back to its head: more entries than there are maps. */
function mapsOn(k: Kernel, head: number): Entry[] | null {
  const maps: Entry[] = [];
  for (let entry = wordAt(k, head); entry !== head; entry = wordAt(k, entry)) {
    if (maps.length > LAST_PKMAP(k)) return null;
    const map = container_of<'page_address_map'>(ptr(entry), struct_page_address_map.list.offset);
    maps.push({ page: wordAt(k, map), virtual: wordAt(k, map + struct_page_address_map.virtual.offset) });
  }
  return maps;
}

/** Every entry of the table, and I5: each map is in one bucket or in the pool. */
function tableEntries(k: Kernel, wrong: (text: string) => void): Entry[] {
  const entries: Entry[] = [];
  for (let i = 0; i < PA_BUCKETS; i++) {
    const slot = k.sym.page_address_htable + i * struct_page_address_slot.sizeof;
    const maps = mapsOn(k, list_of(ptr(slot), struct_page_address_slot.lh.offset));
    if (maps === null) wrong(`I5: the list of bucket ${i} has no end`);
    else entries.push(...maps);
  }
  const pool = mapsOn(k, k.sym.page_address_pool);
  if (pool === null) wrong('I5: the list of the pool has no end');
  else if (pool.length + entries.length !== LAST_PKMAP(k)) {
    wrong(`I5: ${pool.length} maps in the pool and ${entries.length} in use, of ${LAST_PKMAP(k)}`);
  }
  return entries;
}

/** I1, I4: a slot with count 0 has no entry, no CPU remembers one, and a VIVT cache has no line of it. */
function checkFree(k: Kernel, nr: number, pte: number, wrong: (text: string) => void): void {
  const addr = PKMAP_ADDR(k, nr);
  if (!pte_none(pte)) wrong(`I1: slot ${nr} has count 0 and an entry for page frame 0x${pte_pfn(pte).toString(16)}`);
  k.mmu.tlbs.forEach((tlb, cpu) => {
    if (tlb.find(Tlb.tag(addr, 0)) >= 0) wrong(`I4: slot ${nr} has count 0 and a translation in the TLB of CPU ${cpu}`);
  });
  if (!cache_is_vivt(k)) return;
  const cache = k.mmu.cache.own;
  for (let offset = 0; offset < 4096; offset += cache.geometry.lineBytes) {
    if (cache.find(addr + offset) < 0) continue;
    wrong(`I4: slot ${nr} has count 0 and a line in the cache at ${showVaddr(addr + offset)}`);
    return;
  }
}

/** I1, I2: a slot with a count has an entry, and the table has its page once, with its address. */
function checkMapped(k: Kernel, nr: number, pte: number, entries: readonly Entry[], wrong: (t: string) => void): void {
  if (pte_none(pte)) {
    wrong(`I1: slot ${nr} has a count and no entry`);
    return;
  }
  const page = pfn_to_page(k, pte_pfn(pte));
  const found = entries.filter((e) => e.page === page);
  if (found.length !== 1) wrong(`I2: the page of slot ${nr} is ${found.length} times in the table of addresses`);
  else if (found[0]?.virtual !== PKMAP_ADDR(k, nr)) {
    wrong(`I2: the page of slot ${nr} has the address ${showVaddr(found[0]?.virtual ?? 0)}`);
  }
}

/**
 * Check the kmap slots against I1 to I5.
 *
 * Context: As kunmap_high(); kmap_lock is not held. Takes and releases kmap_lock, with interrupts off only where the kernel does: else its
 *          holder may wait for this CPU to answer an inter-processor call.
 * Return:  what is wrong, a line each, beginning with the name of the invariant; empty when all hold.
 * Source:  ours; the kernel has no such function.
 */
export function checkPkmapInvariants(k: Kernel): string[] {
  const found: string[] = [];
  const wrong = (text: string): number => found.push(text);
  const flags = lock_kmap_any(k);
  const entries = tableEntries(k, wrong);
  const slotOf = new Map<Page, number>();
  for (let nr = 0; nr < LAST_PKMAP(k); nr++) {
    const count = wordAt(k, k.sym.pkmap_count + nr * 4) | 0;
    const ptep = k.sym.pkmap_page_table + nr * 4;
    const pte = wordAt(k, ptep);
    if (count < 0) wrong(`slot ${nr} has count ${count}`);
    else if (count === 0) checkFree(k, nr, pte, wrong);
    else checkMapped(k, nr, pte, entries, wrong);
    if (wordAt(k, ptep - PTE_HW_OFFSET) !== hardwarePte(pte) >>> 0) wrong(`I1: slot ${nr} has two different entries`);
    if (pte_none(pte)) continue;
    const page = pfn_to_page(k, pte_pfn(pte));
    const other = slotOf.get(page);
    if (other !== undefined)
      wrong(`I3: page frame 0x${page_to_pfn(k, page).toString(16)} is in slots ${other} and ${nr}`);
    slotOf.set(page, nr);
  }
  const mapped = [...slotOf.keys()];
  const stray = entries.find((e) => !mapped.includes(e.page as Page));
  if (stray !== undefined) wrong(`I2: the table has the address ${showVaddr(stray.virtual)} for a page without slot`);
  unlock_kmap_any(k, flags);
  return found;
}
