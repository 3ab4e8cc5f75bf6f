/** /proc/slabinfo 2.1, for every allocator. Source: mm/slab.c and mm/slub.c, Linux 2.6.30, without statistics; spec/checkers.md §8.4. */

export const SLABINFO_HEADER = [
  'slabinfo - version: 2.1',
  '# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>',
] as const;

export interface SlabinfoRow {
  readonly name: string;
  readonly active: number;
  readonly objects: number;
  /** Bytes of a slot. */
  readonly size: number;
  readonly perSlab: number;
  readonly pages: number;
  /** Limit, batch count, shared factor. */
  readonly tunables: readonly number[];
  /** Active, all, objects in shared arrays. */
  readonly slabs: readonly number[];
}

const right = (value: number, width: number): string => String(value).padStart(width);

export function slabinfoRow(row: SlabinfoRow): string {
  const objects = `${row.name.padEnd(17)} ${right(row.active, 6)} ${right(row.objects, 6)} ${right(row.size, 6)}`;
  const shape = `${right(row.perSlab, 4)} ${right(row.pages, 4)}`;
  const tunables = row.tunables.map((n) => right(n, 4)).join(' ');
  const slabs = row.slabs.map((n) => right(n, 6)).join(' ');
  return `${objects} ${shape} : tunables ${tunables} : slabdata ${slabs}`;
}
