import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { WaitKind } from '../../src/cpu/hw.js';
import { Softirq } from '../../src/cpu/irq.js';
import { Cause, Ev } from '../../src/cpu/tracer.js';
import { Recorded, type TraceEvent } from '../../src/lab/recorder.js';
import { type ChromeEvent, toChromeTrace } from '../../src/report/trace/chrome.js';
import { draw } from '../../src/report/trace/drawing.js';
import { flagsOf, toFtrace } from '../../src/report/trace/ftrace.js';
import { toHtml } from '../../src/report/trace/page.js';
import { drawingOf } from '../../src/report/trace/timeline.js';
import { chromeTrace, crossing, entriesOf, linesOf, PERFETTO, unpaired } from './trace-formats.js';
import { failing, fetchedAhead, recycled, type Sample } from './trace-sample.js';

let e1: Sample;
let e10: Sample;

beforeAll(async () => {
  e1 = await recycled();
  e10 = await fetchedAhead();
});

describe('an execution as ftrace text', () => {
  it('begins with the header of the kernel, with as many entries as there are', () => {
    const [tracer, , entries] = linesOf(toFtrace(e1.execution));
    expect(tracer).toBe('# tracer: nop');
    const count = entriesOf(toFtrace(e1.execution)).length;
    expect(entries).toBe(`# entries-in-buffer/entries-written: ${count}/${count}   #P:2`);
  });

  it('has every entry in the columns of the kernel, in the order of time', () => {
    const entries = entriesOf(toFtrace(e1.execution));
    expect(entries.filter((e) => e.event.startsWith('not an entry'))).toEqual([]);
    expect(entries.map((e) => Number(e.time))).toEqual(entries.map((e) => Number(e.time)).toSorted((a, b) => a - b));
    for (const line of linesOf(toFtrace(e10.execution)).filter((l) => !l.startsWith('#')))
      expect(line).toMatch(PERFETTO);
  });

  it('begins and ends each function', () => {
    expect(unpaired(entriesOf(toFtrace(e10.execution)))).toEqual([]);
  });

  it('takes and releases each lock, with interrupts off where the kernel has them off', () => {
    const locks = entriesOf(toFtrace(e1.execution)).filter(
      (e) => e.event.startsWith('lock_') && e.text.endsWith(' kmap_lock'),
    );
    expect(locks.map((e) => e.event).slice(0, 4)).toEqual([
      'lock_acquire',
      'lock_release',
      'lock_acquire',
      'lock_release',
    ]);
    expect(locks.length % 2).toBe(0);
    const irqs = entriesOf(toFtrace(e10.execution)).filter((e) => e.event.startsWith('irq_handler'));
    expect(irqs.map((e) => `${e.event} ${e.text}`)).toEqual([
      'irq_handler_entry irq=5 name=irq5',
      'irq_handler_exit irq=5 ret=handled',
    ]);
    expect(irqs.every((e) => /^d.h/.test(e.flags))).toBe(true);
  });

  it('marks the step that lost the bytes, after the line that it dropped', () => {
    const entries = entriesOf(toFtrace(e1.execution));
    const marked = entries.findIndex((e) => e.event === 'murphy_mark');
    expect(entries[marked]).toMatchObject({ cpu: '000', text: 'bytes lost: discarded' });
    expect(entries[marked - 1]).toMatchObject({ event: 'cache_line_drop', time: entries[marked]?.time });
    expect(entries[marked - 1]?.text).toMatch(/dirty=[1-9a-f]\w* cause=invalidate$/);
  });

  it('has the allocations, with their flags in words', () => {
    const pages = entriesOf(toFtrace(e10.execution)).filter((e) => e.event === 'mm_page_alloc');
    expect(pages.map((e) => e.text)).toEqual([
      expect.stringMatching(/^page=c[0-9a-f]{7} pfn=65556 order=0 migratetype=0 gfp_flags=GFP_KERNEL$/),
    ]);
  });

  it('has devices on rows after the CPUs', () => {
    const words = entriesOf(toFtrace(e10.execution)).filter((e) => e.event === 'dma_write');
    expect(words.map((e) => [e.comm.trim(), e.pid, e.cpu])).toEqual([['device0', '1000', '001']]);
  });
});

