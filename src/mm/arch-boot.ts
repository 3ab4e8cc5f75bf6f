/** What boot needs of an architecture: its static objects and its page tables. Filled in by mm/<arch>/boot.ts. */
import type { ArchOps } from '../cpu/arch.js';
import type { MachineConfig } from '../cpu/config.js';
import type { Kernel } from '../cpu/kernel.js';
import type { SymbolSpec } from '../shared/kernel-base.js';

export interface ArchBoot {
  readonly id: ArchOps['id'];
  /** Bytes from PAGE_OFFSET on at which the kernel's data begin. */
  readonly dataOffset: number;
  /** Static objects stand at multiples of it at least. */
  readonly symbolAlign: number;
  /** Static objects that only this architecture has. */
  symbols(config: MachineConfig): Record<string, SymbolSpec>;
  /** Addresses that follow from others: fills in @sym. */
  fixedSymbols(config: MachineConfig, sym: Record<string, number>): void;
  /** In each worker: registers of the MMU, vectors, functions that other CPUs may call. */
  install(k: Kernel): void;
  /** CPU 0, first of all: page tables of everything that the kernel has mapped from the start. */
  paging_init(k: Kernel): void;
  /** CPU 0, when mem_map and zones are there. */
  mem_init(k: Kernel): void;
}
