/**
 * Torture of kmalloc() and kfree(): objects of many sizes are allocated on one CPU, checked byte by byte, rewritten and freed on others, in threads and in
 * interrupts, which allocate as well; a bus master, a worker of its own, writes and reads objects whose cache lines are their own. Threads shrink the caches that all use, and make caches
 * of their own, with constructors and without, use them and give them up.
 *
 * What has to hold: every byte of an object is the last that was stored there, so no object is handed out twice and no allocator writes to one that is in
 * use. At the end as many objects of each class are allocated as the suite holds, and none when it has freed them: nothing is lost.
 *
 * Kernels: any, with SLUB and SLAB, with and without their debugging; of 2.6.22 with the patch `slub-shrink-sorts-always`. The claim is `clean` everywhere.
 */
import {
  atomic_cmpxchg,
  atomic_inc_return,
  atomic_read,
  atomic_xchg,
  type Completion,
  complete,
  countCache,
  type Device,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  deviceRead,
  deviceWrite,
  dma_map_single,
  dma_unmap_single,
  expect,
  GFP_KERNEL,
  gfp,
  init_completion,
  type Kernel,
  kfree,
  kmalloc,
  kmallocCache,
  kmem_cache_alloc,
  kmem_cache_create,
  kmem_cache_destroy,
  kmem_cache_free,
  kmem_cache_shrink,
  ksize,
  NULL,
  type Paddr,
  Prng,
  ptr,
  race,
  report,
  ringDoorbell,
  type Vaddr,
  vaddr,
  wait_for_completion,
} from '../src/index.js';

/** Operations of each thread in one execution. */
const OPERATIONS = 100;
const THREADS_PER_CPU = 2;
/** Objects that the threads share; each has an owner while it is worked on. */
const SLOTS = 48;
const LINE = 0;
/** Sizes with and without a rest of a word, of classes with many objects in a slab and with few. */
const SIZES = [1, 8, 13, 16, 32, 61, 64, 96, 100, 192, 256, 700, 1024, 2048, 4096] as const;

// ---- slots: k.sym.race_data ----------------------------------------------------------------------------------------

const FREE = 0;
const BUSY = 1;
const SLOT_BYTES = 16;
/** Owner; address of the object or NULL; bytes; version of its contents. */
const OWNER = 0;
const OBJECT = 4;
const BYTES = 8;
const VERSION = 12;
const MASTER_AT = 0x700; // the master's owner
const ENDED_AT = 0x704; // threads that have ended
const DONE_AT = 0x740; // the completion of a transfer
const IRQS_AT = 0x800; // interrupts of each CPU
const HANDS_AT = 0xa00; // objects that are handed over, HANDS of each size
const HANDS = 24;
/** So many of the sizes are allocated in bursts. */
const BURST_SIZES = 8;
const BASELINE_AT = 0x900; // objects of each class before the torture

const slotAt = (k: Kernel, slot: number, field: number): Vaddr =>
  vaddr(k.sym.race_data + 64 + slot * SLOT_BYTES + field);
const wordAt = (k: Kernel, offset: number): Vaddr => vaddr(k.sym.race_data + offset);

const tryOwn = (k: Kernel, slot: number): boolean => {
  if (atomic_read(k, slotAt(k, slot, OWNER)) !== FREE) return false;
  return atomic_cmpxchg(k, slotAt(k, slot, OWNER), FREE, BUSY) === FREE;
};
function disown(k: Kernel, slot: number): void {
  expect(atomic_cmpxchg(k, slotAt(k, slot, OWNER), BUSY, FREE) === BUSY, 'the suite itself has lost an owner', slot);
}

// ---- contents ------------------------------------------------------------------------------------------------------

/** What the word at @offset of a slot's object holds; the bytes at the end have its low one. */
const pattern = (slot: number, version: number, offset: number): number =>
  (Math.imul((slot + 1) ^ (version << 8), 0x9e3779b1) ^ Math.imul(offset + 1, 0x85ebca6b)) >>> 0;

