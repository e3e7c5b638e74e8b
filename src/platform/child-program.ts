import { closeSync, openSync } from 'node:fs';
import { ERRNO } from '../base/errno.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { FdWatcher } from './fd-watcher.ts';
import { receiveNow, SOCK_CLOEXEC, SOCK_STREAM } from './stream-calls.ts';
import {
  checked,
  closeFd,
  lastErrno,
  posixSpawn,
  SystemCallError,
  socketpair,
  spawnActionsDestroy,
  spawnActionsDup2,
  spawnActionsInit,
  spawnAttributesDefault,
  spawnAttributesDestroy,
  spawnAttributesFlags,
  spawnAttributesInit,
  waitpid,
} from './system-calls.ts';
import { errnoOf } from './system-error.ts';
import { AF_UNIX } from './unix-address.ts';

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
/** More than either structure has in any glibc: 80 and 336 bytes. */
const STRUCTURE_BYTES = 1024;
const SIGNAL_SET_BYTES = 128;
const SETSIGDEF = 0x04;
/** SIGPIPE and SIGXFSZ, which Node ignores: a program that it starts would, too. */
const IGNORED = [13, 25];
const WNOHANG = 1;
const SIGNAL_MASK = 0x7f;
const STATUS_MASK = 0xff;
/** What a read brings, until it is copied. */
const READ = new Uint8Array(64 * 1024);
/** Between two looks whether it has ended, each time twice as long. */
const FIRST_REAP_MS = 1;
const LAST_REAP_MS = 500;

export interface ChildEnd {
  /** null: a signal has ended it, or it is not known how it has. */
  readonly status: number | null;
  /** 0: none. */
  readonly signal: number;
  readonly stdout: string;
  readonly stderr: string;
  /** It printed more than it may, and was ended. */
  readonly isTooLong: boolean;
}

export interface ChildWish {
  /** A name of PATH or a path, and its arguments; no shell reads them. A script needs its `#!`. */
  readonly words: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Of both streams together. */
  readonly maxBytes: number;
}

/**
 * A program that is started, read and awaited with libc's own calls: without `node:child_process`,
 * whose modules, and whose copy of our memory, cost a short command 5 ms (spec 70 §8). It has no
 * input, and `ended` is called once, when it has ended and so have all who write for it.
 */
export class ChildProgram {
  readonly pid: number;
  readonly #maxBytes: number;
  readonly #ended: (end: ChildEnd) => void;
  readonly #streams: Streams;
  readonly #waited = new Int32Array(1);
  #isLeft = false;
  #isTooLong = false;
  #isReaped = false;
  #reapMs = FIRST_REAP_MS;

  private constructor(
    pid: number,
    streams: Streams,
    of: { readonly maxBytes: number; readonly ended: (end: ChildEnd) => void },
  ) {
    this.pid = pid;
    this.#streams = streams;
    this.#maxBytes = of.maxBytes;
    this.#ended = of.ended;
    for (const stream of streams) stream.heard = () => this.#heard();
  }

