/**
 * Where the memory code looks at its context: each row of spec/checkers.md §2.3, where it must complain, and where the same call must not.
 * The rows of the page allocator, of SLUB and of debug_kmap_atomic() are in page_alloc-slowpath.test.ts and arm-highmem.test.ts, the texts in formats.test.ts.
 */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { MachineConfig } from '../../src/cpu/config.js';
import { Seat } from '../../src/cpu/hw.js';
import { local_bh_disable, local_bh_enable } from '../../src/cpu/irq.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { cond_resched } from '../../src/cpu/timer.js';
import { explore } from '../../src/index.js';
import { patchesOf } from '../../src/lab/catalogue.js';
import { type CheckerReport, checkersOf } from '../../src/lab/checkers.js';
import { lockdepOf } from '../../src/lab/lockdep.js';
import { dma_alloc_coherent, dma_free_coherent } from '../../src/mm/arm/dma-coherent.js';
import { struct_thread_info } from '../../src/mm/boot.js';
import { gfp } from '../../src/mm/gfp.js';
import {
  kfree,
  kmalloc,
  kmem_cache_alloc,
  kmem_cache_create,
  kmem_cache_destroy,
  kmem_cache_free,
} from '../../src/mm/kmalloc.js';
import { kmap, kunmap } from '../../src/mm/kmap.js';
import { alloc_page, GFP_KERNEL } from '../../src/mm/page_alloc.js';
import { kvmalloc } from '../../src/mm/util.js';
import { VM_ALLOC } from '../../src/mm/vmalloc/vm-struct.js';
import {
  __vmalloc,
  get_vm_area,
  vfree,
  vm_map_ram,
  vm_unmap_aliases,
  vmalloc,
  vmap,
  vunmap,
} from '../../src/mm/vmalloc.js';
import { HARDIRQ_OFFSET, might_sleep, preempt_disable, preempt_enable } from '../../src/shared/irqflags.js';
import { mutex_lock } from '../../src/shared/mutex.js';
import { type SpinLock, spin_lock, spin_unlock } from '../../src/shared/spinlock.js';
import { memalloc_nofs_restore, memalloc_nofs_save } from '../../src/shared/task.js';
import { NULL, ptr, type Vaddr } from '../../src/shared/types.js';
import {
  __set_current_state,
  type Completion,
  complete,
  init_completion,
  set_current_state,
  TASK_INTERRUPTIBLE,
  TASK_RUNNING,
  TASK_UNINTERRUPTIBLE,
  wait_event,
  wait_for_completion,
} from '../../src/shared/wait.js';
import { localMachine, messagesOf } from '../machine.js';

/** What is got ready in process context, and what is then called in whichever context. */
interface Call {
  readonly what: string;
  prepare(k: Kernel): Vaddr;
  act(k: Kernel, got: Vaddr): unknown;
}

const nothing = (): Vaddr => NULL;
const completionOf = (k: Kernel): Completion => ptr<'completion'>(k.sym.race_data);
const highPage = (k: Kernel): Vaddr => alloc_page(k, gfp(k).GFP_KERNEL | gfp(k).__GFP_HIGHMEM);
function arrayOfPage(k: Kernel): Vaddr {
  const array = kmalloc(k, 4, gfp(k).GFP_KERNEL);
  k.store32(array, alloc_page(k, gfp(k).GFP_KERNEL));
  return array;
}
/** The same, with page tables where vmap() will put it: it allocates none. */
function arrayAndTables(k: Kernel): Vaddr {
  const array = arrayOfPage(k);
  vunmap(k, vmap(k, array, 1));
  return array;
}

