/**
 * Who has a spinlock: who takes or gives it back without the right to is reported in the words of lib/spinlock_debug.c, Linux 2.6.30, and who has the
 * right is not; spec/checkers.md §3.11.
 */
import { describe, expect, it } from 'vitest';
import { SPINLOCK_REPORTS } from '../../src/check/spinlocks/spinlocks.js';
import type { MachineConfig } from '../../src/cpu/config.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { type CheckerReport, checkersOf } from '../../src/lab/checkers.js';
import { createKernel, layoutStatics } from '../../src/mm/boot.js';
import {
  spin_lock,
  spin_lock_bh,
  spin_lock_init,
  spin_lock_irqsave,
  spin_trylock,
  spin_unlock,
  spin_unlock_bh,
  spin_unlock_irqrestore,
} from '../../src/shared/spinlock.js';
import { hex8, ptr } from '../../src/shared/types.js';
import { dmesgOf, localMachine } from '../machine.js';

interface Machine {
  /** Thread 0 on CPU 0; thread 1 on CPU 1; thread 0 on CPU 1. */
  readonly own: Kernel;
  readonly other: Kernel;
  readonly moved: Kernel;
  readonly reports: CheckerReport[];
}

function machine(core = 'cortex-a9', more: Partial<MachineConfig> = {}): Machine {
  const { cpus, config } = localMachine(core, { check: 'spinlocks', cpus: 2, ...more });
  const [own, other = own] = cpus as [Kernel, Kernel?];
  const { arena, hw } = { arena: own.words.buffer, hw: own.hw.buffer } as Record<'arena' | 'hw', SharedArrayBuffer>;
  const moved = createKernel(config, { arena, hw }, layoutStatics(config), config.cpus - 1, 0);
  const reports: CheckerReport[] = [];
  const [checker] = [own, other, moved].map((k) => checkersOf(k, (report) => reports.push(report))[0]);
  checker?.restart();
  return { own, other, moved, reports };
}

const lockOf = (k: Kernel) => ptr<'spinlock'>(k.sym.kmap_lock);
const kinds = ({ reports }: Machine): string[] => reports.map((r) => r.kind);

const FORMS = [
  ['plain', 'cortex-a9', {}],
  ['ticket', 'cortex-a9', { ticketLocks: true }],
] as const;

describe.each(FORMS)('a %s spinlock', (_, core, more) => {
  it('that is given back although it is free is already unlocked', () => {
    const m = machine(core, more);
    spin_lock(m.own, lockOf(m.own));
    spin_unlock(m.own, lockOf(m.own));
    expect(m.reports).toEqual([]);
    spin_unlock(m.own, lockOf(m.own));
    expect(kinds(m)).toEqual(['already unlocked']);
    const lock = ` lock: ${hex8(lockOf(m.own))}, .magic: dead4ead, .owner: <none>/-1, .owner_cpu: -1`;
    expect(dmesgOf(m.own)).toEqual(
      expect.arrayContaining(['BUG: spinlock already unlocked on CPU#0, thread0/0', lock]),
    );
  });

  it('that another thread gives back has the wrong owner', () => {
    const m = machine(core, more);
    spin_lock(m.own, lockOf(m.own));
    m.other.preemptCount += 1;
    spin_unlock(m.other, lockOf(m.other));
    expect(kinds(m)).toEqual(['wrong owner']);
    expect(m.reports[0]?.lines.slice(0, 2)).toEqual([
      'BUG: spinlock wrong owner on CPU#1, thread1/1',
      ` lock: ${hex8(lockOf(m.own))}, .magic: dead4ead, .owner: thread0/0, .owner_cpu: 0`,
    ]);
  });

  it('that is given back on another CPU is on the wrong CPU', () => {
    const m = machine(core, more);
    spin_lock(m.own, lockOf(m.own));
    spin_unlock(m.moved, lockOf(m.moved));
    expect(m.reports[0]?.lines[0]).toBe('BUG: spinlock wrong CPU on CPU#1, thread0/0');
  });

  it('that everybody takes in turn, in each way, is silent', () => {
    const m = machine(core, more);
    for (const k of [m.own, m.other, m.moved, m.own]) {
      spin_lock(k, lockOf(k));
      expect(spin_trylock(m.other, lockOf(k))).toBe(false);
      spin_unlock(k, lockOf(k));
      expect(spin_trylock(k, lockOf(k))).toBe(true);
      spin_unlock(k, lockOf(k));
      const flags = spin_lock_irqsave(k, lockOf(k));
      spin_unlock_irqrestore(k, lockOf(k), flags);
      spin_lock_bh(k, lockOf(k));
      spin_unlock_bh(k, lockOf(k));
    }
    expect(m.reports).toEqual([]);
  });

  it('that is initialised, or written over, while somebody has it, is nobody’s', () => {
    const m = machine(core, more);
    spin_lock(m.own, lockOf(m.own));
    spin_lock_init(m.own, lockOf(m.own));
    spin_lock(m.other, lockOf(m.own));
    spin_unlock(m.other, lockOf(m.own));
    spin_lock(m.own, lockOf(m.own));
    m.own.store(lockOf(m.own), m.own.freeLock);
    spin_lock(m.own, lockOf(m.own));
    spin_unlock(m.own, lockOf(m.own));
    expect(m.reports).toEqual([]);
  });
});

