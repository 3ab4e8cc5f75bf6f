/** The real lab, loaded when a command needs it. */
import type { Lab } from './lab.js';

interface Catalogue {
  readonly CORES: Lab['cores'];
  readonly KERNELS: Lab['kernels'];
  readonly PATCHES: Lab['patches'];
}

export async function loadLab(): Promise<Lab> {
  const paths = { run: '../lab/run.js', catalogue: '../lab/catalogue.js' };
  const { run, runCases, listExperiments } = (await import(paths.run)) as Lab;
  const { CORES, KERNELS, PATCHES } = (await import(paths.catalogue)) as Catalogue;
  return { run, runCases, listExperiments, cores: CORES, kernels: KERNELS, patches: PATCHES };
}
