/** What controlled mode costs: a scheduling point, a hand-over, a reset, executions a second. */
import { Worker } from 'node:worker_threads';
import { type ExploreOptions, type ExploreResult, explore } from '../src/explore/explore.js';
import { builtFile } from '../src/lab/modules.js';

const ROUNDS = 5;
const PING_PONGS = 100_000;

export interface Measured {
  readonly name: string;
  readonly measured: number;
  readonly baseline: number;
  readonly unit: string;
  readonly aim: string;
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] as number;

const explored = (race: string, options: ExploreOptions): Promise<ExploreResult> =>
  explore(/[/\\]/.test(race) ? race : builtFile('bench', `${race}.js`), options);

/** Nanoseconds of an `Atomics.add` on a word that nobody else uses. */
function atomicAdd(): number {
  const words = new Int32Array(new SharedArrayBuffer(64));
  const count = 1_000_000;
  const times: number[] = [];
  for (let round = 0; round < ROUNDS * 2; round++) {
    const started = performance.now();
    for (let i = 0; i < count; i++) Atomics.add(words, 0, 1);
    times.push(((performance.now() - started) / count) * 1e6);
  }
  return median(times.slice(ROUNDS));
}

/** Two workers that pass a word to and fro. */
const PING_PONG = `
  const { parentPort, workerData } = require('node:worker_threads');
  const words = new Int32Array(workerData.buffer);
  const play = (count, me) => {
    for (let i = 0; i < count; i++) {
      while (Atomics.load(words, me) === 0);
      Atomics.store(words, me, 0);
      Atomics.store(words, 64 - me, 1);
    }
  };
  play(workerData.count >> 2, workerData.me);
  const started = performance.now();
  play(workerData.count, workerData.me);
  parentPort.postMessage(((performance.now() - started) / workerData.count / 2) * 1e6);
`;

async function pingPong(): Promise<number> {
  const buffer = new SharedArrayBuffer(512);
  new Int32Array(buffer)[0] = 1;
  const players = [0, 64].map(
    (me) => new Worker(PING_PONG, { eval: true, workerData: { buffer, me, count: PING_PONGS } }),
  );
  const times = await Promise.all(players.map((w) => new Promise<number>((done) => w.once('message', done))));
  await Promise.all(players.map((w) => w.terminate()));
  return Math.max(...times);
}

const alone = (name: string, measured: number, unit: string, aim: string): Measured => ({
  ...{ name, measured, unit, aim },
  baseline: Number.NaN,
});

const rate = (r: ExploreResult): number => r.executions / r.seconds;

const pointsEach = (r: ExploreResult): string => (r.points / r.executions).toFixed(0);

const resetShare = (r: ExploreResult): number => (100 * r.resetSeconds) / r.seconds;

/** Rounds of what is measured and of its baseline take turns. */
async function* pointRows(): AsyncGenerator<Measured> {
  // Each exploration has new objects, so its workers' compilers warm up again: that takes some 50 ms.
  const steps = { cpus: 2, executions: 10_000 };
  const [stay, alternate] = ['stay', 'alternate'].map((name) => builtFile('bench', `${name}.js`)) as [string, string];
  const points: number[] = [];
  const adds: number[] = [];
  const hands: number[] = [];
  const pings: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const still = await explored('steps-race', { ...steps, strategy: stay });
    const point = (still.seconds / still.points) * 1e9;
    points.push(point);
    adds.push(atomicAdd());
    const moved = await explored('steps-race', { ...steps, strategy: alternate });
    hands.push((moved.seconds * 1e9 - moved.points * point) / moved.handovers);
    pings.push(await pingPong());
  }
  yield {
    ...{ name: 'scheduling point without a switch, against Atomics.add', unit: 'ns', aim: '<= 5' },
    ...{ measured: median(points), baseline: median(adds) },
  };
  yield {
    ...{ name: 'hand-over, against a bare ping-pong of two workers', unit: 'ns', aim: '<= 1.5' },
    ...{ measured: median(hands), baseline: median(pings) },
  };
}

/** Rows of the table. */
export async function* explorerRows(): AsyncGenerator<Measured> {
  yield* pointRows();
  const walk = { strategy: 'random', uniform: true, executions: 200_000 };
  const bare = await explored('bare-race', { ...walk, cpus: 2 });
  yield alone(`two threads of ${pointsEach(bare)} points, random walk`, rate(bare), 'executions/s', '> 100000');
  yield alone('reset, of an execution of it', resetShare(bare), '%', '<= 5');
  const one = await explored('bare-race', { ...walk, cpus: 1 });
  yield alone(`one thread of ${pointsEach(one)} points, random walk`, rate(one), 'executions/s', '');
  const kmap = await explored('highmem/E1', { ...walk, patches: ['kmap-high-get'], executions: 3000 });
  yield alone(`highmem/E1, ${pointsEach(kmap)} points, random walk`, rate(kmap), 'executions/s', '');
  yield alone('reset, of an execution of it', resetShare(kmap), '%', '<= 5');
}