function fill(k: Kernel, slot: number): void {
  const [object, bytes] = [k.load(slotAt(k, slot, OBJECT)) >>> 0, k.load(slotAt(k, slot, BYTES))];
  const version = k.load(slotAt(k, slot, VERSION)) + 1;
  const words = bytes & ~3;
  for (let i = 0; i < words; i += 4) k.store32(vaddr(object + i), pattern(slot, version, i));
  for (let i = words; i < bytes; i++) k.store8(vaddr(object + i), pattern(slot, version, i) & 0xff);
  k.store(slotAt(k, slot, VERSION), version);
}

function verify(k: Kernel, slot: number, where: string): void {
  const [object, bytes] = [k.load(slotAt(k, slot, OBJECT)) >>> 0, k.load(slotAt(k, slot, BYTES))];
  const version = k.load(slotAt(k, slot, VERSION));
  const words = bytes & ~3;
  for (let i = 0; i < bytes; i += i < words ? 4 : 1) {
    const whole = i < words;
    const seen = whole ? k.load32(vaddr(object + i)) >>> 0 : k.load8(vaddr(object + i));
    const expected = whole ? pattern(slot, version, i) : pattern(slot, version, i) & 0xff;
    if (seen !== expected) {
      report(
        `byte ${i} of an object of ${bytes} at ${object.toString(16)}: expected ${expected.toString(16)}, saw ${seen.toString(16)}, ${where}`,
      );
    }
  }
}

// ---- operations on a slot that one owns ----------------------------------------------------------------------------

function allocate(k: Kernel, slot: number, bytes: number, flags: number): void {
  const object = kmalloc(k, bytes, flags) as Vaddr;
  if (object === NULL) return;
  expect(ksize(k, object) >= bytes, 'ksize() is less than what was asked for', object, bytes);
  k.store(slotAt(k, slot, OBJECT), object);
  k.store(slotAt(k, slot, BYTES), bytes);
  fill(k, slot);
}

function release(k: Kernel, slot: number, where: string): void {
  const object = vaddr(k.load(slotAt(k, slot, OBJECT)) >>> 0);
  verify(k, slot, where);
  k.store(slotAt(k, slot, OBJECT), NULL);
  kfree(k, object);
}

// ---- a bus master --------------------------------------------------------------------------------------------------

/** Registers of the master: bus address and coherence index of the buffer, bytes, whose object it is, what to do, and how it went. */
const REG = { address: 0, index: 1, bytes: 2, slot: 3, version: 4, command: 5, cpu: 6, wrong: 7 } as const;
const COMMAND = { write: 1, compare: 2, quit: 3 } as const;
const MASTER = 0;
const DONE_LINE = 1;

/** Writes objects, or compares them with what they have to hold, word by word, while CPUs and their caches go on. */
function master(d: Device): void {
  for (;;) {
    d.waitDoorbell();
    const command = d.register(REG.command);
    if (command === COMMAND.quit) return;
    d.setRegister(REG.wrong, command === COMMAND.write ? writeObject(d) : compareObject(d));
    d.raise(d.register(REG.cpu), DONE_LINE);
  }
}

const snoops = (config: Device['config']): boolean => config.core.parisc?.coherentIo === true && !config.iommu;

function writeObject(d: Device): number {
  const [at, index, bytes] = [d.register(REG.address), d.register(REG.index), d.register(REG.bytes)];
  for (let i = 0; i < bytes; i += 4) {
    const word = pattern(d.register(REG.slot), d.register(REG.version), i);
    if (snoops(d.config)) d.snoopingWrite32((at + i) as Paddr, index, word);
    else d.write32((at + i) as Paddr, word);
  }
  return 0;
}

/** Return: how many words are not as they should be. */
function compareObject(d: Device): number {
  const [at, index, bytes] = [d.register(REG.address), d.register(REG.index), d.register(REG.bytes)];
  let wrong = 0;
  for (let i = 0; i < bytes; i += 4) {
    const word = snoops(d.config) ? d.snoopingRead32((at + i) as Paddr, index) : d.read32((at + i) as Paddr);
    if (word >>> 0 !== pattern(d.register(REG.slot), d.register(REG.version), i)) wrong++;
  }
  return wrong;
}

