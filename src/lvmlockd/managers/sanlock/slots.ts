import { assert } from '../../../base/assert.ts';
import type { ByteString } from '../../../base/bytes.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import { SANLOCK_CODES } from '../../../wire/sanlock/codes.ts';
import {
  both,
  type InitVgOutcome,
  type ManagerEffect,
  type ManagerReply,
  type ManagerSteps,
  OK,
  type Outcome,
  type VgPlace,
} from '../manager.ts';
import type { SanlockAnswer, SanlockCommand } from './asks.ts';
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
  sizesOfFlags,
  UNUSED_NAME,
  VG_NAME,
  vgArgsFor,
} from './layout.ts';
import { areaOutcome, isPastEnd } from './results.ts';

/** Deadlines of calls that touch the disk grow with the io timeout. */
export interface SanlockTimes {
  /** As given by `-o`; 0: sanlock's default. */
  readonly ioTimeoutS: number;
  readonly quickMs: number;
  readonly diskMs: number;
  readonly joinMs: number;
  readonly leaveMs: number;
}

export function sanlockTimes(ioTimeoutS: number): SanlockTimes {
  const t = ioTimeoutS === 0 ? 10 : ioTimeoutS;
  const second = 1000;
  return {
    ioTimeoutS,
    quickMs: 20 * second,
    diskMs: (30 + 12 * t) * second,
    // A host id whose owner died is free 8t + 60 after its last renewal; then ours is written.
    joinMs: (2 * (8 * t + 60) + 60) * second,
    leaveMs: (60 + 12 * t) * second,
  };
}

const MAX_SLOTS = 1_000_000;

export function* ask(
  command: SanlockCommand,
  deadlineMs: number,
  session: number | null = null,
): ManagerSteps<SanlockAnswer> {
  const effect: ManagerEffect = { kind: 'sanlock', session, command, deadlineMs };
  const reply: ManagerReply = yield effect;
  assert(reply.kind === 'sanlock', 'sanlock answers what was asked of sanlock');
  return reply;
}

export function* deviceAt(path: ByteString) {
  const reply: ManagerReply = yield { kind: 'device', path } satisfies ManagerEffect;
  assert(reply.kind === 'device', 'a device question gets a device answer');
  return reply;
}

export function* sleep(forMs: number): ManagerSteps<void> {
  yield { kind: 'sleep', forMs };
}

/**
 * BUSY while this host's sanlock has a lockspace on the device, under whatever name: writing its
 * leases anew would take from under it what it renews, and what its processes hold. 0: it has none.
 */
function* joinedAt(path: ByteString, times: SanlockTimes): ManagerSteps<number> {
  const answer = yield* ask({ call: 'getLockspaces' }, times.quickMs);
  if (!answer.answered) return LD_RESULT.EMANAGER;
  return answer.areas.some((area) => area.path === path) ? LD_RESULT.BUSY : 0;
}

/** Formats all leases of a VG: host leases, GL, VG, and a free slot for every LV to come. */
export function* initVg(
  vg: VgPlace,
  enableGl: boolean,
  times: SanlockTimes,
): ManagerSteps<InitVgOutcome> {
  const refuse = (outcome: Outcome) => ({ ...outcome, vgLockArgs: vg.vgLockArgs });
  if (vg.vgLockArgs === '') return refuse({ result: LD_RESULT.EARGS, lmResult: 0 });
  const path = lockLvPath(vg.vgName, vg.vgLockArgs);
  const device = yield* deviceAt(path);
  const sector = sectorSizeOf(device.physicalBytes, device.logicalBytes);
  if (!device.exists || sector === null) return refuse({ result: LD_RESULT.EARGS, lmResult: 0 });
  const version = yield* ask({ call: 'version' }, times.quickMs);
  if (!version.answered) return refuse({ result: LD_RESULT.EMANAGER, lmResult: 0 });

  const joined = yield* joinedAt(path, times);
  if (joined !== 0) return refuse(both(joined === LD_RESULT.BUSY ? LD_RESULT.EXIST : joined));

  const spaceName = sanlockSpaceName(vg.vgName);
  const site: LeaseSite = { spaceName, path, sizes: sizesForSector(sector) };
  const { ioTimeoutS } = times;
  const area = areaAt(site, 0);
  const wrote = yield* ask({ call: 'writeLockspace', area, ioTimeoutS }, times.diskMs);
  if (wrote.code < 0) return refuse(areaOutcome(wrote));
  for (let slot = SLOT_GL; slot < MAX_SLOTS; slot++) {
    const name = slotName(slot, enableGl);
    const resource = resourceAt(site, name, slot * site.sizes.alignBytes);
    const answer = yield* ask({ call: 'writeResource', resource }, times.diskMs);
    if (slot > SLOT_VG && isPastEnd(answer)) break;
    if (answer.code < 0) return refuse(areaOutcome(answer));
  }
  return { ...OK, vgLockArgs: vgArgsFor(vg.vgLockArgs) };
}

function slotName(slot: number, enableGl: boolean): ByteString {
  if (slot === SLOT_GL) return enableGl ? GL_NAME : GL_DISABLED_NAME;
  return slot === SLOT_VG ? VG_NAME : UNUSED_NAME;
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
  const answer = yield* ask({ call: 'readLockspace', area }, times.diskMs);
  if (answer.code < 0) return both(answer.answered ? LD_RESULT.EARGS : LD_RESULT.EMANAGER);
  const sizes = sizesOfFlags(answer.flags);
  return sizes === null ? both(LD_RESULT.EARGS) : { spaceName, path, sizes };
}

/**
 * Writes the VG's new name into the host leases and every lease. A slot that cannot be read keeps
 * its old name and is reported at the end: the slots behind it still get theirs.
 */
export function* renameVg(vg: VgPlace, times: SanlockTimes): ManagerSteps<Outcome> {
  const found = yield* siteOf(vg, times, '');
  if (!('path' in found)) return found;
  const joined = yield* joinedAt(found.path, times);
  if (joined !== 0) return both(joined);
  const site: LeaseSite = { ...found, spaceName: sanlockSpaceName(vg.vgName) };
  const { ioTimeoutS } = times;
  const area = areaAt(site, 0);
  const wrote = yield* ask({ call: 'writeLockspace', area, ioTimeoutS }, times.diskMs);
  if (wrote.code < 0) return areaOutcome(wrote);
  let worst: Outcome = OK;
  for (let slot = SLOT_GL; slot < MAX_SLOTS; slot++) {
    const offset = slot * site.sizes.alignBytes;
    const old = resourceAt({ ...site, spaceName: '' }, '', offset);
    const read = yield* ask({ call: 'readResource', resource: old }, times.diskMs);
    if (isPastEnd(read)) break;
    if (read.code === SANLOCK_CODES.LEADER_MAGIC) continue; // never written: no name to change
    if (!read.answered) return areaOutcome(read);
    if (read.code < 0) {
      worst = areaOutcome(read);
      continue;
    }
    const resource = resourceAt(site, read.name, offset);
    const written = yield* ask({ call: 'writeResource', resource }, times.diskMs);
    if (written.code < 0) worst = areaOutcome(written);
  }
  return worst;
}
