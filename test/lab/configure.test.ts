import { describe, expect, it } from 'vitest';
import { type MachineSpec, race } from '../../src/index.js';
import { caseOf, claimingCase, configureRace, settingsOf } from '../../src/lab/configure.js';

const onArm926 = race({
  id: 'on-arm926',
  title: 'a race on a core that has no SMP',
  source: 'test',
  spec: [],
  machine: { core: 'arm926' },
  cases: [
    { name: 'highmem', outcome: 'report' },
    { name: 'lowmem only', machine: { highmemPages: 0 }, outcome: 'clean' },
    { name: 'four CPUs at most', machine: { core: 'arm11mpcore', cpus: 2 }, outcome: 'clean' },
  ],
  threads: [() => {}],
});

describe('--cpus for an experiment that chooses its own core', () => {
  it('is as many CPUs as that core can have', () => {
    expect(configureRace(onArm926, null, { cpus: 4 }).config.cpus).toBe(1);
    expect(configureRace(onArm926, onArm926.cases[2]!, { cpus: 8 }).config.cpus).toBe(4);
    expect(configureRace(onArm926, onArm926.cases[2]!, { cpus: 3 }).config.cpus).toBe(3);
  });

  it('is refused when no machine has so many, or the core is named beside it', () => {
    expect(() => configureRace(onArm926, null, { cpus: 99 })).toThrow(/1 to 8 CPUs, not 99/);
    expect(() => configureRace(onArm926, null, { cpus: 0 })).toThrow(/1 to 8 CPUs, not 0/);
    expect(() => configureRace(onArm926, null, { cpus: 2, core: 'arm926' })).toThrow(/private VIVT cache/);
  });
});

describe('all checkers', () => {
  const checks = (machine: MachineSpec): string =>
    configureRace(race({ id: 'anywhere', machine, threads: [() => {}] }), null, {}).config.check ?? '';

  it('are those that know the machine: none of DMA where bus addresses are others', () => {
    expect(checks({ check: 'all' })).toBe('lockdep,memory,dma,races,hangs,spinlocks,context');
    expect(checks({ check: 'all', core: 'pcxu', iommu: true })).toBe('lockdep,memory,races,hangs,spinlocks,context');
    expect(() => checks({ check: 'dma', core: 'pcxu', iommu: true })).toThrow(/leave iommu or --check dma out/);
  });
});

describe('CONFIG_DEBUG_PAGEALLOC', () => {
  const on = (kernel: string): boolean =>
    configureRace(race({ id: 'any', machine: { debugPagealloc: true }, threads: [() => {}] }), null, { kernel }).config
      .debugPagealloc;

  it('is refused to kernels that have it on other architectures only', () => {
    expect(() => on('2.6.22')).toThrow(/kernel 2\.6\.22 has no CONFIG_DEBUG_PAGEALLOC/);
    expect(on('2.6.30')).toBe(true);
  });
});

describe('the case that a configuration is', () => {
  it('differs by memory too', () => {
    const { config } = configureRace(onArm926, onArm926.cases[1]!, {});
    expect(caseOf(onArm926, config)?.name).toBe('lowmem only');
  });
});

describe('properties that the user sets', () => {
  const numbered = race({
    id: 'numbered',
    machine: { core: 'arm926', parameters: { partial: 1 } },
    cases: [
      { name: 'one', outcome: 'oops' },
      { name: 'two', machine: { parameters: { partial: 2 }, oabi: true }, outcome: 'clean' },
    ],
    threads: [() => {}],
  });
  const chosen = (caseName: string | undefined, settings: object): (string | undefined)[] => {
    const options = { settings, ...(caseName !== undefined && { caseName }) };
    const { config } = configureRace(numbered, null, options);
    return [claimingCase(numbered, config, options)?.name, JSON.stringify(config.parameters), String(config.oabi)];
  };

  it('come over those of the case, and its claim holds for the machine that has its properties only', () => {
    expect(chosen(undefined, { lowmemPages: 1024 })).toEqual([undefined, '{"partial":1}', 'false']);
    expect(chosen('two', { lowmemPages: 1024 })).toEqual([undefined, '{"partial":2}', 'true']);
    expect(chosen('two', { parameters: { partial: 3 } })).toEqual([undefined, '{"partial":3}', 'true']);
    expect(chosen('one', { oabi: true, parameters: { partial: 2 } })).toEqual(['two', '{"partial":2}', 'true']);
  });

  it('are told with what the case has besides, as far as there is any', () => {
    expect(settingsOf(numbered, {})).toBeUndefined();
    expect(settingsOf(onArm926, { settings: { oabi: true } })).toEqual({ oabi: true });
    expect(settingsOf(numbered, { caseName: 'two', settings: { slubDebug: 'Z' } })).toEqual({
      ...{ oabi: true, slubDebug: 'Z' },
      parameters: { partial: 2 },
    });
  });

  it('are refused when the race has no such number', () => {
    expect(() => chosen(undefined, { parameters: { parital: 3 } })).toThrow(
      'experiment "numbered" has no parameter "parital" (did you mean "partial"?); it has partial',
    );
    expect(() => configureRace(onArm926, null, { settings: { parameters: { n: 1 } } })).toThrow(/it has none/);
  });
});
