import { type ChildProcess, spawn } from 'node:child_process';
import type { ProgramEnd, Programs } from '../ports/programs.ts';
import { SCRIPT_SHELL } from './script-runner.ts';

/** Commands of lvm on storage that hangs cannot be killed, and stay. */
const MAX_RUNNING = 8;
/** A report of 10 000 LVs with room to spare. */
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;
const MAX_TROUBLE_BYTES = 300;
const SBIN = '/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin';
/** The words follow as they are: the shell is given no text but this. */
const BECOME = 'exec "$@"';

/**
 * Runs programs and takes what they print. Node waits until a program that it starts has been read
 * from its disk. So it starts a shell, whose pages the daemon keeps in memory (claim-machine.ts),
 * and that process becomes the program.
 */
export class ProgramRunner implements Programs {
  readonly #environment: Readonly<Record<string, string | undefined>>;
  #running = 0;

  constructor(environment: Readonly<Record<string, string | undefined>>) {
    const path = environment['PATH'] ?? '';
    this.#environment = { ...environment, PATH: path === '' ? SBIN : `${path}:${SBIN}` };
  }

  run(words: readonly string[], deadlineMs: number, ended: (end: ProgramEnd) => void): void {
    if (this.#running >= MAX_RUNNING) {
      const trouble = `${this.#running} programs have not ended`;
      ended({ status: null, output: '', trouble });
      return;
    }
    this.#running += 1;
    const child = spawn(SCRIPT_SHELL, ['-c', BECOME, 'program', ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // a group of its own, to be killed with what it has started
      env: { ...this.#environment, LC_ALL: 'C', LVM_SUPPRESS_FD_WARNINGS: '1' },
    });
    const heard = { output: '', trouble: '' };
    child.stdout?.on('data', (bytes: Uint8Array) => {
      const room = MAX_OUTPUT_BYTES - heard.output.length;
      if (room > 0) heard.output += latin1(bytes.subarray(0, room));
    });
    child.stderr?.on('data', (bytes: Uint8Array) => {
      heard.trouble = (heard.trouble + latin1(bytes)).slice(-MAX_TROUBLE_BYTES);
    });
    this.#await(child, deadlineMs, (status, reason) =>
      ended({ status, output: heard.output, trouble: reason || oneLine(heard.trouble) }),
    );
  }

  #await(
    child: ChildProcess,
    deadlineMs: number,
    ended: (status: number | null, reason: string) => void,
  ): void {
    let isAwaited = true;
    const settle = (status: number | null, reason: string) => {
      if (!isAwaited) return;
      isAwaited = false;
      clearTimeout(deadline);
      ended(status, reason);
    };
    const deadline = setTimeout(() => {
      killGroup(child);
      settle(null, `it has not ended within ${deadlineMs} ms`);
    }, deadlineMs);
    deadline.unref();
    let isCounted = true;
    const gone = () => {
      if (isCounted) this.#running -= 1;
      isCounted = false;
    };
    child.on('error', (error) => {
      gone();
      settle(null, error.message);
    });
    child.on('close', (status, signal) => {
      gone();
      settle(status, signal === null ? '' : `it was ended by ${signal}`);
    });
  }
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // it has ended
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

function oneLine(text: string): string {
  return text.trim().replace(/\s+/g, ' ');
}
