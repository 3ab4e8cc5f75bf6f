/** Programmes about which the strategies once disagreed, with what had not been thought of. */
import type { MachineSpec } from '../../../src/index.js';
import type { Op, Programme } from './programme.js';

const op = (what: Op['do'], at = 0, value = 0, body?: readonly Op[]): Op => ({
  do: what,
  at,
  value,
  ...(body === undefined ? {} : { body }),
});

const programme = (
  threads: readonly (readonly [cpu: number, ops: readonly Op[]])[],
  irqs: readonly (readonly Op[])[],
  machine: MachineSpec = {},
): Programme => ({
  machine: { core: 'cortex-a9', cpus: 2, preempt: false, ...machine },
  threads: threads.map(([cpu, ops]) => ({ cpu, ops })),
  irqs,
  devices: [],
});

export const KNOWN: Readonly<Record<string, Programme>> = {
  'a step that fails ends the other threads before what would have raced with it': programme(
    [
      [0, [op('xchg', 2, 1), op('load')]],
      [1, [op('expect', 2, 0), op('load')]],
    ],
    [],
  ),
  'the first execution fails before another thread has done anything': programme(
    [
      [0, [op('expect', 2, 0)]],
      [1, [op('xchg', 2, 1)]],
    ],
    [],
  ),
  'an interrupt that has not come when its CPU ends could have come before': programme(
    [
      [0, [op('load')]],
      [1, [op('raise', 0, 0)]],
    ],
    [[op('softirq')], [op('load')]],
  ),
  'a thread raises an interrupt of its own CPU with its last step': programme(
    [
      [0, [op('load')]],
      [1, [op('raise', 1, 0)]],
    ],
    [[op('softirq')], [op('load')]],
  ),
  'another CPU raises an interrupt that comes between the steps of a soft interrupt': programme(
    [
      [0, [op('load')]],
      [1, [op('raise', 0, 0), op('raise', 0, 1)]],
    ],
    [[op('softirq')], [op('inc')]],
  ),
  'handlers of two idle CPUs race with each other': programme(
    [
      [0, [op('raise', 1, 0)]],
      [1, [op('raise', 0, 0)]],
    ],
    [[op('cas')], [op('load')]],
  ),
  'an interrupt finds a lock that a handler takes, and a CPU that masks': programme(
    [
      [0, [op('load')]],
      [1, [op('irqsOff', 0, 0, [op('raise', 0, 0), op('load')])]],
    ],
    [[op('lock', 0, 0, [op('load')])], []],
  ),
  'two lines are taken together, or one after the other and one of them twice': programme(
    [
      [0, [op('load', 0), op('load', 1)]],
      [1, [op('raise', 0, 0), op('raise', 0, 1), op('raise', 0, 1), op('load', 0)]],
    ],
    [[op('inc', 0)], [op('inc', 1)]],
  ),
  'a device raises a line of a CPU whose next step is another once a line has come into the cache': {
    ...programme(
      [
        [0, [op('pageLoad')]],
        [1, [op('pageLoad')]],
      ],
      [[op('load')], [op('ring')]],
      { core: 'vivt-shared' },
    ),
    devices: [[op('raise')]],
  },
  'a device has read a word before a CPU stores it, or after': {
    ...programme(
      [
        [0, [op('load')]],
        [1, [op('pageStore', 2), op('load')]],
      ],
      [],
      { core: 'vivt-shared' },
    ),
    devices: [[op('pageLoad', 2), op('pageLoad')]],
  },
  'a handler wakes a queue on a CPU that idles': programme(
    [
      [0, [op('load')]],
      [0, [op('raise', 1, 0), op('raise', 0, 0)]],
    ],
    [[op('wake')], [op('load')]],
  ),
  'a broadcast clean finds no line yet in a cache that is indexed by virtual addresses': programme(
    [
      [0, [op('pageLoad')]],
      [1, [op('clean')]],
    ],
    [],
    { core: 'pa8800' },
  ),
  'a thread that has been preempted in vain is not preempted again': programme(
    [
      [1, [op('irqsOff', 0, 0, [op('load')]), op('yield')]],
      [1, [op('irqsOff', 0, 0, [op('load')])]],
      [0, [op('yield')]],
    ],
    [],
    { preempt: true },
  ),
  'a thread that waits for ever is preempted more often, or less': programme(
    [
      [0, [op('await')]],
      [1, [op('load')]],
      [0, [op('add')]],
    ],
    [],
    { preempt: true },
  ),
};
