/**
 * Data races in parallel mode, by sampling: now and then a thread stands still before a plain load and lets all others know; whoever stores to
 * the same bytes meanwhile is the other half of a race. Source: kernel/kcsan/core.c, Linux 5.10, with the options of lib/Kconfig.kcsan at their
 * defaults: plain stores of a word count as atomic, and an access whose value did not change is not reported; spec/checkers.md §5.2. By the rules of
 * `kcsan-strict` plain stores are watched as well, and values do not matter. Whoever asserts that it is alone is watched in any case.
 * Differs: watchpoints are at physical addresses, so an alias does not hide a race; what page contents hold is not compared.
 */
import { lockWord, unlockWord } from '../../cpu/hostlock.js';
import { Control, Stage } from '../../cpu/hw.js';
import type { Kernel } from '../../cpu/kernel.js';
import { Ev } from '../../cpu/tracer.js';
import { Exclusive, How } from '../../shared/access.js';
import { HARDIRQ_MASK } from '../../shared/irqflags.js';
import { Point } from '../../shared/point.js';
import { Prng } from '../../shared/prng.js';
import { Area, Head, WATCHPOINTS, Watched, Watchpoint, WatchState } from './area.js';
import { Contexts } from './contexts.js';
import { Access, assertionOf, isAssertion, type Side } from './detector.js';
import { ADDRESSES, bytesOf, physicalOf } from './place.js';
import type { RacesOptions, RaceWatch } from './races.js';
import { Reporter } from './report.js';
import { raceRulesOf } from './rules.js';

/** Plain loads from one watchpoint to the next, on average. KCSAN's 4000 is for a kernel that runs for hours. */
const SKIP = 200;
/** How long a thread stands still, and an interrupt. Longer than KCSAN's 80 and 20 us: the others may have to be woken by the host. */
const DELAY_MS = 0.2;
const DELAY_IRQ_MS = 0.05;
/** Rounds of a wait for who has met a watchpoint and is about to say so. */
const TELL_ROUNDS = 200;
/** Bytes of a word that is asserted something of. */
const WORD = 4;
/** Slots that are tried, beginning with the page's own. */
const NEIGHBOURS = 3;

/** What somebody stands still for. */
interface Watch {
  readonly addr: number;
  readonly bytes: number;
  readonly access: Access;
  /** Of an assertion: the bits that it is about. */
  readonly mask: number;
}

/** Whose other half is any access, rather than a store. */
const byAll = (access: Access): boolean =>
  access === Access.write || access === Access.assertNoAccesses || access === Access.assertNoAccessesScoped;

export class Watchpoints implements RaceWatch {
  readonly #k: Kernel;
  readonly #area: Area;
  readonly #words: Int32Array;
  readonly #contexts: Contexts;
  readonly #reporter: Reporter;
  readonly #stack: () => readonly string[];
  readonly #prng: Prng;
  readonly suspects = false;
  readonly #strict: boolean;
  #skip: number;
  #softirqs = 0;
  /** Is it known that accesses race, here and in the contexts that were interrupted? */
  #expected = 0;
  readonly #interrupted: number[] = [];

  constructor(k: Kernel, options: RacesOptions) {
    this.#k = k;
    this.#words = k.hw;
    this.#contexts = new Contexts(k.config);
    this.#area = new Area(k.hw, k.layout.races, this.#contexts.count);
    this.#reporter = new Reporter(k, this.#area, this.#contexts, options);
    this.#stack = options.stack;
    this.#strict = raceRulesOf(k.config) === 'kcsan-strict';
    this.#prng = new Prng(k.config.seed * 64 + 32 + k.slot);
    this.#skip = this.#prng.below(SKIP * 2);
  }

  get headline(): string {
    return this.#area.texts.text(this.#area.head(Head.headline));
  }

  get run(): number {
    return this.#area.head(Head.stamp);
  }

