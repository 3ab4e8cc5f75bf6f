/**
 * Claim: NFS sends the pages behind a vmalloc area by RPC, as an array of struct page *. Who looks at them by page_address() finds NULL from 4.12 on, since they may be highmem.
 *
 * A commit encodes its extents and the first word of each page is written through page_address(), or through kmap().
 *
 * Kernels: 4.10: clean. With `hm`: a fault at address 0. With kmap(): clean.
 * Source: seeds 003 and 004; spec/vmalloc-gfp.md §10, §12.3.
 */
import {
  expectWord,
  flush_cache_all,
  type Kernel,
  kmap,
  kunmap,
  type LayoutUpdate,
  memoryWord,
  page_address,
  page_to_pfn,
  pnfs_layoutcommit_inode,
  race,
  sharedObject,
  struct_nfs_inode,
  vaddr,
  wordsOf,
} from '../src/index.js';

/** NFS asks for GFP_NOFS, and page tables are allocated with GFP_KERNEL. */
const LOST_FLAGS = ['context: GFP context'];
const word = (i: number): number => 0x4e460000 + i;

function encode(k: Kernel, { pages }: LayoutUpdate): void {
  pages.forEach((page, i) => {
    const kmapped = k.patched['rpc-pages-kmapped'];
    k.store32(vaddr(kmapped ? kmap(k, page) : page_address(k, page)), word(i));
    if (kmapped) kunmap(k, page);
  });
  flush_cache_all(k);
  pages.forEach((page, i) => {
    expectWord(page_to_pfn(k, page), 0, word(i), memoryWord(k, page, 0), 'as it goes to the server');
  });
}

export default race({
  id: '2017-06-nfs-rpc-page-address-oops',
  title: 'page_address() of the pages that NFS sends is NULL when they are highmem',
  source: 'seeds 003 and 004',
  spec: ['vmalloc/V004-13'],
  machine: { core: 'arm926', cpus: 1, kernel: '4.10', lowmemPages: 256, highmemPages: 128 },
  cases: [
    { name: 'as in 4.10', outcome: 'clean', reports: LOST_FLAGS },
    { name: 'HIGHMEM in vmalloc() (HM)', machine: { patches: ['hm'] }, outcome: 'oops' },
    {
      name: 'HM, pages kmapped',
      machine: { patches: ['hm', 'rpc-pages-kmapped'] },
      outcome: 'clean',
      reports: LOST_FLAGS,
    },
  ],
  shared: { inode: wordsOf(struct_nfs_inode) },

  threads: [(k) => pnfs_layoutcommit_inode(k, sharedObject(k, 'inode'), 16 << 10, encode)],
});
