/**
 * `npm run bench`: what the machine costs, as ratios against raw baselines of the same run. Absolute times say little on a shared
 * host; a ratio is that of the medians of rounds in which model and baseline took turns, or of the fastest ones for what takes less than a line's way between
 * cores.
 */
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { builtFile } from '../src/lab/modules.js';
import { Machine } from '../src/lab/run.js';
import { V8_FLAGS } from '../src/lab/workers.js';
import { explorerRows } from './explorer.js';
import type { Sample } from './measure.js';
import { EXECUTIONS, memory } from './memory.js';
import { removeUnwatched, unwatched } from './unwatched.js';
import { ERAS, LIVE_AREAS, ORDERS, VMALLOC_PAGES } from './vmalloc.js';

interface Row {
  readonly name: string;
  readonly measured: number;
  readonly baseline: number;
  readonly ratio: number;
  readonly unit: string;
  /** What is aimed at, where something is. */
  readonly aim: string;
}

function group(name: string, file = builtFile('bench', 'worker.js')): Promise<Map<string, number>> {
  return new Promise((done, fail) => {
    const worker = new Worker(file, { workerData: name });
    worker.once('message', (samples: Sample[]) => done(new Map(samples.map((s) => [s.name, s.nanoseconds]))));
    worker.once('error', fail);
  });
}

/** Rounds of the two builds, which take turns. */
const CHECKER_TURNS = 5;

const row = (name: string, samples: Map<string, number>, model: string, raw: string, aim: string): Row => {
  const measured = samples.get(model) ?? Number.NaN;
  const baseline = samples.get(raw) ?? Number.NaN;
  return { name, measured, baseline, ratio: measured / baseline, unit: 'ns', aim };
};

/** Executions a second of a race on 2 CPUs, twice the work, against 1 CPU. */
async function scaling(name: string, module: string, aim: string): Promise<Row> {
  const machine = await Machine.boot({ cpus: 2 });
  const rate = async (cpus: number, seconds: number): Promise<number> => {
    const result = await machine.run(builtFile('bench', module), { cpus, seconds });
    return (result.executions * cpus) / result.seconds;
  };
  const ones: number[] = [];
  const twos: number[] = [];
  // Each worker has a compiler of its own to warm.
  await rate(2, 1);
  for (let i = 0; i < 5; i++) {
    ones.push(await rate(1, 1.5));
    twos.push(await rate(2, 1.5));
  }
  await machine.close();
  const one = ones.sort((a, b) => a - b)[2] as number;
  const two = twos.sort((a, b) => a - b)[2] as number;
  return { name, measured: two, baseline: one, ratio: two / one, unit: 'executions/s', aim };
}

/** Until the first execution has ended: workers up, kernel booted, race loaded. A run is polled every 100 ms, so that much is noise. */
async function boot(): Promise<Row> {
  const times: number[] = [];
  const bare: number[] = [];
  for (let i = 0; i < 5; i++) {
    const started = performance.now();
    const machine = await Machine.boot({ cpus: 4 });
    await machine.run(builtFile('bench', 'nothing.js'), { cpus: 4, executions: 1 });
    times.push(performance.now() - started);
    await machine.close();
    bare.push(await bareWorkers());
  }
  const middle = (list: number[]): number => list.sort((a, b) => a - b)[2] as number;
  const measured = middle(times);
  const baseline = middle(bare);
  return { name: 'boot of 4 CPUs', measured, baseline, ratio: measured / baseline, unit: 'ms', aim: '<= 1500 ms' };
}

/** kmap_high() and kunmap_high() of a page that is mapped. */
async function* kmapRows(): AsyncGenerator<Row> {
  const kmap = await group('kmap');
  yield row('kmap_high + kunmap_high of a mapped page', kmap, 'kmap pair', 'raw', '<= 3');
  const plain = await group('kmap, plain release');
  yield row('the same against raw releases by plain store', plain, 'kmap pair', 'raw', '');
}

