/**
 * How long interrupts are off while somebody reads vmalloc memory: row V000-16 of spec/vmalloc-gfp.md §12.1.
 *
 * Seed 000 wants vmlist_lock irqsave, and fears that this will not be accepted, since vread() holds the lock while it copies. So: vread() of n bytes at once, the
 * same through /dev/kmem and /proc/kcore, which take the lock for a page at most, and a page behind a long list of areas; each with the lock as it
 * was (2.5.53; the same with a private region, RMK2) and irqsave (RMK1). A span is counted in steps of the CPU. Another CPU that wants the lock for writing waits as long
 * as the reader holds it, under RMK1 with its interrupts off too (experiment `2003-01-vread-writer-takes-irq`).
 */
import type { Kernel } from '../../cpu/kernel.js';
import { Ev, type Tracer } from '../../cpu/tracer.js';
import { read_kcore, read_kmem } from '../../drivers/mem.js';
import { VM_IOREMAP } from '../../mm/vmalloc/vm-struct.js';
import { get_vm_area, vmalloc, vread } from '../../mm/vmalloc.js';
import { MurphyError } from '../../shared/errors.js';
import type { Vaddr } from '../../shared/types.js';
import { bootLocal } from '../local-machine.js';
import type { Figures, Measurement } from '../measurement.js';

const bytesOf = (mask: number): number => [0, 8, 16, 24].filter((bit) => ((mask >>> bit) & 0xff) !== 0).length;

/** The longest stretch of steps with interrupts off, and what was copied in it; and the longest in which a writer of vmlist would wait. */
class SpanWatch implements Tracer {
  readonly #k: Kernel;
  #steps = 0;
  #bytes = 0;
  /** Of the store that comes next. */
  #width = 4;
  steps = 0;
  bytes = 0;
  #reads = false;
  #held = 0;
  /** What a CPU would wait that wants the lock for writing. */
  wait = 0;

  constructor(k: Kernel) {
    this.#k = k;
  }

  event(what: Ev, a: number): void {
    if (what === Ev.bytes) this.#width = bytesOf(a);
    if ((what === Ev.lockAcquired || what === Ev.lockReleased) && a >>> 0 === this.#k.sym.vmlist_lock) {
      this.#reads = what === Ev.lockAcquired;
      this.#held = 0;
    }
    if (what !== Ev.step && what !== Ev.load && what !== Ev.store) return;
    if (this.#reads) this.wait = Math.max(this.wait, ++this.#held);
    if (!this.#k.irqsOff) {
      this.#steps = 0;
      this.#bytes = 0;
      return;
    }
    this.#steps++;
    if (what === Ev.store) {
      this.#bytes += this.#width;
      this.#width = 4;
    }
    if (this.#steps <= this.steps) return;
    this.steps = this.#steps;
    this.bytes = this.#bytes;
  }
}

type Reader = (k: Kernel, buf: Vaddr, addr: Vaddr, count: number) => number;

const READERS: readonly (readonly [name: string, read: Reader])[] = [
  ['vread()', vread],
  ['/dev/kmem', read_kmem],
  ['/proc/kcore', read_kcore],
];
const LOCKS = [
  ['2.5.53, RMK2', []],
  ['RMK1', ['rmk1']],
] as const;

const PAGE = 4096;
const SIZES = [PAGE, 16 * PAGE, 256 * PAGE, 4096 * PAGE] as const;
const LISTS = [10, 1000] as const;

interface Sample {
  readonly reader: string;
  readonly lock: string;
  readonly bytes: number;
  readonly areas: number;
  readonly steps: number;
  readonly bytesOff: number;
  readonly wait: number;
}

/** Area and buffer of @bytes, behind @areas others. */
function sample(
  reader: string,
  read: Reader,
  lock: string,
  patches: readonly string[],
  bytes: number,
  areas: number,
): Sample {
  const pages = 2 * (bytes / PAGE) + 256;
  const [k] = bootLocal({
    core: 'arm926',
    cpus: 1,
    kernel: '2.5.53',
    lowmemPages: pages,
    highmemPages: 0,
    patches,
  }) as [Kernel];
  for (let i = 0; i < areas; i++) get_vm_area(k, PAGE, VM_IOREMAP);
  const [addr, buf] = [vmalloc(k, bytes), vmalloc(k, bytes)];
  const watch = new SpanWatch(k);
  k.setTracer(watch);
  const done = read(k, buf, addr, bytes);
  k.setTracer(null);
  if (done !== bytes) throw new MurphyError(`${reader} read ${done} of ${bytes} bytes`);
  return { reader, lock, bytes, areas, steps: watch.steps, bytesOff: watch.bytes, wait: watch.wait };
}

function samples(most: number): Sample[] {
  const list: Sample[] = [];
  for (const [lock, patches] of LOCKS) {
    for (const [name, read] of READERS) {
      for (const bytes of SIZES) if (bytes <= most) list.push(sample(name, read, lock, patches, bytes, 0));
    }
    for (const areas of LISTS) list.push(sample('vread()', vread, lock, patches, PAGE, areas));
  }
  return list;
}

function measure(most = Number.MAX_SAFE_INTEGER): Figures {
  const all = samples(most);
  const bySize = all.filter((s) => s.areas === 0);
  const series = LOCKS.flatMap(([lock]) =>
    READERS.map(([reader]) => ({
      name: `${reader}, ${lock}`,
      points: bySize.filter((s) => s.reader === reader && s.lock === lock).map((s) => [s.bytes, s.steps] as const),
    })),
  );
  return {
    columns: [
      'reader',
      'vmlist_lock',
      'bytes read',
      'other areas',
      'steps with interrupts off',
      'bytes copied meanwhile',
      'steps that a writer waits',
    ],
    rows: all.map((s) => [s.reader, s.lock, s.bytes, s.areas, s.steps, s.bytesOff, s.wait]),
    plot: {
      title: 'Longest time with interrupts off while vmalloc memory is read',
      x: { label: 'bytes read', scale: 'log2' },
      y: { label: 'steps of the CPU', scale: 'log10' },
      series,
    },
  };
}

export const IRQS_OFF: Measurement = {
  id: '2003-01-vread-irqs-off',
  title: 'how long interrupts are off while vread() holds vmlist_lock',
  source: 'seed 000',
  spec: ['vmalloc/V000-16'],
  measure,
};
