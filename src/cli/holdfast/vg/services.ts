import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fail, ok, type Result } from '../../../base/result.ts';
import { MINUTE_MS } from './times.ts';

/** Units of systemd, where it runs this host. */

const SYSTEMD_RUNS = '/run/systemd/system';
/** wdmd looks for a device, sanlock joins what it resumes. */
const SYSTEMCTL_MS = 3 * MINUTE_MS;

export function hasSystemd(): boolean {
  return existsSync(SYSTEMD_RUNS);
}

/** @returns what systemctl said, where it failed */
export function systemctl(...words: readonly string[]): Promise<Result<null, string>> {
  return new Promise((resolve) => {
    const env = { ...process.env, LC_ALL: 'C', SYSTEMD_COLORS: '0' };
    execFile('systemctl', words, { env, timeout: SYSTEMCTL_MS }, (failure, _, stderr) => {
      const said = stderr.trim().replace(/\s+/g, ' ') || (failure?.message ?? '');
      resolve(failure === null ? ok(null) : fail(`systemctl ${words.join(' ')}: ${said}`));
    });
  });
}
