/**
 * Who waits for whom: exact deadlock detection from what each thread holds and waits for, and the state of the machine as text.
 *
 * A thread that spins on a lock waits for its holders; one that waits for an inter-processor call waits for the CPUs that have not
 * answered and cannot, because their interrupts are masked. A cycle of such waits never ends.
 */

import type { MachineConfig } from '../cpu/config.js';
import { deviceWaits } from '../cpu/device.js';
import type { HwLayout } from '../cpu/hw.js';
import { HELD_MASK, Seat, Thread, WaitKind } from '../cpu/hw.js';
import type { Symbols } from '../shared/kernel-base.js';
import { hex8 } from '../shared/types.js';

export interface MachineView {
  readonly hw: Int32Array;
  /** Physical memory, from PAGE_OFFSET on. */
  readonly words: Int32Array;
  readonly layout: HwLayout;
  readonly config: MachineConfig;
  readonly sym: Readonly<Symbols>;
}

const seatOf = (m: MachineView, cpu: number): number => m.layout.seats + cpu * Seat.words;
const threadOf = (m: MachineView, slot: number): number => m.layout.threads + slot * Thread.words;
const at = (m: MachineView, index: number): number => Atomics.load(m.hw, index);

/** Addresses of the locks that a thread holds, the first in front. */
export function heldBy(m: MachineView, slot: number): number[] {
  const held = threadOf(m, slot) + Thread.held;
  const words = Array.from({ length: HELD_MASK + 1 }, (_, i) => at(m, held + i) >>> 0);
  return words.filter((addr) => addr !== 0);
}

function holdersOf(m: MachineView, lock: number): number[] {
  const out: number[] = [];
  for (let slot = 0; slot < m.config.threadsMax; slot++) if (heldBy(m, slot).includes(lock >>> 0)) out.push(slot);
  return out;
}

/** Threads that must move before @slot can. */
function waitsFor(m: MachineView, slot: number): number[] {
  const base = threadOf(m, slot);
  const kind = at(m, base + Thread.waitKind);
  if (kind === WaitKind.lock) {
    const lock = at(m, base + Thread.waitOn) >>> 0;
    // A reader that waits for a writer does not wait for the readers that came after it: it has only not looked again.
    // What it waits for may change between two of these reads: then the address is none, and so is the word.
    const word = m.words[(lock - m.config.pageOffset) >>> 2];
    return word === at(m, base + Thread.waitSeen) ? holdersOf(m, lock) : [];
  }
  if (kind === WaitKind.ipi) return unansweredBy(m, at(m, base + Thread.cpu));
  // A sleeper that waits for a lock; what else sleepers wait for nobody knows.
  const slept = at(m, base + Thread.waitOn) >>> 0;
  return kind === WaitKind.sleep && slept !== 0 ? holdersOf(m, slept) : [];
}

/**
 * The threads of CPUs that have a call of @cpu pending and their interrupts masked. A thread that goes to sleep or comes back from it has them masked as
 * long as the change takes, whatever it waits for: the CPU answers then.
 */
function unansweredBy(m: MachineView, cpu: number): number[] {
  const out: number[] = [];
  for (let other = 0; other < m.config.cpus; other++) {
    const seat = seatOf(m, other);
    const pending = (at(m, seat + Seat.callFrom) >>> cpu) & 1;
    if (pending === 0 || at(m, seat + Seat.irqsOff) === 0) continue;
    const current = at(m, seat + Seat.current);
    if (at(m, threadOf(m, current) + Thread.waitKind) !== WaitKind.sleep) out.push(current);
  }
  return out;
}

/** A cycle of waits through @start, as slots in order, or null. */
export function findCycle(m: MachineView, start: number): number[] | null {
  const path: number[] = [];
  const visit = (slot: number): boolean => {
    if (path.includes(slot)) return slot === start;
    path.push(slot);
    if (waitsFor(m, slot).some(visit)) return true;
    path.pop();
    return false;
  };
  return visit(start) ? path : null;
}

/** A cycle of waits anywhere, when nobody moves any more. */
export function anyCycle(m: MachineView): number[] | null {
  for (let slot = 0; slot < m.config.threadsMax; slot++) {
    const cycle = findCycle(m, slot);
    if (cycle !== null) return cycle;
  }
  return null;
}

