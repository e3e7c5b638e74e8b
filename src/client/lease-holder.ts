import type { ByteString } from '../base/bytes.ts';
import type { Result } from '../base/result.ts';
import { readResourceOwners } from '../wire/sanlock/area-calls.ts';
import type { SanlockCall } from '../wire/sanlock/call.ts';
import { getHosts, hostStatus, status } from '../wire/sanlock/daemon-calls.ts';
import type { SanlockFailure } from '../wire/sanlock/failure.ts';
import { hostNameIn, hostRecordOf, textField } from '../wire/sanlock/records.ts';
import { STATE_TYPES } from '../wire/sanlock/socket.ts';
import type { Resource } from '../wire/sanlock/types.ts';

/** Who has a lease: for people, and nothing is decided by it. */
export type LeaseHolder =
  | {
      readonly kind: 'host';
      readonly hostId: number;
      /** null: sanlock does not say it. */
      readonly hostName: ByteString | null;
      /** By the clocks of both hosts; null: not known, as of a shared lease. */
      readonly heldForS: number | null;
    }
  /** A process of this host. */
  | { readonly kind: 'here'; readonly name: ByteString; readonly pid: number };

/** Asks sanlock; `SanlockClient.call` or alike. */
export type Ask = <T>(
  call: SanlockCall<T>,
  options: { readonly timeoutMs: number },
) => Promise<Result<T, SanlockFailure>>;

/** Whoever is told of a refusal does not wait long to learn by whom. */
const PATIENCE = { timeoutMs: 3000 };

/**
 * The host that keeps this one from a lease, or the process of this host that has it; null: there
 * is none, or it cannot be known now.
 */
export async function holderOf(
  ask: Ask,
  resource: Resource,
  here: {
    readonly hostId: number;
    /** By CLOCK_MONOTONIC, as sanlock counts. */
    readonly nowS: number;
  },
): Promise<LeaseHolder | null> {
  const read = await ask(readResourceOwners(resource), PATIENCE);
  const others = read.ok
    ? read.value.hosts.filter(({ hostId }) => hostId !== BigInt(here.hostId))
    : [];
  const owner = others.find(({ timestampS }) => timestampS !== 0n) ?? others[0];
  if (owner === undefined) return await holderHere(ask, resource);
  const { lockspaceName } = resource;
  const [names, seen] = await Promise.all([
    ask(hostStatus(lockspaceName), PATIENCE),
    ask(getHosts(lockspaceName, owner.hostId), PATIENCE),
  ]);
  const hostId = Number(owner.hostId);
  const records = names.ok ? names.value : [];
  const host = hostRecordOf(records, hostId);
  const hostName = hostNameIn(records, hostId);
  const renewed = seen.ok ? seen.value[0] : undefined;
  const isSame = renewed?.generation === owner.generation && owner.timestampS > 0n;
  const lastLiveS = Number((host && textField(host, 'last_live')) ?? here.nowS);
  const heldForS = isSame
    ? Number(renewed.timestampS - owner.timestampS) + here.nowS - lastLiveS
    : null;
  return {
    ...{ kind: 'host', hostId, hostName: hostName === '' ? null : hostName },
    heldForS: heldForS === null ? null : Math.max(0, Math.round(heldForS)),
  };
}

/** The process of this host that has a lease; null: there is none, or it cannot be known now. */
export async function holderHere(
  ask: Ask,
  { lockspaceName, name }: Resource,
): Promise<Extract<LeaseHolder, { kind: 'here' }> | null> {
  const answered = await ask(status(), PATIENCE);
  if (!answered.ok) return null;
  const lease = answered.value.find(
    ({ type, resource }) =>
      type === STATE_TYPES.RESOURCE &&
      resource?.lockspaceName === lockspaceName &&
      resource.name === name,
  );
  if (lease === undefined) return null;
  const pid = lease.data32;
  const client = answered.value.find(
    ({ type, data32 }) => type === STATE_TYPES.CLIENT && data32 === pid,
  );
  return { kind: 'here', pid, name: client?.name ?? '' };
}