const CALLS = {
  /** From a cache that has an object to give: no page is needed. */
  object: {
    what: 'kmem_cache_alloc() with GFP_KERNEL',
    prepare: (k) => {
      const cache = kmem_cache_create(k, 'victims', 40, 0, 0);
      kmem_cache_free(k, cache, kmem_cache_alloc(k, cache, gfp(k).GFP_KERNEL));
      return cache;
    },
    act: (k, cache) => kmem_cache_alloc(k, cache as never, gfp(k).GFP_KERNEL),
  },
  area: {
    what: 'get_vm_area()',
    prepare: nothing,
    act: (k) => get_vm_area(k, 4096, VM_ALLOC, gfp(k).GFP_ATOMIC),
  },
  vfree: { what: 'vfree()', prepare: (k) => vmalloc(k, 4096), act: vfree },
  vmap: { what: 'vmap()', prepare: arrayAndTables, act: (k, array) => vmap(k, array, 1) },
  vunmap: { what: 'vunmap()', prepare: (k) => vmap(k, arrayOfPage(k), 1), act: vunmap },
  kmap: { what: 'kmap()', prepare: highPage, act: (k, page) => kmap(k, page as never) },
  kunmap: {
    what: 'kunmap()',
    prepare: (k) => {
      const page = highPage(k);
      kmap(k, page as never);
      return page;
    },
    act: (k, page) => kunmap(k, page as never),
  },
  ram: { what: 'vm_map_ram()', prepare: arrayOfPage, act: (k, array) => vm_map_ram(k, array, 1) },
  aliases: { what: 'vm_unmap_aliases()', prepare: nothing, act: vm_unmap_aliases },
  resched: { what: 'cond_resched()', prepare: nothing, act: (k) => cond_resched(k) },
  /** Somebody else on this CPU would like to run. */
  wanted: {
    what: 'cond_resched() with a task that waits for the CPU',
    prepare: (k) => {
      k.schedule = () => {};
      k.hw[k.layout.seats + k.cpu * Seat.words + Seat.needResched] = 1;
      return NULL;
    },
    act: (k) => cond_resched(k),
  },
  event: {
    what: 'wait_event() for what has happened',
    prepare: nothing,
    act: (k) => wait_event(k, k.sym.bit_wait_table, () => true),
  },
  completion: {
    what: 'wait_for_completion() of what is complete',
    prepare: (k) => {
      init_completion(k, completionOf(k));
      complete(k, completionOf(k));
      return NULL;
    },
    act: (k) => wait_for_completion(k, completionOf(k)),
  },
  mutex: {
    what: 'mutex_lock() of a free mutex',
    prepare: (k) => k.sym.vmap_purge_lock,
    act: (k, lock) => mutex_lock(k, lock as never),
  },
  create: { what: 'kmem_cache_create()', prepare: nothing, act: (k) => kmem_cache_create(k, 'more', 40, 0, 0) },
  destroy: {
    what: 'kmem_cache_destroy()',
    prepare: (k) => kmem_cache_create(k, 'less', 40, 0, 0),
    act: (k, cache) => kmem_cache_destroy(k, cache as never),
  },
} satisfies Record<string, Call>;

const CONTEXTS = {
  process: () => {},
  interrupt: (k: Kernel) => {
    k.preemptCount += HARDIRQ_OFFSET;
  },
  lock: (k: Kernel) => {
    k.preemptCount += 1;
  },
  masked: (k: Kernel) => {
    k.irqsOff = true;
  },
} satisfies Record<string, (k: Kernel) => void>;
type Context = keyof typeof CONTEXTS;

/** What is said of a call: "BUG", "sleeps", or nothing. */
function saidOf(
  kernel: string,
  call: Call,
  context: Context,
  options: Partial<MachineConfig> = {},
  core = 'vivt-shared',
): string {
  const { k } = localMachine(core, { kernel, patches: patchesOf(kernel), lowmemPages: 512, ...options });
  const got = call.prepare(k);
  const before = messagesOf(k).length;
  CONTEXTS[context](k);
  try {
    call.act(k, got);
  } catch (error) {
    return /in_interrupt|in interrupt|early error|kmem_cache_destroy/.test(String(error)) ? 'BUG' : String(error);
  }
  const said = messagesOf(k).slice(before);
  return said.some((line) => line.startsWith('BUG: sleeping function')) ? 'sleeps' : said.join('\n');
}

type Row = readonly [call: keyof typeof CALLS, kernel: string, context: Context, said: string];

