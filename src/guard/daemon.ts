import { unreachable } from '../base/assert.ts';
import type { LogFields, LogLevel } from '../base/log-fields.ts';
import type { Result } from '../base/result.ts';
import type { GuardConfig } from './config.ts';
import { type Guest, parseGuest } from './domain.ts';
import type { Demand, GuestEffect, GuestEvent, Verdict } from './guest-state.ts';
import { newGuest, nextTickMs as nextGuestTickMs, stepGuest } from './guest-step.ts';
import type { DiskLease } from './lease-names.ts';
import type { LeaseRefusal } from './lease-steps.ts';
import type { Call, GuardEffect, GuardEvent, GuardState, Naming, Tracked } from './state.ts';
import { parseStatusFile, type StatusFile } from './status-file.ts';

/** A host runs fewer; beyond it a start is refused, with a sentence. */
const MAX_GUESTS = 10_000;

/** A guard that knows of no guest. */
export function newGuard({ onConflict, onReconnect }: GuardConfig): GuardState {
  return { onConflict, onReconnect, guests: new Map(), naming: new Map(), nextToken: 1 };
}

/**
 * The guard of a host: hooks and status files of libvirt, keepers and QEMUs become events of guests
 * (`guest-step.ts`), and what these want becomes effects. A hook is answered once.
 */
export function stepGuard(state: GuardState, event: GuardEvent, nowMs: number): GuardEffect[] {
  const turn: Turn = { state, out: [], nowMs };
  switch (event.kind) {
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
    case 'keeperStarted':
    case 'keeperNotStarted':
    case 'keeperEnded':
      tell(turn, event.uuid, { kind: event.kind });
      break;
    case 'worked':
      tell(turn, event.uuid, { kind: 'worked', outcome: event.outcome });
      break;
    case 'qemuEnded':
      if (state.guests.get(event.uuid)?.qemuPid === event.pid) {
        tell(turn, event.uuid, { kind: 'ended' });
      }
      break;
    case 'tick':
      for (const [uuid, { guest }] of [...state.guests]) {
        if ((nextGuestTickMs(guest) ?? Number.POSITIVE_INFINITY) <= nowMs) {
          tell(turn, uuid, { kind: 'tick' });
        }
      }
      break;
    default:
      unreachable(event);
  }
  return turn.out;
}

/** When the next `tick` is wanted; null: none is. */
export function nextTickMs({ guests }: GuardState): number | null {
  let next: number | null = null;
  for (const { guest } of guests.values()) {
    const atMs = nextGuestTickMs(guest);
    if (atMs !== null) next = Math.min(next ?? atMs, atMs);
  }
  return next;
}

interface Turn {
  readonly state: GuardState;
  readonly out: GuardEffect[];
  readonly nowMs: number;
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
    // A release must never fail: libvirt ignores it, and its user would wonder.
    const text = operation === 'release' ? null : `guard: ${parsed.error}`;
    turn.out.push({ kind: 'answer', hook, text });
    log(turn, 'error', 'guest.unreadable', { operation, reason: parsed.error });
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
    default:
      nameDisks(turn, parsed.value, { kind: 'hook', call, uuid, name });
  }
}

const DECIDES: ReadonlySet<string> = new Set(['start', 'reconnect', 'migrate', 'release']);

/** libvirt's next start of this guest, here or elsewhere, is to find its leases free. */
function releaseCalled({ state, out, ...turn }: Turn, of: { hook: number; uuid: string }): void {
  const guest = state.guests.get(of.uuid);
  if (guest === undefined) {
    out.push({ kind: 'answer', hook: of.hook, text: null });
    return;
  }
  guest.releasing = [...guest.releasing, of.hook];
  tell({ state, out, ...turn }, of.uuid, { kind: 'ended' });
}

function callEnded({ state }: Turn, hook: number): void {
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
  const status = parsed.value;
  const { uuid } = status.guest;
  const guest = turn.state.guests.get(uuid);
  if (guest === undefined) return; // its hook was not called yet, or it has none
  if (status.pid !== null && guest.qemuPid !== status.pid) {
    guest.qemuPid = status.pid;
    turn.out.push({ kind: 'watchQemu', uuid, pid: status.pid });
  }
  // A migration does not wait for a file system: its leases are those that it has.
  if (status.migration !== null) statusRead(turn, status, null);
  else nameDisks(turn, status.guest, { kind: 'status', uuid });
  const { isRunning, migration } = status;
  if (migration === null) tellStatus(turn, uuid, { isRunning, migration, leases: null });
}

