/**
 * Pages that come back, or go out, in a state that no free page may have: somebody has them mapped, in a file, on a list, locked or counted.
 *
 * Source: mm/page_alloc.c (`bad_page`, `free_pages_check`, `prep_new_page`), Linux 2.6.22, 2.6.30, 4.12; spec/checkers.md §6.6.
 * Differs: the look at a page is no scheduling point, since nobody else is to have it; reports are not limited to 60 in a minute; 4.12 names
 * the flags too. 2.5.53 has BUG_ON()s instead, which are left out.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { comm } from '../../shared/irqflags.js';
import {
  PG_active,
  PG_buddy,
  PG_locked,
  PG_lru,
  PG_reserved,
  PG_slab,
  PG_swapcache,
  struct_page,
} from '../../shared/structs/page.js';
import { hex8, type Vaddr, vaddr } from '../../shared/types.js';
import { KERNEL_VERSION, LINUX_2_6 } from '../../shared/version.js';
import { type Page, page_plus, page_to_pfn } from '../page.js';

/** From here on a bad page is left as it is, for ever; before, it was mended and used again. */
const KEEPS_BAD = KERNEL_VERSION(2, 6, 29);
const NULL_IN_WORDS = KERNEL_VERSION(2, 6, 30);
const GIVES_REASON = KERNEL_VERSION(3, 14, 0);

/** Of the flags that the models use. 2.6.22 mends all of them but PG_reserved. */
const MENDED =
  (1 << PG_lru) | (1 << PG_locked) | (1 << PG_active) | (1 << PG_slab) | (1 << PG_swapcache) | (1 << PG_buddy);
const PAGE_FLAGS_CHECK = MENDED | (1 << PG_reserved);

interface State {
  readonly flags: number;
  readonly count: number;
  readonly mapcount: number;
  readonly mapping: number;
}

function stateOf(k: Kernel, page: Page): State {
  const at = k.wordIndex(page);
  k.footprint?.memory(at, struct_page.mapping.offset / 4 + 1, false);
  const word = (field: { readonly offset: number }): number => k.words[at + (field.offset >>> 2)] as number;
  return {
    flags: word(struct_page.flags),
    count: word(struct_page._count),
    mapcount: word(struct_page._mapcount) + 1,
    mapping: word(struct_page.mapping),
  };
}

/** Return: what is wrong, the last of it if there is more; empty: nothing. */
function reasonOf(s: State, when: 'FREE' | 'PREP'): string {
  if ((s.flags & PAGE_FLAGS_CHECK) !== 0) return `PAGE_FLAGS_CHECK_AT_${when} flag(s) set`;
  if (s.count !== 0) return 'nonzero _refcount';
  if (s.mapping !== 0) return 'non-NULL mapping';
  return s.mapcount !== 0 ? 'nonzero mapcount' : '';
}

function pointer(k: Kernel, addr: number): string {
  return addr === 0 && k.LINUX_VERSION_CODE >= NULL_IN_WORDS ? '(null)' : hex8(addr >>> 0);
}

function say_2_6_22(k: Kernel, page: Page, s: State): void {
  k.printk(`Bad page state in process '${comm(k)}'`);
  const mapping = pointer(k, s.mapping);
  k.printk(
    `page:${hex8(page)} flags:0x${hex8(s.flags >>> 0)} mapping:${mapping} mapcount:${s.mapcount} count:${s.count}`,
  );
  k.printk('Trying to fix it up, but a reboot is needed');
  k.printk('Backtrace:');
  k.dumpStack();
}

function say(k: Kernel, page: Page, s: State, reason: string): void {
  const index = k.read(page, struct_page.index).toString(16);
  const [mapping, address] = [pointer(k, s.mapping), hex8(page)];
  k.printk(`BUG: Bad page state in process ${comm(k)}  pfn:${page_to_pfn(k, page).toString(16).padStart(5, '0')}`);
  if (k.LINUX_VERSION_CODE < GIVES_REASON) {
    const flags = hex8(s.flags >>> 0);
    k.printk(
      `page:${address} flags:${flags} count:${s.count} mapcount:${s.mapcount} mapping:${mapping} index:${index}`,
    );
  } else {
    k.printk(`page:${address} count:${s.count} mapcount:${s.mapcount} mapping:${mapping} index:0x${index}`);
    k.printk(`flags: 0x${(s.flags >>> 0).toString(16)}`);
    k.printk(`page dumped because: ${reason}`);
  }
  k.dumpStack();
}

/** Return: must the page be kept from everybody? */
function bad_page(k: Kernel, page: Page, s: State, reason: string): boolean {
  const flags: Vaddr = vaddr(page + struct_page.flags.offset);
  k.footprint?.observe(1);
  if (k.LINUX_VERSION_CODE >= KEEPS_BAD) {
    say(k, page, s, reason);
    // The buddy system must not take it for a block of its own.
    k.store(flags, k.load(flags) & ~(1 << PG_buddy));
    return true;
  }
  say_2_6_22(k, page, s);
  k.store(flags, k.load(flags) & ~MENDED);
  k.write(page, struct_page._count, 0);
  k.write(page, struct_page._mapcount, -1);
  k.write(page, struct_page.mapping, 0);
  return (s.flags & (1 << PG_reserved)) !== 0;
}

function check(k: Kernel, block: Page, order: number, when: 'FREE' | 'PREP'): boolean {
  if (k.LINUX_VERSION_CODE < LINUX_2_6) return false;
  let bad = false;
  for (let i = 0; i < 1 << order; i++) {
    const page = page_plus(block, i);
    const state = stateOf(k, page);
    const reason = reasonOf(state, when);
    if (reason !== '' && bad_page(k, page, state, reason)) bad = true;
  }
  return bad;
}

/**
 * Look at a block whose last reference is gone.
 *
 * Context: any; the block is the caller's.
 * Return:  true: it must not become free.
 */
export const free_pages_check = (k: Kernel, block: Page, order: number): boolean => check(k, block, order, 'FREE');

/** Look at a block that was free. Context: as free_pages_check(). Return: true: it must not be given out; take another. */
export const check_new_pages = (k: Kernel, block: Page, order: number): boolean => check(k, block, order, 'PREP');