/** Each call in a context that it must not be made in, and in one that comes near it and is right. */
const ROWS: readonly Row[] = [
  ['area', '2.6.22', 'interrupt', 'BUG'],
  ['area', '2.6.22', 'lock', ''],
  ['area', '2.6.30', 'interrupt', 'BUG'],
  ['area', '4.10', 'interrupt', 'BUG'],
  ['area', '4.10', 'lock', 'sleeps'],
  ['vfree', '2.6.22', 'interrupt', 'BUG'],
  ['vfree', '2.6.22', 'lock', ''],
  ['vfree', '2.6.30', 'interrupt', 'BUG'],
  ['vfree', '4.10', 'interrupt', ''],
  ['vfree', '4.10', 'lock', 'sleeps'],
  ['vunmap', '2.6.22', 'interrupt', 'BUG'],
  ['vunmap', '2.6.22', 'lock', ''],
  ['vunmap', '2.6.30', 'interrupt', 'BUG'],
  ['vunmap', '2.6.30', 'lock', 'sleeps'],
  ['vunmap', '4.10', 'lock', 'sleeps'],
  ['vunmap', '2.6.29', 'lock', ''],
  ['vmap', '2.6.22', 'lock', ''],
  ['vmap', '2.6.28', 'lock', ''],
  ['vmap', '2.6.30', 'lock', 'sleeps'],
  ['vmap', '4.10', 'masked', 'sleeps'],
  ['kmap', '2.6.22', 'lock', 'sleeps'],
  ['kmap', '2.6.30', 'lock', 'sleeps'],
  ['kmap', '4.10', 'masked', 'sleeps'],
  ['kunmap', '2.6.30', 'interrupt', 'BUG'],
  ['kunmap', '2.6.30', 'lock', ''],
  ['kunmap', '4.10', 'interrupt', 'BUG'],
  ['ram', '4.10', 'lock', 'sleeps'],
  ['aliases', '2.6.31', 'lock', ''],
  ['aliases', '4.10', 'lock', 'sleeps'],
  ['resched', '2.5.53', 'lock', ''],
  ['resched', '2.6.22', 'lock', ''],
  ['resched', '2.6.31', 'lock', ''],
  ['resched', '2.6.32', 'lock', 'sleeps'],
  ['resched', '2.6.32', 'masked', 'sleeps'],
  ['resched', '4.12', 'interrupt', 'sleeps'],
  ['wanted', '2.5.53', 'lock', ''],
  ['wanted', '2.6.22', 'lock', 'sleeps'],
  ['wanted', '2.6.31', 'masked', 'sleeps'],
  ['wanted', '2.6.32', 'masked', 'sleeps'],
  ['event', '2.6.22', 'lock', ''],
  ['event', '2.6.35', 'lock', ''],
  ['event', '4.10', 'lock', 'sleeps'],
  ['event', '4.12', 'masked', 'sleeps'],
  ['completion', '2.5.53', 'lock', ''],
  ['completion', '2.6.22', 'lock', 'sleeps'],
  ['completion', '4.12', 'masked', 'sleeps'],
  ['mutex', '2.6.22', 'lock', 'sleeps'],
  ['mutex', '4.12', 'masked', 'sleeps'],
];

describe('the file of a complaint', () => {
  it.each([
    ['kmap', '2.6.30', 'arch/arm/mm/highmem.c:0'],
    ['vunmap', '2.6.30', 'mm/vmalloc.c:0'],
    ['vmap', '2.6.29', 'mm/slub.c:0'],
    ['vmap', '2.6.30', 'mm/vmalloc.c:0'],
    ['create', '2.6.30', 'kernel/rwsem.c:0'],
    ['create', '4.12', 'kernel/locking/rwsem.c:0'],
    ['object', '2.6.30', 'mm/slub.c:0'],
    ['object', '4.12', 'mm/slab.h:0'],
    ['mutex', '2.6.30', 'kernel/mutex.c:0'],
    ['mutex', '4.12', 'kernel/locking/mutex.c:0'],
    ['completion', '2.6.30', 'kernel/sched.c:0'],
    ['completion', '4.12', 'kernel/sched/completion.c:0'],
    ['event', '4.12', 'include/linux/wait.h:0'],
    ['wanted', '2.6.30', 'kernel/sched.c:0'],
  ] as const)('is that of %s in %s', (name, kernel, place) => {
    const { k } = localMachine('vivt-shared', { kernel, patches: patchesOf(kernel), lowmemPages: 512 });
    const call: Call = CALLS[name];
    const got = call.prepare(k);
    CONTEXTS.lock(k);
    call.act(k, got);
    expect(messagesOf(k)).toContain(`BUG: sleeping function called from invalid context at ${place}`);
  });
});

