import { readFileSync } from 'node:fs';
import type { ByteString } from '../base/bytes.ts';
import { ERRNO, errnoName } from '../base/errno.ts';
import type { Log } from '../ports/log.ts';
import type { BoundProcess, SignalName } from '../ports/processes.ts';
import { FdWatcher } from './fd-watcher.ts';
import { closeFd, getsockopt, lastErrno, rawSyscall, SOL_SOCKET } from './system-calls.ts';
import { errnoNameOf } from './system-error.ts';

/** After the name: fields 20 and 22 of proc(5). */
const THREADS_FIELD = 17;
const STARTTIME_FIELD = 19;
const PIDFD_SEND_SIGNAL = 424;
const PIDFD_OPEN = 434;
const SO_PEERPIDFD = 77; // Linux 6.5
/** How often a process without a descriptor is polled. */
const POLL_MS = 1000;

export function signalNumber(signal: SignalName): number {
  return signal === 'SIGKILL' ? 9 : 15;
}

/** Does what this process may not do itself: the front gave up its privileges (spec 20 §8). */
export interface Deputy {
  /** Signals the process of this identity, or none. false: the deputy cannot be reached. */
  signal(pid: number, identity: string, signal: SignalName): boolean;
  /** Finds what /proc hides from this process; null: there is none, or no deputy. Answers later. */
  identify(pid: number, answer: (identity: string | null) => void): void;
}

export interface Surroundings {
  /** null: no process may do more than this one. */
  readonly deputy: Deputy | null;
  readonly log: Log;
}

type Found =
  | { readonly kind: 'running'; readonly identity: string }
  | { readonly kind: 'ended' }
  /** It is there, or may be: /proc does not show it. */
  | { readonly kind: 'hidden' };

/**
 * A process by its pidfd, opened when we learn of it. Where the kernel gives none (no descriptor
 * left, an old kernel, seccomp) its start time identifies it, and it is polled now and then. Only
 * ESRCH, a zombie or another start time mean that it has ended; whatever else fails, it is alive.
 */
export class KernelProcess implements BoundProcess {
  readonly pid: number;
  readonly #around: Surroundings;
  #pidfd: number | null;
  #identity: string | null;
  /** Whether the pidfd is surely of that identity: bound when the process was known to run. */
  #isVerified: boolean;
  #ended = false;
  #isOpen = true;
  #onEnded: (() => void) | null = null;
  #watcher: FdWatcher | null = null;
  #timer: NodeJS.Timeout | null = null;
  /** Callers that wait for the deputy's answer; null: it was not asked. */
  #asking: (() => void)[] | null = null;

  private constructor(
    of: { pid: number; pidfd: number | null; identity: string | null; isVerified: boolean },
    around: Surroundings,
  ) {
    this.pid = of.pid;
    this.#pidfd = of.pidfd;
    this.#identity = of.identity;
    this.#isVerified = of.isVerified;
    this.#around = around;
  }

  /** The process at the other end of a socket that was just accepted. */
  static ofPeer(
    socket: { readonly fd: number; readonly peerPid: number | null },
    around: Surroundings,
  ): KernelProcess | null {
    const pid = socket.peerPid ?? 0;
    if (pid <= 0) return null;
    const pidfd = peerPidfd(socket.fd) ?? openPidfd(pid);
    return KernelProcess.#bind(pid, pidfd, around);
  }

  /** A child of ours that was not waited for: its pid can mean no other process. */
  static ofChild(pid: number, around: Surroundings): KernelProcess | null {
    return KernelProcess.at(pid, around);
  }

  /** Whichever process has that pid now; null: none. */
  static at(pid: number, around: Surroundings): KernelProcess | null {
    return pid <= 0 ? null : KernelProcess.#bind(pid, openPidfd(pid), around);
  }

