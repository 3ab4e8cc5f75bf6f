/**
 * Every experiment of spec/highmem.md §12 that parallel mode can show: each of its cases ends as the experiment claims. The defect gets patience,
 * since it needs the right moment; the fix gets a short while, and what that says is "nothing found".
 */
import { describe, expect, it } from 'vitest';
import { type Case, listExperiments, type RaceSpec, type RunResult, run } from '../../src/index.js';

interface Claim {
  readonly id: string;
  readonly subject: string;
  /** With the defect, and what the report says. */
  readonly found: string;
  readonly says: RegExp;
  /** Without it; nothing where the claim is that every kernel behaves so. */
  readonly absent?: string;
}

const CLAIMS: readonly Claim[] = [
  {
    id: '2009-03-kmap-recycle-lost-bytes',
    subject: 'dma_map_page() on a highmem page whose kmap slot is recycled',
    found: 'discards dirty lines of the new owner when nothing pins the mapping',
    says: /read (back )?by CPU \d( afterwards)?$|^Unable to handle kernel paging request at virtual address bfff[c-f]/,
    absent: 'keeps every byte with kmap_high_get()',
  },
  {
    id: '2009-03-kmap-recycle-translation-fault',
    subject: 'dma_map_page() on a highmem page that is unmapped under it',
    found: 'faults at the next line when nothing pins the mapping',
    says: /^Unable to handle kernel paging request at virtual address bfff[c-f]/,
    absent: 'does not fault with kmap_high_get(), nor on a cache that does not translate',
  },
  {
    id: '2009-03-kmap-high-get-irq-deadlock',
    subject: 'kmap_high_get() in an interrupt',
    found: 'spins for ever when the context below holds kmap_lock with interrupts on',
    says: /^thread0 -> thread0: .*in an interrupt\) spins on kmap_lock, held by thread0 on CPU0/,
    absent: 'comes after the unlock when kmap_lock is held with interrupts off',
  },
  {
    id: '2009-03-kunmap-high-irq-state',
    subject: 'kunmap_high() with interrupts off',
    found: 'turns them on when it is written with spin_unlock_irq()',
    says: /^interrupts are on after k/,
    absent: 'leaves them off',
  },
  {
    id: '2009-03-kmap-exhaustion-waiter-hangs',
    subject: 'kmap() while every slot is in use',
    found: 'sleeps for ever when the scan has no wrap, or the queue is joined or looked at outside the lock',
    says: /nobody can wake the threads that sleep/,
    absent: 'gets the slot that is given up, through a flush',
  },
  {
    id: '2009-03-kmap-waiters-wake-one-hangs',
    subject: 'several kmap() that wait for a slot',
    found: 'leave one asleep for ever when a slot wakes only one',
    says: /nobody can wake the threads that sleep/,
    absent: 'all get their page when a slot wakes all, two of them in the same slot',
  },
  {
    id: '2009-03-kmap-nested-hangs',
    subject: 'threads that kmap() a second page while they hold a first',
    found: 'wait for each other for ever when there are as many threads as slots',
    says: /nobody can wake the threads that sleep/,
    absent: 'come to an end when there are slots enough',
  },
  {
    id: '2009-03-kmap-stale-tlb-wrong-bytes',
    subject: 'the wrap of the kmap slots',
    found: 'lets other CPUs use the old page when it flushes only its own TLB',
    says: /^page frame 0x\w+ offset 0x\w+: expected 0x\w\w, saw 0x\w\w, (stored|read back) by CPU \d in round \d/,
    absent: 'keeps every byte with a hardware broadcast, and with an inter-processor call',
  },
  {
    id: '2009-09-kmap-ipi-deadlock',
    subject: 'a TLB flush by inter-processor call under kmap_lock',
    found: 'waits for a CPU that waits for kmap_lock with interrupts off, and is warned about',
    says: /waits for other CPUs|spins on kmap_lock, held by|^WARNING: at kernel\/smp\.c smp_call_function_many/,
    absent: 'is answered when interrupts are on, and not needed where the hardware broadcasts',
  },
  {
    id: '2009-03-kunmap-in-interrupt-bug',
    subject: 'kunmap() in an interrupt or with bottom halves disabled',
    found: 'is a BUG in every kernel',
    says: /^arch\/arm\/mm\/highmem\.c kunmap: in interrupt/,
  },
  {
    id: '2009-03-kunmap-high-in-irq-deadlock',
    subject: 'kunmap_high() in an interrupt',
    found: 'spins for ever when the context below holds kmap_lock with interrupts on',
    says: /^thread0 -> thread0: .*in an interrupt\) spins on kmap_lock, held by thread0 on CPU0/,
    absent: 'wakes the thread that sleeps for the slot when kmap_lock is held with interrupts off',
  },
  {
    id: '2009-09-kmap-atomic-misses-kmap-stores',
    subject: 'kmap_atomic() of a page that was written through kmap()',
    found: 'reads stale bytes through the fixmap on a VIVT cache',
    says: /read through kmap_atomic\(\)$/,
    absent: 'reads the last bytes through the kmap address, and on a physically tagged cache',
  },
  {
    id: '2009-09-kmap-misses-kmap-atomic-stores',
    subject: 'kmap() of a page that is written through kmap_atomic() meanwhile',
    found: 'keeps its stale lines on a VIVT cache',
    says: /read through kmap\(\)$/,
    absent: 'sees the bytes when both use the kmap address, and on a physically tagged cache',
  },
  {
    id: '2009-09-kmap-atomic-alias-lost-store',
    subject: 'a line that is dirty under its kmap address and a fixmap address',
    found: 'keeps only the stores of one of the two on a VIVT cache',
    says: /stored through kmap(_atomic)?\(\)$/,
    absent: 'does not come about when both use the kmap address, nor on a physically tagged cache',
  },
  {
    id: '2009-03-dma-edge-neighbour-lost',
    subject: 'an invalidation of a buffer that begins and ends inside a line',
    found: 'loses what was stored beside the buffer when it does not clean the partial lines',
    says: /stored by the CPU before the transfer$/,
    absent: 'keeps what was stored beside the buffer before and after the transfer',
  },
  {
    id: '2009-03-dma-shared-line-lost-bytes',
    subject: 'a store beside a buffer that a device owns',
    found: "costs the device's bytes when both are in one line",
    says: /stored by the (device|neighbour)$/,
    absent: 'costs nothing when the buffer has its lines to itself',
  },
  {
    id: '2007-06-at91-mci-kunmap-offset-stale-bytes',
    subject: 'kunmap_atomic() with an address some pages too low',
    found: 'leaves the lines of the slot dirty, or is a BUG with DEBUG_HIGHMEM',
    says: /, block \d$|kunmap_atomic: not the slot \(fff02cc0\)$/,
    absent: 'does no harm with an address inside the page, nor on a machine without highmem',
  },
  {
    id: '2009-03-kmap-atomic-irq-wrong-bytes',
    subject: 'kmap_atomic() in an interrupt',
    found: 'takes over the slot of the same type that process context is using',
    says: /read back by process context$|at the end$|slot in use|^WARNING: at mm\/highmem\.c debug_kmap_atomic/,
    absent: 'leaves process context alone with a type of its own',
  },
  {
    id: '2009-03-kunmap-twice-bug',
    subject: 'a kunmap() too many',
    found: 'is a BUG, or takes the mapping away from another user',
    says: /kunmap_high: (count dropped to 0|page not mapped)|^Unable to handle kernel paging request/,
    absent: 'does not come about when users unmap as often as they map',
  },
  {
    id: '2009-03-kmap-flush-unused-invariants',
    subject: 'the kmap slots, whenever kmap_lock is free',
    found: 'leave translations behind when only the flushing CPU flushes its TLB',
    says: /^I4: slot \d has count 0 and a translation in the TLB of CPU \d|stored by CPU \d$/,
    absent: 'are in order under kmap(), kunmap(), kmap_high_get() and kmap_flush_unused() of all CPUs',
  },
  {
    id: '2003-01-vmlist-lock-irq-deadlock',
    subject: 'consistent_alloc() in an interrupt',
    found: 'spins for ever when the context below is in get_vm_area()',
    says: /^thread0 -> thread0: .*in an interrupt\) spins on vmlist_lock, held by thread0 on CPU0/,
    absent: 'comes after the unlock with RMK1, and does not need the lock with RMK2',
  },
  {
    id: '2009-03-kmap-recycle-preempted-lost-bytes',
    subject: 'dma_map_page() on one CPU, preempted by a thread of the same process',
    found: 'discards dirty lines of the new owner when nothing pins the mapping',
    says: /read back by its owner$/,
    absent: 'keeps every byte with kmap_high_get(), and when it does not invalidate',
  },
  {
    id: '2009-03-kmap-recycle-switch-mm-lost-bytes',
    subject: 'dma_map_page() on one CPU, preempted by a thread of another process',
    found: 'loses bytes when the switch of address space leaves the cache as it is',
    says: /read back by its owner$/,
    absent: 'keeps every byte, pinned or not, since the switch cleans the cache',
  },
  {
    id: '2009-03-kmap-flush-order-stale-memory',
    subject: 'dma_map_page() of a page whose kmap slot is being flushed',
    found: 'gives old memory to the device when the cache is cleaned after the address has gone',
    says: /read by the device$/,
    absent: 'gives it the last bytes when the cache is cleaned first, or the address is looked up under kmap_lock',
  },
  {
    id: '2009-03-kmap-flush-order-stale-tlb',
    subject: 'a stray read of a kmap slot that is being flushed',
    found: 'makes that CPU use the old page when the TLB is flushed first, or when the cache has virtual tags',
    says: /read by CPU \d through kmap\(\)$/,
    absent: 'does no harm with physical tags when the TLB is flushed last',
  },
  {
    id: '2009-03-kmap-publish-order-fault',
    subject: 'page_address() of a page that is being mapped',
    found: 'leads to a fault when the address is entered before the page-table entry',
    says: /^Unable to handle kernel paging request at virtual address bfff[c-f]/,
    absent: 'is good for use when the entry comes first, whenever the count is set',
  },
  {
    id: '2009-03-kmap-page-address-no-entry',
    subject: 'page_address() of a page that is being unmapped',
    found: 'may have lost its page-table entry',
    says: /^an address without a page-table entry/,
    absent: 'never belongs to another page, and has its entry when the address goes first',
  },
  {
    id: '2009-03-kmap-high-get-during-flush-bug',
    subject: 'kmap_high_get() in an interrupt while the slots are flushed',
    found: 'pins a slot in the middle of it without kmap_lock, and deadlocks with plain locks',
    says: /slot not in use|a pinned slot|in the handler$|^Unable to handle|^mm\/highmem\.c|^I\d: |spins on kmap_lock/,
    absent: 'gets NULL or a pin that holds with kmap_lock and interrupts off',
  },
  {
    id: '2009-03-dma-two-step-lost-store',
    subject: 'a store of an interrupt handler to a line that is cleaned and then invalidated',
    found: 'is lost where these are two operations',
    says: /stored by the handler$/,
    absent: 'is kept where they are one',
  },
  {
    id: '2010-03-dma-unmapped-highmem-stale-memory',
    subject: 'dma_map_page() of a highmem page without a kmap address',
    found: "gives old memory to the device when another CPU's cache has dirty lines of it",
    says: /read by the device$/,
    absent: 'gives it the last bytes when the page is mapped for the maintenance, or has been cleaned',
  },
  {
    id: '2010-03-dma-user-written-stale-memory',
    subject: 'dma_map_page() of a highmem page that only a process has written',
    found: 'gives old memory to the device when it does nothing for unmapped pages',
    says: /read by the device$/,
    absent: 'gives it the last bytes when the page is mapped for the maintenance',
  },
  {
    id: '2010-03-dma-speculative-fill-stale-bytes',
    subject: 'a line that comes in while a device owns the buffer',
    found: 'hides what the device wrote when nothing is done at unmap, or the inner cache goes first',
    says: /stored by the device$/,
    absent: 'is thrown away at unmap, and does not come on a CPU without speculation',
  },
];

