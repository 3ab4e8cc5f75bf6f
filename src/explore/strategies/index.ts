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

/** In a worker. Throws UsageError when the module of a user's strategy does not load, or exports none. */
export async function makeStrategy(options: StrategyOptions): Promise<Strategy> {
  const { module, name } = options;
  if (module === null) return (FACTORIES[name] as StrategyFactory)(options);
  let strategy: Strategy | undefined;
  try {
    const loaded = (await import(module)) as { default?: StrategyFactory };
    strategy = typeof loaded.default === 'function' ? loaded.default(options) : undefined;
  } catch (error) {
    throw new UsageError(`strategy module ${name} does not load: ${oneLine(error)}; mend it and run again`);
  }
  for (const part of ['begin', 'choose', 'end'] as const) {
    if (typeof strategy?.[part] === 'function') continue;
    throw new UsageError(
      `strategy module ${name} has no strategy: its default export must be a function that returns one, with ${part}()`,
    );
  }
  return heldToItsWord(strategy as Strategy, name);
}

const oneLine = (error: unknown): string =>
  (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).split('\n')[0] as string;

/** A user's strategy: what it throws names it, and a choice that there is not is no step of anybody, so nothing may come of it. */
function heldToItsWord(strategy: Strategy, name: string): Strategy {
  const guarded = <T>(part: string, act: () => T): T => {
    try {
      return act();
    } catch (error) {
      throw new UsageError(`strategy module ${name}: ${part}() threw ${oneLine(error)}; mend it and run again`);
    }
  };
  const [begin, choose, end] = [strategy.begin, strategy.choose, strategy.end].map((f) => f.bind(strategy)) as [
    Strategy['begin'],
    Strategy['choose'],
    Strategy['end'],
  ];
  // In the object itself: its other functions may be of a class with fields that nobody else has.
  return Object.assign(strategy, {
    begin: (...given: Parameters<Strategy['begin']>) => guarded('begin', () => begin(...given)),
    choose(...given: Parameters<Strategy['choose']>): number {
      const [, { choices, count }] = given;
      const choice = guarded('choose', () => choose(...given));
      for (let i = 0; i < count; i++) if (choices[i] === choice) return choice;
      if (choice === -1) return choice;
      const known = choices.subarray(0, count).join(', ');
      throw new UsageError(
        `strategy module ${name}: choose() answered ${String(choice)}, and the choices are ${known}; mend it and run again`,
      );
    },
    end: (...given: Parameters<Strategy['end']>) => guarded('end', () => end(...given)),
  });
}
