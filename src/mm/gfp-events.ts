/**
 * With which mask a request passes which station, for experiments that ask where a flag is lost: off until an experiment turns it on.
 * Ours; the kernel has trace events for some of it.
 */
import type { KernelBase, SymbolSpec } from '../shared/kernel-base.js';
import { type Vaddr, vaddr } from '../shared/types.js';

/** The stations. */
export const GfpSite = { might_sleep: 1, fast_path: 2, slow_path: 3, reclaim: 4, pte_alloc: 5 } as const;
export type GfpSite = (typeof GfpSite)[keyof typeof GfpSite];

const EVENTS_MAX = 256;

declare module '../shared/kernel-base.js' {
  interface Symbols {
    /** Word 0: a bit for each station that is on, word 1: events so far, then pairs of station and mask. */
    gfp_events: Vaddr;
  }
}

export const gfpEventSymbols: Record<string, SymbolSpec> = { gfp_events: { bytes: 8 + EVENTS_MAX * 8, align: 4 } };

/** For a setup: from now on requests leave a trace at these stations. */
export function traceGfp(k: KernelBase, sites: readonly GfpSite[] = Object.values(GfpSite)): void {
  k.store(
    k.sym.gfp_events,
    sites.reduce((bits, site) => bits | (1 << site), 0),
  );
}

/** Context: any. */
export function gfpEvent(k: KernelBase, site: GfpSite, gfp_mask: number): void {
  if ((k.load(k.sym.gfp_events) & (1 << site)) === 0) return;
  const count = k.load(vaddr(k.sym.gfp_events + 4));
  if (count >= EVENTS_MAX) return;
  k.store(vaddr(k.sym.gfp_events + 8 + count * 8), site);
  k.store(vaddr(k.sym.gfp_events + 12 + count * 8), gfp_mask);
  k.store(vaddr(k.sym.gfp_events + 4), count + 1);
}

/** For a check: what was traced, first to last. */
export function gfpEvents(k: KernelBase): { site: GfpSite; gfp_mask: number }[] {
  const count = k.load(vaddr(k.sym.gfp_events + 4));
  return Array.from({ length: count }, (_, i) => ({
    site: k.load(vaddr(k.sym.gfp_events + 8 + i * 8)) as GfpSite,
    gfp_mask: k.load(vaddr(k.sym.gfp_events + 12 + i * 8)),
  }));
}
