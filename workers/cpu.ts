/** Entry point of a worker that is a simulated CPU's kernel thread. */
import { parentPort } from 'node:worker_threads';
import { expose } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { CpuActor } from '../src/lab/actor.js';

if (parentPort !== null) expose(new CpuActor(), nodeEndpoint(parentPort));
