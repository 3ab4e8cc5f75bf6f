/**
 * The reset between two executions: whatever an execution has left in memory and hardware, the next one begins with the machine as it was after boot. Every
 * other execution dirties something; the ones between must come to the same end as the very first, memory included, byte for byte.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ExploreOptions, explore } from '../../src/explore/explore.js';

const folder = mkdtempSync(join(tmpdir(), 'murphy-reset-'));

function written(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

/** Takes the first choice in executions of an even number, and the last one in all others. Ends after as many as `depth` says. */
const alternating = written(
  'alternating.mjs',
  `export default ({ depth }) => ({
  name: 'alternating',
  begin(shared, execution) { shared[0] = execution & 1; return 0; },
  choose: (shared, s) => s.choices[shared[0] === 1 ? s.count - 1 : 0],
  end: (execution) => execution.number < depth,
});
`,
);

/** The thread that comes second sees that it does, and then dirties what @dirty does. */
const race = (name: string, dirty: string, more = ''): string =>
  written(
    `${name}.mjs`,
    `import { __free_page, alloc_page, GFP_KERNEL, kmap, kunmap, local_irq_disable, race, spin_lock } from 'murphy';
export default race({
  id: 'dirty', shared: { first: 0 }, locks: ['m'], machine: { lowmemPages: 64, highmemPages: 16, pkmapSlots: 2, preempt: false }, ${more}
  threads: [(k) => { k.shared.first = 1; }, (k) => { if (k.shared.first === 0) { ${dirty} } }],
});
`,
  );

/** What the last of @executions comes to; those of an odd number are dirty. */
async function last(file: string, executions: number, options: ExploreOptions = {}) {
  const result = await explore(file, { strategy: alternating, depth: executions, keepGoing: true, ...options });
  expect([result.error, result.executions]).toEqual([null, executions]);
  const { traceHash, memoryHash, steps } = result;
  return { traceHash, memoryHash, steps };
}

describe.each<[name: string, dirty: string, more?: string]>([
  [
    'a page of memory',
    'const page = alloc_page(k, GFP_KERNEL); const at = kmap(k, page); for (let i = 0; i < 64; i++) k.store32(at + i * 4, i); kunmap(k, page);',
  ],
  ['a struct page that is not given back', 'alloc_page(k, GFP_KERNEL); alloc_page(k, GFP_KERNEL);'],
  ['a page table entry and a line of the cache', 'k.store32(kmap(k, alloc_page(k, GFP_KERNEL)), 7);'],
  ['a lock, the interrupt mask and preempt_count', 'spin_lock(k, k.locks.m); local_irq_disable(k);'],
  ['an interrupt that nobody has taken', 'local_irq_disable(k); k.raise(1, 3);', 'irqs: { 3() {} },'],
  ['a message of the kernel', "k.printk('dirty'); k.shared.first = 5;"],
])('after an execution that leaves %s', (name, dirty, more) => {
  it('the next one begins as the first one did', async () => {
    const file = race(name.replaceAll(' ', '-'), dirty, more);
    // Executions 1 and 3 are dirty, 2 and 4 are not; from the fifth on a reset restores only what was announced.
    const [clean, later] = [await last(file, 2), await last(file, 8)];
    expect(later).toEqual(clean);
    const [soiled, again] = [await last(file, 1), await last(file, 9)];
    expect(again).toEqual(soiled);
    expect(soiled).not.toEqual(clean);
  });
});

describe('/proc/interrupts', () => {
  it('has the interrupts of one execution, not of those before it', async () => {
    const file = written(
      'counted.mjs',
      `import { race, show_interrupts } from 'murphy';
export default race({
  id: 'counted', machine: { core: 'arm926', cpus: 1, hz: 0, kernel: '2.6.30', lowmemPages: 64, highmemPages: 0 },
  irqs: { 3() {} },
  threads: [(k) => { k.raise(0, 3); }],
  check(k) {
    const line = show_interrupts(k).split('\\n')[1];
    if (line !== '  3:          1           -  irq3') throw new Error(line);
  },
});
`,
    );
    const result = await explore(file, { strategy: 'random', executions: 5, keepGoing: true });
    expect(result).toMatchObject({ outcome: 'clean', executions: 5, error: null });
  });
});
