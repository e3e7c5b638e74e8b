import { SECOND_MS } from '../base/units.ts';
import { log, type Turn } from './complaints.ts';
import type { GuardEvent, Naming, Tracked } from './state.ts';
import { parseStatusFile, type StatusFile } from './status-file.ts';
import { keptOf, type Named, nameDisks, onLossOf, tell, tracked, watchQemu } from './tracked.ts';

/** A file system hung, or a storage pool was not there. */
const NAME_AGAIN_MS = 30 * SECOND_MS;

/** libvirtd has written what it knows of a guest, or has taken it away. */
export function statusChanged(
  turn: Turn,
  { name, xml }: Extract<GuardEvent, { kind: 'status' }>,
): void {
  if (xml === null) return; // the hook, or the end of QEMU, says when it is over
  const parsed = parseStatusFile(xml);
  if (!parsed.ok) {
    log(turn, 'warn', 'status.unreadable', { name, reason: parsed.error });
    return;
  }
  const { guest: seen, isRunning, migration, pid, startsHere } = parsed.value;
  const { uuid } = seen;
  const guest = turn.state.guests.get(uuid) ?? unannounced(turn, parsed.value);
  if (guest === null || pid === null) return; // there is no QEMU yet
  guest.name = seen.name;
  guest.onLoss = onLossOf(seen) ?? guest.onLoss;
  if (guest.qemuPid !== pid) watchQemu(turn, guest, pid);
  // At once: a migration does not wait for a file system, and its leases are those that it has.
  const status = { isRunning, migration, startsHere, leases: null };
  tell(turn, uuid, { kind: 'statusRead', status });
  guest.disks = seen.disks;
  guest.naming = null;
  guest.nameAgainAtMs = null;
  if (migration === null) nameSeen(turn, guest);
}

/** null: it is none that runs here, and was not started by libvirt with a hook of ours. */
function unannounced(
  turn: Turn,
  { guest, isRunning, migration, pid, startsHere }: StatusFile,
): Tracked | null {
  if (pid === null || migration !== null) return null;
  if (turn.state.endedPids.get(guest.uuid) === pid) return null;
  const one = tracked(turn, guest);
  if (one === null) return null;
  // One that libvirt is starting was granted its leases, and was given up here: no guest is let
  // start beside another.
  one.isUnannounced = !startsHere || isRunning;
  log(turn, 'info', 'guest.found', { guest: guest.name, uuid: guest.uuid, pid });
  return one;
}

/** What its disks need, by the file that was read last. */
export function nameSeen(turn: Turn, of: Tracked): void {
  const { uuid, disks } = of;
  of.nameAgainAtMs = null;
  of.naming = nameDisks(turn, { kind: 'status', uuid, disks });
}

/** The names of disks that a status file has. */
export function statusNamed(
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
  if (of.guest.demand !== null) {
    of.nameAgainAtMs = turn.nowMs + NAME_AGAIN_MS; // until it is answered, it has those of its hook
    return;
  }
  const named = keptOf(of, disks, leases.value);
  tell(turn, uuid, { kind: 'statusRead', status: { ...status, leases: named } });
}