  static #bind(pid: number, opened: Opened, around: Surroundings): KernelProcess | null {
    if (opened.errno === ERRNO.ESRCH) return null;
    const { pidfd } = opened;
    const found = pidfd === null ? lookAt(pid) : null;
    if (found?.kind === 'ended') return null;
    const identity = found?.kind === 'running' ? found.identity : null;
    const process = new KernelProcess({ pid, pidfd, identity, isVerified: true }, around);
    if (pidfd === null) process.#tellUnwatched(opened.errno);
    return process;
  }

  /** The process of that pid if it is still the one meant; null: that one has ended. */
  static find(pid: number, identity: string, around: Surroundings): KernelProcess | null {
    const opened = openPidfd(pid);
    if (opened.errno === ERRNO.ESRCH) return null;
    // After it was opened: what /proc shows now is the process that the descriptor stands for.
    const found = lookAt(pid);
    const isOther = found.kind === 'running' && found.identity !== identity;
    const { pidfd } = opened;
    if (found.kind === 'ended' || isOther) {
      if (pidfd !== null) closeFd(pidfd);
      return null;
    }
    const isVerified = found.kind === 'running';
    const process = new KernelProcess({ pid, pidfd, identity, isVerified }, around);
    if (pidfd === null) process.#tellUnwatched(opened.errno);
    if (!isVerified) process.#askDeputy();
    return process;
  }

  get identity(): string | null {
    if (this.#identity === null && !this.#ended && this.#pidfd !== null) {
      const found = lookAt(this.pid);
      // Still there afterwards: so it was this process whose start time was read.
      if (found.kind === 'running' && isThere(this.#pidfd)) this.#identity = found.identity;
      else if (found.kind === 'hidden') this.#askDeputy();
    }
    return this.#identity;
  }

  onKnown(known: () => void): void {
    if (this.identity !== null || this.#asking === null) setImmediate(known);
    else this.#asking.push(known);
  }

  get hasEnded(): boolean {
    this.#ended ||= this.#isGone();
    return this.#ended;
  }

  get command(): ByteString {
    const command = commandOf(this.pid);
    // Still there afterwards: so it was this process, and no later one of its pid.
    const isIts = this.#pidfd === null ? !this.hasEnded : isThere(this.#pidfd);
    return isIts ? command : '';
  }

  onEnded(ended: () => void): void {
    this.#onEnded = ended;
    this.#watch();
  }

  signal(signal: SignalName): void {
    if (this.hasEnded) return;
    if (this.#pidfd !== null && this.#isVerified) {
      const result = rawSyscall(PIDFD_SEND_SIGNAL, this.#pidfd, signalNumber(signal), 0, 0, 0);
      if (Number(result) >= 0) return;
      const errno = lastErrno();
      if (errno === ERRNO.ESRCH) return;
      if (errno !== ERRNO.EPERM) {
        this.#signalByIdentity(signal); // seccomp knows the older call only
        return;
      }
    } else if (this.#isVerified) {
      this.#signalByIdentity(signal);
      return;
    }
    this.#signalByDeputy(signal);
  }

  close(): void {
    this.#isOpen = false;
    this.#onEnded = null;
    this.#unwatch();
    if (this.#pidfd !== null) closeFd(this.#pidfd);
    this.#pidfd = null;
  }

  /** Checked just before: a pid comes round again only after all others were used. */
  #signalByIdentity(signal: SignalName): void {
    const { identity } = this;
    const found = lookAt(this.pid);
    if (found.kind === 'ended') return;
    if (found.kind === 'running' && found.identity === identity) {
      try {
        process.kill(this.pid, signal);
        return;
      } catch (error) {
        if (errnoNameOf(error) === 'ESRCH') return;
      }
    }
    this.#signalByDeputy(signal);
  }

  #signalByDeputy(signal: SignalName): void {
    const { identity } = this;
    const { deputy, log } = this.#around;
    if (identity !== null && deputy?.signal(this.pid, identity, signal) === true) return;
    const refusal = deputy === null ? 'not permitted' : 'the helper is gone or far behind';
    const reason = identity === null ? 'its start time cannot be read' : refusal;
    log.error('process.notSignalled', { pid: this.pid, signal, reason });
  }

  #askDeputy(): void {
    const { deputy } = this.#around;
    if (this.#asking !== null || deputy === null) return;
    const asking: (() => void)[] = [];
    this.#asking = asking;
    deputy.identify(this.pid, (identity) => {
      this.#asking = null; // and may be asked again
      if (identity !== null) this.#answered(identity);
      for (const known of asking) known();
    });
  }

  #answered(identity: string): void {
    if (!this.#isOpen) return;
    // Checked before this moment, and the process is there still: it was this one.
    if (this.#pidfd === null || !isThere(this.#pidfd)) return;
    if (this.#identity !== null && this.#identity !== identity) this.#end();
    else {
      this.#identity = identity;
      this.#isVerified = true;
    }
  }

  #watch(): void {
    try {
      if (this.#pidfd !== null) this.#watcher = new FdWatcher(this.#pidfd, () => this.#end());
    } catch {
      // No room in the kernel for one more watch.
    }
    if (this.#watcher === null) this.#timer = setTimeout(() => this.#poll(), POLL_MS).unref();
  }

  #poll(): void {
    if (this.hasEnded) {
      this.#end();
      return;
    }
    if (this.#pidfd === null) this.#openAgain();
    this.#watch();
  }

  #openAgain(): void {
    const { pidfd } = openPidfd(this.pid);
    if (pidfd === null) return;
    const found = lookAt(this.pid);
    if (found.kind === 'running' && found.identity === this.#identity) this.#pidfd = pidfd;
    else closeFd(pidfd);
  }

  #isGone(): boolean {
    const found = lookAt(this.pid);
    if (this.#pidfd !== null && !isThere(this.#pidfd)) return true;
    if (found.kind !== 'running') return found.kind === 'ended';
    return this.#pidfd === null && this.#identity !== null && found.identity !== this.#identity;
  }

  #end(): void {
    this.#ended = true;
    const report = this.#onEnded;
    this.close();
    report?.();
  }

  #unwatch(): void {
    this.#watcher?.close();
    this.#watcher = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #tellUnwatched(errno: number): void {
    const fields = { pid: this.pid, reason: errnoName(errno) };
    this.#around.log.warn('process.notWatched', fields);
  }
}

interface Opened {
  readonly pidfd: number | null;
  /** 0 where there is one. */
  readonly errno: number;
}

function openPidfd(pid: number): Opened {
  const pidfd = Number(rawSyscall(PIDFD_OPEN, pid, 0, 0, 0, 0));
  return pidfd < 0 ? { pidfd: null, errno: lastErrno() } : { pidfd, errno: 0 };
}

/** null: this kernel does not bind a socket's peer; its pid is what we have. */
function peerPidfd(fd: number): Opened | null {
  const value = new Uint8Array(4);
  const length = new Uint8Array([value.length, 0, 0, 0]);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, value, length) < 0) {
    const errno = lastErrno();
    return errno === ERRNO.ESRCH ? { pidfd: null, errno } : null;
  }
  return { pidfd: new DataView(value.buffer).getInt32(0, true), errno: 0 };
}

/** Signal 0 only checks that the process is there. */
function isThere(pidfd: number): boolean {
  const isAnswered = Number(rawSyscall(PIDFD_SEND_SIGNAL, pidfd, 0, 0, 0, 0)) >= 0;
  return isAnswered || lastErrno() !== ERRNO.ESRCH;
}

function lookAt(pid: number): Found {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name before may hold anything, blanks and brackets too.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A process whose first thread has ended shows as a zombie while others of its threads run on.
    const isZombie = fields[0] === 'Z' || fields[0] === 'X';
    if (isZombie && Number(fields[THREADS_FIELD]) <= 1) return { kind: 'ended' };
    const identity = fields[STARTTIME_FIELD];
    return identity === undefined ? { kind: 'hidden' } : { kind: 'running', identity };
  } catch (error) {
    const code = errnoNameOf(error);
    if (code !== 'ENOENT' && code !== 'ESRCH') return { kind: 'hidden' }; // no descriptor is left
  }
  try {
    process.kill(pid, 0); // signal 0: hidepid hides a process, and does not end it
    return { kind: 'hidden' };
  } catch (error) {
    return errnoNameOf(error) === 'ESRCH' ? { kind: 'ended' } : { kind: 'hidden' };
  }
}

/**
 * Signals the process of that pid if it has that name: checked after its pidfd was opened, so it
 * is the one that is signalled. @returns whether there was one
 */
export function signalNamed(
  pid: number,
  of: { readonly name: string; readonly signal: number },
): boolean {
  const before = identityOf(pid);
  const { pidfd } = openPidfd(pid);
  try {
    if (readFileSync(`/proc/${pid}/comm`, 'ascii').trimEnd() !== of.name) return false;
    if (pidfd === null) return before === identityOf(pid) && process.kill(pid, of.signal);
    return Number(rawSyscall(PIDFD_SEND_SIGNAL, pidfd, of.signal, 0, 0, 0)) >= 0;
  } catch {
    return false; // it ended meanwhile
  } finally {
    if (pidfd !== null) closeFd(pidfd);
  }
}

/** The name without its arguments; empty: /proc shows none. */
function commandOf(pid: number): ByteString {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').replace(/\n$/, '');
  } catch {
    return '';
  }
}

/** What identifies a process; null: /proc shows none. */
export function identityOf(pid: number): string | null {
  const found = lookAt(pid);
  return found.kind === 'running' ? found.identity : null;
}
