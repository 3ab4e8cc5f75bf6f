/** Objects that wait for readers of RCU: freed under one is reported, freed after all that could have found it is not. */
import { describe, expect, it } from 'vitest';
import type { Kernel } from '../../src/cpu/kernel.js';
import { type CheckerReport, checkersOf } from '../../src/lab/checkers.js';
import { gfp } from '../../src/mm/gfp.js';
import { kmalloc } from '../../src/mm/kmalloc.js';
import { kfree_rcu, rcu_process_callbacks, rcu_read_lock, rcu_read_unlock } from '../../src/mm/rcu.js';
import { type Vaddr, vaddr } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';

const HEAD = 16;

interface Two {
  readonly writer: Kernel;
  readonly reader: Kernel;
  readonly object: Vaddr;
  readonly reports: CheckerReport[];
}

function machine(): Two {
  const { cpus } = localMachine('cortex-a9', { check: 'hangs', cpus: 2, kernel: '4.12' });
  const [writer, reader] = cpus as [Kernel, Kernel];
  const reports: CheckerReport[] = [];
  const [checker] = cpus.map((k) => checkersOf(k, (report) => reports.push(report))[0]);
  checker?.restart();
  return { writer, reader, object: kmalloc(writer, 64, gfp(writer).GFP_KERNEL), reports };
}

/** What counts readers has lost this one. */
function miscount(k: Kernel): void {
  k.store(vaddr(k.sym.rcu_nesting + k.cpu * 4), 0);
}

describe('an object that was handed to kfree_rcu()', () => {
  it('is freed under a reader that was there when nobody waits for it', () => {
    const { writer, reader, object, reports } = machine();
    rcu_read_lock(reader);
    rcu_read_lock(reader);
    kfree_rcu(writer, object, HEAD);
    rcu_read_unlock(reader);
    miscount(reader);
    rcu_process_callbacks(writer);
    expect(reports.map((r) => r.kind)).toEqual(['rcu-free']);
    expect(reports[0]?.headline).toMatch(/^RCU: object 0x\w{8} is freed while CPU 1 may still read it$/);
  });

  it('is freed in silence when its readers are done, or came later', () => {
    const { writer, reader, object, reports } = machine();
    rcu_read_lock(reader);
    kfree_rcu(writer, object, HEAD);
    rcu_process_callbacks(writer);
    rcu_read_unlock(reader);
    rcu_read_lock(reader);
    miscount(reader);
    rcu_process_callbacks(writer);
    expect(writer.load(writer.sym.rcu_list)).toBe(0);
    expect(reports).toEqual([]);
  });
});