  /** @returns an errno where it cannot be started: ENOENT without such a program, EMFILE, … */
  static start(wish: ChildWish, ended: (end: ChildEnd) => void): Result<ChildProgram, number> {
    const environment = Object.entries(wish.environment).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${value}`],
    );
    // To C, text ends there: it would be another command.
    if ([...wish.words, ...environment].some((text) => text.includes('\0'))) {
      return fail(ERRNO.EINVAL);
    }
    const streams: ChildStream[] = [];
    try {
      const out = new ChildStream();
      streams.push(out);
      const err = new ChildStream();
      streams.push(err);
      const pid = spawnWith([out.far, err.far], wish.words, environment);
      for (const stream of streams) stream.begin();
      const { maxBytes } = wish;
      return ok(new ChildProgram(pid, [out, err], { maxBytes, ended }));
    } catch (error) {
      for (const stream of streams) stream.close();
      return fail(errnoOf(error));
    }
  }

  /** One that hangs in the kernel ends when that lets it. */
  kill(): void {
    if (this.#isReaped) return; // the number may be another one's by now
    try {
      process.kill(this.pid, 'SIGKILL');
    } catch {
      // it has become another user's: nothing is to be done
    }
  }

  /** Nothing more of it is heard, and it keeps this process no more; `ended` may still be called. */
  leave(): void {
    if (this.#isLeft || this.#isReaped) return;
    this.#isLeft = true;
    this.#reapMs = FIRST_REAP_MS;
    for (const stream of this.#streams) stream.close();
    this.#reap();
  }

  #heard(): void {
    const [out, err] = this.#streams;
    if (out.bytes + err.bytes > this.#maxBytes && !this.#isTooLong) {
      this.#isTooLong = true;
      this.kill();
      for (const stream of this.#streams) stream.close();
    }
    if (out.isOpen || err.isOpen || this.#isLeft) return;
    this.#reap();
  }

  #reap(): void {
    if (this.#isReaped) return;
    const found = waitpid(this.pid, this.#waited, WNOHANG);
    if (found === 0 || (found < 0 && lastErrno() === ERRNO.EINTR)) {
      // The kernel closes what a process has open just before it can be awaited.
      const later = setTimeout(() => this.#reap(), this.#reapMs);
      if (this.#isLeft) later.unref();
      this.#reapMs = Math.min(2 * this.#reapMs, LAST_REAP_MS);
      return;
    }
    this.#isReaped = true;
    const [out, err] = this.#streams;
    const waited = this.#waited[0] ?? 0;
    const signal = waited & SIGNAL_MASK;
    this.#ended({
      status: found < 0 || signal !== 0 ? null : (waited >> 8) & STATUS_MASK,
      signal,
      stdout: out.text(),
      stderr: err.text(),
      isTooLong: this.#isTooLong,
    });
  }
}

/** What a program prints to one descriptor. */
class ChildStream {
  /** For the program, until it has been started. */
  readonly far: number;
  readonly #near: number;
  readonly #watcher: FdWatcher;
  readonly #pieces: Uint8Array[] = [];
  heard = () => {};
  bytes = 0;
  isOpen = true;
  #isFarOpen = true;

  /** @throws SystemCallError where there are no more descriptors */
  constructor() {
    const fds = new Int32Array(2);
    checked('socketpair', socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
    [this.#near = -1, this.far = -1] = fds;
    try {
      this.#watcher = new FdWatcher(this.#near, () => this.#read());
    } catch (error) {
      for (const fd of fds) closeFd(fd);
      throw error;
    }
  }

  /** The program has its own copy now. */
  begin(): void {
    if (this.#isFarOpen) closeFd(this.far);
    this.#isFarOpen = false;
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.begin();
    this.#watcher.close();
    closeFd(this.#near);
  }

  text(): string {
    return Buffer.concat(this.#pieces).toString('utf8');
  }

  /** What is there; the rest is read in the next turn. */
  #read(): void {
    const count = receiveNow(this.#near, READ);
    if (count === 'later') return;
    if (count === 'broken' || count === 0) this.close();
    else {
      this.#pieces.push(READ.slice(0, count));
      this.bytes += count;
    }
    this.heard();
  }
}

type Streams = readonly [ChildStream, ChildStream];

/**
 * As Node does: with no input, and with signals as programs expect them.
 * @throws SystemCallError
 */
function spawnWith(
  [out, err]: readonly [number, number],
  words: ChildWish['words'],
  environment: readonly string[],
): number {
  const none = openNone();
  const actions = new Uint8Array(STRUCTURE_BYTES);
  const attributes = new Uint8Array(STRUCTURE_BYTES);
  const ignored = new Uint8Array(SIGNAL_SET_BYTES);
  for (const signal of IGNORED) {
    const at = (signal - 1) >> 3;
    ignored[at] = (ignored[at] ?? 0) | (1 << ((signal - 1) & 7));
  }
  const pid = new Int32Array(1);
  spawnActionsInit(actions);
  spawnAttributesInit(attributes);
  let errno = spawnAttributesDefault(attributes, ignored);
  errno ||= spawnAttributesFlags(attributes, SETSIGDEF);
  for (const [fd, as] of [[none, STDIN] as const, [out, STDOUT] as const, [err, STDERR] as const]) {
    errno ||= spawnActionsDup2(actions, fd, as);
  }
  errno ||= posixSpawn(
    pid,
    words[0],
    actions,
    attributes,
    [...words, null],
    [...environment, null],
  );
  spawnActionsDestroy(actions);
  spawnAttributesDestroy(attributes);
  closeSync(none);
  if (errno !== 0) throw new SystemCallError('posix_spawnp', errno);
  return pid[0] ?? 0;
}

function openNone(): number {
  try {
    return openSync('/dev/null', 'r');
  } catch (error) {
    const errno = errnoOf(error); // not as if there were no such program
    throw new SystemCallError('open', errno === ERRNO.ENOENT ? ERRNO.ENODEV : errno);
  }
}
