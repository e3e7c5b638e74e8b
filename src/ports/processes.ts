/** A message channel to a child process of ours. Callbacks never fire after `kill()`. */
export interface Channel<Out, In> {
  readonly pid: number;
  send(message: Out): void;
  onMessage(handler: (message: In) => void): void;
  /**
   * The child ended or the channel broke. Fires once; a child stuck in the kernel may never fire
   * it.
   */
  onClosed(handler: () => void): void;
  /** SIGKILL, without waiting: a child stuck on a device lingers until the device answers. */
  kill(): void;
}

export type SignalName = 'SIGTERM' | 'SIGKILL';

export interface Processes {
  /** Starts a lease process; `label` shows in its process name. */
  startLeaseProcess<Out, In>(label: string): Channel<Out, In>;
  /**
   * false when there is no such process (any more). Watched pids are signalled without a reuse
   * race.
   */
  signal(pid: number, signal: SignalName): boolean;
  /** Tells this process from a later one of the same pid; null: there is none. */
  startTime(pid: number): string | null;
  /** Calls `gone` once when the process ends; at once if it is already gone. */
  watch(pid: number, gone: () => void): { close(): void };
  /**
   * Runs a program without a shell (PATH search), detached from our devices; its result is logged.
   */
  run(program: string, args: readonly string[]): void;
}
