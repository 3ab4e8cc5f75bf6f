import { Dpor } from '../../../src/explore/strategies/dpor.js';
import type { StrategyOptions } from '../../../src/explore/strategy.js';
import { Collecting } from './collect.js';

export default (options: StrategyOptions): Collecting => new Collecting(new Dpor(options), true);
