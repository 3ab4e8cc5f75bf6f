/**
 * An execution as the text that ftrace gives: `cat trace` of a kernel with event tracing, which Perfetto and the kernel's own tools read.
 *
 * Events of the kernel have the kernel's names and fields; those of the emulated hardware (cache lines, TLB, write buffer, DMA) and the steps
 * of controlled mode have names of ours. Functions are `tracing_mark_write` begin and end marks, from which readers make slices.
 *
 * Source: kernel/trace/trace.c, trace_output.c, Linux 4.9; spec/checkers.md §8.1.
 */
import { WaitKind } from '../../cpu/hw.js';
import { Softirq } from '../../cpu/irq.js';
import { Ev } from '../../cpu/tracer.js';
import { causeOf, stepText } from '../../explore/explain/columns.js';
import { Recorded, type TraceEvent } from '../../lab/recorder.js';
import { showGfp } from '../../mm/gfp.js';
import { HARDIRQ_MASK, PREEMPT_MASK, SOFTIRQ_OFFSET } from '../../shared/irqflags.js';
import { versionCode } from '../../shared/version.js';
import { type Execution, Frames, taskOf, timesOf } from './execution.js';

/** Devices come after the CPUs, their pids after those of threads. */
const DEVICE_PID = 1000;
const COMM_MAX = 15;
const PRIO = 120;

export const pidOf = (e: { cpu: number; slot: number }): number => (e.cpu < 0 ? DEVICE_PID : 1) + e.slot;

const hex = (value: number): string => (value >>> 0).toString(16);
const hex8 = (value: number): string => hex(value).padStart(8, '0');

function header(entries: number, cpus: number): string[] {
  return [
    '# tracer: nop',
    '#',
    `# entries-in-buffer/entries-written: ${entries}/${entries}   #P:${cpus}`,
    '#',
    '#                              _-----=> irqs-off',
    '#                             / _----=> need-resched',
    '#                            | / _---=> hardirq/softirq',
    '#                            || / _--=> preempt-depth',
    '#                            ||| /     delay',
    '#           TASK-PID   CPU#  ||||    TIMESTAMP  FUNCTION',
    '#              | |       |   ||||       |         |',
  ];
}

/** In which interrupt: hard, soft, hard while soft. Soft ones that run as a handler ends are in no hard one any more. */
function interruptOf({ what, preempt }: TraceEvent): string {
  const soft = (preempt & SOFTIRQ_OFFSET) !== 0;
  // irq_enter() comes after the one event, irq_exit() before the other.
  const hard = (preempt & HARDIRQ_MASK) !== 0 || what === Ev.irqEnter || what === Ev.irqExit;
  if (hard) return soft ? 'H' : 'h';
  return soft ? 's' : '.';
}

/** Interrupts off, a wish to reschedule (which no event has), in an interrupt, depth of preemption. */
export function flagsOf(e: TraceEvent): string {
  const depth = e.preempt & PREEMPT_MASK;
  return `${e.irqsOff ? 'd' : '.'}.${interruptOf(e)}${depth === 0 ? '.' : Math.min(depth, 15).toString(16)}`;
}

/** Waits for a lock that ended in its hold by one reader among others, by the seq of the event of waiting. */
function readersAmong(events: readonly TraceEvent[]): ReadonlySet<number> {
  const readers = new Set<number>();
  /** How the lock is taken next, by pid and lock. */
  const next = new Map<string, number>();
  for (const e of events.toReversed()) {
    if (e.what === Ev.lockAcquired) next.set(`${pidOf(e)} ${e.a}`, e.b);
    if (e.what === Ev.wait && e.a === WaitKind.lock && next.get(`${pidOf(e)} ${e.b}`) === 1) readers.add(e.seq);
  }
  return readers;
}

/** An event as a line, with the microseconds since the first. */
type Form = (e: TraceEvent, text: string, micros: number) => string;

/** Lines of events, one after the other. */
export class EventLines {
  readonly #execution: Execution;
  readonly #form: Form;
  readonly #marked: boolean;
  readonly #version: { readonly LINUX_VERSION_CODE: number };
  readonly #frames = new Frames();
  /** Functions that are open, by pid. */
  readonly #open = new Map<number, readonly string[]>();
  /** Locks that somebody waits for, by pid. */
  readonly #contended = new Map<number, number>();
  readonly #readers: ReadonlySet<number>;
  readonly lines: string[] = [];
  readonly #times: ReadonlyMap<TraceEvent, number>;
  /** Time of the event that was seen last, microseconds. */
  #now = 0;

  /** @marked: with marks where functions begin and end, and where the explanation has its event. */
  constructor(execution: Execution, form: Form, marked: boolean) {
    this.#execution = execution;
    this.#form = form;
    this.#marked = marked;
    this.#times = timesOf(execution.events);
    this.#readers = readersAmong(execution.events);
    this.#version = { LINUX_VERSION_CODE: versionCode(execution.result.kernel) };
  }

