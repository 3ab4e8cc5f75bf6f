import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Kernel } from '../../src/cpu/kernel.js';
import {
  type RbNode,
  rb_erase,
  rb_insert_color,
  rb_left,
  rb_left_link,
  rb_link_node,
  rb_next,
  rb_prev,
  rb_right,
  rb_right_link,
  rb_root,
  struct_rb_node,
} from '../../src/shared/rbtree.js';
import { NULL, type Vaddr, vaddr } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';

const { k } = localMachine('arm926');
const root = k.sym.race_data as Vaddr;
/** Nodes lie in order of their keys: the address is the key. */
const nodeOf = (key: number): RbNode => (k.sym.race_data + 64 + key * 16) as RbNode;

function insert(k: Kernel, node: RbNode): void {
  let parent: RbNode = NULL;
  let link: Vaddr = root;
  for (let at = rb_root(k, root); at !== NULL; at = k.loadPtr<'rb_node'>(link)) {
    parent = at;
    link = node < at ? rb_left_link(at) : rb_right_link(at);
  }
  rb_link_node(k, node, parent, link);
  rb_insert_color(k, node, root);
}

/** Black height of a subtree, or an exception where a rule of red-black trees is broken. */
function blackHeight(node: RbNode): number {
  if (node === NULL) return 1;
  const red = (k.read(node, struct_rb_node.rb_parent_color) & 1) === 0;
  for (const child of [rb_left(k, node), rb_right(k, node)]) {
    if (child === NULL) continue;
    const word = k.read(child, struct_rb_node.rb_parent_color);
    if ((word & ~3) >>> 0 !== node) throw new Error('a child does not know its parent');
    if (red && (word & 1) === 0) throw new Error('a red node has a red child');
  }
  const left = blackHeight(rb_left(k, node));
  if (left !== blackHeight(rb_right(k, node))) throw new Error('black heights differ');
  return left + (red ? 0 : 1);
}

function inOrder(): number[] {
  let node = rb_root(k, root);
  if (node === NULL) return [];
  while (rb_left(k, node) !== NULL) node = rb_left(k, node);
  const keys: number[] = [];
  for (; node !== NULL; node = rb_next(k, node)) {
    keys.push((node - nodeOf(0)) / 16);
    const next = rb_next(k, node);
    if (next !== NULL && rb_prev(k, next) !== node) throw new Error('rb_prev() does not undo rb_next()');
  }
  return keys;
}

describe('a red-black tree in memory', () => {
  it('keeps order and balance under any insertions and removals', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 150 }), (keys) => {
        k.store(root, 0);
        const present = new Set<number>();
        for (const key of keys) {
          if (present.delete(key)) rb_erase(k, nodeOf(key), root);
          else {
            present.add(key);
            insert(k, nodeOf(key));
          }
          blackHeight(rb_root(k, root));
          expect(inOrder()).toEqual([...present].sort((a, b) => a - b));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('is no deeper than twice the logarithm of its size', () => {
    k.store(root, 0);
    for (let key = 0; key < 200; key++) insert(k, nodeOf(key));
    const depth = (node: RbNode): number =>
      node === NULL ? 0 : 1 + Math.max(depth(rb_left(k, node)), depth(rb_right(k, node)));
    expect(depth(rb_root(k, root))).toBeLessThanOrEqual(2 * Math.log2(201));
    expect(vaddr(rb_root(k, root))).not.toBe(NULL);
  });
});
