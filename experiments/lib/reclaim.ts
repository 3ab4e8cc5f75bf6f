/** What the experiments of seed 003 share: a machine that has no page of lowmem to spare, and the ways to keep reclaim out of the caller's locks. */
import {
  type Case,
  expect,
  fillCleanPages,
  type Kernel,
  kmem_free,
  kmem_zalloc_large,
  lowmemAtMin,
  type MachineSpec,
  NULL,
  page_cache_clean,
  sharedObject,
  struct_clean_pages,
  struct_xfs_inode,
  wordsOf,
  xfs_ilock,
  xfs_iunlock,
} from '../../src/index.js';

export const SHORT_OF_LOWMEM = {
  core: 'cortex-a9',
  cpus: 1,
  kernel: '4.12',
  watermarks: true,
  lowmemPages: 512,
  highmemPages: 512,
} as const satisfies MachineSpec;

/** `shared` and the shrinker of pages that anybody's reclaim may take, one by one. */
export const CLEAN_PAGES = { cleanPages: wordsOf(struct_clean_pages) } as const;
export const anybodysPages = page_cache_clean('cleanPages');

/** The end of a set-up: so many clean pages, and lowmem at its min mark. Highmem is free. */
export function useUpLowmem(k: Kernel, cleanPages: number): void {
  fillCleanPages(k, sharedObject(k, 'cleanPages'), cleanPages);
  lowmemAtMin(k);
}

const MP: Case = { name: 'scope in vmalloc() (MP)', machine: { patches: ['mp'] }, outcome: 'clean' };

/** A caller that has no scope in 4.12. */
export const CALLER_WITHOUT_SCOPE: readonly Case[] = [
  { name: 'as in 4.12', outcome: 'deadlock' },
  MP,
  { name: 'scope with the lock (SC)', machine: { patches: ['sc'] }, outcome: 'clean' },
];

/** A caller that has one of its own, and what comes of it without. @own: whose it is, in which kernel; @sc: where SC opens its. */
export const callerWithScope = (own: string, without: 'deadlock' | 'clean', sc = 'with the lock'): Case[] => [
  { name: 'no scope', machine: { patches: ['mutant-no-caller-scopes'] }, outcome: without },
  { name: own, outcome: 'clean' },
  MP,
  { name: `scope ${sc} (SC)`, machine: { patches: ['sc', 'mutant-no-caller-scopes'] }, outcome: 'clean' },
];

export const xfsInode = (k: Kernel) => sharedObject<'xfs_inode'>(k, 'inode');
export const XFS_INODE = { inode: wordsOf(struct_xfs_inode) } as const;

/** XFS allocates 256 KB with @flags of kmem_zalloc_large() while it holds the inode's lock. */
export function zallocUnderIlock(k: Kernel, flags: number): void {
  xfs_ilock(k, xfsInode(k));
  const p = kmem_zalloc_large(k, 256 << 10, flags);
  expect(p !== NULL, 'there is memory');
  kmem_free(k, p);
  xfs_iunlock(k, xfsInode(k));
}
