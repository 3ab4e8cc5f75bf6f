/**
 * What failed where, as a text by which two failures are the same: outcome, place and the shape of the message, without the numbers that
 * differ from machine to machine. One of parallel mode and one of controlled mode on a smaller machine are alike when it is equal.
 */
import type { MachineConfig } from '../cpu/config.js';
import type { Failure } from '../lab/types.js';

const PAGE = 4096;
const FIXADDR_START = 0xfff00000;

/** A message without its numbers. */
const shapeOf = (message: string): string =>
  message
    .replace(/0x[0-9a-f]+|\b[0-9a-f]{8}\b/gi, '#')
    .replace(/\d+/g, '#')
    .trim();

/** What kind of address it is. */
function regionOf(addr: number, config: MachineConfig): string {
  if (addr < PAGE) return 'NULL';
  if (addr >= FIXADDR_START) return 'fixmap';
  if (addr >= config.pageOffset) {
    return addr < config.pageOffset + config.lowmemPages * PAGE ? 'lowmem' : 'above lowmem';
  }
  return addr >= config.pageOffset - config.pkmapSlots * PAGE ? 'pkmap' : 'elsewhere';
}

/** Zone of the page and place in its cache line of the byte that was wrong. */
function byteOf(failure: Omit<Failure, 'execution'>, config: MachineConfig): string {
  if (failure.pfn === undefined) return '';
  const highmem = failure.pfn - (config.core.physBase >>> 12) >= config.lowmemPages;
  const inLine = (failure.offset ?? 0) % config.core.dcache.lineBytes;
  return `${highmem ? 'highmem' : 'lowmem'} page, byte ${inLine} of a line`;
}

/** What the contexts of a deadlock wait for, each once. */
function waitsOf(state: readonly string[]): string {
  const waits = state.flatMap((line) => /(spins on [^,;]+|waits for other CPUs|sleeps)/.exec(line)?.[1] ?? []);
  const never = waits.filter((wait) => wait !== 'sleeps');
  return [...new Set((never.length > 0 ? never : waits).map(shapeOf))].sort().join(' + ');
}

export function signatureOf(failure: Omit<Failure, 'execution'>, config: MachineConfig): string {
  const { outcome, message, state, addr, functions } = failure;
  const stuck = outcome === 'deadlock' || outcome === 'hang';
  const parts: string[] = [outcome];
  if (stuck) parts.push(message.startsWith('livelock') ? 'livelock' : waitsOf(state ?? []));
  else {
    parts.push(byteOf(failure, config));
    if (outcome === 'oops') parts.push(`${regionOf(addr ?? 0, config)} address`, functions?.[0] ?? '');
    else parts.push(shapeOf(message));
  }
  return parts.filter((part) => part !== '').join('; ');
}
