/** Entry point of a worker that is a simulated CPU's kernel thread. */
import { parentPort } from 'node:worker_threads';
import { expose } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { ExploreActor } from '../src/explore/actor.js';

// Races in TypeScript: say where they failed in their own lines.
process.setSourceMapsEnabled(true);
if (parentPort !== null) expose(new ExploreActor(), nodeEndpoint(parentPort));
