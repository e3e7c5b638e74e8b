import type { ByteString } from '../../../base/bytes.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import { readLockspace } from '../../../wire/sanlock/area-calls.ts';
import { SANLOCK_CODES } from '../../../wire/sanlock/codes.ts';
import { getLockspaces } from '../../../wire/sanlock/daemon-calls.ts';
import { both, type Outcome, type VgPlace } from '../manager.ts';
import { type DeviceReply, deviceAt, type ManagerSteps, sleep } from '../steps.ts';
import { ask } from './ask.ts';
import {
  type LeaseSite,
  lockLvOfArgs,
  lockLvPath,
  sanlockSpaceName,
  sizesOfFlags,
} from './layout.ts';
import { codeOf, isAnswered, isCorrupt } from './results.ts';
import type { SanlockTimes } from './times.ts';

const HOSTS_TRIED = 3n;
const DEVICE_POLL_MS = 100;
const DEVICE_POLLS = 100;

/**
 * What is at the path of a VG's LV of leases. lvm has just activated it, or given it another name,
 * and asks before udev has made the path (spec 31 §3): it is waited for.
 */
export function* deviceOnceThere(path: ByteString): ManagerSteps<DeviceReply> {
  for (let poll = 1; ; poll++) {
    const device = yield* deviceAt(path);
    if (device.exists || poll >= DEVICE_POLLS) return device;
    yield* sleep(DEVICE_POLL_MS);
  }
}

/** Has sanlock joined the VG's lockspace, be it for an earlier lvmlockd? */
export function* isJoinedThere(vgName: ByteString, times: SanlockTimes): ManagerSteps<boolean> {
  const joined = yield* ask(getLockspaces(), times.quickMs);
  const name = sanlockSpaceName(vgName);
  return joined.ok && joined.value.some((area) => area.name === name);
}

/** Where a VG's leases are, with the sizes its host leases were written with. */
export function* siteOf(
  vg: VgPlace,
  times: SanlockTimes,
  spaceName = sanlockSpaceName(vg.vgName),
): ManagerSteps<LeaseSite | Outcome> {
  const lockLv = lockLvOfArgs(vg.vgLockArgs);
  if (lockLv === null) return both(LD_RESULT.EARGS);
  const path = lockLvPath(vg.vgName, lockLv);
  const area = { name: spaceName, hostId: 1n, path, offset: 0n, flags: 0 };
  let answer = yield* ask(readLockspace(area), times.diskMs);
  // Each host's record has the sizes: a damaged one keeps only its own host out.
  for (let hostId = 2n; isCorrupt(answer) && hostId <= HOSTS_TRIED; hostId++) {
    answer = yield* ask(readLockspace({ ...area, hostId }), times.diskMs);
  }
  if (isCorrupt(answer) && codeOf(answer) !== SANLOCK_CODES.LEADER_MAGIC) {
    return both(LD_RESULT.ELOCKREPAIR);
  }
  if (!answer.ok) return both(isAnswered(answer) ? LD_RESULT.EARGS : LD_RESULT.EMANAGER);
  const sizes = sizesOfFlags(answer.value.lockspace.flags ?? 0);
  return sizes === null ? both(LD_RESULT.EARGS) : { spaceName, path, sizes };
}
