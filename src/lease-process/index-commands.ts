import { unreachable } from '../base/assert.ts';
import type { Result } from '../base/result.ts';
import type { LeaseError } from '../lease/lease-error.ts';
import { leaseTimes } from '../lease/lease-times.ts';
import {
  createInIndex,
  deleteFromIndex,
  formatIndex,
  lookUpIndex,
  NOWHERE,
  rebuildIndex,
  recoverIndex,
  updateIndex,
} from '../lease/rindex.ts';
import type { IndexPlace } from '../lease/rindex-area.ts';
import type { Steps } from '../lease/steps.ts';
import {
  answer,
  type CommandContext,
  notJoined,
  PLAIN_TIMEOUT_MS,
  wantedGeometry,
} from './command-context.ts';
import type { IndexCommand, LeaseCommandResult } from './messages.ts';

/** One command about the index of resource names, as a procedure ending in its answer. */
export function* indexSteps(
  command: IndexCommand,
  context: CommandContext,
): Steps<LeaseCommandResult> {
  const { member, nowMs } = context;
  const { task } = command;
  const place: IndexPlace = {
    ...command.area,
    lockspaceName: command.lockspaceName,
    readTimeoutMs: member === null ? PLAIN_TIMEOUT_MS : leaseTimes(member.ioTimeoutS).ioTimeoutMs,
    writeTimeoutMs: command.writeTimeoutMs,
  };
  switch (task.kind) {
    case 'format': {
      const geometry = wantedGeometry(task.sizes, context.deviceSectorSize);
      if (!geometry.ok) return answer(geometry);
      const { maxResources } = task;
      const done = yield* formatIndex(place, { geometry: geometry.value, maxResources, nowMs });
      return done.ok ? indexAnswer({ ok: true, value: NOWHERE }) : answer(done);
    }
    case 'create':
      if (member === null) return notJoined('index create');
      return indexAnswer(yield* createInIndex(member, place, { name: task.name, nowMs }));
    case 'delete':
      if (member === null) return notJoined('index delete');
      return indexAnswer(yield* deleteFromIndex(member, place, { ...task, nowMs }));
    case 'lookup':
      return indexAnswer(yield* lookUpIndex(place, task));
    case 'update':
      return indexAnswer(yield* updateIndex(member, place, task));
    case 'rebuild':
      return indexAnswer(yield* rebuildIndex(member, place));
    case 'recover':
      if (member === null) return notJoined('index recover');
      return indexAnswer(yield* recoverIndex(member, place));
    default:
      return unreachable(task);
  }
}

function indexAnswer(
  result: Result<{ name: string; offset: number; differs?: boolean }, LeaseError>,
): LeaseCommandResult {
  if (!result.ok) return answer(result);
  const { name, offset, differs = false } = result.value;
  return { ok: true, op: 'index', name, offset, differs };
}
