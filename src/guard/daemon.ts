import { unreachable } from '../base/assert.ts';
import type { Result } from '../base/result.ts';
import { SECOND_MS } from '../base/units.ts';
import {
  answerHook,
  complain,
  conflict,
  isAnothers,
  log,
  supersededText,
  type Turn,
} from './complaints.ts';
import type { GuardConfig } from './config.ts';
import { type Guest, parseGuest } from './domain.ts';
import type { Demand, GuestEffect, GuestEvent, GuestState } from './guest-state.ts';
import { foundGuest, newGuest, nextTickMs as nextGuestTickMs, stepGuest } from './guest-step.ts';
import { keptLeases } from './kept-leases.ts';
import type { DiskLease } from './lease-names.ts';
import type {
  Call,
  GuardEffect,
  GuardEvent,
  GuardState,
  Naming,
  OnLoss,
  Tracked,
} from './state.ts';
import { parseStatusFile, type StatusFile } from './status-file.ts';

/** A host runs fewer; beyond it a start is refused, with a sentence. */
const MAX_GUESTS = 10_000;
/** A file system hung, or a storage pool was not there. */
const NAME_AGAIN_MS = 30 * SECOND_MS;

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

function watchQemu({ out }: Turn, of: Tracked, pid: number): void {
  of.qemuPid = pid;
  of.qemuRuns = true;
  out.push({ kind: 'watchQemu', uuid: of.uuid, pid });
}

function qemuEnded(turn: Turn, { uuid, pid }: Extract<GuardEvent, { kind: 'qemuEnded' }>): void {
  const of = turn.state.guests.get(uuid);
  if (of?.qemuPid !== pid) return;
  of.qemuRuns = false;
  tell(turn, uuid, { kind: 'ended' });
}

/** Where libvirt shows no status file that can be read, its pid file may still name a QEMU. */
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

function newTracked(uuid: string, name: string, guest: GuestState): Tracked {
  return {
    ...{ uuid, name, guest, qemuPid: null, qemuRuns: false, releasing: [], naming: null },
    ...{ disks: [], namedDisks: null, nameAgainAtMs: null },
    ...{ isUnannounced: false, onLoss: 'kill', recorded: null, complaint: '' },
  };
}

/** Hooks that a lease depends on; every other one goes on at once. */
function called(turn: Turn, call: Call): void {
  const { hook, operation } = call;
  if (!DECIDES.has(operation)) {
    turn.out.push({ kind: 'answer', hook, text: null });
    return;
  }
  const parsed = parseGuest(call.xml);
  if (!parsed.ok) {
    deny(turn, { call, name: null, reason: parsed.error });
    return;
  }
  const { uuid, name } = parsed.value;
  switch (operation) {
    case 'release':
      releaseCalled(turn, { hook, uuid });
      return;
    case 'migrate':
      if (tracked(turn, parsed.value) !== null) tell(turn, uuid, { kind: 'announced' });
      turn.out.push({ kind: 'answer', hook, text: null });
      return;
    default: {
      const onLoss = ON_LOSS.get(parsed.value.onLockFailure ?? 'default');
      if (onLoss === undefined) {
        deny(turn, { call, name, reason: noSuchLoss(parsed.value) });
        return;
      }
      supersede(turn, uuid);
      nameDisks(turn, { kind: 'hook', call, uuid, name, onLoss, disks: parsed.value.disks });
    }
  }
}

const ON_LOSS: ReadonlyMap<string, OnLoss> = new Map([
  ...(['default', 'poweroff'] as const).map((word) => [word, 'kill'] as const),
  ['pause', 'pause'],
]);

/** As with the plugin: nothing could be done that keeps the promise. */
function noSuchLoss({ onLockFailure }: Guest): string {
  return `<on_lockfailure>${onLockFailure}</on_lockfailure> is not possible: use poweroff or pause`;
}

/**
 * The guest does not start. One that runs, or has ended, has nothing of it: libvirt kills a guest
 * whose reconnect is refused, and ignores the answer to a release.
 */
function deny(
  turn: Turn,
  of: { readonly call: Call; readonly name: string | null; readonly reason: string },
): void {
  const { call, name, reason } = of;
  const { hook, operation } = call;
  log(turn, 'error', 'guest.denied', { operation, guest: name ?? 'unknown', reason });
  const text = name === null ? `guard: ${reason}` : `guard: guest ${name}: ${reason}`;
  turn.out.push({ kind: 'answer', hook, text: RUNS_ON.has(operation) ? null : text });
}

const RUNS_ON: ReadonlySet<string> = new Set(['reconnect', 'release']);
const DECIDES: ReadonlySet<string> = new Set(['start', 'reconnect', 'migrate', 'release']);

