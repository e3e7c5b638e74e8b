import type { ByteString } from '../base/bytes.ts';
import { LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import type { FreeLvRequest } from '../wire/lvmlockd/requests.ts';
import { usable } from './lock-requests.ts';
import { reply } from './replies.ts';
import { isIdle } from './resource.ts';
import { advanceResource } from './resource-effects.ts';
import { type DaemonState, type Lockspace, resourceIn } from './state.ts';
import { holdOf } from './vg-hold.ts';

/**
 * free_lv: the lease of an LV that lvm removes (spec 30 §4.4, 31 §2). Under the exclusive VG lock
 * it is freed with that lock (vg-hold.ts). Without, as lvm asks that skips the VG lock and as the
 * originals do it: at once.
 */
export function requestFreeLv(state: DaemonState, clientId: number, request: FreeLvRequest): void {
  const to = { clientId, request };
  const lockspace = usable(state, to, request, () => requestFreeLv(state, clientId, request));
  if (lockspace === null) return;
  const { lockType, traits } = lockspace.manager;
  const answer = (result: number) => reply(state, to, { result, lockType });
  if (!traits.lvLeases) {
    answer(0);
    return;
  }
  const { lvUuid } = request;
  const lvLockArgs = placeOf(lockspace, request);
  if (lvUuid === '' || lvLockArgs === '') {
    answer(LD_RESULT.NOENT);
    return;
  }
  const known = lockspace.resources.find((one) => one.ref.name === lvUuid);
  if (known !== undefined && known.ref.scope !== 'lv') {
    answer(LD_RESULT.NOENT);
    return;
  }
  const hold = holdOf(lockspace, clientId);
  const client = state.clients.get(clientId);
  const command = client?.command ?? '';
  if (hold !== null && command !== COMPARES) {
    if (known !== undefined && !isIdle(known)) {
      answer(LD_RESULT.BUSY);
      return;
    }
    const isAfterCommit = client?.freesAfterCommit === true;
    hold.frees.set(lvUuid, { lvLockArgs, updates: hold.updates, command, isAfterCommit });
    answer(0);
    return;
  }
  const resource = resourceIn(state, lockspace, { scope: 'lv', name: lvUuid });
  if (resource === null) {
    answer(LD_RESULT.NOMEM);
    return;
  }
  const action = { kind: 'freeLv', clientId, request: { ...request, lvLockArgs } } as const;
  advanceResource(state, lockspace, resource, { kind: 'action', action });
}

/** Frees what the metadata does not have, by metadata that it read under the VG lock. */
const COMPARES = 'lvmlockctl';

/** Where the lease is: by the request, or by the lock that ended last. '': not known. */
function placeOf(lockspace: Lockspace, { lvUuid, lvLockArgs }: FreeLvRequest): ByteString {
  if (lvLockArgs !== '') return lvLockArgs;
  const resource = lockspace.resources.find((one) => one.ref.name === lvUuid);
  return resource?.ref.lvLockArgs || (lockspace.unlocked.get(lvUuid)?.lvLockArgs ?? '');
}
