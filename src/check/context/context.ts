/**
 * Contexts that no kernel looks at: page tables that are allocated with more freedom than the request has for which they are, and CPUs that wait for
 * others with their interrupts off. Both are ours; spec/checkers.md §2.3. And what CONFIG_DEBUG_PREEMPT looks at: changes of preempt_count; §1.
 * What else the kernel says of its context is always on.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { HARDIRQ_MASK, PREEMPT_MASK, SOFTIRQ_MASK } from '../../shared/irqflags.js';
import type { ContextWatch } from '../../shared/kernel-base.js';
import { KERNEL_VERSION, LINUX_2_6, LINUX_3_13 } from '../../shared/version.js';
import { CheckerArea } from '../area.js';
import type { Places } from '../places.js';
import type { DebugLocks } from '../spinlocks/spinlocks.js';

export const CONTEXT_REPORTS = ['gfp', 'ipi', 'preempt'] as const;
export type ContextReportKind = (typeof CONTEXT_REPORTS)[number];

export interface ContextReport {
  readonly kind: ContextReportKind;
  readonly headline: string;
  readonly lines: readonly string[];
}

/** Masks of the kernel's version. */
export interface GfpMasks {
  /** With what the task's scopes take away. */
  effective(gfp_mask: number): number;
  /** Bits that let a request sleep, start I/O, enter filesystems. */
  bits(): readonly [sleeps: number, io: number, fs: number];
  show(gfp_mask: number): string;
}

export interface ContextOptions {
  readonly masks: GfpMasks;
  readonly places: Places;
  /** Null: nobody shares it, or reports end nothing. */
  readonly debugLocks: DebugLocks | null;
  /** Not only the first of each kind. */
  readonly every: boolean;
  readonly onReport?: (report: ContextReport) => void;
}

const TEXT_WORDS = 1 << 12;
const OURS = "(Murphy's own check: the kernel has none)";
const RULE = '='.repeat(66);
const WARN_CUTS = KERNEL_VERSION(2, 6, 26);
const NAMES_CONDITION = KERNEL_VERSION(3, 7, 0);
/** How deep preemption may be off: the kernel warns before the field runs over. */
const PREEMPT_DEPTH_MAX = PREEMPT_MASK - 10;
const hex = (mask: number): string => `0x${(mask >>> 0).toString(16)}`;

/** A request under way: its mask, with what the task's scope takes away, and in which interrupt it was made. */
interface Request {
  readonly gfp_mask: number;
  readonly level: number;
}

export class ContextChecker implements ContextWatch {
  readonly name = 'context';
  readonly #k: Kernel;
  readonly #area: CheckerArea;
  readonly #options: ContextOptions;
  /** Of this worker's stack, the innermost last. */
  readonly #requests: Request[] = [];

  constructor(k: Kernel, options: ContextOptions) {
    this.#k = k;
    this.#area = new CheckerArea(k.hw, k.layout.contextCheck, TEXT_WORDS);
    this.#options = options;
  }

  restart(): void {
    this.#area.restart();
  }

  begin(): void {
    this.#requests.length = 0;
  }

  end(): void {}

  get headline(): string {
    return this.#area.headline;
  }

