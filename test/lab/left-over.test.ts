/** What an execution leaves behind, by who asked for it: each kind is provoked, and what was given back is not listed. */
import { describe, expect, it } from 'vitest';
import { km_type } from '../../src/arch/arm/memory.js';
import type { MachineConfig } from '../../src/cpu/config.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { checkersOf } from '../../src/lab/checkers.js';
import { leftOver } from '../../src/lab/left-over.js';
import { dma_alloc_coherent, dma_free_coherent } from '../../src/mm/arm/dma-coherent.js';
import { kmap_atomic, kunmap_atomic } from '../../src/mm/arm/highmem.js';
import { dma_map_single, dma_unmap_single } from '../../src/mm/dma-mapping.js';
import { gfp } from '../../src/mm/gfp.js';
import { kfree, kmalloc } from '../../src/mm/kmalloc.js';
import { kmap, kunmap } from '../../src/mm/kmap.js';
import { __free_pages, alloc_page, alloc_pages } from '../../src/mm/page_alloc.js';
import { vfree, vmalloc } from '../../src/mm/vmalloc.js';
import { spin_lock, spin_unlock } from '../../src/shared/spinlock.js';
import { NULL } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';

function watched(options: Partial<MachineConfig> = {}): Kernel {
  const { k } = localMachine('vivt-shared', { check: 'memory,dma', debugHighmem: true, ...options });
  for (const checker of checkersOf(k)) checker.restart();
  return k;
}
const KERNEL = (k: Kernel): number => gfp(k).GFP_KERNEL;
function other_site(k: Kernel): void {
  kmalloc(k, 100, KERNEL(k));
}
/** Lines that begin an entry. */
const entries = (k: Kernel): string[] => leftOver(k).filter((line) => !line.startsWith('  '));

describe('memory that is left over', () => {
  it('is counted by who asked for it, the most bytes first', () => {
    const k = watched();
    for (let i = 0; i < 3; i++) kmalloc(k, 24, KERNEL(k));
    other_site(k);
    vmalloc(k, 5000);
    alloc_pages(k, KERNEL(k), 2);
    const list = entries(k);
    expect(list[0]).toBe('1 block of pages, 16384 bytes, allocated in');
    expect(list).toContain('1 vmalloc area, 5000 bytes, allocated in');
    const [one, three] = ['1 object, 100 bytes, allocated in', '3 objects, 72 bytes, allocated in'];
    expect(list.indexOf(one)).toBeGreaterThan(0);
    expect(list.indexOf(three)).toBeGreaterThan(list.indexOf(one));
    expect(leftOver(k)).toContain('  kmalloc');
  });

  it('is nothing when all was given back', () => {
    const k = watched();
    kfree(k, kmalloc(k, 24, KERNEL(k)));
    __free_pages(k, alloc_pages(k, KERNEL(k), 2), 2);
    expect(leftOver(k)).toEqual([]);
    // Areas that wait for a purge have a descriptor each, and the page table stays.
    vfree(k, vmalloc(k, 5000));
    expect(entries(k).some((line) => line.includes('vmalloc area') || line.includes(' 8192 bytes'))).toBe(false);
  });
});

describe('mappings that are left over', () => {
  const highmem = (k: Kernel) => alloc_page(k, KERNEL(k) | gfp(k).__GFP_HIGHMEM);

  it('are kmap slots with a user, and none without', () => {
    const k = watched();
    const [kept, dropped] = [highmem(k), highmem(k)];
    kmap(k, kept);
    kmap(k, kept);
    kmap(k, dropped);
    kunmap(k, dropped);
    const slots = entries(k).filter((line) => line.startsWith('kmap slot'));
    expect(slots).toEqual([expect.stringMatching(/^kmap slot \d+ at bfff[c-f]000, 2 users$/)]);
  });

  it('are slots of kmap_atomic(), where the kernel says which are in use', () => {
    const k = watched();
    const addr = kmap_atomic(k, highmem(k), km_type.KM_USER0);
    const slots = (): string[] => entries(k).filter((line) => line.startsWith('kmap_atomic'));
    expect(slots()).toEqual([expect.stringMatching(/^kmap_atomic slot of type \d+ on CPU 0, page frame 0x\w+$/)]);
    kunmap_atomic(k, addr, km_type.KM_USER0);
    expect(slots()).toEqual([]);
  });

  it('are those of devices, and coherent buffers', () => {
    const k = watched();
    const buffer = kmalloc(k, 64, KERNEL(k));
    const bus = dma_map_single(k, buffer, 64, 1);
    const { addr, handle } = dma_alloc_coherent(k, NULL, 4096, KERNEL(k));
    const list = (): string[] => entries(k).filter((line) => /^(DMA|coherent)/.test(line));
    expect(list()).toEqual([
      expect.stringMatching(/^DMA mapping \(single, DMA_TO_DEVICE\) of 64 bytes, device address \S+, made in$/),
      expect.stringMatching(/^coherent buffer of 4096 bytes, device address \S+, made in$/),
    ]);
    dma_unmap_single(k, bus, 64, 1);
    dma_free_coherent(k, NULL, 4096, addr, handle);
    expect(list()).toEqual([]);
  });
});

describe('locks that are left over', () => {
  it('are named, with who has them', () => {
    const k = watched();
    spin_lock(k, k.sym.vmap_area_lock);
    expect(entries(k)).toContain('lock vmap_area_lock, held by thread0');
    spin_unlock(k, k.sym.vmap_area_lock);
    expect(entries(k).some((line) => line.startsWith('lock '))).toBe(false);
  });
});
