/** Race modules of the vmalloc measurements on several CPUs: each CPU allocates and frees, and all meet on vmap_area_lock. `#vmalloc-16`: 16 pages at a time. */
import { type Kernel, type RaceSpec, race, vfree, vmalloc } from '../src/index.js';

/** Pages that each CPU allocates in one execution. */
const PAGES = 4096;

const vmallocWork = (pages: number): RaceSpec =>
  race({
    id: `vmalloc-${pages}`,
    title: `vmalloc() and vfree() of ${pages} pages, for bench`,
    source: 'bench',
    machine: { core: 'cortex-a9', kernel: '4.12', hz: 0, lowmemPages: 2048 },
    threads: ({ cpus }) =>
      Array.from({ length: cpus }, () => (k: Kernel) => {
        for (let done = 0; done < PAGES; done += pages) vfree(k, vmalloc(k, pages * 4096));
      }),
  });

export const one = vmallocWork(1);
export const sixteen = vmallocWork(16);
export const many = vmallocWork(256);
