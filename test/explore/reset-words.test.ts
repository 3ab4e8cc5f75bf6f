/**
 * The words of the hardware area that a reset restores between two executions: interrupt lines and masks, run queues, what each thread is and waits for, write
 * buffers, registers of devices, TLBs, caches, variables of the race, measurements. Each is made something else when an execution has ended, and has to be what
 * it was when the next one begins.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Attention, Control, HELD_MASK, IOMMU_TLB_WORDS, Seat, Thread, TLB_HEAD } from '../../src/cpu/hw.js';
import { explore } from '../../src/explore/explore.js';

const folder = mkdtempSync(join(tmpdir(), 'murphy-reset-words-'));

const names = (of: Readonly<Record<string, number>>, ...without: string[]) =>
  Object.entries(of).filter(([name]) => !without.includes(name));
/** Of a seat, all but counters and what other actors and watchdogs ask of it. */
const SEAT = names(Seat, 'fills', 'tlbMisses').filter(([, word]) => word <= Seat.irqDepth);
const THREAD = names(Thread, 'used', 'words', 'held');
const CONTROL = names(Control).filter(([name]) =>
  ['live', 'started', 'stirred', 'devicesBusy', 'logHead'].includes(name),
);

/** Every word by name, as [name, index]; those of the bus and of waiters are as they were unless an execution was called off. */
const WORDS = `
function wordsOf(k, calledOff) {
  const { layout, config } = k;
  const words = [];
  const put = (name, at, count) => { for (let i = 0; i < count; i++) words.push([name + ' ' + i, at + i]); };
  for (const [name, word] of ${JSON.stringify(CONTROL)}) words.push([name, word]);
  for (let cpu = 0; cpu < config.cpus; cpu++) {
    for (const [name, word] of ${JSON.stringify(SEAT)}) words.push(['CPU' + cpu + ' ' + name, layout.seats + cpu * ${Seat.words} + word]);
    put('CPU' + cpu + ' TLB', layout.tlbs + cpu * layout.tlbWords, ${TLB_HEAD} + config.core.tlbEntries * 2);
    put('CPU' + cpu + ' write buffer', layout.writeBuffers + cpu * layout.writeBufferWords, 2);
  }
  for (let slot = 0; slot < config.threadsMax; slot++) {
    const thread = layout.threads + slot * ${Thread.words};
    for (const [name, word] of ${JSON.stringify(THREAD)}) words.push(['thread' + slot + ' ' + name, thread + word]);
    put('thread' + slot + ' lock held', thread + ${Thread.held}, ${HELD_MASK + 1});
  }
  put('device', layout.devices, 64 * config.devicesMax);
  put('I/O TLB', layout.iommuTlb, config.iommu ? ${IOMMU_TLB_WORDS} : 0);
  put('variable', layout.raceVars, 2);
  put('samples', layout.samples, 1);
  const cache = (name, { tags, flags, pointers, locks }, { sets, ways }) => {
    put(name + ' tags', tags, sets * ways);
    put(name + ' flags', flags, sets * ways);
    put(name + ' pointers', pointers, sets + 1);
    put(name + ' locks', locks, sets);
  };
  layout.caches.forEach((one, i) => cache('cache ' + i, one, config.core.dcache));
  if (layout.outer !== null) cache('outer cache', layout.outer, config.core.outer);
  if (calledOff) { put('bus lock', layout.busLocks, 64); put('waiters', layout.lockWaiters, 64); }
  return words;
}
`;

/** @calledOff: its executions fail, so that nothing is known of what they leave. */
function race(machine: string, calledOff: boolean): string {
  const file = join(folder, `${machine}-${calledOff}.mjs`.replace(/\W+(?=.*\.mjs)/g, '-'));
  writeFileSync(
    file,
    `import { alloc_page, assert, deviceWrite, GFP_HIGHUSER, GFP_KERNEL, kmap, page_address, race } from 'murphy';
${WORDS}
const before = new Map();
/** What else than zero a word is when an execution begins: two threads on two CPUs. */
const VALUES = { attention: () => ${Attention.controlled}, current: (nr) => nr, cpu: (nr) => nr, onRq: () => 1, state: () => 1, live: () => 2, stirred: () => 1 };
function valueOf(k, name, index) {
  if (/mm$/i.test(name)) {
    if (!before.has(index)) before.set(index, k.hw[index]);
    return before.get(index);
  }
  const [, nr = 0, word = name] = /^(?:CPU|thread)(\\d) (\\w+)$/.exec(name) ?? [];
  return VALUES[word]?.(Number(nr)) ?? 0;
}
export default race({
  id: 'words', machine: { ${machine} lowmemPages: 64, ${machine.includes('pa8800') ? '' : 'highmemPages: 4, pkmapSlots: 2'} }, shared: { x: 0 }, vars: ['one', 'two'],
  setup(k) {
    const changed = [];
    for (const [name, index] of wordsOf(k, ${calledOff})) {
      if (valueOf(k, name, index) !== k.hw[index]) changed.push(name);
    }
    assert(changed.length === 0, 'not restored: ' + changed.slice(0, 8).join(', ') + ' and ' + changed.length + ' in all');
    // A line is filled, a translation walked for, a register written: what tells a reset that there is something to restore.
    deviceWrite(k, 0, 0, 0);
    const highmem = k.config.highmemPages > 0;
    k.load32(highmem ? kmap(k, alloc_page(k, GFP_HIGHUSER)) : page_address(k, alloc_page(k, GFP_KERNEL)));
  },
  threads: [(k) => { k.shared.x = 1; }, (k) => { k.shared.x = 2; }],
  check(k) {
    for (const [name, index] of wordsOf(k, ${calledOff})) k.hw[index] = / attention/.test(name) ? ${Attention.wake} : k.hw[index] + 1;
    assert(!${calledOff}, 'called off');
  },
});
`,
  );
  return file;
}

describe.each([
  ['a shared VIVT cache', "core: 'vivt-shared', cpus: 2,"],
  ['a core with an outer cache', "core: 'cortex-a9-l2', cpus: 2,"],
  ['an I/O adapter with a TLB', "core: 'pa8800', iommu: true, cpus: 2,"],
])('on a machine with %s', (_, machine) => {
  it('each word is restored after an execution that came to its end', async () => {
    const { outcome, failure, error, executions } = await explore(race(machine, false), {
      keepGoing: true,
      executions: 6,
    });
    expect([failure?.message, error, outcome]).toEqual([undefined, null, 'clean']);
    expect(executions).toBe(6);
  });

  it('each word is restored after one that was called off', async () => {
    const { failures, error, executions } = await explore(race(machine, true), { keepGoing: true, executions: 6 });
    expect([failures.map((f) => f.failure.message), error, executions]).toEqual([['called off'], null, 6]);
  });
});
