import type { ByteString } from '../../../base/bytes.ts';
import { status } from '../../../wire/sanlock/daemon-calls.ts';
import { STATE_TYPES } from '../../../wire/sanlock/socket.ts';
import type { HostSeen, RivalWatch } from '../manager.ts';
import { type ManagerSteps, sleep } from '../steps.ts';
import { ask } from './ask.ts';
import { type HostRecord, hostOnDisk } from './hosts.ts';
import type { JoinAttempt, OpenSpace } from './open-space.ts';
import { rivalQuietMs } from './times.ts';

/**
 * Another host that renews the host id with which this one is to join. sanlock answers such a join
 * after 8·t + 60 s, when it is sure (-262). The record of the host id on the disk tells it earlier:
 * after two renewals by a host of another name. A record that stands still is of a host that is
 * gone, or of this one before its restart: it keeps nobody from joining.
 */

const POLL_MS = 500;
const READ_MS = 400;
/** One may be a write of a host that is gone, which the storage had kept for a while. */
const RENEWALS = 2;

/** `record`: of the host id, before the join. @returns it, if it may be of another host */
export function* formerOwner(
  space: OpenSpace,
  record: HostRecord | null,
): ManagerSteps<HostRecord | null> {
  if (record === null || record.timestampS === 0) return null;
  const ownName = yield* nameOfSanlock(space);
  // Of one name, only sanlock can distinguish them.
  return ownName === null || isSameName(record.name, ownName) ? null : record;
}

/** As sanlock calls itself in its host leases; null: it does not say. */
function* nameOfSanlock({ times }: OpenSpace): ManagerSteps<ByteString | null> {
  const answer = yield* ask(status(STATE_TYPES.DAEMON), times.quickMs);
  const daemon = answer.ok ? answer.value.find(({ type }) => type === STATE_TYPES.DAEMON) : null;
  return daemon === null || daemon === undefined || daemon.name === '' ? null : daemon.name;
}

const NAME_BYTES = 48;

function isSameName(one: ByteString, other: ByteString): boolean {
  return one.slice(0, NAME_BYTES) === other.slice(0, NAME_BYTES);
}

/** During the join: until two renewals of that owner, or until its record has stood still. */
export function* watchRival(
  space: OpenSpace,
  former: HostRecord,
  attempt: JoinAttempt,
): ManagerSteps<RivalWatch> {
  const { site, hostId } = space;
  const quietMs = rivalQuietMs(former.ioTimeoutS);
  let last = former;
  let renewals = 0;
  for (let stillMs = 0; stillMs < quietMs; stillMs += POLL_MS) {
    yield* sleep(POLL_MS);
    if (attempt.isCancelled || !attempt.isAdding) return { found: 'over' };
    const record = yield* hostOnDisk(site, hostId, READ_MS);
    if (record === null || record.timestampS === last.timestampS) continue;
    const isSame = record.generation === former.generation && record.name === former.name;
    if (!isSame || record.timestampS < last.timestampS) return { found: 'over' }; // it is ours now
    last = record;
    renewals += 1;
    stillMs = 0;
    if (renewals === RENEWALS) return { found: 'renewed', by: seen(hostId, record) };
  }
  return { found: 'quiet' };
}

/** sanlock has refused the host id: who has it? */
export function* ownerNow({ site, hostId }: OpenSpace): ManagerSteps<HostSeen | null> {
  const record = yield* hostOnDisk(site, hostId, READ_MS);
  return record === null ? null : seen(hostId, record);
}

function seen(hostId: number, { generation, timestampS, name }: HostRecord): HostSeen {
  return { hostId, generation, timestampS, state: '', name };
}
