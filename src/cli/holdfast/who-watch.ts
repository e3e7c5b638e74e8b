import { assert } from '../../base/assert.ts';
import type { ByteString } from '../../base/bytes.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { MIB } from '../../base/units.ts';
import { hasLvb, LVB_SECTOR } from '../../format/geometry.ts';
import type { DeltaLeader } from '../../format/leader.ts';
import { type Holder, type Standing, standingOf } from '../../lease/holders.ts';
import { leaseError } from '../../lease/io.ts';
import type { LeaseError } from '../../lease/lease-error.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import { readLockspace } from '../../lease/read.ts';
import { type LeaseState, readHolders } from '../../lease/read-holders.ts';
import type { Steps } from '../../lease/steps.ts';
import { noLeaseText } from './who-damage.ts';
import type { WhoTarget } from './who-target.ts';
import { renewalSeenWithinS } from './who-times.ts';

/** What a lookup needs of the machine. Disk failures are thrown with a sentence. */
export interface WhoWorld {
  readonly read: (path: ByteString, offset: number, length: number) => Uint8Array;
  readonly nowMs: () => number;
  readonly sleep: (forMs: number) => Promise<void>;
  readonly progress: (text: string) => void;
}

/** A holder as found, and what its host lease showed while it was watched. */
export interface WatchedHolder {
  readonly holder: Holder;
  readonly host: DeltaLeader | null;
  /** Why its host lease is not readable; every acquire from this holder is refused with it. */
  readonly hostError: LeaseError | null;
  readonly standing: Standing | 'unknown' | 'damaged';
  /** Own seconds since its last renewal was seen to happen; null when none was seen. */
  readonly renewedAgoS: number | null;
  /** How long its host lease was watched. */
  readonly watchedS: number;
}

export interface WhoAnswer {
  readonly lease: LeaseState;
  readonly holders: readonly WatchedHolder[];
}

const POLL_MS = 250;
/** Of a read that does not end: the reads here have no deadline, so this one never counts. */
const TIMEOUT_MS = leaseTimes(10).ioTimeoutMs;
/** The lease may change hands meanwhile; then it is read again. */
const MAX_READINGS = 3;

export async function lookUp(
  world: WhoWorld,
  target: WhoTarget,
  options: { readonly watch: boolean },
): Promise<Result<WhoAnswer, string>> {
  for (let reading = 1; ; reading++) {
    const lease = readLease(world, target);
    if (!lease.ok) return lease;
    const holders = await watchHolders(world, target, lease.value, options.watch);
    const again = readLease(world, target);
    if (!again.ok) return again;
    if (reading === MAX_READINGS || isSame(lease.value, again.value)) {
      return ok({ lease: lease.value, holders });
    }
    world.progress('the lease changed hands meanwhile: reading it again\n');
  }
}

/** The sector that holders may write anything to; null: the area has no room for one. */
export function readValueBlock(
  world: WhoWorld,
  { path, offset }: WhoTarget,
  { geometry }: LeaseState,
): Uint8Array | null {
  if (!hasLvb(geometry)) return null;
  const { sectorSize } = geometry;
  return world.read(path, offset + LVB_SECTOR * sectorSize, sectorSize);
}

function isSame(a: LeaseState, b: LeaseState): boolean {
  const hosts = (lease: LeaseState) =>
    lease.holders.map((h) => `${h.mode} ${h.hostId}.${h.generation}`).join();
  return a.lver === b.lver && hosts(a) === hosts(b);
}

function readLease(world: WhoWorld, target: WhoTarget): Result<LeaseState, string> {
  const { path, offset } = target;
  if (offset % MIB !== 0) {
    return fail(`no lease can begin at byte ${offset} of ${path}: leases begin at whole mebibytes`);
  }
  const lease = run(world, target, readHolders(placeOf(target)));
  if (!lease.ok) return fail(noLeaseText(target, lease.error));
  const { expected } = target;
  const found = `${lease.value.lockspaceName}:${lease.value.resourceName}`;
  const wanted = expected === null ? found : `${expected.lockspaceName}:${expected.name}`;
  if (found === wanted) return lease;
  return fail(`the lease at ${path}:${offset} is ${found}, wanted ${wanted} (${target.label})`);
}

