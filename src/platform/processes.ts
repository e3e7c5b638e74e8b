import { type ChildProcess, fork } from 'node:child_process';
import type { ByteString } from '../base/bytes.ts';
import type { LogFields, LogLevel } from '../base/log-fields.ts';
import type { Log } from '../ports/log.ts';
import type { BoundProcess, Channel, LeaseEnd, Processes } from '../ports/processes.ts';
import { NODE_ARGUMENTS } from './clean-start.ts';
import type { EndRecords } from './end-records.ts';
import { type Deputy, KernelProcess, type Surroundings } from './kernel-process.ts';
import type { ScriptRunner } from './script-runner.ts';

/** What a lease process sends: its program's message, or a line for the daemon's log. */
export type Envelope =
  | { readonly message: unknown }
  | { readonly log: LogLevel; readonly event: string; readonly fields: LogFields };

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

  startLeaseProcess<Out, In>(label: string): Channel<Out, In> {
    const child = fork(this.#leaseProcessFile, [label, this.#leaseProcessSettings], {
      serialization: 'advanced', // bigint and Uint8Array pass
      execArgv: [...NODE_ARGUMENTS],
      // One heap for all of its threads, not one each: two megabytes less.
      env: { ...process.env, MALLOC_ARENA_MAX: '1' },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const bound = KernelProcess.ofChild(child.pid ?? -1, this.#around) ?? NO_PROCESS;
    return new ChildChannel<Out, In>(child, bound, this.#around.log);
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
  onKnown: (known) => setImmediate(known),
  onEnded: (ended) => setImmediate(ended),
  signal: () => {},
  close: () => {},
};

class ChildChannel<Out, In> implements Channel<Out, In> {
  readonly process: BoundProcess;
  readonly #child: ChildProcess;
  #messageHandler: ((message: In) => void) | null = null;
  #closedHandler: (() => void) | null = null;
  #open = true;
  /** Messages that the kernel has not taken yet. */
  #unsent = 0;
  #newest: Out | null = null;

  constructor(child: ChildProcess, process: BoundProcess, log: Log) {
    this.#child = child;
    this.process = process;
    child.on('message', (envelope) => {
      const received = envelope as Envelope; // our own program, started from our own directory
      if ('log' in received) log[received.log](received.event, received.fields);
      else if (this.#open) this.#messageHandler?.(received.message as In);
    });
    child.on('error', () => this.#ended());
    child.on('disconnect', () => this.#ended());
    child.on('exit', () => this.#ended());
  }

  send(message: Out): void {
    if (!this.#open || !this.#child.connected) return;
    this.#unsent++;
    this.#child.send(message as object, () => this.#wasSent());
  }

  sendNewest(message: Out): void {
    if (this.#unsent === 0) this.send(message);
    else this.#newest = message;
  }

  #wasSent(): void {
    this.#unsent--;
    const newest = this.#newest;
    if (this.#unsent > 0 || newest === null) return;
    this.#newest = null;
    this.send(newest);
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
    this.#child.channel?.unref();
    if (this.#child.connected) this.#child.disconnect();
  }

  #ended(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#closedHandler?.();
  }
}
