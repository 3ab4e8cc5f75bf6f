/** Classic concurrency tests as a user would port them: each right, and with the mistake that it is known for. Public API only. */
import {
  assert,
  assertEqual,
  atomic_cmpxchg,
  type Kernel,
  race,
  spin_lock,
  spin_unlock,
  wait_event,
  waitUntil,
  wake_up_all,
} from '#murphy';

// ---- bounded buffer: a consumer who sleeps while there is nothing, and another who takes what was meant for it -----------

const buffer = { put: 0, taken: 0 };
type Buffer = Kernel<typeof buffer, 'm' | 'items'>;

/** @again: who was woken looks again whether there is something. */
function take(k: Buffer, again: boolean): void {
  const nothing = (): boolean => k.shared.taken === k.shared.put;
  spin_lock(k, k.locks.m);
  while (nothing()) {
    spin_unlock(k, k.locks.m);
    wait_event(k, k.queues.items, () => !nothing());
    spin_lock(k, k.locks.m);
    if (!again) break;
  }
  assert(k.shared.taken < k.shared.put, 'an item is taken that nobody has put');
  k.shared.taken++;
  spin_unlock(k, k.locks.m);
}

function takeIfAny(k: Buffer): void {
  spin_lock(k, k.locks.m);
  if (k.shared.taken < k.shared.put) k.shared.taken++;
  spin_unlock(k, k.locks.m);
}

function put(k: Buffer): void {
  spin_lock(k, k.locks.m);
  k.shared.put++;
  spin_unlock(k, k.locks.m);
  wake_up_all(k, k.queues.items);
}

const bufferRace = (id: string, again: boolean) =>
  race({
    id,
    shared: buffer,
    locks: ['m'],
    queues: ['items'],
    threads: [
      (k) => take(k, again),
      (k) => {
        put(k);
        takeIfAny(k);
        put(k);
      },
    ],
    check: (k) => assert(k.shared.taken <= 2, 'more is taken than was put'),
  });

export const boundedBuffer = bufferRace('bounded-buffer', true);
export const boundedBufferIf = bufferRace('bounded-buffer-if', false);

// ---- readers and writers: the first reader locks the room for all, the last one unlocks it ---------------------------------

const room = { readers: 0, room: 0, a: 0, b: 0 };
type Room = Kernel<typeof room, 'm'>;

function enter(k: Room): void {
  while (atomic_cmpxchg(k, k.at('room'), 0, 1) !== 0) waitUntil(k, k.at('room'), (taken) => taken === 0);
}

/** @counted: the readers count themselves under a lock. */
function read(k: Room, counted: boolean): void {
  if (counted) spin_lock(k, k.locks.m);
  if (++k.shared.readers === 1) enter(k);
  if (counted) spin_unlock(k, k.locks.m);
  assertEqual(k.shared.a, k.shared.b, 'b beside a');
  if (counted) spin_lock(k, k.locks.m);
  if (--k.shared.readers === 0) k.shared.room = 0;
  if (counted) spin_unlock(k, k.locks.m);
}

function write(k: Room): void {
  enter(k);
  k.shared.a++;
  k.shared.b++;
  k.shared.room = 0;
}

const roomRace = (id: string, counted: boolean) =>
  race({
    id,
    shared: room,
    locks: ['m'],
    threads: [(k) => read(k, counted), (k) => read(k, counted), write],
    check: (k) => assertEqual(k.shared.readers, 0, 'readers'),
  });

export const readersWriters = roomRace('readers-writers', true);
export const readersUncounted = roomRace('readers-uncounted', false);

// ---- dining philosophers: three of them, and what the last one does --------------------------------------------------------

const SEATS = 3;

const dinner = (id: string, forksOf: (seat: number) => readonly [number, number]) =>
  race({
    id,
    shared: { meals: 0 },
    locks: ['fork[3]'],
    threads: Array.from({ length: SEATS }, (_, seat) => (k: Kernel<{ meals: number }, 'fork[3]'>) => {
      const [first, second] = forksOf(seat);
      spin_lock(k, k.locks.fork[first]!);
      spin_lock(k, k.locks.fork[second]!);
      spin_unlock(k, k.locks.fork[second]!);
      spin_unlock(k, k.locks.fork[first]!);
    }),
  });

export const philosophersAlike = dinner('philosophers-alike', (seat) => [seat, (seat + 1) % SEATS]);
export const philosophers = dinner('philosophers', (seat) => {
  const other = (seat + 1) % SEATS;
  return [Math.min(seat, other), Math.max(seat, other)];
});

// ---- Treiber's stack of nodes 1 and 2, by index: 0 is none ----------------------------------------------------------------

const stack = { top: 1, next: [0, 2, 0], owners: [0, 0, 0] };
type Stack = Kernel<typeof stack>;

const TAG = 0x100;
const nodeOf = (top: number): number => top % TAG;

/** @tag: how much the word of the top differs each time, so that a compare and exchange sees that it was taken and put back. */
function pop(k: Stack, tag: number): number {
  for (;;) {
    const top = k.shared.top;
    const node = nodeOf(top);
    if (node === 0) return 0;
    const next = k.shared.next[node] as number;
    if (atomic_cmpxchg(k, k.at('top'), top, top - node + next + tag) !== top) continue;
    assertEqual(++k.shared.owners[node]!, 1, `owners of node ${node}`);
    return node;
  }
}

function push(k: Stack, node: number, tag: number): void {
  k.shared.owners[node]!--;
  for (;;) {
    const top = k.shared.top;
    k.shared.next[node] = nodeOf(top);
    if (atomic_cmpxchg(k, k.at('top'), top, top - nodeOf(top) + node + tag) === top) return;
  }
}

const stackRace = (id: string, tag: number) =>
  race({
    id,
    shared: stack,
    threads: [
      (k) => {
        pop(k, tag);
        pop(k, tag);
      },
      (k) => {
        const first = pop(k, tag);
        pop(k, tag);
        if (first !== 0) push(k, first, tag);
      },
    ],
  });

export const treiberStack = stackRace('treiber-stack', TAG);
export const treiberStackAba = stackRace('treiber-stack-aba', 0);

// ---- double-checked initialisation ----------------------------------------------------------------------------------------

const once = { ready: 0, value: 0, times: 0 };
type Once = Kernel<typeof once, 'm'>;

interface Mistakes {
  /** The flag is set before what it speaks of. */
  readonly early?: boolean;
  /** Whoever has the lock does not look again. */
  readonly unchecked?: boolean;
}

function get(k: Once, { early = false, unchecked = false }: Mistakes): number {
  if (k.shared.ready === 0) {
    spin_lock(k, k.locks.m);
    if (unchecked || k.shared.ready === 0) {
      if (early) k.shared.ready = 1;
      k.shared.value = 42;
      k.shared.times++;
      k.shared.ready = 1;
    }
    spin_unlock(k, k.locks.m);
  }
  return k.shared.value;
}

const onceRace = (id: string, mistakes: Mistakes) =>
  race({
    id,
    shared: once,
    locks: ['m'],
    threads: [0, 1, 2].map(() => (k: Once) => assertEqual(get(k, mistakes), 42, 'value')),
    check: (k) => assertEqual(k.shared.times, 1, 'initialised so often'),
  });

export const doubleChecked = onceRace('double-checked', {});
export const doubleCheckedEarly = onceRace('double-checked-early', { early: true });
export const checkedOnce = onceRace('checked-once', { unchecked: true });
