import { unreachable } from '../base/assert.ts';
import type { Result } from '../base/result.ts';
import {
  answerHook,
  complain,
  conflict,
  isAnothers,
  log,
  notArrived,
  type Turn,
} from './complaints.ts';
import type { Guest } from './domain.ts';
import type { GuestEffect, GuestEvent, GuestState } from './guest-state.ts';
import { newGuest, stepGuest } from './guest-step.ts';
import { askedBy } from './guest-work.ts';
import { keptLeases } from './kept-leases.ts';
import type { DiskLease } from './lease-names.ts';
import type { Naming, OnLoss, Tracked } from './state.ts';

/** The guests of this host, and what becomes of what they want. */

/** A host runs fewer; beyond it a start is refused, with a sentence. */
export const MAX_GUESTS = 10_000;

/** The guest of that UUID, a new one where none was known; null: there are too many. */
export function tracked(
  { state }: Turn,
  { uuid, name }: Pick<Guest, 'uuid' | 'name'>,
): Tracked | null {
  const known = state.guests.get(uuid);
  if (known !== undefined) return known;
  if (state.guests.size >= MAX_GUESTS) return null;
  const guest = newTracked(uuid, name, newGuest());
  state.guests.set(uuid, guest);
  return guest;
}

/** As it is before anything is told it. */
export function newTracked(uuid: string, name: string, guest: GuestState): Tracked {
  return {
    ...{ uuid, name, guest, qemuPid: null, qemuRuns: false, releasing: [], naming: null },
    ...{ disks: [], namedDisks: null, nameAgainAtMs: null },
    ...{ isUnannounced: false, onLoss: 'kill', recorded: null, complaint: '' },
  };
}

/** An event of a guest, and what it wants then; nothing where it is not known. */
export function tell(turn: Turn, uuid: string, event: GuestEvent): void {
  const of = turn.state.guests.get(uuid);
  if (of === undefined) return;
  const effects = stepGuest(of.guest, event, {
    ...{ uuid, nowMs: turn.nowMs },
    isAnothers: (leaseName, goesOn) => isAnothers(turn.state, { uuid, leaseName, goesOn }),
  });
  if (!effects.some(({ kind }) => kind === 'over')) record(turn, of);
  for (const effect of effects) obey(turn, of, effect);
}

/** Before sanlock is asked for anything, and before libvirt is answered. */
function record({ out }: Turn, of: Tracked): void {
  const { uuid, name, onLoss, qemuPid } = of;
  const { arrival, holdings, orphans, unprotected, work } = of.guest;
  const names = new Set(of.guest.leases.map((lease) => lease.name));
  const asked = askedBy(work).filter((lease) => !names.has(lease.name));
  const leases = [...of.guest.leases, ...asked];
  const sets = [holdings, orphans, unprotected].map((one) => [...one]);
  const now = JSON.stringify([name, onLoss, qemuPid, leases, sets]);
  const hasAll = of.guest.leases.every((lease) => holdings.has(lease.name));
  if (hasAll && arrival !== 'none') of.complaint = '';
  if (now === of.recorded) return;
  of.recorded = now;
  const body = { uuid, name, onLoss, qemuPid, leases, holdings, orphans, unprotected };
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
    case 'notArrived':
      notArrived(turn, of, effect.refusal);
      return;
    case 'notTaken':
      complain(turn, of, { level: 'warn', event: 'guest.notProtected', refusal: effect.refusal });
      return;
    case 'dropKeeper':
      log(turn, 'warn', 'keeper.unknown', { guest: name, uuid });
      out.push({ kind: 'dropKeeper', uuid });
      return;
    case 'lost':
      log(turn, 'error', 'guest.leasesLost', { guest: name, uuid, action: of.onLoss });
      out.push({ kind: 'loseGuest', uuid });
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

/** Its QEMU, from now on. */
export function watchQemu({ out }: Turn, of: Tracked, pid: number): void {
  of.qemuPid = pid;
  of.qemuRuns = true;
  out.push({ kind: 'watchQemu', uuid: of.uuid, pid });
}

/** @returns the number by which `disksNamed` answers */
export function nameDisks({ state, out }: Turn, naming: Naming): number {
  const token = state.nextToken++;
  state.naming.set(token, naming);
  out.push({ kind: 'nameDisks', token, disks: naming.disks });
  return token;
}

/** The leases of disks, or why one has no name. */
export type Named = Result<readonly DiskLease[], string>;

/** The leases of its disks, as they come out now, or are kept. */
export function keptOf(of: Tracked, disks: Naming['disks'], leases: readonly DiskLease[]) {
  const before = { disks: of.namedDisks, leases: of.guest.leases };
  of.namedDisks = disks;
  return keptLeases(before, { disks, leases });
}

/** What its `<on_lockfailure>` asks for; null: what nobody can do. */
export function onLossOf({ onLockFailure }: Guest): OnLoss | null {
  return ON_LOSS.get(onLockFailure ?? 'default') ?? null;
}

const ON_LOSS: ReadonlyMap<string, OnLoss> = new Map([
  ...(['default', 'poweroff'] as const).map((word) => [word, 'kill'] as const),
  ['pause', 'pause'],
]);
