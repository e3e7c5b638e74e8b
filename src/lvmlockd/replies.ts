import { LD_FLAG, LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import {
  initReply,
  normalReply,
  type OwnerFields,
  ownerReply,
  queryReply,
  type ReplyHead,
  startReply,
} from '../wire/lvmlockd/replies.ts';
import type { LockMode, LockType } from '../wire/lvmlockd/requests.ts';
import { hasDuplicateGl, isGlKnown } from './gl-carriers.ts';
import { findRunning } from './running-managers.ts';
import type { DaemonState, Lockspace } from './state.ts';
import type { Waiter } from './waiter.ts';

/** Answers a request; a client that is gone gets nothing. */
export function reply(
  state: DaemonState,
  to: Waiter,
  outcome: {
    readonly result: number;
    readonly lmResult?: number;
    readonly lockType?: LockType;
    /** Words that only this answer carries. */
    readonly words?: readonly string[];
    /** The lockspace that the request was about, where its VG's name does not say it. */
    readonly lockspace?: Lockspace;
    /** Of start_vg: this host's generation before; 0: not known. */
    readonly prevGeneration?: number;
    /** The host that holds the lock, or that vg_status asks for; null: not known. */
    readonly owner?: OwnerFields | null;
  },
): void {
  if (!state.clients.has(to.clientId)) return;
  const flags = flagsText(state, outcome.result, outcome.words ?? []);
  const lockType = outcome.lockType ?? to.request.lockType;
  const { result } = outcome;
  const lmResult = outcome.lmResult ?? 0;
  const from = { op: to.request.op, lockType, result, lmResult, flags };
  const { owner, prevGeneration } = outcome;
  const generation = (outcome.lockspace ?? spaceOf(state, to))?.generation ?? 0;
  const textWith = (head: ReplyHead) => {
    if (owner !== undefined && owner !== null) return ownerReply({ ...head, owner });
    if (prevGeneration === undefined || prevGeneration === 0) {
      return normalReply({ ...head, generation });
    }
    return startReply({ ...head, prevGeneration });
  };
  const text = textWith(from);
  const { clientId } = to;
  if (result !== LD_RESULT.EIOTIMEOUT) state.effects.push({ kind: 'send', clientId, text });
  else {
    // 2.03.16 gives up at a number that it does not know.
    const textForOld = textWith({ ...from, result: LD_RESULT.AGAIN });
    state.effects.push({ kind: 'send', clientId, text, textForOld });
  }
}

/** The lockspace of the VG that the request names; null: it names none, or none is known. */
function spaceOf(state: DaemonState, { request }: Waiter): Lockspace | null {
  if (!('vgName' in request) || request.vgName === '') return null;
  return state.lockspaces.find((one) => one.vg.vgName === request.vgName) ?? null;
}

export function replyQuery(
  state: DaemonState,
  to: Waiter,
  answer: { readonly result: number; readonly lockType: LockType; readonly mode: LockMode },
): void {
  if (!state.clients.has(to.clientId)) return;
  state.effects.push({ kind: 'send', clientId: to.clientId, text: queryReply(answer) });
}

export function replyInit(
  state: DaemonState,
  to: Waiter,
  outcome: {
    readonly result: number;
    readonly lmResult: number;
    readonly vgLockArgs: string;
    readonly lvLockArgs: string;
  },
): void {
  if (!state.clients.has(to.clientId)) return;
  const flags = state.gl.removed ? `${LD_FLAG.WARN_GL_REMOVED},` : '';
  const text = initReply({ ...outcome, op: to.request.op, flags });
  state.effects.push({ kind: 'send', clientId: to.clientId, text });
}

/**
 * No such lockspace (-210). While no lock manager has been chosen, the answer also says whether any
 * runs, so that lvm can say what is missing.
 */
export function replyNoLockspace(state: DaemonState, to: Waiter): void {
  const { kind } = to.request;
  if (kind === 'query') {
    const lockType = to.request.lockType;
    replyQuery(state, to, { result: LD_RESULT.ENOLS, lockType, mode: 'iv' });
    return;
  }
  if (state.gl.lockType !== null) {
    reply(state, to, { result: LD_RESULT.ENOLS });
    return;
  }
  findRunning(state, to, (running) => {
    const words = running.length === 0 ? [LD_FLAG.NO_LM] : [];
    reply(state, to, { result: LD_RESULT.ENOLS, words });
  });
}

/** Every word carries a trailing comma, but NO_LM does not [run] (spec 30 §3.3). */
function flagsText(state: DaemonState, result: number, words: readonly string[]): string {
  const found: string[] = [];
  if (result === LD_RESULT.ENOLS) {
    if (state.lockspaces.length === 0) found.push(LD_FLAG.NO_LOCKSPACES);
    if (!isGlKnown(state)) found.push(LD_FLAG.NO_GL_LS);
  }
  const hasNoLm = words.includes(LD_FLAG.NO_LM);
  found.push(...words.filter((word) => word !== LD_FLAG.NO_LM));
  if (state.gl.removed) found.push(LD_FLAG.WARN_GL_REMOVED);
  return found.map((word) => `${word},`).join('') + (hasNoLm ? LD_FLAG.NO_LM : '');
}

/** DUP_GL_LS goes with GL and VG locks of the VGs concerned. */
export function duplicateWords(state: DaemonState, lockspace: Lockspace): readonly string[] {
  return lockspace.glEnabled && hasDuplicateGl(state) ? [LD_FLAG.DUP_GL_LS] : [];
}
