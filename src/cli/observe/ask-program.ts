import { execFile } from 'node:child_process';
import { fail, ok, type Result } from '../../base/result.ts';

const MAX_REPORT_BYTES = 64 * 1024 * 1024;

export type LvmProgram = 'lvs' | 'vgs' | 'pvs' | 'lvmconfig' | 'lvm';

/**
 * What a command of lvm prints. It takes no lock and changes nothing when it is called with
 * `--readonly --nolocking`.
 * @returns a sentence: it failed, and what it said
 */
export function askLvm(
  program: LvmProgram,
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
export async function askProgram(
  program: string,
  args: readonly string[],
  deadlineMs: number,
  takes: 'stdout' | 'both' = 'stdout',
): Promise<Result<string, string>> {
  const answer = await programAnswer(program, args, deadlineMs, takes);
  return answer.kind === 'done' ? ok(answer.printed) : fail(answer.why);
}

/** `late`: what it would have said is not known. `why` is a sentence. */
export type ProgramAnswer =
  | { readonly kind: 'done'; readonly printed: string }
  | { readonly kind: 'absent' | 'failed' | 'late'; readonly why: string };

/** The same, for those who must tell a program that fails from one that has not ended. */
export function programAnswer(
  program: string,
  args: readonly string[],
  deadlineMs: number,
  takes: 'stdout' | 'both' = 'stdout',
): Promise<ProgramAnswer> {
  const env = { ...process.env, LVM_SUPPRESS_FD_WARNINGS: '1' };
  return new Promise((resolve) => {
    const limits = {
      timeout: deadlineMs,
      killSignal: 'SIGKILL',
      maxBuffer: MAX_REPORT_BYTES,
    } as const;
    const notInTime = `${program} did not end within ${deadlineMs / 1000} s`;
    const child = execFile(program, args, { env, ...limits }, (failure, stdout, stderr) => {
      clearTimeout(late);
      const code: unknown = failure === null ? null : Reflect.get(failure, 'code');
      const printed = takes === 'both' ? `${stdout}${stderr}` : stdout;
      if (failure === null) resolve({ kind: 'done', printed });
      else if (code === 'ENOENT') resolve({ kind: 'absent', why: `there is no ${program} here` });
      else if (failure.killed === true && code === null) resolve({ kind: 'late', why: notInTime });
      else {
        const why = `${program} failed: ${complaintOf(stderr) || failure.message}`;
        resolve({ kind: 'failed', why });
      }
    });
    const late = setTimeout(() => {
      child.stdout?.destroy();
      child.stderr?.destroy();
      child.unref();
      resolve({ kind: 'late', why: notInTime });
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
