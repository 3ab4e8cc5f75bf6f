/**
 * Doubly linked lists in emulated memory. Source: include/linux/list.h. `struct list_head` is two words: next, prev.
 * Each pointer is loaded and stored on its own, as in C: an unlocked list breaks as it does on the machine.
 */
import { How } from './access.js';
import type { KernelBase } from './kernel-base.js';
import { defineStruct } from './layout.js';
import { type Ptr, ptr, type Vaddr, vaddr } from './types.js';
import { KERNEL_VERSION } from './version.js';

const LINUX_4_5 = KERNEL_VERSION(4, 5, 0);

export const struct_list_head = defineStruct('list_head', 8, { next: 0, prev: 4 });
export type List = Ptr<'list_head'>;

export function INIT_LIST_HEAD(k: KernelBase, head: List): void {
  k.write(head, struct_list_head.next, head);
  k.write(head, struct_list_head.prev, head);
}

export function list_next(k: KernelBase, entry: List): List {
  return k.loadPtr<'list_head'>(entry);
}

export function list_prev(k: KernelBase, entry: List): List {
  return ptr<'list_head'>(k.read(entry, struct_list_head.prev));
}

/** How lists are looked at, and changed, where somebody may look without their lock: marked from 4.5 on. Source: include/linux/list.h. */
const once = (k: KernelBase): number => (k.LINUX_VERSION_CODE >= LINUX_4_5 ? How.marked : How.plain);
const nextOf = (list: List): Vaddr => vaddr(list + struct_list_head.next.offset);

export function list_empty(k: KernelBase, head: List): boolean {
  return k.loadAs(nextOf(head), once(k)) >>> 0 === head >>> 0;
}

function __list_add(k: KernelBase, entry: List, prev: List, next: List): void {
  k.write(next, struct_list_head.prev, entry);
  k.write(entry, struct_list_head.next, next);
  k.write(entry, struct_list_head.prev, prev);
  k.storeAs(nextOf(prev), entry, once(k));
}

/** At the head. */
export function list_add(k: KernelBase, entry: List, head: List): void {
  __list_add(k, entry, head, list_next(k, head));
}

/** At the tail. */
export function list_add_tail(k: KernelBase, entry: List, head: List): void {
  __list_add(k, entry, ptr<'list_head'>(k.read(head, struct_list_head.prev)), head);
}

/** The entry keeps its pointers; the kernel poisons them. */
export function list_del(k: KernelBase, entry: List): void {
  const next = list_next(k, entry);
  const prev = ptr<'list_head'>(k.read(entry, struct_list_head.prev));
  k.write(next, struct_list_head.prev, prev);
  k.storeAs(nextOf(prev), next, once(k));
}

export function list_del_init(k: KernelBase, entry: List): void {
  list_del(k, entry);
  INIT_LIST_HEAD(k, entry);
}

/** All entries of @list behind @head. @list keeps its pointers. */
export function list_splice(k: KernelBase, list: List, head: List): void {
  const first = list_next(k, list);
  if (first === list) return;
  const last = list_prev(k, list);
  const at = list_next(k, head);
  k.write(first, struct_list_head.prev, head);
  k.write(head, struct_list_head.next, first);
  k.write(last, struct_list_head.next, at);
  k.write(at, struct_list_head.prev, last);
}

/** The struct that has a list_head @offset bytes from its start. */
export function container_of<T extends string>(entry: Vaddr, offset: number): Ptr<T> {
  return ptr<T>(entry - offset);
}

/** The list_head @offset bytes from the start of a struct. */
export function list_of(struct: Vaddr, offset: number): List {
  return vaddr(struct + offset) as List;
}
