/**
 * Strategy of the explorer's measurements: whoever runs goes on although others could (seed 0), or hands over at every step (seed 1). One
 * function for both: a compiler that has seen two calls neither as if there were only one.
 */
import type { Strategy, StrategyOptions } from '../src/explore/strategy.js';

export default ({ seed }: StrategyOptions): Strategy => ({
  name: 'take-turns',
  begin: () => 0,
  choose: (_shared, situation) => situation.choices[situation.currentEnabled ? seed : 0] as number,
  end: () => true,
});
