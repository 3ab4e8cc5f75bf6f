/** Controlled mode, inside the worker of a device: a context like a thread, with no CPU. */
import type { DeviceRaces } from '../check/races/races.js';
import { Device } from '../cpu/device.js';
import { PhysicalMemory } from '../cpu/memory.js';
import { appendLog } from '../cpu/printk.js';
import { bothTracers } from '../cpu/tracer.js';
import { deviceChecker } from '../lab/checkers.js';
import type { Job } from '../lab/job.js';
import { mustBePlain } from '../lab/plain.js';
import type { RaceSpec } from '../lab/race.js';
import { defineVars, settleDevice } from '../lab/race-worker.js';
import { deviceRacesOf } from '../lab/races.js';
import { DeviceRecorder, type History, NO_HISTORY } from '../lab/recorder.js';
import { named } from '../lab/stack.js';
import { layoutStatics } from '../mm/boot.js';
import { Baton, type BatonHost } from './baton.js';
import { controlledPart, type ExploreJob, preemptCounts } from './explore-job.js';
import { DEVICE_CONTEXT, Turn } from './shared-state.js';
import type { Strategy } from './strategy.js';

export class DeviceExplorer {
  readonly #device: Device;
  readonly #body: (d: Device) => void;
  readonly #baton: Baton;
  readonly #index: number;
  readonly #recorder: DeviceRecorder | null;
  readonly #races: DeviceRaces | null;
  readonly #printk: (text: string) => void;

  constructor(job: Job, race: RaceSpec, explore: ExploreJob, strategy: Strategy) {
    const { config, buffers, slot } = job;
    const device = new Device(config, buffers, slot);
    const { sym, bytes } = layoutStatics(config);
    const view = { hw: device.hw, words: new Int32Array(buffers.arena), layout: device.layout, config, sym };
    const { ex, layout, footprint, stateHash } = controlledPart(explore, view, bytes >>> 2, job.devices);
    this.#device = device;
    this.#index = slot;
    this.#body = named(race.devices?.[slot] ?? (() => {}), `device${slot}`);
    device.vars = defineVars(device, job.raceVars, race.vars ?? []);
    device.traceFootprints(footprint);
    const host: BatonHost = {
      ...view,
      context: DEVICE_CONTEXT + slot,
      contexts: job.threads.length + job.devices,
      devices: job.devices,
      cpu: 0,
      task: slot,
      staticWords: bytes >>> 2,
      footprint,
      memory: new PhysicalMemory(buffers.arena, config.core.physBase),
      preemptCountOf: preemptCounts(view),
      takeInterrupts: () => {},
      preempt: () => {},
      printk: (text) => appendLog(view.hw, view.layout, 0, this.#baton.clock, text),
    };
    this.#baton = new Baton(host, ex, layout, strategy, explore.wants, stateHash);
    device.controller = this.#baton;
    const { history } = explore;
    this.#recorder = history === null ? null : new DeviceRecorder(slot, history, () => this.#baton.clock);
    this.#printk = host.printk;
    this.#races = deviceRacesOf({ ...view, printk: host.printk }, slot, job.reports);
    const checked = bothTracers(deviceChecker(device, buffers.arena, host.printk), this.#races);
    device.setTracer(bothTracers(this.#recorder, checked));
  }

  follow(): History {
    for (;;) {
      if (this.#baton.waitTurn(null) === Turn.over) return this.#recorder?.take() ?? NO_HISTORY;
      this.#take();
    }
  }

  #take(): void {
    const device = this.#device;
    this.#recorder?.begin(this.#races?.run ?? 0);
    this.#baton.begin(Turn.run);
    try {
      this.#baton.firstStep();
      mustBePlain(this.#body(device));
    } catch (error) {
      settleDevice(device, this.#index, error, this.#printk);
    }
    device.ended();
    this.#baton.end(false);
  }
}
