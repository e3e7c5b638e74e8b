import type { ByteString } from '../base/bytes.ts';
import { LD_FLAG, LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import { killPlanReply } from '../wire/lvmlockd/replies.ts';
import type { VgRequest } from '../wire/lvmlockd/requests.ts';
import { type CutOffOutcome, cutOff, cutOffPlan } from './cut-off.ts';
import { beginStop } from './lockspace-end.ts';
import type { AdoptedLock } from './managers/manager.ts';
import type { MappedVg } from './mapped-lvs.ts';
import { reply } from './replies.ts';
import { type CuttingOff, type DaemonState, type Lockspace, log, run } from './state.ts';
import { OF_DAEMON } from './task-owner.ts';
import type { Waiter } from './waiter.ts';

/**
 * A VG that lost the storage of its locks: its LVs are cut off from their disks, and then its locks
 * are given up, so that no watchdog need reset this host (spec 31 §4, Loss of lease storage). What
 * cannot be cut off keeps its locks, and the watchdog decides; it is tried again all the same, for
 * hosts without one.
 */

/** The watchdog fires 50 s after sanlock's order at the earliest. */
const ANSWER_MS = 30_000;
const RETRY_MS = 5000;
const COMMAND_POLL_MS = 500;

export function beginKillAction(state: DaemonState, lockspace: Lockspace, to: Waiter): void {
  const { vgName } = lockspace.vg;
  const known = state.cuttingOff.get(vgName);
  if (known?.lockspace === lockspace) {
    known.waiters.push(to);
    return;
  }
  const untilMs = state.nowMs + ANSWER_MS;
  const cutting: CuttingOff = { lockspace, waiters: [to], untilMs, nextMs: null, told: '' };
  state.cuttingOff.set(vgName, cutting);
  attempt(state, cutting);
}

/** Those whose time has come are tried again. */
export function continueKillActions(state: DaemonState): void {
  for (const cutting of state.cuttingOff.values()) {
    if (cutting.nextMs !== null && cutting.nextMs <= state.nowMs) attempt(state, cutting);
  }
}

function attempt(state: DaemonState, cutting: CuttingOff): void {
  const { lockspace } = cutting;
  cutting.nextMs = null;
  if (isOver(state, cutting)) return;
  const stopsUsers = state.settings.killAction === 'stop';
  run(state, OF_DAEMON, cutOff(placeOf(lockspace), stopsUsers), (outcome) => {
    if (!isOver(state, cutting)) attempted(state, cutting, outcome);
  });
}

/** Dropped, stopped or started anew meanwhile: there is nothing left to give up. */
function isOver(state: DaemonState, cutting: CuttingOff): boolean {
  const { lockspace } = cutting;
  const { vgName } = lockspace.vg;
  if (state.cuttingOff.get(vgName) !== cutting) return true;
  if (state.lockspaces.includes(lockspace) && lockspace.phase.kind === 'killed') return false;
  end(state, cutting, 0);
  return true;
}

function attempted(state: DaemonState, cutting: CuttingOff, outcome: CutOffOutcome): void {
  const { lockspace } = cutting;
  const vg = lockspace.vg.vgName;
  const { left, replaced, stopped } = outcome;
  for (const { pid, command, uses } of stopped) {
    log(state, 'warn', 'user.stopped', { vg, pid, command, uses });
  }
  if (outcome.state === null) {
    const advice = `deactivate the LVs of this VG, then lvmlockctl --drop ${vg}`;
    log(state, 'error', 'killAction.notPossible', { vg, advice });
    end(state, cutting, 0);
    return;
  }
  if (replaced.length > 0) log(state, 'warn', 'lvs.cutOff', { vg, devices: shown(replaced) });
  if (left.length > 0) {
    const devices = shown(left.map(({ name, why }) => `${name} (${why})`));
    later(state, cutting, { event: 'killAction.failed', devices }, RETRY_MS);
    return;
  }
  const command = commandUnderWay(state, lockspace);
  if (command !== null) {
    later(state, cutting, { event: 'killAction.waits', ...command }, COMMAND_POLL_MS);
    return;
  }
  log(state, 'warn', 'killAction.done', { vg, lvs: outcome.state.lvs.length });
  remember(state, lockspace, new Set(outcome.state.lvs.map(({ lvUuid }) => lvUuid)));
  end(state, cutting, 0, [LD_FLAG.LOCKS_DROPPED]);
  beginStop(state, lockspace, { dropAll: true });
}

function later(
  state: DaemonState,
  cutting: CuttingOff,
  { event, ...fields }: { readonly event: string; readonly [field: string]: string | number },
  pauseMs: number,
): void {
  const told = JSON.stringify({ event, ...fields });
  const vg = cutting.lockspace.vg.vgName;
  if (cutting.told !== told) log(state, 'error', event, { vg, ...fields });
  cutting.told = told;
  cutting.nextMs = state.nowMs + pauseMs;
  if (state.nowMs >= cutting.untilMs) answer(state, cutting, LD_RESULT.BUSY, []);
}

function end(
  state: DaemonState,
  cutting: CuttingOff,
  result: number,
  words: readonly string[] = [],
): void {
  state.cuttingOff.delete(cutting.lockspace.vg.vgName);
  answer(state, cutting, result, words);
}

function answer(
  state: DaemonState,
  { waiters, lockspace }: CuttingOff,
  result: number,
  words: readonly string[],
): void {
  const { lockType } = lockspace.manager;
  for (const one of waiters.splice(0)) reply(state, one, { result, lockType, words });
}

/**
 * A command that may still write to the VG's disks: it has an LV's lock and may activate it, or it
 * has the VG's or the global lock for a change of metadata. null: there is none.
 */
function commandUnderWay(
  { clients }: DaemonState,
  { resources }: Lockspace,
): { readonly command: string; readonly pid: number } | null {
  for (const { ref, locks, lastClientId } of resources) {
    for (const { mode, clientId } of locks) {
      if (mode !== 'ex' && ref.scope !== 'lv') continue;
      const client = clients.get(clientId === 0 && ref.scope === 'lv' ? lastClientId : clientId);
      if (client !== undefined) return { command: client.name, pid: client.pid };
    }
  }
  return null;
}

/**
 * LVs that are mapped and locked: when the VG returns, they are locked again in the same mode
 * before lvm can load their tables again, if no other host has them by then.
 */
function remember(
  state: DaemonState,
  { vg, manager, resources }: Lockspace,
  mapped: ReadonlySet<ByteString>,
): void {
  const locks = resources.flatMap(({ ref, locks: [first] }): readonly AdoptedLock[] => {
    const isMapped = ref.scope === 'lv' && mapped.has(ref.name.replaceAll('-', ''));
    return isMapped && first !== undefined ? [{ resource: { ...ref }, mode: first.mode }] : [];
  });
  if (locks.length === 0 || !manager.traits.adoptsLocks) return;
  state.remembered.set(vg.vgName, { ...vg, lockType: manager.lockType, locks });
}

function placeOf({ vg, space }: Lockspace): MappedVg {
  return { vgUuid: vg.vgUuid, leaseDevice: space.leaseDevice };
}

function shown(names: readonly ByteString[]): ByteString {
  const first = names.slice(0, MAX_SHOWN).join(', ');
  return names.length > MAX_SHOWN ? `${first} and ${names.length - MAX_SHOWN} more` : first;
}

const MAX_SHOWN = 10;

/** `lvmlockctl --kill VG --dry-run`; also of a VG that was given up and has not returned yet. */
export function requestKillPlan(state: DaemonState, clientId: number, request: VgRequest): void {
  const { vgName } = request;
  const lockspace = state.lockspaces.find((one) => one.vg.vgName === vgName);
  const place = lockspace === undefined ? placeOfReturning(state, vgName) : placeOf(lockspace);
  const { killAction } = state.settings;
  if (place === null) {
    sendPlan(state, clientId, LD_RESULT.ENOLS, []);
  } else if (killAction === 'none') {
    sendPlan(state, clientId, 0, ['nothing: lvmlockd runs with --kill-action none']);
  } else {
    run(state, OF_DAEMON, cutOffPlan(place, killAction === 'stop'), (lines) =>
      sendPlan(state, clientId, 0, lines),
    );
  }
}

function placeOfReturning(state: DaemonState, vgName: ByteString): MappedVg | null {
  const returning = state.returning.get(vgName);
  if (returning === undefined) return null;
  const { manager, place } = returning;
  const { leaseDevice } = manager.open(place, NO_SESSION);
  return { vgUuid: place.vgUuid, leaseDevice };
}

/** A lockspace about which only device-mapper is asked. */
const NO_SESSION = 0;

function sendPlan(
  state: DaemonState,
  clientId: number,
  result: number,
  lines: readonly ByteString[],
): void {
  if (!state.clients.has(clientId)) return;
  state.effects.push({ kind: 'send', clientId, text: killPlanReply(result, lines) });
}