  see(e: TraceEvent): void {
    this.#now = Math.floor(this.#times.get(e) ?? 0);
    if (this.#marked) this.#functions(e);
    for (const text of this.#texts(e)) this.#line(e, text);
    if (this.#marked && e === this.#execution.explanation.event)
      this.#line(e, `murphy_mark: ${this.#execution.explanation.mark}`);
    this.#frames.see(e);
  }

  /** Ends what is still open, so that begins and ends are in pairs. */
  close(last: ReadonlyMap<number, TraceEvent>): void {
    for (const [pid, e] of last) this.#marks(e, pid, []);
  }

  #functions(e: TraceEvent): void {
    this.#marks(e, pidOf(e), this.#frames.all(e));
  }

  #marks(e: TraceEvent, pid: number, now: readonly string[]): void {
    const open = this.#open.get(pid) ?? [];
    const same = open.findIndex((name, i) => name !== now[i]);
    const kept = same < 0 ? open.length : same;
    for (let i = open.length; i > kept; i--) this.#line(e, `tracing_mark_write: E|${pid}`);
    for (const name of now.slice(kept)) this.#line(e, `tracing_mark_write: B|${pid}|${name}`);
    this.#open.set(pid, now);
  }

  #line(e: TraceEvent, text: string): void {
    this.lines.push(this.#form(e, text, this.#now));
  }

  #texts(e: TraceEvent): string[] {
    const { names } = this.#execution;
    switch (e.what) {
      case Ev.step:
        return [`murphy_step: step=${e.step} what=${stepText(names, e)}`];
      case Ev.wait:
      case Ev.lockAcquired:
      case Ev.lockReleased:
        return this.#lock(e);
      case Ev.irqEnter:
        return [`irq_handler_entry: irq=${e.a} name=irq${e.a}`];
      case Ev.irqExit:
        return [`irq_handler_exit: irq=${e.a} ret=handled`];
      case Ev.softirqRaise:
        return [`softirq_raise: ${this.#softirq(e.a)}`];
      case Ev.softirqAction:
        return [`softirq_entry: ${this.#softirq(e.a)}`];
      case Ev.softirqActionEnd:
        return [`softirq_exit: ${this.#softirq(e.a)}`];
      case Ev.raise:
        return [`irq_raise: cpu=${e.a} irq=${e.b}`];
      case Ev.doorbell:
        return [`device_doorbell: device=${e.a}`];
      case Ev.switchTo:
        return [this.#switch(e)];
      case Ev.wakeUp: {
        const comm = this.#execution.threads.get(e.a) ?? `thread${e.a}`;
        return [`sched_wakeup: comm=${comm} pid=${e.a + 1} prio=${PRIO} target_cpu=${String(e.b).padStart(3, '0')}`];
      }
      case Recorded.change:
        return [`kernel_data: addr=${hex8(e.a)} old=${hex8(e.b)} new=${hex8(e.c)} name=${names.virtual(e.a)}`];
      case Ev.pageAlloc:
      case Ev.pageFree:
      case Ev.kmalloc:
      case Ev.kfree:
      case Ev.cacheAlloc:
      case Ev.cacheFree:
        return [this.#allocation(e)];
      default:
        return this.#hardware(e);
    }
  }

  /** There are no addresses of code: the call site is a function's name. Include/trace/events/kmem.h, Linux 4.9. */
  #allocation(e: TraceEvent): string {
    const pages = (): string => {
      const pfn = e.a === 0 ? 0 : this.#execution.names.pfnOf(e.a);
      return `page=${hex8(e.a)} pfn=${pfn} order=${e.b}`;
    };
    const site = `call_site=${e.stack[0] ?? ''} ptr=${hex8(e.a)}`;
    const flags = `gfp_flags=${showGfp(this.#version, e.c)}`;
    switch (e.what) {
      case Ev.pageAlloc:
        return `mm_page_alloc: ${pages()} migratetype=0 ${flags}`;
      case Ev.pageFree:
        return `mm_page_free: ${pages()}`;
      case Ev.kmalloc:
        return `kmalloc: ${site} bytes_req=${e.b} ${flags}`;
      case Ev.cacheAlloc:
        return `kmem_cache_alloc: ${site} cache=${hex8(e.b)} ${flags}`;
      default:
        return `${e.what === Ev.kfree ? 'kfree' : 'kmem_cache_free'}: ${site}`;
    }
  }

  #lock(e: TraceEvent): string[] {
    const { names } = this.#execution;
    const pid = pidOf(e);
    const acquire = (lock: number, read: boolean): string =>
      `lock_acquire: ${hex8(lock)} ${read ? 'read ' : ''}${names.virtual(lock)}`;
    if (e.what === Ev.wait) {
      if (e.a !== WaitKind.lock) return [];
      const lock = `${hex8(e.b)} ${names.virtual(e.b)}`;
      if (this.#contended.get(pid) === e.b) return [];
      this.#contended.set(pid, e.b);
      return [acquire(e.b, this.#readers.has(e.seq)), `lock_contended: ${lock}`];
    }
    const lock = `${hex8(e.a)} ${names.virtual(e.a)}`;
    if (e.what === Ev.lockReleased) return [`lock_release: ${lock}`];
    if (this.#contended.get(pid) !== e.a) return [acquire(e.a, e.b === 1)];
    this.#contended.delete(pid);
    return [`lock_acquired: ${lock}`];
  }

  #softirq(nr: number): string {
    const [name = String(nr)] = Object.entries(Softirq).find(([, vector]) => vector === nr) ?? [];
    return `vec=${nr} [action=${name}]`;
  }

  #switch(e: TraceEvent): string {
    const next = this.#execution.threads.get(e.a) ?? `thread${e.a}`;
    const state = e.irq > 0 || e.stack.some((name) => name.startsWith('preempt')) ? 'R' : 'S';
    const prev = `prev_comm=${taskOf(this.#execution, e)} prev_pid=${pidOf(e)} prev_prio=${PRIO} prev_state=${state}`;
    return `sched_switch: ${prev} ==> next_comm=${next} next_pid=${e.a + 1} next_prio=${PRIO}`;
  }

  #hardware(e: TraceEvent): string[] {
    const line = (): string => `line=${e.a} va=${hex8(e.b)} pa=${hex8(e.c)}`;
    switch (e.what) {
      case Ev.load:
        return [`cached_load: va=${hex8(e.a)} pa=${hex8(e.b)} value=${hex8(e.c)} line=${e.d}`];
      case Ev.store:
        return [`cached_store: va=${hex8(e.a)} pa=${hex8(e.b)} value=${hex8(e.c)} mask=${hex8(e.mask)} line=${e.d}`];
      case Ev.lineFill:
        return [`cache_line_fill: ${line()}`];
      case Ev.lineWriteBack:
        return [`cache_line_write_back: ${line()} dirty=${hex(e.d & 0xff)} cause=${causeOf(e.d)}`];
      case Ev.lineDrop:
        return [`cache_line_drop: ${line()} dirty=${hex(e.d & 0xff)} cause=${causeOf(e.d)}`];
      case Ev.bufferPush:
        return [`write_buffer_push: pa=${hex8(e.a)} value=${hex8(e.b)} mask=${hex8(e.c)}`];
      case Ev.bufferDrain:
        return [`write_buffer_drain: pa=${hex8(e.a)} value=${hex8(e.b)} mask=${hex8(e.c)}`];
      case Ev.tlbFill:
        return [`tlb_entry_fill: va=${hex8(e.a)} pte=${hex8(e.b)}`];
      case Ev.tlbFlush:
        return [`tlb_entry_flush: va=${e.a === 0xffffffff ? 'all' : hex8(e.a)} cpus=${e.b === 1 ? 'all' : e.cpu}`];
      case Ev.fault:
        return [`mmu_fault: va=${hex8(e.a)} status=${hex(e.b)} write=${e.c}`];
      case Ev.dmaRead:
      case Ev.dmaWrite:
        return [`${e.what === Ev.dmaRead ? 'dma_read' : 'dma_write'}: pa=${hex8(e.a)} value=${hex8(e.b)}`];
      default:
        return [];
    }
  }
}

const formOf =
  (execution: Execution): Form =>
  (e, text, micros) => {
    const { cpus } = execution.result;
    const task = taskOf(execution, e).slice(0, COMM_MAX).padStart(16);
    const cpu = String(e.cpu < 0 ? cpus + e.slot : e.cpu).padStart(3, '0');
    const seconds = String(Math.floor(micros / 1e6)).padStart(5);
    const rest = String(micros % 1e6).padStart(6, '0');
    return `${task}-${String(pidOf(e)).padEnd(5)} [${cpu}] ${flagsOf(e)} ${seconds}.${rest}: ${text}`;
  };

/** The whole trace, header first. */
export function toFtrace(execution: Execution): string {
  const writer = new EventLines(execution, formOf(execution), true);
  const last = new Map<number, TraceEvent>();
  const devices = new Set<number>();
  for (const e of execution.events) {
    writer.see(e);
    last.set(pidOf(e), e);
    if (e.cpu < 0) devices.add(e.slot);
  }
  writer.close(last);
  const cpus = execution.result.cpus + devices.size;
  return `${[...header(writer.lines.length, cpus), ...writer.lines].join('\n')}\n`;
}
