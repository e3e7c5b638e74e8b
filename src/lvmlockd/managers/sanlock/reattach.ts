import { ERRNO } from '../../../base/errno.ts';
import { readResourceOwners } from '../../../wire/sanlock/area-calls.ts';
import { setConfig } from '../../../wire/sanlock/daemon-calls.ts';
import { convert } from '../../../wire/sanlock/lease-calls.ts';
import { CONFIG_COMMANDS } from '../../../wire/sanlock/socket.ts';
import type { Resource } from '../../../wire/sanlock/types.ts';
import type { HeldMode, KnownLock, LostLock, ReattachOutcome } from '../manager.ts';
import { type ManagerSteps, sleep } from '../steps.ts';
import { ask } from './ask.ts';
import { resourceOf } from './layout.ts';
import { acquireLease, withMode } from './lease-lock.ts';
import type { OpenSpace } from './open-space.ts';
import { codeOf, isAnswered, stillOurs } from './results.ts';

/**
 * The leases of a session that broke, as leases of a new one: the next sanlock may have resumed
 * the lockspace with what lvmlockd held in it. A lease that is named again in its mode moves to the
 * session that names it. None is ever released here: an LV uses it.
 */

const LATER_POLL_MS = 1000;

/** Over the open session; `patienceMs`: for leases about which sanlock cannot tell yet. */
export function* reattachLocks(
  space: OpenSpace,
  held: readonly KnownLock[],
  patienceMs: number,
): ManagerSteps<ReattachOutcome> {
  const { site, times } = space;
  const { USED_BY_ORPHANS } = CONFIG_COMMANDS;
  // Waits while the lockspace is being resumed; refused where sanlock does not know it.
  const used = yield* ask(setConfig(site.spaceName, USED_BY_ORPHANS), times.sessionMs);
  if (!used.ok) return { found: isAnswered(used) ? 'absent' : 'unreachable', lost: [] };
  const lost: LostLock[] = [];
  let leftMs = patienceMs;
  for (const known of held) {
    let attached = yield* reattachLock(space, known);
    for (; attached === 'later' && leftMs > 0; leftMs -= LATER_POLL_MS) {
      yield* sleep(LATER_POLL_MS);
      attached = yield* reattachLock(space, known);
    }
    if (attached === 'later') return { found: 'unreachable', lost };
    if (attached !== 'ours') lost.push(attached);
  }
  return { found: 'attached', lost };
}

type Attached = 'ours' | 'later' | LostLock;

function* reattachLock(space: OpenSpace, known: KnownLock): ManagerSteps<Attached> {
  const { lock } = known;
  const resource = resourceOf(space.site, lock.resource);
  if (resource === null) return { lock, owner: null }; // its place is not known: never granted
  const isOfLv = lock.resource.scope === 'lv';
  for (const mode of modesFrom(lock.mode)) {
    const wanted = withMode(resource, mode);
    // An LV is in use here, whether its lease was kept or not. A command that holds the VG's or the
    // global lock has read metadata, which other hosts may have changed if the lease was free.
    let found = stillOurs(yield* acquireLease(space, wanted, isOfLv ? 'disk' : 'kept'));
    // The session before is over: what it held may be an orphan already.
    if (found === 'orphan') found = stillOurs(yield* acquireLease(space, wanted, 'orphan'));
    if (found === 'otherMode' || found === 'orphan') continue;
    if (found === 'lost') return { lock, owner: yield* ownerOf(space, resource) };
    if (found === 'later') return 'later';
    if (mode !== lock.mode) return yield* backToMode(space, resource, known);
    return 'ours';
  }
  return 'later'; // neither mode is the one that sanlock knows: it is changing
}

/** A conversion may have been under way. */
function modesFrom(mode: HeldMode): readonly HeldMode[] {
  return mode === 'ex' ? ['ex', 'sh'] : ['sh', 'ex'];
}

/** lvmlockd goes on from the mode that it knows; a conversion that was cut is done again. */
function* backToMode(
  space: OpenSpace,
  resource: Resource,
  { lock, isSteppingDown }: KnownLock,
): ManagerSteps<Attached> {
  const call = convert(withMode(resource, lock.mode), { ownerNowait: true });
  const answer = yield* ask(call, space.times.diskMs, space.session);
  if (answer.ok || codeOf(answer) === -ERRNO.EALREADY) return 'ours';
  const isRefused = lock.mode === 'ex' && isAnswered(answer);
  if (isRefused && isSteppingDown) return 'ours'; // another host has it shared, too
  return isRefused ? { lock, owner: yield* ownerOf(space, resource) } : 'later';
}

/** The exclusive owner, or one that holds it shared; null where the disk does not say. */
function* ownerOf(space: OpenSpace, resource: Resource): ManagerSteps<number | null> {
  const answer = yield* ask(readResourceOwners(resource), space.times.diskMs);
  const owner = answer.ok ? answer.value.hosts[0] : undefined;
  return owner === undefined ? null : Number(owner.hostId);
}
