import { type Backoff, nextPauseMs } from '../base/backoff.ts';
import type { ByteString } from '../base/bytes.ts';
import { SECOND_MS } from '../base/units.ts';
import { withoutDashes } from './adopt-locks.ts';
import { lockspaceOf } from './lock-requests.ts';
import type { HeardNotice, HeldMode, SpaceNotices } from './managers/manager.ts';
import type { Finding, RefreshState } from './refresh-state.ts';
import { markOf, tell, tellLate } from './refresh-tell.ts';
import { type DaemonState, type Lockspace, log, run } from './state.ts';
import { ofSpace } from './task-owner.ts';
import { type Inspection, inspectVg, isDone, type Refreshed } from './vg-inspection.ts';
import { isVgName } from './vg-metadata.ts';

/**
 * When a VG is inspected (vg-inspection.ts): after a notice of another host, when this host begins
 * to hear, once a minute by a look at device-mapper alone, and by the metadata every ten minutes,
 * or when something else is active or locked than at the last comparison.
 */

const EVERY_MS = 60 * SECOND_MS;
const COMPARE_EVERY_MS = 10 * EVERY_MS;
/** After a change of the metadata by a command of this host: its device has the new size by then. */
const AFTER_UPDATE_MS = 3 * SECOND_MS;
const RETRY: Backoff = { firstMs: 5 * SECOND_MS, longestMs: EVERY_MS };
/** Then it waits for the next comparison. */
const MAX_FAILURES = 6;
/** At once, over all VGs: each runs lvm. */
const MAX_AT_ONCE = 2;
const MAX_WANTED = 64;

/** At the end of a step: what is due begins. */
export function continueRefresh(state: DaemonState): void {
  for (const lockspace of state.lockspaces) {
    const { notices } = lockspace.space;
    const { refresh, phase } = lockspace;
    if (notices === null || phase.kind !== 'running') continue;
    tellLate(state, lockspace);
    const { inspectMs, isInspecting } = refresh;
    const isDue = inspectMs !== null && inspectMs <= state.nowMs && !isInspecting;
    if (isDue && atOnce(state) < MAX_AT_ONCE) inspect(state, lockspace, notices);
  }
}

/** When the next tick is wanted; null: for nothing here. */
export function refreshDueMs(state: DaemonState): number | null {
  const isFull = atOnce(state) >= MAX_AT_ONCE;
  let next: number | null = null;
  for (const { space, phase, refresh } of state.lockspaces) {
    if (space.notices === null || phase.kind !== 'running') continue;
    const due = [
      refresh.telling.due?.atMs ?? null,
      isFull || refresh.isInspecting ? null : refresh.inspectMs,
    ];
    for (const ms of due) if (ms !== null && (next === null || ms < next)) next = ms;
  }
  return next;
}

function atOnce({ lockspaces }: DaemonState): number {
  return lockspaces.filter(({ refresh }) => refresh.isInspecting).length;
}

/** From now on notices of other hosts arrive; earlier ones may have been lost. */
export function beginsToHear(state: DaemonState, { refresh }: Lockspace): void {
  refresh.comparedMs = null;
  inspectAt(refresh, state.nowMs);
}

/** Another host told something. */
export function heardNotice(
  state: DaemonState,
  lockspace: Lockspace,
  { fromHostId, fromGeneration: generation, order, lvMark }: HeardNotice,
): void {
  const { refresh } = lockspace;
  const last = refresh.heard.get(fromHostId);
  const isKnown = last !== undefined && last.generation === generation && last.order >= order;
  if (isKnown || fromHostId === lockspace.hostId) return;
  refresh.heard.set(fromHostId, { generation, order });
  const { vgName: vg } = lockspace.vg;
  log(state, 'info', 'refresh.heard', { vg, fromHostId, lv: lvMark });
  if (refresh.wanted.size < MAX_WANTED) refresh.wanted.add(lvMark);
  else {
    refresh.wanted.clear();
    refresh.wanted.add('');
  }
  refresh.failures = 0;
  inspectAt(refresh, state.nowMs);
}

/** A command of this host has changed the VG: other hosts hear of LVs that have another size. */
export function noteUpdate(state: DaemonState, vgName: ByteString): void {
  const lockspace = lockspaceOf(state, vgName);
  if (lockspace !== null) inspectAt(lockspace.refresh, state.nowMs + AFTER_UPDATE_MS);
}

function inspectAt(refresh: RefreshState, atMs: number): void {
  if (refresh.inspectMs === null || refresh.inspectMs > atMs) refresh.inspectMs = atMs;
}

function lvLocks({ resources }: Lockspace): ReadonlyMap<ByteString, HeldMode> {
  const locks = new Map<ByteString, HeldMode>();
  for (const { ref, mode, locks: held, running } of resources) {
    if (ref.scope !== 'lv') continue;
    // A lock that is being taken or released counts: its LV may be active at this moment.
    if (held.length > 0 || running !== null) {
      locks.set(withoutDashes(ref.name), mode === 'sh' ? 'sh' : 'ex');
    }
  }
  return locks;
}

