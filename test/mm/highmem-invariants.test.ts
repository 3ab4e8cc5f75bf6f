import { describe, expect, it } from 'vitest';
import type { Kernel } from '../../src/cpu/kernel.js';
import { kmap, kunmap } from '../../src/mm/arm/highmem.js';
import { kmap_flush_unused, kmap_high_get, set_page_address } from '../../src/mm/highmem.js';
import { checkPkmapInvariants } from '../../src/mm/highmem-invariants.js';
import type { Page } from '../../src/mm/page.js';
import { alloc_page, GFP_HIGHUSER } from '../../src/mm/page_alloc.js';
import { NULL, type Vaddr } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';

/** Two pages mapped in slots 1 and 2; the first is in use. */
function mappedPages(core = 'arm926'): { k: Kernel; a: Page; b: Page; addrA: Vaddr; addrB: Vaddr } {
  const { k } = localMachine(core);
  const a = alloc_page(k, GFP_HIGHUSER);
  const b = alloc_page(k, GFP_HIGHUSER);
  const addrA = kmap(k, a);
  const addrB = kmap(k, b);
  k.load32(addrA);
  k.load32(addrB);
  kunmap(k, b);
  return { k, a, b, addrA, addrB };
}

const countAt = (k: Kernel, nr: number): Vaddr => (k.sym.pkmap_count + nr * 4) as Vaddr;
const entryAt = (k: Kernel, nr: number): Vaddr => (k.sym.pkmap_page_table + nr * 4) as Vaddr;
/** Where the hardware's half of an entry is. */
const HARDWARE = 2048;

function clearEntry(k: Kernel, nr: number): void {
  k.store(entryAt(k, nr), 0);
  k.store((entryAt(k, nr) - HARDWARE) as Vaddr, 0);
}

describe('checkPkmapInvariants()', () => {
  it('finds nothing wrong with pages mapped, pinned, unmapped and flushed', () => {
    const { k, a, b } = mappedPages();
    expect(checkPkmapInvariants(k)).toEqual([]);
    kmap_high_get(k, b);
    expect(checkPkmapInvariants(k)).toEqual([]);
    kunmap(k, b);
    kunmap(k, a);
    kmap_flush_unused(k);
    expect(checkPkmapInvariants(k)).toEqual([]);
  });

  it('names a slot that has lost its count but not its entry (I1)', () => {
    const { k } = mappedPages('cortex-a9');
    k.store(countAt(k, 1), 0);
    expect(checkPkmapInvariants(k)[0]).toMatch(/^I1: slot 1 has count 0 and an entry/);
  });

  it('names a slot that has lost its entry, or one half of it (I1)', () => {
    const { k } = mappedPages();
    clearEntry(k, 1);
    expect(checkPkmapInvariants(k)).toContain('I1: slot 1 has a count and no entry');
    k.store((entryAt(k, 2) - HARDWARE) as Vaddr, 0);
    expect(checkPkmapInvariants(k)).toContain('I1: slot 2 has two different entries');
  });

  it('names a page that the table of addresses does not know, or knows by another address (I2)', () => {
    const { k, a, addrB } = mappedPages();
    set_page_address(k, a, NULL);
    expect(checkPkmapInvariants(k)).toEqual(['I2: the page of slot 1 is 0 times in the table of addresses']);
    set_page_address(k, a, addrB);
    expect(checkPkmapInvariants(k)[0]).toMatch(/^I2: the page of slot 1 has the address V0xbfffe000/);
  });

  it('names an address of a page without slot (I2)', () => {
    const { k, addrA } = mappedPages();
    set_page_address(k, alloc_page(k, GFP_HIGHUSER), addrA);
    expect(checkPkmapInvariants(k)).toEqual(['I2: the table has the address V0xbfffd000 for a page without slot']);
  });

  it('names a page that is in two slots (I3)', () => {
    const { k } = mappedPages();
    k.store(entryAt(k, 3), k.load(entryAt(k, 1)));
    k.store((entryAt(k, 3) - HARDWARE) as Vaddr, k.load((entryAt(k, 1) - HARDWARE) as Vaddr));
    k.store(countAt(k, 3), 1);
    expect(checkPkmapInvariants(k).some((t) => /^I3: page frame 0x\w+ is in slots 1 and 3/.test(t))).toBe(true);
  });

  it('names a translation, and a line of a VIVT cache, that a free slot has left behind (I4)', () => {
    const { k, b } = mappedPages();
    k.store(countAt(k, 2), 0);
    clearEntry(k, 2);
    set_page_address(k, b, NULL);
    expect(checkPkmapInvariants(k)).toEqual([
      'I4: slot 2 has count 0 and a translation in the TLB of CPU 0',
      'I4: slot 2 has count 0 and a line in the cache at V0xbfffe000',
    ]);
  });

  it('counts the maps (I5), and does not follow a list for ever', () => {
    const { k } = mappedPages();
    const first = k.load(k.sym.page_address_pool as number as Vaddr);
    k.store(k.sym.page_address_pool as number as Vaddr, k.load(first as Vaddr));
    expect(checkPkmapInvariants(k)).toEqual(['I5: 1 maps in the pool and 2 in use, of 4']);
    k.store(first as Vaddr, first);
    k.store(k.sym.page_address_pool as number as Vaddr, first);
    expect(checkPkmapInvariants(k)).toEqual(['I5: the list of the pool has no end']);
  });
});
