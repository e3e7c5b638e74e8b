import { type Backoff, nextPauseMs } from '../base/backoff.ts';
import type { ByteString } from '../base/bytes.ts';
import { readAdoptText } from './adopt.ts';
import { withoutDashes } from './adopt-locks.ts';
import { chooseGlType } from './global-lock.ts';
import { isJoined } from './lockspace-phase.ts';
import { addLockspace, joinLockspace } from './lockspace-start.ts';
import type { FoundSpace, LockManager } from './managers/manager.ts';
import { type Adoption, type DaemonState, log, type RememberedVg, run } from './state.ts';
import { OF_DAEMON } from './task-owner.ts';
import { lockspaceName } from './vg-names.ts';

/**
 * At start: adopts the lockspaces that a lock manager has joined for an earlier lvmlockd. The lock
 * manager may have been killed as well, and resume them a moment later: they are looked for until
 * each VG of the adopt file is found, or patience is over.
 */

const BACKOFF: Backoff = { firstMs: 1000, longestMs: 5000 };

export function beginAdoption(state: DaemonState, adoptFile: ByteString | null): void {
  const { vgs, unread } = readAdoptText(adoptFile ?? '');
  for (const [vgName, vg] of vgs) state.remembered.set(vgName, vg);
  if (unread > 0) log(state, 'error', 'adoptFile.damaged', { lines: unread, vgs: vgs.size });
  const waiting: Adoption['waiting'] = new Map();
  for (const { vgName } of state.remembered.values()) waiting.set(vgName, { result: null });
  const managers = adopting(state);
  const patienceMs = Math.max(0, ...managers.map((manager) => manager.patienceMs));
  const untilMs = state.nowMs + patienceMs;
  state.adoption = { waiting, untilMs, nextMs: null, pauseMs: BACKOFF.firstMs };
  look(state, state.adoption);
}

/** Its time has come to look again, or to give up. */
export function continueAdoption(state: DaemonState): void {
  const { adoption } = state;
  if (adoption === null || adoption.nextMs === null || state.nowMs < adoption.nextMs) return;
  adoption.nextMs = null;
  if (state.nowMs < adoption.untilMs) look(state, adoption);
  else giveUp(state, adoption);
}

function adopting({ managers }: DaemonState): readonly LockManager[] {
  return [...managers.values()].filter(({ traits }) => traits.adoptsLocks);
}

function look(state: DaemonState, adoption: Adoption): void {
  const managers = adopting(state);
  let left = managers.length;
  if (left === 0) looked(state, adoption);
  for (const manager of managers) {
    run(state, OF_DAEMON, manager.findSpaces([...state.remembered.keys()]), ({ spaces }) => {
      for (const space of spaces) adopt(state, adoption, manager, space);
      left -= 1;
      if (left === 0) looked(state, adoption);
    });
  }
}

function looked(state: DaemonState, adoption: Adoption): void {
  for (const { vg, phase } of state.lockspaces) {
    if (isJoined(phase)) adoption.waiting.delete(vg.vgName);
  }
  if (adoption.waiting.size === 0) {
    state.adoption = null;
    return;
  }
  adoption.nextMs = Math.min(state.nowMs + adoption.pauseMs, adoption.untilMs);
  adoption.pauseMs = nextPauseMs(BACKOFF, adoption.pauseMs);
}

function adopt(
  state: DaemonState,
  adoption: Adoption,
  manager: LockManager,
  space: FoundSpace,
): void {
  const { vgName, hostId } = space;
  const isStarted = state.lockspaces.some((one) => one.vg.vgName === vgName);
  if (isStarted || lockspaceName(vgName) === '') return;
  const known = state.remembered.get(vgName);
  const failed = adoption.waiting.get(vgName);
  if (failed?.result === undefined || failed.result === null) {
    log(state, 'info', 'lockspace.found', { vg: vgName, hostId });
  }
  if (failed === undefined) adoption.waiting.set(vgName, { result: null });
  chooseGlType(state, manager.lockType);
  const facts = known === undefined ? {} : { vgUuid: known.vgUuid, vgLockArgs: known.vgLockArgs };
  joinLockspace(state, addLockspace(state, manager, { ...space, ...facts }), null);
}

function giveUp(state: DaemonState, { waiting }: Adoption): void {
  state.adoption = null;
  for (const [vgName, { result }] of waiting) {
    if (state.lockspaces.some(({ vg }) => vg.vgName === vgName)) continue;
    const advice = `start it (vgchange --lockstart ${vgName}): LVs that are active here have no lock`;
    log(state, 'error', 'lockspace.notAdopted', { vg: vgName, result, advice });
    const known = state.remembered.get(vgName);
    if (known !== undefined) reportActive(state, known);
  }
}

function reportActive(state: DaemonState, known: RememberedVg): void {
  const manager = adopting(state).find(({ lockType }) => lockType === known.lockType);
  if (manager === undefined) return;
  const { vgName, locks } = known;
  run(state, OF_DAEMON, manager.open(known, NO_SESSION).activeLvs(), (active) => {
    for (const { resource } of locks) {
      if (active?.includes(withoutDashes(resource.name)) !== true) continue;
      log(state, 'error', 'lv.activeUnlocked', { vg: vgName, resource: resource.name });
    }
  });
}

/** A lockspace about which only device-mapper is asked. */
const NO_SESSION = 0;