function inspect(state: DaemonState, lockspace: Lockspace, notices: SpaceNotices): void {
  const { refresh, vg } = lockspace;
  refresh.inspectMs = null;
  if (!isVgName(vg.vgName)) return;
  refresh.isInspecting = true;
  const wanted = [...refresh.wanted];
  refresh.wanted.clear();
  const { comparedMs } = refresh;
  const isOld = comparedMs === null || comparedMs + COMPARE_EVERY_MS <= state.nowMs;
  const isDue = isOld || refresh.findings.length > 0;
  const order = {
    vgName: vg.vgName,
    notices,
    locks: () => lvLocks(lockspace),
    wanted,
    comparedWith: isDue ? null : refresh.comparedWith,
  };
  run(state, ofSpace(lockspace), inspectVg(order), (found) => {
    refresh.isInspecting = false;
    inspectAt(refresh, state.nowMs + EVERY_MS);
    inspected(state, lockspace, wanted, found);
  });
}

function inspected(
  state: DaemonState,
  lockspace: Lockspace,
  wanted: readonly ByteString[],
  found: Inspection,
): void {
  const { refresh } = lockspace;
  const vg = lockspace.vg.vgName;
  if (found.kind === 'unknown') return;
  if (found.kind === 'unread') {
    const isLeft = !again(state, lockspace, wanted);
    log(state, isLeft ? 'warn' : 'debug', 'vg.notInspected', { vg, reason: found.reason });
    return;
  }
  for (const one of found.refreshed) logRefreshed(state, vg, one);
  const failed = found.refreshed.filter((one) => !isDone(one)).map(({ lvUuid }) => markOf(lvUuid));
  if (failed.length > 0) again(state, lockspace, failed);
  else refresh.failures = 0;
  for (const { lvUuid, device } of found.removed) {
    log(state, 'warn', 'ghost.removed', { vg, device, lvUuid });
  }
  tellChanges(state, lockspace, found);
  refresh.sizes = found.sizes;
  if (found.comparedWith === null) return;
  refresh.comparedMs = state.nowMs;
  refresh.comparedWith = found.comparedWith;
  noteFindings(state, lockspace, found.findings);
}

/** Sizes that this host's own commands have changed, and did not ask to tell. */
function tellChanges(
  state: DaemonState,
  lockspace: Lockspace,
  { sizes, refreshed }: Extract<Inspection, { kind: 'inspected' }>,
): void {
  const { notices } = lockspace.space;
  if (notices === null) return;
  const known = new Set(refreshed.map(({ lvUuid }) => lvUuid));
  for (const [lvUuid, bytes] of sizes) {
    const before = lockspace.refresh.sizes.get(lvUuid);
    if (before === undefined || before === bytes || known.has(lvUuid)) continue;
    tell(state, { lockspace, notices, lvMark: markOf(lvUuid) });
  }
}

function logRefreshed(state: DaemonState, vg: ByteString, one: Refreshed): void {
  const { name: lv, fromBytes, toBytes, wantedBytes, status, trouble: reason } = one;
  if (isDone(one)) log(state, 'info', 'lv.refreshed', { vg, lv, fromBytes, toBytes });
  else log(state, 'warn', 'lv.notRefreshed', { vg, lv, toBytes, wantedBytes, status, reason });
}

/** Tries it again soon. @returns false: it is left to the next comparison */
function again(state: DaemonState, lockspace: Lockspace, wanted: readonly ByteString[]): boolean {
  const { refresh } = lockspace;
  refresh.failures += 1;
  if (refresh.failures > MAX_FAILURES) {
    refresh.failures = 0;
    refresh.comparedMs = state.nowMs;
    return false;
  }
  for (const mark of wanted) refresh.wanted.add(mark);
  let pauseMs = RETRY.firstMs;
  for (let n = 1; n < refresh.failures; n++) pauseMs = nextPauseMs(RETRY, pauseMs);
  inspectAt(refresh, state.nowMs + pauseMs);
  return true;
}

const FINDING_EVENTS = {
  activeUnlocked: {
    event: 'lv.activeUnlocked',
    advice: 'deactivate it here, or lock it by lvchange -aey or -asy',
  },
  ghost: {
    event: 'ghost.found',
    advice:
      'the VG has no such LV any more, and what is written to this device may destroy another ' +
      'LV: stop its users at once; it is removed then, or by dmsetup remove',
  },
  otherSize: { event: 'lv.otherSize', advice: 'lvchange --refresh' },
} as const;

/** Each is logged once, for as long as it is found. */
function noteFindings(state: DaemonState, lockspace: Lockspace, found: readonly Finding[]): void {
  const { refresh, vg } = lockspace;
  const keyOf = ({ kind, lvUuid }: Finding) => `${kind} ${lvUuid}`;
  const before = new Set(refresh.findings.map(keyOf));
  refresh.findings = found;
  for (const finding of found) {
    if (before.has(keyOf(finding))) continue;
    const { event, advice } = FINDING_EVENTS[finding.kind];
    const { lvUuid, device } = finding;
    log(state, 'error', event, { vg: vg.vgName, device, lvUuid, advice });
  }
}
