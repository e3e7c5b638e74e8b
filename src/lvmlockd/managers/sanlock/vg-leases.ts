import type { ByteString } from '../../../base/bytes.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import { readResource, writeLockspace, writeResource } from '../../../wire/sanlock/area-calls.ts';
import { SANLOCK_CODES } from '../../../wire/sanlock/codes.ts';
import { getLockspaces, version } from '../../../wire/sanlock/daemon-calls.ts';
import { both, type InitVgOutcome, OK, type Outcome, type VgPlace } from '../manager.ts';
import type { DeviceReply, ManagerSteps } from '../steps.ts';
import { ask, askEach } from './ask.ts';
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

/** Where the size of a device is not known, its end is found by a refusal. */
const MAX_SLOTS = 1_000_000;
/**
 * So many leases are written, or read, at the same time: while one is on its way to the disk, the
 * programs work on another. Each may need 8 MiB of memory in sanlock.
 */
const SLOTS_AT_ONCE = 4;

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
  const failed = yield* writeSlots(site, slotsEnd(site, device), how.enableGl, times);
  if (failed !== null) return refuse(failed);
  return { ...OK, vgLockArgs: vgArgsFor(vg.vgLockArgs) };
}

/** @returns the first failure; null: there was none */
function* writeSlots(
  site: LeaseSite,
  end: number,
  enableGl: boolean,
  times: SanlockTimes,
): ManagerSteps<Outcome | null> {
  for (let first = SLOT_GL; first < end; first += SLOTS_AT_ONCE) {
    const writes = slotsFrom(first, end).map((slot) => {
      const offset = slot * site.sizes.alignBytes;
      return writeResource(resourceAt(site, slotName(slot, enableGl), offset));
    });
    const answers = yield* askEach(writes, times.diskMs);
    for (const [index, answer] of answers.entries()) {
      if (first + index > SLOT_VG && isPastEnd(answer)) return null;
      if (!answer.ok) return areaOutcome(answer);
    }
  }
  return null;
}

/** The first slot that the device has no room for; behind the VG lease, so that its lack is told. */
function slotsEnd({ sizes }: LeaseSite, { sizeBytes }: DeviceReply): number {
  if (sizeBytes === null) return MAX_SLOTS;
  return Math.min(Math.max(Math.floor(sizeBytes / sizes.alignBytes), SLOT_VG + 1), MAX_SLOTS);
}

function slotsFrom(first: number, end: number): readonly number[] {
  return Array.from({ length: Math.min(SLOTS_AT_ONCE, end - first) }, (_, index) => first + index);
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
  if (lockLv === null) return both(LD_RESULT.EARGS);
  const device = yield* deviceOnceThere(lockLvPath(vg.vgName, lockLv));
  const found = yield* siteOf(vg, times, '');
  if (!('path' in found)) return found;
  const joined = yield* joinedAt(found.path, times);
  if (joined !== 0) return both(joined);
  const site: LeaseSite = { ...found, spaceName: sanlockSpaceName(vg.vgName) };
  const wrote = yield* writeHostLeases(site, times);
  if (!wrote.ok) return areaOutcome(wrote);
  const nameless: LeaseSite = { ...site, spaceName: '' };
  let worst: Outcome = OK;
  const end = slotsEnd(site, device);
  for (let first = SLOT_GL, isEnd = false; first < end && !isEnd; first += SLOTS_AT_ONCE) {
    const offsetOf = (slot: number) => slot * site.sizes.alignBytes;
    const questions = slotsFrom(first, end).map((slot) =>
      readResource(resourceAt(nameless, '', offsetOf(slot))),
    );
    const reads = yield* askEach(questions, times.diskMs);
    const writes: ReturnType<typeof writeResource>[] = [];
    for (const [index, read] of reads.entries()) {
      isEnd = isPastEnd(read);
      if (isEnd) break;
      if (codeOf(read) === SANLOCK_CODES.LEADER_MAGIC) continue; // never written: it has no name
      if (!isAnswered(read)) return areaOutcome(read);
      if (!read.ok) worst = areaOutcome(read);
      else writes.push(writeResource(resourceAt(site, read.value.name, offsetOf(first + index))));
    }
    const written = writes.length === 0 ? [] : yield* askEach(writes, times.diskMs);
    worst =
      written
        .filter((answer) => !answer.ok)
        .map(areaOutcome)
        .at(-1) ?? worst;
  }
  return worst;
}
