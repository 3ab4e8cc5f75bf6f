/** Coherent memory and streaming maps of ARM 2.6.22. spec/slab-dma.md §4.1, §4.2. */
import { describe, expect, it } from 'vitest';
import type { MachineConfig } from '../../src/cpu/config.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import {
  dma_alloc_coherent,
  dma_alloc_noncoherent,
  dma_free_coherent,
  struct_device,
} from '../../src/mm/arm/dma-coherent.js';
import {
  type DmaDirection,
  dma_map_page,
  dma_map_sg,
  dma_map_single,
  dma_sync_sg_for_cpu,
  dma_sync_sg_for_device,
  dma_sync_single_for_cpu,
  dma_sync_single_for_device,
  dma_unmap_single,
  type Scatterlist,
} from '../../src/mm/arm/dma-mapping.js';
import {
  dma_get_cache_alignment,
  dma_sync_single_range_for_cpu,
  dma_sync_single_range_for_device,
} from '../../src/mm/dma-mapping.js';
import type { Page } from '../../src/mm/page.js';
import { alloc_page, GFP_KERNEL } from '../../src/mm/page_alloc.js';
import { NULL, type Paddr, ptr, type Vaddr, vaddr } from '../../src/shared/types.js';
import { ld, ram, setRam, st } from '../cpu/bytes.js';
import { dmesgOf, localMachine } from '../machine.js';

const TO_DEVICE = 1;
const FROM_DEVICE = 2;
const BIDIRECTIONAL = 0;
const DIRECTIONS = [TO_DEVICE, FROM_DEVICE, BIDIRECTIONAL] as const;
const LINE = 32;
const MB = 1 << 20;

const machine = (options: Partial<MachineConfig> = {}): Kernel =>
  localMachine('arm926', { kernel: '2.6.22', patches: ['rmk2'], lowmemPages: 2048, ...options }).k;

/** A line that the CPU has stored to, 0xaa throughout, before memory has any of it. */
function dirtyLine(k: Kernel): { page: Page; va: Vaddr; pa: Paddr } {
  const page = alloc_page(k, GFP_KERNEL);
  const pa = (k.config.core.physBase + ((page - k.sym.mem_map) / 32) * 4096) as Paddr;
  const va = k.__va(pa);
  setRam(k, pa, `11*${LINE}`);
  for (let i = 0; i < LINE; i++) {
    ld(k, va + i);
    st(k, va + i, 0xaa);
  }
  return { page, va, pa };
}

/** What has become of the line. RAM is changed to find out. */
function fate(k: Kernel, va: number, pa: number): string {
  const cleaned = ram(k, pa, LINE) === `aa*${LINE}`;
  setRam(k, pa, `dd*${LINE}`);
  const gone = ld(k, va) === 0xdd;
  if (cleaned) return gone ? 'flush' : 'clean';
  return gone ? 'inv' : 'nothing';
}

type Call = (k: Kernel, at: { page: Page; va: Vaddr; pa: Paddr }, dir: DmaDirection) => unknown;
const listOf = (page: Page, pa: Paddr): Scatterlist[] => [{ page, offset: 0, length: LINE, dma_address: pa }];

const MAINTAIN: readonly (readonly [string, Call])[] = [
  ['dma_map_single', (k, { va }, dir) => dma_map_single(k, va, LINE, dir)],
  ['dma_map_page', (k, { page }, dir) => dma_map_page(k, page, 0, LINE, dir)],
  ['dma_map_sg', (k, { page, pa }, dir) => dma_map_sg(k, listOf(page, pa), dir)],
  ['dma_sync_single_for_cpu', (k, { pa }, dir) => dma_sync_single_for_cpu(k, pa, LINE, dir)],
  ['dma_sync_single_for_device', (k, { pa }, dir) => dma_sync_single_for_device(k, pa, LINE, dir)],
  ['dma_sync_single_range_for_cpu', (k, { pa }, dir) => dma_sync_single_range_for_cpu(k, before(pa), 64, LINE, dir)],
  ['range_for_device', (k, { pa }, dir) => dma_sync_single_range_for_device(k, before(pa), 64, LINE, dir)],
  ['dma_sync_sg_for_cpu', (k, { page, pa }, dir) => dma_sync_sg_for_cpu(k, listOf(page, pa), dir)],
  ['dma_sync_sg_for_device', (k, { page, pa }, dir) => dma_sync_sg_for_device(k, listOf(page, pa), dir)],
];

/** A mapping that begins 64 bytes before. */
const before = (pa: Paddr): Paddr => (pa - 64) as Paddr;

function fates(call: Call, options: Partial<MachineConfig> = {}): string[] {
  return DIRECTIONS.map((dir) => {
    const k = machine(options);
    const at = dirtyLine(k);
    call(k, at, dir);
    return fate(k, at.va, at.pa);
  });
}

