/** What controlled mode costs: a scheduling point, a hand-over, a reset, executions a second. */
import { Worker } from 'node:worker_threads';
import { type ExploreOptions, type ExploreProgress, type ExploreResult, explore } from '../src/explore/explore.js';
import { builtFile } from '../src/lab/modules.js';

const ROUNDS = 9;
const PING_PONGS = 100_000;
const SLICE_SECONDS = 0.05;

export interface Measured {
  readonly name: string;
  readonly measured: number;
  readonly baseline: number;
  readonly unit: string;
  readonly aim: string;
}

/** What it takes where nobody else has the core's other half or its caches: whoever shares the host makes a round slower, never faster. */
const fastest = (values: readonly number[]): number => Math.min(...values);

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] as number;

type Explored = ExploreResult & { readonly each: number };

/** An exploration, with the nanoseconds that an execution takes once its workers' compilers are warm: after a third of the executions. */
async function explored(race: string, options: ExploreOptions): Promise<Explored> {
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
  for (let round = 0; round < ROUNDS; round++) {
    const started = performance.now();
    for (let i = 0; i < count; i++) Atomics.add(words, 0, 1);
    times.push(((performance.now() - started) / count) * 1e6);
  }
  return fastest(times);
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

const pointsEach = (r: ExploreResult): string => (r.points / r.executions).toFixed(0);

const resetShare = (r: ExploreResult): number => (100 * r.resetSeconds) / r.seconds;

/** Rounds of what is measured and of its baseline take turns. */
async function* pointRows(): AsyncGenerator<Measured> {
  const steps = { cpus: 2, strategy: builtFile('bench', 'take-turns.js') };
  const points: number[] = [];
  const watched: number[] = [];
  const adds: number[] = [];
  const moves: Explored[] = [];
  const pings: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const still = await explored('steps-race', { ...steps, seed: 0, executions: 5000 });
    points.push((still.each * still.executions) / still.points);
    const looked = await explored('steps-race', { ...steps, seed: 0, executions: 5000, check: 'races' });
    watched.push((looked.each * looked.executions) / looked.points);
    adds.push(atomicAdd());
    moves.push(await explored('steps-race', { ...steps, seed: 1, executions: 1500 }));
    pings.push(await pingPong());
  }
  const point = fastest(points);
  const hands = moves.map((r) => (r.each * r.executions - r.points * point) / r.handovers);
  yield {
    ...{ name: 'scheduling point without a switch, against Atomics.add', unit: 'ns', aim: '<= 5' },
    ...{ measured: point, baseline: fastest(adds) },
  };
  yield {
    ...{ name: 'the same with --check races, against without', unit: 'ns', aim: '<= 4' },
    ...{ measured: fastest(watched), baseline: point },
  };
  yield {
    ...{ name: 'hand-over, against a bare ping-pong of two workers', unit: 'ns', aim: '<= 1.5' },
    ...{ measured: median(hands), baseline: median(pings) },
  };
}

/**
 * Executions a second and the reset's share of them. One reset in so many is timed, and one of those that meets an interruption by the host counts for all
 * of them: hence the median of rounds.
 */
async function* executionRows(race: string, name: string, options: ExploreOptions): AsyncGenerator<Measured> {
  const rounds: (ExploreResult & { readonly each: number })[] = [];
  for (let round = 0; round < ROUNDS; round++) rounds.push(await explored(race, options));
  const points = pointsEach(rounds[0] as ExploreResult);
  const aim = options.cpus === 2 ? '> 100000' : '';
  yield alone(
    `${name} of ${points} points, random walk`,
    1e9 / fastest(rounds.map((r) => r.each)),
    'executions/s',
    aim,
  );
  const share = median(rounds.map(resetShare));
  if (options.cpus !== 1) yield alone('reset, of an execution of it', share, '%', '<= 5');
}

/** Rows of the table. */
export async function* explorerRows(): AsyncGenerator<Measured> {
  yield* pointRows();
  const walk = { strategy: 'random', uniform: true, executions: 50_000 };
  yield* executionRows('bare-race', 'two threads', { ...walk, cpus: 2 });
  yield* executionRows('bare-race', 'one thread', { ...walk, cpus: 1 });
  yield* executionRows('highmem/E1', 'highmem/E1', { ...walk, patches: ['kmap-high-get'], executions: 1000 });
}