describe.each(ROWS)('%s of %s, context %s', (name, kernel, context, said) => {
  it(said === '' ? 'is silent' : `says ${said}, and nothing in process context`, () => {
    const call: Call = CALLS[name];
    expect(saidOf(kernel, call, context)).toBe(said);
    expect(saidOf(kernel, call, 'process')).toBe('');
  });
});

describe('kmap() of PA-RISC, which has no highmem', () => {
  it('may sleep by what it says, where nobody may', () => {
    const call: Call = { ...CALLS.kmap, prepare: (k) => alloc_page(k, gfp(k).GFP_KERNEL) };
    for (const kernel of ['2.6.22', '2.6.30', '4.10']) {
      expect(saidOf(kernel, call, 'lock', {}, 'pcxl2')).toBe('sleeps');
      expect(saidOf(kernel, call, 'process', {}, 'pcxl2')).toBe('');
    }
  });
});

describe('SLAB', () => {
  const slab = { slab: 'slab' } as const;

  it('asks whether it may sleep for each object, although it has one', () => {
    for (const kernel of ['2.6.22', '2.6.30', '4.10']) {
      expect(saidOf(kernel, CALLS.object, 'lock', slab)).toBe('sleeps');
      expect(saidOf(kernel, CALLS.object, 'masked', slab)).toBe('sleeps');
      expect(saidOf(kernel, CALLS.object, 'process', slab)).toBe('');
    }
  });

  it('does not ask for a mask that does not allow to sleep', () => {
    const call: Call = {
      ...CALLS.object,
      act: (k, cache) => kmem_cache_alloc(k, cache as never, gfp(k).GFP_ATOMIC),
    };
    expect(saidOf('2.6.22', call, 'lock', slab)).toBe('');
  });

  it('makes and destroys no cache in an interrupt, which 4.x only calls a wrong place to sleep', () => {
    for (const call of [CALLS.create, CALLS.destroy]) {
      for (const kernel of ['2.6.22', '2.6.30']) expect(saidOf(kernel, call, 'interrupt', slab)).toBe('BUG');
      expect(saidOf('4.10', call, 'interrupt', slab)).toBe('sleeps');
      for (const kernel of ['2.6.22', '4.10']) expect(saidOf(kernel, call, 'process', slab)).toBe('');
    }
  });
});

describe('dma_free_coherent() of ARM', () => {
  const call = (kernel: string, context: Context): string[] => {
    const { k } = localMachine('vivt-shared', { kernel, patches: patchesOf(kernel), lowmemPages: 512 });
    const memory = dma_alloc_coherent(k, NULL, 256, gfp(k).GFP_KERNEL);
    CONTEXTS[context](k);
    dma_free_coherent(k, NULL, 256, memory.addr, memory.handle);
    return messagesOf(k).filter((line) => line.startsWith('WARNING'));
  };

  it('warns with interrupts off, and not under a lock', () => {
    for (const kernel of ['2.6.22', '2.6.30', '4.10']) {
      expect(call(kernel, 'masked')).toEqual([expect.stringContaining('dma_free_coherent()')]);
      expect(call(kernel, 'lock')).toEqual([]);
    }
  });
});

