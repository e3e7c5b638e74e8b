import type { Host } from '../../src/rig/host.ts';
import { getHosts, getLockspaces, status } from '../../src/wire/sanlock/daemon-calls.ts';
import { HOST_STATES, STATE_TYPES } from '../../src/wire/sanlock/socket.ts';
import { type DumpedClient, dumpedClients } from '../../src/wire/wdmd/dump.ts';
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

/** What wdmd says of its clients; none where it is not there. */
async function watched(host: Host): Promise<readonly DumpedClient[]> {
  return dumpedClients((await host.run(host.program('wdmd'), ['-d'], 20_000)).stdout);
}

/** The expiries of lockspaces, with the seconds that are left of each. */
function dutiesOf(clients: readonly DumpedClient[]): readonly { readonly leftS: number }[] {
  return clients.flatMap(({ name, nowS, expireS }) =>
    name.startsWith('sanlock_') && expireS !== null ? [{ leftS: expireS - nowS }] : [],
  );
}

/** Each lockspace has its test client at wdmd, and no connection that died is due. */
async function notWatched(host: Host): Promise<string | null> {
  const clients = await watched(host);
  const died = clients.find(({ isDead }) => isDead);
  if (died !== undefined) return `wdmd has a client that died: ${died.name} pid ${died.pid}`;
  const duties = dutiesOf(clients).length;
  if (duties >= LOCKSPACES) return null;
  return `wdmd watches ${duties} lockspaces: ${clients.map(({ name }) => name).join(', ')}`;
}

/** Seconds since the oldest expiry at wdmd was renewed; 0: wdmd is not there, or has none. */
export async function dutyAgeS(host: Host, renewalFailS: number): Promise<number> {
  const lefts = dutiesOf(await watched(host)).map(({ leftS }) => leftS);
  return lefts.length === 0 ? 0 : renewalFailS - Math.min(...lefts);
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