  get #level(): number {
    return this.#k.preemptCount & (HARDIRQ_MASK | SOFTIRQ_MASK);
  }

  request(gfp_mask: number): void {
    this.#requests.push({ gfp_mask: this.#options.masks.effective(gfp_mask), level: this.#level });
  }

  requestEnds(): void {
    this.#requests.pop();
  }

  tables(gfp_mask: number): void {
    const request = this.#requests.at(-1);
    // A handler's own business has nothing to do with what it has interrupted.
    if (request === undefined || request.level !== this.#level) return;
    const { masks } = this.#options;
    const inner = masks.effective(gfp_mask);
    const more = this.#more(request.gfp_mask, inner);
    if (more.length === 0) return;
    const named = (mask: number): string => `${masks.show(mask)} (${hex(mask)})`;
    const headline = `GFP context: page tables are allocated with ${named(inner)} for a request with ${named(request.gfp_mask)}`;
    this.#report('gfp', headline, [`which may not ${more.join(', nor ')}`]);
  }

  /** What the one mask allows and the other does not. */
  #more(outer: number, inner: number): string[] {
    const [sleeps, io, fs] = this.#options.masks.bits();
    const kinds = [
      [sleeps, 'sleep'],
      [io, 'start I/O'],
      [fs, 'enter filesystems'],
    ] as const;
    return kinds.filter(([bits]) => (inner & bits) !== 0 && (outer & bits) === 0).map(([, what]) => what);
  }

  calls(): void {
    const { cpu, irqsOff, config } = this.#k;
    if (!irqsOff || config.cpus === 1) return;
    const headline = `IRQ context: CPU${cpu} is about to wait for all other CPUs with its interrupts off`;
    this.#report('ipi', headline, ['another CPU that does the same waits for this one for ever']);
  }

  /**
   * add_preempt_count(), sub_preempt_count() of a kernel with CONFIG_DEBUG_PREEMPT, which depends on CONFIG_PREEMPT.
   *
   * Source:  kernel/sched.c, Linux 2.6.22, 2.6.30; kernel/sched/core.c, 4.12. Differs: what is wrong happens all the same.
   */
  counts(old: number, by: number): void {
    const wrong = by > 0 ? addsWrongly(old, by) : subtractsWrongly(old, -by);
    if (wrong === '') return;
    const k = this.#k;
    const version = k.LINUX_VERSION_CODE;
    if (!k.preemptible || version < LINUX_2_6 || this.#options.debugLocks?.on === false) return;
    if (!this.#area.mayReport(CONTEXT_REPORTS.indexOf('preempt'), false)) return;
    this.#options.debugLocks?.turnOff();
    const headline =
      version < LINUX_3_13
        ? `WARNING: at kernel/sched.c ${by > 0 ? 'add_preempt_count' : 'sub_preempt_count'}()`
        : `WARNING: CPU: ${k.cpu} PID: ${k.slot} at kernel/sched/core.c ${by > 0 ? 'preempt_count_add' : 'preempt_count_sub'}()`;
    this.#tell('preempt', headline, [
      ...(version >= WARN_CUTS ? ['------------[ cut here ]------------'] : []),
      headline,
      ...(version >= NAMES_CONDITION ? [`DEBUG_LOCKS_WARN_ON(${wrong})`] : []),
      ...this.#where(),
    ]);
  }

  #report(kind: ContextReportKind, headline: string, more: readonly string[]): void {
    if (!this.#area.mayReport(CONTEXT_REPORTS.indexOf(kind), this.#options.every)) return;
    this.#tell(kind, headline, [RULE, headline, OURS, ...more, ...this.#where(), RULE]);
  }

  #where(): string[] {
    const { places } = this.#options;
    const k = this.#k;
    return [
      `CPU: ${k.cpu} PID: ${k.slot} Comm: thread${k.slot} Not tainted ${k.config.kernel} #1`,
      'Call Trace:',
      ...places.functions(places.capture()).map((name) => ` [<????????>] ${name}`),
    ];
  }

  #tell(kind: ContextReportKind, headline: string, lines: readonly string[]): void {
    this.#area.setHeadline(headline);
    for (const line of lines) this.#k.printk(line);
    this.#options.onReport?.({ kind, headline, lines });
  }
}

/** What the kernel finds wrong, as it writes it; empty when nothing is. */
function addsWrongly(old: number, by: number): string {
  if (old < 0) return '(preempt_count() < 0)';
  return ((old + by) & PREEMPT_MASK) >= PREEMPT_DEPTH_MAX
    ? '(preempt_count() & PREEMPT_MASK) >= PREEMPT_MASK - 10'
    : '';
}

function subtractsWrongly(old: number, by: number): string {
  if (by > old) return 'val > preempt_count()';
  return by < PREEMPT_MASK && by > 0 && (old & PREEMPT_MASK) === 0
    ? '(val < PREEMPT_MASK) && !(preempt_count() & PREEMPT_MASK)'
    : '';
}
