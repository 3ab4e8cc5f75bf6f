/**
 * The graph of lock classes: an edge from P to N where N was taken with P held, and breadth-first searches on it, so that the shortest path is
 * found. Source: kernel/lockdep.c, Linux 2.6.30; kernel/locking/lockdep.c, Linux 5.10 (recursive readers).
 */
import { type Area, CLASSES_MAX, Class, EDGES_MAX, Edge, Head } from './area.js';

/** Kinds of an edge: holder shared or exclusive, acquirer recursive reader or not. */
export const Dep = { SR: 1, ER: 2, SN: 4, EN: 8 } as const;
const STARTS_SHARED = Dep.SR | Dep.SN;
const ENDS_NON_RECURSIVE = Dep.SN | Dep.EN;

/** Kinds of the edge from a lock held as @prev to one taken as @next, and of its reverse. Source: __calc_dep_bit(), __calc_dep_bitb(), Linux 5.10. */
export const depOf = (prev: number, next: number): number => 1 << ((prev === 0 ? 1 : 0) + (next !== 2 ? 2 : 0));
export const reverseDepOf = (prev: number, next: number): number => 1 << ((next !== 2 ? 1 : 0) + (prev === 0 ? 2 : 0));

/** Which list of a class a search follows. */
export type Direction = typeof Class.after | typeof Class.before;

/** A step of the way that a search found: the edge that led to the class; 0 at the root. */
export interface Hop {
  readonly id: number;
  readonly edge: number;
}

/** What a search looks for. @onlyRecursive: the class was reached by recursive readers only. */
export type Match = (id: number, onlyRecursive: boolean) => boolean;

export class Graph {
  readonly #area: Area;
  /** Do paths have to be strong: no recursive reader followed by a shared holder? Rules of 5.10. */
  readonly #strong: boolean;
  readonly #parent = new Int32Array(CLASSES_MAX);
  readonly #edge = new Int32Array(CLASSES_MAX);
  readonly #only = new Uint8Array(CLASSES_MAX);
  readonly #visited = new Uint32Array(CLASSES_MAX);
  readonly #queue = new Int32Array(CLASSES_MAX);
  #search = 0;

  constructor(area: Area, strong: boolean) {
    this.#area = area;
    this.#strong = strong;
  }

  /**
   * The nearest class from @root on, itself included, that matches. Return: the way to it, root first; null when there is none.
   * @onlyRecursive: how the root counts.
   */
  find(root: number, direction: Direction, onlyRecursive: boolean, match: Match): Hop[] | null {
    const area = this.#area;
    this.#search++;
    let [head, tail] = [0, 0];
    const add = (id: number, parent: number, edge: number, only: boolean): void => {
      this.#visited[id] = this.#search;
      this.#parent[id] = parent;
      this.#edge[id] = edge;
      this.#only[id] = only ? 1 : 0;
      this.#queue[tail++] = id;
    };
    add(root, 0, 0, onlyRecursive);
    while (head < tail) {
      const id = this.#queue[head++] as number;
      const only = this.#only[id] !== 0;
      if (match(id, only)) return this.#way(id);
      for (let edge = area.classWord(id, direction); edge !== 0; edge = area.edgeWord(edge, Edge.next)) {
        const target = area.edgeWord(edge, Edge.target);
        if (this.#visited[target] === this.#search) continue;
        let kinds = area.edgeWord(edge, Edge.kinds);
        if (this.#strong && only) kinds &= ~STARTS_SHARED;
        if (kinds !== 0) add(target, id, edge, this.#strong && (kinds & ENDS_NON_RECURSIVE) === 0);
      }
    }
    return null;
  }

  #way(id: number): Hop[] {
    const hops: Hop[] = [];
    for (let at = id; at !== 0; at = this.#parent[at] as number)
      hops.unshift({ id: at, edge: this.#edge[at] as number });
    return hops;
  }

  /** How many classes can be reached, the class itself included. */
  closure(id: number, direction: Direction): number {
    let count = 0;
    this.find(id, direction, false, () => {
      count++;
      return false;
    });
    return count;
  }

  edgeTo(id: number, direction: Direction, target: number): number {
    let edge = this.#area.classWord(id, direction);
    while (edge !== 0 && this.#area.edgeWord(edge, Edge.target) !== target) {
      edge = this.#area.edgeWord(edge, Edge.next);
    }
    return edge;
  }

  /** Remember that @next was taken with @prev held. Return: false when there is no room. The area's lock is held. */
  add(prev: number, next: number, distance: number, stack: number, kinds: number, reverse: number): boolean {
    const known = this.edgeTo(prev, Class.after, next);
    if (known !== 0) {
      const back = this.edgeTo(next, Class.before, prev);
      if (distance === 1) for (const edge of [known, back]) this.#area.setEdgeWord(edge, Edge.distance, 1);
      this.#area.setEdgeWord(known, Edge.kinds, this.#area.edgeWord(known, Edge.kinds) | kinds);
      this.#area.setEdgeWord(back, Edge.kinds, this.#area.edgeWord(back, Edge.kinds) | reverse);
      return true;
    }
    return (
      this.#insert(prev, Class.after, next, distance, stack, kinds) &&
      this.#insert(next, Class.before, prev, distance, stack, reverse)
    );
  }

  /** At the end of the list: searches meet the edges in the order of their making. */
  #insert(id: number, direction: Direction, target: number, distance: number, stack: number, kinds: number): boolean {
    const area = this.#area;
    const edge = area.take(Head.edges, EDGES_MAX);
    if (edge === 0) return false;
    area.setEdgeWord(edge, Edge.target, target);
    area.setEdgeWord(edge, Edge.next, 0);
    area.setEdgeWord(edge, Edge.distance, distance);
    area.setEdgeWord(edge, Edge.stack, stack);
    area.setEdgeWord(edge, Edge.kinds, kinds);
    let last = area.classWord(id, direction);
    if (last === 0) {
      area.setClassWord(id, direction, edge);
      return true;
    }
    while (area.edgeWord(last, Edge.next) !== 0) last = area.edgeWord(last, Edge.next);
    area.setEdgeWord(last, Edge.next, edge);
    return true;
  }
}