describe('streaming DMA of ARM', () => {
  it.each(MAINTAIN)('of 2.6.22 cleans, invalidates or flushes as the direction says: %s', (_, call) => {
    expect(fates(call)).toEqual(['clean', 'inv', 'flush']);
  });

  it('of 2.6.22 does nothing at the end of a transfer', () => {
    expect(fates((k, { pa }, dir) => dma_unmap_single(k, pa, LINE, dir))).toEqual(Array(3).fill('nothing'));
  });

  it.each(MAINTAIN.filter(([name]) => name.endsWith('for_cpu')))(
    'of 2.6.28 does nothing for the CPU any more: %s',
    (_, call) => {
      expect(fates(call, { kernel: '2.6.28' })).toEqual(Array(3).fill('nothing'));
    },
  );

  it.each(MAINTAIN)('does nothing where arch_is_coherent() says that there is nothing to do: %s', (_, call) => {
    for (const kernel of ['2.6.22', '2.6.30']) {
      expect(fates(call, { kernel, coherentDma: true })).toEqual(Array(3).fill('nothing'));
    }
  });
});

const deviceWith = (k: Kernel, mask: number) => {
  const dev = ptr<'device'>(k.sym.race_data);
  k.write(dev, struct_device.coherent_dma_mask, mask);
  return dev;
};

describe('what else ARM 2.6.22 has of the DMA API', () => {
  it('is an alignment of 32 bytes on every core, and no noncoherent memory', () => {
    expect(dma_get_cache_alignment(machine())).toBe(32);
    expect(dma_alloc_noncoherent().addr).toBe(NULL);
  });
});

describe('dma_alloc_coherent() of ARM 2.6.22', () => {
  it('gives cleared pages in its region, uncached', () => {
    const k = machine();
    const { addr, handle } = dma_alloc_coherent(k, NULL, 5000, GFP_KERNEL);
    expect(addr).toBe(0xffc00000);
    st(k, addr + 4999, 0x77);
    expect([ram(k, handle, 4999), ram(k, handle + 4999, 1)]).toEqual(['00*4999', '77*1']);
    dma_free_coherent(k, NULL, 5000, addr, handle);
    expect(dmesgOf(k)).toEqual([]);
  });

  it('refuses as much as its region has, and says how much that was', () => {
    const k = machine();
    const { addr, handle } = dma_alloc_coherent(k, NULL, 2 * MB - 4095, GFP_KERNEL);
    expect([addr, handle >>> 0]).toEqual([NULL, 0xffffffff]);
    expect(dmesgOf(k)).toEqual(['coherent allocation too big (requested 0x200000 mask 0xffffffff)']);
    expect(dma_alloc_coherent(k, NULL, MB, GFP_KERNEL).addr).toBe(0xffc00000);
  });

  it("refuses as much as the device's window has: SA-1100, whose GFP_DMA is one megabyte", () => {
    const mask = 0xc00fffff;
    const k = machine({ isaDmaThreshold: mask, dmaPages: 256 });
    expect(dma_alloc_coherent(k, deviceWith(k, mask), MB, GFP_KERNEL).addr).toBe(NULL);
    expect(dmesgOf(k)).toEqual(['coherent allocation too big (requested 0x100000 mask 0xc00fffff)']);
    expect(dma_alloc_coherent(k, deviceWith(k, mask), MB / 4, GFP_KERNEL).addr).not.toBe(NULL);
  });

  it('refuses devices that do not reach GFP_DMA, or say nothing', () => {
    const k = machine();
    expect(dma_alloc_coherent(k, deviceWith(k, 0xffffff), 256, GFP_KERNEL).addr).toBe(NULL);
    expect(dma_alloc_coherent(k, deviceWith(k, 0), 256, GFP_KERNEL).addr).toBe(NULL);
    expect(dmesgOf(k)).toEqual([
      'coherent DMA mask 0xffffff is smaller than system GFP_DMA mask 0xffffffff',
      'coherent DMA mask is unset',
    ]);
  });

  it('complains of a size that is not that of the region, which it frees', () => {
    const k = machine();
    const { addr, handle } = dma_alloc_coherent(k, NULL, 8192, GFP_KERNEL);
    dma_free_coherent(k, NULL, 4096, addr, handle);
    expect(dmesgOf(k)).toEqual(['dma_free_coherent: freeing wrong coherent size (8192 != 4096)']);
    expect(dma_alloc_coherent(k, NULL, 4096, GFP_KERNEL).addr).toBe(addr);
    dma_free_coherent(k, NULL, 4096, vaddr(addr + 4096), handle);
    expect(dmesgOf(k)).toContain('dma_free_coherent: trying to free invalid coherent area: ffc01000');
  });
});
