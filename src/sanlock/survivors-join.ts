import { ERRNO } from '../base/errno.ts';
import { log } from './effects.ts';
import type { Front } from './front.ts';
import { isKept, logKeptLeases } from './kept-leases.ts';
import { clashes, isMeant, type NamedLockspace } from './named-lockspace.ts';
import { pidsText, type Survivor } from './survivors.ts';

/** Only an administrator can find out what became of the holders in the damaged part. */
export const ADVICE =
  'no lockspace is joined until the machine is rebooted, or until nothing here uses leases of the ' +
  'daemon before, sanlock.holders in the run directory is removed, and sanlock is started again';

/** A join that survivors of an earlier daemon forbid for now. @returns 0, or a result number */
export function refuseJoin(front: Front, asked: NamedLockspace): number {
  const survivor = survivorAt(front, asked);
  if (survivor !== null && isKept(survivor)) {
    logKeptLeases(front, survivor);
    return -ERRNO.EBUSY; // until an administrator releases them
  }
  if (front.journalState.holdersUnknown) {
    log(front, 'error', 'lockspace.closed', { lockspace: asked.name, advice: ADVICE });
    return -ERRNO.EBUSY; // as above: on -11 lvmlockd would try again for minutes
  }
  if (survivor === null) return 0;
  const fields = { lockspace: asked.name, pids: pidsText(survivor) };
  log(front, 'warn', 'lockspace.stillHeld', fields);
  return -ERRNO.EAGAIN; // its holders end by themselves, or are stopped
}

/** The survivor whose persistent leases are kept in the very lockspace that is named. */
export function keptLeasesAt(front: Front, asked: NamedLockspace): Survivor | null {
  const survivor = survivorAt(front, asked);
  const isMeantHere = survivor !== null && isMeant(survivor.space, asked);
  return isMeantHere && isKept(survivor) ? survivor : null;
}

function survivorAt(front: Front, asked: NamedLockspace): Survivor | null {
  return front.survivors.find(({ space }) => clashes(space, asked)) ?? null;
}
