/**
 * Address types. Erased at run time, so they cost nothing; a wild `Ptr` still reads whatever bytes are there.
 * All addresses are unsigned 32-bit numbers.
 */
declare const unit: unique symbol;
type Unit<U extends string> = number & { readonly [unit]: U };

/** Physical address, bytes. */
export type Paddr = Unit<'paddr'>;
/** Page frame number: `Paddr >>> PAGE_SHIFT`. */
export type Pfn = Unit<'pfn'>;
/** Kernel virtual address, bytes. */
export type Vaddr = Unit<'vaddr' | `struct ${string} *`>;
/** A virtual address at which a `T` is expected. */
export type Ptr<T extends string> = Unit<`struct ${T} *`>;

export const NULL = 0 as Ptr<never> & Vaddr;

export const vaddr = (value: number): Vaddr => (value >>> 0) as Vaddr;
export const paddr = (value: number): Paddr => (value >>> 0) as Paddr;
export const ptr = <T extends string>(value: number): Ptr<T> => (value >>> 0) as Ptr<T>;

/**
 * The same address as a signed number, inside the hottest paths: V8 passes it from function to function as it is, where a number above
 * 2^31 takes an allocation. load(), store() and the spinlocks take either form, nothing else does.
 */
export const signed = <A extends number>(address: A): A => (address | 0) as A;

const hex = (value: number, digits: number): string => (value >>> 0).toString(16).padStart(digits, '0');

/** `V0xbfe01000`: how Murphy prints a virtual address. */
export const showVaddr = (value: number): string => `V0x${hex(value, 8)}`;
/** `P0x20001000`: how Murphy prints a physical address. */
export const showPaddr = (value: number): string => `P0x${hex(value, 8)}`;
/** Eight hexadecimal digits, as the kernel's `%08lx`. */
export const hex8 = (value: number): string => hex(value, 8);
/** Two hexadecimal digits. */
export const hex2 = (value: number): string => hex(value & 0xff, 2);