/**
 * libvirt calls one hook of a guest at a time, and disks are named in any order: an older hook that
 * came behind a newer one would begin anew with a guest that runs.
 */
function supersede({ state, out }: Turn, uuid: string): void {
  for (const [token, naming] of state.naming) {
    if (naming.kind !== 'hook' || naming.uuid !== uuid) continue;
    state.naming.delete(token);
    out.push({ kind: 'answer', hook: naming.call.hook, text: supersededText(naming.name) });
  }
}

/**
 * libvirt's next start of this guest, here or elsewhere, is to find its leases free. But libvirt
 * gives up a QEMU that does not end, as one whose disk hangs: that one may still write.
 */
function releaseCalled(turn: Turn, { hook, uuid }: { hook: number; uuid: string }): void {
  const guest = turn.state.guests.get(uuid);
  if (guest === undefined) {
    turn.out.push({ kind: 'answer', hook, text: null });
    return;
  }
  guest.releasing = [...guest.releasing, hook];
  const { name, qemuPid, qemuRuns } = guest;
  if (qemuRuns) log(turn, 'info', 'guest.stillRuns', { guest: name, uuid, pid: qemuPid ?? 0 });
  tell(turn, uuid, { kind: 'released', qemuRuns });
}

function callEnded({ state }: Turn, hook: number): void {
  for (const [token, naming] of state.naming) {
    if (naming.kind === 'hook' && naming.call.hook === hook) state.naming.delete(token);
  }
  for (const guest of state.guests.values()) {
    guest.releasing = guest.releasing.filter((one) => one !== hook);
  }
}

function statusChanged(turn: Turn, { name, xml }: Extract<GuardEvent, { kind: 'status' }>): void {
  if (xml === null) return; // the hook, or the end of QEMU, says when it is over
  const parsed = parseStatusFile(xml);
  if (!parsed.ok) {
    log(turn, 'warn', 'status.unreadable', { name, reason: parsed.error });
    return;
  }
  const { guest: seen, isRunning, migration, pid } = parsed.value;
  const { uuid } = seen;
  const guest = turn.state.guests.get(uuid) ?? unannounced(turn, parsed.value);
  if (guest === null) return;
  if (pid !== null && guest.qemuPid !== pid) watchQemu(turn, guest, pid);
  // At once: a migration does not wait for a file system, and its leases are those that it has.
  tell(turn, uuid, { kind: 'statusRead', status: { isRunning, migration, leases: null } });
  guest.disks = seen.disks;
  guest.naming = null;
  guest.nameAgainAtMs = null;
  if (migration === null) nameSeen(turn, guest);
}

function nameSeen(turn: Turn, of: Tracked): void {
  const { uuid, disks } = of;
  of.nameAgainAtMs = null;
  of.naming = nameDisks(turn, { kind: 'status', uuid, disks });
}

/** null: it is none that runs here, and was not started by libvirt with a hook of ours. */
function unannounced(turn: Turn, { guest, migration, pid }: StatusFile): Tracked | null {
  if (pid === null || migration !== null) return null;
  if (turn.state.endedPids.get(guest.uuid) === pid) return null;
  const one = tracked(turn, guest);
  if (one === null) return null;
  one.isUnannounced = true;
  one.onLoss = ON_LOSS.get(guest.onLockFailure ?? 'default') ?? one.onLoss;
  log(turn, 'info', 'guest.found', { guest: guest.name, uuid: guest.uuid, pid });
  return one;
}

function nameDisks({ state, out }: Turn, naming: Naming): number {
  const token = state.nextToken++;
  state.naming.set(token, naming);
  out.push({ kind: 'nameDisks', token, disks: naming.disks });
  return token;
}

type Named = Result<readonly DiskLease[], string>;

function disksNamed(turn: Turn, token: number, leases: Named): void {
  const { naming: all } = turn.state;
  const naming = all.get(token);
  all.delete(token);
  if (naming?.kind === 'hook') hookNamed(turn, naming, leases);
  else if (naming?.kind === 'status') statusNamed(turn, { ...naming, token }, leases);
}

function statusNamed(
  turn: Turn,
  { uuid, disks, token }: Extract<Naming, { kind: 'status' }> & { readonly token: number },
  leases: Named,
): void {
  const of = turn.state.guests.get(uuid);
  const status = of?.guest.status;
  if (status == null || of?.naming !== token) return; // it has changed since
  if (!leases.ok) {
    of.nameAgainAtMs = turn.nowMs + NAME_AGAIN_MS;
    log(turn, 'warn', 'disks.notNamed', { guest: of.name, reason: leases.error });
    return;
  }
  if (of.guest.demand !== null) return; // it has the disks of its hook
  const named = keptOf(of, disks, leases.value);
  tell(turn, uuid, { kind: 'statusRead', status: { ...status, leases: named } });
}

