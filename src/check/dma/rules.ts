/** Whose rules the DMA API debugging follows, and what each error says. Source: lib/dma-debug.c, Linux 2.6.30 and 4.9; kernel/dma/debug.c, Linux 5.10; spec/checkers.md §7. */

export type DmaRules = '2.6.30' | '4.9' | '5.10' | '5.14';
export const DMA_RULES: readonly DmaRules[] = ['2.6.30', '4.9', '5.10', '5.14'];

export const atLeast = (rules: DmaRules, since: DmaRules): boolean =>
  DMA_RULES.indexOf(rules) >= DMA_RULES.indexOf(since);

/** What dma-debug finds. */
export const DMA_ERRORS = [
  'invalid-address',
  'not-allocated',
  'size',
  'function',
  'cpu-address',
  'sg-count',
  'direction',
  'map-error-unchecked',
  'stack',
  'text',
  'invalid-area',
  'vmalloc-area',
  'sync-not-allocated',
  'sync-range',
  'sync-direction',
  'sync-for-cpu',
  'sync-for-device',
  'sync-sg-count',
  'pending',
  'segment',
  'overlaps',
  'overlap',
  'touched',
] as const;
export type DmaError = (typeof DMA_ERRORS)[number];

/** What only we find, since we have the bytes. */
export const OWNERSHIP_ERRORS = [
  'cpu-access',
  'device-access',
  'stale-for-device',
  'stale-for-cpu',
  'overwritten',
  'shared-line',
  'wrong-line',
  'left-dirty',
] as const;
export type OwnershipError = (typeof OWNERSHIP_ERRORS)[number];

const DIRECTIONS = ['DMA_BIDIRECTIONAL', 'DMA_TO_DEVICE', 'DMA_FROM_DEVICE', 'DMA_NONE'] as const;
export const BIDIRECTIONAL = 0;
export const TO_DEVICE = 1;
export const FROM_DEVICE = 2;
export const directionName = (direction: number): string => DIRECTIONS[direction] ?? String(direction);

const TYPES = ['single', 'page', 'scather-gather', 'coherent'] as const;
/** From 5.10 on there is no difference between a buffer and a page. */
export const typeName = (type: number, rules: DmaRules): string =>
  atLeast(rules, '5.10') && type === DmaType.page ? TYPES[0] : (TYPES[type] ?? '?');

export const DmaType = { single: 0, page: 1, sg: 2, coherent: 3 } as const;
export type DmaType = (typeof DmaType)[keyof typeof DmaType];

/** A device that does not say otherwise. Source: include/linux/dma-mapping.h, Linux 5.10. */
export const SEGMENT_MAX = 65536;
/** What the three tags of the tree of lines can count. */
export const OVERLAPS_MAX = 7;
