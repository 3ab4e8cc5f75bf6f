/**
 * Kernel messages as the kernel prints them, with the simulated CPU and time: `[    0.123456] CPU1: text`.
 *
 * A line may carry its level in front, as /proc/kmsg has it (`<4>[    0.123456] CPU1: text`). The level colours the
 * line and is not printed. A line without one gets the level that its text would have had.
 */
import picocolors from 'picocolors';
import { type Logger, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import type { Output } from './output.js';

export interface KernelMessage {
  /** 0 (emergency) to 7 (debug). */
  readonly level: number;
  /** Simulated microseconds since boot; null when the line has no time. */
  readonly micros: number | null;
  readonly cpu: number | null;
  readonly text: string;
}

const KERN_ERR = 3;
const KERN_WARNING = 4;
const KERN_INFO = 6;
const KERN_DEBUG = 7;

const LINE = /^(?:<([0-7])>)?(?:\[\s*(\d+)\.(\d{6})\]\s?)?(?:CPU(\d+): )?(.*)$/s;
const ERROR_TEXT =
  /\b(BUG|Oops|Internal error|Kernel panic|Unable to handle|deadlock|soft lockup|blocked for more than)\b/;
const WARNING_TEXT = /^(WARNING|INFO): |allocation failure/;

export function parseKernelMessage(line: string): KernelMessage {
  const [, level, seconds, micros, cpu, text = ''] = LINE.exec(line) ?? [];
  return {
    level: level === undefined ? levelOf(text) : Number(level),
    micros: seconds === undefined ? null : Number(seconds) * 1e6 + Number(micros),
    cpu: cpu === undefined ? null : Number(cpu),
    text,
  };
}

function levelOf(text: string): number {
  if (ERROR_TEXT.test(text)) return KERN_ERR;
  return WARNING_TEXT.test(text) ? KERN_WARNING : KERN_INFO;
}

/** As `dmesg` shows it; what the message does not have (time, CPU) is left out. */
export function formatKernelMessage(message: Omit<KernelMessage, 'level'>): string {
  const { micros, cpu, text } = message;
  const seconds = micros === null ? '' : String(Math.floor(micros / 1e6)).padStart(5);
  const time = micros === null ? '' : `[${seconds}.${String(micros % 1e6).padStart(6, '0')}] `;
  return `${time}${cpu === null ? '' : `CPU${cpu}: `}${text}`;
}

export interface DmesgOptions {
  /** More lines than this are counted instead of printed. */
  readonly linesMax?: number;
  readonly colour?: boolean;
}

/** Print kernel messages, one record of the log each. */
export function printDmesg(out: Output, lines: readonly string[], options: DmesgOptions = {}): void {
  const linesMax = options.linesMax ?? Number.POSITIVE_INFINITY;
  const logger = dmesgLogger(out, options.colour ?? false);
  for (const line of lines.slice(0, linesMax)) logMessage(logger, parseKernelMessage(line));
  if (lines.length > linesMax) out.write(`... and ${lines.length - linesMax} more lines (--json has all of them)\n`);
}

function logMessage(logger: Logger, { level, micros, cpu, text }: KernelMessage): void {
  const fields = { micros, cpu };
  if (level <= KERN_ERR) logger.error(fields, text);
  else if (level === KERN_WARNING) logger.warn(fields, text);
  else if (level < KERN_DEBUG) logger.info(fields, text);
  else logger.debug(fields, text);
}

/** A pino logger whose records come out in the kernel's form. It writes synchronously: the order of lines is theirs. */
function dmesgLogger(out: Output, colour: boolean): Logger {
  const colours = picocolors.createColors(colour);
  const { error, warn } = pino.levels.values;
  const paint = new Map([
    [error, colours.red],
    [warn, colours.yellow],
  ]);
  const prettify = prettyFactory({
    colorize: false,
    hideObject: true,
    ignore: 'level',
    messageFormat: (log, messageKey) => {
      const record = {
        micros: log.micros as number | null,
        cpu: log.cpu as number | null,
        text: String(log[messageKey]),
      };
      return (paint.get(log.level as number) ?? String)(formatKernelMessage(record));
    },
  });
  const destination = { write: (record: string) => void out.write(prettify(record)) };
  return pino({ base: null, timestamp: false, level: 'debug' }, destination);
}