function statusRead(
  turn: Turn,
  { guest: { uuid }, isRunning, migration }: StatusFile,
  leases: readonly DiskLease[] | null,
): void {
  tellStatus(turn, uuid, { isRunning, migration, leases });
}

function tellStatus(
  turn: Turn,
  uuid: string,
  status: Extract<GuestEvent, { kind: 'statusRead' }>['status'],
): void {
  tell(turn, uuid, { kind: 'statusRead', status });
}

function nameDisks({ state, out }: Turn, { disks }: Guest, naming: Naming): void {
  const token = state.nextToken++;
  state.naming.set(token, naming);
  out.push({ kind: 'nameDisks', token, disks });
}

function disksNamed(turn: Turn, token: number, leases: Result<readonly DiskLease[], string>): void {
  const { state } = turn;
  const naming = state.naming.get(token);
  state.naming.delete(token);
  if (naming === undefined) return;
  const { uuid } = naming;
  if (naming.kind === 'status') {
    const status = state.guests.get(uuid)?.guest.status;
    if (status == null || status.migration !== null) return; // it has begun to migrate since
    tellStatus(turn, uuid, { ...status, leases: leases.ok ? leases.value : null });
    return;
  }
  const { call, name } = naming;
  if (!leases.ok) {
    const text = `guard: guest ${name}: ${leases.error}`;
    turn.out.push({ kind: 'answer', hook: call.hook, text });
    return;
  }
  if (tracked(turn, { uuid, name }) === null) {
    const text = `guard: guest ${name}: this host has ${MAX_GUESTS} guests already`;
    turn.out.push({ kind: 'answer', hook: call.hook, text });
    return;
  }
  const kind = call.operation === 'reconnect' ? 'reconnect' : 'start';
  const demand: Demand = { hook: call.hook, kind, leases: leases.value };
  tell(turn, uuid, { kind: 'demanded', demand });
}

/** null: there are too many. */
function tracked({ state }: Turn, { uuid, name }: Pick<Guest, 'uuid' | 'name'>): Tracked | null {
  const known = state.guests.get(uuid);
  if (known !== undefined) return known;
  if (state.guests.size >= MAX_GUESTS) return null;
  const guest = { uuid, name, guest: newGuest(name), qemuPid: null, releasing: [] };
  state.guests.set(uuid, guest);
  return guest;
}

function tell(turn: Turn, uuid: string, event: GuestEvent): void {
  const of = turn.state.guests.get(uuid);
  if (of === undefined) return;
  for (const effect of stepGuest(of.guest, event, { uuid, nowMs: turn.nowMs })) {
    obey(turn, of, effect);
  }
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
      verdict(turn, of, { hook: effect.hook, verdict: effect.verdict });
      return;
    case 'conflict':
      conflict(turn, of, effect.refusal);
      return;
    case 'over':
      state.guests.delete(uuid);
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

function verdict(
  { out }: Turn,
  { name }: Tracked,
  { hook, verdict: said }: { readonly hook: number; readonly verdict: Verdict },
): void {
  switch (said.kind) {
    case 'granted':
      out.push({ kind: 'answer', hook, text: null });
      return;
    case 'refused':
      out.push({ kind: 'refuse', hook, name, refusal: said.refusal });
      return;
    case 'noKeeper': {
      const text = `guard: guest ${name}: sanlock cannot be reached, or takes no more processes`;
      out.push({ kind: 'answer', hook, text });
      return;
    }
    case 'superseded': {
      const text = `guard: guest ${name}: libvirt has asked for it again meanwhile`;
      out.push({ kind: 'answer', hook, text });
      return;
    }
    default:
      unreachable(said);
  }
}

/** It has written to the disk for a moment already: libvirt calls no hook before it plugs one in. */
function conflict(turn: Turn, of: Tracked, { lease, code }: LeaseRefusal): void {
  const { uuid, name, qemuPid } = of;
  const fields = { guest: name, uuid, target: lease.target, key: lease.key, code };
  log(turn, 'error', 'guest.conflict', fields);
  if (turn.state.onConflict === 'warn' || qemuPid === null) return;
  turn.out.push({ kind: 'endGuest', uuid, name, pid: qemuPid });
}

function log({ out }: Turn, level: LogLevel, event: string, fields: LogFields): void {
  out.push({ kind: 'log', level, event, fields });
}
