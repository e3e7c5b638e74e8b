import type { Host } from '../../src/rig/host.ts';
import { getHosts, getLockspaces, status } from '../../src/wire/sanlock/daemon-calls.ts';
import { HOST_STATES, STATE_TYPES } from '../../src/wire/sanlock/socket.ts';
import { clientOf } from '../interop/sanlock-clients.ts';
import type { Verdict } from './verdict.ts';

const HOST_STATE = 0xf;
const LOCKSPACES = 2;
const CALL = { timeoutMs: 20_000 } as const;

function sanlockOf(host: Host) {
  return clientOf({ socketPath: host.path('/run/sanlock/sanlock.sock') });
}

/** Why the daemons of a host do not serve yet; null: all do, with all that they had. */
export async function notServing(
  host: Host,
  of: { readonly locks: readonly string[]; readonly hasWatchdog: boolean },
): Promise<string | null> {
  const lockspaces = await sanlockOf(host).call(getLockspaces(), CALL);
  if (!lockspaces.ok) return `sanlock: ${lockspaces.error.message}`;
  const joined = lockspaces.value.filter(({ flags }) => (flags ?? 0) === 0);
  if (joined.length < LOCKSPACES) {
    const all = lockspaces.value.map(({ name, flags }) => `${name} (flags ${flags})`);
    return `sanlock has ${all.join(', ') || 'no lockspace'}`;
  }
  const locks = await host.run(host.program('lvmlockctl'), ['-i'], 20_000);
  const missing = of.locks.find((lock) => !locks.stdout.includes(lock));
  if (missing !== undefined) return `lvmlockd has not ${missing}`;
  return of.hasWatchdog ? await notWatched(host) : null;
}

/** Each lockspace has its test client at wdmd, and no connection that died is due. */
async function notWatched(host: Host): Promise<string | null> {
  const dump = (await host.run(host.program('wdmd'), ['-d'], 20_000)).stdout;
  if (/ dead 1 /.test(dump)) return `wdmd has a client that died: ${dump}`;
  const clients = dump.match(/ name sanlock_\S+ .* expire [1-9]\d*$/gm) ?? [];
  return clients.length >= LOCKSPACES ? null : `wdmd has ${clients.length} clients: ${dump}`;
}

/** Seconds since the oldest expiry at wdmd was renewed; 0: wdmd is not there, or has none. */
export async function dutyAgeS(host: Host, renewalFailS: number): Promise<number> {
  const dump = (await host.run(host.program('wdmd'), ['-d'], 20_000)).stdout;
  const lefts = [...dump.matchAll(/ name sanlock_\S+ .* now (\d+) .* expire ([1-9]\d*)$/gm)];
  const left = lefts.map(([, now, expire]) => Number(expire) - Number(now));
  return left.length === 0 ? 0 : renewalFailS - Math.min(...left);
}

/** How many leases the daemon of a host lists. */
export async function leasesOf(host: Host): Promise<number> {
  const records = await sanlockOf(host).call(status(), CALL);
  if (!records.ok) return 0;
  return records.value.filter(({ type }) => type === STATE_TYPES.RESOURCE).length;
}

/** To the daemon of host `by`, host `of` is alive all the time. */
export async function lookAtOther(by: Host, of: Host, lockspace: string, verdict: Verdict) {
  const hosts = await sanlockOf(by).call(getHosts(lockspace, BigInt(of.hostId)), CALL);
  const state = hosts.ok ? (hosts.value[0]?.flags ?? 0) & HOST_STATE : null;
  if (state === HOST_STATES.DEAD || state === HOST_STATES.FREE) {
    verdict.fail(`to ${by.name}, ${of.name} is ${state === HOST_STATES.DEAD ? 'dead' : 'gone'}`);
  }
}
