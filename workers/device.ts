/** Entry point of a worker that is a device. */
import { parentPort } from 'node:worker_threads';
import { expose } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { ExploreDeviceActor } from '../src/explore/actor.js';

process.setSourceMapsEnabled(true);
if (parentPort !== null) expose(new ExploreDeviceActor(), nodeEndpoint(parentPort));
