/** What SLUB's checks have to say. How they say it, and how far what they find is mended, changes with the version. */
import type { Kernel } from '../../cpu/kernel.js';
import type { Vaddr } from '../../shared/types.js';
import type { Page } from '../page.js';
import type { Cache } from '../slab-common.js';
import type { Shape } from './objects.js';

/** Bytes that should all be @byte. */
export interface Span {
  readonly start: Vaddr;
  readonly byte: number;
  readonly bytes: number;
}

export type Part = 'Redzone' | 'Alignment padding' | 'Object padding' | 'Poison';

/** The slab that is looked at. */
export interface At {
  readonly s: Cache;
  readonly c: Shape;
  readonly page: Page;
}

export interface Reports {
  /** Not all spans of a part are as they should be: say so, and mend. */
  overwritten(k: Kernel, at: At, object: Vaddr, part: Part, active: boolean, spans: readonly Span[]): void;
  /** The same for the bytes behind the last object. */
  slabPadding(k: Kernel, at: At, rest: Span): void;
  /** Something is wrong with one object: `Freepointer corrupt`, `Freechain corrupt`, `Freelist Pointer check fails`. */
  object(k: Kernel, at: At, object: Vaddr, what: string): void;
  notASlab(k: Kernel, at: At): void;
  /** The page does not say where free pointers are as the cache does: as wide as the model's page has it. */
  offset(k: Kernel, at: At, offset: number): void;
  inuse(k: Kernel, at: At, inuse: number): void;
  /** The first free pointer of a slab leads nowhere, and the chain is given up. */
  freelist(k: Kernel, at: At, fp: Vaddr): void;
  count(k: Kernel, at: At, inuse: number, counted: number): void;
  alreadyAllocated(k: Kernel, at: At, object: Vaddr): void;
  allUsed(k: Kernel, at: At): void;
  invalidPointer(k: Kernel, at: At, object: Vaddr): void;
  alreadyFree(k: Kernel, at: At, object: Vaddr): void;
  /** The page belongs to another cache, or to none: 0. */
  otherOwner(k: Kernel, at: At, object: Vaddr, owner: Cache | 0): void;
  notFreed(k: Kernel, at: At, object: Vaddr): void;
}
