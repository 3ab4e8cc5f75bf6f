import { DepthFirst } from '../../../src/explore/strategies/dfs.js';
import type { StrategyOptions } from '../../../src/explore/strategy.js';
import { Collecting } from './collect.js';

export default (options: StrategyOptions): Collecting => new Collecting(new DepthFirst(options), true);
