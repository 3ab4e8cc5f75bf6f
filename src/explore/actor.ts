/** The worker of a kernel thread, with controlled mode. */
import { CpuActor, loadRaceModule } from '../lab/actor.js';
import type { Job } from '../lab/job.js';
import { UsageError } from '../shared/errors.js';
import type { History } from './recorder.js';
import { type ExploreJob, type ExploreReport, WorkerExplorer } from './worker-explorer.js';

export class ExploreActor extends CpuActor {
  #explorer: WorkerExplorer | null = null;

  /** Load the race and bind to a slot for an exploration; slot 0 boots the kernel. */
  async prepareExplore(job: Job, explore: ExploreJob): Promise<void> {
    this.#explorer = new WorkerExplorer(job, await loadRaceModule(job.module), explore);
    if (job.slot === 0) this.#explorer.boot();
  }

  lead(): ExploreReport {
    return this.#ready().lead();
  }

  follow(): History {
    return this.#ready().follow();
  }

  #ready(): WorkerExplorer {
    if (this.#explorer === null) throw new UsageError('an exploration was started before it was prepared');
    return this.#explorer;
  }
}
