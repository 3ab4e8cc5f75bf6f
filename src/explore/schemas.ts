/** Schemas of the files: what they have in common. */
import { createRequire } from 'node:module';
import type { z } from 'zod';
import { MACHINE_DEFAULTS } from '../lab/configure.js';
import type { MachineSpec } from '../lab/race.js';

type Zod = typeof z;

/** A schema that is made when it is first asked for. Zod takes as long to load as all of the kernel, and each worker would load it. */
export function schema<T>(make: (z: Zod) => T): () => T {
  let made: T | null = null;
  return () => {
    made ??= make((createRequire(import.meta.url)('zod') as { readonly z: Zod }).z);
    return made;
  };
}

export const hash = schema((z) => z.string().regex(/^[0-9a-f]{8}$/));
export const count = schema((z) => z.number().int().nonnegative());

/** A value of the kind of @value, which stands for it in files of before there was such a property. */
function kindOf(z: Zod, value: unknown): z.ZodType {
  if (typeof value === 'number') return count().default(value);
  if (typeof value === 'boolean') return z.boolean().default(value);
  if (typeof value === 'string') return z.string().default(value);
  return z.record(z.string(), z.number()).default(value as Record<string, number>);
}

/** Every property of a machine. */
export const machine = schema(
  (z) =>
    z.strictObject({
      ...Object.fromEntries(Object.entries(MACHINE_DEFAULTS).map(([key, value]) => [key, kindOf(z, value)])),
      core: z.string(),
      kernel: z.string(),
      cpus: z.number().int().positive(),
      patches: z.array(z.string()),
    }) as unknown as z.ZodType<MachineSpec>,
);

/** What is wrong with a file, in a few words: the first thing. */
export function wrongIn(error: z.ZodError): string {
  const [issue] = error.issues;
  if (issue === undefined) return 'wrong shape';
  const inside = issue.path.length === 0 ? '' : ` at "${issue.path.join('.')}"`;
  if (issue.code === 'unrecognized_keys') return `unknown key "${issue.keys[0]}"${inside}`;
  return `${issue.message}${inside}`;
}

/** What is wrong with the text of a file that does not parse. We end files with a brace and a newline: one that has both has lost nothing at its end. */
export function wrongInText(text: string): string {
  if (text.trim() === '') return 'it is empty';
  if (!/^\{|^.?\s*"murphy"/.test(text.trimStart())) return 'it is no JSON';
  return /\}\s*\n\s*$/.test(text) ? 'it is damaged: it has its end, and is no JSON' : 'it is cut short';
}
