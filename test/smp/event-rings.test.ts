import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { main } from '../../src/cli/main.js';
import { Ev } from '../../src/cpu/tracer.js';
import { type RunResult, run } from '../../src/index.js';
import { executionOfRun, toChromeTrace, toFtrace, toPerfetto } from '../../src/traces.js';
import { RealHost } from '../cli/real.js';
import { decodePerfetto, unbalanced } from '../report/perfetto-format.js';
import { chromeTrace, crossing, entriesOf, unpaired } from '../report/trace-formats.js';
import unlockedCounter from './races/unlocked-counter.js';

const LOST_BYTES = '2009-03-kmap-recycle-lost-bytes';
const EVENTS = 3000;

/** A byte that is found to be lost when all CPUs have come to their end. In the midst of it, one of them may not have begun. */
async function lostInTheEnd(): Promise<RunResult> {
  const options = { cpus: 4, noPatches: ['kmap-high-get'], caseName: 'unpinned', stopAtFailure: true, seconds: 120 };
  for (let seed = 1; ; seed++) {
    const result = await run(LOST_BYTES, { ...options, events: EVENTS, seed });
    if (result.failure?.message.endsWith('afterwards') !== false || seed === 30) return result;
  }
}

let lost: RunResult;

beforeAll(async () => {
  lost = await lostInTheEnd();
});

describe('a run that records what happens', () => {
  it('keeps the last events of each worker before the failure, in one order', () => {
    const events = lost.traced?.history.events ?? [];
    expect(events.map((e) => e.seq)).toEqual(events.map((e) => e.seq).toSorted((a, b) => a - b));
    for (const cpu of [0, 1, 2, 3]) {
      const own = events.filter((e) => e.cpu === cpu);
      expect(own.length).toBeGreaterThan(10);
      expect(own.length).toBeLessThanOrEqual(EVENTS);
      const times = own.map((e) => e.time ?? Number.NaN);
      expect(times.every((time, i) => time >= (times[i - 1] ?? 0))).toBe(true);
    }
  });

  it('has the load that read the wrong byte', () => {
    const { pfn, offset, seen } = lost.failure ?? {};
    expect(lost.outcome).toBe('wrong-bytes');
    const place = (pfn ?? 0) * 4096 + (offset ?? 0);
    const loads = lost.traced?.history.events.filter((e) => e.what === Ev.load && e.b >>> 2 === place >>> 2) ?? [];
    const last = loads.at(-1);
    expect(((last?.c ?? 0) >>> ((place & 3) * 8)) & 0xff).toBe(seen);
  });

  it('names the functions of the kernel', () => {
    const functions = new Set(lost.traced?.history.events.flatMap((e) => e.stack));
    expect([...functions]).toEqual(expect.arrayContaining(['kmap_high', 'flush_all_zero_pkmaps', 'dma_map_page']));
  });

  it('gives ftrace text with the time of the host', () => {
    const entries = entriesOf(toFtrace(executionOfRun(lost)));
    expect(entries.filter((e) => e.event.startsWith('not an entry'))).toEqual([]);
    expect(unpaired(entries)).toEqual([]);
    const times = entries.map((e) => Number(e.time));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(new Set(entries.map((e) => e.cpu))).toEqual(new Set(['000', '001', '002', '003']));
  });

  it('gives a Chrome trace whose slices nest', () => {
    const trace = toChromeTrace(executionOfRun(lost));
    expect(chromeTrace.safeParse(JSON.parse(JSON.stringify(trace))).error?.issues.slice(0, 3)).toBeUndefined();
    expect(crossing(trace.traceEvents)).toEqual([]);
    expect(trace.metadata.time).toBe('clock of the host');
  });

  it('gives a Perfetto trace whose slices nest', () => {
    const packets = decodePerfetto(toPerfetto(executionOfRun(lost)));
    expect(unbalanced(packets)).toEqual([]);
    const times = packets.flatMap((p) => p.timestamp ?? []);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  it('records the failing execution only, among many', async () => {
    let result = await run(unlockedCounter, { executions: 300, events: 500 });
    for (let seed = 1; seed <= 30 && result.failure === null; seed++) {
      result = await run(unlockedCounter, { executions: 300, events: 500, seed });
    }
    const { traced, failure } = result;
    expect(failure).not.toBeNull();
    for (const cpu of [0, 1]) {
      const of = traced?.history.events.filter((e) => e.cpu === cpu && e.stage === 0 && e.what === Ev.step) ?? [];
      // Numbered from the first step of the execution on.
      expect(of[0]?.step).toBe(0);
      expect(of.map((e) => e.step)).toEqual(of.map((_, i) => i));
    }
  });

  it('says nothing where nothing fails, or nothing was asked for', async () => {
    expect((await run(unlockedCounter, { executions: 20 })).traced).toBeUndefined();
    const clean = await run(LOST_BYTES, { cpus: 2, patches: ['kmap-high-get'], executions: 2, events: 100 });
    expect([clean.outcome, clean.traced]).toEqual(['clean', undefined]);
    expect(() => executionOfRun(clean)).toThrow(/recorded no failing execution; give it "events"/);
    await expect(run(unlockedCounter, { events: 0 })).rejects.toThrow('events must be a whole number from 1 to');
  });
});

describe('a device in a run that records what happens', () => {
  it('has its words, on a row of its own', async () => {
    const result = await run('2010-03-dma-speculative-fill-stale-bytes', {
      ...{
        patches: ['mutant-inner-before-outer'],
        core: 'cortex-a9-l2',
        stopAtFailure: true,
        seconds: 120,
        events: 2000,
      },
    });
    expect(result.failure).not.toBeNull();
    expect(result.traced?.history.events.some((e) => e.cpu < 0 && e.what === Ev.dmaWrite)).toBe(true);
  });
});

describe('murphy run --trace', () => {
  const folder = mkdtempSync(join(tmpdir(), 'murphy-rings-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  // Of two cases the one that fails, whatever the host does.
  const race = [join(import.meta.dirname, '..', 'lab', 'races', 'says.ts'), '--case', 'said', '--executions', '2'];

  it('writes what led to the first failure, in the format that the name asks for', async () => {
    for (const [name, begins] of [
      ['x.txt', '# tracer: nop\n'],
      ['x.json', '{"traceEvents":['],
    ] as const) {
      const [file, host] = [join(folder, name), new RealHost()];
      await main(['run', ...race, '--trace', file], host);
      expect(host.stdout.text).toContain(`trace: ${file}\n`);
      expect(readFileSync(file, 'utf8').startsWith(begins)).toBe(true);
    }
  });

  it('refuses a place that cannot be written, and --events alone', async () => {
    const refused = async (...args: string[]): Promise<string> => {
      const host = new RealHost();
      expect(await main(['run', ...race, ...args], host)).toBe(2);
      return host.stderr.text;
    };
    expect(await refused('--trace', join(folder, 'no', 'where.txt'))).toMatch(/murphy: cannot write /);
    expect(await refused('--events', '10')).toBe('murphy: --events belongs to --trace FILE: give both\n');
  });
});
