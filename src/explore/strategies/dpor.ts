/**
 * Dynamic partial-order reduction: of all schedules that differ only in the order of steps that do not touch the same thing, one.
 *
 * Source sets with sleep sets. Source: Abdulla, Aronis, Jonsson and Sagonas, "Source sets: a foundation for optimal dynamic partial order
 * reduction", J. ACM 64(4), 2017, algorithm 1 and its section on locks; Flanagan and Godefroid, POPL 2005, for "may be co-enabled".
 *
 * Two steps depend on each other when both touch the same thing and one changes it; what a step touches is noted while it runs
 * (`Footprint`), so nothing is left to a list of kinds. An interrupt depends on every step of its CPU: it is tried between all of them. What a context does
 * inside an interrupt, or to be preempted, belongs to the process of that: the step that it would have made otherwise comes later, and races with the interrupt.
 * One that comes inside another is a process of its own, and races with the steps of the outer one.
 */
import { Space, touchedId } from '../../shared/footprint.js';
import { Point } from '../../shared/point.js';
import { Choice, OTHERS_PREEMPT } from '../shared-state.js';
import type { Execution, Situation, StepRecord, Strategy, StrategyOptions, StrategyStats } from '../strategy.js';
import { hashOf, hashStep, isMine } from './dfs.js';
import { canonicalOrder, shuffleKey } from './order.js';

/** Decisions by which the space is divided into parts for shards: all choices are tried there. */
const SHARD_DEPTH = 6;
/** Shared words: number of sleepers, path hash, then a head for each sleeper, then their footprints. */
const SLEEPERS = 0;
const HEADS = 8;
/** Words of a head: choice, alive, first word, number of words. */
const HEAD_WORDS = 4;

type Touched = Int32Array;

/** A place where another choice may have to be tried. */
interface Node {
  readonly step: number;
  readonly decision: number;
  readonly enabled: readonly number[];
  readonly backtrack: Set<number>;
  /** Choices tried, with what their step touched. */
  readonly done: Map<number, Touched>;
  readonly sleep: Map<number, Touched>;
}

interface Event extends StepRecord {
  readonly touched: Touched;
  /** For each process that there was then, the index after its last event that happens before or is this one. */
  readonly clock: Int32Array;
  readonly process: number;
  /** More than one could go on. */
  readonly decided: boolean;
  readonly node: Node | null;
}

/** Do two steps of different contexts touch the same thing, one of them changing it? */
export function dependent(a: Touched, b: Touched): boolean {
  const [few, many] = a.length <= b.length ? [a, b] : [b, a];
  if (few.length === 0) return false;
  if (few.length * many.length <= 64) {
    for (const x of few) for (const y of many) if ((x ^ y) >>> 1 === 0 && ((x | y) & 1) === 1) return true;
    return false;
  }
  const changes = new Map<number, number>();
  for (const x of few) changes.set(x >>> 1, (changes.get(x >>> 1) ?? 0) | (x & 1));
  for (const y of many) {
    const x = changes.get(y >>> 1);
    if (x !== undefined && ((x | y) & 1) === 1) return true;
  }
  return false;
}

interface SavedNode {
  readonly step: number;
  readonly decision: number;
  readonly choice: number;
  readonly enabled: readonly number[];
  readonly backtrack: readonly number[];
  readonly done: readonly (readonly [number, readonly number[]])[];
  readonly sleep: readonly (readonly [number, readonly number[]])[];
}

interface Saved {
  readonly prefix: number[];
  readonly branch: number;
  readonly next: number;
  readonly nodes: readonly SavedNode[];
  readonly exhausted: boolean;
  readonly counts: StrategyStats;
}

const CPUS = Choice.preempt - Choice.irq;
const NOTHING = new Int32Array(0);
/** A change of the run queue or the interrupt lines of each CPU, and of what its stack holds. */
const SEATS = Array.from({ length: CPUS }, (_, cpu) => touchedId(Space.seat, cpu) | 1);
const STACKS = Array.from({ length: CPUS }, (_, cpu) => touchedId(Space.stack, cpu) | 1);

