import type { ByteString } from '../../../base/bytes.ts';
import { ERRNO } from '../../../base/errno.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import { getHosts } from '../../../wire/sanlock/daemon-calls.ts';
import { HOST_STATES } from '../../../wire/sanlock/socket.ts';
import { both, type HostsOutcome, OK } from '../manager.ts';
import { type ManagerSteps, sleep } from '../steps.ts';
import { ask } from './ask.ts';
import { codeOf, isAnswered } from './results.ts';
import type { SanlockTimes } from './times.ts';

const POLL_MS = 500;
/** The bits of a host's flags that are its state. */
export const HOST_STATE_MASK = 0xf;

/**
 * Is another host in the lockspace? sanlock does not know for about one renewal after a join: the
 * answer waits for that. Whatever cannot be known counts as "another host is there" (spec 31 §14,
 * 12).
 */
export function* otherHosts(
  spaceName: ByteString,
  ownHostId: number,
  times: SanlockTimes,
): ManagerSteps<HostsOutcome> {
  for (let leftMs = times.hostsMs; leftMs > 0; leftMs -= POLL_MS) {
    const answer = yield* ask(getHosts(spaceName), times.quickMs);
    if (answer.ok) {
      const others = answer.value.filter((host) => host.hostId !== BigInt(ownHostId));
      const isOwnSeen = others.length < answer.value.length;
      const states = others.map((host) => host.flags & HOST_STATE_MASK);
      if (states.includes(HOST_STATES.LIVE) || states.includes(HOST_STATES.FAIL)) {
        return { ...both(LD_RESULT.BUSY), unknown: false };
      }
      if (isOwnSeen && !states.includes(HOST_STATES.UNKNOWN)) return { ...OK, unknown: false };
    } else if (!isAnswered(answer) || codeOf(answer) !== -ERRNO.EAGAIN) {
      return { ...both(LD_RESULT.BUSY), unknown: true };
    }
    yield* sleep(POLL_MS);
  }
  return { ...both(LD_RESULT.BUSY), unknown: true };
}
