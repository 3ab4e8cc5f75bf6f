/**
 * Red-black trees in emulated memory: balanced binary trees whose nodes lie in the structs that they order.
 *
 * Source: include/linux/rbtree.h, lib/rbtree.c, Linux 2.6.28: the layout and who is called when; the rebalancing is the textbook's (Cormen et
 * al., chapter 13). A node is three words, colour and parent in one of them. The caller walks the tree, links and locks.
 */
import type { KernelBase } from './kernel-base.js';
import { defineStruct } from './layout.js';
import { NULL, type Ptr, type Vaddr, vaddr } from './types.js';

export const struct_rb_node = defineStruct('rb_node', 12, { rb_parent_color: 0, rb_right: 4, rb_left: 8 });
export type RbNode = Ptr<'rb_node'>;
/** Address of the word that points to the root. */
export type RbRoot = Vaddr;

const RED = 0;
const BLACK = 1;

type Side = typeof struct_rb_node.rb_left | typeof struct_rb_node.rb_right;
const LEFT = struct_rb_node.rb_left;
const RIGHT = struct_rb_node.rb_right;
const other = (side: Side): Side => (side === LEFT ? RIGHT : LEFT);

const child = (k: KernelBase, node: RbNode, side: Side): RbNode => k.read(node, side) as RbNode;
const word = (k: KernelBase, node: RbNode): number => k.read(node, struct_rb_node.rb_parent_color);

export const rb_left = (k: KernelBase, node: RbNode): RbNode => child(k, node, LEFT);
export const rb_right = (k: KernelBase, node: RbNode): RbNode => child(k, node, RIGHT);
export const rb_parent = (k: KernelBase, node: RbNode): RbNode => ((word(k, node) & ~3) >>> 0) as RbNode;
export const rb_root = (k: KernelBase, root: RbRoot): RbNode => k.loadPtr<'rb_node'>(root);

const isBlack = (k: KernelBase, node: RbNode): boolean => node === NULL || (word(k, node) & 1) === BLACK;

function setColor(k: KernelBase, node: RbNode, color: number): void {
  k.write(node, struct_rb_node.rb_parent_color, (word(k, node) & ~1) | color);
}

function setParent(k: KernelBase, node: RbNode, parent: RbNode): void {
  k.write(node, struct_rb_node.rb_parent_color, parent | (word(k, node) & 1));
}

/** Whoever points to @old points to @node now: its parent, or the root. */
function replaceChild(k: KernelBase, root: RbRoot, parent: RbNode, old: RbNode, node: RbNode): void {
  if (parent === NULL) k.store(root, node);
  else k.write(parent, child(k, parent, LEFT) === old ? LEFT : RIGHT, node);
}

/** @node goes down to the given side, its child on the other side takes its place. */
function rotate(k: KernelBase, root: RbRoot, node: RbNode, side: Side): void {
  const up = child(k, node, other(side));
  const inner = child(k, up, side);
  const parent = rb_parent(k, node);
  k.write(node, other(side), inner);
  if (inner !== NULL) setParent(k, inner, node);
  setParent(k, up, parent);
  replaceChild(k, root, parent, node, up);
  k.write(up, side, node);
  setParent(k, node, up);
}

/** Hang a new, red node into the empty place @link, a child word of @parent or the root. rb_insert_color() has to follow. */
export function rb_link_node(k: KernelBase, node: RbNode, parent: RbNode, link: Vaddr): void {
  k.write(node, struct_rb_node.rb_parent_color, parent | RED);
  k.write(node, LEFT, NULL);
  k.write(node, RIGHT, NULL);
  k.store(link, node);
}

/** Restore the balance after rb_link_node(). */
export function rb_insert_color(k: KernelBase, inserted: RbNode, root: RbRoot): void {
  let node = inserted;
  let parent = rb_parent(k, node);
  while (!isBlack(k, parent)) {
    const grand = rb_parent(k, parent);
    const side = child(k, grand, LEFT) === parent ? LEFT : RIGHT;
    const uncle = child(k, grand, other(side));
    if (!isBlack(k, uncle)) {
      setColor(k, parent, BLACK);
      setColor(k, uncle, BLACK);
      setColor(k, grand, RED);
      node = grand;
    } else {
      if (child(k, parent, other(side)) === node) {
        node = parent;
        rotate(k, root, node, side);
        parent = rb_parent(k, node);
      }
      setColor(k, parent, BLACK);
      setColor(k, grand, RED);
      rotate(k, root, grand, other(side));
    }
    parent = rb_parent(k, node);
  }
  setColor(k, rb_root(k, root), BLACK);
}

