/**
 * Locks between host threads that make a step of the emulated hardware atomic. Kernel code never sees them, no scheduling
 * point lies inside them, and they are held for well under a microsecond.
 */
const SPINS = 100;
const SLEEP_MS = 0.05;
/**
 * On x86 hosts a plain store does not overtake earlier loads and stores, so it releases a lock, at a twentieth of the cost; elsewhere it
 * needs the atomic one. A waiter that the releasing store has not yet reached when it goes to sleep wakes by its timeout.
 */
export const STRONG_STORES = process.arch === 'x64';

export function lockWord(words: Int32Array, index: number): void {
  if (Atomics.compareExchange(words, index, 0, 1) !== 0) lockSlow(words, index);
}

function lockSlow(words: Int32Array, index: number): void {
  for (let spins = 0; Atomics.compareExchange(words, index, 0, 1) !== 0; spins++) {
    if (spins > SPINS) Atomics.wait(words, index, 1, SLEEP_MS);
  }
}

export function unlockWord(words: Int32Array, index: number): void {
  if (STRONG_STORES) words[index] = 0;
  else Atomics.store(words, index, 0);
}

/** May loads be taken in program order without atomics? */
export const STRONG_LOADS = STRONG_STORES;
