/** Where code is: what is captured at once, and what functions it names, innermost first. */
export interface Places {
  capture(): unknown;
  functions(captured: unknown): readonly string[];
}
