/** Page-table entries: spec/hardware.md §2.5; the numbers are those of asm/pgtable.h and pgtable-hwdef.h, Linux 2.6.30. */
import { describe, expect, it } from 'vitest';
import { hardwarePte, pte_clear, set_pte_ext } from '../../../src/arch/arm/pgtable.js';
import { linuxPte, MT_BUFFERABLE, MT_UNCACHED, MT_WRITEBACK, MT_WRITETHROUGH, pteOf } from '../../cpu/bytes.js';
import { localMachine } from '../../machine.js';

const [PRESENT, YOUNG, DIRTY, WRITE, USER] = [0x001, 0x002, 0x040, 0x080, 0x100];
const PAGE = 0x20004000;
const CACHED = MT_WRITEBACK << 2;

describe('hardwarePte()', () => {
  it('is a small page, kernel read-write, with C and B as the memory type says', () => {
    for (const [type, cb] of [
      [MT_UNCACHED, 0x0],
      [MT_BUFFERABLE, 0x4],
      [MT_WRITETHROUGH, 0x8],
      [MT_WRITEBACK, 0xc],
      [7 /* WRITEALLOC */, 0xc],
      [4 /* DEV_SHARED */, 0x0],
    ] as const) {
      expect(hardwarePte(linuxPte(PAGE, type)) >>> 0).toBe((PAGE | 0x550 | cb | 2) >>> 0);
    }
  });

  it('is nothing unless the page is present and young', () => {
    expect(hardwarePte(0)).toBe(0);
    expect(hardwarePte(PAGE | PRESENT | CACHED)).toBe(0);
    expect(hardwarePte(PAGE | YOUNG | CACHED)).toBe(0);
  });

  it('lets users write only if the page is writable and dirty', () => {
    const user = PAGE | PRESENT | YOUNG | USER | CACHED;
    expect(hardwarePte(user | WRITE | DIRTY) & 0xff0).toBe(0xff0);
    for (const rest of [0, WRITE, DIRTY]) expect(hardwarePte(user | rest) & 0xff0).toBe(0xaa0);
  });
});

describe('set_pte_ext()', () => {
  it('writes the Linux word, and the hardware word 2048 bytes below', () => {
    const { k } = localMachine('arm926', { pkmapSlots: 512 });
    const ptep = pteOf(k, 0xbfe05000);
    set_pte_ext(k, ptep, linuxPte(PAGE, MT_WRITEBACK));
    const at = (ptep - k.config.pageOffset) >>> 2;
    expect(k.words[at]).toBe(PAGE | PRESENT | YOUNG | DIRTY | WRITE | CACHED);
    expect(k.words[at - 512]).toBe(PAGE | 0x55e);
    pte_clear(k, ptep);
    expect([k.words[at], k.words[at - 512]]).toEqual([0, 0]);
  });
});
