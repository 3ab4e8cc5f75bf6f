/**
 * Where in a kernel function the CPU is, and what its registers hold there: said by the few functions whose faults somebody has to be able
 * to read. A model has no machine code; what is not said is unknown, and an oops prints it as such.
 */
export interface Place {
  readonly symbol: string;
  /** Where a report of the real machine shows them: bytes of the instruction in the function, its length, and where it returns to, as an oops prints it. */
  readonly code: { readonly offset: number; readonly size: number; readonly lr: string } | null;
  /** The address of the access that may fault: the place counts for that one only. */
  readonly addr: number;
  readonly registers: Readonly<Record<string, number>>;
}