function placeOf({ offset, spaceOffset }: WhoTarget) {
  return { offset, spaceOffset, timeoutMs: TIMEOUT_MS };
}

/** Runs a procedure that only reads. */
function run<T>(world: WhoWorld, { path, spacePath }: WhoTarget, steps: Steps<T>): T {
  let turn = steps.next();
  while (turn.done !== true) {
    const effect = turn.value;
    assert(effect.op === 'read', 'a lookup writes nothing');
    const place = effect.disk === 'resource' ? path : spacePath;
    const bytes = world.read(place, effect.offset, effect.length);
    turn = steps.next({ outcome: 'done', bytes, nowMs: world.nowMs() });
  }
  return turn.value;
}

type HostRead = Result<DeltaLeader, LeaseError>;

interface Watched {
  readonly holder: Holder;
  readonly first: HostRead;
  renewedMs: number | null;
}

/** Waits until every live holder was seen to renew, or should have long been. */
async function watchHolders(
  world: WhoWorld,
  target: WhoTarget,
  lease: LeaseState,
  watch: boolean,
): Promise<readonly WatchedHolder[]> {
  const startMs = world.nowMs();
  const all: Watched[] = lease.holders.map((holder) => ({
    holder,
    first: readHost(world, target, lease, holder.hostId),
    renewedMs: null,
  }));
  const members = all.filter((one) => standing(one.holder, one.first) === 'member');
  const host = ({ first }: Watched) => (first.ok ? first.value : null);
  const longestS = Math.max(0, ...members.map((one) => renewalSeenWithinS(ioTimeoutS(host(one)))));
  const waiting = () => members.filter((one) => one.renewedMs === null);
  while (watch && waiting().length > 0 && world.nowMs() - startMs < longestS * 1000) {
    const watchedS = Math.floor((world.nowMs() - startMs) / 1000);
    const names = waiting().map((one) => host(one)?.hostName);
    world.progress(`waiting for a renewal of ${names.join(', ')}: ${watchedS} of ${longestS} s\r`);
    await world.sleep(POLL_MS);
    for (const one of waiting()) {
      const now = readHost(world, target, lease, one.holder.hostId);
      if (now.ok && now.value.timestampS !== host(one)?.timestampS) one.renewedMs = world.nowMs();
    }
  }
  const endMs = world.nowMs();
  return all.map(({ holder, first, renewedMs }) => ({
    holder,
    host: first.ok ? first.value : null,
    hostError: first.ok ? null : first.error,
    standing: standing(holder, first),
    renewedAgoS: renewedMs === null ? null : (endMs - renewedMs) / 1000,
    watchedS: (endMs - startMs) / 1000,
  }));
}

/** Where another lockspace lies, none, or one without that host: the holder's is elsewhere. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  'LEADER_MAGIC',
  'LEADER_LOCKSPACE',
  'LEADER_SECTORSIZE',
  'ADDLS_INVALID_HOSTID',
]);

function standing(holder: Holder, host: HostRead): WatchedHolder['standing'] {
  if (host.ok) return standingOf(host.value, holder);
  return ELSEWHERE.has(host.error.code) ? 'unknown' : 'damaged';
}

/** A record without one is as old as the format allows; C reads it as the default. */
export function ioTimeoutS(host: DeltaLeader | null): number {
  const low = (host?.ioTimeoutS ?? 0) & 0xff;
  return low === 0 ? 10 : low;
}

function readHost(world: WhoWorld, target: WhoTarget, lease: LeaseState, hostId: number): HostRead {
  if (hostId < 1) return fail(leaseError('ADDLS_INVALID_HOSTID', 'lookup', { hostId }));
  const name = lease.lockspaceName;
  const place = { offset: target.spaceOffset, name, hostId, timeoutMs: TIMEOUT_MS };
  const found = run(world, target, readLockspace(place));
  return found.ok ? ok(found.value.leader) : found;
}
