/** The worker threads of the process: started once, used by one run after the other, replaced when one has died. */

import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { type Remote, wrap } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import type { CpuActor, DeviceActor } from './actor.js';
import { builtFile } from './modules.js';

/**
 * Kernel code is many small functions that call each other; with V8's default budget the inner ones are called instead of inlined,
 * which makes kmap_high() half as slow again. Measured best at this value; more is worse.
 */
export const V8_FLAGS = '--max-inlined-bytecode-size-cumulative=3000 --no-parallel-scavenge';

export interface PoolWorker<A> {
  readonly worker: Worker;
  readonly actor: Remote<A>;
  /** Why the worker has gone, once it has. */
  death: string | null;
}

function start<A>(entry: string, name: string): PoolWorker<A> {
  setFlagsFromString(V8_FLAGS);
  const worker = new Worker(builtFile('workers', `${entry}.js`), { name });
  const pool: PoolWorker<A> = { worker, actor: wrap<A>(nodeEndpoint(worker)), death: null };
  worker.on('error', (error) => {
    pool.death = `${error.name}: ${error.message}`;
  });
  worker.on('exit', (code) => {
    pool.death ??= `it exited with code ${code}`;
  });
  return pool;
}

export class WorkerPool {
  readonly cpus: PoolWorker<CpuActor>[] = [];
  readonly devices: PoolWorker<DeviceActor>[] = [];

  /** At least so many workers of each kind, all alive and up. */
  async ensure(cpus: number, devices: number): Promise<void> {
    this.#prune(this.cpus);
    this.#prune(this.devices);
    while (this.cpus.length < cpus) this.cpus.push(start<CpuActor>('cpu', `cpu${this.cpus.length}`));
    while (this.devices.length < devices)
      this.devices.push(start<DeviceActor>('device', `device${this.devices.length}`));
    await Promise.all([...this.cpus, ...this.devices].map((w) => this.#up(w)));
  }

  async #up(w: PoolWorker<CpuActor> | PoolWorker<DeviceActor>): Promise<void> {
    const up = new AbortController();
    const died = once(w.worker, 'exit', { signal: up.signal }).then(([code]) => {
      throw new Error(`worker ended with code ${code} while it started`);
    });
    died.catch(() => {});
    try {
      await Promise.race([w.actor.ping(), died]);
    } finally {
      up.abort();
    }
  }

  #prune(list: { death: string | null }[]): void {
    for (let i = list.length - 1; i >= 0; i--) if (list[i]?.death !== null) list.splice(i, 1);
  }

  /** Idle workers must not keep the process alive; busy ones must. */
  hold(busy: boolean): void {
    for (const { worker } of [...this.cpus, ...this.devices]) {
      if (busy) worker.ref();
      else worker.unref();
    }
  }

  /** Take all of them down. */
  async close(): Promise<void> {
    const all = [...this.cpus.splice(0), ...this.devices.splice(0)];
    await Promise.all(all.map((w) => w.worker.terminate()));
  }
}
