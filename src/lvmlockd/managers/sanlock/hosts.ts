import type { ByteString } from '../../../base/bytes.ts';
import { ERRNO } from '../../../base/errno.ts';
import { decode } from '../../../codec/struct.ts';
import {
  DELTA_DISK_MAGIC,
  damageOfDelta,
  deltaLeader,
  leaderChecksum,
} from '../../../format/leader.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import { getHosts } from '../../../wire/sanlock/daemon-calls.ts';
import { HOST_STATES, RES_FLAGS } from '../../../wire/sanlock/socket.ts';
import { both, type HostsOutcome, OK } from '../manager.ts';
import { type ManagerSteps, readSectors, sleep } from '../steps.ts';
import { ask } from './ask.ts';
import type { LeaseSite } from './layout.ts';
import { codeOf, isAnswered } from './results.ts';
import type { SanlockTimes } from './times.ts';

const POLL_MS = 500;
/** The bits of a host's flags that are its state. */
export const HOST_STATE_MASK = 0xf;

/**
 * Is another host in the lockspace? sanlock does not know for about one renewal after a join: the
 * answer waits for that. Nor does it know for so long that a host has left: the host lease of one
 * that it still counts as alive is read (lvm asks four times within seconds, and gives up).
 * Whatever cannot be known counts as "another host is there" (spec 31 §14, 12).
 */
export function* otherHosts(
  site: LeaseSite,
  ownHostId: number,
  times: SanlockTimes,
): ManagerSteps<HostsOutcome> {
  for (let leftMs = times.hostsMs; leftMs > 0; leftMs -= POLL_MS) {
    const answer = yield* ask(getHosts(site.spaceName), times.quickMs);
    if (answer.ok) {
      const others = answer.value.filter((host) => host.hostId !== BigInt(ownHostId));
      const isOwnSeen = others.length < answer.value.length;
      const inState = (states: readonly number[]) =>
        others.filter(({ flags }) => states.includes(flags & HOST_STATE_MASK));
      for (const { hostId } of inState([HOST_STATES.LIVE, HOST_STATES.FAIL])) {
        if (!(yield* hasLeft(site, Number(hostId), times))) {
          return { ...both(LD_RESULT.BUSY), unknown: false };
        }
      }
      const isKnown = isOwnSeen && inState([HOST_STATES.UNKNOWN]).length === 0;
      if (isKnown) return { ...OK, unknown: false };
    } else if (!isAnswered(answer) || codeOf(answer) !== -ERRNO.EAGAIN) {
      return { ...both(LD_RESULT.BUSY), unknown: true };
    }
    yield* sleep(POLL_MS);
  }
  return { ...both(LD_RESULT.BUSY), unknown: true };
}

function* hasLeft(site: LeaseSite, hostId: number, times: SanlockTimes): ManagerSteps<boolean> {
  const record = yield* hostOnDisk(site, hostId, times.quickMs);
  return record !== null && record.timestampS === 0;
}

/** A host's record in the area of host leases, read from the device itself. */
export interface HostRecord {
  /** Of the last join of this host id. */
  readonly generation: number;
  /** At the last renewal, by that host's monotonic clock; 0: it has left. */
  readonly timestampS: number;
  readonly ioTimeoutS: number;
  readonly name: ByteString;
}

/**
 * Whether sanlock has joined the lockspace or not: what no call of sanlock answers before the join.
 * null: there is no sound record of that host id, or the device did not give it in time.
 */
export function* hostOnDisk(
  { path, sizes }: LeaseSite,
  hostId: number,
  deadlineMs: number,
): ManagerSteps<HostRecord | null> {
  const length = (sizes.flags & RES_FLAGS.SECTOR4K) !== 0 ? 4096 : 512;
  const bytes = yield* readSectors({ path, offset: (hostId - 1) * length, length }, deadlineMs);
  if (bytes === null) return null;
  const record = decode(deltaLeader, bytes);
  const isSound = record.magic === DELTA_DISK_MAGIC && record.checksum === leaderChecksum(bytes);
  if (!isSound || damageOfDelta(record, hostId) !== null) return null;
  return {
    generation: Number(record.ownerGeneration),
    timestampS: Number(record.timestampS),
    ioTimeoutS: record.ioTimeoutS & 0xff,
    name: record.hostName,
  };
}
