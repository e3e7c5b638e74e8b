/** Makes the bare Debian 12 and 13 in which the package is tested, where they are not there yet. */
import { makeBare, type Release } from '../src/rig/bare-root.ts';

try {
  for (const release of [12, 13] satisfies Release[]) {
    console.log(`bare Debian ${release} in ${await makeBare(release, console.log)}`);
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
