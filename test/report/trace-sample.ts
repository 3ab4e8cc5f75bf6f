/** Failing executions with their history, as `report` replays them. */
import { type ExploreOptions, explore } from '../../src/explore/explore.js';
import { type ReplayFile, toReplay } from '../../src/explore/replay-file.js';
import { executionOf, type Replayed } from '../../src/report/trace/execution.js';

export interface Sample {
  readonly execution: Replayed;
  readonly replay: ReplayFile;
}

/** The first failure of a race, replayed. */
export async function failing(race: string, options: ExploreOptions): Promise<Sample> {
  const found = await explore(race, { strategy: 'dfs', preemptions: 1, ...options });
  const replay = await toReplay(race, found);
  const { schedule } = found;
  const again = await explore(race, { ...options, strategy: 'replay', schedule, executions: 1, history: true });
  const threads = new Map([
    [0, 'driver'],
    [1, 'writer'],
  ]);
  return { execution: executionOf(again, threads), replay };
}

/** E1: dma_map_page() throws away dirty lines of the new owner of a kmap address. */
export const recycled = (): Promise<Sample> =>
  failing('2009-03-kmap-recycle-lost-bytes', { noPatches: ['kmap-high-get'] });

/** E10: a line with old bytes is fetched ahead. */
export const fetchedAhead = (): Promise<Sample> =>
  failing('2010-03-dma-speculative-fill-stale-bytes', {
    ...{ patches: ['mutant-inner-before-outer'], core: 'cortex-a9-l2' },
  });
