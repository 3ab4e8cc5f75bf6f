/** The real lab, loaded when a command needs it: `--help` does not wait for the kernel code. */
import type { Lab } from './lab.js';

export async function loadLab(): Promise<Lab> {
  const { run, runCases, listExperiments } = await import('../lab/run.js');
  const { explore } = await import('../explore/explore.js');
  const { searchFailure } = await import('../explore/search.js');
  const { listRaces } = await import('../lab/modules.js');
  const { listSuites, stress } = await import('../lab/stress.js');
  const { CORES, KERNELS, PATCHES } = await import('../lab/catalogue.js');
  return {
    run,
    runCases,
    explore,
    searchFailure,
    listExperiments,
    listRaces,
    listSuites,
    stress,
    cores: CORES,
    kernels: KERNELS,
    patches: PATCHES,
  };
}