describe('GFP_KERNEL as a constant, which is that of 2.6.31', () => {
  const asks: readonly (readonly [string, (k: Kernel, cache: Vaddr, gfp_mask: number) => unknown])[] = [
    ['kmalloc()', (k, _, mask) => kmalloc(k, 32, mask)],
    ['alloc_page()', (k, _, mask) => alloc_page(k, mask)],
    ['kmem_cache_alloc()', (k, cache, mask) => kmem_cache_alloc(k, cache as never, mask)],
  ];

  it.each(asks)('is that of 4.12 there to %s, and may sleep', (what, act) => {
    const call = (mask: (k: Kernel) => number): Call => ({
      what,
      prepare: CALLS.object.prepare,
      act: (k, cache) => act(k, cache, mask(k)),
    });
    for (const kernel of ['2.6.31', '4.12']) {
      expect(
        saidOf(
          kernel,
          call(() => GFP_KERNEL),
          'lock',
        ),
      ).toBe('sleeps');
      expect(
        saidOf(
          kernel,
          call((k) => gfp(k).GFP_ATOMIC),
          'lock',
        ),
      ).toBe('');
      expect(
        saidOf(
          kernel,
          call((k) => gfp(k).GFP_KERNEL & ~gfp(k).__GFP_DIRECT_RECLAIM & ~gfp(k).__GFP_WAIT),
          'lock',
        ),
      ).toBe('');
    }
  });

  it('is a mask that kvmalloc() and page tables know there', () => {
    const call: Call = { what: 'kvmalloc()', prepare: nothing, act: (k) => kvmalloc(k, 4096, GFP_KERNEL) };
    expect(saidOf('4.12', call, 'process')).toBe('');
    expect(watched('4.12', (k) => void __vmalloc(k, 4096, GFP_KERNEL))).toEqual([]);
  });
});

describe('the rate of complaints', () => {
  it('is one in a second, whatever complains', () => {
    const { k } = localMachine('arm926', { kernel: '2.6.30', patches: [] });
    CONTEXTS.lock(k);
    for (let i = 0; i < 3; i++) kmalloc(k, 32, gfp(k).GFP_KERNEL);
    expect(messagesOf(k).filter((line) => line.startsWith('BUG: sleeping'))).toHaveLength(1);
  });
});

/** Reports of what happens on a machine none of whose areas have page tables yet. */
function watched(kernel: string, act: (k: Kernel) => void, more: Partial<MachineConfig> = {}): CheckerReport[] {
  const { patches = [], ...options } = more;
  const base = { kernel, patches: [...patchesOf(kernel), ...patches], lowmemPages: 512, check: 'context' };
  const { k } = localMachine('vivt-shared', { ...base, lockdepMode: 'continue', ...options });
  const reports: CheckerReport[] = [];
  const [checker] = checkersOf(k, (report) => reports.push(report));
  checker?.restart();
  act(k);
  return reports;
}

