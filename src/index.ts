/** The public API: re-exports, nothing else. */

export { flush_cache_all } from './arch/arch.js';
export { km_type, LAST_PKMAP, PKMAP_ADDR, PKMAP_NR } from './arch/arm/memory.js';
export { set_pte_ext } from './arch/arm/pgtable.js';
export {
  flush_kernel_dcache_page_addr,
  flush_kernel_dcache_page_asm,
  flush_kernel_dcache_range,
  flush_user_dcache_range,
} from './arch/parisc/cache.js';
export { PAGE_SHARED } from './arch/parisc/pgtable.js';
export { flush_tlb_page, purge_tlb_end, purge_tlb_start } from './arch/parisc/tlb.js';
export {
  type LockdepMode,
  type LockdepReport,
  type LockdepRules,
  REPORT_KINDS,
  type ReportKind,
} from './check/lockdep/lockdep.js';
export type { ProcTexts } from './check/lockdep/proc.js';
export { type Device, deviceRead, deviceWrite, ringDoorbell } from './cpu/device.js';
export { local_bh_disable, local_bh_enable, open_softirq, raise_softirq, Softirq } from './cpu/irq.js';
export { type InterruptNames, show_interrupts } from './cpu/irq-proc.js';
export type { Constructor, Kernel, Shrinker } from './cpu/kernel.js';
export { sharedObject, wordsOf } from './cpu/shared-object.js';
export { cond_resched, congestion_wait, sched_yield, schedule_timeout } from './cpu/timer.js';
export {
  AT91_MCI_ENDRX,
  type At91mciHost,
  at91_mci_controller,
  at91_mci_expect,
  at91_mci_interrupt,
  at91_mci_probe,
  at91_mci_remove,
  at91_mci_request,
  type Card,
  flushTransferred,
  IRQF_DISABLED,
  IRQF_SHARED,
} from './drivers/at91_mci.js';
export {
  alloc_bitmap,
  btrfs_end_transaction,
  btrfs_inode_cache,
  btrfs_start_transaction,
  btrfs_transaction_init,
  free_bitmap,
  struct_btrfs_transaction,
} from './drivers/btrfs.js';
export {
  fillCleanPages,
  lowmemAtMin,
  page_cache_clean,
  shrinkCleanPages,
  struct_clean_pages,
} from './drivers/clean-pages.js';
export {
  buffersOf,
  dm_bufio_client_create,
  dm_bufio_lock,
  dm_bufio_new,
  dm_bufio_shrinker,
  dm_bufio_unlock,
  free_buffer_data,
  struct_dm_bufio_client,
} from './drivers/dm-bufio.js';
export { copy_params, dm_create, dm_resume, dm_suspend, struct_mapped_device, swap_out } from './drivers/dm-ioctl.js';
export {
  get_hash_table,
  gfs2_glock_dq,
  gfs2_glock_init,
  gfs2_glock_nq,
  gfs2_inode_cache,
  struct_gfs2_glock,
} from './drivers/gfs2.js';
export {
  MMC_DATA_READ,
  MMC_DATA_WRITE,
  MMC_READ_SINGLE_BLOCK,
  MMC_WRITE_BLOCK,
  mmc_alloc_card,
  mmc_app_send_scr,
  mmc_read_switch,
  mmc_sd_switch,
  mmc_transfer,
  mmcCardLayout,
  SCR_BYTES,
  SWITCH_BYTES,
} from './drivers/mmc.js';
export {
  type LayoutUpdate,
  nfs_inode_cache,
  pnfs_layoutcommit_inode,
  struct_nfs_inode,
} from './drivers/nfs-blocklayout.js';
export {
  make_reservation,
  release_head,
  self_check_write,
  struct_ubifs_jhead,
  ubi_self_check_all_ff,
  ubifs_jhead_init,
  ubifs_writeback,
} from './drivers/ubi.js';
export {
  KM_MAYFAIL,
  KM_NOFS,
  KM_NOSLEEP,
  KM_SLEEP,
  kmem_alloc,
  kmem_free,
  kmem_zalloc_large,
  struct_xfs_inode,
  xfs_ilock,
  xfs_inode_cache,
  xfs_inode_init,
  xfs_iunlock,
  xfs_trans_alloc,
  xfs_trans_cancel,
} from './drivers/xfs.js';
export { type Checkpoint, keeping, readCheckpoint, writeCheckpoint } from './explore/checkpoint-file.js';
export { type Explanation, explain } from './explore/explain/explain.js';
export {
  type ExploreOptions,
  type ExploreProgress,
  type ExploreResult,
  explore,
  type Shard,
} from './explore/explore.js';
export { type Search, searchOf } from './explore/identity.js';
export { type Merged, mergeResults, parseResults } from './explore/merge.js';
export { type MinimiseOptions, minimise } from './explore/minimise.js';
export { type ReplayFile, readReplay, replay, toReplay, writeReplay } from './explore/replay-file.js';
export { type SearchOptions, type SearchResult, searchFailure } from './explore/search.js';
export type { Found, Standing } from './explore/standing.js';
export type {
  Decision,
  Execution,
  Situation,
  StepRecord,
  Strategy,
  StrategyFactory,
  StrategyOptions,
  StrategyStats,
} from './explore/strategy.js';
export { type CacheTraceOptions, type CacheTraceResult, cacheTrace } from './lab/cache-trace.js';
export { CORES, KERNELS, PATCHES, type Patch } from './lab/catalogue.js';
export { leftOver } from './lab/left-over.js';
export {
  LOCK_OPS,
  type LockKind,
  type LockMatrix,
  type LockProgram,
  type LockProgramResult,
  type LockStep,
  type ProgramLock,
  runLockMatrix,
  runLockProgram,
} from './lab/lock-program.js';
export {
  assert,
  assertEqual,
  cacheLineOps,
  expect,
  expectWord,
  fillMemory,
  memoryWord,
  report,
  wrongByte,
} from './lab/oracle.js';
export {
  type Case,
  type MachineSpec,
  type RaceFunctions,
  type RaceInput,
  type RaceSpec,
  race,
  type ThreadFn,
  type ThreadSpec,
} from './lab/race.js';
export { listExperiments, Machine, run, runCases } from './lab/run.js';
export { type Measured, type Measures, sample } from './lab/samples.js';
export { listSuites, stress } from './lab/stress.js';
export type { CpuStats, Failure, Outcome, Progress, RunOptions, RunResult } from './lab/types.js';
export { type Consistent, consistent_alloc, consistent_free } from './mm/arm/consistent.js';
export {
  dma_alloc_coherent as arm_dma_alloc_coherent,
  dma_alloc_noncoherent as arm_dma_alloc_noncoherent,
  dma_free_coherent as arm_dma_free_coherent,
  struct_device,
} from './mm/arm/dma-coherent.js';
export {
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_NONE,
  DMA_TO_DEVICE,
  type DmaDirection,
  type Scatterlist,
} from './mm/arm/dma-mapping.js';
export {
  type BounceDevice,
  dmabounce_map_sg,
  dmabounce_map_single,
  dmabounce_register_dev,
  dmabounce_sync_sg,
  dmabounce_sync_single,
  dmabounce_unmap_sg,
  dmabounce_unmap_single,
  dmabounce_unregister_dev,
  struct_dmabounce_device_info,
} from './mm/arm/dmabounce.js';
export { dma_pool_alloc, dma_pool_create, dma_pool_destroy, dma_pool_free, struct_dma_pool } from './mm/arm/dmapool.js';
export { clear_user_pte, USER_BASE } from './mm/arm/flush.js';
export { kmap_atomic_to_page } from './mm/arm/highmem.js';
export { debug_dma_assert_idle, dma_debug_device_change } from './mm/dma-debug.js';
export {
  dma_get_cache_alignment,
  dma_map_page,
  dma_map_sg,
  dma_map_single,
  dma_mapping_error,
  dma_sync_sg_for_cpu,
  dma_sync_sg_for_device,
  dma_sync_single_for_cpu,
  dma_sync_single_for_device,
  dma_sync_single_range_for_cpu,
  dma_sync_single_range_for_device,
  dma_unmap_page,
  dma_unmap_sg,
  dma_unmap_single,
} from './mm/dma-mapping.js';
export {
  type AddressSpace,
  add_to_page_cache,
  address_space_init_once,
  mapping_mapped,
  page_mapping,
  VM_MAYSHARE,
  VM_SHARED,
  vma_init,
  vma_link,
} from './mm/filemap.js';
export { flush_dcache_page, flush_dcache_range, set_user_pte } from './mm/flush.js';
export { current_gfp_context, type Gfp, gfp, gfpflags_allow_blocking, showGfp } from './mm/gfp.js';
export { GfpSite, gfpEvents, traceGfp } from './mm/gfp-events.js';
export {
  kmap_flush_unused,
  kmap_high,
  kmap_high_get,
  kunmap_high,
  page_address,
  pinnedSlots,
  pkmap_count,
  pkmap_page,
} from './mm/highmem.js';
export { checkPkmapInvariants } from './mm/highmem-invariants.js';
export {
  countCache,
  eachCache,
  kfree,
  kmalloc,
  kmallocCache,
  kmem_cache_alloc,
  kmem_cache_create,
  kmem_cache_destroy,
  kmem_cache_free,
  kmem_cache_shrink,
  kmem_cache_zalloc,
  ksize,
  kzalloc,
  objectsPerSlab,
  slabinfo,
  validate_slab_cache,
} from './mm/kmalloc.js';
export { kmap, kmap_atomic, kunmap, kunmap_atomic } from './mm/kmap.js';
export { kswapd, kswapd_stop } from './mm/kswapd.js';
export { lockdep_set_class, lockdep_set_class_and_name, lockdep_sys_exit } from './mm/lockdep.js';
export { probe_kernel_read } from './mm/maccess.js';
export { vm_insert_page, vmalloc_to_page, vmalloc_to_pfn } from './mm/memory.js';
export { nr_free_pages_of, page_zone, struct_free_area, struct_zone, type Zone, zone_nr } from './mm/mmzone.js';
export {
  lowmem_page_address,
  type Page,
  PageHighMem,
  page_plus,
  page_to_pfn,
  page_to_phys,
  pfn_to_page,
  ZONE_DMA,
  ZONE_HIGHMEM,
  ZONE_NORMAL,
} from './mm/page.js';
export {
  __free_page,
  __free_pages,
  __get_free_page,
  __get_free_pages,
  alloc_page,
  alloc_pages,
  drain_local_pages,
  drainZone,
  free_page,
  free_pages,
  GFP_HIGHUSER,
  GFP_KERNEL,
  get_zeroed_page,
  pagesOnCpuLists,
  split_page,
} from './mm/page_alloc.js';
export { map_user_page, USER_WINDOW } from './mm/parisc/boot.js';
export { dma_cache_sync } from './mm/parisc/dma-ops.js';
export {
  type DmaMemory,
  dma_alloc_coherent,
  dma_alloc_noncoherent,
  dma_free_noncoherent,
  pa11_dma_alloc_consistent,
  pa11_dma_free_consistent,
} from './mm/parisc/pci-dma.js';
export type { Vma } from './mm/prio_tree.js';
export {
  kfree_rcu,
  rcu_assign_pointer,
  rcu_dereference,
  rcu_process_callbacks,
  rcu_read_lock,
  rcu_read_unlock,
  synchronize_rcu,
} from './mm/rcu.js';
export { type CacheCounters, PageSlab, virt_to_head_page } from './mm/slab-common.js';
export { partialSlabs } from './mm/slub.js';
export { kvfree, kvmalloc, kvzalloc } from './mm/util.js';
export {
  struct_vm_struct,
  VM_ALLOC,
  VM_IOREMAP,
  VM_MAP,
  type VmStruct,
} from './mm/vmalloc/vm-struct.js';
export { get_vmalloc_info, vmallocinfo } from './mm/vmalloc/vmallocinfo.js';
export { VMAP_MAX_ALLOC } from './mm/vmalloc/vmap-block.js';
export {
  __vmalloc,
  find_vm_area,
  get_vm_area,
  map_vm_area,
  purge_vmap_area_lazy,
  remap_vmalloc_range,
  remove_vm_area,
  set_iounmap_nonlazy,
  unmap_kernel_range,
  vfree,
  vfree_atomic,
  vm_map_ram,
  vm_unmap_aliases,
  vm_unmap_ram,
  vmalloc,
  vmalloc_32,
  vmalloc_32_user,
  vmalloc_user,
  vmap,
  vread,
  vunmap,
  vwrite,
  vzalloc,
} from './mm/vmalloc.js';
export { checkVmallocInvariants } from './mm/vmalloc-invariants.js';
export { lru_cache_add, register_shrinker, unregister_shrinker } from './mm/vmscan.js';
export { buddyinfo, type MeminfoRest, meminfo, zoneinfo } from './mm/vmstat.js';
export { flush_scheduled_work } from './mm/workqueue.js';
export {
  ASSERT_EXCLUSIVE_ACCESS,
  ASSERT_EXCLUSIVE_ACCESS_SCOPED,
  ASSERT_EXCLUSIVE_BITS,
  ASSERT_EXCLUSIVE_WRITER,
  ASSERT_EXCLUSIVE_WRITER_SCOPED,
  data_race,
  READ_ONCE,
  smp_load_acquire,
  smp_mb,
  smp_rmb,
  smp_store_release,
  smp_wmb,
  WRITE_ONCE,
} from './shared/access.js';
export * from './shared/atomic.js';
export * from './shared/bug.js';
export type { DeclaredOf, SharedArray, SharedOf, SharedSpec } from './shared/declared.js';
export * from './shared/errors.js';
export * from './shared/irqflags.js';
export { advance_jiffies, HZ, jiffies } from './shared/jiffies.js';
export { forgetting } from './shared/knowledge.js';
export { type Mutex, mutex_init, mutex_is_locked, mutex_lock, mutex_trylock, mutex_unlock } from './shared/mutex.js';
export { Point, pointName } from './shared/point.js';
export { Prng } from './shared/prng.js';
export { cpu_relax, waitUntil } from './shared/spin.js';
export * from './shared/spinlock.js';
export { PG_slab, struct_page } from './shared/structs/page.js';
export * from './shared/task.js';
export * from './shared/types.js';
export * from './shared/wait.js';
