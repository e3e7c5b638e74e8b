import type { ByteString } from '../base/bytes.ts';
import { fail, ok, type Result } from '../base/result.ts';
import type { Clock } from '../ports/clock.ts';
import type { Connecting } from '../ports/sockets.ts';
import {
  type Fields,
  formatMessage,
  messageReader,
  numberOf,
  parseConfig,
  textOf,
  textToBytes,
} from '../wire/lvmlockd/libdaemon.ts';
import { LVMLOCKD_PROTOCOL, LVMLOCKD_PROTOCOL_VERSION } from '../wire/lvmlockd/numbers.ts';

/** Where an lvmlockd listens, and the ports by which it is reached. */
export interface LvmlockdEndpoint {
  readonly sockets: Connecting;
  readonly clock: Clock;
  readonly socketPath: ByteString;
}

const CONNECT_MS = 10_000;
const HELLO = formatMessage([['request', 'hello']]);

/**
 * Says hello and sends one request. Never rejects: the failure is one sentence.
 * @param timeoutMs for the answer; a stop that waits may take minutes.
 */
export function askLvmlockd(
  endpoint: LvmlockdEndpoint,
  request: ByteString,
  timeoutMs: number,
): Promise<Result<Fields, string>> {
  const { sockets, clock, socketPath } = endpoint;
  return new Promise((resolve) => {
    sockets.connect(socketPath, CONNECT_MS, (opened) => {
      if (!opened.ok) {
        resolve(
          fail(`cannot reach lvmlockd at ${socketPath} (errno ${opened.errno}): is it running?`),
        );
        return;
      }
      const { connection } = opened;
      const reader = messageReader();
      let isGreeted = false;
      const end = (result: Result<Fields, string>) => {
        deadline.cancel();
        connection.close();
        resolve(result);
      };
      const deadline = clock.after(timeoutMs, () =>
        end(fail(`lvmlockd gave no answer within ${timeoutMs} ms`)),
      );
      connection.onClosed(() => end(fail('lvmlockd closed the connection without an answer')));
      connection.onData((bytes) => {
        for (const message of reader.push(bytes) ?? []) {
          const fields = parseConfig(message);
          if (!fields.ok) return end(fail(`lvmlockd answered nonsense: ${fields.error}`));
          if (isGreeted) return end(ok(fields.value));
          const refused = greetingFault(fields.value);
          if (refused !== null) return end(fail(refused));
          isGreeted = true;
          connection.send(textToBytes(request));
        }
      });
      connection.send(textToBytes(HELLO));
    });
  });
}

function greetingFault(hello: Fields): string | null {
  const version = numberOf(hello, 'version', 0);
  if (textOf(hello, 'response') !== 'OK') return 'lvmlockd refused the greeting';
  if (textOf(hello, 'protocol') !== LVMLOCKD_PROTOCOL || version !== LVMLOCKD_PROTOCOL_VERSION) {
    return `the daemon speaks ${textOf(hello, 'protocol')} ${version}, not lvmlockd 1`;
  }
  return null;
}
