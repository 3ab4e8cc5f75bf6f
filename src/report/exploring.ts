/** What an exploration is doing, on standard error: one line that is rewritten on a terminal, else a line now and then. */
import type { ExploreProgress } from '../explore/explore.js';
import { count, type Output, plural } from './output.js';

export interface ExploringDisplay {
  update(progress: ExploreProgress): void;
  /** The exploration has ended: nothing of the display stays on the screen. */
  clear(): void;
}

/** Seconds before the first plain line, and between two. */
const LINE_SECONDS = 5;
/** Below this part the time that is left is anybody's guess. */
const PART_LEAST = 0.001;

export function exploringDisplay(out: Output, name: string): ExploringDisplay {
  return out.isTTY === true ? new RewrittenLine(out, name) : new PlainLines(out, name);
}

function duration(seconds: number): string {
  if (seconds < 100) return `${Math.ceil(seconds)} s`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`;
  return seconds < 72 * 3600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}

/** How much of the space is explored, or how likely something new is, where the strategy has an idea of it. */
function spaceText({ stats, seconds, executions }: ExploreProgress): string {
  const { exploredPart: part, distinctTraces, unseenChance } = stats;
  if (distinctTraces !== undefined && unseenChance !== undefined) {
    return `, ${plural(distinctTraces, 'trace')}, next one new: ${chanceText(unseenChance, executions)}`;
  }
  if (part === undefined) return '';
  if (part < PART_LEAST) return `, below ${PART_LEAST * 100} % explored`;
  return `, about ${(part * 100).toFixed(1)} % explored, ${duration((seconds * (1 - part)) / part)} left`;
}

/** A chance that was estimated from @executions: what is rarer than one of them cannot be told from never. */
export function chanceText(chance: number, executions: number): string {
  const least = 1 / Math.max(1, executions);
  const percent = (part: number): string => `${Number((part * 100).toPrecision(2))} %`;
  return chance < least ? `below ${percent(least)}` : `about ${percent(chance)}`;
}

export function exploringLine(name: string, progress: ExploreProgress): string {
  const { executions, seconds, depth, failures } = progress;
  const rate = count(executions / Math.max(seconds, 1e-6));
  const counts = `${plural(executions, 'execution')}, ${rate}/s, depth ${depth}${spaceText(progress)}`;
  return `${name}: ${counts}, ${failures === 0 ? 'no failure' : plural(failures, 'failing execution')}`;
}

class PlainLines implements ExploringDisplay {
  readonly #out: Output;
  readonly #name: string;
  #nextSeconds: number | null = null;

  constructor(out: Output, name: string) {
    this.#out = out;
    this.#name = name;
  }

  /** The seconds of an exploration that goes on after a checkpoint do not begin at zero. */
  update(progress: ExploreProgress): void {
    this.#nextSeconds ??= progress.seconds + LINE_SECONDS;
    if (progress.seconds < this.#nextSeconds) return;
    this.#nextSeconds = progress.seconds + LINE_SECONDS;
    this.#out.write(`murphy: ${exploringLine(this.#name, progress)}\n`);
  }

  clear(): void {}
}

const REWRITE = '\r\u001b[2K';

class RewrittenLine implements ExploringDisplay {
  readonly #out: Output;
  readonly #name: string;
  #shown = false;

  constructor(out: Output, name: string) {
    this.#out = out;
    this.#name = name;
  }

  update(progress: ExploreProgress): void {
    this.#out.write(`${REWRITE}${exploringLine(this.#name, progress)}`);
    this.#shown = true;
  }

  clear(): void {
    if (this.#shown) this.#out.write(REWRITE);
    this.#shown = false;
  }
}
