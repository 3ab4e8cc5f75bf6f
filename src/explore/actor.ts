/** The workers of kernel threads and of devices, with controlled mode. */
import { CpuActor, DeviceActor, loadRaceModule } from '../lab/actor.js';
import type { Job } from '../lab/job.js';
import type { History } from '../lab/recorder.js';
import { UsageError } from '../shared/errors.js';
import { DeviceExplorer } from './device-explorer.js';
import type { ExploreJob } from './explore-job.js';
import { makeStrategy } from './strategies/index.js';
import { type ExploreReport, WorkerExplorer } from './worker-explorer.js';

const EARLY = 'an exploration was started before it was prepared';

export class ExploreActor extends CpuActor {
  #explorer: WorkerExplorer | null = null;

  /** Load the race and bind to a slot for an exploration; slot 0 boots the kernel. */
  async prepareExplore(job: Job, explore: ExploreJob): Promise<void> {
    const race = await loadRaceModule(job.module);
    this.#explorer = new WorkerExplorer(job, race, explore, await makeStrategy(explore.strategy));
    if (explore.wants.states) this.#explorer.watchStatements((await import('./statements.js')).Statements);
    if (job.slot === 0) this.#explorer.boot();
  }

  lead(seconds: number): ExploreReport {
    return this.#ready().lead(seconds);
  }

  save(): unknown {
    return this.#ready().save();
  }

  dismiss(): History {
    return this.#ready().dismiss();
  }

  follow(): History {
    return this.#ready().follow();
  }

  #ready(): WorkerExplorer {
    if (this.#explorer === null) throw new UsageError(EARLY);
    return this.#explorer;
  }
}

export class ExploreDeviceActor extends DeviceActor {
  #explorer: DeviceExplorer | null = null;

  async prepareExplore(job: Job, explore: ExploreJob): Promise<void> {
    const race = await loadRaceModule(job.module);
    this.#explorer = new DeviceExplorer(job, race, explore, await makeStrategy(explore.strategy));
  }

  follow(): History {
    if (this.#explorer === null) throw new UsageError(EARLY);
    return this.#explorer.follow();
  }
}