describe('a lock that is no object of its own', () => {
  const inside = (k: Kernel) => ptr<'spinlock'>(k.sym.race_data + 64);

  it('has a bad magic until it is initialised, whether it is taken or given back', () => {
    const m = machine();
    spin_lock(m.own, inside(m.own));
    expect(m.reports[0]?.lines.slice(0, 2)).toEqual([
      'BUG: spinlock bad magic on CPU#0, thread0/0',
      ` lock: ${hex8(inside(m.own))}, .magic: 00000000, .owner: <none>/-1, .owner_cpu: 0`,
    ]);
    const other = machine();
    other.own.preemptCount += 1;
    spin_unlock(other.own, inside(other.own));
    expect(kinds(other)).toEqual(['bad magic']);
  });

  it('has a good one from then on, through all that is done with it', () => {
    const m = machine();
    spin_lock_init(m.own, inside(m.own));
    for (const k of [m.own, m.other]) {
      spin_lock(k, inside(k));
      spin_unlock(k, inside(k));
    }
    expect(m.reports).toEqual([]);
  });
});

describe('a trylock that fails', () => {
  const tried = (cpus: number): Machine => {
    const m = machine('cortex-a9', { cpus });
    expect(spin_trylock(m.own, lockOf(m.own))).toBe(true);
    expect(m.reports).toEqual([]);
    expect(spin_trylock(m.own, lockOf(m.own))).toBe(false);
    return m;
  };

  it('is reported on a machine of one CPU, whose kernel has no CONFIG_SMP', () => {
    const [report] = tried(1).reports;
    expect(report?.kind).toBe('trylock failure on UP');
    expect(report?.lines[1]).toMatch(/\.magic: dead4ead, \.owner: thread0\/0, \.owner_cpu: 0$/);
  });

  it('is nothing on one of two', () => {
    expect(tried(2).reports).toEqual([]);
  });
});

describe('reports', () => {
  it('end with the first of an execution, and begin again with the next', () => {
    const m = machine();
    const twice = (): void => {
      for (let i = 0; i < 2; i++) {
        m.own.preemptCount += 1;
        spin_unlock(m.own, lockOf(m.own));
      }
    };
    twice();
    expect(kinds(m)).toEqual(['already unlocked']);
    checkersOf(m.own, (report) => m.reports.push(report))[0]?.restart();
    twice();
    expect(kinds(m)).toEqual(['already unlocked', 'already unlocked']);
  });

  it('are not made of a machine that has no such checker', () => {
    const m = machine('cortex-a9', { check: 'hangs' });
    m.own.preemptCount += 1;
    spin_unlock(m.own, lockOf(m.own));
    expect(m.reports).toEqual([]);
  });

  it('are all looked for', () => {
    expect(SPINLOCK_REPORTS).toHaveLength(8);
  });
});
