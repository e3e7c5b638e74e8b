import { assert } from '../../base/assert.ts';
import { ERRNO } from '../../base/errno.ts';
import { decode } from '../../codec/struct.ts';
import type { LeaseCommandResult } from '../../lease-process/messages.ts';
import { CONVERT_FLAGS, RES_FLAGS, sanlkResource } from '../../wire/sanlock/socket.ts';
import { COMMAND_LOST } from '../command-lost.ts';
import type { Front } from '../front.ts';
import { recordConversion, recordLvb, recordMode } from '../holder-journal.ts';
import { catchUp } from '../journal-writer.ts';
import { grantsPaused } from '../lag.ts';
import type { Request } from '../request.ts';
import { resultNumber } from '../result-number.ts';
import type { Client, Pending, Reply, Resource } from '../state.ts';
import { takerOf } from '../taker.ts';
import { leaveUnconverted } from '../undone.ts';
import { finishCommand, tokenOf } from './leases.ts';

type End = (result: number) => void;

export function convertCommand(front: Front, request: Request, client: Client, reply: Reply): void {
  const asked = decode(sanlkResource, request.body);
  const token = tokenOf(front, client, asked);
  const end: End = (result) => finishCommand(front, client, () => reply(result));
  if (token === null || token.resource.hold === null) {
    end(-ERRNO.ENOENT);
    return;
  }
  const { resource } = token;
  const toShared = (asked.flags & RES_FLAGS.SHARED) !== 0;
  if (resource.shared === toShared) {
    // A step up that could not be recorded, and not be undone, was refused: it is still not told.
    end(catchUp(front) ? -ERRNO.EALREADY : -ERRNO.EAGAIN);
    return;
  }
  if (!toShared && resource.holders.length > 1) {
    end(-ERRNO.EAGAIN);
    return;
  }
  const space = front.usableLockspace(asked.lockspaceName);
  if (space === null) {
    end(-ERRNO.ENOSPC);
    return;
  }
  if (!toShared && grantsPaused(front, space)) {
    end(-ERRNO.EAGAIN);
    return;
  }
  const ownerNowait = (request.header.cmdFlags & CONVERT_FLAGS.OWNER_NOWAIT) !== 0;
  convert(front, resource, { toShared, ownerNowait }, end);
}

/** Which way, and whether it waits for the owner of a lease that it meets. */
interface Wish {
  readonly toShared: boolean;
  readonly ownerNowait: boolean;
}

interface Outcome {
  /** The mode has changed, or may have. */
  readonly isChanged: boolean;
  /** The journal has the mode. */
  readonly isRecorded: boolean;
  readonly result: LeaseCommandResult;
}

function convert(front: Front, resource: Resource, wish: Wish, end: End): void {
  const { lockspace } = resource;
  const { toShared } = wish;
  resource.converting = true; // first: its line may be written with all others
  if (!recordConversion(front, resource)) {
    resource.converting = false;
    end(-ERRNO.EAGAIN);
    return;
  }
  convertOnDisk(front, resource, wish, ({ isChanged, isRecorded, result }) => {
    if (!isChanged) {
      end(result.ok ? -1 : resultNumber(result.error));
      return;
    }
    if (!toShared && !isRecorded) {
      // The next daemon would take the step up back, below a client that was told of it.
      resource.converting = true;
      convertOnDisk(front, resource, STEP_DOWN, () => end(-ERRNO.EAGAIN));
      return;
    }
    // A step up that comes after our own expiry, or while users are being stopped, grants nothing.
    const usable = front.usableLockspace(lockspace.name) === lockspace;
    end(usable || toShared ? 0 : -ERRNO.ENOSPC);
  });
}

const STEP_DOWN: Wish = { toShared: true, ownerNowait: true };

function convertOnDisk(
  front: Front,
  resource: Resource,
  { toShared, ownerNowait }: Wish,
  done: (outcome: Outcome) => void,
): void {
  const { lockspace, hold } = resource;
  assert(hold !== null, 'a lease is converted while it is held');
  const lvb = toShared && resource.lvbDirty ? resource.lvb : null;
  const holder = resource.holders[0];
  const taker = holder === undefined ? {} : { taker: takerOf(holder.client) };
  const wish = { toShared, ownerNowait, lvb, ...taker };
  const command = { op: 'convert', hold: hold.number, ...wish } as const;
  const converted: Pending['done'] = (result, unfinished) => {
    resource.converting = false;
    const isDone = result.ok && result.op === 'convert';
    // A lost process may have written it, and other hosts may share the lease by now: a client that
    // asked to step down to shared must count as a sharer.
    const isChanged = isDone || (toShared && result === COMMAND_LOST);
    if (isChanged) {
      assert(resource.holders.length === 1, 'a lease is converted for its only holder');
      resource.shared = toShared;
      if (isDone) resource.hold = result.hold;
    }
    const isWritten = isChanged && lvb !== null && resource.lvb === lvb; // else set again since
    if (isWritten) resource.lvbDirty = false;
    const isLeft = !isChanged && leaveUnconverted(front, resource, { result, unfinished });
    const isRecorded = isLeft || recordMode(front, resource);
    if (isWritten) recordLvb(front, resource);
    done({ isChanged, isRecorded, result });
  };
  front.command(lockspace.lease, command, converted, resource);
}
