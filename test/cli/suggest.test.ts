import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { didYouMean, editDistance, nearest } from '../../src/cli/suggest.js';

describe('editDistance()', () => {
  it('counts insertions, deletions, replacements and swaps of neighbours', () => {
    expect(editDistance('kmap', 'kmap')).toBe(0);
    expect(editDistance('kmap', 'kmaps')).toBe(1);
    expect(editDistance('kmap', 'map')).toBe(1);
    expect(editDistance('kmap', 'knap')).toBe(1);
    expect(editDistance('lsit', 'list')).toBe(1);
    expect(editDistance('', 'abc')).toBe(3);
  });

  it('is the same both ways, and never more than the longer word', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 }), (a, b) => {
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
        expect(editDistance(a, b) === 0).toBe(a === b);
      }),
    );
  });
});

describe('suggestions', () => {
  it('have the nearest first, at most three', () => {
    expect(nearest('arm926', ['arm920t', 'arm926', 'arm11', 'armv6', 'arm922'])).toEqual([
      'arm926',
      'arm922',
      'arm920t',
    ]);
  });

  it('find a name by a part of it', () => {
    expect(didYouMean('recycle', ['2009-03-kmap-recycle-lost-bytes', 'other'])).toBe(
      ' (did you mean 2009-03-kmap-recycle-lost-bytes?)',
    );
  });

  it('are left out when nothing is near', () => {
    expect(didYouMean('zzz', ['arm920t', 'feroceon'])).toBe('');
  });
});
