import { Pct } from '../../../src/explore/strategies/random.js';
import type { StrategyOptions } from '../../../src/explore/strategy.js';
import { Counted } from './counted.js';

export default (options: StrategyOptions): Counted => new Counted(new Pct(options));
