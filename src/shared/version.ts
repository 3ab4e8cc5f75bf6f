/** Kernel versions as numbers that can be compared. Source: include/linux/version.h. */

export const KERNEL_VERSION = (a: number, b: number, c: number): number => (a << 16) + (b << 8) + c;

/** LINUX_VERSION_CODE of a version as `uname -r` begins: '2.6.30', '4.12'. */
export function versionCode(version: string): number {
  const [a = 0, b = 0, c = 0] = version.split('.').map(Number);
  return KERNEL_VERSION(a, b, c);
}

/** The versions at which code that is modelled here changes its algorithm. */
export const LINUX_2_6 = KERNEL_VERSION(2, 6, 0);
/** Locks and completions have files of their own: kernel/locking/, kernel/sched/. */
export const LINUX_3_13 = KERNEL_VERSION(3, 13, 0);
export const LINUX_4_4 = KERNEL_VERSION(4, 4, 0);
