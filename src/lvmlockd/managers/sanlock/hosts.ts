import type { ByteString } from '../../../base/bytes.ts';
import { ERRNO } from '../../../base/errno.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import { HOST_STATES } from '../../../wire/sanlock/socket.ts';
import { both, type HostsOutcome, type ManagerSteps, OK } from '../manager.ts';
import { ask, type SanlockTimes, sleep } from './slots.ts';

const LOOK_AGAIN_MS = 500;

/**
 * Is another host in the lockspace? sanlock does not know for about one renewal after a join: the
 * answer waits for that. Whatever cannot be known counts as "somebody is there" (spec 31 §14, 12).
 */
export function* otherHosts(
  spaceName: ByteString,
  ownHostId: number,
  times: SanlockTimes,
): ManagerSteps<HostsOutcome> {
  const t = times.ioTimeoutS === 0 ? 10 : times.ioTimeoutS;
  const looks = Math.ceil((5 * t * 1000) / LOOK_AGAIN_MS);
  for (let look = 0; look < looks; look++) {
    const answer = yield* ask({ call: 'getHosts', name: spaceName }, times.quickMs);
    if (!answer.answered) return { ...both(LD_RESULT.BUSY), unknown: true };
    if (answer.code < 0 && answer.code !== -ERRNO.EAGAIN) {
      return { ...both(LD_RESULT.BUSY), unknown: true };
    }
    if (answer.code >= 0) {
      const others = answer.hosts.filter((host) => host.hostId !== BigInt(ownHostId));
      const isOwnSeen = others.length < answer.hosts.length;
      const states = others.map((host) => host.state);
      if (states.includes(HOST_STATES.LIVE) || states.includes(HOST_STATES.FAIL)) {
        return { ...both(LD_RESULT.BUSY), unknown: false };
      }
      if (isOwnSeen && !states.includes(HOST_STATES.UNKNOWN)) return { ...OK, unknown: false };
    }
    yield* sleep(LOOK_AGAIN_MS);
  }
  return { ...both(LD_RESULT.BUSY), unknown: true };
}
