/** Makes the root of Debian 13 for the tests against its originals, where it is not there yet. */
import { makeDebian13, versionsIn } from '../src/rig/debian-root.ts';

try {
  const root = await makeDebian13(console.log);
  console.log(`Debian 13 in ${root}: ${versionsIn(root)}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
