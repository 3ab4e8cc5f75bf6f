/** All executions, each with its probability under a random walk: one choice of so many at each decision. */
import { DepthFirst } from '../../../src/explore/strategies/dfs.js';
import type { StrategyOptions } from '../../../src/explore/strategy.js';
import { probability } from '../programmes/collect.js';
import { Counted } from './counted.js';

export default (options: StrategyOptions): Counted => new Counted(new DepthFirst(options), probability);
