/**
 * All executions, each with its probability under a random walk that draws for each execution with which chance, 1, 1/2, 1/4, ... 1/32, it leaves a decision to
 * chance; else the present context goes on, if it can.
 */
import { DepthFirst } from '../../../src/explore/strategies/dfs.js';
import { canonicalOrder, currentEnabled } from '../../../src/explore/strategies/order.js';
import type { Execution, StrategyOptions } from '../../../src/explore/strategy.js';
import { Counted } from './counted.js';

const CHANCES = [1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32];

function probability(e: Execution, chance: number): number {
  let p = 1;
  for (let i = 0; i < e.decisions; i++) {
    const d = e.decision(i);
    const uniform = 1 / canonicalOrder(d).length;
    const goesOn = d.choice === d.current ? 1 - chance : 0;
    p *= currentEnabled(d) ? goesOn + chance * uniform : uniform;
  }
  return p;
}

const weight = (e: Execution): number =>
  CHANCES.reduce((sum, chance) => sum + probability(e, chance), 0) / CHANCES.length;

export default (options: StrategyOptions): Counted => new Counted(new DepthFirst(options), weight);
