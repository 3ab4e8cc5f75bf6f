/**
 * Two pkmap slots, three pages: kmap() gives an address away as soon as nobody has it pinned. The first thread uses its address beyond kunmap(), and
 * stores into whatever page has that address by then.
 *
 *     npm run smp -- explore ./examples/03-kmap-recycle.ts --preemptions 1
 */
import { alloc_page, assertEqual, fillMemory, GFP_HIGHUSER, type Kernel, kmap, kunmap, type Page, race } from 'murphy';

function firstWord(k: Kernel, name: string): number {
  const value = k.load32(kmap(k, k.vars[name] as Page));
  kunmap(k, k.vars[name] as Page);
  return value;
}

export default race({
  id: 'kmap-recycle',
  machine: { core: 'cortex-a9', cpus: 2, pkmapSlots: 2 },
  vars: ['mine', 'yours', 'ours'],
  cases: [{ name: 'used beyond kunmap()', outcome: ['report', 'oops'] }],
  setup(k) {
    for (const name of ['mine', 'yours', 'ours']) {
      k.vars[name] = alloc_page(k, GFP_HIGHUSER);
      fillMemory(k, k.vars[name] as Page, () => 1);
    }
  },
  threads: [
    (k) => {
      const address = kmap(k, k.vars.mine as Page);
      kunmap(k, k.vars.mine as Page);
      k.store32(address, 2);
    },
    (k) => ['yours', 'ours'].map((name) => firstWord(k, name)),
  ],
  check: (k) => ['yours', 'ours'].map((name) => assertEqual(firstWord(k, name), 1, `first word of ${name}`)),
});
