/** What a command gets, and what it leaves behind. */
import type { Host } from './host.js';

export interface CommandContext {
  readonly host: Host;
  /** Names of all commands, for messages. */
  readonly commandNames: readonly string[];
  /** Exit status: 0 as expected, 1 an unexpected outcome, 2 usage or environment. */
  exitCode: number;
}
