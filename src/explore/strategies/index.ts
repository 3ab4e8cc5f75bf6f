/** The strategies by name. */
import { UsageError } from '../../shared/errors.js';
import type { Strategy, StrategyFactory, StrategyOptions } from '../strategy.js';
import { DepthFirst } from './dfs.js';
import { Dpor } from './dpor.js';
import { Pct, Pos, RandomWalk } from './random.js';
import { Replay } from './replay.js';

const FACTORIES: Readonly<Record<string, StrategyFactory>> = {
  dfs: (o) => new DepthFirst(o),
  dpor: (o) => new Dpor(o),
  pct: (o) => new Pct(o),
  pos: (o) => new Pos(o),
  random: (o) => new RandomWalk(o),
  replay: (o) => new Replay(o),
};

/** Those that a user can name; `replay` is for recorded schedules. */
export const STRATEGIES = ['dfs', 'dpor', 'pct', 'pos', 'random'] as const;
export type StrategyName = (typeof STRATEGIES)[number];

/** In a worker. Throws UsageError when the module of a user's strategy exports none. */
export async function makeStrategy(options: StrategyOptions): Promise<Strategy> {
  if (options.module === null) return (FACTORIES[options.name] as StrategyFactory)(options);
  const loaded = (await import(options.module)) as { default?: StrategyFactory };
  const strategy = typeof loaded.default === 'function' ? loaded.default(options) : undefined;
  for (const part of ['begin', 'choose', 'end'] as const) {
    if (typeof strategy?.[part] === 'function') continue;
    throw new UsageError(
      `strategy module ${options.name} has no strategy: its default export must be a function that returns one, with ${part}()`,
    );
  }
  return strategy as Strategy;
}