describe('events of the kernel in ftrace text', () => {
  const ADDR = 0xc0401a30;
  const hex = ADDR.toString(16);

  /** Events with the place of one of E1's, each a microsecond after the one before. */
  function texts(...changes: readonly Partial<TraceEvent>[]): string[] {
    const one = e1.execution.events.find((e) => e.what === Ev.lockAcquired) as TraceEvent;
    const events = changes.map((change, i) => ({ ...one, step: i, seq: i, stack: [], ...change }));
    return entriesOf(toFtrace({ ...e1.execution, events })).map((e) => `${e.event}: ${e.text}`);
  }
  const name = (): string => e1.execution.names.virtual(ADDR);

  it('tell a lock that is shared with readers from one that is not, whether it has to be waited for or not', () => {
    const wait = { what: Ev.wait, a: WaitKind.lock, b: ADDR };
    const [taken, released] = [
      { what: Ev.lockAcquired, a: ADDR },
      { what: Ev.lockReleased, a: ADDR },
    ];
    const reader = { ...taken, b: 1 };
    expect(texts({ ...taken, b: 0 }, released, reader, released)).toEqual([
      `lock_acquire: ${hex} ${name()}`,
      `lock_release: ${hex} ${name()}`,
      `lock_acquire: ${hex} read ${name()}`,
      `lock_release: ${hex} ${name()}`,
    ]);
    const contended = [`lock_contended: ${hex} ${name()}`, `lock_acquired: ${hex} ${name()}`];
    expect(texts(wait, { ...taken, b: 0 }, wait, reader)).toEqual([
      ...[`lock_acquire: ${hex} ${name()}`, ...contended],
      ...[`lock_acquire: ${hex} read ${name()}`, ...contended],
    ]);
  });

  it('name the vector of a soft interrupt', () => {
    const of = (what: Ev): Partial<TraceEvent> => ({ what, a: Softirq.BLOCK });
    expect(texts(of(Ev.softirqRaise), of(Ev.softirqAction), of(Ev.softirqActionEnd))).toEqual([
      'softirq_raise: vec=4 [action=BLOCK]',
      'softirq_entry: vec=4 [action=BLOCK]',
      'softirq_exit: vec=4 [action=BLOCK]',
    ]);
  });

  it('say who switches to whom, and who is woken where', () => {
    const task = {
      prev: 'prev_comm=driver prev_pid=1 prev_prio=120',
      next: 'next_comm=writer next_pid=2 next_prio=120',
    };
    expect(
      texts(
        { what: Ev.switchTo, a: 1, slot: 0 },
        { what: Ev.switchTo, a: 1, slot: 0, irq: 1 },
        { what: Ev.wakeUp, a: 1, b: 1 },
      ),
    ).toEqual([
      `sched_switch: ${task.prev} prev_state=S ==> ${task.next}`,
      `sched_switch: ${task.prev} prev_state=R ==> ${task.next}`,
      'sched_wakeup: comm=writer pid=2 prio=120 target_cpu=001',
    ]);
  });

  it('say what was allocated for whom, and that nothing was', () => {
    const page = e1.execution.names.sym.mem_map + 3 * 32;
    const pfn = e1.execution.names.pfnOf(page);
    const GFP_ATOMIC = 0x20;
    expect(
      texts(
        { what: Ev.pageAlloc, a: page, b: 2, c: GFP_ATOMIC },
        { what: Ev.pageAlloc, a: 0, b: 0, c: GFP_ATOMIC },
        { what: Ev.pageFree, a: page, b: 2 },
        { what: Ev.kmalloc, a: ADDR, b: 100, c: GFP_ATOMIC, stack: ['f', 'g'] },
        { what: Ev.kfree, a: ADDR, stack: ['f', 'g'] },
      ).filter((text) => !text.startsWith('tracing_mark_write')),
    ).toEqual([
      `mm_page_alloc: page=${page.toString(16)} pfn=${pfn} order=2 migratetype=0 gfp_flags=GFP_ATOMIC`,
      'mm_page_alloc: page=00000000 pfn=0 order=0 migratetype=0 gfp_flags=GFP_ATOMIC',
      `mm_page_free: page=${page.toString(16)} pfn=${pfn} order=2`,
      `kmalloc: call_site=f ptr=${hex} bytes_req=100 gfp_flags=GFP_ATOMIC`,
      `kfree: call_site=f ptr=${hex}`,
    ]);
  });

  it('say what the emulated hardware did', () => {
    const [va, pa, value] = [0xc0001000, 0x20001000, 0xdeadbeef];
    const line = { a: 7, b: va, c: pa };
    const lineText = 'line=7 va=c0001000 pa=20001000';
    expect(
      texts(
        { what: Ev.load, a: va, b: pa, c: value, d: 3 },
        { what: Ev.store, a: va, b: pa, c: value, mask: 0xff00, d: 3 },
        { what: Ev.lineFill, ...line },
        { what: Ev.lineWriteBack, ...line, d: (Cause.clean << 8) | 0x1f },
        { what: Ev.lineDrop, ...line, d: (Cause.invalidate << 8) | 0x80 },
        { what: Ev.bufferPush, a: pa, b: value, c: 0xffff },
        { what: Ev.bufferDrain, a: pa, b: value, c: 0xffffffff },
        { what: Ev.tlbFill, a: va, b: 0x2000155e },
        { what: Ev.tlbFlush, a: va, b: 0, cpu: 1 },
        { what: Ev.tlbFlush, a: 0xffffffff, b: 1 },
        { what: Ev.fault, a: va, b: 0x17, c: 1 },
        { what: Ev.dmaRead, a: pa, b: value, cpu: -1 },
        { what: Ev.dmaWrite, a: pa, b: value, cpu: -1 },
        { what: Ev.doorbell, a: 2 },
        { what: Ev.raise, a: 1, b: 5 },
      ),
    ).toEqual([
      'cached_load: va=c0001000 pa=20001000 value=deadbeef line=3',
      'cached_store: va=c0001000 pa=20001000 value=deadbeef mask=0000ff00 line=3',
      `cache_line_fill: ${lineText}`,
      `cache_line_write_back: ${lineText} dirty=1f cause=clean`,
      `cache_line_drop: ${lineText} dirty=80 cause=invalidate`,
      'write_buffer_push: pa=20001000 value=deadbeef mask=0000ffff',
      'write_buffer_drain: pa=20001000 value=deadbeef mask=ffffffff',
      'tlb_entry_fill: va=c0001000 pte=2000155e',
      'tlb_entry_flush: va=c0001000 cpus=1',
      'tlb_entry_flush: va=all cpus=all',
      'mmu_fault: va=c0001000 status=17 write=1',
      'dma_read: pa=20001000 value=deadbeef',
      'dma_write: pa=20001000 value=deadbeef',
      'device_doorbell: device=2',
      'irq_raise: cpu=1 irq=5',
    ]);
  });

  it('say which word of the kernel changed, and which objects of a cache came and went', () => {
    expect(
      texts(
        { what: Recorded.change, a: ADDR, b: 1, c: 0xffffffff },
        { what: Ev.cacheAlloc, a: ADDR, b: 0xc0500000, c: 0x20, stack: ['f'] },
        { what: Ev.cacheFree, a: ADDR, stack: ['f'] },
      ).filter((text) => !text.startsWith('tracing_mark_write')),
    ).toEqual([
      `kernel_data: addr=${hex} old=00000001 new=ffffffff name=${name()}`,
      `kmem_cache_alloc: call_site=f ptr=${hex} cache=c0500000 gfp_flags=GFP_ATOMIC`,
      `kmem_cache_free: call_site=f ptr=${hex}`,
    ]);
  });

  it('say of a wait for a lock that it is one, once however long it lasts, and of no other wait', () => {
    const wait = { what: Ev.wait, a: WaitKind.lock, b: ADDR };
    expect(texts(wait, wait, { ...wait, a: WaitKind.sleep }, { what: Ev.lockAcquired, a: ADDR, b: 0 })).toEqual([
      `lock_acquire: ${hex} ${name()}`,
      `lock_contended: ${hex} ${name()}`,
      `lock_acquired: ${hex} ${name()}`,
    ]);
  });

  it('say that a task which is preempted could run, and name threads that have no name of their own', () => {
    const [asleep, preempted] = texts(
      { what: Ev.switchTo, a: 5, slot: 0, stack: ['schedule', 'wait_event'] },
      { what: Ev.switchTo, a: 5, slot: 0, stack: ['preempt_schedule', 'f'] },
      { what: Ev.wakeUp, a: 5, b: 0 },
    ).filter((text) => text.startsWith('sched_switch'));
    expect(asleep).toMatch(/ prev_state=S ==> next_comm=thread5 next_pid=6 next_prio=120$/);
    expect(preempted).toMatch(/ prev_state=R ==> /);
  });

  it('have a name of 15 letters at most, and a process id and a CPU for each device', () => {
    const one = e1.execution.events.find((e) => e.what === Ev.lockAcquired) as TraceEvent;
    const threads = new Map([[one.slot, 'a-name-of-17-char']]);
    const events = [
      { ...one, stack: [], seq: 0, time: 0 },
      { ...one, stack: [], seq: 1, time: 1, what: Ev.dmaRead, cpu: -1, slot: 1, irqsOff: false, preempt: 0 },
    ];
    const lines = linesOf(toFtrace({ ...e1.execution, threads, events }));
    expect(lines[2]).toBe('# entries-in-buffer/entries-written: 2/2   #P:3');
    expect(lines.slice(-2).map((line) => line.slice(0, 35))).toEqual([
      ' a-name-of-17-ch-1     [000] d..1  ',
      '         device1-1001  [003] ....  ',
    ]);
  });

  it.each([
    ['....', {}],
    ['d...', { irqsOff: true }],
    ['...1', { preempt: 1 }],
    ['...f', { preempt: 15 }],
    ['d.h.', { irqsOff: true, irq: 1, preempt: 0x10000 }],
    ['..s.', { preempt: 0x100 }],
    ['..s2', { preempt: 0x102 }],
    ['..s.', { irq: 1, preempt: 0x100 }],
    ['d.h.', { irqsOff: true, what: Ev.irqEnter, irq: 1 }],
    ['d.H.', { irqsOff: true, what: Ev.irqExit, irq: 1, preempt: 0x100 }],
    ['d.H1', { irqsOff: true, irq: 1, preempt: 0x10101 }],
  ])('have the flags %s', (flags, change) => {
    const one = e1.execution.events[0] as TraceEvent;
    expect(flagsOf({ ...one, irqsOff: false, irq: 0, preempt: 0, ...change })).toBe(flags);
  });

  it('are those of a handler, and of the soft interrupt that runs as it ends', async () => {
    const file = fileURLToPath(new URL('../fixtures/races/races.ts', import.meta.url));
    const { execution } = await failing(`${file}#bottom-half`, { check: 'races' });
    const lines = linesOf(toFtrace(execution));
    const flags = (from: string, to: string): Set<string> => {
      const first = lines.findIndex((line) => line.includes(from));
      const last = lines.findIndex((line, i) => i > first && line.includes(to));
      return new Set(lines.slice(first, last + 1).map((line) => line.slice(29, 33)));
    };
    expect(flags(' irq_handler_entry: ', ' softirq_raise: ')).toEqual(new Set(['d.h.']));
    expect(flags(' softirq_entry: ', ' softirq_exit: ')).toEqual(new Set(['..s.']));
  });

  it('have seconds and microseconds, and the legend of the columns above them', () => {
    const one = e1.execution.events.find((e) => e.what === Ev.lockAcquired) as TraceEvent;
    const at = (time: number, seq: number): TraceEvent => ({ ...one, stack: [], time, seq });
    const lines = linesOf(toFtrace({ ...e1.execution, events: [at(5, 0), at(12_000_350.9, 1)] }));
    expect(lines.slice(3, 11)).toEqual([
      '#',
      '#                              _-----=> irqs-off',
      '#                             / _----=> need-resched',
      '#                            | / _---=> hardirq/softirq',
      '#                            || / _--=> preempt-depth',
      '#                            ||| /     delay',
      '#           TASK-PID   CPU#  ||||    TIMESTAMP  FUNCTION',
      '#              | |       |   ||||       |         |',
    ]);
    const times = lines.slice(11).map((line) => line.slice(0, 48));
    expect(times).toEqual([
      '          driver-1     [000] d..1     0.000000: ',
      '          driver-1     [000] d..1    12.000345: ',
    ]);
  });
});

