import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fail, ok, type Result } from '../../base/result.ts';
import { lockPidFile, type PidFile } from '../../platform/pid-file.ts';
import { errnoNameOf, reasonOf } from '../../platform/system-error.ts';

/** Where a running rig is noted; a test has its own folder. */
export const RIG_DIR = process.env['HOLDFAST_RUN_DIR'] ?? '/run';
const LOCK_FILE = join(RIG_DIR, 'holdfast-demo.pid');

/**
 * One demo with lvm at a time: `holdfast rig` knows one, and the second would take the first one's
 * note away at its end. The lock ends with the process, however that ends.
 */
export function beOnlyDemo(): Result<PidFile, string> {
  try {
    return ok(lockPidFile(LOCK_FILE));
  } catch (error) {
    // Of the open; the refusal of the lock has no errno.
    if (errnoNameOf(error) !== null) {
      return fail(`${reasonOf(error)}: whether another demo runs is not known`);
    }
    const pid = pidIn(LOCK_FILE);
    const who = pid === null ? 'another demo runs' : `another demo runs, process ${pid}`;
    return fail(
      `${who}: end it with Ctrl-C in its terminal, or enter its hosts: holdfast rig status`,
    );
  }
}

function pidIn(path: string): string | null {
  try {
    return /^[0-9]+/.exec(readFileSync(path, 'utf8'))?.[0] ?? null;
  } catch {
    return null;
  }
}
