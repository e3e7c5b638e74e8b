import type { ByteString } from '../../../base/bytes.ts';
import { ERRNO } from '../../../base/errno.ts';
import { getLockspaces, registerEvents } from '../../../wire/sanlock/daemon-calls.ts';
import type { Presence } from '../manager.ts';
import type { ManagerSteps } from '../steps.ts';
import { ask, closeSession, openSession } from './ask.ts';
import { codeOf, isAnswered } from './results.ts';
import type { SanlockTimes } from './times.ts';

/**
 * Does sanlock still have a lockspace? It sends no word when somebody removes one, or when one is
 * lost that nobody uses. But it closes the channels of host events of a lockspace that is gone: a
 * channel that is registered for no event is told the end at once (spec 31 §4).
 */

export function* presenceOf(name: ByteString, times: SanlockTimes): ManagerSteps<Presence> {
  const answer = yield* ask(getLockspaces(), times.quickMs);
  if (!answer.ok) return isAnswered(answer) ? 'absent' : 'unknown';
  return answer.value.some((area) => area.name === name) ? 'joined' : 'absent';
}

/** `channel`: the number of its session. */
export function* watchSpace(
  channel: number,
  name: ByteString,
  times: SanlockTimes,
): ManagerSteps<'watching' | 'absent' | 'unwatched'> {
  yield* closeSession(channel); // of an earlier watch
  const answer = yield* openSession(channel, registerEvents(name), times.quickMs);
  if (answer.ok) return 'watching';
  yield* closeSession(channel);
  return codeOf(answer) === -ERRNO.ENOENT && isAnswered(answer) ? 'absent' : 'unwatched';
}
