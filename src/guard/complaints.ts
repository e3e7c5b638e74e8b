import { unreachable } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import type { LogFields, LogLevel } from '../base/log-fields.ts';
import type { GuestEffect } from './guest-state.ts';
import { isElsewhere } from './lease-codes.ts';
import type { LeaseRefusal } from './lease-steps.ts';
import type { GuardEffect, GuardState, Tracked } from './state.ts';

/** What libvirt's user, and the log, are told of a guest that does not get its leases. */

export interface Turn {
  readonly state: GuardState;
  readonly out: GuardEffect[];
  readonly nowMs: number;
}

/** The answer to a hook that waits. */
export function answerHook(
  turn: Turn,
  of: Tracked,
  effect: Extract<GuestEffect, { kind: 'verdict' }>,
): void {
  const { hook, of: kind, verdict: said } = effect;
  const { name } = of;
  /** A guest that runs is ended only for a lease that another has. */
  const answer = (text: string | null) =>
    turn.out.push({ kind: 'answer', hook, text: kind === 'reconnect' ? null : text });
  switch (said.kind) {
    case 'granted':
      answer(null);
      return;
    case 'refused':
      if (
        kind !== 'reconnect' ||
        (isOfAnother(turn.state, of, said.refusal) && turn.state.onReconnect === 'kill')
      ) {
        turn.out.push({ kind: 'refuse', hook, name, refusal: said.refusal });
        return;
      }
      complain(turn, of, { level: 'error', event: 'guest.notProtected', refusal: said.refusal });
      answer(null);
      return;
    case 'noKeeper':
      answer(`guard: guest ${name} has no process that holds its leases: ${said.reason}`);
      return;
    case 'superseded':
      answer(supersededText(name));
      return;
    default:
      unreachable(said);
  }
}

/** Of a hook that libvirt has given up, as it has called another one since. */
export function supersededText(name: string): string {
  return `guard: guest ${name}: libvirt has asked for it again meanwhile`;
}

/** It may have written already: libvirt calls no hook before it plugs a disk in, or resumes. */
export function conflict(turn: Turn, of: Tracked, refusal: LeaseRefusal): void {
  const { state, out } = turn;
  const { uuid, name, qemuPid, guest } = of;
  if (guest.unprotected.size === 0 && !isOfAnother(state, of, refusal)) {
    complain(turn, of, { level: 'error', event: 'guest.notProtected', refusal });
    return;
  }
  complain(turn, of, { level: 'error', event: 'guest.conflict', refusal });
  if (state.onConflict === 'warn' || of.isUnannounced || qemuPid === null) return;
  out.push({ kind: 'endGuest', uuid, name, pid: qemuPid });
}

/**
 * libvirt starts it here, while it is lent to another host: its lease is a start's only where it is
 * exclusive. No policy lets a guest start whose lease another has; its CPUs seldom run yet.
 */
export function notArrived(turn: Turn, of: Tracked, refusal: LeaseRefusal): void {
  const { uuid, name, qemuPid } = of;
  complain(turn, of, { level: 'error', event: 'guest.conflict', refusal });
  if (qemuPid !== null) turn.out.push({ kind: 'endGuest', uuid, name, pid: qemuPid });
}

/**
 * −17 says no more than that a process of this host has it. That may be an earlier keeper of the
 * guest itself, whose record was lost, or its QEMU, for which libvirt's plugin has a disk's name.
 */
function isOfAnother(state: GuardState, of: Tracked, { code, lease, pid }: LeaseRefusal): boolean {
  if (code !== -ERRNO.EEXIST) return isElsewhere(code);
  const others = [...state.guests.values()].filter(({ uuid }) => uuid !== of.uuid);
  const isAnothersQemu = others.some((one) => one.qemuRuns && one.qemuPid === pid);
  return isAnothersQemu || isAnothers(state, { uuid: of.uuid, leaseName: lease.name });
}

/**
 * Whether another guest of this host has the lease of that name, held or orphaned.
 * @param goesOn only one counts that does not give it back just now
 */
export function isAnothers(
  { guests }: GuardState,
  of: { readonly uuid: string; readonly leaseName: string; readonly goesOn?: boolean },
): boolean {
  const { uuid, leaseName, goesOn = false } = of;
  for (const other of guests.values()) {
    const { holdings, orphans } = other.guest;
    if (other.uuid === uuid || (goesOn && givesBack(other))) continue;
    if (holdings.has(leaseName) || orphans.has(leaseName)) return true;
  }
  return false;
}

/** A start that waits begins with that, too. */
function givesBack({ guest: { demand, isOver } }: Tracked): boolean {
  return isOver || (demand !== null && demand.kind !== 'reconnect');
}

/** Once for each cause: it is tried again and again. */
export function complain(
  turn: Turn,
  of: Tracked,
  {
    level,
    event,
    refusal: { lease, code, pid },
  }: {
    readonly level: LogLevel;
    readonly event: string;
    readonly refusal: LeaseRefusal;
  },
): void {
  const { uuid, name } = of;
  const complaint = `${event} ${lease.name} ${code}`;
  if (complaint === of.complaint) return;
  of.complaint = complaint;
  const { target, key } = lease;
  const holder = pid === undefined ? {} : { pid };
  log(turn, level, event, { guest: name, uuid, target, key, code, ...holder });
}

export function log({ out }: Turn, level: LogLevel, event: string, fields: LogFields): void {
  out.push({ kind: 'log', level, event, fields });
}