const phase = (events: readonly ChromeEvent[], ph: string): ChromeEvent[] => events.filter((e) => e.ph === ph);

describe('an execution as a Chrome trace', () => {
  it('is what the Trace Event Format asks for', () => {
    for (const { execution } of [e1, e10]) {
      const parsed = chromeTrace.safeParse(JSON.parse(JSON.stringify(toChromeTrace(execution))));
      expect(parsed.error?.issues.slice(0, 3)).toBeUndefined();
    }
  });

  it('has slices that nest on each track', () => {
    for (const { execution } of [e1, e10]) {
      const { traceEvents } = toChromeTrace(execution);
      expect(crossing(traceEvents)).toEqual([]);
      expect(traceEvents.map((e) => e.ts)).toEqual(traceEvents.map((e) => e.ts).toSorted((a, b) => a - b));
    }
  });

  it('begins and ends each hold of a lock, by the name of the lock', () => {
    const { traceEvents } = toChromeTrace(e1.execution);
    const [begun, ended] = [phase(traceEvents, 'b'), phase(traceEvents, 'e')];
    expect(begun.map((e) => e.id).sort()).toEqual(ended.map((e) => e.id).sort());
    expect(begun.some((e) => e.name === 'kmap_lock' && e.args?.by === 'writer')).toBe(true);
  });

  it('points from doorbell, interrupt and wake-up to who takes it', () => {
    const { traceEvents } = toChromeTrace(e10.execution);
    const ends = new Map(phase(traceEvents, 'f').map((e) => [e.id, e]));
    const arrows = phase(traceEvents, 's').map((e) => `${e.name}: ${e.tid} to ${ends.get(e.id)?.tid}`);
    expect(arrows).toEqual(expect.arrayContaining(['doorbell: 1 to 1000', 'interrupt: 1000 to 1', 'wake-up: 1 to 1']));
  });

  it('counts the free pages of each zone', () => {
    const { traceEvents } = toChromeTrace(e10.execution);
    const counts = phase(traceEvents, 'C').filter((e) => e.name === 'free pages Normal');
    const pages = counts.map((e) => Number(e.args?.pages));
    expect(pages.length).toBeGreaterThan(0);
    const { lowmemPages } = e10.execution.result.machine;
    for (const n of pages) expect(n > 0 && n <= lowmemPages).toBe(true);
  });

  it('counts dirty lines and free pkmap slots, and marks the step that lost the bytes', () => {
    const { traceEvents } = toChromeTrace(e1.execution);
    const of = (name: string): unknown[] =>
      phase(traceEvents, 'C')
        .filter((e) => e.name === name)
        .map((e) => Object.values(e.args ?? {})[0]);
    expect(of('pkmap slots')).toContain(0);
    expect(Math.max(...(of('dirty lines') as number[]))).toBeGreaterThan(0);
    expect(
      phase(traceEvents, 'i')
        .filter((e) => e.s === 'g')
        .map((e) => [e.name, e.args?.step]),
    ).toEqual([['bytes lost: discarded', e1.execution.explanation.event?.step]]);
  });
});

