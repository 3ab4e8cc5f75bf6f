import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Kernel } from '../../src/cpu/kernel.js';
import {
  container_of,
  INIT_LIST_HEAD,
  type List,
  list_add,
  list_add_tail,
  list_del,
  list_del_init,
  list_empty,
  list_next,
  list_of,
  struct_list_head,
} from '../../src/shared/list.js';
import { ptr, vaddr } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';

const ENTRIES = 6;
const headOf = (k: Kernel): List => ptr(k.sym.race_data);
const entryOf = (k: Kernel, n: number): List => ptr(k.sym.race_data + 16 + n * 16);
const prev = (k: Kernel, entry: List): number => k.read(entry, struct_list_head.prev);

/** Numbers of the entries, from the head on; the way back has to be the same. */
function contents(k: Kernel): number[] {
  const head = headOf(k);
  const numbers: number[] = [];
  for (let entry = list_next(k, head); entry !== head; entry = list_next(k, entry)) {
    expect(list_next(k, ptr(prev(k, entry)))).toBe(entry);
    numbers.push((entry - k.sym.race_data - 16) / 16);
  }
  return numbers;
}

describe('a list', () => {
  it('is a circle of two words an entry, as in include/linux/list.h', () => {
    const { k } = localMachine('arm926');
    const [head, entry] = [headOf(k), entryOf(k, 0)];
    INIT_LIST_HEAD(k, head);
    expect(list_empty(k, head)).toBe(true);
    list_add(k, entry, head);
    expect([k.load32(head), k.load32(vaddr(head + 4)), k.load32(entry), k.load32(vaddr(entry + 4))]).toEqual([
      entry,
      entry,
      head,
      head,
    ]);
    list_del(k, entry);
    expect(list_empty(k, head)).toBe(true);
    expect(list_next(k, entry)).toBe(head);
    list_add(k, entry, head);
    list_del_init(k, entry);
    expect(list_empty(k, entry)).toBe(true);
  });

  it('holds what an array would hold, in the same order', () => {
    const { k } = localMachine('arm926');
    const step = fc.record({ at: fc.constantFrom('head', 'tail'), n: fc.nat(ENTRIES - 1) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        INIT_LIST_HEAD(k, headOf(k));
        let model: number[] = [];
        for (const { at, n } of steps) {
          if (model.includes(n)) {
            list_del(k, entryOf(k, n));
            model = model.filter((other) => other !== n);
          } else if (at === 'head') {
            list_add(k, entryOf(k, n), headOf(k));
            model = [n, ...model];
          } else {
            list_add_tail(k, entryOf(k, n), headOf(k));
            model = [...model, n];
          }
          expect(contents(k)).toEqual(model);
          expect(list_empty(k, headOf(k))).toBe(model.length === 0);
        }
      }),
    );
  });

  it('leads from an entry to its struct and back', () => {
    const struct = vaddr(0xc0001000);
    expect(container_of(list_of(struct, 24), 24)).toBe(struct);
  });
});
