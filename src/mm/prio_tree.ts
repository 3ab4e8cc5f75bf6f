/**
 * The tree that finds the VMAs which map a page of a file: the root stands in `struct address_space`, the nodes in the VMAs.
 *
 * Source: lib/prio_tree.c, mm/prio_tree.c, include/linux/prio_tree.h, Linux 2.6.22; spec/slab-dma.md §3.3. The loads of the root word, of `raw`
 * and of a node's indexes are the kernel's, in its order: with a pointer that is none they fault where the kernel faults.
 * Differs: the tree is a chain of right children, the highest heap index first; the set of VMAs that a walk finds is the same. Left out: several
 * VMAs of one range below one node (vm_set).
 */
import type { Kernel } from '../cpu/kernel.js';
import type { Place } from '../cpu/place.js';
import { struct_prio_tree_node, struct_prio_tree_root, struct_vm_area_struct } from '../shared/structs/configured.js';
import { NULL, type Ptr, ptr, type Vaddr, vaddr } from '../shared/types.js';
import { KERNEL_VERSION } from '../shared/version.js';

export type PrioTreeRoot = Ptr<'prio_tree_root'>;
export type PrioTreeNode = Ptr<'prio_tree_node'>;
export type Vma = Ptr<'vm_area_struct'>;

const SHARED = struct_vm_area_struct.shared.offset;

/** The VMA whose tree node is @node. */
const vmaOf = (node: PrioTreeNode): Vma => ptr<'vm_area_struct'>(node - SHARED);
const nodeOf = (vma: Vma): PrioTreeNode => ptr<'prio_tree_node'>(vma + SHARED);

/** Smallest and largest page index of a node. */
interface Index {
  readonly radix: number;
  readonly heap: number;
}

export function INIT_PRIO_TREE_ROOT(k: Kernel, root: PrioTreeRoot, raw: boolean): void {
  k.write(root, struct_prio_tree_root.prio_tree_node, NULL);
  k.write(root, struct_prio_tree_root.index_bits, 1);
  k.write(root, struct_prio_tree_root.raw, raw ? 1 : 0);
}

export const prio_tree_empty = (k: Kernel, root: PrioTreeRoot): boolean =>
  k.read(root, struct_prio_tree_root.prio_tree_node) === NULL;

/**
 * get_index() of a compiler that puts its arguments in r0 and r1 and computes the address of the VMA into ip ahead of the test of `raw`, as gcc 3.4.2 did. Where
 * the loads stand is known of the kernel of seed 001 only, one CPU, old ABI, no debugging, and of the first load of its branch: spec/slab-dma.md §1.8.
 */
function place(k: Kernel, root: PrioTreeRoot, node: PrioTreeNode, addr: number): Place {
  const { cpus, oabi, debugSpinlock, preempt } = k.config;
  const kernel = k.LINUX_VERSION_CODE === KERNEL_VERSION(2, 6, 22) && cpus === 1 && oabi && !debugSpinlock && !preempt;
  const known = kernel && addr === node + struct_prio_tree_node.start.offset;
  return {
    symbol: 'get_index',
    code: known ? { offset: 0x1c, size: 0x50, lr: 'prio_tree_next+0x60/0x194' } : null,
    addr: addr >>> 0,
    registers: { r0: root, r1: node, ip: (node - SHARED) >>> 0 },
  };
}

/** A load that may fault, with what the registers hold at it. */
function loadAt(k: Kernel, root: PrioTreeRoot, node: PrioTreeNode, addr: Vaddr): number {
  k.executing = place(k, root, node, addr);
  const value = k.load(addr) >>> 0;
  k.executing = null;
  return value;
}

/** Context: what guards the tree is held. Faults when @node is no address of a node. */
function get_index(k: Kernel, root: PrioTreeRoot, node: PrioTreeNode): Index {
  if (k.read(root, struct_prio_tree_root.raw) !== 0) {
    const vma = vmaOf(node);
    const radix = loadAt(k, root, node, vaddr(vma + struct_vm_area_struct.vm_pgoff.offset));
    const end = k.read(vma, struct_vm_area_struct.vm_end);
    const start = k.read(vma, struct_vm_area_struct.vm_start);
    return { radix, heap: radix + ((end - start) >>> 12) - 1 };
  }
  const radix = loadAt(k, root, node, vaddr(node + struct_prio_tree_node.start.offset));
  return { radix, heap: k.read(node, struct_prio_tree_node.last) };
}

/** A walk over the nodes that overlap [r_index, h_index]. It is on the kernel's stack, so nobody else sees it. */
export interface PrioTreeIter {
  readonly root: PrioTreeRoot;
  readonly r_index: number;
  readonly h_index: number;
  cur: PrioTreeNode;
}

export const vma_prio_tree_iter = (root: PrioTreeRoot, r_index: number, h_index: number): PrioTreeIter => ({
  root,
  r_index,
  h_index,
  cur: NULL,
});

/** From @node on, the first that overlaps. Those that follow end earlier. */
function overlapping(k: Kernel, iter: PrioTreeIter, node: PrioTreeNode): PrioTreeNode {
  for (let at = node; ; ) {
    const { radix, heap } = get_index(k, iter.root, at);
    if (heap < iter.r_index) return NULL;
    if (radix <= iter.h_index) return at;
    const right = ptr<'prio_tree_node'>(k.read(at, struct_prio_tree_node.right));
    if (right === at) return NULL;
    at = right;
  }
}

function prio_tree_first(k: Kernel, iter: PrioTreeIter): PrioTreeNode {
  if (prio_tree_empty(k, iter.root)) return NULL;
  return overlapping(k, iter, ptr<'prio_tree_node'>(k.read(iter.root, struct_prio_tree_root.prio_tree_node)));
}

function prio_tree_next(k: Kernel, iter: PrioTreeIter): PrioTreeNode {
  if (iter.cur === NULL) return prio_tree_first(k, iter);
  const right = ptr<'prio_tree_node'>(k.read(iter.cur, struct_prio_tree_node.right));
  return right === iter.cur ? NULL : overlapping(k, iter, right);
}

/** The next VMA of the walk, or NULL. Context: what guards the tree is held. */
export function vma_prio_tree_next(k: Kernel, iter: PrioTreeIter): Vma {
  iter.cur = prio_tree_next(k, iter);
  return iter.cur === NULL ? NULL : vmaOf(iter.cur);
}

/** Context: what guards the tree is held. */
export function vma_prio_tree_insert(k: Kernel, vma: Vma, root: PrioTreeRoot): void {
  const node = nodeOf(vma);
  const { heap } = get_index(k, root, node);
  let parent: PrioTreeNode = NULL;
  let next = ptr<'prio_tree_node'>(k.read(root, struct_prio_tree_root.prio_tree_node));
  while (next !== NULL && get_index(k, root, next).heap >= heap) {
    parent = next;
    const right = ptr<'prio_tree_node'>(k.read(next, struct_prio_tree_node.right));
    next = right === next ? NULL : right;
  }
  // A leaf, and the parent of the root, point at themselves.
  k.write(node, struct_prio_tree_node.left, node);
  k.write(node, struct_prio_tree_node.right, next === NULL ? node : next);
  k.write(node, struct_prio_tree_node.parent, parent === NULL ? node : parent);
  if (next !== NULL) k.write(next, struct_prio_tree_node.parent, node);
  if (parent === NULL) k.write(root, struct_prio_tree_root.prio_tree_node, node);
  else k.write(parent, struct_prio_tree_node.right, node);
}
