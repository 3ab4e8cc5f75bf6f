/** A host without a process: streams that keep what they are given, a lab that answers from a list, signals by hand. */
import type { Host, StopSignal } from '../../src/cli/host.js';
import type { Lab } from '../../src/cli/lab.js';
import { main } from '../../src/cli/main.js';
import type { ExploreOptions, ExploreResult } from '../../src/explore/explore.js';
import type { SearchResult } from '../../src/explore/search.js';
import type { RaceSpec } from '../../src/lab/race.js';
import type { RunOptions, RunResult } from '../../src/lab/types.js';
import { UsageError } from '../../src/shared/errors.js';
import { clean, Kept, lostBytes } from '../report/sample.js';

const RECYCLE: RaceSpec = {
  id: '2009-03-kmap-recycle-lost-bytes',
  title: 'an unpinned kmap is recycled during DMA maintenance',
  source: 'seed 002',
  spec: ['highmem/E1', 'highmem/E1v'],
  machine: { core: 'vivt-shared' },
  cases: [
    { name: 'unpinned', outcome: 'wrong-bytes' },
    { name: 'pinned', machine: { patches: ['kmap-high-get'] }, outcome: ['clean', 'warn'] },
  ],
  threads: [() => {}],
};

const UNUSED: RaceSpec = {
  ...RECYCLE,
  id: '2010-05-kmap-flush-unused',
  source: 'highmem.md',
  spec: ['highmem/E18'],
  cases: [{ name: 'all CPUs', outcome: 'clean' }],
};

export interface Call {
  readonly how: 'run' | 'runCases' | 'explore' | 'stress';
  readonly race: string;
  readonly options: RunOptions & ExploreOptions;
}

export class FakeLab implements Lab {
  readonly calls: Call[] = [];
  readonly cores = [
    { id: 'arm926', title: 'ARM926EJ-S' },
    { id: 'cortex-a9', title: 'Cortex-A9' },
  ];
  readonly kernels = [
    { id: '2.6.29', title: 'March 2009' },
    { id: '2.6.30', title: 'June 2009' },
  ];
  readonly patches = [
    {
      ...{ id: 'kmap-high-get', title: 'pin the mapping', author: 'N. Pitre', date: '2009-03-06', seed: '002' },
      ...{ since: '2.6.30', kind: 'patch' as const },
    },
    { id: 'no-tlb-flush', title: 'leave out the flush', seed: null, since: null, kind: 'mutant' as const },
  ];
  experiments: readonly RaceSpec[] = [RECYCLE, UNUSED];
  results: readonly RunResult[] = [lostBytes(), clean()];
  /** Called before each result. */
  before: (index: number, options: RunOptions) => void = () => {};

  async listExperiments(): Promise<readonly RaceSpec[]> {
    return this.experiments;
  }

  async listRaces(): Promise<readonly []> {
    return [];
  }

  async listSuites(): Promise<ReadonlyMap<string, RaceSpec>> {
    return new Map([
      ['kmap', { ...UNUSED, id: 'stress-kmap', spec: [] }],
      ['locks', { ...UNUSED, id: 'stress-locks', spec: [] }],
    ]);
  }

  async *stress(suite: string, options: RunOptions): AsyncGenerator<RunResult> {
    this.calls.push({ how: 'stress', race: suite, options });
    for (const [index, result] of this.results.entries()) {
      this.before(index, options);
      yield options.signal?.aborted ? { ...result, interrupted: true } : result;
    }
  }

  async run(race: string, options: RunOptions): Promise<RunResult> {
    this.calls.push({ how: 'run', race, options });
    if (race.endsWith('.ts')) throw new UsageError(`cannot load ${race}: no such file; check the path`);
    this.before(0, options);
    return this.results[0]!;
  }

  /** What explore() answers for a case; clean and exhausted unless a test says otherwise. */
  explored: (race: string, options: ExploreOptions) => Partial<ExploreResult> = () => ({});

  async explore(race: string, options: ExploreOptions): Promise<ExploreResult> {
    this.calls.push({ how: 'explore', race, options });
    const spec = this.experiments.find((e) => e.id === race)?.spec ?? [];
    return {
      ...{ experiment: race, title: '', spec, mode: 'controlled', core: 'arm926-smp', cpus: 2, kernel: '2.6.30' },
      ...{ patches: [], strategy: 'dfs', outcome: 'clean', claimed: null, expected: true, executions: 10 },
      ...{ exhausted: true, seconds: 0.1, failure: null, schedule: [], traceHash: '', steps: 5, decisionsMost: 3 },
      ...{
        handovers: 2,
        resetSeconds: 0,
        diverged: false,
        preemptions: 0,
        memoryHash: '',
        trace: new Int32Array(0),
        failures: [],
      },
      ...{ machine: {} as never, prescribed: 0, stepsMax: 20_000, rounds: 0 },
      ...{ caseName: null, abandoned: 0, executionsPerSecond: 100, failingExecutions: 0, points: 50, stepsMost: 5 },
      ...{ stats: {}, interrupted: false },
      history: { events: [], standing: [] },
      ...{ dmesg: [], error: null },
      ...this.explored(race, options),
    };
  }

  async searchFailure(): Promise<SearchResult> {
    return { replay: null, same: false, lines: ['found by the fake'] };
  }

  async *runCases(race: string, options: RunOptions): AsyncGenerator<RunResult> {
    this.calls.push({ how: 'runCases', race, options });
    if (race.endsWith('.ts')) throw new UsageError(`cannot load ${race}: no such file; check the path`);
    for (const [index, result] of this.results.entries()) {
      this.before(index, options);
      yield options.signal?.aborted ? { ...result, interrupted: true } : result;
    }
  }
}

export class FakeHost implements Host {
  readonly stdout = new Kept();
  readonly stderr = new Kept();
  env: Record<string, string | undefined> = {};
  readonly fakeLab = new FakeLab();
  readonly exits: number[] = [];
  time = 0;
  readonly #handlers = new Map<StopSignal, () => void>();

  async lab(): Promise<Lab> {
    return this.fakeLab;
  }
  async readFile(path: string): Promise<string> {
    throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
  }
  onSignal(signal: StopSignal, handler: () => void): void {
    this.#handlers.set(signal, handler);
  }
  offSignal(signal: StopSignal): void {
    this.#handlers.delete(signal);
  }
  now(): number {
    return this.time;
  }
  exit(code: number): void {
    this.exits.push(code);
  }

  send(signal: StopSignal): void {
    this.#handlers.get(signal)?.();
  }
  get listensToSignals(): boolean {
    return this.#handlers.size > 0;
  }
  /** Run a command line, given as words. */
  murphy(line: string): Promise<number> {
    return main(line.split(' ').filter(Boolean), this);
  }
}
