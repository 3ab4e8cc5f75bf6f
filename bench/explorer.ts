/** What controlled mode costs: a scheduling point, a hand-over, a reset, executions a second. */
import { Worker } from 'node:worker_threads';
import { type ExploreOptions, type ExploreProgress, type ExploreResult, explore } from '../src/explore/explore.js';
import { builtFile } from '../src/lab/modules.js';

const ROUNDS = 5;
const PING_PONGS = 100_000;
const SLICE_SECONDS = 0.05;

export interface Measured {
  readonly name: string;
  readonly measured: number;
  readonly baseline: number;
  readonly unit: string;
  readonly aim: string;
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] as number;

/** An exploration, with the nanoseconds that an execution takes once its workers' compilers are warm: after a third of the executions. */
async function explored(race: string, options: ExploreOptions): Promise<ExploreResult & { readonly each: number }> {
  let warm = { executions: 0, seconds: 0 };
  const onExploring = ({ executions, seconds }: ExploreProgress): void => {
    if (warm.executions === 0 && executions * 3 > (options.executions ?? 0)) warm = { executions, seconds };
  };
  const sliced = { ...options, onExploring, checkpointSeconds: SLICE_SECONDS };
  const r = await explore(/[/\\]/.test(race) ? race : builtFile('bench', `${race}.js`), sliced);
  return { ...r, each: ((r.seconds - warm.seconds) / (r.executions - warm.executions)) * 1e9 };
}

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

const rate = (r: { readonly each: number }): number => 1e9 / r.each;

const pointsEach = (r: ExploreResult): string => (r.points / r.executions).toFixed(0);

const resetShare = (r: ExploreResult): number => (100 * r.resetSeconds) / r.seconds;

/** Rounds of what is measured and of its baseline take turns. */
async function* pointRows(): AsyncGenerator<Measured> {
  const steps = { cpus: 2, strategy: builtFile('bench', 'take-turns.js') };
  const points: number[] = [];
  const watched: number[] = [];
  const adds: number[] = [];
  const hands: number[] = [];
  const pings: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const still = await explored('steps-race', { ...steps, seed: 0, executions: 5000 });
    const point = (still.each * still.executions) / still.points;
    points.push(point);
    const looked = await explored('steps-race', { ...steps, seed: 0, executions: 5000, check: 'races' });
    watched.push((looked.each * looked.executions) / looked.points);
    adds.push(atomicAdd());
    const moved = await explored('steps-race', { ...steps, seed: 1, executions: 1500 });
    hands.push((moved.each * moved.executions - moved.points * point) / moved.handovers);
    pings.push(await pingPong());
  }
  yield {
    ...{ name: 'scheduling point without a switch, against Atomics.add', unit: 'ns', aim: '<= 5' },
    ...{ measured: median(points), baseline: median(adds) },
  };
  yield {
    ...{ name: 'the same with --check races, against without', unit: 'ns', aim: '<= 4' },
    ...{ measured: median(watched), baseline: median(points) },
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