  restart(again: boolean): void {
    this.#softirqs = 0;
    this.#expected = 0;
    this.#interrupted.length = 0;
    this.#area.restart(again);
    if (this.#strict) this.#area.setHead(Head.loadsMeet, 1);
  }

  stands(): void {}

  event(what: Ev, a: number, b: number, c: number): void {
    if (what === Ev.exclusive) this.#exclusive(a, b, c);
    else if (what === Ev.dataRace) this.#expected = a;
    else if (what === Ev.irqEnter) this.#interrupted.push(this.#expected);
    else if (what === Ev.irqExit) this.#expected = this.#interrupted.pop() ?? 0;
    else if (what === Ev.softirqEnter) this.#softirqs++;
    else if (what === Ev.softirqExit) this.#softirqs--;
  }

  step(kind: Point, addr: number, how: number): void {
    if (this.#words[Control.stage] !== Stage.threads || (how & How.lock) !== 0) return;
    if (this.#expected !== 0 && kind !== Point.Atomic) return;
    switch (kind) {
      case Point.Load:
      case Point.CachedLoad:
        this.#load(addr, how, (how & How.marked) === 0);
        return;
      case Point.Store:
      case Point.CachedStore:
        this.#store(addr, how, (how & How.marked) === 0);
        return;
      case Point.Atomic:
        if (addr >= ADDRESSES) this.#meet(addr, 0, Access.readWriteMarked);
        return;
    }
  }

  #load(addr: number, how: number, plain: boolean): void {
    if (this.#area.head(Head.loadsMeet) !== 0) this.#meet(addr, how, plain ? Access.read : Access.readMarked);
    if (plain && this.#skip-- <= 0) this.#watch({ addr, bytes: bytesOf(how), access: Access.read, mask: 0 });
  }

  #store(addr: number, how: number, plain: boolean): void {
    this.#meet(addr, how, plain ? Access.write : Access.writeMarked);
    if (plain && this.#strict && this.#skip-- <= 0) {
      this.#watch({ addr, bytes: bytesOf(how), access: Access.write, mask: 0 });
    }
  }

  /** Where somebody asserts that he is alone he stands still each time: there are few such places. */
  #exclusive(addr: number, what: number, mask: number): void {
    if (this.#words[Control.stage] !== Stage.threads) return;
    if ((what & Exclusive.access) !== 0) this.#area.setHead(Head.loadsMeet, 1);
    this.#watch({ addr, bytes: WORD, access: assertionOf(what), mask });
  }

  get #me(): number {
    const { preemptCount, cpu, slot } = this.#k;
    if ((preemptCount & HARDIRQ_MASK) !== 0) return this.#contexts.hardirq(cpu);
    return this.#softirqs > 0 ? this.#contexts.softirq(cpu) : slot;
  }

  #slot(pa: number, neighbour: number): number {
    return this.#area.watchpoints + (((pa >>> 12) + neighbour) & (WATCHPOINTS - 1)) * Watchpoint.words;
  }

  // ---- a store -----------------------------------------------------------------------------------------------------

  /** Does somebody watch these bytes, whom this access meets? Two plain loads never meet. */
  #meet(addr: number, how: number, access: Access): void {
    const words = this.#words;
    const pa = physicalOf(this.#k, addr);
    if (pa < 0) return;
    const bytes = bytesOf(how);
    for (let neighbour = 0; neighbour < NEIGHBOURS; neighbour++) {
      const at = this.#slot(pa, neighbour);
      if (words[at + Watchpoint.state] !== WatchState.watching) continue;
      const from = (words[at + Watchpoint.address] as number) >>> 0;
      if (pa + bytes <= from || from + (words[at + Watchpoint.bytes] as number) <= pa) continue;
      if (access < Access.write && words[at + Watchpoint.kind] === Watched.byStores) continue;
      const state = at + Watchpoint.state;
      if (Atomics.compareExchange(words, state, WatchState.watching, WatchState.consumed) !== WatchState.watching) {
        continue;
      }
      this.#tell(at, access, bytes, addr);
      return;
    }
  }

  #tell(at: number, access: Access, bytes: number, addr: number): void {
    const words = this.#words;
    const stack = this.#stack().join('\n');
    words[at + Watchpoint.context] = this.#me;
    words[at + Watchpoint.what] = access | (bytes << 8);
    words[at + Watchpoint.virtual] = addr;
    this.#locked(() => {
      words[at + Watchpoint.stack] = this.#area.texts.keep(stack);
    });
    Atomics.store(words, at + Watchpoint.state, WatchState.told);
  }

  #locked(act: () => void): void {
    const lock = this.#area.base + Head.lock;
    lockWord(this.#words, lock);
    act();
    unlockWord(this.#words, lock);
  }

  // ---- a load that is watched --------------------------------------------------------------------------------------

  #watch(watched: Watch): void {
    const { addr, bytes, access } = watched;
    this.#skip = 1 + this.#prng.below(SKIP * 2);
    const words = this.#words;
    const pa = physicalOf(this.#k, addr);
    const at = pa < 0 ? 0 : this.#take(pa);
    if (at === 0) return;
    const state = at + Watchpoint.state;
    words[at + Watchpoint.address] = pa;
    words[at + Watchpoint.bytes] = bytes;
    words[at + Watchpoint.kind] = byAll(access) ? Watched.byAll : Watched.byStores;
    const before = this.#value(addr, bytes);
    Atomics.store(words, state, WatchState.watching);
    const inIrq = this.#me >= this.#k.config.threadsMax;
    Atomics.wait(words, this.#area.base + Head.full, 0, this.#prng.below(2) + (inIrq ? DELAY_IRQ_MS : DELAY_MS));
    const after = this.#value(addr, bytes);
    if (Atomics.compareExchange(words, state, WatchState.watching, WatchState.setup) !== WatchState.watching) {
      const other = this.#told(at);
      if (other !== null && this.#counts(watched, before, after)) this.#report(pa, watched, other, before, after);
    }
    Atomics.store(words, state, WatchState.free);
  }

  /** Is what has met the watchpoint a race, by what became of the value? */
  #counts({ access, mask }: Watch, before: number | null, after: number | null): boolean {
    if (before === null || after === null) return true;
    if (isAssertion(access)) return mask === -1 || ((before ^ after) & mask) !== 0;
    return this.#strict || before !== after;
  }

  /** A free slot for an address; 0 when there is none. */
  #take(pa: number): number {
    for (let neighbour = 0; neighbour < NEIGHBOURS; neighbour++) {
      const at = this.#slot(pa, neighbour);
      const state = at + Watchpoint.state;
      if (Atomics.compareExchange(this.#words, state, WatchState.free, WatchState.setup) === WatchState.free) return at;
    }
    return 0;
  }

  /** What static memory holds; null for page contents. */
  #value(addr: number, bytes: number): number | null {
    const { staticBase, staticBytes, words } = this.#k;
    const offset = addr - staticBase;
    if (offset < 0 || offset >= staticBytes) return null;
    const word = words[offset >>> 2] as number;
    return bytes === 4 ? word >>> 0 : (word >>> ((offset & 3) * 8)) & (bytes === 1 ? 0xff : 0xffff);
  }

  /** Who has met the watchpoint; null when that takes too long: it has been called off. */
  #told(at: number): Side | null {
    const words = this.#words;
    for (let round = 0; Atomics.load(words, at + Watchpoint.state) !== WatchState.told; round++) {
      if (round === TELL_ROUNDS) return null;
      Atomics.wait(words, at + Watchpoint.state, WatchState.consumed, 1);
    }
    const what = words[at + Watchpoint.what] as number;
    const text = this.#area.texts.text(words[at + Watchpoint.stack] as number);
    return {
      context: words[at + Watchpoint.context] as number,
      access: (what & 0xff) as Access,
      address: (words[at + Watchpoint.virtual] as number) >>> 0,
      bytes: what >>> 8,
      stack: text === '' ? [] : text.split('\n'),
    };
  }

  #report(pa: number, watched: Watch, before: Side, old: number | null, value: number | null): void {
    const { addr: address, bytes, access } = watched;
    const now: Side = { context: this.#me, access, address, bytes, stack: this.#stack() };
    const hex = (word: number): string => `0x${word.toString(16).padStart(bytes * 2, '0')}`;
    const isSame = old === null || value === null || old === value;
    const changed = isSame ? [] : ['', `value changed: ${hex(old)} -> ${hex(value)}`];
    this.#locked(() => this.#reporter.report({ key: pa >>> 2, before, now }, changed));
  }
}
