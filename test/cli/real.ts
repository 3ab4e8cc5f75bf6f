/** A host of the tests whose lab is the real one, and the command line on it. */
import { loadLab } from '../../src/cli/load-lab.js';
import { main } from '../../src/cli/main.js';
import { FakeHost } from './fake.js';

export class RealHost extends FakeHost {
  override lab = loadLab;
}

export async function murphy(...argv: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const host = new RealHost();
  const status = await main(argv, host);
  return { status, stdout: host.stdout.text, stderr: host.stderr.text };
}
