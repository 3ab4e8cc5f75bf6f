/**
 * What a race declares for its functions to share: variables, locks and wait queues with names of their own, in static kernel memory. An access to
 * a variable is a plain load or store with its scheduling point, so it looks like a property and behaves like a word of memory.
 */
import { UsageError } from './errors.js';
import type { KernelBase } from './kernel-base.js';
import { spin_lock_init } from './spinlock.js';
import { ptr, type Vaddr, vaddr } from './types.js';
import { init_waitqueue_head } from './wait.js';

/** Variables with what they hold at first: a number is one word, a list is an array of words. */
export type SharedSpec = { readonly [name: string]: number | readonly number[] };

/** An array of shared words: its length is fixed, an index outside is an error. */
export interface SharedArray extends Iterable<number> {
  [index: number]: number;
  readonly length: number;
}

/** The variables as properties. */
export type SharedOf<S extends object> = {
  -readonly [N in keyof S]: S[N] extends readonly number[] ? SharedArray : number;
};

/** 'fork[3]' is an array of three with the name 'fork'. */
type NameOf<E extends string> = E extends `${infer N}[${string}]` ? N : E;

/** Declared locks or queues as properties: `E` is how each is declared. */
export type DeclaredOf<E extends string, T> = {
  readonly [D in E as NameOf<D>]: D extends `${string}[${string}]` ? readonly T[] : T;
};

export type DeclaredKind = 'word' | 'lock' | 'rwlock' | 'queue';

/** One object of a race, as it goes to the workers. */
export interface Declared {
  readonly name: string;
  readonly kind: DeclaredKind;
  /** Elements of an array; null for a single one. */
  readonly count: number | null;
  /** What the words of a variable hold at first. */
  readonly initial: readonly number[];
}

const WORDS: Record<DeclaredKind, number> = { word: 1, lock: 1, rwlock: 1, queue: 3 };

/** Bytes of an object, all its elements. */
export const declaredBytes = (d: Declared): number => (d.count ?? 1) * WORDS[d.kind] * 4;

/** Name in the System.map; where the kernel has that name too, the object of the race has `race.` before it. */
export const declaredSymbol = (d: Declared, kernel: object): string => {
  const name = d.count === null ? d.name : `${d.name}[]`;
  return name in kernel ? `race.${name}` : name;
};

const quoted = (names: readonly string[]): string => (names.length === 0 ? 'none' : names.join(', '));

/** Where a race finds what it has declared. */
const GROUPS: Record<DeclaredKind, string> = {
  word: 'k.shared',
  lock: 'k.locks',
  rwlock: 'k.rwlocks',
  queue: 'k.queues',
};

/** Ends the search for a property: whatever gets here does not exist, and a race that asks for it is wrong. @all: what the race has of other kinds. */
function guard(what: string, names: readonly string[], all: readonly Declared[] = []): object {
  const refuse = (key: string | symbol): never => {
    const other = all.find((d) => d.name === key);
    const hint = other === undefined ? '' : ` ("${other.name}" is in ${GROUPS[other.kind]})`;
    throw new UsageError(`the race declares no ${what} "${String(key)}"; it has ${quoted(names)}${hint}`);
  };
  const get = (_: object, key: string | symbol): unknown => (typeof key === 'symbol' ? undefined : refuse(key));
  return new Proxy(Object.create(null), { get, set: (_, key) => refuse(key) });
}

/** A word that a race may store: what an `int` or `unsigned int` holds. */
function wordOf(name: string, value: number): number {
  const word = Number(value) | 0;
  if (word !== Number(value) && word >>> 0 !== value) {
    throw new UsageError(`${name} = ${String(value)}: a shared variable holds a whole number of 32 bits`);
  }
  return word;
}

/** A property that loads and stores the word at @addr. */
function defineWord(k: KernelBase, on: object, key: string, addr: Vaddr, name: string): void {
  const get = (): number => {
    k.uses?.reads(get);
    return k.load(addr);
  };
  const set = (value: number): void => {
    k.store(addr, wordOf(name, value));
    k.lockReleased(addr);
    k.uses?.stored(set);
  };
  Object.defineProperty(on, key, { enumerable: true, get, set });
}

