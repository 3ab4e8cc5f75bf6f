/** Before the tests: build what is out of date. */
import { prepare } from './prepare.mjs';

export default async function setup() {
  await prepare();
}
