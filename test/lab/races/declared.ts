/** Right and wrong uses of what a race declares, a race each. */
import {
  alloc_page,
  assert,
  assertEqual,
  GFP_KERNEL,
  type Kernel,
  memoryWord,
  page_address,
  race,
  spin_lock,
  vaddr,
  waitUntil,
} from '#murphy';

const shared = { counter: 7, list: [1, 2] };
type K = Kernel<typeof shared, 'm'>;
/** What JavaScript lets a race write. */
type Loose = { shared: Record<string, number>; locks: Record<string, never>; at(name: string, index?: number): number };

const uses = (id: string, use: (k: K & Loose) => void) =>
  race({ id, shared, locks: ['m'], threads: [(k) => use(k as unknown as K & Loose)] });

export const misspelt = uses('misspelt', (k) => assert(k.shared.countr));
export const misspeltStore = uses('misspelt-store', (k) => {
  k.shared.countr = 1;
});
export const outOfRange = uses('out-of-range', (k) => {
  k.shared.list[2] = 1;
});
export const fraction = uses('fraction', (k) => {
  k.shared.counter = 0.5;
});
export const nothing = uses('nothing', (k) => {
  k.shared.list[1] = undefined as never;
});
export const misspeltLock = uses('misspelt-lock', (k) => spin_lock(k, k.locks.n as never));
export const otherKind = uses('other-kind', (k) =>
  spin_lock(k, (k.locks as unknown as Record<string, never>).counter as never),
);
export const misspeltAddress = uses('misspelt-address', (k) => void k.at('counted'));
export const addressOutOfRange = uses('address-out-of-range', (k) => void k.at('list', 7));
export const asserts = uses('asserts', (k) => assert(k.shared.counter === 8));
export const waitsForNone = uses('waits-for-none', (k) => void waitUntil(k, [], () => true));
export const waitsForTooMany = uses('waits-for-too-many', (k) => {
  waitUntil(k, new Array(9).fill(k.at('counter')), () => true);
});

export const beginsAnew = race({
  id: 'begins-anew',
  shared,
  threads: [
    (k) => {
      assertEqual(k.shared.counter, 7);
      assert([...k.shared.list].join() === '1,2' && k.shared.list.length === 2, 'the list');
      k.shared.counter = 0xffffffff;
      assertEqual(k.shared.counter, -1);
      k.shared.list[0] = 5;
    },
  ],
});

const increment = (k: K): void => {
  k.shared.counter++;
};
const two = { shared, threads: [increment, increment] };
const stillSeven = (k: K): void => assertEqual(k.shared.counter, 7, 'counter');

export const plain = race({ id: 'plain', ...two });
export const watched = race({ id: 'watched', ...two, invariant: (k) => assert(k.shared.counter >= 7) });
export const inOrder = race({
  id: 'in-order',
  shared: { first: 0, second: 0 },
  threads: [
    (k) => {
      k.shared.first = 1;
    },
    (k) => {
      k.shared.second = 1;
    },
  ],
  invariant: (k) => assert(k.shared.second <= k.shared.first, 'the second came first'),
});
export const brokenByAThread = race({
  id: 'broken-by-a-thread',
  shared,
  threads: [increment],
  invariant: stillSeven,
  check: (k) => assert(k.shared.counter === 8, 'check comes second'),
});
export const brokenFromTheStart = race({
  id: 'broken-from-the-start',
  shared,
  setup(k) {
    k.shared.counter = 9;
  },
  threads: [increment],
  invariant: stillSeven,
});
export const invariantStores = race({
  id: 'invariant-stores',
  shared,
  threads: [increment],
  invariant(k) {
    k.shared.counter = 1;
  },
});
export const invariantLocks = race({
  id: 'invariant-locks',
  locks: ['m'],
  threads: [() => {}],
  invariant: (k) => spin_lock(k, k.locks.m),
});
export const invariantReadsAPage = race({
  id: 'invariant-reads-a-page',
  vars: ['page'],
  setup(k) {
    k.vars.page = alloc_page(k, GFP_KERNEL);
  },
  threads: [() => {}],
  invariant(k) {
    const page = k.vars.page as never;
    memoryWord(k, page, 0);
    k.load32(vaddr(page_address(k, page)));
  },
});
