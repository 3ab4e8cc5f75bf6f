/**
 * A strategy of your own: the first thread goes on and on, but for one moment, at which another comes in: another moment in each execution. It is
 * asked wherever there is a choice, and told when an execution has ended; what it remembers meanwhile lies in `shared`, since each simulated CPU
 * asks a copy of it.
 *
 *     npm run smp -- explore ./examples/08-a-strategy.ts --strategy ./examples/08-a-strategy.ts
 */
import { assertEqual, type Kernel, race, type StrategyFactory } from 'murphy';

const oneMoment: StrategyFactory = () => ({
  name: 'one-moment',
  begin(shared, execution) {
    shared[0] = execution - 1;
    return 0;
  },
  choose: (shared, { decision, choices }) => choices[decision === shared[0] ? 1 : 0] as number,
  end: (execution) => execution.number <= execution.decisions,
});
export default oneMoment;

const shared = { counter: 0 };

function twice(k: Kernel<typeof shared>): void {
  for (let i = 0; i < 2; i++) k.shared.counter++;
}

export const moments = race({
  id: 'moments',
  shared,
  cases: [{ name: 'without a lock', outcome: 'report' }],
  threads: [twice, twice],
  check: (k) => assertEqual(k.shared.counter, 4, 'counter'),
});
