import { describe, expect, it } from 'vitest';
import { open_softirq, raise_softirq, Softirq } from '../../src/cpu/irq.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { describeMachine } from '../../src/lab/deadlock.js';
import { irqs_disabled, local_irq_disable, local_irq_enable } from '../../src/shared/irqflags.js';
import {
  type RwLock,
  read_lock,
  read_unlock,
  type SpinLock,
  spin_is_locked,
  spin_lock,
  spin_lock_bh,
  spin_lock_init,
  spin_lock_irqsave,
  spin_trylock,
  spin_unlock,
  spin_unlock_bh,
  spin_unlock_irq,
  spin_unlock_irqrestore,
  write_lock,
  write_lock_irqsave,
  write_unlock,
  write_unlock_irqrestore,
} from '../../src/shared/spinlock.js';
import { ptr } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';

const LINE = 3;
const lockOf = (k: Kernel): SpinLock => ptr<'spinlock'>(k.sym.race_data);
const rwLockOf = (k: Kernel): RwLock => ptr<'rwlock'>(k.sym.race_data + 64);

/** A machine of two CPUs, both in this thread. */
function machine(ticketLocks = false) {
  const { cpus, k } = localMachine('cortex-a9', { cpus: 2, ticketLocks });
  spin_lock_init(k, lockOf(k));
  return { a: cpus[0]!, b: cpus[1]!, lock: lockOf(k), rw: rwLockOf(k) };
}

/** While @k waits for something, an interrupt comes and @act happens: what another CPU would do meanwhile. */
function meanwhile(k: Kernel, act: () => void): void {
  k.irqHandlers = new Map([[LINE, act]]);
  k.raise(k.cpu, LINE);
}

describe.each([
  ['plain', false],
  ['ticket', true],
])('a %s spinlock', (_, ticket) => {
  it('is held from spin_lock() to spin_unlock(), and so is preemption', () => {
    const { a, b, lock } = machine(ticket);
    expect(spin_is_locked(b, lock)).toBe(false);
    spin_lock(a, lock);
    expect(spin_is_locked(b, lock)).toBe(true);
    expect(a.preemptCount).toBe(1);
    spin_unlock(a, lock);
    expect(spin_is_locked(b, lock)).toBe(false);
    expect(a.preemptCount).toBe(0);
  });

  it('refuses spin_trylock() of another CPU while it is held, and nothing of the try stays', () => {
    const { a, b, lock } = machine(ticket);
    spin_lock(a, lock);
    const word = a.load(lock);
    expect(spin_trylock(b, lock)).toBe(false);
    expect(b.preemptCount).toBe(0);
    expect(a.load(lock)).toBe(word);
    spin_unlock(a, lock);
    expect(spin_trylock(b, lock)).toBe(true);
    expect(b.preemptCount).toBe(1);
  });

  it('lets a CPU that waits in when it is given up', () => {
    const { a, b, lock } = machine(ticket);
    spin_lock(a, lock);
    let released = false;
    meanwhile(b, () => {
      released = true;
      spin_unlock(a, lock);
    });
    spin_lock(b, lock);
    expect(released).toBe(true);
    expect(spin_is_locked(a, lock)).toBe(true);
    spin_unlock(b, lock);
  });

  it('is named in a report as long as it is held, whatever the order in which locks are given up', () => {
    const { a, lock } = machine(ticket);
    spin_lock(a, lock);
    spin_lock(a, a.sym.kmap_lock);
    expect(describeMachine(a)[0]).toMatch(/^CPU0: thread0 .*; holds race_data, kmap_lock$/);
    spin_unlock(a, lock);
    expect(describeMachine(a)[0]).toMatch(/; holds kmap_lock$/);
    spin_unlock(a, a.sym.kmap_lock);
    expect(describeMachine(a)[0]).toMatch(/; holds no lock$/);
  });
});

