import type { ByteString } from '../../../base/bytes.ts';
import { readResourceOwners } from '../../../wire/sanlock/area-calls.ts';
import { getHosts, hostStatus, status } from '../../../wire/sanlock/daemon-calls.ts';
import { hostNameIn, textField } from '../../../wire/sanlock/records.ts';
import { HOST_STATES, STATE_TYPES } from '../../../wire/sanlock/socket.ts';
import type { Resource } from '../../../wire/sanlock/types.ts';
import type { HostSeen } from '../manager.ts';
import type { ManagerSteps } from '../steps.ts';
import { ask } from './ask.ts';
import { HOST_STATE_MASK, hostOnDisk } from './hosts.ts';
import type { LeaseSite } from './layout.ts';
import type { OpenSpace } from './open-space.ts';

/**
 * Which host that is: the id, the generation and the name of hosts of a lockspace. Nothing here is
 * asked before a lock is refused, and nothing is decided by the answers: they are for people.
 */

/** Of one call: whoever is told of a refusal does not wait long to learn by whom. */
const PATIENCE_MS = 400;

/**
 * The host that keeps this one from a lease: the exclusive owner, or one that has it shared; null:
 * none, or it cannot be known now. sanlock 3.8.5 answers an acquire with a number alone, so the
 * lease is read, by sanlock, and the host is looked up in what sanlock has seen of the lockspace.
 */
export function* holderOf(space: OpenSpace, resource: Resource): ManagerSteps<HostSeen | null> {
  const { site, hostId } = space;
  const found = yield* ask(readResourceOwners(resource), PATIENCE_MS);
  if (!found.ok) return null;
  const others = found.value.hosts.filter((host) => Number(host.hostId) !== hostId);
  const owner = others.find(({ timestampS }) => timestampS !== 0n) ?? others[0];
  if (owner === undefined) return null;
  return yield* describe(site, {
    hostId: Number(owner.hostId),
    generation: Number(owner.generation),
    timestampS: Number(owner.timestampS),
  });
}

/**
 * This host, without its name; null when sanlock does not say. GET_HOSTS answers after the first
 * renewal only, STATUS has the generation from the join on.
 */
export function* ownHost(space: OpenSpace): ManagerSteps<HostSeen | null> {
  const { site, hostId } = space;
  const seen = yield* stateOf(site, hostId);
  if (seen !== null && seen.generation !== 0) return { hostId, ...seen, name: '' };
  const answer = yield* ask(status(), PATIENCE_MS);
  const records = answer.ok ? answer.value : [];
  const record = records.find(
    ({ type, name }) => type === STATE_TYPES.LOCKSPACE && name === site.spaceName,
  );
  const generation = Number((record && textField(record, 'host_generation')) ?? 0);
  return generation > 0 ? { hostId, generation, timestampS: 0, state: '', name: '' } : null;
}

/** What the lease says of a host, with what sanlock knows of it in this lockspace. */
function* describe(
  site: LeaseSite,
  owner: Pick<HostSeen, 'generation' | 'hostId' | 'timestampS'>,
): ManagerSteps<HostSeen> {
  const { hostId, generation } = owner;
  const seen = yield* stateOf(site, hostId);
  const isSame = seen !== null && (generation === 0 || seen.generation === generation);
  const state = isSame ? seen.state : '';
  const timestampS = isSame ? seen.timestampS : owner.timestampS;
  const name = yield* nameOf(site, hostId, generation);
  return { hostId, generation, timestampS, state, name };
}

function* stateOf(
  { spaceName }: LeaseSite,
  hostId: number,
): ManagerSteps<Pick<HostSeen, 'generation' | 'state' | 'timestampS'> | null> {
  const answer = yield* ask(getHosts(spaceName, BigInt(hostId)), PATIENCE_MS);
  const host = answer.ok ? answer.value[0] : undefined;
  if (host === undefined) return null;
  const state = STATE_WORDS.get(host.flags & HOST_STATE_MASK) ?? '';
  return { generation: Number(host.generation), timestampS: Number(host.timestampS), state };
}

const STATE_WORDS: ReadonlyMap<number, ByteString> = new Map(
  Object.entries(HOST_STATES).map(([word, state]) => [state, word]),
);

/** sanlock reads all host leases at each renewal. Until the first one, the disk has the name. */
function* nameOf(site: LeaseSite, hostId: number, generation: number): ManagerSteps<ByteString> {
  const answer = yield* ask(hostStatus(site.spaceName), PATIENCE_MS);
  const name = answer.ok ? hostNameIn(answer.value, hostId) : '';
  if (name !== '') return name;
  const found = yield* hostOnDisk(site, hostId, PATIENCE_MS);
  return found !== null && (generation === 0 || found.generation === generation) ? found.name : '';
}
