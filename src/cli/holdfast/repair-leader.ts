import { nameToText, textToName } from '../../base/bytes.ts';
import { given } from '../../base/given.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import { readResource } from '../../lease/read.ts';
import { MonotonicClock } from '../../platform/clock.ts';
import { DirectDisk, DiskFailure } from '../../platform/disk-direct.ts';
import { UnixSockets } from '../../platform/unix-socket.ts';
import { SANLOCK_CODES } from '../../wire/sanlock/codes.ts';
import { lockVg } from '../lvmlockctl/check.ts';
import { mend } from '../lvmlockctl/check-mend.ts';
import { leaseCode, runDirectly } from '../sanlock/direct-disk.ts';
import type { WhoTarget } from './who/target.ts';

/**
 * An LV's lease whose leader is damaged: it does not say who holds it, so the disk alone proves
 * nothing. lvmlockd knows who is in the lockspace, and writes the lease anew if nobody can hold it.
 */

const SOCKET_PATH = '/run/lvm/lvmlockd.socket';
const IO_TIMEOUT_S = 10;
const DAMAGE: ReadonlySet<number> = new Set([
  SANLOCK_CODES.LEADER_MAGIC,
  SANLOCK_CODES.LEADER_VERSION,
  SANLOCK_CODES.LEADER_LOCKSPACE,
  SANLOCK_CODES.LEADER_CHECKSUM,
]);

/** sanlock's number for the damage of the leader; 0: it can be read. */
export function leaderDamage({ path, offset, expected }: WhoTarget): number {
  const timeoutMs = leaseTimes(IO_TIMEOUT_S).ioTimeoutMs;
  const lockspaceName = expected?.lockspaceName ?? '';
  const wish = { offset, lockspaceName, resourceName: '', timeoutMs };
  try {
    const disk = new DirectDisk(nameToText(path), 'read');
    const read = runDirectly(readResource(wish), { resource: disk });
    const code = read.ok ? 0 : leaseCode(read.error);
    return DAMAGE.has(code) ? code : 0;
  } catch (thrown) {
    if (thrown instanceof DiskFailure) return 0; // told by what follows
    throw thrown;
  }
}

/** @returns whether the lease is sound now */
export async function repairLeader(
  target: WhoTarget,
  vgName: string,
  ports: { readonly say: (text: string) => void; readonly complain: (text: string) => void },
): Promise<boolean> {
  const { label, offset, expected } = target;
  const socketPath = textToName(given(process.env['LVM_LVMLOCKD_SOCKET']) ?? SOCKET_PATH);
  const endpoint = { sockets: new UnixSockets(), clock: new MonotonicClock(), socketPath };
  const pid = process.pid;
  const print = (text: string) => ports.say(text.trimEnd());
  const locked = await lockVg(vgName, true, { endpoint, pid, print, complain: ports.complain });
  if (!locked.ok) {
    ports.complain(`holdfast repair: ${label}: ${locked.error}: is the VG started here?\n`);
    return false;
  }
  try {
    const lvUuid = nameToText(expected?.name ?? '');
    const mending = { kind: 'rewrite', scope: 'lv', lvUuid, offset, thenFree: false } as const;
    const place = { session: locked.value, vgName, areaBytes: 0, pid };
    const { isDone, text } = await mend(place, mending);
    ports.say(`${label}: ${text}`);
    return isDone;
  } finally {
    locked.value.close();
  }
}
