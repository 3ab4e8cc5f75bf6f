/** Reads of addresses that may be wrong. Source: mm/maccess.c, Linux 2.6.30. */
import type { Kernel } from '../cpu/kernel.js';
import type { Vaddr } from '../shared/types.js';

/**
 * A word of page contents, if there is one: the exception table has an entry for the access. No checker takes it for a wild one.
 *
 * Context: any.
 * Return:  null where the kernel answers -EFAULT.
 * Differs: the value is the answer, and there is one size.
 */
export const probe_kernel_read = (k: Kernel, addr: Vaddr): number | null => k.probe32(addr);
