/** One CPU has objects, and free ones at hand, of a cache that another one shrinks. */
import {
  GFP_KERNEL,
  type Kernel,
  kmem_cache_alloc,
  kmem_cache_create,
  kmem_cache_free,
  kmem_cache_shrink,
  NULL,
  ptr,
  race,
} from '#murphy';

const shared = { cache: 0 };
type K = Kernel<typeof shared>;
const cacheOf = (k: K): ReturnType<typeof kmem_cache_create> => ptr<'kmem_cache'>(k.shared.cache);

export default race({
  id: 'shrinks',
  shared,
  machine: { core: 'cortex-a9', cpus: 2, lowmemPages: 64, highmemPages: 0 },
  setup: (k) => {
    k.shared.cache = kmem_cache_create(k, 'mine', 40, 0, 0);
  },
  threads: [
    {
      cpu: 1,
      run: (k) => {
        const objects = [1, 2, 3].map(() => kmem_cache_alloc(k, cacheOf(k), GFP_KERNEL));
        kmem_cache_free(k, cacheOf(k), objects[1] ?? NULL);
      },
    },
    { cpu: 0, run: (k) => void kmem_cache_shrink(k, cacheOf(k)) },
  ],
});
