import type { ByteString } from '../../base/bytes.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { callOnce } from '../../client/sanlock-link.ts';
import type { SanlockCall } from '../../wire/sanlock/call.ts';
import { receiveDump } from '../lvmlockctl/dump-socket.ts';
import { infoText } from '../lvmlockctl/info-text.ts';
import { readDump } from '../lvmlockctl/read-dump.ts';
import type { DaemonPorts } from './daemons.ts';

/** A daemon answers at once, or hangs. */
const ANSWER_MS = 5000;

/** One call of sanlock; a sentence: it did not answer. */
export function askSanlock<T>(
  { sockets, clock, paths }: DaemonPorts,
  call: SanlockCall<T>,
): Promise<Result<T, string>> {
  const endpoint = { sockets, clock, socketPath: paths.sanlock };
  return new Promise((resolve) => {
    callOnce(endpoint, call, ANSWER_MS, (result) =>
      resolve(result.ok ? result : fail(result.error.message)),
    );
  });
}

/** What `lvmlockctl -i` prints, as lines for people or as the daemon wrote its records. */
export async function askLvmlockdState(
  { sockets, clock, paths }: DaemonPorts,
  form: 'lines' | 'records',
): Promise<Result<ByteString, string>> {
  const endpoint = { sockets, clock, socketPath: paths.lvmlockd };
  const kind = form === 'lines' ? 'info' : 'raw';
  const dump = await readDump(kind, { endpoint, receiveDump, dumpWithinMs: ANSWER_MS });
  return dump.ok && form === 'lines' ? ok(infoText(dump.value)) : dump;
}
