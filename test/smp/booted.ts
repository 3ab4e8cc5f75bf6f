import { afterAll, beforeAll } from 'vitest';
import { Machine } from '../../src/index.js';

/** A machine of two CPUs for the tests of this file, or of this describe: booted before the first and closed after the last. */
export function booted(): Pick<Machine, 'run'> {
  let machine: Machine;
  beforeAll(async () => {
    machine = await Machine.boot({ cpus: 2 });
  });
  afterAll(async () => {
    await machine.close();
  });
  return { run: (name, options) => machine.run(name, options) };
}