function keptOf(of: Tracked, disks: Naming['disks'], leases: readonly DiskLease[]) {
  const before = { disks: of.namedDisks, leases: of.guest.leases };
  of.namedDisks = disks;
  return keptLeases(before, { disks, leases });
}

function hookNamed(turn: Turn, naming: Extract<Naming, { kind: 'hook' }>, leases: Named): void {
  const { call, name, uuid, disks } = naming;
  if (!leases.ok) {
    deny(turn, { call, name, reason: leases.error });
    return;
  }
  const of = tracked(turn, { uuid, name });
  if (of === null) {
    deny(turn, { call, name, reason: `this host has ${MAX_GUESTS} guests already` });
    return;
  }
  const { hook, operation } = call;
  const kind = operation === 'reconnect' ? 'reconnect' : 'start';
  if (kind === 'start' && of.qemuRuns) {
    const reason = `its last QEMU (process ${of.qemuPid}) has not ended, and may still write`;
    deny(turn, { call, name, reason });
    return;
  }
  of.isUnannounced = false;
  of.onLoss = naming.onLoss;
  const kept = keptOf(of, disks, leases.value);
  if (kind === 'start') of.qemuPid = null; // that of its last run here
  const demand: Demand = { hook, kind, leases: kind === 'start' ? leases.value : kept };
  tell(turn, uuid, { kind: 'demanded', demand });
}

/** null: there are too many. */
function tracked({ state }: Turn, { uuid, name }: Pick<Guest, 'uuid' | 'name'>): Tracked | null {
  const known = state.guests.get(uuid);
  if (known !== undefined) return known;
  if (state.guests.size >= MAX_GUESTS) return null;
  const guest = newTracked(uuid, name, newGuest(name));
  state.guests.set(uuid, guest);
  return guest;
}

function tell(turn: Turn, uuid: string, event: GuestEvent): void {
  const of = turn.state.guests.get(uuid);
  if (of === undefined) return;
  const effects = stepGuest(of.guest, event, {
    ...{ uuid, nowMs: turn.nowMs },
    isAnothers: (leaseName) => isAnothers(turn.state, uuid, leaseName),
  });
  if (!effects.some(({ kind }) => kind === 'over')) record(turn, of);
  for (const effect of effects) obey(turn, of, effect);
}

/** Before sanlock is asked for anything, and before libvirt is answered. */
function record({ out }: Turn, of: Tracked): void {
  const { uuid, name, onLoss, qemuPid } = of;
  const { leases, holdings, orphans } = of.guest;
  const now = JSON.stringify([onLoss, qemuPid, leases, [...holdings], [...orphans]]);
  if (leases.every((lease) => holdings.has(lease.name))) of.complaint = '';
  if (now === of.recorded) return;
  of.recorded = now;
  const body = { uuid, name, onLoss, qemuPid, leases, holdings, orphans };
  out.push({ kind: 'record', record: body });
}

function obey(turn: Turn, of: Tracked, effect: GuestEffect): void {
  const { out, state } = turn;
  const { uuid, name } = of;
  switch (effect.kind) {
    case 'startKeeper':
      out.push({ kind: 'startKeeper', uuid, name });
      return;
    case 'work':
      out.push({ kind: 'work', uuid, steps: effect.steps });
      return;
    case 'verdict':
      answerHook(turn, of, effect);
      return;
    case 'conflict':
      conflict(turn, of, effect.refusal);
      return;
    case 'notTaken':
      complain(turn, of, { level: 'warn', event: 'guest.notProtected', refusal: effect.refusal });
      return;
    case 'dropKeeper':
      log(turn, 'warn', 'keeper.unknown', { guest: name, uuid });
      out.push({ kind: 'dropKeeper', uuid });
      return;
    case 'findQemu':
      out.push({ kind: 'findQemu', uuid });
      return;
    case 'over':
      state.guests.delete(uuid);
      if (of.qemuPid !== null) remember(state.endedPids, uuid, of.qemuPid);
      out.push({ kind: 'endKeeper', uuid });
      for (const hook of of.releasing) out.push({ kind: 'answer', hook, text: null });
      return;
    case 'log':
      log(turn, 'warn', effect.event, { guest: name, uuid, code: effect.code });
      return;
    default:
      unreachable(effect);
  }
}

/** The newest ones. */
function remember(pids: Map<string, number>, uuid: string, pid: number): void {
  pids.delete(uuid);
  pids.set(uuid, pid);
  const [oldest] = pids.keys();
  if (pids.size > MAX_GUESTS && oldest !== undefined) pids.delete(oldest);
}
