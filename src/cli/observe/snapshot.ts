import { hostname } from 'node:os';
import { unreachable } from '../../base/assert.ts';
import { nameToText, textToName } from '../../base/bytes.ts';
import { fail, ok } from '../../base/result.ts';
import { SECOND_MS } from '../../base/units.ts';
import { unlockedIn } from '../../inspect/snapshot/attention.ts';
import { LVS_FIELDS, type ReportedLv, readLvsReport } from '../../inspect/snapshot/lvm-report.ts';
import { lockspacesSeen } from '../../inspect/snapshot/sanlock-seen.ts';
import type { LockspaceSeen, Snapshot, Unread } from '../../inspect/snapshot/snapshot.ts';
import { vgsSeen } from '../../inspect/snapshot/vgs-seen.ts';
import { sanlockSpaceName } from '../../lvmlockd/managers/sanlock/layout.ts';
import type { FreshReads } from '../../platform/fresh-reads.ts';
import { programAnswer } from './ask-program.ts';
import type { DaemonPorts } from './daemons.ts';
import { seeDaemons } from './see-daemons.ts';
import { seeLeases } from './see-leases.ts';

/** By what a host is looked at. */
export interface ObservePorts extends DaemonPorts {
  readonly reads: FreshReads;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** What `lvs` reports; a later look may use an earlier report. */
  readonly lvs: () => Promise<LvsAnswer>;
}

export type LvsAnswer =
  | {
      readonly ok: true;
      readonly value: readonly ReportedLv[];
      /** lvm has read the disks of the VGs for it, and ended: they answer. */
      readonly isOfNow: boolean;
    }
  | { readonly ok: false; readonly error: string };

const LVM_DEADLINE_MS = 10 * SECOND_MS;

/** Asks lvm for all LVs of shared VGs; it takes no lock, and waits for nothing but its disks. */
export async function reportedLvs(): Promise<LvsAnswer> {
  const args = ['--all', '--shared', '--nolocking', '--reportformat', 'json', '-o', LVS_FIELDS];
  const answer = await programAnswer('lvs', args, LVM_DEADLINE_MS);
  switch (answer.kind) {
    case 'done': {
      const report = readLvsReport(answer.printed);
      return report.ok ? { ...report, isOfNow: true } : report;
    }
    case 'absent':
      return { ...ok([]), isOfNow: true }; // without lvm no VG is here
    case 'failed':
    case 'late':
      return fail(answer.why);
    default:
      return unreachable(answer);
  }
}

/**
 * One look at this host. Every part has a deadline; what does not answer stands in `unread`. lvm and
 * lvmlockd are asked one after the other: an LV that is deactivated between them seems to be active
 * without a lock, so that a look that finds one is made again.
 */
export async function takeSnapshot(ports: ObservePorts): Promise<Snapshot> {
  const snapshot = await look(ports);
  return unlockedIn(snapshot).length > 0 ? look(ports) : snapshot;
}

async function look(ports: ObservePorts): Promise<Snapshot> {
  const taken = { wallMs: ports.wallMs(), monotonicS: Math.floor(ports.clock.nowMs() / SECOND_MS) };
  const lvs = await ports.lvs();
  const answers = await seeDaemons(ports);
  const { daemons, watchdog, sanlock, started } = answers;
  const lockspaces = sanlock === null ? [] : lockspacesSeen(sanlock, ports.processes.programOf);
  const reported = lvs.ok ? lvs.value : null;
  const toRead = leasesToRead(lockspaces, reported ?? []);
  if (lvs.ok && lvs.isOfNow) for (const { space } of toRead) ports.reads.hasAnswered(space.path);
  const { leases, unread } = await seeLeases(ports.reads, toRead);
  const lvmUnread: readonly Unread[] = lvs.ok ? [] : [{ what: 'lvm', of: '', why: lvs.error }];
  return {
    taken,
    host: { name: hostname(), hostId: lockspaces[0]?.hostId ?? null },
    daemons,
    watchdog,
    lockspaces,
    vgs: vgsSeen({ reported, started, lockspaces, leases, spaceNameOf }),
    unread: [...answers.unread, ...lvmUnread, ...unread],
  };
}

function spaceNameOf(vgName: string): string {
  return nameToText(sanlockSpaceName(textToName(vgName)));
}

/** A disk whose renewals fail would only keep the look waiting. */
function leasesToRead(lockspaces: readonly LockspaceSeen[], reported: readonly ReportedLv[]) {
  return lockspaces
    .filter(({ phase }) => phase === 'joined')
    .map((space) => ({
      space,
      lvs: reported.filter(({ vgName }) => spaceNameOf(vgName) === space.name),
    }))
    .filter(({ lvs }) => lvs.length > 0);
}
