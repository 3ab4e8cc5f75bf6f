/** mm/util.c, and what masks and scopes do on the way down: spec/vmalloc-gfp.md §3, §6.6, §12.2. */
import { describe, expect, it } from 'vitest';
import type { MachineConfig } from '../../src/cpu/config.js';
import { Control } from '../../src/cpu/hw.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { readLog } from '../../src/cpu/printk.js';
import { gfp } from '../../src/mm/gfp.js';
import { GfpSite, gfpEvents, traceGfp } from '../../src/mm/gfp-events.js';
import { zone_nr } from '../../src/mm/mmzone.js';
import { type Page, page_to_pfn, ZONE_NORMAL } from '../../src/mm/page.js';
import { __free_pages, alloc_page, drainZone, pagesOnCpuLists } from '../../src/mm/page_alloc.js';
import { kvfree, kvmalloc } from '../../src/mm/util.js';
import { is_vmalloc_addr } from '../../src/mm/vmalloc/vm-struct.js';
import { __vmalloc } from '../../src/mm/vmalloc.js';
import {
  memalloc_nofs_restore,
  memalloc_nofs_save,
  memalloc_noio_restore,
  memalloc_noio_save,
  PF_MEMALLOC,
  PF_MEMALLOC_NOFS,
  PF_MEMALLOC_NOIO,
  set_task_flags,
  task_flags,
} from '../../src/shared/task.js';
import { NULL } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';

const boot = (options: Partial<MachineConfig> = {}): Kernel =>
  localMachine('cortex-a9', {
    kernel: '4.12',
    patches: ['hm'],
    lowmemPages: 512,
    highmemPages: 512,
    ...options,
  }).k;

const warnings = (k: Kernel): string[] =>
  readLog(k.hw, k.layout.log, Control.logHead)
    .map((r) => r.text)
    .filter((text) => text.startsWith('WARNING'));
/** No two free pages of lowmem are neighbours. */
function fragment(k: Kernel): void {
  const { GFP_NOWAIT, __GFP_NOWARN } = gfp(k);
  const pages: Page[] = [];
  for (
    let page = alloc_page(k, GFP_NOWAIT | __GFP_NOWARN);
    page !== NULL;
    page = alloc_page(k, GFP_NOWAIT | __GFP_NOWARN)
  ) {
    pages.push(page);
  }
  for (const page of pages) if (page_to_pfn(k, page) % 2 === 0) __free_pages(k, page, 0);
}
const scopes = (k: Kernel): number => task_flags(k) & (PF_MEMALLOC_NOIO | PF_MEMALLOC_NOFS(k));

describe('kvmalloc()', () => {
  it('vmalloc/V003-11: warns once of GFP_NOFS and goes on; with the patch mp it does not', () => {
    const k = boot();
    for (let i = 0; i < 2; i++) expect(kvmalloc(k, 256 << 10, gfp(k).GFP_NOFS)).not.toBe(NULL);
    expect(warnings(k)).toEqual(['WARNING: CPU: 0 PID: 0 at mm/util.c kvmalloc_node()']);
    const patched = boot({ patches: ['hm', 'mp'] });
    kvmalloc(patched, 256 << 10, gfp(patched).GFP_NOFS);
    expect(warnings(patched)).toEqual([]);
  });

  it('vmalloc/V003-11: does not warn of GFP_KERNEL in a scope', () => {
    const k = boot({ patches: ['hm', 'sc'] });
    const old = memalloc_nofs_save(k);
    kvmalloc(k, 256 << 10, gfp(k).GFP_KERNEL);
    memalloc_nofs_restore(k, old);
    expect(warnings(k)).toEqual([]);
  });

  it('vmalloc/V003-12: warns of a mask that does not allow to sleep, with the patch mp too', () => {
    for (const patches of [['hm'], ['hm', 'mp']]) {
      const k = boot({ patches });
      kvmalloc(k, 256 << 10, gfp(k).GFP_NOWAIT);
      expect(warnings(k)).toEqual(['WARNING: CPU: 0 PID: 0 at mm/util.c kvmalloc_node()']);
    }
  });

  it('vmalloc/C-11: falls back to vmalloc() for more than a page, and gives back either kind', () => {
    const k = boot();
    const { GFP_KERNEL } = gfp(k);
    const contiguous = kvmalloc(k, 8192, GFP_KERNEL);
    expect(is_vmalloc_addr(k, contiguous)).toBe(false);
    kvfree(k, contiguous);
    fragment(k);
    const area = kvmalloc(k, 16384, GFP_KERNEL);
    expect(is_vmalloc_addr(k, area)).toBe(true);
    kvfree(k, area);
    expect(warnings(k)).toEqual([]);
  });

  it('vmalloc/C-11: of a page answers NULL without memory', () => {
    const k = boot();
    const zone = zone_nr(k, ZONE_NORMAL);
    drainZone(k, zone, 0);
    while (pagesOnCpuLists(k, zone) > 0) alloc_page(k, gfp(k).GFP_NOWAIT);
    const once = gfp(k).GFP_KERNEL | gfp(k).__GFP_NORETRY | gfp(k).__GFP_NOWARN;
    expect(kvmalloc(k, 4096, once)).toBe(NULL);
  });
});

describe('the scope of the patch mp', () => {
  it('vmalloc/V003-13: leaves the scope of its caller as it was, on success and on failure', () => {
    let failures = 0;
    for (let left = 0; left < 12; left++) {
      const k = boot({ patches: ['hm', 'mp'] });
      const { GFP_NOFS, GFP_NOIO, __GFP_NOWARN } = gfp(k);
      drainZone(k, zone_nr(k, ZONE_NORMAL), left);
      // Else an allocation without __GFP_FS waits for memory for ever.
      set_task_flags(k, PF_MEMALLOC);
      const outer = memalloc_noio_save(k);
      for (const mask of [GFP_NOFS, GFP_NOIO]) {
        if (__vmalloc(k, 8192, mask | __GFP_NOWARN) === NULL) failures++;
        expect(scopes(k)).toBe(PF_MEMALLOC_NOIO);
      }
      memalloc_noio_restore(k, outer);
      expect(scopes(k)).toBe(0);
    }
    expect(failures).toBeGreaterThan(2);
    expect(failures).toBeLessThan(24);
  });

  it('vmalloc/V003-15: is around the page tables of the array and of the area, and nothing else', () => {
    const seen = (patches: string[]): { tables: number[]; inScope: number } => {
      const k = boot({ patches, highmemPages: 4096 });
      traceGfp(k, [GfpSite.pte_alloc]);
      __vmalloc(k, 8 << 20, gfp(k).GFP_NOFS);
      return { tables: gfpEvents(k).map((e) => e.gfp_mask), inScope: scopes(k) };
    };
    const { GFP_KERNEL, GFP_NOFS, __GFP_IO } = gfp(boot());
    const plain = seen(['hm']);
    const patched = seen(['hm', 'mp']);
    expect(plain.tables.length).toBeGreaterThanOrEqual(5);
    expect(plain.tables.every((mask) => (mask & GFP_KERNEL) === GFP_KERNEL)).toBe(true);
    expect(patched.tables).toHaveLength(plain.tables.length);
    expect(patched.tables.every((mask) => (mask & (GFP_KERNEL ^ GFP_NOFS)) === 0 && (mask & __GFP_IO) !== 0)).toBe(
      true,
    );
    expect(patched.inScope).toBe(0);
  });
});
