import { ERRNO } from '../../base/errno.ts';
import { decode } from '../../codec/struct.ts';
import { MAX_HOST_ID } from '../../format/limits.ts';
import { sanlkHostEvent, sanlkLockspace } from '../../wire/sanlock/socket.ts';
import type { Front } from '../front.ts';
import { announce, closeFinished, openChannel, orderEvent } from '../host-events.ts';
import type { Request } from '../request.ts';
import type { Reply } from '../state.ts';
import type { Answer } from './info.ts';

/** Above every lockspace's number of hosts. */

/** The connection becomes a channel of events; the client sends its requests on others. */
export function regEventAnswer(front: Front, request: Request): Answer {
  const { client, body } = request;
  const { name } = decode(sanlkLockspace, body);
  if (name === '') return { result: -ERRNO.EINVAL };
  const lockspace = front.liveLockspace(name);
  if (lockspace === null) return { result: -ERRNO.ENOENT };
  const { connection, registered: shared } = client;
  if (openChannel(front, { connection, lockspace, shared }) === null) {
    return { result: -ERRNO.ENOCSI };
  }
  if (!shared) {
    front.clients.delete(connection); // status shows it no more
    front.effects.push({ kind: 'listen', connection });
  }
  return { result: 0, staysOpen: true };
}

export function endEventAnswer(front: Front, request: Request): Answer {
  const { name } = decode(sanlkLockspace, request.body);
  if (name === '') return { result: -ERRNO.EINVAL };
  const lockspace = front.liveLockspace(name);
  if (lockspace === null) return { result: -ERRNO.ENOENT };
  closeFinished(front, lockspace);
  return { result: 0 };
}

/** The event goes out with the next renewal (spec 10 §10.3). */
export function setEventCommand(front: Front, request: Request, reply: Reply): void {
  reply(setEvent(front, request));
}

function setEvent(front: Front, request: Request): number {
  const { name } = decode(sanlkLockspace, request.body);
  const { hostId, generation, event, data } = decode(
    sanlkHostEvent,
    request.body,
    sanlkLockspace.size,
  );
  const isHost = hostId > 0n && hostId <= BigInt(MAX_HOST_ID);
  if (name === '' || !isHost) return -ERRNO.EINVAL;
  const space = front.liveLockspace(name);
  if (space === null) return -ERRNO.ENOENT;
  if (hostId > BigInt(space.maxHosts)) return -ERRNO.EINVAL;
  const order = {
    hostId: Number(hostId),
    event: { generation, number: event, data },
    flags: request.header.cmdFlags,
  };
  if (!orderEvent(front, space, order)) return -ERRNO.EBUSY;
  announce(front, space);
  return 0;
}
