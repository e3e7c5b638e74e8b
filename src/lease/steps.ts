/**
 * A lease protocol as a straight line that touches nothing: it yields each disk operation and is
 * given the outcome. A crash, in the simulator, is a generator nobody resumes.
 *
 * `disk` names a device handed to whoever runs the procedure: RESOURCE_DISK or LOCKSPACE_DISK.
 */
export type Effect =
  | {
      readonly op: 'read';
      readonly disk: DiskRole;
      readonly offset: number;
      readonly length: number;
      readonly timeoutMs: number;
    }
  | {
      readonly op: 'write';
      readonly disk: DiskRole;
      readonly offset: number;
      readonly bytes: Uint8Array;
      readonly timeoutMs: number;
      /**
       * Another write to the same device at the same moment, in no order: `done` means both, else
       * the reply is that of one that was not.
       */
      readonly writeToo?: { readonly offset: number; readonly bytes: Uint8Array };
    }
  /**
   * `done` once no earlier write of this process to that span is still under way (each has landed,
   * failed, or never went out); `unknown` if one still is at the timeout (spec 10 §18).
   */
  | {
      readonly op: 'settle';
      readonly disk: DiskRole;
      readonly offset: number;
      readonly length: number;
      readonly timeoutMs: number;
    }
  | { readonly op: 'sleep'; readonly forMs: number };

export type DiskRole = 'lockspace' | 'resource';

/**
 * `done`: for a read, `bytes` stays valid only until the procedure yields again or returns; copy
 * what is kept. `failed`: the kernel said so (`errno`, positive; a short transfer is EMSGSIZE 90).
 * `unknown`: no answer in time. A write may have landed, or may land later. Whoever runs the
 * procedure keeps all writes of its process to one sector in order: a later write waits for an
 * unanswered one, and is `unknown` itself, never sent, if that does not end in time (spec 10 §18).
 */
export type Reply = { readonly nowMs: number } & (
  | { readonly outcome: 'done'; readonly bytes: Uint8Array }
  | { readonly outcome: 'failed'; readonly errno: number }
  | { readonly outcome: 'unknown' }
);

export type Steps<T> = Generator<Readonly<Effect>, T, Readonly<Reply>>;
