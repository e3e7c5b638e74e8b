/**
 * The library: `import { connectSanlock, acquire } from 'holdfast/client'`.
 *
 * A call takes two steps: `acquire(…)` makes it, as plain data with the type of its answer, and
 * `client.call(…)` or `session.call(…)` sends it.
 */
import { SanlockClient, sanlockSocketPath } from '../client/sanlock.ts';
import { MonotonicClock } from '../platform/clock.ts';
import { UnixSockets } from '../platform/unix-socket.ts';

export { nameToText, textToName } from '../base/bytes.ts';
export { ERRNO } from '../base/errno.ts';
export type { CallOptions } from '../client/sanlock.ts';
export { SanlockClient, SanlockSession, sanlockSocketPath } from '../client/sanlock.ts';
export type { EventHandlers, EventWatch } from '../client/sanlock-events.ts';
export * from '../wire/sanlock/area-calls.ts';
export { codeName, SANLOCK_CODES } from '../wire/sanlock/codes.ts';
export * from '../wire/sanlock/daemon-calls.ts';
export type { ReceivedEvent } from '../wire/sanlock/events.ts';
export type { SanlockFailure } from '../wire/sanlock/failure.ts';
export * from '../wire/sanlock/lease-calls.ts';
export { textField } from '../wire/sanlock/records.ts';
export * from '../wire/sanlock/rindex-calls.ts';
export {
  CONFIG_COMMANDS,
  HOST_STATES,
  RES_FLAGS,
  RESTRICT_FLAGS,
  STATE_TYPES,
} from '../wire/sanlock/socket.ts';
export * from '../wire/sanlock/strings.ts';
export type * from '../wire/sanlock/types.ts';

/**
 * A client of the daemon whose run directory is given, by default `$SANLOCK_RUN_DIR`, else
 * /run/sanlock. Nothing is connected before the first call.
 */
export function connectSanlock(options: { readonly runDirectory?: string } = {}): SanlockClient {
  const runDirectory = options.runDirectory ?? process.env['SANLOCK_RUN_DIR'];
  return new SanlockClient({
    sockets: new UnixSockets(),
    clock: new MonotonicClock(),
    socketPath: sanlockSocketPath(runDirectory),
  });
}
