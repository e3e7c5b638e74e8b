/**
 * What renews a host's own lease in its lockspace is `urgent`: nothing else takes its room.
 * Anything else waits for room within its timeout.
 */
export interface Urgency {
  readonly urgent?: boolean;
}

/**
 * A device opened O_RDWR | O_DIRECT | O_SYNC. Offsets and lengths are multiples of the sector.
 * Each operation answers exactly once, at the latest at its timeout. A timed-out operation is not
 * cancelled: it may still complete, and its memory stays reserved until it does.
 */
export interface Disk {
  /** On `done`, `bytes` is pooled memory, valid until `release()` of the answer is called. */
  read(
    at: { offset: number; length: number } & Urgency,
    timeoutMs: number,
    answer: (reply: DiskReply) => void,
  ): void;
  write(
    at: { offset: number; bytes: Uint8Array } & Urgency,
    timeoutMs: number,
    answer: (reply: DiskReply) => void,
    /** Called once, after `unknown` was answered, when the write has ended after all. */
    endedLate?: (end: LateEnd) => void,
  ): void;
  /** No new operation after this; those under way end by themselves. */
  close(): void;
}

/**
 * The outcome of one read or write. `failed`: the kernel refused, with a positive errno. `unknown`:
 * no answer in time; a write may have landed, or may land later.
 */
export type DiskReply =
  | { readonly outcome: 'done'; readonly bytes: Uint8Array; readonly release: () => void }
  | {
      readonly outcome: 'failed';
      readonly errno: number;
      /** Turned down before it was handed on. Without this, a write may have got further. */
      readonly unsent?: true;
    }
  | { readonly outcome: 'unknown' };

/** `refused`: answered with an error, as `failed`; `unsent`: it never left this process. */
export type LateEnd = 'landed' | 'refused' | 'unsent';

/** Opens devices and files that hold leases, by path. */
export interface Disks {
  /** errno positive; answers once, at the latest at the timeout (ETIMEDOUT 110). */
  open(
    path: string,
    timeoutMs: number,
    answer: (
      opened:
        | {
            ok: true;
            disk: Disk;
            /** Names the device itself, whichever path led to it. */
            deviceId: string;
            deviceSectorSize: 512 | 4096 | null;
          }
        | { ok: false; errno: number },
    ) => void,
    how?: Urgency,
  ): void;
}