export class Dpor implements Strategy {
  readonly name = 'dpor';
  readonly exhausts = true;
  readonly wants = { footprints: true, everyStep: true };
  readonly #o: StrategyOptions;
  readonly #events: Event[] = [];
  /** Events that touched a thing, oldest first: index, with bit 0 for a change. */
  readonly #history = new Map<number, number[]>();
  /** Processes by what they are, see `processOf()`: numbers in the order in which they turn up. */
  readonly #processes = new Map<number, number>();
  /** Last event of each process, or -1. */
  readonly #last: number[] = [];
  /** Last event of each context, by how many interrupts and preemptions it was inside; of those that it is not inside any more, too. */
  readonly #lastAt: number[][] = Array.from({ length: Choice.count }, () => []);
  #prefix: number[] = [];
  /** Step at which the next execution leaves the last one. */
  #branch = 0;
  #next = -1;
  #branchNode: Node | null = null;
  /** Nodes of the steps before `#branch` that a checkpoint has brought, by step. */
  #restored = new Map<number, Node>();
  #exhausted = false;
  #classes = 0;
  #blocked = 0;
  #races = 0;

  constructor(options: StrategyOptions) {
    this.#o = options;
    const saved = options.state as Saved | null;
    if (saved !== null) this.#restore(saved);
  }

