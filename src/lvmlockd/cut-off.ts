import type { ByteString } from '../base/bytes.ts';
import {
  type DeviceUser,
  deviceUsers,
  type ManagerSteps,
  mapperDone,
  signalUsers,
  sleep,
  type UsedDevice,
} from './managers/steps.ts';
import { type MappedLv, type MappedVg, type MappedVgState, mappedLvs } from './mapped-lvs.ts';

/**
 * Cutting a VG's LVs off from their disks, so that its locks can be given up. Error tables go in
 * from the bottom up: then the layers above (thin pools, caches, RAID) get errors at once, write
 * nothing of their own any more, and no I/O of theirs keeps their swap waiting for the disk.
 *
 *   T+0     users are found and get SIGTERM, if so ordered
 *   T+5 s   SIGKILL for those that are left
 *   T+7 s   error tables; a swap waits for the I/O under way
 *   T+19 s  at the latest: what is late is not cut off, and the locks are kept
 *
 * The watchdog resets the host 50 s after sanlock's order at the earliest (spec 25 §2).
 */
export interface CutOffOutcome {
  /** null: device-mapper cannot be asked. */
  readonly state: MappedVgState | null;
  /** Devices whose I/O may still reach a disk. */
  readonly left: readonly { readonly name: ByteString; readonly why: string }[];
  /** Devices that have been given an error table now. */
  readonly replaced: readonly ByteString[];
  readonly stopped: readonly DeviceUser[];
}

const TERM_MS = 5000;
const KILL_MS = 2000;
const USERS_POLL_MS = 500;
/** For all swaps together. */
const SWAP_MS = 12_000;

export function* cutOff(vg: MappedVg, stopsUsers: boolean): ManagerSteps<CutOffOutcome> {
  const before = yield* mappedLvs(vg);
  if (before === null) return { state: null, left: [], replaced: [], stopped: [] };
  const stopped = stopsUsers ? yield* stopUsers(before) : [];
  const results = yield* replace(before.lvs);
  const replaced = before.lvs.filter(({ uuid }) => results.get(uuid) === 0).map(({ name }) => name);
  // Asked anew: only what the kernel shows now counts, and lvm may have activated more meanwhile.
  const after = yield* mappedLvs(vg);
  const left = (after?.lvs ?? before.lvs)
    .filter(({ isCutOff }) => after === null || !isCutOff)
    .map(({ name, uuid }) => ({ name, why: whyLeft(results.get(uuid)) }));
  return { state: after, left, replaced, stopped };
}

function whyLeft(result: number | undefined): string {
  if (result === undefined) return 'its I/O under way has not ended in time';
  return result === 0 ? 'another table was loaded meanwhile' : `errno ${result}`;
}

function* replace(lvs: readonly MappedLv[]): ManagerSteps<ReadonlyMap<ByteString, number>> {
  const levels: MappedLv[][] = [];
  for (const lv of lvs) {
    if (hasErrorTable(lv)) continue;
    while (levels.length <= lv.level) levels.push([]);
    levels[lv.level]?.push(lv);
  }
  if (levels.length === 0) return new Map();
  return yield* mapperDone({
    kind: 'failDevices',
    deadlineMs: SWAP_MS,
    levels: levels.map((level) =>
      level.map(({ uuid, sectors, table }) => {
        return { uuid, sectors, isReadOnly: table?.isReadOnly ?? false };
      }),
    ),
  });
}

/** One that is suspended with such a table holds back its users' I/O: the swap also resumes it. */
function hasErrorTable({ table }: MappedLv): boolean {
  if (table === null || table.isSuspended) return false;
  return table.types.length > 0 && table.types.every((type) => type === 'error');
}

function* stopUsers(state: MappedVgState): ManagerSteps<readonly DeviceUser[]> {
  const devices = usedDevices(state);
  if (devices.length === 0) return [];
  const first = (yield* deviceUsers(devices)) ?? [];
  if (first.length === 0) return [];
  yield* signalUsers(first, 'SIGTERM');
  const left = yield* usersLeft(devices, TERM_MS);
  if (left.length === 0) return first;
  yield* signalUsers(left, 'SIGKILL');
  yield* usersLeft(devices, KILL_MS);
  return first;
}

function* usersLeft(
  devices: readonly UsedDevice[],
  withinMs: number,
): ManagerSteps<readonly DeviceUser[]> {
  let left: readonly DeviceUser[] = [];
  for (let waitedMs = 0; waitedMs < withinMs; waitedMs += USERS_POLL_MS) {
    yield* sleep(USERS_POLL_MS);
    left = (yield* deviceUsers(devices)) ?? [];
    if (left.length === 0) break;
  }
  return left;
}

export function usedDevices({ lvs, above }: MappedVgState): readonly UsedDevice[] {
  return [...lvs, ...above].map(({ number, kernelName, name }) => ({ number, kernelName, name }));
}

/** What `cutOff` would do now, line by line, for an administrator; nothing is changed. */
export function* cutOffPlan(
  vg: MappedVg,
  stopsUsers: boolean,
): ManagerSteps<readonly ByteString[]> {
  const state = yield* mappedLvs(vg);
  if (state === null) return ['device-mapper cannot be asked: nothing would be cut off'];
  const users = (yield* deviceUsers(usedDevices(state))) ?? null;
  const lines: ByteString[] = [];
  if (users === null) lines.push('users: not known');
  const fate = stopsUsers ? 'SIGTERM, then SIGKILL' : 'is left alone, gets I/O errors';
  for (const { pid, command, uses } of users ?? []) {
    lines.push(`process ${pid} (${command}) uses ${uses}: ${fate}`);
  }
  const ordered = [...state.lvs].sort((a, b) => a.level - b.level);
  for (const lv of ordered) lines.push(planLine(lv));
  for (const { name } of state.above) lines.push(`${name}: stands on these, keeps its table`);
  lines.push('then the locks of the VG are given up');
  return lines;
}

function planLine(lv: MappedLv): ByteString {
  const { name, table, sectors } = lv;
  if (hasErrorTable(lv)) return `${name}: has an error table already`;
  if (table === null) return `${name}: its table cannot be read`;
  const types = [...new Set(table.types)].join(',') || 'no table';
  return `${name}: ${types}, open ${table.openCount}: error table of ${sectors} sectors`;
}
