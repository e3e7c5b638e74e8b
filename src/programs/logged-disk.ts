import { type ByteString, nameToText } from '../base/bytes.ts';
import type { Disk, DiskReply, LateEnd, Urgency } from '../ports/disk.ts';
import type { Log } from '../ports/log.ts';
import { codeName } from '../wire/sanlock/codes.ts';

/** A device whose every operation that does not succeed is in the log, with path and errno. */
export class LoggedDisk implements Disk {
  readonly #disk: Disk;
  readonly #path: ByteString;
  readonly #log: Log;

  constructor(disk: Disk, path: ByteString, log: Log) {
    this.#disk = disk;
    this.#path = path;
    this.#log = log;
  }

  read(
    at: { offset: number; length: number } & Urgency,
    timeoutMs: number,
    answer: (reply: DiskReply) => void,
  ): void {
    const { offset, length } = at;
    this.#disk.read(at, timeoutMs, (reply) => {
      if (reply.outcome !== 'done')
        this.#logReply(reply, { op: 'read', offset, length, timeoutMs });
      answer(reply);
    });
  }

  write(
    at: { offset: number; bytes: Uint8Array } & Urgency,
    timeoutMs: number,
    answer: (reply: DiskReply) => void,
    endedLate?: (end: LateEnd) => void,
  ): void {
    const { offset } = at;
    const { length } = at.bytes;
    const logged = (reply: DiskReply): void => {
      if (reply.outcome !== 'done')
        this.#logReply(reply, { op: 'write', offset, length, timeoutMs });
      answer(reply);
    };
    this.#disk.write(at, timeoutMs, logged, endedLate);
  }

  close(): void {
    this.#disk.close();
  }

  #logReply(
    reply: Exclude<DiskReply, { outcome: 'done' }>,
    of: { op: string; offset: number; length: number; timeoutMs: number },
  ): void {
    const { op, offset, length, timeoutMs } = of;
    const fields = { path: nameToText(this.#path), op, offset, length };
    if (reply.outcome === 'unknown') this.#log.warn('disk.silent', { ...fields, timeoutMs });
    else this.#log.warn('disk.failed', { ...fields, ...errnoFields(reply.errno) });
  }
}

/** The number that clients know, and the name that administrators know. */
export function errnoFields(errno: number): { readonly errno: number; readonly error: string } {
  return { errno, error: codeName(-errno) };
}
