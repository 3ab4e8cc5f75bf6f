/**
 * What the main thread can ask of a worker, over comlink. A run is one synchronous call inside the worker: its event loop stands still
 * until the run is over, and everything on the way goes through shared memory.
 */

import { Device } from '../cpu/device.js';
import { Control } from '../cpu/hw.js';
import { raiseLine } from '../cpu/kernel.js';
import { TIMER_LINE } from '../cpu/lines.js';
import { UsageError } from '../shared/errors.js';
import type { Job } from './job.js';
import { raceOf } from './modules.js';
import { importForRaces, type RaceSpec } from './race.js';
import type { History } from './recorder.js';
import { runDevice, type WorkerReport, WorkerRunner } from './worker-runner.js';

/** @url: of the module; its fragment is the id of the race. */
export async function loadRaceModule(url: string): Promise<RaceSpec> {
  // So that an error of the module names its line in the TypeScript source. Only modules loaded from here on cost anything.
  process.setSourceMapsEnabled(true);
  const [file = url, id = null] = url.split('#');
  const race = raceOf((await importModule(file)) as Readonly<Record<string, unknown>>, id);
  if (race === null) {
    throw new UsageError(`the module does not export the race "${id}": a race is an export of the file that makes it`);
  }
  return race;
}

async function importModule(file: string): Promise<unknown> {
  try {
    return await importForRaces(file);
  } catch (error) {
    const text = String(error).split('\n')[0];
    throw new UsageError(`the race module does not load in a worker: ${text}; mend it and run again`);
  }
}

/** A worker that is a kernel thread. */
export class CpuActor {
  #runner: WorkerRunner | null = null;

  /** The worker is up. */
  ping(): number {
    return performance.now();
  }

  /** Load the race and bind to a slot; slot 0 boots the kernel. */
  async prepare(job: Job): Promise<void> {
    this.#runner = new WorkerRunner(job, await loadRaceModule(job.module));
    if (job.slot === 0) this.#runner.boot();
  }

  run(): WorkerReport {
    if (this.#runner === null) throw new UsageError('run() before prepare()');
    return this.#runner.run();
  }
}

/** A worker that is a device: a bus master of the race, or the machine's timer. */
export class DeviceActor {
  #job: Job | null = null;
  #race: RaceSpec | null = null;

  ping(): number {
    return performance.now();
  }

  async prepare(job: Job): Promise<void> {
    this.#race = await loadRaceModule(job.module);
    this.#job = job;
  }

  run(): History {
    if (this.#job === null || this.#race === null) throw new UsageError('run() before prepare()');
    const device = new Device(this.#job.config, this.#job.buffers, this.#job.slot);
    return runDevice(this.#job, this.#race, device, device.hw);
  }

  /** Raise the timer line of every CPU, `hz` times a second, until the run is over. */
  runTimer(job: Job): void {
    const device = new Device(job.config, job.buffers, 0);
    const { hw, layout } = device;
    const period = 1000 / job.config.hz;
    while (Atomics.load(hw, Control.quit) === 0) {
      Atomics.wait(hw, Control.quit, 0, period);
      for (let cpu = 0; cpu < job.config.cpus; cpu++) raiseLine(hw, layout, cpu, TIMER_LINE);
    }
  }
}
