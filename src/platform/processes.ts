import { type ChildProcess, spawn } from 'node:child_process';
import { BrokenInvariant } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { errnoName } from '../base/errno.ts';
import type { Log } from '../ports/log.ts';
import type {
  BoundProcess,
  Channel,
  LeaseEnd,
  MessageFormat,
  Processes,
} from '../ports/processes.ts';
import { NODE_ARGUMENTS } from './clean-start.ts';
import type { EndRecords } from './end-records.ts';
import { FramedSocket } from './framed-socket.ts';
import { FRAME, readLogLine } from './front-channel.ts';
import { type Deputy, KernelProcess, type Surroundings } from './kernel-process.ts';
import type { ScriptRunner } from './script-runner.ts';
import { SOCK_CLOEXEC, SOCK_STREAM } from './stream-calls.ts';
import { closeFd, lastErrno, SystemCallError, socketpair } from './system-calls.ts';
import { AF_UNIX } from './unix-address.ts';

/** Lease processes, clients' processes and programs, by child processes and pidfds. */
export class NodeProcesses implements Processes {
  readonly #leaseProcessFile: string;
  readonly #leaseProcessSettings: string;
  readonly #endRecords: EndRecords;
  readonly #scripts: ScriptRunner;
  readonly #around: Surroundings;

  constructor(parts: {
    readonly leaseProcessFile: string;
    /** Handed to each lease process as its second argument. */
    readonly leaseProcessSettings: string;
    /** Where lease processes leave them. */
    readonly endRecords: EndRecords;
    readonly scripts: ScriptRunner;
    /** Signals processes that this one may not; null: this one has kept its privileges. */
    readonly deputy: Deputy | null;
    readonly log: Log;
  }) {
    this.#leaseProcessFile = parts.leaseProcessFile;
    this.#leaseProcessSettings = parts.leaseProcessSettings;
    this.#endRecords = parts.endRecords;
    this.#scripts = parts.scripts;
    this.#around = { deputy: parts.deputy, log: parts.log };
  }

  startLeaseProcess<Out, In>(label: string, format: MessageFormat<Out, In>): Channel<Out, In> {
    const ends = new Int32Array(2);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
      return this.#notStarted('socketpair', lastErrno());
    }
    const [ours = -1, theirs = -1] = ends;
    try {
      const child = this.#spawn(label, theirs);
      const bound = KernelProcess.ofChild(child.pid ?? -1, this.#around) ?? NO_PROCESS;
      return new ChildChannel(child, ours, { bound, format, log: this.#around.log });
    } catch (error) {
      closeFd(ours);
      if (!(error instanceof SystemCallError)) throw error;
      return this.#notStarted(error.call, error.errno);
    } finally {
      closeFd(theirs);
    }
  }

  #spawn(label: string, channelFd: number): ChildProcess {
    const program = [...NODE_ARGUMENTS, this.#leaseProcessFile, label, this.#leaseProcessSettings];
    return spawn(process.execPath, program, {
      // One heap for all of its threads, not one each: two megabytes less.
      env: { ...process.env, MALLOC_ARENA_MAX: '1' },
      stdio: ['ignore', 'ignore', 'inherit', channelFd],
    });
  }

  /** As one that ends at once. */
  #notStarted<Out, In>(call: string, errno: number): Channel<Out, In> {
    this.#around.log.error('leaseProcess.notStarted', { call, errno, error: errnoName(errno) });
    return {
      process: NO_PROCESS,
      send: () => {},
      sendNewest: () => {},
      onMessage: () => {},
      onClosed: (handler) => setImmediate(handler),
      kill: () => {},
    };
  }

  peerOf(connection: {
    readonly fd: number;
    readonly peerPid: number | null;
  }): BoundProcess | null {
    return KernelProcess.ofPeer(connection, this.#around);
  }

  find(pid: number, identity: string): BoundProcess | null {
    return KernelProcess.find(pid, identity, this.#around);
  }

  endOfLease(pid: number, identity: string): LeaseEnd | null {
    return this.#endRecords.read(pid, identity);
  }

  forgetEnds(): void {
    this.#endRecords.forgetAll();
  }

  run(program: ByteString, args: readonly ByteString[]): void {
    this.#scripts.run(program, args);
  }
}

/** In the place of a process that could not be started. */
const NO_PROCESS: BoundProcess = {
  pid: -1,
  identity: null,
  hasEnded: true,
  command: '',
  onKnown: (known) => setImmediate(known),
  onEnded: (ended) => setImmediate(ended),
  signal: () => {},
  close: () => {},
};

class ChildChannel<Out, In> implements Channel<Out, In> {
  readonly process: BoundProcess;
  readonly #child: ChildProcess;
  readonly #socket: FramedSocket;
  readonly #format: MessageFormat<Out, In>;
  readonly #log: Log;
  #messageHandler: ((message: In) => void) | null = null;
  #closedHandler: (() => void) | null = null;
  #open = true;
  #newest: Out | null = null;

  constructor(
    child: ChildProcess,
    fd: number,
    of: {
      readonly bound: BoundProcess;
      readonly format: MessageFormat<Out, In>;
      readonly log: Log;
    },
  ) {
    this.#child = child;
    this.process = of.bound;
    this.#format = of.format;
    this.#log = of.log;
    try {
      this.#socket = new FramedSocket(fd, {
        received: (frame) => this.#received(frame),
        closed: () => this.#ended(),
      });
    } catch (error) {
      child.kill('SIGKILL'); // nobody would ever hear of it
      of.bound.close();
      throw error;
    }
    child.on('error', () => this.#ended());
    child.on('exit', () => {
      this.#socket.drain(); // what it sent before its end is still to be heard
      this.#ended();
    });
  }

  send(message: Out): void {
    if (this.#open) this.#socket.send(FRAME.message, this.#format.encode(message));
  }

  sendNewest(message: Out): void {
    if (this.#socket.isSent) this.send(message);
    else {
      this.#newest = message;
      this.#socket.whenSent(() => this.#sendHeld());
    }
  }

  onMessage(handler: (message: In) => void): void {
    this.#messageHandler = handler;
  }

  onClosed(handler: () => void): void {
    this.#closedHandler = handler;
  }

  kill(): void {
    this.#open = false;
    this.#child.kill('SIGKILL');
    // A child stuck on its device never reports its end; nothing of ours may wait for it.
    this.#child.unref();
    this.#socket.close();
  }

  #sendHeld(): void {
    const newest = this.#newest;
    this.#newest = null;
    if (newest !== null) this.send(newest);
  }

  #received(frame: Uint8Array): void {
    const kind = frame[0];
    const bytes = frame.subarray(1);
    let message: In;
    try {
      if (kind === FRAME.log) {
        const { level, event, fields } = readLogLine(bytes);
        this.#log[level](event, fields);
        return;
      }
      message = this.#format.decode(bytes);
    } catch (error) {
      if (!(error instanceof BrokenInvariant)) throw error;
      // Of another release, perhaps: nothing it says can be trusted, so it is as if it had ended.
      this.#log.error('leaseProcess.unreadable', { pid: this.process.pid, reason: error.message });
      this.#child.kill('SIGKILL');
      this.#socket.close();
      this.#ended();
      return;
    }
    if (this.#open) this.#messageHandler?.(message);
  }

  #ended(): void {
    this.#socket.close();
    if (!this.#open) return;
    this.#open = false;
    this.#closedHandler?.();
  }
}