describe('--check context, of preempt_count', () => {
  const times = (n: number, act: () => void): void => {
    for (let i = 0; i < n; i++) act();
  };
  const aLock = (k: Kernel): SpinLock => ptr<'spinlock'>(k.sym.race_data);
  const preemptWord = (k: Kernel): number => k.wordIndex(k.sym.thread_infos + struct_thread_info.preempt_count.offset);
  const [ADDS, SUBS] = ['add_preempt_count', 'sub_preempt_count'];

  it.each<[string, string, string, (k: Kernel) => void, (k: Kernel) => void]>([
    [
      'an enable too many',
      SUBS,
      'val > preempt_count()',
      (k) => preempt_enable(k),
      (k) => {
        preempt_disable(k);
        preempt_enable(k);
      },
    ],
    [
      'an unlock of what is not locked',
      SUBS,
      'val > preempt_count()',
      (k) => spin_unlock(k, aLock(k)),
      (k) => {
        spin_lock(k, aLock(k));
        spin_unlock(k, aLock(k));
      },
    ],
    [
      'a lock less while bottom halves are off',
      SUBS,
      '(val < PREEMPT_MASK) && !(preempt_count() & PREEMPT_MASK)',
      (k) => {
        local_bh_disable(k);
        preempt_enable(k);
      },
      (k) => {
        local_bh_disable(k);
        preempt_disable(k);
        preempt_enable(k);
        local_bh_enable(k);
      },
    ],
    [
      'a word that is below zero',
      ADDS,
      '(preempt_count() < 0)',
      (k) => {
        k.words[preemptWord(k)] = -2;
        preempt_disable(k);
      },
      (k) => preempt_disable(k),
    ],
    [
      'a depth that the field can hardly hold',
      ADDS,
      '(preempt_count() & PREEMPT_MASK) >= PREEMPT_MASK - 10',
      (k) => times(245, () => preempt_disable(k)),
      (k) => times(244, () => preempt_disable(k)),
    ],
  ])('reports %s', (_, where, condition, wrong, right) => {
    for (const kernel of ['2.6.22', '2.6.31', '4.12']) {
      const [report, ...more] = watched(kernel, wrong);
      expect(more).toEqual([]);
      const modern = kernel === '4.12';
      expect(report).toMatchObject({ checker: 'context', kind: 'preempt' });
      const name = where === ADDS ? 'preempt_count_add' : 'preempt_count_sub';
      expect(report?.headline).toBe(
        modern ? `WARNING: CPU: 0 PID: 0 at kernel/sched/core.c ${name}()` : `WARNING: at kernel/sched.c ${where}()`,
      );
      expect(report?.lines.includes(`DEBUG_LOCKS_WARN_ON(${condition})`)).toBe(modern);
      expect(watched(kernel, right)).toEqual([]);
    }
  });

  it('is silent without CONFIG_PREEMPT, and on 2.5.53', () => {
    const wrong = (k: Kernel): void => preempt_enable(k);
    expect(watched('2.6.31', wrong)).toHaveLength(1);
    expect(watched('2.6.31', wrong, { preempt: false })).toEqual([]);
    expect(watched('2.5.53', wrong)).toEqual([]);
  });

  it('has an end with debug_locks, and ends it', () => {
    const log = (act: (k: Kernel) => void): string[] => {
      const { k } = localMachine('arm926', { check: 'lockdep,context' });
      const lockdep = lockdepOf(k, true);
      lockdep?.area.restart(null);
      k.watchLocks(lockdep);
      const [context] = checkersOf(k);
      context?.restart();
      act(k);
      return messagesOf(k).filter((line) => /WARNING|BUG/.test(line));
    };
    expect(log((k) => spin_unlock(k, aLock(k)))).toEqual(['[ BUG: bad unlock balance detected! ]']);
    expect(
      log((k) => {
        preempt_enable(k);
        spin_unlock(k, aLock(k));
      }),
    ).toEqual(['WARNING: at kernel/sched.c sub_preempt_count()']);
  });
});

describe('who is about to sleep', () => {
  const said = (kernel: string, act: (k: Kernel) => void): string[] => {
    const { k } = localMachine('vivt-shared', { kernel, patches: patchesOf(kernel), lowmemPages: 512 });
    act(k);
    return messagesOf(k);
  };
  const TEXT = 'do not call blocking ops when !TASK_RUNNING; state=2 set at [<????????>] ?';
  /** What waits asks for memory each time it looks. */
  const asking = (mask: 'GFP_KERNEL' | 'GFP_ATOMIC') => (k: Kernel) => {
    set_current_state(k, TASK_UNINTERRUPTIBLE);
    kmalloc(k, 32, gfp(k)[mask]);
    __set_current_state(k, TASK_RUNNING);
  };

  it('and calls what may sleep for something else is warned once, from 3.19 on', () => {
    const twice = (k: Kernel): void => {
      asking('GFP_KERNEL')(k);
      asking('GFP_KERNEL')(k);
    };
    for (const kernel of ['4.10', '4.12']) {
      const lines = said(kernel, twice);
      expect(lines).toContain('WARNING: CPU: 0 PID: 0 at kernel/sched/core.c __might_sleep()');
      expect(lines.filter((line) => line === TEXT)).toHaveLength(1);
    }
    for (const kernel of ['2.5.53', '2.6.22', '2.6.35']) expect(said(kernel, twice)).toEqual([]);
  });

  it('is not, where what it calls does not sleep, gives up the CPU only, or comes when it runs again', () => {
    expect(said('4.12', asking('GFP_ATOMIC'))).toEqual([]);
    const resched = (k: Kernel): void => {
      set_current_state(k, TASK_INTERRUPTIBLE);
      cond_resched(k);
      __set_current_state(k, TASK_RUNNING);
      might_sleep(k);
    };
    expect(said('4.12', resched)).toEqual([]);
  });

  it('is warned of a condition of wait_event() that sleeps', () => {
    const waits = (mask: 'GFP_KERNEL' | 'GFP_ATOMIC') => (k: Kernel) => {
      let looks = 0;
      wait_event(k, k.sym.bit_wait_table, () => {
        looks++;
        if (looks > 1) kfree(k, kmalloc(k, 32, gfp(k)[mask]));
        return looks > 1;
      });
    };
    expect(said('4.12', waits('GFP_KERNEL'))).toContain(TEXT);
    expect(said('4.12', waits('GFP_ATOMIC'))).toEqual([]);
  });
});

