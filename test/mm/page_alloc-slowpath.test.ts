/** What happens to a request that the marks refuse: spec/vmalloc-gfp.md §3, §4.4 to §4.8, §5. */
import { describe, expect, it } from 'vitest';
import type { MachineConfig } from '../../src/cpu/config.js';
import type { Kernel, Shrinker } from '../../src/cpu/kernel.js';
import { current_gfp_context, gfp } from '../../src/mm/gfp.js';
import { GfpSite, gfpEvents, traceGfp } from '../../src/mm/gfp-events.js';
import { kmalloc } from '../../src/mm/kmalloc.js';
import { balance_pgdat } from '../../src/mm/kswapd.js';
import { nr_free_pages_of, zone_nr } from '../../src/mm/mmzone.js';
import { type Page, page_zonenum, ZONE_HIGHMEM, ZONE_NORMAL } from '../../src/mm/page.js';
import { __free_pages, alloc_page, alloc_pages, drainZone } from '../../src/mm/page_alloc.js';
import { VM_ALLOC } from '../../src/mm/vmalloc/vm-struct.js';
import { get_vm_area } from '../../src/mm/vmalloc.js';
import { lru_cache_add, unregister_shrinker } from '../../src/mm/vmscan.js';
import { HARDIRQ_OFFSET, might_sleep, schedule_debug } from '../../src/shared/irqflags.js';
import { advance_jiffies, HZ, jiffies } from '../../src/shared/jiffies.js';
import {
  clear_task_flags,
  fatal_signal_pending,
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
import { struct_task_struct } from '../../src/shared/wait.js';
import { localMachine, messagesOf } from '../machine.js';

const ref32 = (kernel: string, options: Partial<MachineConfig> = {}): Kernel =>
  localMachine('arm926', { kernel, patches: [], lowmemPages: 4096, highmemPages: 12288, watermarks: true, ...options })
    .k;

const log = messagesOf;
const zone = (k: Kernel, nr = ZONE_NORMAL) => zone_nr(k, nr);
/** Normal has just so many free pages, HighMem none. */
function leave(k: Kernel, normal: number): void {
  drainZone(k, zone(k, ZONE_HIGHMEM), 0);
  drainZone(k, zone(k), normal);
}
/** Least number of free pages of Normal at which the request is served. */
function floorOf(kernel: string, mask: (k: Kernel) => number, below: (k: Kernel) => void = () => {}): number {
  const k = ref32(kernel);
  drainZone(k, zone(k, ZONE_HIGHMEM), 0);
  for (let free = 300; ; free--) {
    drainZone(k, zone(k), free);
    below(k);
    const page = alloc_page(k, mask(k) | gfp(k).__GFP_NOWARN);
    if (page === NULL) return free + 1;
    __free_pages(k, page, 0);
    // What went to the list of this CPU, so that the next drain does not miss it.
    while (nr_free_pages_of(k, zone(k)) < free) drainZone(k, zone(k), --free);
  }
}

/** A cache that counts its calls and frees all it was given at once, after so many calls. */
function cache(gate: Shrinker['gate'], pages: Page[] = [], after = 0): Shrinker & { masks: number[] } {
  const masks: number[] = [];
  return {
    name: `cache_${gate}`,
    gate,
    masks,
    shrink(k, _nr, gfp_mask) {
      masks.push(gfp_mask);
      if (masks.length <= after) return 0;
      const gone = pages.splice(0);
      for (const page of gone) __free_pages(k, page, 0);
      return gone.length;
    },
  };
}
const somePages = (k: Kernel, count: number): Page[] =>
  Array.from({ length: count }, () => alloc_page(k, gfp(k).GFP_ATOMIC));

describe('an atomic request', () => {
  it('goes down to a quarter of the min mark in 2.5.53, to three quarters of half of it later', () => {
    const atomic = (k: Kernel): number => gfp(k).GFP_ATOMIC;
    expect(floorOf('2.5.53', atomic)).toBe(1 + 8);
    expect(floorOf('2.6.22', atomic)).toBe(1 + 48);
    expect(floorOf('4.12', atomic)).toBe(1 + 48);
  });

  it('fails with the message of the version', () => {
    const failure = (kernel: string): string | undefined => {
      const k = ref32(kernel);
      leave(k, 0);
      expect(alloc_pages(k, gfp(k).GFP_ATOMIC, 1)).toBe(NULL);
      expect(alloc_pages(k, gfp(k).GFP_ATOMIC | gfp(k).__GFP_NOWARN, 1)).toBe(NULL);
      expect(log(k).filter((l) => l.includes('failure'))).toHaveLength(1);
      return log(k)[0];
    };
    expect(failure('2.5.53')).toBe('thread0: page allocation failure. order:1, mode:0x20');
    expect(failure('2.6.22')).toBe('thread0: page allocation failure. order:1, mode:0x20');
    expect(failure('4.12')).toBe(
      'thread0: page allocation failure: order:1, mode:0x1080020(GFP_ATOMIC), nodemask=(null)',
    );
  });

  it('says so at most ten times in five seconds from 2.6 on', () => {
    const k = ref32('4.12');
    leave(k, 0);
    const fail = (): void => void alloc_page(k, gfp(k).GFP_ATOMIC);
    for (let i = 0; i < 15; i++) fail();
    const failures = (): number => log(k).filter((l) => l.includes('page allocation failure')).length;
    expect(failures()).toBe(10);
    expect(log(k).filter((l) => l === 'Mem-Info:')).toHaveLength(1);
    advance_jiffies(k, 5 * HZ + 1);
    fail();
    expect(failures()).toBe(11);
  });
});

describe('the marks of a fall-back', () => {
  it('add up in 2.5.53: a highmem request leaves lowmem alone until it has both marks', () => {
    const highmem = (k: Kernel): number => gfp(k).__GFP_HIGHMEM;
    const lowmem = (): number => 0;
    // min pass, no flag: 1 + 96 + 32 for highmem, 1 + 32 for lowmem; an atomic request is content with the high mark alone
    expect(floorOf('2.5.53', highmem)).toBe(96);
    expect(floorOf('2.5.53', lowmem)).toBe(1 + 32);
  });

  it('keep the lowmem reserve from highmem requests in 2.6.22 and 4.12', () => {
    const k = ref32('4.12');
    drainZone(k, zone(k, ZONE_HIGHMEM), 0);
    drainZone(k, zone(k), 160 + 384 + 1);
    const { GFP_HIGHUSER, GFP_KERNEL, __GFP_DIRECT_RECLAIM, __GFP_NOWARN } = gfp(k);
    const nowait = (GFP_HIGHUSER & ~__GFP_DIRECT_RECLAIM) | __GFP_NOWARN;
    expect(page_zonenum(k, alloc_page(k, nowait))).toBe(ZONE_NORMAL);
    drainZone(k, zone(k), 128 + 384);
    expect(alloc_page(k, nowait)).toBe(NULL);
    expect(page_zonenum(k, alloc_page(k, GFP_KERNEL))).toBe(ZONE_NORMAL);
  });
});

describe('a task that frees memory', () => {
  it.each(['2.5.53', '2.6.22', '4.12'])('takes what there is in %s, and fails when there is nothing', (kernel) => {
    const k = ref32(kernel);
    leave(k, 5);
    set_task_flags(k, PF_MEMALLOC);
    for (let i = 0; i < 5; i++) expect(alloc_page(k, gfp(k).GFP_KERNEL)).not.toBe(NULL);
    expect(alloc_page(k, gfp(k).GFP_KERNEL)).toBe(NULL);
  });

  it('does not with __GFP_NOMEMALLOC', () => {
    for (const kernel of ['2.6.22', '4.12']) {
      const k = ref32(kernel);
      leave(k, 5);
      set_task_flags(k, PF_MEMALLOC);
      expect(alloc_page(k, gfp(k).GFP_KERNEL | gfp(k).__GFP_NOMEMALLOC)).toBe(NULL);
    }
  });

  it.each([
    ['2.5.53', false],
    ['2.6.22', false],
    ['4.12', true],
  ])('keeps its PF_MEMALLOC in %s when an interrupt reclaims on its stack: %s', (kernel, kept) => {
    const k = ref32(kernel);
    const pages = somePages(k, 256);
    k.shrinkers = [cache('none', pages)];
    leave(k, 0);
    set_task_flags(k, PF_MEMALLOC);
    k.preemptCount += HARDIRQ_OFFSET;
    // 4.12 does not reclaim for a reclaimer, in an interrupt neither.
    alloc_page(k, gfp(k).GFP_KERNEL | gfp(k).__GFP_NOWARN);
    k.preemptCount -= HARDIRQ_OFFSET;
    expect((task_flags(k) & PF_MEMALLOC) !== 0).toBe(kept);
  });
});

describe('direct reclaim', () => {
  const called = (kernel: string, mask: (k: Kernel) => number): string[] => {
    const k = ref32(kernel);
    const pages = somePages(k, 256);
    const caches = [cache('none', pages, 13), cache('IO'), cache('FS')];
    // Something on the page list too, so that what may not ask the caches gets on.
    for (let i = 0; i < 200; i++) lru_cache_add(k, alloc_page(k, gfp(k).GFP_ATOMIC));
    k.shrinkers = caches;
    leave(k, 0);
    while (nr_free_pages_of(k, zone(k)) > 0) drainZone(k, zone(k), 0);
    alloc_page(k, mask(k));
    return caches.filter((c) => c.masks.length > 0).map((c) => c.gate);
  };

  it('asks only the caches that the mask allows', () => {
    for (const kernel of ['2.6.22', '4.12']) {
      expect(called(kernel, (k) => gfp(k).GFP_KERNEL)).toEqual(['none', 'IO', 'FS']);
      expect(called(kernel, (k) => gfp(k).GFP_NOFS)).toEqual(['none', 'IO']);
      expect(called(kernel, (k) => gfp(k).GFP_NOIO)).toEqual(['none']);
    }
  });

  it('asks no cache at all without __GFP_FS in 2.5.53', () => {
    expect(called('2.5.53', (k) => gfp(k).GFP_NOFS)).toEqual([]);
  });

  it('is never done for a request that may not block', () => {
    for (const kernel of ['2.5.53', '2.6.22', '4.12']) {
      expect(called(kernel, (k) => gfp(k).GFP_ATOMIC | gfp(k).__GFP_NOWARN)).toEqual([]);
    }
  });

  it('leaves alone a cache that has been unregistered', () => {
    const k = ref32('4.12');
    const caches = [cache('none', somePages(k, 256)), cache('FS')];
    k.shrinkers = caches;
    unregister_shrinker(k, 'cache_FS');
    leave(k, 0);
    alloc_page(k, gfp(k).GFP_KERNEL);
    expect(caches.map((c) => c.masks.length)).toEqual([1, 0]);
  });

  it('gives up after one round with __GFP_NORETRY, and for a large order', () => {
    for (const kernel of ['2.6.22', '4.12']) {
      const k = ref32(kernel);
      const nothing = cache('none');
      k.shrinkers = [nothing];
      leave(k, 0);
      const { GFP_KERNEL, GFP_NOFS, __GFP_NORETRY, __GFP_NOWARN } = gfp(k);
      expect(alloc_page(k, GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)).toBe(NULL);
      expect(nothing.masks).toHaveLength(13);
      expect(alloc_pages(k, GFP_NOFS | __GFP_NOWARN, 4)).toBe(NULL);
      expect(nothing.masks).toHaveLength(26);
    }
  });
});

describe('kswapd', () => {
  it('brings a zone back above its high mark', () => {
    const k = ref32('2.6.22');
    for (let i = 0; i < 300; i++) lru_cache_add(k, alloc_page(k, gfp(k).GFP_ATOMIC));
    drainZone(k, zone(k), 20);
    balance_pgdat(k);
    expect(nr_free_pages_of(k, zone(k))).toBeGreaterThan(192);
  });
});

describe('the OOM killer', () => {
  const victim = (kernel: string): { k: Kernel; page: Page } => {
    const k = ref32(kernel);
    k.write(k.current, struct_task_struct.mm, 1);
    k.write(k.current, struct_task_struct.total_vm, 700);
    leave(k, 10);
    return { k, page: alloc_page(k, gfp(k).GFP_KERNEL) };
  };

  it.each([
    ['2.5.53', 'Out of Memory: Killed process 0 (thread0).'],
    ['2.6.22', 'thread0 invoked oom-killer: gfp_mask=0xd0, order=0, oomkilladj=0'],
    ['4.12', 'thread0 invoked oom-killer: gfp_mask=0x14000c0(GFP_KERNEL), nodemask=(null),  order=0, oom_score_adj=0'],
    ['4.10', 'thread0 invoked oom-killer: gfp_mask=0x14000c0(GFP_KERNEL), nodemask=0, order=0, oom_score_adj=0'],
    ['4.12', 'Out of memory: Kill process 0 (thread0) score 42 or sacrifice child'],
  ])('chooses a task in %s, which gets its page from the reserve', (kernel, text) => {
    const { k, page } = victim(kernel);
    expect(log(k)).toContain(text);
    expect(log(k).filter((l) => /Killed process 0 \(thread0\)/.test(l))).toHaveLength(1);
    expect(page).not.toBe(NULL);
    expect(fatal_signal_pending(k)).toBe(true);
  });

  it('is invoked although highmem is entirely free', () => {
    const k = ref32('4.10');
    k.write(k.current, struct_task_struct.mm, 1);
    drainZone(k, zone(k), 10);
    const before = nr_free_pages_of(k, zone(k, ZONE_HIGHMEM));
    alloc_page(k, gfp(k).GFP_KERNEL);
    expect(log(k)[0]).toMatch(/invoked oom-killer/);
    expect(nr_free_pages_of(k, zone(k, ZONE_HIGHMEM))).toBe(before);
    const k2 = ref32('4.10');
    drainZone(k2, zone(k2), 10);
    expect(page_zonenum(k2, alloc_page(k2, gfp(k2).GFP_HIGHUSER))).toBe(ZONE_HIGHMEM);
    expect(log(k2)).toEqual([]);
  });

  it('panics when nobody can be killed', () => {
    const k = ref32('2.6.22');
    leave(k, 10);
    expect(() => alloc_page(k, gfp(k).GFP_KERNEL)).toThrow(/no killable processes/);
  });

  it('kills nobody for a request without __GFP_FS in 4.12, which stalls instead and says so every ten seconds', () => {
    const k = ref32('4.12');
    k.write(k.current, struct_task_struct.mm, 1);
    k.shrinkers = [cache('none', somePages(k, 256), 250 * 13)];
    leave(k, 10);
    const before = jiffies(k);
    expect(alloc_page(k, gfp(k).GFP_NOFS)).not.toBe(NULL);
    expect(jiffies(k) - before).toBe(250 * 10);
    const stalls = log(k).filter((l) => l.includes('page allocation stalls'));
    expect(stalls).toEqual([
      'thread0: page allocation stalls for 10100ms, order:0, mode:0x1400040(GFP_NOFS), nodemask=(null)',
      'thread0: page allocation stalls for 20100ms, order:0, mode:0x1400040(GFP_NOFS), nodemask=(null)',
    ]);
    expect(log(k).some((l) => l.includes('oom-killer'))).toBe(false);
  });
});

describe('an allocation scope, vmalloc/V003-13', () => {
  const both = (k: Kernel): number => task_flags(k) & (PF_MEMALLOC_NOIO | PF_MEMALLOC_NOFS(k));

  it('restricts what a request may do, NOIO before NOFS', () => {
    const k = ref32('4.12');
    const { GFP_KERNEL, GFP_NOFS, GFP_NOIO } = gfp(k);
    expect(current_gfp_context(k, GFP_KERNEL)).toBe(GFP_KERNEL);
    const fs = memalloc_nofs_save(k);
    expect(current_gfp_context(k, GFP_KERNEL)).toBe(GFP_NOFS);
    const io = memalloc_noio_save(k);
    expect(current_gfp_context(k, GFP_KERNEL)).toBe(GFP_NOIO);
    memalloc_nofs_restore(k, fs);
    expect(current_gfp_context(k, GFP_KERNEL)).toBe(GFP_NOIO);
    memalloc_noio_restore(k, io);
    expect(current_gfp_context(k, GFP_KERNEL)).toBe(GFP_KERNEL);
  });

  it('has only NOIO in 4.10', () => {
    const k = ref32('4.10');
    memalloc_nofs_save(k);
    expect(current_gfp_context(k, gfp(k).GFP_KERNEL)).toBe(gfp(k).GFP_KERNEL);
    memalloc_noio_save(k);
    expect(current_gfp_context(k, gfp(k).GFP_KERNEL)).toBe(gfp(k).GFP_NOIO);
  });

  it('ends in the order in which it began', () => {
    const k = ref32('4.12');
    const outer = memalloc_nofs_save(k);
    const inner = memalloc_nofs_save(k);
    memalloc_nofs_restore(k, inner);
    expect(both(k)).toBe(PF_MEMALLOC_NOFS(k));
    memalloc_nofs_restore(k, outer);
    expect(both(k)).toBe(0);
  });

  it('stays for ever when the outer one is restored first, and is dropped by a second restore', () => {
    const k = ref32('4.12');
    const outer = memalloc_noio_save(k);
    const inner = memalloc_noio_save(k);
    memalloc_noio_restore(k, outer);
    memalloc_noio_restore(k, inner);
    expect(both(k)).toBe(PF_MEMALLOC_NOIO);
    clear_task_flags(k, PF_MEMALLOC_NOIO);
    const first = memalloc_noio_save(k);
    memalloc_noio_restore(k, first);
    memalloc_noio_save(k);
    memalloc_noio_restore(k, first);
    expect(both(k)).toBe(0);
  });

  it('vmalloc/V003-14: does not show at might_sleep() and on the fast path, but on the slow path and in reclaim', () => {
    const k = ref32('4.12');
    k.shrinkers = [cache('none', somePages(k, 256))];
    const { GFP_KERNEL, GFP_NOFS } = gfp(k);
    leave(k, 10);
    memalloc_nofs_save(k);
    traceGfp(k);
    alloc_page(k, GFP_KERNEL);
    expect(gfpEvents(k)).toEqual([
      { site: GfpSite.might_sleep, gfp_mask: GFP_KERNEL },
      { site: GfpSite.fast_path, gfp_mask: GFP_KERNEL },
      { site: GfpSite.slow_path, gfp_mask: GFP_NOFS },
      { site: GfpSite.reclaim, gfp_mask: GFP_NOFS },
    ]);
  });

  it('keeps direct reclaim from file systems, and leaves plain success alone', () => {
    const k = ref32('4.12');
    const fs = cache('FS', somePages(k, 256));
    const clean = cache('none', somePages(k, 256));
    k.shrinkers = [fs, clean];
    memalloc_nofs_save(k);
    expect(alloc_page(k, gfp(k).GFP_KERNEL)).not.toBe(NULL);
    expect(clean.masks).toEqual([]);
    leave(k, 10);
    alloc_page(k, gfp(k).GFP_KERNEL);
    expect(fs.masks).toEqual([]);
    expect(clean.masks.length).toBeGreaterThan(0);
  });

  it('never makes a request non-blocking', () => {
    const k = ref32('4.12');
    memalloc_noio_save(k);
    k.preemptCount += 1;
    alloc_page(k, gfp(k).GFP_KERNEL);
    expect(log(k)[0]).toBe('BUG: sleeping function called from invalid context at mm/page_alloc.c:0');
    k.preemptCount -= 1;
  });
});

describe('might_sleep()', () => {
  const report = (kernel: string, options: Partial<MachineConfig>, enter: (k: Kernel) => void): string[] => {
    const { k } = localMachine('arm926', { kernel, patches: [], ...options });
    enter(k);
    might_sleep(k, 'mm/slab.c:1');
    return log(k);
  };
  const locked = (k: Kernel): void => {
    k.preemptCount += 1;
  };
  const masked = (k: Kernel): void => {
    k.irqsOff = true;
  };

  it('has the text of the version', () => {
    const at = 'called from invalid context at mm/slab.c:1';
    expect(report('2.5.53', {}, locked)).toEqual([
      'Debug: sleeping function called from illegal context at mm/slab.c:1',
    ]);
    expect(report('2.6.22', {}, locked)).toEqual([`BUG: sleeping function ${at}`, 'in_atomic():1, irqs_disabled():0']);
    expect(report('4.12', {}, masked)).toEqual([
      `BUG: sleeping function ${at}`,
      'in_atomic(): 0, irqs_disabled(): 128, pid: 0, name: thread0',
    ]);
  });

  it('does not look at the interrupt mask in 2.5.53', () => {
    expect(report('2.5.53', {}, masked)).toEqual([]);
    expect(report('2.6.22', {}, masked)).toHaveLength(2);
  });

  it('cannot see a spinlock without CONFIG_PREEMPT before 4.x, but an interrupt', () => {
    const inIrq = (k: Kernel): void => {
      k.preemptCount += HARDIRQ_OFFSET;
    };
    for (const kernel of ['2.5.53', '2.6.22']) {
      expect(report(kernel, { preempt: false }, locked)).toEqual([]);
      expect(report(kernel, { preempt: false }, inIrq).length).toBeGreaterThan(0);
    }
    expect(report('4.12', { preempt: false }, locked)).toHaveLength(2);
  });

  it('reports once a second', () => {
    const { k } = localMachine('arm926', { kernel: '4.12', patches: [] });
    locked(k);
    for (let i = 0; i < 3; i++) might_sleep(k);
    expect(log(k)).toHaveLength(2);
    advance_jiffies(k, HZ);
    might_sleep(k);
    expect(log(k)).toHaveLength(4);
  });
});

describe('where the memory code asks might_sleep()', () => {
  const asked = (kernel: string, call: (k: Kernel) => void): boolean => {
    const { k } = localMachine('arm926', { kernel, patches: [], lowmemPages: 512 });
    k.preemptCount += 1;
    call(k);
    return log(k).some((l) => l.includes('sleeping function called'));
  };
  const allocate = (k: Kernel): void => void alloc_page(k, gfp(k).GFP_KERNEL);
  /** Twice: the first one needs a page, whose allocation asks in any version. */
  const object = (k: Kernel): void => {
    k.preemptCount -= 1;
    kmalloc(k, 32, gfp(k).GFP_KERNEL);
    k.preemptCount += 1;
    kmalloc(k, 32, gfp(k).GFP_KERNEL);
  };
  const area = (k: Kernel): void => void get_vm_area(k, 4096, VM_ALLOC, gfp(k).GFP_ATOMIC);

  it('is the page allocator in every version', () => {
    for (const kernel of ['2.5.53', '2.6.22', '2.6.30', '4.12']) expect(asked(kernel, allocate)).toBe(true);
  });

  it('is SLUB from 2.6.29 on', () => {
    expect(['2.6.22', '2.6.28', '2.6.29', '4.12'].map((kernel) => asked(kernel, object))).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });

  it('is vmalloc() in 4.x whatever the mask, before only where it allocates with GFP_KERNEL', () => {
    expect(['2.6.30', '4.10', '4.12'].map((kernel) => asked(kernel, area))).toEqual([false, true, true]);
  });

  it('is not asked for a mask that does not allow to sleep', () => {
    for (const kernel of ['2.5.53', '2.6.22', '2.6.30', '4.12']) {
      expect(asked(kernel, (k) => void alloc_page(k, gfp(k).GFP_ATOMIC))).toBe(false);
    }
  });
});

describe('a zeroed highmem page', () => {
  it('is a BUG in an interrupt with CONFIG_DEBUG_VM in 2.6.22, and not in 4.12', () => {
    const zeroed = (kernel: string, debugVm: boolean): void => {
      const { k } = localMachine('arm926', { kernel, patches: [], debugVm });
      k.preemptCount += HARDIRQ_OFFSET;
      alloc_page(k, gfp(k).GFP_ATOMIC | gfp(k).__GFP_HIGHMEM | gfp(k).__GFP_ZERO);
    };
    expect(() => zeroed('2.6.22', true)).toThrow(/prep_zero_page/);
    zeroed('2.6.22', false);
    zeroed('4.12', true);
  });
});

describe('schedule() where nobody may sleep', () => {
  it.each([
    ['2.5.53', 'bad: scheduling while atomic!'],
    ['2.6.22', 'BUG: scheduling while atomic: thread0/0x00000001/0'],
    ['2.6.30', 'BUG: scheduling while atomic: thread0/0/0x00000001'],
    ['4.12', 'BUG: scheduling while atomic: thread0/0/0x00000001'],
  ])('is reported by %s', (kernel, text) => {
    const { k } = localMachine('arm926', { kernel, patches: [] });
    schedule_debug(k);
    k.preemptCount += 1;
    schedule_debug(k);
    expect(log(k)).toEqual([text]);
  });
});