async function* cacheRows(): AsyncGenerator<Row> {
  for (const core of ['arm926', 'cortex-a9', 'vivt-shared']) {
    const samples = await group(`cached ${core}`);
    const aim = core === 'arm926' ? '<= 8' : '';
    yield row(`cached load hit, ${core}`, samples, 'load', 'raw load', aim);
    yield row(`cached store hit, ${core}`, samples, 'store', 'raw store', aim);
  }
}

async function* lockRows(): AsyncGenerator<Row> {
  const locks = await group('locks');
  yield row('spin_lock + spin_unlock', locks, 'lock pair', 'raw', '<= 1.5');
  yield row('the same against a raw release by plain store', locks, 'lock pair', 'raw, plain store', '');
  yield row('spin_lock_irqsave + spin_unlock_irqrestore', locks, 'irqsave pair', 'raw', '');
  const watched = new Map([...locks, ['watched', (await group('lockdep')).get('lock pair') ?? Number.NaN]]);
  yield row('the lock pair with --check lockdep, against without', watched, 'watched', 'lock pair', '<= 3');
}

/** What the places cost that ask for checkers while there are none: the same code against a copy without them, in turns. */
async function* checkerRows(): AsyncGenerator<Row> {
  const copy = unwatched('worker.js');
  if (copy.places < 50)
    throw new Error(`only ${copy.places} places ask for checkers: bench/unwatched.ts does not know how they do`);
  for (const [name, groupName, sample, aim] of [
    ['spin_lock + spin_unlock, checkers off, against none built in', 'locks', 'lock pair', '<= 1.05'],
    ['spin_lock_irqsave + spin_unlock_irqrestore, checkers off, against none built in', 'locks', 'irqsave pair', ''],
    ['kmap_high + kunmap_high, checkers off, against none built in', 'kmap', 'kmap pair', '<= 1.05'],
    ['kmalloc + kfree of 64 bytes, checkers off, against none built in', 'slub', 'kmalloc pair', ''],
  ] as const) {
    const [off, none]: [number[], number[]] = [[], []];
    for (let turn = 0; turn < CHECKER_TURNS; turn++) {
      off.push((await group(groupName)).get(sample) ?? Number.NaN);
      none.push((await group(groupName, copy.path)).get(sample) ?? Number.NaN);
    }
    const middle = (list: number[]): number => list.sort((a, b) => a - b)[CHECKER_TURNS >> 1] as number;
    const [measured, baseline] = [middle(off), middle(none)];
    yield { name, measured, baseline, ratio: measured / baseline, unit: 'ns', aim };
  }
  removeUnwatched();
}

async function* slabRows(): AsyncGenerator<Row> {
  for (const allocator of ['slub', 'slab']) {
    const samples = await group(allocator);
    yield row(`kmalloc + kfree of 64 bytes, ${allocator.toUpperCase()}`, samples, 'kmalloc pair', 'raw', '');
    for (const baseline of [
      'raw, head in memory',
      'raw, locked',
      ...(allocator === 'slub' ? ['raw, words of SLUB'] : []),
    ]) {
      yield row(`the same against a chain, ${baseline.slice(5)}`, samples, 'kmalloc pair', baseline, '');
    }
  }
  yield await scaling('kmalloc + kfree of own objects, 2 CPUs', 'private-kmalloc.js', '');
}

async function* scalingRows(): AsyncGenerator<Row> {
  yield await scaling('private cached work, 2 CPUs', 'private-work.js', '>= 1.8');
}