describe('--check context, of masks', () => {
  it('reports page tables that may do what the request may not', () => {
    const [report] = watched('2.6.22', (k) => void __vmalloc(k, 4096, gfp(k).GFP_NOFS));
    expect(report).toMatchObject({ checker: 'context', kind: 'gfp' });
    expect(report?.headline).toMatch(
      /^GFP context: page tables are allocated with GFP_KERNEL.* \(0x\w+\) for a request with GFP_NOFS \(0x50\)$/,
    );
    expect(report?.lines).toContain('which may not enter filesystems');
    expect(report?.lines.join('\n')).toContain(' __vmalloc');
    const atomic = watched('4.12', (k) => void __vmalloc(k, 4096, gfp(k).GFP_ATOMIC));
    expect(atomic[0]?.lines).toContain('which may not sleep, nor start I/O, nor enter filesystems');
  });

  it('is silent where the request may do as much, by its mask or by the scope that both are in', () => {
    for (const kernel of ['2.5.53', '2.6.22', '2.6.30', '4.12']) {
      expect(watched(kernel, (k) => void vmalloc(k, 4096))).toEqual([]);
    }
    const scoped = watched('4.12', (k) => {
      const flags = memalloc_nofs_save(k);
      vmalloc(k, 4096);
      memalloc_nofs_restore(k, flags);
    });
    expect(scoped).toEqual([]);
    // Seed 003's patch puts such a scope around the mapping.
    expect(watched('4.12', (k) => void __vmalloc(k, 4096, gfp(k).GFP_NOFS))).toHaveLength(1);
    expect(watched('4.12', (k) => void __vmalloc(k, 4096, gfp(k).GFP_NOFS), { patches: ['mp'] })).toEqual([]);
  });

  it('is silent where no page table is needed, and about what is no part of the request', () => {
    const later = watched('2.6.22', (k) => {
      vmalloc(k, 4096);
      __vmalloc(k, 4096, gfp(k).GFP_NOFS);
    });
    expect(later).toEqual([]);
    const interrupted = watched('2.6.22', (k) => {
      k.contextWatch?.request(gfp(k).GFP_NOFS);
      CONTEXTS.interrupt(k);
      k.contextWatch?.tables(gfp(k).GFP_KERNEL);
    });
    expect(interrupted).toEqual([]);
  });
});

describe('--check context, of calls', () => {
  const file = fileURLToPath(new URL('../fixtures/races/races.ts', import.meta.url));
  const look = (id: string) => explore(`${file}#${id}`, { check: 'context', kernel: '2.6.22', strategy: 'dpor' });

  it('reports who waits for other CPUs with interrupts off, before anybody is stuck', async () => {
    const found = await look('called-with-irqs-off');
    expect(found).toMatchObject({ outcome: 'report', error: null, failure: { checker: 'context' } });
    expect(found.failure?.message).toBe(
      'IRQ context: CPU0 is about to wait for all other CPUs with its interrupts off',
    );
  });

  it('is silent about who waits with interrupts on', async () => {
    expect(await look('called-function')).toMatchObject({ outcome: 'clean', exhausted: true, error: null });
  });
});
