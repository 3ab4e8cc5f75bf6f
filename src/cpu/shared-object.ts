/** Structs of drivers as words that a race declares: `shared: { inode: wordsOf(struct_xfs_inode) }`. Atomic operations work on static memory only. */
import { type Ptr, ptr } from '../shared/types.js';
import type { Kernel } from './kernel.js';

/** What the words of a struct hold before anybody has initialised it. */
export const wordsOf = (struct: { readonly sizeof: number }): number[] =>
  Array.from({ length: struct.sizeof >>> 2 }, () => 0);

/** The object of the race with the name @name, as a struct: `sharedObject<'xfs_inode'>(k, 'inode')`. */
export function sharedObject<T extends string>(k: Kernel, name: string): Ptr<T> {
  return ptr<T>(k.at(name as never));
}
