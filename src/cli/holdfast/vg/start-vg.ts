import { nameToText, textToName } from '../../../base/bytes.ts';
import { SECOND_MS } from '../../../base/units.ts';
import type { HostLeaseSeen } from '../../../inspect/join/free-host-id.ts';
import { leaseTimes } from '../../../lease/lease-times.ts';
import { sanlockSpaceName } from '../../../lvmlockd/managers/sanlock/layout.ts';
import { removeLockspace, status } from '../../../wire/sanlock/daemon-calls.ts';
import { askSanlock } from '../../observe/ask.ts';
import { findDaemon, until } from '../../observe/daemons.ts';
import { localPorts, seeLocalDaemons } from './local-daemons.ts';
import { lvm, lvmWords } from './lvm.ts';
import { readHostLease, type SharedVg } from './shared-vgs.ts';
import { LOOK_MS, MINUTE_MS } from './times.ts';

export type StartEnd =
  | { readonly kind: 'joined'; readonly tookS: number }
  /** Another host has this host id there. */
  | { readonly kind: 'lost'; readonly to: string }
  | { readonly kind: 'failed'; readonly why: string };

export interface StartOrder {
  readonly vg: SharedVg;
  readonly hostId: number;
  /** At least, by the record of the host id. */
  readonly waitS: number;
  readonly why: string;
}

/** Names are compared as the disk holds them. */
const NAME_BYTES = 47;
/** Behind the end of lvm's command: for sanlock to show it. */
const SHOWN_WITHIN_MS = 10 * SECOND_MS;

/**
 * Starts a VG, shows how far it is, and then looks for itself: sanlock has the lockspace by this
 * host id, and the record on the disk bears this host's name.
 */
export async function startVg(
  order: StartOrder,
  progress: (text: string) => void,
): Promise<StartEnd> {
  const ports = localPorts();
  const { clock } = ports;
  const { vg, hostId, waitS, why } = order;
  const beganMs = clock.nowMs();
  const before = await leaseNow(order);
  const withinMs = (before?.ioTimeoutS ?? 0) > 0 ? longestMs(before) : 10 * MINUTE_MS;
  const run = lvm(['vgchange', '--lock-start', vg.name], withinMs);
  let hasEnded = false;
  let seen: HostLeaseSeen | null = null;
  let isStopped = false;
  const watch = async (): Promise<void> => {
    while (!hasEnded) {
      const tookS = Math.floor((clock.nowMs() - beganMs) / SECOND_MS);
      const left = tookS < waitS ? `at least ${waitS - tookS} s more: ${why}` : `${tookS} s so far`;
      progress(`VG ${vg.name}: joining as host id ${hostId}, ${left}`);
      const rival = await rivalOf(order);
      // Renewed, so it has joined: one that only claims the id may still lose it.
      const hasJoined = rival !== null && seen?.hostName === rival.hostName && isOther(seen, rival);
      if (hasJoined && !isStopped) {
        isStopped = true;
        await giveUp(vg);
      }
      seen ??= rival;
      await new Promise<void>((resolve) => clock.after(LOOK_MS, () => resolve()));
    }
  };
  const watched = watch();
  const end = await run;
  hasEnded = true;
  await watched;
  let last: StartEnd = { kind: 'failed', why: lvmWords(end) };
  await until(
    clock,
    async () => {
      const standing = await standingOf(order, before);
      if (standing === null) return false;
      const tookS = Math.round((clock.nowMs() - beganMs) / SECOND_MS);
      last = standing.kind === 'joined' ? { kind: 'joined', tookS } : standing;
      return true;
    },
    { ms: end.status === 0 ? SHOWN_WITHIN_MS : 2 * SECOND_MS, everyMs: LOOK_MS },
  );
  return last;
}

/** An earlier owner's death is awaited, and then the settling. */
function longestMs(before: HostLeaseSeen | null): number {
  const times = leaseTimes(before?.ioTimeoutS || 1);
  return times.hostDeadMs + times.renewalWriteMs + 10 * MINUTE_MS;
}

async function leaseNow({ vg, hostId }: StartOrder): Promise<HostLeaseSeen | null> {
  const lease = await readHostLease(vg, hostId);
  return lease.ok ? lease.value : null;
}

/**
 * Another host that has the id now. It is not waited for until sanlock refuses, which may take as
 * long as a death; the original's lvmlockd does not stop a start that is under way, though.
 */
async function rivalOf(order: StartOrder): Promise<HostLeaseSeen | null> {
  const lease = await leaseNow(order);
  if (lease === null || lease.timestampS === 0) return null;
  return (await isOurs(lease)) ? null : lease;
}

/**
 * By the lvmlockd that asked for it; the original's does not stop a start that is under way, and
 * hears from sanlock that the lockspace is not added.
 */
async function giveUp(vg: SharedVg): Promise<void> {
  const ports = localPorts();
  const lvmlockd = await findDaemon(ports, 'lvmlockd');
  if (lvmlockd?.isOriginal !== true) {
    await lvm(['vgchange', '--lock-stop', vg.name], MINUTE_MS);
    return;
  }
  const records = await askSanlock(ports, status());
  const name = spaceNameOf(vg);
  for (const { lockspace } of records.ok ? records.value : []) {
    if (lockspace === null || nameToText(lockspace.name) !== name) continue;
    await askSanlock(ports, removeLockspace(lockspace));
  }
}

function spaceNameOf({ name }: SharedVg): string {
  return nameToText(sanlockSpaceName(textToName(name)));
}

function isOther(before: HostLeaseSeen | null, now: HostLeaseSeen): boolean {
  return before?.hostName !== now.hostName || before.timestampS !== now.timestampS;
}

async function isOurs(lease: HostLeaseSeen): Promise<boolean> {
  const { sanlock } = await seeLocalDaemons(localPorts());
  return sanlock === null || lease.hostName === sanlock.hostName.slice(0, NAME_BYTES);
}

/** null: neither this host nor another one has it, as far as that shows now. */
async function standingOf(
  order: StartOrder,
  before: HostLeaseSeen | null,
): Promise<{ readonly kind: 'joined' } | { readonly kind: 'lost'; readonly to: string } | null> {
  const { vg, hostId } = order;
  const lease = await leaseNow(order);
  if (lease === null || lease.timestampS === 0) return null;
  if (!(await isOurs(lease))) {
    return isOther(before, lease) ? { kind: 'lost', to: lease.hostName } : null;
  }
  const { sanlock } = await seeLocalDaemons(localPorts());
  const isJoined = sanlock?.lockspaces.some(
    (one) => one.name === spaceNameOf(vg) && one.hostId === hostId && one.isJoined,
  );
  return isJoined === true ? { kind: 'joined' } : null;
}
