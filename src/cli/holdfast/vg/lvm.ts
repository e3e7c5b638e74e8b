import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

/**
 * What it prints goes to files without a name, and Ctrl-C does not reach it: should this program be
 * ended, lvm still ends what it does. A pipe would be closed then, and lvm killed by it, between
 * the leases and the metadata perhaps.
 * @param words of the lvm command: `['vgchange', '--lock-start', 'vg1']`
 */
export function lvm(words: readonly string[], withinMs = REPORT_MS): Promise<LvmEnd> {
  return runProgram('lvm', words, withinMs);
}

/** As above, another program of lvm's. */
export function runProgram(
  program: 'lvm' | 'lvmlockctl',
  words: readonly string[],
  withinMs: number,
): Promise<LvmEnd> {
  const path = process.env['PATH'] ?? '';
  const out = namelessFile();
  const err = namelessFile();
  const child = spawn(program, words, {
    stdio: ['ignore', out, err],
    detached: true,
    env: {
      ...process.env,
      PATH: path === '' ? SBIN : `${path}:${SBIN}`,
      LC_ALL: 'C',
      LVM_SUPPRESS_FD_WARNINGS: '1',
    },
  });
  return new Promise((resolve) => {
    let isSettled = false;
    const settle = (status: number | null, reason: string): void => {
      if (isSettled) return;
      isSettled = true;
      clearTimeout(deadline);
      clearTimeout(late);
      const stdout = textIn(out);
      const said = [...linesOf(textIn(err)), ...(reason === '' ? [] : [reason])];
      resolve({ status, stdout, said });
    };
    const deadline = setTimeout(() => child.kill('SIGKILL'), withinMs);
    // One that hangs in the kernel is left behind: no signal ends it.
    const late = setTimeout(() => {
      child.unref();
      settle(null, `${program} ${words[0] ?? ''} has not ended within ${withinMs / SECOND_MS} s`);
    }, withinMs + KILLED_MS);
    child.once('error', (error) =>
      settle(null, `${program} could not be started: ${error.message}`),
    );
    child.once('exit', (status, signal) =>
      settle(status, signal === null ? '' : `${program} was ended by ${signal}`),
    );
  });
}

/** So long one that can be ended takes to end. */
const KILLED_MS = 2000;

function namelessFile(): number {
  const path = join(tmpdir(), `holdfast-${randomUUID()}`);
  const fd = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  return fd;
}

/** And closes it. */
function textIn(fd: number): string {
  try {
    const bytes = Buffer.alloc(Math.min(fstatSync(fd).size, MAX_OUTPUT_BYTES));
    const length = readSync(fd, bytes, 0, bytes.length, 0);
    return bytes.toString('utf8', 0, length);
  } finally {
    closeSync(fd);
  }
}

const VG_NAME = /^[\w+.][\w+.-]{0,126}$/;

/** Any client of sanlock can name a lockspace `lvm_--config…`: no such word reaches lvm. */
export function isVgName(name: string): boolean {
  return VG_NAME.test(name);
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
 * A report, of local and shared VGs, without a lock and without lvmlockd. Not `--readonly`: with
 * that lvm does not look at device-mapper, and calls no LV active.
 * @param command `vgs`, `lvs`, `pvs`
 */
export async function lvmReport(
  command: 'vgs' | 'lvs' | 'pvs',
  fields: readonly string[],
  more: readonly string[] = [],
): Promise<Result<readonly Row[], string>> {
  const how = ['--shared', '--nolocking', '--reportformat', 'json'];
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
