/**
 * Matchers for vitest. `import 'murphy/vitest'` in a test, or name it in `setupFiles`:
 *
 *     await expect(counter).toBeCleanWithin({ preemptions: 2 });
 *     await expect(unlocked).toFail({ outcome: 'report', message: /lost/ });
 *     await expect('counter.replay.json').toReproduce();
 *
 * A failure says what happened in the order in which it happened, and how to have it again; the schedule is kept in a file below `.murphy/`.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { explain } from './explore/explain/explain.js';
import { type ExploreOptions, type ExploreResult, explore } from './explore/explore.js';
import { type ReplayFile, readReplay, replay, toReplay, writeReplay } from './explore/replay-file.js';
import type { RaceSpec } from './lab/race.js';
import { OUTCOMES, type Outcome } from './lab/types.js';
import { UsageError } from './shared/errors.js';

/** How a race fails. */
export interface FailureClaim {
  readonly outcome?: Outcome | readonly Outcome[];
  /** What its message contains. */
  readonly message?: string | RegExp;
}

declare module 'vitest' {
  interface Matchers<T> {
    /**
     * No schedule within the bounds fails, and all of them were tried. A search that chance directs (random, pct) tries `executions` of them; so
     * does any other when it is given a number.
     */
    toBeCleanWithin(bounds?: ExploreOptions): T extends RaceSpec | string ? Promise<void> : never;
    /** Some schedule fails in the way that is claimed. */
    toFail(claim?: FailureClaim, options?: ExploreOptions): T extends RaceSpec | string ? Promise<void> : never;
    /** The recorded failure, or the file that it is in, happens again, byte for byte. */
    toReproduce(): T extends ReplayFile | string ? Promise<void> : never;
  }
}

interface Answer {
  readonly pass: boolean;
  readonly message: () => string;
}

const FOLDER = '.murphy';
/** Time for a search that is given none. */
const SECONDS = 60;
const CHOICES_SHOWN = 100;

const nameOfRace = (asked: RaceSpec | string): string => `race "${typeof asked === 'string' ? asked : asked.id}"`;

async function search(asked: RaceSpec | string, options: ExploreOptions): Promise<ExploreResult> {
  const isRace = typeof asked === 'string' || (typeof asked === 'object' && asked !== null && 'threads' in asked);
  if (!isRace) throw new UsageError('expect() needs a race, the path of its module, or the id of an experiment');
  const result = await explore(asked, { seconds: SECONDS, ...options });
  if (result.error !== null) throw new UsageError(`${nameOfRace(asked)}: ${result.error}; mend the module`);
  return result;
}

const space = (r: ExploreResult): string =>
  `${r.executions} executions in ${r.seconds.toFixed(1)} s, ${r.exhausted ? 'exhausted' : 'not exhausted'}`;

/** What happened, and how to have it again. */
async function story(asked: RaceSpec | string, found: ExploreResult): Promise<string> {
  const recorded = await toReplay(asked, found);
  const file = join(FOLDER, `${found.experiment}-${found.traceHash}.replay.json`);
  mkdirSync(FOLDER, { recursive: true });
  writeReplay(file, recorded);
  const { result } = await replay(recorded, { history: true });
  const choices = found.schedule.slice(0, CHOICES_SHOWN).join(' ');
  const more = found.schedule.length > CHOICES_SHOWN ? ` ... (${found.schedule.length} in the file)` : '';
  return [
    ...explain(result).report,
    '',
    `schedule:    ${choices === '' ? 'no choices' : choices}${more}`,
    `replay with: npx murphy replay ${file}`,
  ].join('\n');
}

async function toBeCleanWithin(asked: RaceSpec | string, bounds: ExploreOptions = {}): Promise<Answer> {
  const result = await search(asked, bounds);
  const within = `${nameOfRace(asked)} to be clean within ${JSON.stringify(bounds)}`;
  if (result.failure !== null) {
    const text = await story(asked, result);
    return { pass: false, message: () => `expected ${within}, but it fails (${space(result)})\n\n${text}` };
  }
  const byChance = result.strategy === 'random' || result.strategy === 'pct' || result.strategy === 'pos';
  const tried = result.exhausted || (bounds.executions !== undefined && result.executions >= bounds.executions);
  if (tried || byChance)
    return { pass: true, message: () => `expected ${within} to be false; it is: ${space(result)}` };
  const text = `expected ${within}: no failure so far, but there are schedules left (${space(result)})`;
  return { pass: false, message: () => `${text}; give it more seconds, or a tighter bound` };
}

const fits = (claim: FailureClaim, { outcome, failure }: ExploreResult): boolean => {
  if (failure === null || !(claim.outcome === undefined || [claim.outcome].flat().includes(outcome))) return false;
  const { message = '' } = claim;
  return typeof message === 'string' ? failure.message.includes(message) : message.test(failure.message);
};

async function toFail(
  asked: RaceSpec | string,
  claim: FailureClaim = {},
  options: ExploreOptions = {},
): Promise<Answer> {
  const odd = [claim.outcome ?? []].flat().find((o) => o === 'clean' || !OUTCOMES.includes(o));
  if (odd !== undefined) {
    throw new UsageError(`a race cannot fail with "${odd}"; it is one of ${OUTCOMES.slice(1).join(', ')}`);
  }
  const result = await search(asked, options);
  const outcomes = [claim.outcome ?? []].flat().join(' or ');
  const how = `${outcomes === '' ? '' : ` with ${outcomes}`}${claim.message === undefined ? '' : ` and a message like ${claim.message}`}`;
  const pass = fits(claim, result);
  if (result.failure === null) {
    const text = `expected ${nameOfRace(asked)} to fail${how}, but it is clean: ${space(result)}`;
    return { pass, message: () => text };
  }
  const text = await story(asked, result);
  const but = pass ? `not to fail${how}` : `to fail${how}, but it fails in another way`;
  return { pass, message: () => `expected ${nameOfRace(asked)} ${but}\n\n${text}` };
}

async function toReproduce(asked: ReplayFile | string): Promise<Answer> {
  const recorded = typeof asked === 'string' ? readReplay(asked) : asked;
  const { reproduced, sourceChanged, modelChanged, result } = await replay(recorded);
  const seen = result.failure === null ? 'clean' : `${result.outcome}: ${result.failure.message}`;
  const what = sourceChanged ? 'the race module' : 'Murphy';
  const changed = sourceChanged || modelChanged ? `; ${what} has changed since it was recorded` : '';
  return {
    pass: reproduced,
    message: () =>
      `expected the failure "${recorded.outcome}: ${recorded.message}" of ${recorded.race} ` +
      `${reproduced ? 'not ' : ''}to happen again; it was ${seen}${changed}`,
  };
}

expect.extend({ toBeCleanWithin, toFail, toReproduce });
