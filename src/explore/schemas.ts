/** What the schemas of the files have in common. */
import { z } from 'zod';
import { MACHINE_DEFAULTS } from '../lab/configure.js';
import type { MachineSpec } from '../lab/race.js';

export const hash = z.string().regex(/^[0-9a-f]{8}$/);
export const count = z.number().int().nonnegative();

/** Every property of a machine, with a value of its kind. */
export const machine = z.strictObject({
  ...Object.fromEntries(
    Object.entries(MACHINE_DEFAULTS).map(([key, value]) => {
      // Files of before there were checkers do not name them.
      if (/^(check|lockdep\w+)$/.test(key)) return [key, z.string().optional()];
      if (typeof value === 'number') return [key, count];
      if (typeof value === 'object') return [key, z.record(z.string(), z.number())];
      return [key, typeof value === 'boolean' ? z.boolean() : z.string()];
    }),
  ),
  core: z.string(),
  kernel: z.string(),
  cpus: z.number().int().positive(),
  patches: z.array(z.string()),
}) as unknown as z.ZodType<MachineSpec>;
