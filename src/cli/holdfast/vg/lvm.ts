import { type ChildProcess, spawn } from 'node:child_process';
import { plain } from '../../../base/plain-text.ts';
import { fail, ok, type Result } from '../../../base/result.ts';
import { MIB, SECOND_MS } from '../../../base/units.ts';

/** Commands of lvm, run by their own program and without a shell. */

const REPORT_MS = 60 * SECOND_MS;
const MAX_OUTPUT_BYTES = 64 * MIB;
const SBIN = '/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin';

export interface LvmEnd {
  /** null: it was not started, has not ended in time, or was ended by a signal. */
  readonly status: number | null;
  readonly stdout: string;
  /** What it said on stderr, as lines without its routine warnings. */
  readonly said: readonly string[];
}

export interface LvmRun {
  readonly ended: Promise<LvmEnd>;
  /** SIGTERM, as Ctrl-C on a terminal: lvm ends in order. */
  readonly stop: () => void;
}

/** @param words of the lvm command: `['vgchange', '--lock-start', 'vg1']` */
export function startLvm(words: readonly string[], withinMs: number): LvmRun {
  const path = process.env['PATH'] ?? '';
  const child = spawn('lvm', words, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PATH: path === '' ? SBIN : `${path}:${SBIN}`,
      LC_ALL: 'C',
      LVM_SUPPRESS_FD_WARNINGS: '1',
    },
  });
  return { ended: endOf(child, withinMs), stop: () => void child.kill('SIGTERM') };
}

export function lvm(words: readonly string[], withinMs = REPORT_MS): Promise<LvmEnd> {
  return startLvm(words, withinMs).ended;
}

function endOf(child: ChildProcess, withinMs: number): Promise<LvmEnd> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('latin1').on('data', (text: string) => {
    if (stdout.length < MAX_OUTPUT_BYTES) stdout += text;
  });
  child.stderr?.setEncoding('latin1').on('data', (text: string) => {
    if (stderr.length < MIB) stderr += text;
  });
  return new Promise((resolve) => {
    const deadline = setTimeout(() => child.kill('SIGKILL'), withinMs);
    const settle = (status: number | null, reason: string): void => {
      clearTimeout(deadline);
      const said = [...linesOf(stderr), ...(reason === '' ? [] : [reason])];
      resolve({ status, stdout: Buffer.from(stdout, 'latin1').toString('utf8'), said });
    };
    child.on('error', (error) => settle(null, `lvm could not be started: ${error.message}`));
    child.on('close', (status, signal) =>
      settle(status, signal === null ? '' : `lvm was ended by ${signal}`),
    );
  });
}

const ROUTINE =
  /^\s*$|Activation disabled\. No device-mapper|File descriptor \d+|Reading VG .* without a lock/;

function linesOf(stderr: string): readonly string[] {
  return stderr
    .split('\n')
    .filter((line) => !ROUTINE.test(line))
    .map((line) => plain(line.trim()));
}

/** For a sentence: what lvm said. */
export function lvmWords({ said, status }: LvmEnd): string {
  return said.length === 0 ? `lvm ended with status ${status}` : said.join('; ');
}

export type Row = Readonly<Record<string, string>>;

/**
 * A report, of local and shared VGs, without a lock and without lvmlockd.
 * @param command `vgs`, `lvs`, `pvs`
 */
export async function lvmReport(
  command: 'vgs' | 'lvs' | 'pvs',
  fields: readonly string[],
  more: readonly string[] = [],
): Promise<Result<readonly Row[], string>> {
  const how = ['--readonly', '--shared', '--nolocking', '--reportformat', 'json'];
  const end = await lvm([
    command,
    ...how,
    '--units',
    'b',
    '--nosuffix',
    ...more,
    '-o',
    fields.join(),
  ]);
  const rows = rowsOf(end.stdout);
  // A missing PV or an unknown VG makes it fail, and it reports the rest all the same.
  if (rows === null || (end.status !== 0 && rows.length === 0)) {
    return fail(`lvm does not report what it sees (${command}): ${lvmWords(end)}`);
  }
  return ok(rows);
}

function rowsOf(text: string): readonly Row[] | null {
  try {
    const { report } = JSON.parse(text) as { report?: readonly Record<string, readonly Row[]>[] };
    return (report ?? []).flatMap((part) => Object.values(part).flat());
  } catch {
    return null;
  }
}

/** The version of lvm: `[2, 3, 16]`; null: it does not say. */
export async function lvmVersion(): Promise<readonly number[] | null> {
  const { stdout } = await lvm(['version']);
  const match = /LVM version:\s+(\d+)\.(\d+)\.(\d+)/.exec(stdout);
  return match === null ? null : match.slice(1).map(Number);
}