/** Name of a static object: 'kmap_lock', 'page_address_htable+0x48'. */
export function symbolOf(m: { readonly sym: Readonly<Symbols> }, addr: number): string {
  let best = '';
  let bestAt = 0;
  for (const [name, value] of Object.entries(m.sym)) {
    if (value <= addr && value >= bestAt) {
      best = name;
      bestAt = value;
    }
  }
  if (best === '') return hex8(addr);
  if (best.endsWith('[]')) return `${best.slice(0, -2)}[${(addr - bestAt) >>> 2}]`;
  return addr === bestAt ? best : `${best}+0x${(addr - bestAt).toString(16)}`;
}

/** symbolOf() of what a loop of cpu_relax() waits for: a word of `k.vars` goes by its place in the hardware area. */
export function waitedFor(m: Pick<MachineView, 'sym' | 'layout' | 'config'>, on: number): string {
  const { raceVars } = m.layout;
  return on >= raceVars && on < m.config.pageOffset ? `k.vars, word ${on - raceVars}` : symbolOf(m, on);
}

/** What a thread waits for, and who has it. */
export function waitText(m: MachineView, slot: number): string {
  const base = threadOf(m, slot);
  const kind = at(m, base + Thread.waitKind);
  const on = at(m, base + Thread.waitOn) >>> 0;
  if (kind === WaitKind.lock || (kind === WaitKind.sleep && on !== 0)) {
    const holders = holdersOf(m, on).map((s) => `thread${s} on CPU${at(m, threadOf(m, s) + Thread.cpu)}`);
    const how = kind === WaitKind.lock ? 'spins on' : 'sleeps on';
    return `${how} ${waitedFor(m, on)}${holders.length === 0 ? '' : `, held by ${holders.join(', ')}`}`;
  }
  if (kind === WaitKind.ipi) return 'waits for other CPUs to answer an inter-processor call';
  if (kind === WaitKind.sleep) return 'sleeps and has not been woken';
  return 'runs';
}

/**
 * One line for each CPU, each thread that is not running on one, and each device that waits: what it holds and waits for. @hasBegun: has the thread made
 * a step? Where nobody knows, it has.
 */
export function describeMachine(m: MachineView, hasBegun: (slot: number) => boolean = () => true): string[] {
  const lines: string[] = [];
  const line = (slot: number, where: string): string => {
    const held = heldBy(m, slot).map((lock) => symbolOf(m, lock));
    const does = hasBegun(slot) ? waitText(m, slot) : 'has not begun';
    return `${where} ${does}; holds ${held.length === 0 ? 'no lock' : held.join(', ')}`;
  };
  const shown = new Set<number>();
  for (let cpu = 0; cpu < m.config.cpus; cpu++) {
    const seat = seatOf(m, cpu);
    const slot = at(m, seat + Seat.current);
    const irqs = at(m, seat + Seat.irqsOff) === 0 ? 'on' : 'off';
    const inIrq = at(m, seat + Seat.irqDepth) > 0 ? ', in an interrupt' : '';
    const idle = at(m, seat + Seat.idle) !== 0;
    shown.add(slot);
    if (idle && at(m, threadOf(m, slot) + Thread.waitKind) !== WaitKind.sleep) {
      lines.push(`CPU${cpu}: idle, interrupts ${irqs}`);
    } else lines.push(line(slot, `CPU${cpu}: thread${slot} (interrupts ${irqs}${inIrq}${idle ? ', CPU idle' : ''})`));
  }
  for (let slot = 0; slot < m.config.threadsMax; slot++) {
    const base = threadOf(m, slot);
    if (shown.has(slot) || at(m, base + Thread.state) !== 1) continue;
    const kind = at(m, base + Thread.waitKind);
    if (kind === WaitKind.none && at(m, base + Thread.onRq) !== 0) continue;
    lines.push(line(slot, `off CPU${at(m, base + Thread.cpu)}: thread${slot}`));
  }
  for (let i = 0; i < m.config.devicesMax; i++)
    if (deviceWaits(m.hw, m.layout, i)) lines.push(`device${i}: waits for its doorbell`);
  return lines;
}
