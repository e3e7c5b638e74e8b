import { type ChildProcess, spawn } from 'node:child_process';
import type { ByteString } from '../base/bytes.ts';
import type { Log } from '../ports/log.ts';

/** The starting process keeps its pages in memory: the shell locks nothing itself. */
export const SCRIPT_SHELL = '/bin/sh';
const MAX_RUNNING = 1024; // one for each client
const MAX_UNSENT_BYTES = 256 * 1024;
/** What a shell answers for a program that is not there, or is none. */
const NOT_STARTED: Readonly<Record<number, string>> = {
  126: 'it cannot be executed',
  127: 'there is no such program',
};

/**
 * A program comes as lines: its number, how many words it has, and each word as it is; no word is
 * ever evaluated by the shell. The program is started by its own process, which alone waits
 * for the disk the program lies on; its status comes back beside its number. The outer bracket ends
 * at once: a program that it started is no child of the shell, and leaves no zombie here.
 */
const LOOP = `
echo sanlock-scripts >/proc/$$/comm
trap '' HUP INT TERM
while read -r number && read -r count; do
  set --
  while [ "$count" -gt 0 ]; do
    IFS= read -r word
    set -- "$@" "$word"
    count=$((count - 1))
  done
  ( (
    trap - HUP INT TERM
    (exec "$@") </dev/null >/dev/null 2>&1
    echo "$number $?"
  ) & )
done 2>/dev/null
`;

/**
 * Runs kill scripts. Node waits until a program it starts has been read from its disk; a shell does
 * not, it forks first. So this is a small shell, started with the daemon: with its privileges, and
 * while the disks are well.
 */
export class ScriptRunner {
  readonly #log: Log;
  readonly #child: ChildProcess;
  readonly #running = new Map<number, string>();
  #next = 1;
  #heard = '';

  constructor(log: Log) {
    this.#log = log;
    const child = spawn(SCRIPT_SHELL, ['-c', LOOP], {
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true,
    });
    child.on('error', (error) => log.error('helper.failed', { reason: error.message }));
    child.on('exit', (status) => log.error('helper.ended', { status }));
    child.stdin?.on('error', () => {}); // its end is reported above
    child.stdout?.on('data', (bytes: Uint8Array) =>
      this.#hear(Buffer.from(bytes).toString('latin1')),
    );
    child.unref();
    unref(child.stdin);
    unref(child.stdout);
    this.#child = child;
  }

  /** -1 when it could not be started. */
  get pid(): number {
    return this.#child.pid ?? -1;
  }

  run(program: ByteString, args: readonly ByteString[]): void {
    const refusal = this.#refusal([program, ...args]);
    if (refusal !== null) {
      this.#log.error('program.notRun', { program, reason: refusal });
      return;
    }
    const number = this.#next++;
    this.#running.set(number, program);
    const words = [program, ...args];
    const lines = [number, words.length, ...words].map((line) => `${line}\n`);
    this.#child.stdin?.write(Buffer.from(lines.join(''), 'latin1'));
  }

  /** Programs that run go on. */
  close(): void {
    this.#child.removeAllListeners();
    this.#child.stdin?.destroy();
    this.#child.stdout?.destroy();
  }

  #refusal(words: readonly ByteString[]): string | null {
    const { stdin } = this.#child;
    if (stdin === null || stdin.destroyed || !stdin.writable) return 'the script runner is gone';
    if (words.some((word) => /[\n\0]/.test(word))) return 'a line feed in its name or arguments';
    const isBehind = stdin.writableLength > MAX_UNSENT_BYTES || this.#running.size >= MAX_RUNNING;
    return isBehind ? `${this.#running.size} programs have not ended` : null;
  }

  #hear(text: string): void {
    const lines = (this.#heard + text).split('\n');
    this.#heard = lines.pop() ?? '';
    for (const line of lines) {
      const [number = 0, status = 0] = line.split(' ').map(Number);
      const program = this.#running.get(number);
      this.#running.delete(number);
      if (program === undefined) continue;
      const reason = NOT_STARTED[status];
      if (reason === undefined) this.#log.info('program.ended', { program, status });
      else this.#log.error('program.notRun', { program, reason: `${reason} (status ${status})` });
    }
  }
}

/** A pipe of Node is a socket, which must not keep its process from ending. */
function unref(stream: unknown): void {
  (stream as { unref?: () => void } | null)?.unref?.();
}
