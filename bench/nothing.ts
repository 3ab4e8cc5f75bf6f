/** Race module of the boot measurement: four threads that do nothing. */
import { race } from '../src/index.js';

export default race({
  id: 'nothing',
  machine: { core: 'cortex-a9', hz: 0 },
  threads: ({ cpus }) => Array.from({ length: cpus }, () => () => {}),
});