/** Take a node out of the tree. Its own words stay as they were. */
export function rb_erase(k: KernelBase, node: RbNode, root: RbRoot): void {
  const left = rb_left(k, node);
  const right = rb_right(k, node);
  if (left === NULL || right === NULL) {
    const heir = left === NULL ? right : left;
    const parent = rb_parent(k, node);
    if (heir !== NULL) setParent(k, heir, parent);
    replaceChild(k, root, parent, node, heir);
    if (isBlack(k, node)) rebalance(k, root, heir, parent);
    return;
  }
  eraseInner(k, root, node, left, right);
}

/** With two children: the next node in order takes the place of @node. */
function eraseInner(k: KernelBase, root: RbRoot, node: RbNode, left: RbNode, right: RbNode): void {
  let heir = right;
  for (let next = rb_left(k, heir); next !== NULL; next = rb_left(k, heir)) heir = next;
  const orphan = rb_right(k, heir);
  const wasBlack = isBlack(k, heir);
  let parent = rb_parent(k, heir);
  if (parent === node) parent = heir;
  else {
    k.write(parent, LEFT, orphan);
    if (orphan !== NULL) setParent(k, orphan, parent);
    k.write(heir, RIGHT, right);
    setParent(k, right, heir);
  }
  replaceChild(k, root, rb_parent(k, node), node, heir);
  k.write(heir, struct_rb_node.rb_parent_color, word(k, node));
  k.write(heir, LEFT, left);
  setParent(k, left, heir);
  if (wasBlack) rebalance(k, root, orphan, parent);
}

/** The side of @start below @above has a black node less. */
function rebalance(k: KernelBase, root: RbRoot, start: RbNode, above: RbNode): void {
  let node = start;
  let parent = above;
  while (parent !== NULL && isBlack(k, node)) {
    const side = child(k, parent, LEFT) === node ? LEFT : RIGHT;
    let sibling = child(k, parent, other(side));
    if (!isBlack(k, sibling)) {
      setColor(k, sibling, BLACK);
      setColor(k, parent, RED);
      rotate(k, root, parent, side);
      sibling = child(k, parent, other(side));
    }
    if (isBlack(k, child(k, sibling, LEFT)) && isBlack(k, child(k, sibling, RIGHT))) {
      setColor(k, sibling, RED);
      node = parent;
      parent = rb_parent(k, node);
      continue;
    }
    borrow(k, root, parent, sibling, side);
    return;
  }
  if (node !== NULL) setColor(k, node, BLACK);
}

/** @sibling has a red child: one or two rotations bring a black node over to @side. */
function borrow(k: KernelBase, root: RbRoot, parent: RbNode, found: RbNode, side: Side): void {
  let sibling = found;
  if (isBlack(k, child(k, sibling, other(side)))) {
    setColor(k, child(k, sibling, side), BLACK);
    setColor(k, sibling, RED);
    rotate(k, root, sibling, other(side));
    sibling = child(k, parent, other(side));
  }
  setColor(k, sibling, isBlack(k, parent) ? BLACK : RED);
  setColor(k, parent, BLACK);
  setColor(k, child(k, sibling, other(side)), BLACK);
  rotate(k, root, parent, side);
}

/** The neighbour on one side in order, or NULL. */
function step(k: KernelBase, node: RbNode, side: Side): RbNode {
  let next = child(k, node, side);
  if (next !== NULL) {
    for (let down = child(k, next, other(side)); down !== NULL; down = child(k, next, other(side))) next = down;
    return next;
  }
  let from = node;
  for (next = rb_parent(k, from); next !== NULL && child(k, next, side) === from; next = rb_parent(k, from))
    from = next;
  return next;
}

export const rb_next = (k: KernelBase, node: RbNode): RbNode => step(k, node, RIGHT);
export const rb_prev = (k: KernelBase, node: RbNode): RbNode => step(k, node, LEFT);

/** Words of the child links, for rb_link_node(). */
export const rb_left_link = (node: RbNode): Vaddr => vaddr(node + LEFT.offset);
export const rb_right_link = (node: RbNode): Vaddr => vaddr(node + RIGHT.offset);
