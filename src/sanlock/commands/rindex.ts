import { ERRNO } from '../../base/errno.ts';
import { SECOND_MS, toSafeNumber } from '../../base/units.ts';
import { decode, encode, zeroRecord } from '../../codec/struct.ts';
import { MAX_OFFSET } from '../../format/limits.ts';
import { INDEX_LEASE_NAME } from '../../format/resource-index.ts';
import type { IndexTask, LeaseCommandResult } from '../../lease-process/messages.ts';
import { SANLOCK_CODES } from '../../wire/sanlock/codes.ts';
import { RINDEX_FLAGS, sanlkRentry, sanlkRindex } from '../../wire/sanlock/socket.ts';
import type { Front } from '../front.ts';
import { recordWant } from '../holder-journal.ts';
import { INDEX_TASK } from '../inherited.ts';
import type { Request } from '../request.ts';
import { resultNumber } from '../result-number.ts';
import type { Lockspace, Reply, Want } from '../state.ts';
import { endWant } from '../undone.ts';
import { isAreaOffset } from './area-offset.ts';
import { runAnywhere, sizesOfFlags } from './areas.ts';

/** The commands about an index of resource names (spec 20 §4 rindex, spec 10 §11). */

/** A name and a place; '' and 0 = none. */
interface Entry {
  readonly name: string;
  readonly offset: number;
}

const NO_ENTRY: Entry = { name: '', offset: 0 };

type Answered = (result: number, entry: Entry) => void;

export function formatIndexCommand(front: Front, request: Request, reply: Reply): void {
  const asked = decode(sanlkRindex, request.body);
  const sizes = sizesOfFlags(asked.flags);
  const task = { kind: 'format', sizes, maxResources: asked.maxResources } as const;
  const space = front.liveLockspace(asked.lockspaceName);
  run(front, request, { task, space }, (result) => reply(result));
}

export function rebuildIndexCommand(front: Front, request: Request, reply: Reply): void {
  onIndex(front, request, { kind: 'rebuild' }, (result) => reply(result));
}

export function createResourceCommand(front: Front, request: Request, reply: Reply): void {
  const entry = entryOf(request);
  // As in the original, the number of hosts in the header is ignored: always the largest number.
  const task = { kind: 'create', name: entry?.name ?? '' } as const;
  onIndex(front, request, task, (result, { offset }) =>
    entryReply(reply)(result, { name: '', offset }),
  );
}

export function deleteResourceCommand(front: Front, request: Request, reply: Reply): void {
  withEntry(front, request, reply, (entry) => ({ kind: 'delete', ...entry }));
}

export function lookupIndexCommand(front: Front, request: Request, reply: Reply): void {
  withEntry(front, request, reply, (entry) => ({ kind: 'lookup', ...entry }));
}

export function updateIndexCommand(front: Front, request: Request, reply: Reply): void {
  const { cmdFlags } = request.header;
  const remove = (cmdFlags & RINDEX_FLAGS.REM) !== 0;
  if (!remove && (cmdFlags & RINDEX_FLAGS.ADD) === 0) {
    entryReply(reply)(-ERRNO.EINVAL, NO_ENTRY);
    return;
  }
  withEntry(front, request, reply, (entry) => ({ kind: 'update', ...entry, remove }));
}

function withEntry(
  front: Front,
  request: Request,
  reply: Reply,
  taskOf: (entry: Entry) => IndexTask,
): void {
  const entry = entryOf(request);
  if (entry === null) entryReply(reply)(SANLOCK_CODES.RINDEX_OFFSET, NO_ENTRY);
  else onIndex(front, request, taskOf(entry), entryReply(reply));
}

/** null when no disk can have that offset. */
function entryOf(request: Request): Entry | null {
  const { name, offset } = decode(sanlkRentry, request.body, sanlkRindex.size);
  return offset > MAX_OFFSET ? null : { name, offset: toSafeNumber(offset, 'entry offset') };
}

function entryReply(reply: Reply): Answered {
  return (result, { name, offset }) => {
    const rentry = { ...zeroRecord(sanlkRentry), name, offset: BigInt(offset) };
    reply(result, 0, encode(sanlkRentry, rentry));
  };
}

/** Needs a joined lockspace; the caller may allow lookup, update and rebuild to go without. */
function onIndex(front: Front, request: Request, task: IndexTask, done: Answered): void {
  const { lockspaceName } = decode(sanlkRindex, request.body);
  const space = front.liveLockspace(lockspaceName);
  const { NO_LOCKSPACE } = RINDEX_FLAGS;
  const mayGoWithout = task.kind !== 'create' && task.kind !== 'delete';
  if (!mayGoWithout || (request.header.cmdFlags & NO_LOCKSPACE) === 0) {
    const usable = front.usableLockspace(lockspaceName) !== null;
    const refused = space === null ? -ERRNO.ENOENT : usable ? 0 : -ERRNO.ENOSPC;
    if (refused !== 0) {
      done(refused, NO_ENTRY);
      return;
    }
  }
  run(front, request, { task, space }, done);
}

function run(
  front: Front,
  request: Request,
  what: { readonly task: IndexTask; readonly space: Lockspace | null },
  done: Answered,
): void {
  const { task, space } = what;
  const asked = decode(sanlkRindex, request.body);
  const refused = refusal(front, asked, space);
  if (refused !== 0) {
    done(refused, NO_ENTRY);
    return;
  }
  const area = { path: asked.path, offset: toSafeNumber(asked.offset, 'index offset') };
  const want = space === null || !takesLease(task) ? null : newWant(front, space, area);
  if (want !== null && !recordWant(front, want, request.client.pid)) {
    done(-ERRNO.EAGAIN, NO_ENTRY);
    return;
  }
  if (space !== null) space.indexBusy = true;
  if (want !== null) space?.undone.add(want);
  const command = {
    op: 'index',
    area,
    lockspaceName: asked.lockspaceName,
    writeTimeoutMs: front.settings.writeInitIoTimeoutS * SECOND_MS,
    task,
  } as const;
  runAnywhere(front, asked.lockspaceName, command, (result, unfinished) => {
    if (space !== null) space.indexBusy = false;
    if (want !== null) {
      space?.undone.delete(want);
      endWant(front, want, { result, unfinished });
    }
    answer(result, done);
  });
}

/** Cut off, it would keep the lease of the index from other hosts as long as this one lives. */
function takesLease({ kind }: IndexTask): boolean {
  return kind !== 'format' && kind !== 'lookup';
}

function newWant(
  front: Front,
  lockspace: Lockspace,
  { path, offset }: { readonly path: string; readonly offset: number },
): Want {
  return { id: front.newResourceId(), lockspace, name: INDEX_TASK, path, offset };
}

function refusal(
  front: Front,
  asked: { readonly lockspaceName: string; readonly path: string; readonly offset: bigint },
  space: Lockspace | null,
): number {
  if (space?.indexBusy === true) return -ERRNO.EBUSY;
  // A client of this host holds the index lease itself: it does not keep our own writes apart.
  if (front.findResource(asked.lockspaceName, INDEX_LEASE_NAME) !== null) return -ERRNO.EBUSY;
  if (asked.path === '') return -ERRNO.ENOENT;
  return isAreaOffset(asked.offset) ? 0 : -ERRNO.EINVAL;
}

function answer(result: LeaseCommandResult, done: Answered): void {
  if (!result.ok) done(resultNumber(result.error), NO_ENTRY);
  else if (result.op === 'index') done(result.differs ? SANLOCK_CODES.RINDEX_DIFF : 0, result);
}
