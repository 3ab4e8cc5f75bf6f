/** How much longer than on an idle host one has to wait before it is said that something never comes to its end. */
import { availableParallelism, loadavg } from 'node:os';

const MOST = 10;

/** As many times as there are processes that want to run for each core, from 1 to 10. */
export const busyFactor = (): number => Math.min(MOST, Math.max(1, (loadavg()[0] as number) / availableParallelism()));