  begin(shared: Int32Array, _execution: number, prefix: Int32Array): number {
    prefix.set(this.#prefix);
    shared[SLEEPERS] = 0;
    shared[1] = hashOf(this.#prefix.slice(0, SHARD_DEPTH));
    const node = this.#branchNode;
    if (node !== null) this.#putToSleep(shared, node);
    return this.#prefix.length;
  }

  /** Who sleeps when the branch is left: those that slept there, and those tried there before. */
  #putToSleep(shared: Int32Array, node: Node): void {
    let at = HEADS + Choice.count * HEAD_WORDS;
    let count = 0;
    for (const [choice, touched] of [...node.sleep, ...node.done]) {
      if (choice === this.#next) continue;
      const head = HEADS + count * HEAD_WORDS;
      const fits = at + touched.length <= shared.length;
      shared[head] = choice;
      // One whose steps do not fit is woken: it costs executions, nothing else.
      shared[head + 1] = fits ? 1 : 0;
      shared[head + 2] = at;
      shared[head + 3] = touched.length;
      if (fits) {
        shared.set(touched, at);
        at += touched.length;
      }
      count++;
    }
    shared[SLEEPERS] = count;
  }

  choose(shared: Int32Array, s: Situation): number {
    const { shards, shard, shuffle, seed } = this.#o;
    if (s.count > 1 && shards > 1 && s.decision === SHARD_DEPTH && !isMine(shared[1] as number, shard, shards))
      return -1;
    if ((shared[SLEEPERS] as number) > 0 && s.step > 0) this.#wake(shared, s.touched(s.step - 1));
    let best = -1;
    let key = Number.POSITIVE_INFINITY;
    for (let i = 0; i < s.count; i++) {
      const choice = s.choices[i] as number;
      if (this.#sleeps(shared, choice)) continue;
      const own = shuffle ? shuffleKey(seed, s.step, choice) : i;
      if (own >= key) continue;
      key = own;
      best = choice;
    }
    if (s.count > 1 && s.decision < SHARD_DEPTH && best >= 0) shared[1] = hashStep(shared[1] as number, best);
    return best;
  }

  #wake(shared: Int32Array, touched: Touched): void {
    for (let i = 0; i < (shared[SLEEPERS] as number); i++) {
      const head = HEADS + i * HEAD_WORDS;
      if (shared[head + 1] === 0) continue;
      const from = shared[head + 2] as number;
      if (dependent(touched, shared.subarray(from, from + (shared[head + 3] as number)))) shared[head + 1] = 0;
    }
  }

  #sleeps(shared: Int32Array, choice: number): boolean {
    for (let i = 0; i < (shared[SLEEPERS] as number); i++) {
      const head = HEADS + i * HEAD_WORDS;
      if (shared[head] === choice && shared[head + 1] !== 0) return true;
    }
    return false;
  }

  // ---- after an execution ------------------------------------------------------------------------------------------

  end(execution: Execution): boolean {
    if (execution.abandoned) this.#blocked++;
    else if (this.counts(execution)) this.#classes++;
    this.#truncate(this.#branch);
    let decision = 0;
    let sleep = new Map<number, Touched>();
    const steps = execution.steps;
    for (let i = 0; i < this.#events.length; i++) if ((this.#events[i] as Event).decided) decision++;
    for (let i = this.#events.length; i < steps; i++) {
      const record = execution.step(i);
      const touched = execution.touched(i).slice();
      const decided = decision < execution.decisions && execution.decision(decision).step === i;
      const node = this.#nodeAt(i, record, decided ? decision : -1, sleep, execution);
      if (decided) decision++;
      this.#append(record, touched, decided, node, execution);
      if (node !== null) {
        node.done.set(record.choice, touched);
        // Whoever was tried here before sleeps on the way down from here.
        const below = new Map(node.sleep);
        for (const [choice, was] of node.done) if (choice !== record.choice) below.set(choice, was);
        sleep = below;
      }
      for (const [choice, was] of sleep) if (choice === record.choice || dependent(was, touched)) sleep.delete(choice);
    }
    if (execution.cut) this.#othersBeforeLast();
    return this.#advance();
  }

  /** The last step failed, and hid what the others would have done after it: have them do it before. */
  #othersBeforeLast(): void {
    const node = this.#events.at(-1)?.node ?? null;
    if (node !== null) for (const choice of node.enabled) node.backtrack.add(choice);
  }

  #nodeAt(
    step: number,
    record: StepRecord,
    decision: number,
    sleep: Map<number, Touched>,
    execution: Execution,
  ): Node | null {
    if (step === this.#branch && this.#branchNode !== null) return this.#branchNode;
    const restored = this.#restored.get(step);
    if (restored !== undefined && step < this.#branch) return restored;
    if (decision < 0) return null;
    const enabled = canonicalOrder({ ...execution.decision(decision), current: -1 });
    const all = this.#o.shards > 1 && decision < SHARD_DEPTH;
    return {
      step,
      decision,
      enabled,
      backtrack: new Set(all ? enabled : [record.choice, ...optional(enabled, record.choice, execution)]),
      done: new Map(),
      sleep: new Map(sleep),
    };
  }

  #append(record: StepRecord, touched: Touched, decided: boolean, node: Node | null, execution: Execution): void {
    const index = this.#events.length;
    const process = this.#process(processOf(record));
    const past = this.#pastOf(this.#last[process] as number);
    const clock = new Int32Array(this.#last.length);
    join(clock, past);
    this.#joinInner(clock, record);
    const reach = clock.slice();
    const found = this.#dependentOn(touched, past);
    const races = this.#racesOf(found, index, record, past, reach, touched, execution);
    for (const e of found) join(clock, (this.#events[e] as Event).clock);
    clock[process] = index + 1;
    this.#events.push({ ...record, touched, clock, process, decided, node });
    this.#last[process] = index;
    this.#goOn(record, index);
    for (const id of touched) {
      const list = this.#history.get(id >>> 1);
      if (list === undefined) this.#history.set(id >>> 1, [(index << 1) | (id & 1)]);
      else if (list.at(-1)! >>> 1 === index) list[list.length - 1]! |= id & 1;
      else list.push((index << 1) | (id & 1));
    }
    const called = this.#calledUp(record, touched, execution);
    // What a checkpoint has brought is gone through again, and was counted then.
    if (index >= this.#branch) this.#races += races + called;
  }

  /** Number of a process. */
  #process(key: number): number {
    const known = this.#processes.get(key);
    if (known !== undefined) return known;
    const number = this.#last.push(-1) - 1;
    this.#processes.set(key, number);
    return number;
  }

  /** What interrupted a context has come to its end before the context goes on. */
  #joinInner(clock: Int32Array, { choice, depth }: StepRecord): void {
    if (interrupts(choice)) return;
    const last = this.#lastAt[choice] as number[];
    for (let inner = depth + 1; inner < last.length; inner++) join(clock, this.#pastOf(last[inner] as number));
  }

  #goOn({ choice, depth }: StepRecord, index: number): void {
    if (interrupts(choice)) return;
    const last = this.#lastAt[choice] as number[];
    while (last.length < depth) last.push(-1);
    last[depth] = index;
  }

  /** Events that depend on a step which touches these things and knows of the @past: latest first. */
  #dependentOn(touched: Touched, past: Int32Array): number[] {
    const found: number[] = [];
    for (const id of touched) {
      const list = this.#history.get(id >>> 1);
      if (list === undefined) continue;
      for (let i = list.length - 1; i >= 0; i--) {
        const entry = list[i] as number;
        if (((entry | id) & 1) === 0) continue;
        const e = entry >>> 1;
        if (this.#happensBefore(e, past)) {
          if ((entry & 1) === 1) break;
        } else found.push(e);
      }
    }
    return found.sort((a, b) => b - a);
  }

  /**
   * A step of another CPU, or of a device, that raises a line of a CPU or queues a thread there makes an interrupt or a preemption possible. It may
   * never be taken, or after the interrupt that it could have come inside of, and then no event would race with what that CPU has done before: as if it
   * came at once. Return: how many races that makes.
   */
  #calledUp(record: StepRecord, touched: Touched, execution: Execution): number {
    let races = 0;
    for (let cpu = 0; cpu < CPUS; cpu++) {
      if (!touched.includes(SEATS[cpu] as number)) continue;
      if (record.choice < Choice.device && execution.cpuOf(record.choice) === cpu) continue;
      const things = Int32Array.of(SEATS[cpu] as number, STACKS[cpu] as number);
      for (const choice of execution.preemptible ? [Choice.irq + cpu, Choice.preempt + cpu] : [Choice.irq + cpu]) {
        // Inside of all that the CPU has been interrupted by so far, too.
        for (let depth = 0, come = true; come; depth++) {
          const coming = { ...record, choice, within: 0, depth };
          const last = this.#last[this.#processes.get(processOf(coming)) ?? -1] ?? -1;
          come = last >= 0;
          const past = this.#pastOf(last);
          const found = this.#dependentOn(things, past);
          races += this.#racesOf(found, this.#events.length, coming, past, past, things, execution);
        }
      }
    }
    return races;
  }

  /** What is known behind event @e, or of nothing where there is none. */
  #pastOf(e: number): Int32Array {
    return e < 0 ? NOTHING : this.#clockOf(e);
  }

