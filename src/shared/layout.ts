/**
 * Struct layouts, each written once. `defineStruct` throws at load time when a field leaves the struct, is
 * misaligned, or overlaps another that is not listed as a union.
 */
import { MurphyError } from './errors.js';

/** A field of struct `T`: where it is and how wide. */
export interface Field<T extends string> {
  readonly struct: T;
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
}

/** Offset of a 32-bit word, or `[offset, bytes]` for anything else. */
export type FieldSpec = number | readonly [offset: number, bytes: number];

export type Struct<T extends string, F extends string> = { readonly [name in F]: Field<T> } & {
  readonly sizeof: number;
};

/**
 * Declare the layout of a C struct.
 *
 * @param name   the kernel's name of the struct, without `struct`
 * @param sizeof bytes, including padding
 * @param fields offsets in bytes
 * @param unions groups of fields that share bytes on purpose
 */
export function defineStruct<const T extends string, const F extends string>(
  name: T,
  sizeof: number,
  fields: { readonly [field in F]: FieldSpec },
  unions: readonly (readonly NoInfer<F>[])[] = [],
): Struct<T, F> {
  const out: Record<string, Field<T> | number> = { sizeof };
  const seen: Field<T>[] = [];
  for (const [field, spec] of Object.entries(fields) as [F, FieldSpec][]) {
    const [offset, bytes] = typeof spec === 'number' ? [spec, 4] : spec;
    const align = Math.min(bytes, 4);
    if (offset < 0 || offset + bytes > sizeof) throw new MurphyError(`struct ${name}: ${field} leaves the struct`);
    if (bytes > 0 && offset % align !== 0) throw new MurphyError(`struct ${name}: ${field} is misaligned`);
    for (const other of seen) {
      const overlaps = offset < other.offset + other.bytes && other.offset < offset + bytes;
      const union = unions.some((u) => u.includes(field) && u.includes(other.name as F));
      if (overlaps && !union) throw new MurphyError(`struct ${name}: ${field} overlaps ${other.name}`);
    }
    const entry: Field<T> = { struct: name, name: field, offset, bytes };
    seen.push(entry);
    out[field] = entry;
  }
  return Object.freeze(out) as Struct<T, F>;
}
