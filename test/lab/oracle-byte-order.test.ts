import { describe, expect, it } from 'vitest';
import { expectWord } from '../../src/lab/oracle.js';

describe('expectWord()', () => {
  it('names the first wrong byte by address, which depends on the byte order', () => {
    const [expected, seen] = [0x11223344, 0x11aa33bb];
    expect(() => expectWord(1, 8, expected, seen)).toThrow('offset 0x8: expected 0x44, saw 0xbb');
    expect(() => expectWord(1, 8, expected, seen, '', 'big')).toThrow('offset 0x9: expected 0x22, saw 0xaa');
  });
});
