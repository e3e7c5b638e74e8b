import type { ByteString } from '../../../base/bytes.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import { readResource, writeLockspace, writeResource } from '../../../wire/sanlock/area-calls.ts';
import { SANLOCK_CODES } from '../../../wire/sanlock/codes.ts';
import { getLockspaces, version } from '../../../wire/sanlock/daemon-calls.ts';
import { both, type InitVgOutcome, OK, type Outcome, type VgPlace } from '../manager.ts';
import type { ManagerSteps } from '../steps.ts';
import { ask } from './ask.ts';
import {
  areaAt,
  GL_DISABLED_NAME,
  GL_NAME,
  type LeaseSite,
  lockLvOfArgs,
  lockLvPath,
  resourceAt,
  SLOT_GL,
  SLOT_VG,
  sanlockSpaceName,
  sectorSizeOf,
  sizesForSector,
  UNUSED_NAME,
  VG_NAME,
  vgArgsFor,
} from './layout.ts';
import { areaOutcome, codeOf, isAnswered, isPastEnd } from './results.ts';
import { deviceOnceThere, siteOf } from './site.ts';
import type { SanlockTimes } from './times.ts';

/** All leases of a VG, outside of a lockspace: formatting them, and writing another VG name. */

const MAX_SLOTS = 1_000_000;

/**
 * BUSY while this host's sanlock has a lockspace on the device, under any name: writing the leases
 * anew would destroy those that it renews and those that its clients hold. 0: it has none.
 */
function* joinedAt(path: ByteString, times: SanlockTimes): ManagerSteps<number> {
  const answer = yield* ask(getLockspaces(), times.quickMs);
  if (!answer.ok) return isAnswered(answer) ? 0 : LD_RESULT.EMANAGER;
  return answer.value.some((area) => area.path === path) ? LD_RESULT.BUSY : 0;
}

/** Formats all leases of a VG: host leases, GL, VG, and a free slot for every LV to come. */
export function* initVg(
  vg: VgPlace,
  how: { readonly enableGl: boolean; readonly alignMb: number },
  times: SanlockTimes,
): ManagerSteps<InitVgOutcome> {
  const refuse = (outcome: Outcome) => ({ ...outcome, vgLockArgs: vg.vgLockArgs });
  if (vg.vgLockArgs === '') return refuse({ result: LD_RESULT.EARGS, lmResult: 0 });
  const path = lockLvPath(vg.vgName, vg.vgLockArgs);
  const device = yield* deviceOnceThere(path);
  const sector = sectorSizeOf(device.physicalBytes, device.logicalBytes);
  const sizes = sector === null ? null : sizesForSector(sector, how.alignMb);
  if (!device.exists || sizes === null) return refuse({ result: LD_RESULT.EARGS, lmResult: 0 });
  const running = yield* ask(version(), times.quickMs);
  if (!isAnswered(running)) return refuse({ result: LD_RESULT.EMANAGER, lmResult: 0 });

  const joined = yield* joinedAt(path, times);
  if (joined !== 0) return refuse(both(joined === LD_RESULT.BUSY ? LD_RESULT.EXIST : joined));

  const spaceName = sanlockSpaceName(vg.vgName);
  const site: LeaseSite = { spaceName, path, sizes };
  const wrote = yield* writeHostLeases(site, times);
  if (!wrote.ok) return refuse(areaOutcome(wrote));
  for (let slot = SLOT_GL; slot < MAX_SLOTS; slot++) {
    const resource = resourceAt(site, slotName(slot, how.enableGl), slot * site.sizes.alignBytes);
    const answer = yield* ask(writeResource(resource), times.diskMs);
    if (slot > SLOT_VG && isPastEnd(answer)) break;
    if (!answer.ok) return refuse(areaOutcome(answer));
  }
  return { ...OK, vgLockArgs: vgArgsFor(vg.vgLockArgs) };
}

function slotName(slot: number, enableGl: boolean): ByteString {
  if (slot === SLOT_GL) return enableGl ? GL_NAME : GL_DISABLED_NAME;
  return slot === SLOT_VG ? VG_NAME : UNUSED_NAME;
}

/** `name` other than the VG's: the lockspace of a removed VG. */
export function writeHostLeases(site: LeaseSite, times: SanlockTimes, name = site.spaceName) {
  const { ioTimeoutS, diskMs } = times;
  return ask(writeLockspace(areaAt(site, 0, name), { ioTimeoutS }), diskMs);
}

/**
 * Writes the VG's new name into the host leases and every lease. A slot that cannot be read keeps
 * its old name and is reported at the end: the slots behind it still get theirs.
 */
export function* renameVg(vg: VgPlace, times: SanlockTimes): ManagerSteps<Outcome> {
  const lockLv = lockLvOfArgs(vg.vgLockArgs);
  if (lockLv !== null) yield* deviceOnceThere(lockLvPath(vg.vgName, lockLv));
  const found = yield* siteOf(vg, times, '');
  if (!('path' in found)) return found;
  const joined = yield* joinedAt(found.path, times);
  if (joined !== 0) return both(joined);
  const site: LeaseSite = { ...found, spaceName: sanlockSpaceName(vg.vgName) };
  const wrote = yield* writeHostLeases(site, times);
  if (!wrote.ok) return areaOutcome(wrote);
  let worst: Outcome = OK;
  for (let slot = SLOT_GL; slot < MAX_SLOTS; slot++) {
    const offset = slot * site.sizes.alignBytes;
    const old = resourceAt({ ...site, spaceName: '' }, '', offset);
    const read = yield* ask(readResource(old), times.diskMs);
    if (isPastEnd(read)) break;
    if (codeOf(read) === SANLOCK_CODES.LEADER_MAGIC) continue; // never written: no name to change
    if (!isAnswered(read)) return areaOutcome(read);
    if (!read.ok) {
      worst = areaOutcome(read);
      continue;
    }
    const written = yield* ask(
      writeResource(resourceAt(site, read.value.name, offset)),
      times.diskMs,
    );
    if (!written.ok) worst = areaOutcome(written);
  }
  return worst;
}
