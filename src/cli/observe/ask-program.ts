import { execFile } from 'node:child_process';
import { fail, ok, type Result } from '../../base/result.ts';

const MAX_REPORT_BYTES = 64 * 1024 * 1024;

/**
 * What a command of lvm prints. It takes no lock and changes nothing when it is called with
 * `--readonly --nolocking`.
 * @returns a sentence: it failed, and what it said
 */
export function askLvm(
  program: 'lvs' | 'vgs' | 'pvs' | 'lvmconfig' | 'lvm',
  args: readonly string[],
  deadlineMs: number,
): Promise<Result<string, string>> {
  return askProgram(program, args, deadlineMs);
}

/**
 * What a program prints. One that hangs in the kernel is left behind: no signal ends it.
 * @param takes whether what it says on stderr is wanted too, behind the rest
 * @returns a sentence: it failed, and what it said
 */
export function askProgram(
  program: string,
  args: readonly string[],
  deadlineMs: number,
  takes: 'stdout' | 'both' = 'stdout',
): Promise<Result<string, string>> {
  const env = { ...process.env, LVM_SUPPRESS_FD_WARNINGS: '1' };
  return new Promise((resolve) => {
    const limits = {
      timeout: deadlineMs,
      killSignal: 'SIGKILL',
      maxBuffer: MAX_REPORT_BYTES,
    } as const;
    const child = execFile(program, args, { env, ...limits }, (failure, stdout, stderr) => {
      clearTimeout(late);
      if (failure === null) resolve(ok(takes === 'both' ? `${stdout}${stderr}` : stdout));
      else if (Reflect.get(failure, 'code') === 'ENOENT')
        resolve(fail(`there is no ${program} here`));
      else resolve(fail(`${program} failed: ${complaintOf(stderr) || failure.message}`));
    });
    const late = setTimeout(() => {
      child.stdout?.destroy();
      child.stderr?.destroy();
      child.unref();
      resolve(fail(`${program} did not end within ${deadlineMs / 1000} s`));
    }, deadlineMs + KILLED_MS);
  });
}

/** So long one that can be ended takes to end. */
const KILLED_MS = 500;

/** Its last sentence that is no warning, in one line. */
function complaintOf(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '' && !line.startsWith('WARNING')).join('; ');
}
