import type { ByteString } from '../base/bytes.ts';

/** A test script that was started and has not ended. */
export interface RunningScript {
  readonly pid: number;
  /** SIGKILL. */
  kill(): void;
}

/** Programs of one directory whose exit status says whether this machine is well. */
export interface TestScripts {
  /** Regular files that their owner may execute, in name order; hidden ones are not seen. */
  list(): readonly ByteString[];
  /**
   * Starts one without a shell and without arguments; `ended` is called once, later, with its
   * status, null for a signal. null: it vanished, or may not be executed any more.
   */
  start(name: ByteString, ended: (status: number | null) => void): RunningScript | null;
}
