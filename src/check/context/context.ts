/**
 * Contexts that no kernel looks at: page tables that are allocated with more freedom than the request has for which they are, and CPUs that wait for
 * others with their interrupts off. Both are ours; spec/checkers.md §2.3. What the kernel itself says of its context is always on.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { HARDIRQ_MASK, SOFTIRQ_MASK } from '../../shared/irqflags.js';
import type { ContextWatch } from '../../shared/kernel-base.js';
import { CheckerArea } from '../area.js';
import type { Places } from '../places.js';

export const CONTEXT_REPORTS = ['gfp', 'ipi'] as const;
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
  /** Not only the first of each kind. */
  readonly every: boolean;
  readonly onReport?: (report: ContextReport) => void;
}

const TEXT_WORDS = 1 << 12;
const OURS = "(Murphy's own check: the kernel has none)";
const RULE = '='.repeat(66);
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

  #report(kind: ContextReportKind, headline: string, more: readonly string[]): void {
    const { places, every, onReport } = this.#options;
    if (!this.#area.mayReport(CONTEXT_REPORTS.indexOf(kind), every)) return;
    const k = this.#k;
    const functions = places.functions(places.capture());
    const lines = [
      RULE,
      headline,
      OURS,
      ...more,
      `CPU: ${k.cpu} PID: ${k.slot} Comm: thread${k.slot} Not tainted ${k.config.kernel} #1`,
      'Call Trace:',
      ...functions.map((name) => ` [<????????>] ${name}`),
      RULE,
    ];
    this.#area.setHeadline(headline);
    for (const line of lines) k.printk(line);
    onReport?.({ kind, headline, lines });
  }
}
