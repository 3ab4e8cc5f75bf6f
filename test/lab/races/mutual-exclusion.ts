/** Classic algorithms for a critical section, and what breaks them: `inside` is never more than one. */
import { assert, atomic_add_return, cpu_relax, type Kernel, race, type SharedSpec, waitUntil } from '#murphy';

const shared = { flag: [0, 0], turn: 0, next: 0, serving: 0, inside: 0 };
type K = Kernel<typeof shared>;

function critical(k: K): void {
  k.shared.inside += 1;
  k.shared.inside -= 1;
}

const exclusive = {
  shared,
  invariant: (k: K) => assert(k.shared.inside <= 1, 'two threads are in the critical section'),
} satisfies { shared: SharedSpec; invariant: unknown };

const dekker = (k: K, me: number): void => {
  const other = 1 - me;
  k.shared.flag[me] = 1;
  while (k.shared.flag[other] !== 0) {
    if (k.shared.turn === me) cpu_relax(k);
    else {
      k.shared.flag[me] = 0;
      waitUntil(k, k.at('turn'), (turn) => turn === me);
      k.shared.flag[me] = 1;
    }
  }
  critical(k);
  k.shared.turn = other;
  k.shared.flag[me] = 0;
};

const lateFlag = (k: K, me: number): void => {
  while (k.shared.flag[1 - me] !== 0) cpu_relax(k);
  k.shared.flag[me] = 1;
  critical(k);
  k.shared.flag[me] = 0;
};

const ticket = (k: K): void => {
  const mine = atomic_add_return(k, 1, k.at('next')) - 1;
  while (k.shared.serving !== mine) cpu_relax(k);
  critical(k);
  k.shared.serving = mine + 1;
};

const bothWant = (k: K, me: number): void => {
  k.shared.flag[me] = 1;
  waitUntil(k, k.at('flag', 1 - me), (flag) => flag === 0);
  critical(k);
  k.shared.flag[me] = 0;
};

export const dekkerRace = race({ id: 'dekker', ...exclusive, threads: [dekker, dekker] });
export const lateFlagRace = race({ id: 'late-flag', ...exclusive, threads: [lateFlag, lateFlag] });
export const ticketRace = race({ id: 'ticket', ...exclusive, threads: [ticket, ticket] });
export const bothWantRace = race({ id: 'both-want', ...exclusive, threads: [bothWant, bothWant] });

const peterson = (k: K, me: number): void => {
  const other = 1 - me;
  k.shared.flag[me] = 1;
  k.shared.turn = other;
  waitUntil(k, [k.at('flag', other), k.at('turn')], (flag, turn) => flag === 0 || turn === me);
  critical(k);
  k.shared.flag[me] = 0;
};

const petersonLoop = (k: K, me: number): void => {
  const other = 1 - me;
  k.shared.flag[me] = 1;
  k.shared.turn = other;
  while (k.shared.flag[other] !== 0 && k.shared.turn === other) cpu_relax(k);
  critical(k);
  k.shared.flag[me] = 0;
};

const petersonSwapped = (k: K, me: number): void => {
  const other = 1 - me;
  k.shared.turn = other;
  k.shared.flag[me] = 1;
  waitUntil(k, [k.at('flag', other), k.at('turn')], (flag, turn) => flag === 0 || turn === me);
  critical(k);
  k.shared.flag[me] = 0;
};

export const petersonRace = race({ id: 'peterson', ...exclusive, threads: [peterson, peterson] });
export const petersonLoopRace = race({ id: 'peterson-loop', ...exclusive, threads: [petersonLoop, petersonLoop] });
export const petersonSwappedRace = race({
  id: 'peterson-swapped',
  ...exclusive,
  threads: [petersonSwapped, petersonSwapped],
});
