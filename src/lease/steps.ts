/**
 * What a procedure wants done, on one of the two devices that were opened for it. Offsets and
 * lengths are bytes, in whole sectors; the reply comes at the latest after `timeoutMs`.
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
      /**
       * Goes out although an earlier one to these sectors was refused and may yet land after it:
       * whichever of the two remains, it is right (spec 10 §18.4).
       */
      readonly overRefused?: true;
    }
  /**
   * `done` once no earlier write of this process to that span may still land (each has landed,
   * never went out, or was refused long ago); `unknown` if one still may at the timeout (spec 10
   * §18).
   */
  | {
      readonly op: 'settle';
      readonly disk: DiskRole;
      readonly offset: number;
      readonly length: number;
      readonly timeoutMs: number;
    }
  | { readonly op: 'sleep'; readonly forMs: number };

/** Which of the two devices of a procedure: that of the lockspace, or that of the resource. */
export type DiskRole = 'lockspace' | 'resource';

/**
 * `done`: for a read, `bytes` is valid only until the procedure yields again or returns; copy what
 * is kept. `failed`: the kernel said so (`errno`, positive; a short transfer is EMSGSIZE 90).
 * `unknown`: no answer in time. After either a write may have landed, or may land later; `failed`
 * only says that the device did not promise to keep it, and limits how much later. The program that
 * runs the procedure keeps all writes of its process to one sector in order: a later write waits
 * for one that may still land, and is `unknown` itself, never sent, if that does not end in time
 * (§18).
 */
export type Reply = { readonly nowMs: number } & (
  | { readonly outcome: 'done'; readonly bytes: Uint8Array }
  | { readonly outcome: 'failed'; readonly errno: number }
  | { readonly outcome: 'unknown' }
);

/**
 * A lease protocol as a straight line that touches nothing: a generator that yields each disk
 * operation and is given its outcome. A crash, in the simulator, is a generator that is never
 * resumed.
 */
export type Steps<T> = Generator<Readonly<Effect>, T, Readonly<Reply>>;
