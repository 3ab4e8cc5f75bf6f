/** What goes into an address trace: the text's operations, and the geometry of the cache. Everything wrong is said in one line. */
import { CORES } from '../arch/arch.js';
import type { CacheGeometry, CoreRow, Replacement } from '../cpu/core.js';
import { UsageError } from '../shared/errors.js';
import { oneOf } from './configure.js';

/** Which cache a trace runs through: a core's, or one of your own. What is given changes what the core has. */
export interface CacheTraceGeometry {
  /** A row of the catalogue, of which the data cache is taken. */
  readonly core?: string;
  /** A power of two. */
  readonly sets?: number;
  readonly ways?: number;
  /** Bytes of a line: a power of two from 4 to 4096. */
  readonly lineBytes?: number;
  /** Bytes of a dirty bit: a power of two, at most the line and at least an eighth of it. Default: the core's, else the line. */
  readonly granuleBytes?: number;
  /** Default: the core's, else `lru`. */
  readonly replacement?: Replacement;
  /** Default: write-back. */
  readonly writeThrough?: boolean;
  /** Does a write that misses bring the line in? Default: the core's, else yes. */
  readonly writeAllocate?: boolean;
}

export const REPLACEMENTS: readonly Replacement[] = [
  'rr-invalid-first',
  'rr-shared-unconditional',
  'rr-per-set',
  'random',
  'lru',
];

const CACHE_BYTES_MAX = 64 << 20;
const DIRTY_BITS_MAX = 8;

/** The core with the cache asked for, alone and without what lies behind the cache: no write buffer, no outer cache. */
export function traceCore(options: CacheTraceGeometry): CoreRow {
  const rows = CORES.map((c) => c.id);
  if (options.core !== undefined) oneOf('core', options.core, rows);
  const row = CORES.find((c) => c.id === options.core);
  const { sets = row?.dcache.sets, ways = row?.dcache.ways, lineBytes = row?.dcache.lineBytes } = options;
  if (sets === undefined || ways === undefined || lineBytes === undefined) {
    const missing = [sets === undefined && 'sets', ways === undefined && 'ways', lineBytes === undefined && 'line'];
    const names = missing.filter((name) => name !== false).join(', ');
    throw new UsageError(`the cache has no ${names}: name a core, or give sets, ways and line`);
  }
  const ofCore = options.lineBytes === undefined ? row?.dcache.granuleBytes : undefined;
  const dcache: CacheGeometry = {
    sets,
    ways,
    lineBytes,
    granuleBytes: options.granuleBytes ?? ofCore ?? lineBytes,
    indexBy: 'VA',
    tagBy: 'VA',
    allocOnStoreMiss: options.writeAllocate ?? row?.dcache.allocOnStoreMiss ?? true,
    replacement: options.replacement ?? row?.dcache.replacement ?? 'lru',
    writeBufferWords: 0,
  };
  checkGeometry(dcache);
  return { ...((row ?? CORES[0]) as CoreRow), coherence: 'none', outer: null, dcache };
}

function checkGeometry(cache: CacheGeometry): void {
  const { sets, ways, lineBytes, granuleBytes } = cache;
  powerOfTwo('sets', sets, 1, 1 << 20);
  powerOfTwo('line', lineBytes, 4, 4096);
  powerOfTwo('granule', granuleBytes, Math.max(4, lineBytes / DIRTY_BITS_MAX), lineBytes);
  if (!Number.isInteger(ways) || ways < 1 || ways > 4096) {
    throw new UsageError(`ways ${ways}: give a whole number from 1 to 4096`);
  }
  if (sets * ways * lineBytes > CACHE_BYTES_MAX) {
    throw new UsageError(`${sets} sets of ${ways} ways of ${lineBytes} bytes are more than 64 MB: give fewer of them`);
  }
  oneOf('replacement', cache.replacement, REPLACEMENTS);
}

function powerOfTwo(name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max && (value & (value - 1)) === 0) return;
  throw new UsageError(`${name} ${value}: give a power of two from ${min} to ${max}`);
}

/** Operations of a trace, in columns. */
export interface TraceOps {
  readonly count: number;
  /** Character codes of `r`, `w`, `c`, `v`. */
  readonly types: Uint8Array;
  readonly addresses: Uint32Array;
  /** Bytes, from 1; address and size stay within 32 bits. */
  readonly sizes: Float64Array;
  /** Line of the text, from 1. */
  readonly lines: Uint32Array;
}

const OPERATION = /^[ \t]*([rwcv])[ \t]+(?:0x)?0*([0-9a-f]{1,8})[ \t]+([1-9]\d{0,9})[ \t]*(?:#.*)?\r?$/i;
const NOTHING = /^[ \t]*(?:#.*)?\r?$/;

/** Read a trace. @name is what messages call it. Throws UsageError at the first line that is none. */
export function parseTrace(text: string, name: string): TraceOps {
  let room = 1;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) room++;
  const types = new Uint8Array(room);
  const addresses = new Uint32Array(room);
  const sizes = new Float64Array(room);
  const lines = new Uint32Array(room);
  let count = 0;
  for (let number = 1, start = 0; start < text.length; number++) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(start, end);
    start = end + 1;
    const match = OPERATION.exec(line);
    if (match === null) {
      if (NOTHING.test(line)) continue;
      throw new UsageError(`${name}: line ${number}: ${whatIsWrong(line)}`);
    }
    const address = Number.parseInt(match[2] as string, 16);
    const size = Number(match[3]);
    if (address + size > 2 ** 32) throw new UsageError(`${name}: line ${number}: ${beyond(line)}`);
    types[count] = (match[1] as string).charCodeAt(0) | 0x20;
    addresses[count] = address;
    sizes[count] = size;
    lines[count++] = number;
  }
  return { count, types, addresses, sizes, lines };
}

const SHAPE = 'write "type address size", for instance "r 0x1000 4"';
const beyond = (line: string): string => `${show(line)} ends beyond 32 bits: give a smaller address or size`;
const show = (text: string): string => JSON.stringify(text.trim().slice(0, 60));

/** Which of the three words is no good. */
function whatIsWrong(line: string): string {
  const [type = '', address = '', size = '', ...rest] = line
    .replace(/#.*$/, '')
    .trim()
    .split(/[ \t]+/);
  if (!/^[rwcv]$/i.test(type)) {
    return `unknown type ${show(type)}: use r (read), w (write), c (clean) or v (invalidate)`;
  }
  if (address === '' || size === '') return `${show(line)} has no ${address === '' ? 'address' : 'size'}: ${SHAPE}`;
  if (!/^(0x)?[0-9a-f]+$/i.test(address)) return `${show(address)} is no hexadecimal address: ${SHAPE}`;
  if (!/^(0x)?0*[0-9a-f]{1,8}$/i.test(address)) return beyond(line);
  if (!/^[1-9]\d*$/.test(size)) return `${show(size)} is no size: give a decimal number of bytes from 1`;
  if (size.length > 10) return beyond(line);
  return `${show(rest.join(' '))} is too much: ${SHAPE}`;
}