/** vmalloc() and vfree() on 1 and 2 CPUs, what live areas cost each era, and blocks of pages. */
async function* vmallocRows(): AsyncGenerator<Row> {
  for (const pages of VMALLOC_PAGES) {
    yield row(`vmalloc + vfree, pages: ${pages}`, await group(`vmalloc/${pages}`), 'pair', 'pages', '');
    yield await scaling(`the same, 2 CPUs, pages: ${pages}`, `vmalloc-work.js#vmalloc-${pages}`, '');
  }
  for (const kernel of ERAS) yield* growth(kernel);
  for (const order of ORDERS) {
    yield row(`alloc_pages + __free_pages, order ${order}`, await group(`order/${order}`), 'pair', 'raw', '');
  }
}

/** get_vm_area() with more and more areas, against the fewest. */
async function* growth(kernel: string): AsyncGenerator<Row> {
  let baseline = Number.NaN;
  for (const areas of LIVE_AREAS) {
    const measured = (await group(`areas/${kernel}/${areas}`)).get('pair') ?? Number.NaN;
    if (Number.isNaN(baseline)) baseline = measured;
    const name = `get_vm_area + remove_vm_area, ${kernel}, areas: ${areas}`;
    yield { name, measured, baseline, ratio: measured / baseline, unit: 'ns', aim: '' };
  }
}

async function* bootRows(): AsyncGenerator<Row> {
  yield await boot();
}

async function* exploreRows(): AsyncGenerator<Row> {
  for await (const r of explorerRows()) yield { ...r, ratio: r.measured / r.baseline };
}

const GROUPS: Readonly<Record<string, () => AsyncGenerator<Row>>> = {
  kmap: kmapRows,
  cache: cacheRows,
  lock: lockRows,
  checkers: checkerRows,
  slab: slabRows,
  scaling: scalingRows,
  vmalloc: vmallocRows,
  boot: bootRows,
  explore: exploreRows,
};

async function bareWorkers(): Promise<number> {
  const source = 'require("node:worker_threads").parentPort.postMessage(0)';
  const started = performance.now();
  const workers = Array.from({ length: 4 }, () => new Worker(source, { eval: true }));
  await Promise.all(workers.map((w) => new Promise((done) => w.once('message', done))));
  const time = performance.now() - started;
  await Promise.all(workers.map((w) => w.terminate()));
  return time;
}

/** What has no baseline has no ratio. */
const text = (value: number, digits: number): string => (Number.isNaN(value) ? '' : value.toFixed(digits));

const COLUMNS = [64, 11, 11, 12, 8, 10];

const line = (cells: readonly string[]): string =>
  cells.map((c, i) => (i === 0 ? c.padEnd(COLUMNS[i] ?? 0) : c.padStart(COLUMNS[i] ?? 0))).join(' ');

const tableLine = (r: Row): string =>
  line([r.name, text(r.measured, 1), text(r.baseline, 1), r.unit, text(r.ratio, 2), r.aim]);

/** Each row is printed when it is measured, so that an interrupted run keeps what it has. Return: exit status. */
export async function main(argv: readonly string[]): Promise<number> {
  const json = argv.includes('--json');
  const asked = argv.filter((a) => a !== '--json');
  const size = Number(asked[1] ?? EXECUTIONS);
  if (asked[0] === 'memory' && asked.length <= 2 && size >= 1000) return await memory(size, json);
  const unknown = asked.filter((name) => !(name in GROUPS));
  if (unknown.length > 0) {
    process.stderr.write(
      `murphy: bench does not know "${unknown.join(' ')}"; give any of ${Object.keys(GROUPS).join(', ')}, or ` +
        '"memory [EXECUTIONS]", 1000 at least, and --json\n',
    );
    return 2;
  }
  setFlagsFromString(V8_FLAGS);
  if (!json) process.stdout.write(`${line(['measurement', 'model', 'baseline', 'unit', 'ratio', 'aim'])}\n`);
  for (const [name, rows] of Object.entries(GROUPS)) {
    if (asked.length > 0 && !asked.includes(name)) continue;
    for await (const r of rows()) process.stdout.write(`${json ? JSON.stringify(r) : tableLine(r)}\n`);
  }
  return 0;
}