const experiments = await listExperiments();
const claims = (c: Case): readonly string[] => (typeof c.outcome === 'string' ? [c.outcome] : c.outcome);
const isClean = (c: Case): boolean => claims(c).includes('clean');

/** Most defects show themselves in milliseconds. */
const PATIENCE_SECONDS = 120;

async function runCases(id: string, wanted: (c: Case) => boolean, seconds: number): Promise<RunResult[]> {
  const spec = experiments.find((e) => e.id === id) as RaceSpec;
  const results: RunResult[] = [];
  for (const c of spec.cases.filter(wanted)) {
    results.push(await run(id, { caseName: c.name, seconds, patienceSeconds: PATIENCE_SECONDS, stopAtFailure: true }));
  }
  return results;
}

describe.each(CLAIMS.map((claim) => [claim.subject, claim] as const))('%s', (_, { id, found, says, absent }) => {
  it(found, async () => {
    const results = await runCases(id, (c) => !isClean(c), 0.1);
    expect(results.length).toBeGreaterThan(0);
    for (const result of results) {
      expect([result.caseName, result.expected, result.error]).toEqual([result.caseName, true, null]);
      expect(result.outcome).not.toBe('clean');
      expect(result.failure?.message).toMatch(says);
    }
  });

  if (absent === undefined) return;
  it(absent, async () => {
    const results = await runCases(id, isClean, 0.4);
    expect(results.length).toBeGreaterThan(0);
    for (const result of results) {
      expect([result.caseName, result.failure, result.error]).toEqual([result.caseName, null, null]);
      expect(result.outcome).toBe('clean');
      expect(result.executions).toBeGreaterThan(0);
    }
  });
});

describe('the inter-processor call under kmap_lock', () => {
  it('deadlocks both CPUs, one in the call and one at the lock', async () => {
    let result: RunResult | null = null;
    for (let i = 0; i < 400 && result?.outcome !== 'deadlock'; i++) {
      result = await run('2009-09-kmap-ipi-deadlock', { caseName: '2.6.31, arm11mpcore', executions: 20, seed: i });
    }
    const state = result?.failure?.state?.join('\n');
    expect(state).toMatch(/\(interrupts off\) waits for other CPUs to answer an inter-processor call; holds kmap_lock/);
    expect(state).toMatch(/\(interrupts off\) spins on kmap_lock, held by thread\d on CPU\d; holds no lock/);
  });
});
