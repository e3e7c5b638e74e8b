import { ERRNO, errnoName } from '../../base/errno.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { type ChildEnd, ChildProgram } from '../../platform/child-program.ts';

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
  const environment = { ...process.env, LVM_SUPPRESS_FD_WARNINGS: '1' };
  const wish = { words: [program, ...args] as const, environment, maxBytes: MAX_REPORT_BYTES };
  return new Promise((resolve) => {
    const notInTime = {
      kind: 'late',
      why: `${program} did not end within ${deadlineMs / 1000} s`,
    } as const;
    let isKilled = false;
    let timer: NodeJS.Timeout | null = null;
    const started = ChildProgram.start(wish, (end) => {
      if (timer !== null) clearTimeout(timer);
      // It may have ended by itself just then.
      resolve(isKilled && end.status === null ? notInTime : answerOf(program, end, takes));
    });
    if (!started.ok) {
      resolve(notStarted(program, started.error));
      return;
    }
    timer = setTimeout(() => {
      isKilled = true;
      started.value.kill();
      timer = setTimeout(() => {
        resolve(notInTime);
        started.value.leave(); // what it has printed is not whole
      }, KILLED_MS);
    }, deadlineMs);
  });
}

function notStarted(program: string, errno: number): ProgramAnswer {
  return errno === ERRNO.ENOENT
    ? { kind: 'absent', why: `there is no ${program} here` }
    : { kind: 'failed', why: `${program} cannot be started: ${errnoName(errno)}` };
}

function answerOf(program: string, end: ChildEnd, takes: 'stdout' | 'both'): ProgramAnswer {
  const { status, signal, stdout, stderr, isTooLong } = end;
  if (isTooLong) {
    return { kind: 'failed', why: `${program} printed more than ${MAX_REPORT_BYTES} bytes` };
  }
  if (status === 0) return { kind: 'done', printed: takes === 'both' ? stdout + stderr : stdout };
  const how = status === null ? `signal ${signal} has ended it` : `exit status ${status}`;
  return { kind: 'failed', why: `${program} failed: ${complaintOf(stderr) || how}` };
}

/** So long one that can be ended takes to end. */
const KILLED_MS = 500;

/** Its last sentence that is no warning, in one line. */
function complaintOf(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '' && !line.startsWith('WARNING')).join('; ');
}
