import { unreachable } from '../base/assert.ts';
import { LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import { shortReply } from '../wire/lvmlockd/replies.ts';
import type {
  RemoteLvLockRequest,
  SetLockArgsRequest,
  VgStatusRequest,
} from '../wire/lvmlockd/requests.ts';
import { lockspaceOf, usable } from './lock-requests.ts';
import { reply, replyInit } from './replies.ts';
import { advanceResource } from './resource-effects.ts';
import { type DaemonState, run } from './state.ts';
import { ofClient } from './task-owner.ts';

/** Requests that lvm2 2.03.16 does not know (spec 31 §8). */
export function newerRequest(
  state: DaemonState,
  clientId: number,
  request: RemoteLvLockRequest | SetLockArgsRequest | VgStatusRequest,
): void {
  switch (request.kind) {
    case 'setLockArgsBefore':
    case 'setLockArgsFinal':
      setLockArgs(state, clientId, request);
      return;
    case 'setRemoteLvLock':
      setRemoteLvLock(state, clientId, request);
      return;
    case 'vgStatus':
      requestVgStatus(state, clientId, request);
      return;
    default:
      unreachable(request);
  }
}

/**
 * setlockargs_vg_before, setlockargs_vg_final: leases of this generation have none of the features
 * that they switch, so nothing is changed, and lvm says that they are not supported.
 */
function setLockArgs(state: DaemonState, clientId: number, request: SetLockArgsRequest): void {
  const to = { clientId, request };
  const { vgLockArgs, kind } = request;
  const result = LD_RESULT.PROTONOSUPPORT;
  if (kind === 'setLockArgsFinal') {
    replyInit(state, to, { result, lmResult: 0, vgLockArgs, lvLockArgs: '' });
    return;
  }
  const again = () => setLockArgs(state, clientId, request);
  const lockspace = usable(state, to, request, again);
  if (lockspace !== null) reply(state, to, { result, lockType: lockspace.manager.lockType });
}

/** vg_status: this host's membership; lvm asks for it before it removes another host's keys. */
function requestVgStatus(state: DaemonState, clientId: number, request: VgStatusRequest): void {
  const to = { clientId, request };
  const lockspace = lockspaceOf(state, request.vgName);
  if (lockspace === null) {
    const owner = { hostId: 0, generation: 0, timestampS: 0, state: '', name: '' };
    reply(state, to, { result: LD_RESULT.NOENT, owner });
    return;
  }
  const { hostId, generation, manager, space } = lockspace;
  const known = { hostId, generation, timestampS: 0, state: '', name: '' };
  run(state, ofClient(to), space.membership(), (seen) => {
    reply(state, to, { result: 0, lockType: manager.lockType, owner: seen ?? known });
  });
}

/** set_remote_lv_lock: only a lock manager of tests can let another host seem to hold an LV. */
function setRemoteLvLock(state: DaemonState, clientId: number, request: RemoteLvLockRequest): void {
  const result = pretendHeld(state, request);
  const text = shortReply({ op: request.op, result });
  state.effects.push({ kind: 'send', clientId, text });
}

function pretendHeld(state: DaemonState, request: RemoteLvLockRequest): number {
  const lockspace = lockspaceOf(state, request.vgName);
  if (lockspace === null) return LD_RESULT.ENOLS;
  const { space, resources } = lockspace;
  if (space.pretendHeld === undefined) return LD_RESULT.REFUSED;
  const { mode, lvUuid } = request;
  if (lvUuid === '' || mode === 'iv' || mode === 'nl') return LD_RESULT.INVAL;
  space.pretendHeld(lvUuid, mode);
  // A lock that is held here would be granted again without a question.
  const resource = resources.find((one) => one.ref.name === lvUuid);
  if (resource?.running === null) advanceResource(state, lockspace, resource, { kind: 'lost' });
  return LD_RESULT.OK;
}