const masterWord = (k: Kernel): Vaddr => wordAt(k, MASTER_AT);
const doneOf = (k: Kernel): Completion => ptr<'completion'>(wordAt(k, DONE_AT));

/** The driver's interrupt. */
const masterIrq = (k: Kernel): void => complete(k, doneOf(k));

/** Have the master do it, and sleep meanwhile. Context: process; the master and the slot are the caller's. Return: words that were wrong. */
function command(k: Kernel, what: number, slot: number, version: number, object: Vaddr, handle: Paddr): number {
  const set = (register: number, value: number): void => deviceWrite(k, MASTER, register, value);
  init_completion(k, doneOf(k));
  set(REG.address, handle);
  set(REG.index, (object >>> 12) & 0xff);
  set(REG.bytes, k.load(slotAt(k, slot, BYTES)));
  set(REG.slot, slot);
  set(REG.version, version);
  set(REG.cpu, k.cpu);
  set(REG.command, what);
  ringDoorbell(k, MASTER);
  wait_for_completion(k, doneOf(k));
  return deviceRead(k, MASTER, REG.wrong);
}

/** The last thread that ends switches the master off. */
function endOfThread(k: Kernel): void {
  if (atomic_inc_return(k, wordAt(k, ENDED_AT)) !== k.config.cpus * THREADS_PER_CPU) return;
  deviceWrite(k, MASTER, REG.command, COMMAND.quit);
  ringDoorbell(k, MASTER);
}

/** The master writes the object or reads it, if no line of it is anybody else's and the master is free. */
function transfer(k: Kernel, slot: number, fromDevice: boolean): void {
  const object = vaddr(k.load(slotAt(k, slot, OBJECT)) >>> 0);
  const bytes = k.load(slotAt(k, slot, BYTES));
  if ((object | bytes) % k.config.core.dcache.lineBytes !== 0 || !dmaPossible(k)) return;
  if (atomic_cmpxchg(k, masterWord(k), FREE, BUSY) !== FREE) return;
  verify(k, slot, 'before a transfer');
  const direction = fromDevice ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
  const handle = dma_map_single(k, object, bytes, direction);
  const version = k.load(slotAt(k, slot, VERSION)) + (fromDevice ? 1 : 0);
  const what = fromDevice ? COMMAND.write : COMMAND.compare;
  const wrong = command(k, what, slot, version, object, handle);
  dma_unmap_single(k, handle, bytes, direction);
  if (wrong > 0) report(`a device reads ${wrong} wrong words of an object of ${bytes} at ${object.toString(16)}`);
  k.store(slotAt(k, slot, VERSION), version);
  verify(k, slot, 'after a transfer');
  atomic_cmpxchg(k, masterWord(k), BUSY, FREE);
}

/** Maintenance reaches the caches of all CPUs, and throws away what came in by itself; or the adapter looks into them. */
function dmaPossible(k: Kernel): boolean {
  const { core, cpus } = k.config;
  if (core.arch === 'parisc') return cpus === 1 || core.parisc?.coherentIo === true;
  if (core.speculativeFill && !k.has('dma-speculative-prefetch')) return false;
  return cpus === 1 || core.coherence !== 'mesi' || core.cacheOpsBroadcast;
}

function operate(k: Kernel, prng: Prng, slot: number): void {
  if (k.load(slotAt(k, slot, OBJECT)) === NULL) {
    const { GFP_ATOMIC } = gfp(k);
    allocate(k, slot, SIZES[prng.below(SIZES.length)] as number, prng.below(4) === 0 ? GFP_ATOMIC : GFP_KERNEL);
    return;
  }
  const what = prng.below(9);
  if (what < 4) release(k, slot, 'before it was freed');
  else if (what < 6) {
    verify(k, slot, 'before it was rewritten');
    fill(k, slot);
  } else if (what < 8) transfer(k, slot, what === 6);
  else verify(k, slot, 'while it was held');
}

