import { unreachable } from '../base/assert.ts';
import { log, type Turn } from './complaints.ts';
import type { GuardConfig } from './config.ts';
import { foundGuest, nextTickMs as nextGuestTickMs } from './guest-step.ts';
import { callEnded, called, hookNamed } from './hook-calls.ts';
import type { GuardEffect, GuardEvent, GuardState, Tracked } from './state.ts';
import { nameSeen, statusChanged, statusNamed } from './status-changes.ts';
import { type Named, newTracked, tell, watchQemu } from './tracked.ts';

/** A guard that knows of no guest. */
export function newGuard({
  onConflict,
  onReconnect,
}: Pick<GuardConfig, 'onConflict' | 'onReconnect'>): GuardState {
  return {
    ...{ onConflict, onReconnect, guests: new Map(), naming: new Map(), nextToken: 1 },
    endedPids: new Map(),
  };
}

/**
 * The guard of a host: hooks and status files of libvirt, keepers and QEMUs become events of guests
 * (`guest-step.ts`), and what these want becomes effects. A hook is answered once.
 */
export function stepGuard(state: GuardState, event: GuardEvent, nowMs: number): GuardEffect[] {
  const turn: Turn = { state, out: [], nowMs };
  switch (event.kind) {
    case 'found':
      found(turn, event);
      break;
    case 'called':
      called(turn, event.call);
      break;
    case 'callEnded':
      callEnded(turn, event.hook);
      break;
    case 'status':
      statusChanged(turn, event);
      break;
    case 'disksNamed':
      disksNamed(turn, event.token, event.leases);
      break;
    case 'keeperNotStarted':
      tell(turn, event.uuid, { kind: event.kind, reason: event.reason });
      break;
    case 'keeperStarted':
    case 'keeperEnded':
      tell(turn, event.uuid, { kind: event.kind });
      break;
    case 'worked':
      tell(turn, event.uuid, { kind: 'worked', outcome: event.outcome });
      break;
    case 'qemuEnded':
      qemuEnded(turn, event);
      break;
    case 'qemuLookedFor':
      qemuLookedFor(turn, event);
      break;
    case 'rejoined':
      for (const uuid of [...state.guests.keys()]) tell(turn, uuid, { kind: 'rejoined' });
      break;
    case 'tick':
      for (const of of [...state.guests.values()]) tick(turn, of);
      break;
    default:
      unreachable(event);
  }
  return turn.out;
}

/** When the next `tick` is wanted; null: none is. */
export function nextTickMs({ guests }: GuardState): number | null {
  let next: number | null = null;
  for (const { guest, nameAgainAtMs } of guests.values()) {
    for (const atMs of [nextGuestTickMs(guest), nameAgainAtMs]) {
      if (atMs !== null) next = Math.min(next ?? atMs, atMs);
    }
  }
  return next;
}

function tick(turn: Turn, of: Tracked): void {
  const { uuid, guest, nameAgainAtMs } = of;
  const { nowMs } = turn;
  if (nameAgainAtMs !== null && nameAgainAtMs <= nowMs) nameSeen(turn, of);
  if ((nextGuestTickMs(guest) ?? Number.POSITIVE_INFINITY) <= nowMs) {
    tell(turn, uuid, { kind: 'tick' });
  }
}

/** All of them first: what one only wanted, another may have. */
function found(turn: Turn, { guests }: Extract<GuardEvent, { kind: 'found' }>): void {
  const { state, nowMs } = turn;
  for (const of of guests) {
    const { uuid, name, onLoss, qemuPid } = of;
    const guest = newTracked(uuid, name, foundGuest(of, nowMs));
    state.guests.set(uuid, { ...guest, onLoss, qemuPid });
  }
  for (const { uuid, qemuPid, qemuHasEnded } of guests) {
    const guest = state.guests.get(uuid);
    if (guest !== undefined && qemuPid !== null && !qemuHasEnded) watchQemu(turn, guest, qemuPid);
    tell(turn, uuid, { kind: qemuHasEnded ? 'ended' : 'tick' });
  }
}

function qemuEnded(turn: Turn, { uuid, pid }: Extract<GuardEvent, { kind: 'qemuEnded' }>): void {
  const of = turn.state.guests.get(uuid);
  if (of?.qemuPid !== pid) return;
  of.qemuRuns = false;
  tell(turn, uuid, { kind: 'ended' });
}

/** Where libvirt shows no status file that can be read, a QEMU may still run. */
function qemuLookedFor(
  turn: Turn,
  { uuid, pid }: Extract<GuardEvent, { kind: 'qemuLookedFor' }>,
): void {
  const of = turn.state.guests.get(uuid);
  if (of === undefined || of.qemuRuns) return; // it was seen meanwhile
  if (pid === null) {
    tell(turn, uuid, { kind: 'ended' });
    return;
  }
  log(turn, 'warn', 'guest.unseen', { guest: of.name, uuid, pid });
  watchQemu(turn, of, pid);
  tell(turn, uuid, { kind: 'qemuFound' });
}

function disksNamed(turn: Turn, token: number, leases: Named): void {
  const { naming: all } = turn.state;
  const naming = all.get(token);
  all.delete(token);
  if (naming?.kind === 'hook') hookNamed(turn, naming, leases);
  else if (naming?.kind === 'status') statusNamed(turn, { ...naming, token }, leases);
}
