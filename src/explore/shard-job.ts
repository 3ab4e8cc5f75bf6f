/** One part of a search, inside a worker of the pool: explore() there starts the workers of a machine of its own. */
import type { MessagePort } from 'node:worker_threads';
import { UsageError } from '../shared/errors.js';
import { type ExploreOptions, type ExploreProgress, type ExploreResult, explore } from './explore.js';
import type { Standing } from './standing.js';

/** What goes to the worker. Functions do not: what they would be told comes through the port. */
export interface ShardJob {
  readonly race: string;
  readonly options: ExploreOptions;
  readonly wantsCheckpoints: boolean;
  /** From the worker: `ShardNews`. To the worker: anything, to stop. */
  readonly port: MessagePort;
}

export type ShardNews = { readonly progress: ExploreProgress } | { readonly standing: Standing };

/** An error loses its class on the way, so a user's goes as text. */
export type ShardAnswer =
  | { readonly result: ExploreResult; readonly standing: Standing | null }
  | { readonly usage: string };

export async function exploreShard({ race, options, wantsCheckpoints, port }: ShardJob): Promise<ShardAnswer> {
  const stop = new AbortController();
  const tell = (news: ShardNews): void => port.postMessage(news);
  let last: Standing | null = null;
  port.on('message', () => stop.abort());
  const onCheckpoint = (standing: Standing): void => {
    last = standing;
    tell({ standing });
  };
  try {
    const result = await explore(race, {
      ...options,
      signal: stop.signal,
      onExploring: (progress) => tell({ progress }),
      ...(wantsCheckpoints ? { onCheckpoint } : {}),
    });
    return { result, standing: last };
  } catch (error) {
    if (error instanceof UsageError) return { usage: error.message };
    throw error;
  } finally {
    port.close();
  }
}
