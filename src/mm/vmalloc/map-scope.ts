/**
 * Seed 003: what the patch `mp` puts around map_vm_area(), because nothing else restricts the allocation of page tables.
 *
 * Source: "vmalloc: respect the GFP_NOIO and GFP_NOFS flags", Mikulas Patocka, 2017-06-29; spec/vmalloc-gfp.md §11 MP.
 */
import type { Kernel } from '../../cpu/kernel.js';
import {
  memalloc_nofs_restore,
  memalloc_nofs_save,
  memalloc_noio_restore,
  memalloc_noio_save,
  PF_MEMALLOC_NOFS,
} from '../../shared/task.js';
import { gfp } from '../gfp.js';

/** 'noio', 'nofs' or null. 4.10 has no NOFS scopes: there it is NOIO for both. */
function scopeOf(k: Kernel, gfp_mask: number): 'noio' | 'nofs' | null {
  const { __GFP_IO, __GFP_FS } = gfp(k);
  if (!k.patched.mp) return null;
  if ((gfp_mask & __GFP_IO) === 0) return 'noio';
  if ((gfp_mask & __GFP_FS) !== 0) return null;
  return PF_MEMALLOC_NOFS(k) === 0 ? 'noio' : 'nofs';
}

/** Return: for leaveMapScope(). */
export function enterMapScope(k: Kernel, gfp_mask: number): number {
  const scope = scopeOf(k, gfp_mask);
  if (scope === 'noio') return memalloc_noio_save(k);
  return scope === 'nofs' ? memalloc_nofs_save(k) : 0;
}

export function leaveMapScope(k: Kernel, gfp_mask: number, old: number): void {
  const scope = scopeOf(k, gfp_mask);
  if (scope === 'noio') memalloc_noio_restore(k, old);
  else if (scope === 'nofs') memalloc_nofs_restore(k, old);
}