function torture(k: Kernel, index: number): void {
  const prng = new Prng((k.config.seed * 7919 + index * 104729 + k.execution * 31) >>> 0);
  for (let i = 0; i < OPERATIONS; i++) {
    const slot = prng.below(SLOTS);
    if (tryOwn(k, slot)) {
      operate(k, prng, slot);
      disown(k, slot);
    }
    if (prng.below(4) === 0) k.raise(prng.below(k.config.cpus), LINE);
    if (i % 10 === 0) burst(k, prng.below(BURST_SIZES), 4 + prng.below(60));
    if (prng.below(25) === 0) kmem_cache_shrink(k, kmallocCache(k, SIZES[prng.below(SIZES.length)] as number));
    if (prng.below(25) === 0) ownCache(k, prng, index);
  }
  endOfThread(k);
}

const BUILT = 0x600dc0de;
const construct = (k: Kernel, object: Vaddr): void => k.store32(object, BUILT);
const OWN_SIZES = [24, 62, 200, 700] as const;

/** A cache for a while: with a constructor, whose work every object has, or without, so that SLUB may take one that others use. */
function ownCache(k: Kernel, prng: Prng, index: number): void {
  const built = prng.below(2) === 0;
  const s = kmem_cache_create(k, `own-${index}`, OWN_SIZES[prng.below(4)] as number, 0, 0, built ? 1 : 0);
  if (s === NULL) return;
  const objects: Vaddr[] = [];
  for (let left = prng.below(40); left >= 0; left--) {
    const object = kmem_cache_alloc(k, s, GFP_KERNEL);
    if (object === NULL) break;
    if (built) expect(k.load32(object) >>> 0 === BUILT, 'an object that was not constructed', object);
    k.store32(vaddr(object + 4), object ^ index);
    objects.push(object);
  }
  for (const object of objects) {
    expect(k.load32(vaddr(object + 4)) >>> 0 === (object ^ index) >>> 0, 'an object of two owners', object);
    kmem_cache_free(k, s, object);
  }
  if (prng.below(2) === 0) kmem_cache_shrink(k, s);
  kmem_cache_destroy(k, s);
}

/** Where threads leave objects of a class for others to free: address or NULL. */
const handAt = (k: Kernel, nr: number, place: number): Vaddr => wordAt(k, HANDS_AT + (nr * HANDS + place) * 4);
const mark = (object: number): number => (object >>> 3) & 0xff;

function freeMarked(k: Kernel, object: Vaddr): void {
  const seen = k.load8(object);
  expect(seen === mark(object), 'the first byte of an object of a burst', object, mark(object), seen);
  kfree(k, object);
}

/** Objects of one class, each in exchange for one that somebody else has left, which is freed: slabs and queues of all CPUs mix. */
function burst(k: Kernel, nr: number, count: number): void {
  for (let i = 0; i < count; i++) {
    const object = kmalloc(k, SIZES[nr] as number, GFP_KERNEL) as Vaddr;
    if (object === NULL) break;
    k.store8(object, mark(object));
    const other = vaddr(atomic_xchg(k, handAt(k, nr, i % HANDS), object) >>> 0);
    if (other !== NULL) freeMarked(k, other);
  }
}

function freeHands(k: Kernel): void {
  for (let nr = 0; nr < BURST_SIZES; nr++) {
    for (let place = 0; place < HANDS; place++) {
      const object = vaddr(atomic_xchg(k, handAt(k, nr, place), NULL) >>> 0);
      if (object !== NULL) freeMarked(k, object);
    }
  }
}

/** Frees what threads have allocated, and allocates what threads will free. */
function handler(k: Kernel): void {
  const count = wordAt(k, IRQS_AT + k.cpu * 4);
  k.store(count, k.load(count) + 1);
  const slot = (k.load(count) * 7 + k.cpu * 13) % SLOTS;
  if (!tryOwn(k, slot)) return;
  if (k.load(slotAt(k, slot, OBJECT)) !== NULL) release(k, slot, 'in an interrupt');
  else allocate(k, slot, SIZES[k.load(count) % SIZES.length] as number, gfp(k).GFP_ATOMIC);
  disown(k, slot);
}

// ---- counters ------------------------------------------------------------------------------------------------------

const activeOf = (k: Kernel, bytes: number): number => countCache(k, kmallocCache(k, bytes)).active;

