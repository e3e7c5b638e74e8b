import type { ByteString } from '../../base/bytes.ts';
import { ERRNO } from '../../base/errno.ts';
import { codeName, SANLOCK_CODES } from './codes.ts';

/** Why a call has no value: the daemon refused it, or no answer came. */
export interface SanlockFailure {
  /** Negative: what libsanlock would return: an errno, or a number of SANLOCK_CODES. */
  readonly code: number;
  /** Its name: 'ACQUIRE_IDLIVE', 'ENOENT', or 'code -9999' for a number without a name. */
  readonly name: string;
  /**
   * `refused`: the daemon said so. `unsent`: the daemon was not reached and did nothing.
   * `unknown`: the answer did not come (deadline, abort, connection lost); it may have been done.
   */
  readonly outcome: 'refused' | 'unsent' | 'unknown';
  /** One sentence for the log or a terminal: what was attempted, on what, and what was found. */
  readonly message: string;
  /** Bytes the daemon sent along with a refusal. */
  readonly body: Uint8Array;
}

/** For the administrator: the meaning of the codes met most often. */
const EXPLANATIONS: ReadonlyMap<number, string> = new Map([
  [-ERRNO.ENOENT, 'there is no such file, lockspace or lease'],
  [-ERRNO.ENODEV, 'the device cannot be opened'],
  [-ERRNO.EAGAIN, 'the daemon is not ready yet, or others still hold it shared'],
  [-ERRNO.EBUSY, 'it is in use: by another command, or by leases kept from before a restart'],
  [-ERRNO.EEXIST, 'this host holds it already'],
  [-ERRNO.EINVAL, 'an argument is not valid'],
  [-ERRNO.ENOSPC, 'the lockspace is not joined, or is being lost'],
  [-ERRNO.ESRCH, 'no registered process has that pid'],
  [-ERRNO.ETIMEDOUT, 'no answer came before the deadline'],
  [-ERRNO.ECANCELED, 'the caller gave up waiting'],
  [-ERRNO.ENOTCONN, 'the connection was closed before the answer'],
  [-ERRNO.ECONNREFUSED, 'no daemon listens there'],
  [SANLOCK_CODES.AIO_TIMEOUT, 'the disk did not answer in time'],
  [SANLOCK_CODES.WD_ERROR, 'the watchdog daemon cannot be used'],
  [SANLOCK_CODES.ACQUIRE_IDLIVE, 'a live host holds it'],
  [SANLOCK_CODES.ACQUIRE_OWNED, 'another host took it first'],
  [SANLOCK_CODES.ACQUIRE_OTHER, 'another host took it first'],
  [SANLOCK_CODES.ACQUIRE_OWNED_RETRY, 'its owner is silent, but not yet surely dead'],
  [SANLOCK_CODES.HOSTID_BUSY, 'another host uses that host id'],
  [SANLOCK_CODES.LEADER_MAGIC, 'there is no lease at that place'],
  [SANLOCK_CODES.LEADER_LOCKSPACE, 'the lease there belongs to another lockspace'],
  [SANLOCK_CODES.LEADER_RESOURCE, 'the lease there has another name'],
]);

/** For a call that reads or writes areas, ENOSPC means the end of the device. */
const OF_AREAS = /^(read|write)_|_rindex$|^align$/;
const DEVICE_END = 'the device ends before the end of that area';

/** A failure with the name of its code and its sentence. */
export function makeFailure(
  from: Pick<SanlockFailure, 'code' | 'outcome'> & {
    readonly call: string;
    readonly socketPath: ByteString;
    readonly body?: Uint8Array;
  },
): SanlockFailure {
  const name = codeName(from.code);
  const isDeviceEnd = from.code === -ERRNO.ENOSPC && OF_AREAS.test(from.call);
  const explanation = isDeviceEnd ? DEVICE_END : EXPLANATIONS.get(from.code);
  const because = explanation === undefined ? '' : `: ${explanation}`;
  const verb = from.outcome === 'refused' ? 'refused' : 'failed';
  return {
    code: from.code,
    name,
    outcome: from.outcome,
    message: `${from.call} on ${from.socketPath} ${verb} with ${name} (${from.code})${because}`,
    body: from.body ?? new Uint8Array(0),
  };
}
