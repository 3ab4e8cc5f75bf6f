/** The strategies by name. */
import { UsageError } from '../../shared/errors.js';
import type { Execution, Situation, Strategy, StrategyFactory, StrategyOptions } from '../strategy.js';
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
  const threw = (part: string, error: unknown): UsageError =>
    new UsageError(`strategy module ${name}: ${part}() threw ${oneLine(error)}; mend it and run again`);
  const { begin, choose, end } = strategy;
  // In the object itself: its other functions may be of a class with fields that nobody else has.
  return Object.assign(strategy, {
    begin(shared: Int32Array, execution: number, prefix: Int32Array): number {
      try {
        return begin.call(strategy, shared, execution, prefix);
      } catch (error) {
        throw threw('begin', error);
      }
    },
    // Asked at every decision: nothing here that takes longer than the question.
    choose(shared: Int32Array, situation: Situation): number {
      let choice: number;
      try {
        choice = choose.call(strategy, shared, situation);
      } catch (error) {
        throw threw('choose', error);
      }
      if (choice !== situation.choices[0]) checkChoice(choice, situation, name);
      return choice;
    },
    end(execution: Execution, shared: Int32Array): boolean {
      try {
        return end.call(strategy, execution, shared);
      } catch (error) {
        throw threw('end', error);
      }
    },
  });
}

/** Throws UsageError unless @choice is one of the situation's, or -1. */
function checkChoice(choice: unknown, { choices, count }: Situation, name: string): void {
  for (let i = 0; i < count; i++) if (choices[i] === choice) return;
  if (choice === -1) return;
  const known = choices.subarray(0, count).join(', ');
  throw new UsageError(
    `strategy module ${name}: choose() answered ${String(choice)}, and the choices are ${known}; mend it and run again`,
  );
}