/** Classes of the sizes, each once. */
const classes = (k: Kernel): number[] =>
  SIZES.filter((bytes, i) => SIZES.findIndex((other) => kmallocCache(k, other) === kmallocCache(k, bytes)) === i);

function checkCounters(k: Kernel, when: string): void {
  classes(k).forEach((bytes, nr) => {
    let held = 0;
    for (let slot = 0; slot < SLOTS; slot++) {
      if (k.load(slotAt(k, slot, OBJECT)) === NULL) continue;
      if (kmallocCache(k, k.load(slotAt(k, slot, BYTES))) === kmallocCache(k, bytes)) held++;
    }
    const expected = k.load(wordAt(k, BASELINE_AT + nr * 4)) + held;
    const seen = activeOf(k, bytes);
    if (seen !== expected) report(`${seen} objects of ${bytes} bytes are allocated, ${expected} are held, ${when}`);
  });
}

function check(k: Kernel): void {
  for (let slot = 0; slot < SLOTS; slot++) {
    if (k.load(slotAt(k, slot, OBJECT)) !== NULL) verify(k, slot, 'at the end');
  }
  freeHands(k);
  checkCounters(k, 'at the end');
  for (let slot = 0; slot < SLOTS; slot++) {
    if (k.load(slotAt(k, slot, OBJECT)) !== NULL) release(k, slot, 'at the end');
  }
  checkCounters(k, 'when all are free');
}

/** 2.6.22 loses partial slabs when it shrinks a cache. */
const SHRINKS = ['slub-shrink-sorts-always'];
/** kfree() of 2.6.22 reads page->flags without slab_lock(), which is a bit of it. */
const FLAGS_RACE = ['races: bit_spin_'];

export default race({
  id: 'stress-slab',
  title: 'random kmalloc() and kfree() on all CPUs and in interrupts, every byte checked, nothing lost or doubled',
  source: 'mm/slub.c, mm/slab.c, Linux 2.6.22',
  spec: [],
  machine: { core: 'cortex-a9', kernel: '2.6.35', lowmemPages: 1024, highmemPages: 0, hz: 100 },
  cases: [
    { name: 'SLUB', outcome: 'clean' },
    { name: 'SLUB, slub_debug', machine: { slubDebug: 'FZPU' }, outcome: 'clean' },
    { name: 'SLAB', machine: { slab: 'slab' }, outcome: 'clean' },
    { name: 'SLAB, DEBUG_SLAB', machine: { slab: 'slab', debugSlab: true }, outcome: 'clean' },
    { name: 'SLUB, DEBUG_SPINLOCK', machine: { debugSpinlock: true }, outcome: 'clean' },
    {
      name: 'SLUB, one CPU',
      machine: { core: 'arm926', cpus: 1, kernel: '2.6.22', patches: SHRINKS },
      outcome: 'clean',
    },
    { name: 'SLAB, one CPU', machine: { core: 'arm926', cpus: 1, kernel: '2.6.22', slab: 'slab' }, outcome: 'clean' },
    {
      name: 'SLUB, PA-8000',
      machine: { core: 'pcxu', kernel: '2.6.22', patches: SHRINKS },
      outcome: 'clean',
      reports: FLAGS_RACE,
    },
    {
      name: 'SLUB, PA-8700, sba',
      machine: { core: 'pcxw2', kernel: '2.6.22', patches: SHRINKS, iommu: true },
      outcome: 'clean',
      reports: FLAGS_RACE,
    },
    { name: 'SLAB, PA-7200', machine: { core: 'pcxt-prime', kernel: '2.6.22', slab: 'slab' }, outcome: 'clean' },
  ],
  executionSeconds: 20,
  stallPoints: 1000,

  setup(k) {
    classes(k).forEach((bytes, nr) => {
      k.store(wordAt(k, BASELINE_AT + nr * 4), activeOf(k, bytes));
    });
  },

  threads: ({ cpus }) =>
    Array.from({ length: cpus * THREADS_PER_CPU }, (_, index) => ({
      cpu: index % cpus,
      run: (k) => torture(k, index),
    })),
  irqs: { [LINE]: handler, [DONE_LINE]: masterIrq },
  devices: [master],
  ctors: [construct],
  check,
});
