import { describe, expect, it } from 'vitest';
import { defineStruct } from '../../src/shared/layout.js';
import { struct_page } from '../../src/shared/structs/page.js';
import { struct_wait_queue, struct_wait_queue_head } from '../../src/shared/wait.js';
import { localMachine } from '../machine.js';

describe('defineStruct()', () => {
  it('gives each field its place and width', () => {
    const s = defineStruct('s', 12, { word: 0, half: [4, 2], byte: [6, 1], next: 8 });
    expect(s.half).toEqual({ struct: 's', name: 'half', offset: 4, bytes: 2 });
    expect(s.word.bytes).toBe(4);
    expect(s.sizeof).toBe(12);
    expect(Object.isFrozen(s)).toBe(true);
  });

  it('refuses a field that leaves the struct, is misaligned, or overlaps another', () => {
    expect(() => defineStruct('s', 8, { a: 8 })).toThrow('struct s: a leaves the struct');
    expect(() => defineStruct('s', 8, { a: 2 })).toThrow('struct s: a is misaligned');
    expect(() => defineStruct('s', 8, { a: 0, b: [2, 2] })).toThrow('struct s: b overlaps a');
  });

  it('lets the members of a union share bytes, and nobody else', () => {
    expect(defineStruct('s', 8, { a: 0, b: 0 }, [['a', 'b']]).b.offset).toBe(0);
    expect(() => defineStruct('s', 8, { a: 0, b: 0, c: 0 }, [['a', 'b']])).toThrow('c overlaps a');
  });
});

describe('the structs of the kernel', () => {
  it('are laid out as 32-bit Linux 2.6.30 lays them out', () => {
    expect(struct_page.sizeof).toBe(32);
    expect([struct_page._count.offset, struct_page._mapcount.offset, struct_page.lru.offset]).toEqual([4, 8, 24]);
    expect(struct_page.slab.offset).toBe(struct_page.mapping.offset);
    expect([struct_wait_queue_head.sizeof, struct_wait_queue.sizeof]).toEqual([12, 20]);
  });

  it('are read and written by field, and neighbours keep their bytes', () => {
    const { k } = localMachine('arm926');
    const s = defineStruct('s', 8, { byte: [1, 1], half: [2, 2], word: 4 });
    const p = k.sym.race_data as number as never;
    k.write(p, s.byte, 0xab);
    k.write(p, s.half, 0xcdef);
    k.write(p, s.word, 0x80000001);
    expect(k.load32(p)).toBe(0xcdefab00);
    expect([k.read(p, s.byte), k.read(p, s.half), k.read(p, s.word)]).toEqual([0xab, 0xcdef, 0x80000001]);
  });
});
