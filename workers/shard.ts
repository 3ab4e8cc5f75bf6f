/** Entry point of a worker that explores one part of a search, on a machine of its own. */
export { exploreShard as default } from '../src/explore/shard-job.js';