  #clockOf(e: number): Int32Array {
    return (this.#events[e] as Event).clock;
  }

  /** A clock holds, for each process, the index after its last event that it knows of. */
  #happensBefore(e: number, clock: Int32Array): boolean {
    const { process } = this.#events[e] as Event;
    return process < clock.length && (clock[process] as number) > e;
  }

  /** The races of the event that comes next with those @found to depend on it, latest first. Return: how many. */
  #racesOf(
    found: readonly number[],
    index: number,
    record: StepRecord,
    past: Int32Array,
    reach: Int32Array,
    touched: Touched,
    execution: Execution,
  ): number {
    const known = new Int32Array(this.#last.length);
    join(known, past);
    let races = 0;
    let before = -1;
    for (const e of found) {
      if (e === before || this.#happensBefore(e, known)) continue;
      before = e;
      // It can come before that only by coming before the interrupt.
      if (this.#interrupted(e, record)) continue;
      if (!this.#canComeFirst(e, record, found, execution)) continue;
      races++;
      this.#reverse(e, index, record, reach, touched);
      join(known, (this.#events[e] as Event).clock);
    }
    return races;
  }

  /** Is @e what the step's own context has done inside an interrupt or a preemption before? */
  #interrupted(e: number, { choice, depth }: StepRecord): boolean {
    const event = this.#events[e] as Event;
    return event.depth > depth && event.choice === choice && !interrupts(choice);
  }

  /** Could the step be made before event @e? Not one that waits for what @e, or something after it, has brought about. */
  #canComeFirst(e: number, f: StepRecord, found: readonly number[], execution: Execution): boolean {
    const event = this.#events[e] as Event;
    const { choice } = f;
    const enabledThen = event.node === null ? event.choice === choice : event.node.enabled.includes(choice);
    if (interrupts(choice)) return enabledThen || this.#canInterrupt(e, choice, execution);
    if (f.kind === Point.Lock && event.addr === f.addr) return event.before !== 1;
    if (f.kind === Point.Lock && this.#isUnderLock(e, f.addr, found)) return false;
    const movedSince = (this.#last[this.#process(processOf(f))] as number) > e;
    // What made it possible may have nothing to do with @e: an interrupt of an idle CPU, a wake-up.
    return enabledThen || movedSince || found.some((g) => g > e && !this.#happensBefore(e, this.#clockOf(g)));
  }

  /**
   * Did @e come while the lock was held, and before it was given back? Who takes it later can come before @e only by coming before the one who
   * had it then: that is another race. Not so what is no part of the stretch under the lock and only happened meanwhile.
   */
  #isUnderLock(e: number, lock: number, found: readonly number[]): boolean {
    const unlock = found.findLast((g) => g > e && this.#isOn(lock, g) && this.#happensBefore(e, this.#clockOf(g)));
    return unlock !== undefined && (this.#events[unlock] as Event).before === 1;
  }

  #isOn(lock: number, g: number): boolean {
    return (this.#events[g] as Event).addr === lock;
  }

  /** An interrupt that was not there yet, or masked, can have come first if something between is what brought it, or goes on on its CPU. */
  #canInterrupt(e: number, process: number, execution: Execution): boolean {
    const event = this.#events[e] as Event;
    const cpu = execution.cpuOf(process);
    const masked = ((event.masked >>> cpu) & 1) === 1;
    if (process >= Choice.irq + OTHERS_PREEMPT && event.choice < Choice.irq && execution.cpuOf(event.choice) !== cpu) {
      return false;
    }
    const seat = touchedId(Space.seat, cpu) >>> 1;
    for (let i = e + 1; i < this.#events.length; i++) {
      const between = this.#events[i] as Event;
      if (this.#happensBefore(e, between.clock)) continue;
      if (masked && between.choice < Choice.irq && execution.cpuOf(between.choice) === cpu) return true;
      if (!masked) for (const id of between.touched) if (id >>> 1 === seat && (id & 1) === 1) return true;
    }
    return false;
  }

  /** Somebody has to be tried at @e who leads to the step coming first: an initial of what lies between and does not depend on @e. */
  #reverse(e: number, index: number, f: StepRecord, reach: Int32Array, touched: Touched): void {
    const node = (this.#events[e] as Event).node;
    if (node === null) return;
    const between: Event[] = [];
    const initials = new Set<number>();
    const started = new Set<number>();
    const process = this.#process(processOf(f));
    let blocked = false;
    for (let i = e + 1; i < index; i++) {
      const event = this.#events[i] as Event;
      if (this.#happensBefore(e, event.clock)) continue;
      if (!started.has(event.process)) {
        started.add(event.process);
        const first = !between.some((b) => (event.clock[b.process] as number) >= (b.clock[b.process] as number));
        if (first) initials.add(event.choice);
      }
      between.push(event);
      if (event.process === process || dependent(event.touched, touched)) blocked = true;
    }
    if (!blocked && !between.some((b) => (reach[b.process] as number) >= (b.clock[b.process] as number))) {
      initials.add(f.choice);
    }
    for (const choice of initials) if (node.backtrack.has(choice)) return;
    const wanted = [f.choice, ...initials].find((c) => initials.has(c) && node.enabled.includes(c));
    if (wanted !== undefined) node.backtrack.add(wanted);
    // Nobody of them could go there after all: then everybody is tried.
    else for (const choice of node.enabled) node.backtrack.add(choice);
  }

  /** To the deepest place where somebody is still to be tried. */
  #advance(): boolean {
    for (let i = this.#events.length - 1; i >= 0; i--) {
      const { node } = this.#events[i] as Event;
      if (node === null) continue;
      const next = [...node.backtrack].find((c) => !node.done.has(c) && !node.sleep.has(c));
      if (next === undefined) continue;
      this.#branch = i;
      this.#branchNode = node;
      this.#next = next;
      this.#prefix = [];
      for (let j = 0; j < i; j++) {
        const event = this.#events[j] as Event;
        if (event.decided) this.#prefix.push(event.choice);
      }
      this.#prefix.push(next);
      return true;
    }
    this.#exhausted = true;
    return false;
  }

  /**
   * The part of the tree that lies behind, between 0 and 1, as if all subtrees of a node were alike, and as if nobody were to be added to those who
   * have to be tried there. Sources: Knuth, "Estimating the efficiency of backtrack programs", Math. Comp. 29, 1975; Kilby, Slaney, Thiébaux and
   * Walsh, "Estimating search tree size", AAAI 2006.
   */
  #exploredPart(): number {
    if (this.#exhausted) return 1;
    let part = 1;
    let behind = 0;
    const resumed = this.#events.length === 0;
    for (let i = 0; i <= this.#branch; i++) {
      const node = resumed ? this.#restored.get(i) : this.#events[i]?.node;
      if (node === undefined || node === null) continue;
      const { done, backtrack, sleep } = node;
      let subtrees = done.size;
      for (const choice of backtrack) if (!done.has(choice) && !sleep.has(choice)) subtrees++;
      part /= Math.max(1, subtrees);
      // On the way to the branch one of those that were begun is not through.
      behind += part * (i === this.#branch ? done.size : done.size - 1);
    }
    return behind;
  }

  #truncate(length: number): void {
    while (this.#events.length > length) {
      const index = this.#events.length - 1;
      const event = this.#events.pop() as Event;
      for (const id of event.touched) {
        const list = this.#history.get(id >>> 1);
        if (list !== undefined && list.at(-1)! >>> 1 === index) list.pop();
        if (list?.length === 0) this.#history.delete(id >>> 1);
      }
    }
    this.#last.fill(-1);
    for (const last of this.#lastAt) last.length = 0;
    this.#events.forEach((event, i) => {
      this.#last[event.process] = i;
      this.#goOn(event, i);
    });
  }

  counts(execution: Execution): boolean {
    const { shards, shard } = this.#o;
    if (shards === 1 || execution.decisions > SHARD_DEPTH) return true;
    let hash = hashOf([]);
    for (let i = 0; i < Math.min(execution.decisions, SHARD_DEPTH); i++)
      hash = hashStep(hash, execution.decision(i).choice);
    return isMine(hash, shard, shards);
  }

  stats(): StrategyStats {
    return {
      ...{ classes: this.#classes, sleepBlocked: this.#blocked, races: this.#races },
      exploredPart: this.#exploredPart(),
    };
  }

  save(): Saved {
    const nodes: SavedNode[] = [];
    const plain = (m: Map<number, Touched>): [number, number[]][] => [...m].map(([c, t]) => [c, [...t]]);
    for (let i = 0; i <= this.#branch && i < this.#events.length; i++) {
      const { node, choice } = this.#events[i] as Event;
      if (node === null) continue;
      const { step, decision, enabled } = node;
      nodes.push({
        step,
        decision,
        choice,
        enabled,
        backtrack: [...node.backtrack],
        done: plain(node.done),
        sleep: plain(node.sleep),
      });
    }
    return {
      ...{ prefix: this.#prefix, branch: this.#branch, next: this.#next, nodes },
      ...{ exhausted: this.#exhausted, counts: this.stats() },
    };
  }

  #restore(saved: Saved): void {
    const touched = (list: SavedNode['done']): Map<number, Touched> =>
      new Map(list.map(([choice, words]) => [choice, Int32Array.from(words)]));
    for (const n of saved.nodes) {
      this.#restored.set(n.step, {
        step: n.step,
        decision: n.decision,
        enabled: n.enabled,
        backtrack: new Set(n.backtrack),
        done: touched(n.done),
        sleep: touched(n.sleep),
      });
    }
    const { classes = 0, sleepBlocked = 0, races = 0 } = saved.counts;
    this.#exhausted = saved.exhausted;
    this.#classes = classes;
    this.#blocked = sleepBlocked;
    this.#races = races;
    this.#prefix = saved.prefix;
    this.#branch = saved.branch;
    this.#next = saved.next;
    this.#branchNode = this.#restored.get(saved.branch) ?? null;
  }
}

const interrupts = (choice: number): boolean => choice >= Choice.irq && choice < Choice.device;
/**
 * Whose step it is: a context's own, or that of the interrupt or preemption inside which the context makes it. Of these one that comes inside another is a
 * process of its own.
 */
const processOf = ({ choice, within, depth }: StepRecord): number => {
  if (interrupts(choice)) return (depth << 8) | choice;
  return within === 0 ? choice : ((depth - 1) << 8) | within;
};

/**
 * Interrupts and preemptions of the CPU that makes the step, or the thread that one of them comes before. They race with it, and an execution may come to
 * its end without them, so no later event would say so.
 */
function optional(enabled: readonly number[], choice: number, execution: Execution): number[] {
  if (choice >= Choice.device) return [];
  const cpu = execution.cpuOf(choice);
  const own = interrupts(choice);
  return enabled.filter((c) => c < Choice.device && (own || interrupts(c)) && execution.cpuOf(c) === cpu);
}

function join(into: Int32Array, from: Int32Array): void {
  for (let i = 0; i < into.length; i++) if ((from[i] as number) > (into[i] as number)) into[i] = from[i] as number;
}
