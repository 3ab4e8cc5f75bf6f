/**
 * Usage bits of a lock class: in which contexts it was taken, and with which of them enabled.
 * Source: kernel/lockdep_states.h, kernel/lockdep_internals.h, Linux 2.6.30; get_usage_chars(), kernel/lockdep.c, Linux 2.6.22.
 */
import type { RuleSet } from './rules.js';

/** What a reader of bits has to know of the rules. */
type Words = Pick<RuleSet, 'oldWords' | 'states'>;

/** STATES in the order of their bits: four each, 4 * state + 2 * (enabled) + (read). */
export const STATES = ['HARDIRQ', 'SOFTIRQ', 'RECLAIM_FS'] as const;
export const State = { hardirq: 0, softirq: 1, reclaim: 2 } as const;

export const READ = 1;
export const ENABLED = 2;
/** "INITIAL USE". */
export const LOCK_USED = 12;

export const bitOf = (state: number, direction: 0 | typeof ENABLED, read: boolean): number =>
  4 * state + direction + (read ? READ : 0);

/** The exclusive bit of the same state in the opposite direction. */
export const exclusiveBit = (bit: number): number => (bit & ~3) | ((bit & ENABLED) ^ ENABLED);

/** Bits of interrupts and reclaim that are no _READ bits. */
export const NO_READ = 0x555;
/** Every USED_IN bit, every ENABLED bit. */
export const USED_IN_ALL = 0x333;
export const ENABLED_ALL = 0xccc;

/** ENABLED bits that contradict USED_IN bits, in both forms, or the other way round. */
export function exclusiveMask(mask: number): number {
  const turned = ((mask & USED_IN_ALL) << 2) | ((mask & ENABLED_ALL) >>> 2);
  return turned | ((turned & ~NO_READ) >>> 1) | ((turned & NO_READ) << 1);
}

/** "IN-HARDIRQ-W"; until 2.6.29 "in-hardirq-W". */
export function usageName(bit: number, { oldWords }: Words): string {
  if (bit === LOCK_USED) return oldWords ? 'initial-use ' : 'INITIAL USE';
  const name = STATES[bit >>> 2] as string;
  const state = oldWords ? name.toLowerCase() : name;
  const kind = (bit & READ) !== 0 ? 'R' : 'W';
  if (oldWords) return (bit & ENABLED) !== 0 ? `${state}-on-${kind}` : `in-${state}-${kind}`;
  return (bit & ENABLED) !== 0 ? `${state}-ON-${kind}` : `IN-${state}-${kind}`;
}

/** "HARDIRQ", or "HARDIRQ-READ" of a _READ bit; until 2.6.29 "hard", "hard-read". */
export function stateName(bit: number, { oldWords }: Words): string {
  const name = STATES[bit >>> 2] as string;
  const state = `${oldWords ? name.replace('IRQ', '') : name}${(bit & READ) !== 0 ? '-READ' : ''}`;
  return oldWords ? state.toLowerCase() : state;
}

/** Of a state and form: used in it, and taken with it enabled. */
function bitsOf(usage: number, state: number, read: number): { used: boolean; on: boolean } {
  const has = (bit: number): boolean => (usage & (1 << bit)) !== 0;
  return { used: has(4 * state + read), on: has(4 * state + ENABLED + read) };
}

/** A character for each pair of bits: two a state. */
export function usageChars(usage: number, { oldWords, states }: Words): string {
  if (oldWords) return oldUsageChars(usage, states);
  let chars = '';
  for (let state = 0; state < states; state++) {
    for (const read of [0, READ]) {
      const { used, on } = bitsOf(usage, state, read);
      chars += used ? (on ? '?' : '-') : on ? '+' : '.';
    }
  }
  return chars;
}

/** Until 2.6.29: the exclusive forms of all states, then those of readers; used in it is `+`, also where it was taken with it enabled as well. */
function oldUsageChars(usage: number, states: number): string {
  let chars = '';
  for (const read of [0, READ]) {
    for (let state = 0; state < states; state++) {
      const { used, on } = bitsOf(usage, state, read);
      chars += used ? (on && read !== 0 ? '?' : '+') : on ? '-' : '.';
    }
  }
  return chars;
}

/** Contexts of an acquisition, as an index of ACQUIRE_BITS. */
export const Ctx = {
  hardirq: 1,
  softirq: 2,
  hardirqsOff: 4,
  softirqsOff: 8,
  read: 16,
  trylock: 32,
  reclaim: 64,
} as const;

/**
 * Bits that an acquisition sets, in the order in which they are looked at: USED_IN unless it is a trylock, then ENABLED of what is enabled.
 * Source: mark_irqflags(), __lock_acquire(), Linux 2.6.30.
 */
export const ACQUIRE_BITS: readonly (readonly number[])[] = Array.from({ length: 128 }, (_, ctx) => {
  const has = (bit: number): boolean => (ctx & bit) !== 0;
  const read = has(Ctx.read);
  const bits: number[] = [];
  if (!has(Ctx.trylock)) {
    if (has(Ctx.hardirq)) bits.push(bitOf(State.hardirq, 0, read));
    if (has(Ctx.softirq)) bits.push(bitOf(State.softirq, 0, read));
  }
  if (!has(Ctx.hardirqsOff)) {
    bits.push(bitOf(State.hardirq, ENABLED, read));
    if (!has(Ctx.softirqsOff)) bits.push(bitOf(State.softirq, ENABLED, read));
  }
  if (!has(Ctx.trylock) && has(Ctx.reclaim)) bits.push(bitOf(State.reclaim, 0, read));
  bits.push(LOCK_USED);
  return bits;
});

/** The same as masks. */
export const ACQUIRE_MASKS = new Int32Array(
  ACQUIRE_BITS.map((bits) => bits.reduce((mask, bit) => mask | (1 << bit), 0)),
);
