import type { ByteString } from '../base/bytes.ts';
import { ERRNO, errnoName } from '../base/errno.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { MIB } from '../base/units.ts';
import { ByteQueue } from '../codec/byte-queue.ts';
import type { Clock } from '../ports/clock.ts';
import type { Connecting } from '../ports/sockets.ts';

/** Where the guard listens, and the ports by which it is reached. */
export interface GuardEndpoint {
  readonly sockets: Connecting;
  readonly clock: Clock;
  readonly socketPath: ByteString;
}

/** What the guard answered: one line of JSON, without its end. */
export interface GuardAnswer {
  readonly line: string;
  /** Of the process that answered; null: the platform does not say. */
  readonly pid: number | null;
}

/** Why there is no answer. `absent`: nobody listens there. */
export interface GuardSilence {
  readonly kind: 'absent' | 'silent';
  /** One sentence. */
  readonly text: string;
}

const CONNECT_MS = 10_000;
/** A report about the greatest number of guests, each with more disks than it can have. */
const MAX_ANSWER_BYTES = 64 * MIB;
const NEWLINE = 10;
const NOBODY: ReadonlySet<number> = new Set([ERRNO.ENOENT, ERRNO.ECONNREFUSED, ERRNO.ENOTDIR]);

/** Sends the guard one request without a body, as 'status'. Never rejects. */
export function askGuard(
  { sockets, clock, socketPath }: GuardEndpoint,
  operation: string,
  timeoutMs: number,
): Promise<Result<GuardAnswer, GuardSilence>> {
  return new Promise((resolve) => {
    sockets.connect(socketPath, CONNECT_MS, (opened) => {
      if (!opened.ok) {
        const kind = NOBODY.has(opened.errno) ? 'absent' : 'silent';
        const text = `cannot connect to ${socketPath}: ${errnoName(opened.errno)}`;
        resolve(fail({ kind, text }));
        return;
      }
      const { connection } = opened;
      const arrived = new ByteQueue();
      const end = (result: Result<GuardAnswer, GuardSilence>) => {
        deadline.cancel();
        connection.close();
        resolve(result);
      };
      const silent = (text: string) => end(fail({ kind: 'silent', text }));
      const deadline = clock.after(timeoutMs, () =>
        silent(`the guard gave no answer within ${timeoutMs / 1000} s`),
      );
      connection.onClosed(() => silent('the guard closed the connection without an answer'));
      connection.onData((bytes) => {
        arrived.push(bytes);
        if (bytes[bytes.length - 1] === NEWLINE) {
          const line = new TextDecoder().decode(arrived.take(arrived.length - 1));
          end(ok({ line, pid: connection.peerPid }));
        } else if (arrived.length > MAX_ANSWER_BYTES) {
          silent(`the guard answered with more than ${MAX_ANSWER_BYTES} bytes`);
        }
      });
      connection.send(new TextEncoder().encode(`${JSON.stringify({ operation })}\n`));
    });
  });
}
