/**
 * Tests of a race: it is clean within a bound, or fails as claimed; and a failure that was found once is run again, byte for byte. The race is in a
 * module of its own, since each simulated CPU loads it.
 *
 *     npx vitest run
 */
import 'murphy/vitest';
import { explore, toReplay } from 'murphy';
import { expect, it } from 'vitest';
import unlocked from './01-lost-update.js';
import locked from './02-a-lock.js';

it('loses an update without the lock', async () => {
  await expect(unlocked).toFail({ outcome: 'report', message: 'expected 2, saw 1' }, { preemptions: 1 });
});

it('loses none with it', async () => {
  await expect(locked).toBeCleanWithin({ preemptions: 2 });
});

it('can be had again', async () => {
  const found = await explore(unlocked, { strategy: 'random', seed: 7 });
  await expect(await toReplay(unlocked, found)).toReproduce();
});