describe('the words of locks', () => {
  it('are 0 and 1 for a plain spinlock', () => {
    const { a, lock } = machine();
    spin_lock(a, lock);
    expect(a.load(lock)).toBe(1);
    spin_unlock(a, lock);
    expect(a.load(lock)).toBe(0);
  });

  it('are next ticket and owner for a ticket lock, and neither half carries into the other', () => {
    const { a, lock } = machine(true);
    spin_lock(a, lock);
    expect(a.load(lock) >>> 0).toBe(0x00010000);
    spin_unlock(a, lock);
    expect(a.load(lock) >>> 0).toBe(0x00010001);
    a.store(lock, 0xffffffff);
    spin_lock(a, lock);
    expect(a.load(lock) >>> 0).toBe(0x0000ffff);
    spin_unlock(a, lock);
    expect(a.load(lock) >>> 0).toBe(0);
  });

  it('count readers, and are negative for a writer', () => {
    const { a, b, rw } = machine();
    read_lock(a, rw);
    read_lock(b, rw);
    expect(a.load(rw)).toBe(2);
    read_unlock(a, rw);
    read_unlock(b, rw);
    write_lock(a, rw);
    expect(a.load(rw) >>> 0).toBe(0x80000000);
    write_unlock(a, rw);
    expect(a.load(rw)).toBe(0);
  });
});

describe('interrupts and spinlocks', () => {
  it('stay masked from spin_lock_irqsave() to spin_unlock_irqrestore(), whatever they were before', () => {
    const { a, lock } = machine();
    for (const masked of [false, true]) {
      if (masked) local_irq_disable(a);
      const flags = spin_lock_irqsave(a, lock);
      expect(irqs_disabled(a)).toBe(true);
      spin_unlock_irqrestore(a, lock, flags);
      expect(irqs_disabled(a)).toBe(masked);
    }
    const flags = spin_lock_irqsave(a, lock);
    expect(flags).toBe(1);
    spin_unlock_irq(a, lock);
    expect(irqs_disabled(a)).toBe(false);
  });

  it('are taken at spin_unlock_irqrestore() when they came before', () => {
    const { a, lock } = machine();
    let taken = 0;
    a.irqHandlers = new Map([[LINE, () => taken++]]);
    const flags = spin_lock_irqsave(a, lock);
    a.raise(0, LINE);
    a.load(lock);
    expect(taken).toBe(0);
    spin_unlock_irqrestore(a, lock, flags);
    expect(taken).toBe(1);
    local_irq_enable(a);
    expect(taken).toBe(1);
  });

  it('run soft interrupts at spin_unlock_bh() and not before', () => {
    const { a, lock } = machine();
    let ran = 0;
    open_softirq(a, Softirq.TASKLET, (k) => {
      expect(irqs_disabled(k)).toBe(false);
      ran++;
    });
    a.irqHandlers = new Map([[LINE, (k) => raise_softirq(k, Softirq.TASKLET)]]);
    spin_lock_bh(a, lock);
    a.raise(0, LINE);
    a.load(lock);
    expect(ran).toBe(0);
    spin_unlock_bh(a, lock);
    expect(ran).toBe(1);
    expect(a.preemptCount).toBe(0);
  });
});

describe('a reader-writer lock', () => {
  it('lets a reader in beside readers, and into its own interrupt', () => {
    const { a, b, rw } = machine();
    read_lock(a, rw);
    let nested = 0;
    meanwhile(a, () => {
      read_lock(a, rw);
      nested = a.load(rw);
      read_unlock(a, rw);
    });
    a.load(rw);
    expect(nested).toBe(2);
    read_lock(b, rw);
    expect(a.load(rw)).toBe(2);
  });

  it('keeps a writer out until the last reader has gone', () => {
    const { a, b, rw } = machine();
    read_lock(a, rw);
    read_lock(a, rw);
    const order: string[] = [];
    meanwhile(b, () => {
      read_unlock(a, rw);
      order.push(`first reader gone, word ${b.load(rw)}`);
      meanwhile(b, () => {
        read_unlock(a, rw);
        order.push('last reader gone');
      });
    });
    write_lock(b, rw);
    order.push('writer in');
    expect(order).toEqual(['first reader gone, word 1', 'last reader gone', 'writer in']);
    write_unlock(b, rw);
  });

  it('keeps readers and writers out while it is written, and interrupts with the irqsave form', () => {
    const { a, b, rw } = machine();
    const flags = write_lock_irqsave(a, rw);
    expect(irqs_disabled(a)).toBe(true);
    let released = false;
    meanwhile(b, () => {
      released = true;
      write_unlock_irqrestore(a, rw, flags);
    });
    read_lock(b, rw);
    expect(released).toBe(true);
    expect(irqs_disabled(a)).toBe(false);
    expect(a.load(rw)).toBe(1);
  });
});
