/** Strategy of the explorer's measurements: a hand-over at every step. */
import type { Strategy } from '../src/explore/strategy.js';

export default (): Strategy => ({
  name: 'alternate',
  begin: () => 0,
  choose: (_shared, situation) => situation.choices[situation.currentEnabled ? 1 : 0] as number,
  end: () => true,
});