describe('an execution as a timeline', () => {
  const lane = (sample: Sample, title: string | RegExp) =>
    drawingOf(sample.execution).lanes.find((l) =>
      typeof title === 'string' ? l.title === title : title.test(l.title),
    );

  it('has a lane for each context, with its functions and locks', () => {
    const titles = drawingOf(e10.execution).lanes.map((l) => l.title);
    expect(titles.slice(0, 5)).toEqual(['CPU0 interrupt', 'CPU0 thread0', 'device0', 'device1', 'device2']);
    expect(lane(e10, 'CPU0 thread0')?.sub).toBe('driver');
    const boxes = lane(e1, 'CPU1 thread1')?.boxes ?? [];
    expect(boxes.map((b) => b.text)).toEqual(
      expect.arrayContaining(['kmap_high', 'flush_all_zero_pkmaps', 'kmap_lock']),
    );
  });

  it('shows who waits, for what', () => {
    const boxes = lane(e10, 'CPU0 thread0')?.boxes ?? [];
    expect(boxes.filter((b) => b.kind === 'wait').map((b) => b.text)).toEqual(['CPU idle']);
    expect(lane(e10, 'device0')?.boxes[0]?.text).toBe('writeBuffer');
  });

  it('shows the byte in each place where it is, until the last right copy is gone', () => {
    const { event } = e1.execution.explanation;
    const cached = lane(e1, /^in the shared cache, line/)?.boxes ?? [];
    expect(cached.map((b) => b.kind)).toEqual(expect.arrayContaining(['right', 'gone']));
    expect(cached.find((b) => b.kind === 'right')?.to).toBe((event?.step ?? 0) + 1);
    expect(lane(e1, 'in memory')?.boxes.map((b) => [b.kind, b.text])).toEqual([['old', 'old (0x01)']]);
    expect(lane(e10, 'in memory')?.boxes.map((b) => b.kind)).toEqual(['old', 'right']);
    expect(lane(e10, /^in the cache of CPU0/)?.boxes.map((b) => b.kind)).toEqual(['old', 'old']);
  });

  it('shows whose page a pkmap slot gives, and when the lost line was dirty', () => {
    const pages = lane(e1, 'slot 0')?.boxes.map((b) => b.text.replace(/,.*/, '')) ?? [];
    expect(pages.filter((page, i) => page !== pages[i - 1])).toEqual(['page 0x20043', 'no page', 'page 0x20040']);
    const dirty = drawingOf(e1.execution)
      .lanes.flatMap((l) => (l.folded ? [] : l.boxes))
      .filter((b) => b.kind === 'dirty');
    expect(dirty.map((b) => b.to)).toEqual([(e1.execution.explanation.event?.step ?? 0) + 1]);
  });

  it('marks the story in the order of its steps, the losing one in the lane of who made it', () => {
    const { marks, lanes } = drawingOf(e1.execution);
    expect(marks.map((m) => m.at)).toEqual(marks.map((m) => m.at).toSorted((a, b) => a - b));
    const lost = marks.filter((m) => m.lost);
    expect(lost.map((m) => lanes[m.lane]?.title)).toEqual(['CPU0 thread0']);
    expect(lost[0]?.text).toMatch(/invalidate threw away/);
  });

  it('leaves a CPU that waits for ever in the functions in which it does', async () => {
    const { execution } = await failing('2003-01-vfree-irqs-off-deadlock', {});
    const { steps } = execution.result;
    const [first, second] = drawingOf(execution).lanes;
    const toTheEnd = first?.boxes.filter((b) => b.to === steps).map((b) => [b.text, b.kind.startsWith('off')]);
    expect(toTheEnd).toEqual(
      expect.arrayContaining([
        ['vfree', true],
        ['smp_call_function_many', true],
      ]),
    );
    expect(second?.boxes.filter((b) => b.to > steps)).toEqual([]);
  });

  it('draws only what is in the view, and outlines what is looked for', () => {
    const drawing = drawingOf(e1.execution);
    const at = drawing.marks.find((m) => m.lost)?.at ?? 0;
    const view = { from: at - 5, to: at + 5, width: 1000, everything: false, search: 'dma_inv_range' };
    const svg = draw(drawing, view);
    expect(svg).toContain('dma_inv_range</text>');
    expect(svg).not.toContain('flush_all_zero_pkmaps</text>');
    expect(svg.match(/class="box [^"]* found"/g)?.length).toBeGreaterThan(0);
    expect(draw(drawing, { ...view, from: 0, to: 5 })).not.toContain('class="mark lost"');
  });
});

describe('the page of a timeline', () => {
  it('needs nothing but itself, and names what was lost where', () => {
    const html = toHtml(e1.execution);
    expect(html.match(/(src|href)=/g)).toBeNull();
    expect(html).not.toMatch(/https?:\/\/(?!www\.w3\.org\/2000\/svg)/);
    expect(html).toMatch(/<h1>wrong-bytes: page frame 0x20040/);
    expect(html).toMatch(
      /<li class="lost" data-step="\d+"><b>\d<\/b><span><em>lost<\/em> step \d+, CPU0 thread0, in dma_inv_range/,
    );
  });

  it('says in two sentences on top who lost what, and by which step', () => {
    const short = (sample: Sample): string =>
      /<p class="short">(.*?)<\/p>/.exec(toHtml(sample.execution))?.[1] ?? 'nothing';
    const { event } = e1.execution.explanation;
    expect(short(e1)).toMatch(
      /^CPU1 stored a byte \(step \d+\)\. Nothing but a cache line had it when CPU0 threw that line away/,
    );
    expect(short(e1)).toContain(`(step ${event?.step}, in dma_inv_range())`);
    expect(short(e1)).toMatch(
      /kmap slot 0, had been that of page 0x20043 \(highmem\); since step \d+ it is that of page 0x20040 \(highmem\), the page of the byte\. CPU0 did not run from step 39 to step 213\.$/,
    );
    expect(short(e10)).toMatch(/^device0 stored a byte|^CPU\d stored a byte/);
    expect(short(e10)).toContain("Memory has it, but the reader's cache had an older copy");
  });

  it('tells two contexts of one CPU apart', async () => {
    const { execution } = await failing('2009-03-dma-two-step-lost-store', {});
    expect(execution.explanation.inShort).toMatch(
      /^CPU0 interrupt stored a byte \(step \d+\)\. .* when CPU0 thread0 threw that line away/,
    );
  });

  it('has every step in its table, and the picture in full for readers without scripts', () => {
    const html = toHtml(e1.execution);
    expect(html.match(/<tr class="[^"]*" data-step=/g)?.length).toBe(e1.execution.result.steps);
    expect(html.match(/<tr class="lost near"/g)?.length).toBe(1);
    expect(html.match(/<figure[^>]*><svg /g)?.length).toBe(2);
  });

  it('keeps text that looks like markup as text', () => {
    const { result } = e1.execution;
    const html = toHtml({ ...e1.execution, result: { ...result, title: '<script>alert(1)</script>' } });
    expect(html).not.toContain('<script>alert(1)');
  });
});
