import { LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import type { HostSeen } from './managers/manager.ts';
import type { LockAction, Resource } from './resource.ts';
import { type DaemonState, type Lockspace, log, run } from './state.ts';
import { OF_DAEMON, ofSpace } from './task-owner.ts';

/**
 * Which host keeps this one from a lock. It is found out after a refusal, beside all other work:
 * no grant waits for it, and nothing but the answer that it goes into.
 */

/** While requests are tried again, the holder is looked for anew after so long. */
const NOTE_MS = 5000;

/** A request waits for its next try: `lvmlockctl -i` shows for whom. */
export function noteHolder(state: DaemonState, lockspace: Lockspace, resource: Resource): void {
  const { holder } = resource;
  if (holder !== null && state.nowMs - holder.atMs < NOTE_MS) return;
  findHolder(state, lockspace, resource, () => {});
}

/** `then` is called once, also when the lockspace is gone by then: the answer is owed. */
export function findHolder(
  state: DaemonState,
  lockspace: Lockspace,
  resource: Resource,
  then: (seen: HostSeen | null) => void,
): void {
  if (resource.holderWanted !== null) {
    resource.holderWanted.push(then);
    return;
  }
  resource.holderWanted = [then];
  run(state, OF_DAEMON, lockspace.space.holder({ ...resource.ref }), (seen) => {
    const wanted = resource.holderWanted ?? [];
    resource.holderWanted = null;
    resource.holder = { seen, atMs: state.nowMs };
    for (const one of wanted) one(seen);
  });
}

/** For the administrator: who wanted what, and which host has it. */
export function logHeldElsewhere(
  state: DaemonState,
  lockspace: Lockspace,
  of: {
    readonly resource: Resource;
    readonly action: Pick<LockAction, 'clientId' | 'request'>;
    readonly seen: HostSeen | null;
  },
): void {
  const { resource, action, seen } = of;
  const client = state.clients.get(action.clientId);
  log(state, 'warn', 'lock.heldElsewhere', {
    vg: lockspace.vg.vgName,
    resource: resource.ref.name,
    mode: action.request.mode,
    ...(client === undefined ? {} : { command: client.name, pid: client.pid }),
    ...(seen === null ? { holder: 'not known' } : holderFields(seen)),
  });
}

function holderFields({ hostId, generation, state, name }: HostSeen) {
  return {
    hostId,
    generation,
    hostName: name === '' ? 'not known' : name,
    ...(state === '' ? {} : { state }),
  };
}

/** A refusal that says which host has the lock. */
export function isHeldElsewhere(effect: {
  readonly result: number;
  readonly heldElsewhere?: true;
}): boolean {
  return effect.heldElsewhere === true && effect.result === LD_RESULT.AGAIN;
}

/** In which generation this host has joined: newer lvm compares it with what it knows. */
export function learnGeneration(state: DaemonState, lockspace: Lockspace): void {
  run(state, ofSpace(lockspace), lockspace.space.membership(), (seen) => {
    if (seen !== null) lockspace.generation = seen.generation;
  });
}