function sharedArray(k: KernelBase, base: Vaddr, name: string, count: number): SharedArray {
  const array = Object.create(guard(`element of ${name}`, [`0 to ${count - 1}`])) as object;
  for (let i = 0; i < count; i++) defineWord(k, array, String(i), vaddr(base + i * 4), `${name}[${i}]`);
  Object.defineProperty(array, 'length', { value: count });
  Object.defineProperty(array, Symbol.iterator, {
    *value(this: SharedArray) {
      for (let i = 0; i < count; i++) yield this[i] as number;
    },
  });
  return array as SharedArray;
}

/** What a kernel object offers for the objects of its race. */
export interface DeclaredObjects {
  readonly shared: object;
  readonly locks: object;
  readonly rwlocks: object;
  readonly queues: object;
  readonly at: (name: string, index?: number) => Vaddr;
}

/** Bind the objects of a race to the CPU that uses them. @sym: where each of them is. */
export function bindDeclared(k: KernelBase, declared: readonly Declared[], sym: Readonly<object>): DeclaredObjects {
  const namesOf = (kind: DeclaredKind): string[] => declared.filter((d) => d.kind === kind).map((d) => d.name);
  const groups: Record<DeclaredKind, object> = {
    word: Object.create(guard('shared variable', namesOf('word'), declared)),
    lock: Object.create(guard('lock', namesOf('lock'), declared)),
    rwlock: Object.create(guard('rwlock', namesOf('rwlock'), declared)),
    queue: Object.create(guard('queue', namesOf('queue'), declared)),
  };
  const addresses = new Map<string, readonly [base: Vaddr, count: number]>();
  for (const d of declared) {
    const base = vaddr(addressOf(d, sym));
    const group = groups[d.kind];
    if (d.kind !== 'word') {
      const all = Array.from({ length: d.count ?? 1 }, (_, i) => ptr<never>(base + i * WORDS[d.kind] * 4));
      Object.defineProperty(group, d.name, { enumerable: true, value: d.count === null ? all[0] : Object.freeze(all) });
      continue;
    }
    addresses.set(d.name, [base, d.count ?? 1]);
    if (d.count === null) defineWord(k, group, d.name, base, d.name);
    else Object.defineProperty(group, d.name, { enumerable: true, value: sharedArray(k, base, d.name, d.count) });
  }
  const at = (name: string, index = 0): Vaddr => {
    const found = addresses.get(name);
    if (found === undefined) {
      throw new UsageError(`the race declares no shared variable "${name}"; it has ${quoted([...addresses.keys()])}`);
    }
    if (!(index >= 0 && index < found[1]))
      throw new UsageError(`${name} has ${found[1]} words, none at index ${index}`);
    return vaddr(found[0] + index * 4);
  };
  return { shared: groups.word, locks: groups.lock, rwlocks: groups.rwlock, queues: groups.queue, at };
}

const addressOf = (d: Declared, sym: Readonly<object>): number => {
  const name = d.count === null ? d.name : `${d.name}[]`;
  const table = sym as Readonly<Record<string, number>>;
  return (table[`race.${name}`] ?? table[name]) as number;
};

/** Boot: the variables hold what the race says, the locks are free, the queues empty. */
export function initDeclared(k: KernelBase, declared: readonly Declared[], sym: Readonly<object>): void {
  for (const d of declared) {
    const base = addressOf(d, sym);
    d.initial.forEach((value, i) => {
      k.store(vaddr(base + i * 4), value);
    });
    for (let i = 0; i < (d.count ?? 1); i++) {
      if (d.kind === 'lock') spin_lock_init(k, ptr(base + i * 4));
      if (d.kind === 'queue') init_waitqueue_head(k, ptr(base + i * WORDS.queue * 4));
    }
  }
}
