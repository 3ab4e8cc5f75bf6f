/** What a run is doing, on standard error: bars per CPU on a terminal, else a plain line now and then. */
import cliProgress, { type MultiBar, type Options, type Params, type SingleBar } from 'cli-progress';
import type { CpuStats, Progress } from '../lab/types.js';
import { count, type Output, plural } from './output.js';

export interface ProgressDisplay {
  update(progress: Progress): void;
  /** The case has ended: nothing of the display stays on the screen. */
  clear(): void;
}

export const NO_PROGRESS: ProgressDisplay = { update() {}, clear() {} };

/** Seconds between plain lines. */
const LINE_SECONDS = 2;

export function progressDisplay(out: Output): ProgressDisplay {
  return out.isTTY ? new BarDisplay(out as unknown as NodeJS.WritableStream) : new LineDisplay(out);
}

const opsPerSecond = (stats: CpuStats, progress: Progress): number =>
  progress.seconds > 0 ? stats.ops / progress.seconds : 0;

export function progressLine(progress: Progress): string {
  const { experiment, caseName, seconds, secondsMax, executions, failures, cpus } = progress;
  const perCpu = cpus.map((stats) => `CPU${stats.cpu} ${count(opsPerSecond(stats, progress))}`).join(', ');
  const counts = `${plural(executions, 'execution')}, ${plural(failures, 'failure')}`;
  const name = caseName === '' ? experiment : `${experiment} (${caseName})`;
  // Races that count no operations have no speed but their executions.
  const speed = cpus.some((stats) => stats.ops > 0) ? `; ops/s: ${perCpu}` : '';
  return `${name}: ${seconds.toFixed(1)} of ${secondsMax.toFixed(1)} s, ${counts}${speed}`;
}

/** A line when a case begins, and one every few seconds. */
class LineDisplay implements ProgressDisplay {
  readonly #out: Output;
  #case = '';
  #nextSeconds = 0;

  constructor(out: Output) {
    this.#out = out;
  }

  update(progress: Progress): void {
    const name = `${progress.experiment}\0${progress.caseName}`;
    if (name !== this.#case) {
      this.#case = name;
      this.#nextSeconds = 0;
    }
    if (progress.seconds < this.#nextSeconds) return;
    this.#nextSeconds = progress.seconds + LINE_SECONDS;
    this.#out.write(`murphy: ${progressLine(progress)}\n`);
  }

  clear(): void {
    this.#case = '';
  }
}

/** A bar for the time of the case, and one per CPU that shows its speed against the fastest. */
class BarDisplay implements ProgressDisplay {
  readonly #stream: NodeJS.WritableStream;
  #bars: MultiBar | null = null;
  #total: SingleBar | null = null;
  #cpus: SingleBar[] = [];

  constructor(stream: NodeJS.WritableStream) {
    this.#stream = stream;
  }

  update(progress: Progress): void {
    if (this.#bars === null) this.#open(progress);
    const { secondsMax, cpus } = progress;
    this.#total?.setTotal(secondsMax);
    this.#total?.update(Math.min(progress.seconds, secondsMax), { progress });
    const fastest = Math.max(1, ...cpus.map((stats) => stats.ops));
    for (const [index, stats] of cpus.entries()) {
      this.#cpus[index]?.setTotal(fastest);
      this.#cpus[index]?.update(stats.ops, { progress, stats });
    }
  }

  #open(progress: Progress): void {
    this.#bars = new cliProgress.MultiBar({ ...BAR, stream: this.#stream, format: formatTotal });
    this.#total = this.#bars.create(progress.secondsMax, 0, { progress });
    this.#cpus = [];
    for (const stats of progress.cpus) {
      this.#cpus.push(this.#bars.create(1, 0, { progress, stats }, { format: formatCpu }));
    }
  }

  clear(): void {
    this.#bars?.stop();
    this.#bars = null;
    this.#cpus = [];
  }
}

const BAR: Options = {
  barCompleteChar: '=',
  barIncompleteChar: ' ',
  barsize: 24,
  clearOnComplete: true,
  hideCursor: true,
  // Ctrl-C belongs to the command, which prints what was collected.
  gracefulExit: false,
  fps: 10,
};

const bar = (params: Params, options: Options): string => cliProgress.Format.BarFormat(params.progress, options);

function formatTotal(options: Options, params: Params, payload: { progress: Progress }): string {
  const { experiment, caseName, seconds, secondsMax, executions, failures } = payload.progress;
  const time = `${seconds.toFixed(1)}/${secondsMax.toFixed(1)} s`;
  const name = caseName === '' ? experiment : `${experiment} (${caseName})`;
  return `      [${bar(params, options)}] ${time}  ${count(executions)} runs  ${count(failures)} failures  ${name}`;
}

function formatCpu(options: Options, params: Params, payload: { progress: Progress; stats: CpuStats }): string {
  const { progress, stats } = payload;
  const speed = count(opsPerSecond(stats, progress)).padStart(11);
  const irq = `${count(stats.interrupts)} irq, ${count(stats.ipis)} IPI`;
  const rest = `${count(stats.lockContended)} contended, ${count(stats.writeBacks)} write-backs`;
  return `${`CPU${stats.cpu}`.padEnd(5)} [${bar(params, options)}] ${speed} ops/s  ${irq}, ${rest}`;
}
