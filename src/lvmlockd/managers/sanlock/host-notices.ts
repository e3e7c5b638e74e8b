import type { ByteString } from '../../../base/bytes.ts';
import { ERRNO } from '../../../base/errno.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import { setEvent } from '../../../wire/sanlock/daemon-calls.ts';
import type { ReceivedEvent } from '../../../wire/sanlock/events.ts';
import { EVENT_FLAGS } from '../../../wire/sanlock/socket.ts';
import {
  both,
  type HeardNotice,
  LV_MARK_BYTES,
  OK,
  type Outcome,
  type RefreshNotice,
} from '../manager.ts';
import type { ManagerSteps } from '../steps.ts';
import { ask } from './ask.ts';
import type { OpenSpace } from './open-space.ts';
import { codeOf } from './results.ts';

/**
 * Notices as host events of sanlock (spec 31 §5.1): they lie in this host's delta lease from its
 * next renewal on, and every host reads all delta leases with each renewal of its own. Hosts whose
 * lvmlockd is the original have nobody who listens.
 */

/**
 * The number of our events: on the disk `\x10lvsize`. sanlock refuses another number while one is
 * shown, and takes the same one with other words at once. The low four bits are those of
 * sanlk-reset (spec 25 §6), and stay 0.
 */
export const REFRESH_EVENT = 0x00_65_7a_69_73_76_6c_10n;

const BYTE_BITS = 8n;

export function* tell(
  { site, hostId, times }: OpenSpace,
  notice: RefreshNotice,
): ManagerSteps<Outcome> {
  const { order, lvMark } = notice;
  const words = { generation: BigInt(order), event: REFRESH_EVENT, data: wordOf(lvMark) };
  const event = { hostId: BigInt(hostId), ...words };
  const answer = yield* ask(setEvent(site.spaceName, event, EVENT_FLAGS.ALL_HOSTS), times.quickMs);
  if (answer.ok) return OK;
  // An event of another kind is shown: it is not replaced.
  if (codeOf(answer) === -ERRNO.EBUSY) return both(LD_RESULT.AGAIN);
  return { result: LD_RESULT.REFUSED, lmResult: codeOf(answer) };
}

/** null: an event of another program, or of a later version of ours. */
export function noticeOf(heard: ReceivedEvent): HeardNotice | null {
  if (heard.event !== REFRESH_EVENT) return null;
  const order = Number(heard.generation);
  const lvMark = markOf(heard.data);
  if (lvMark === null || !Number.isSafeInteger(order)) return null;
  const fromHostId = Number(heard.fromHostId);
  return { order, lvMark, fromHostId, fromGeneration: Number(heard.fromGeneration) };
}

/** Its characters in the order in which the disk has them. */
function wordOf(lvMark: ByteString): bigint {
  let word = 0n;
  for (let at = Math.min(lvMark.length, LV_MARK_BYTES) - 1; at >= 0; at--) {
    word = (word << BYTE_BITS) | BigInt(lvMark.charCodeAt(at) & 0xff);
  }
  return word;
}

function markOf(word: bigint): ByteString | null {
  if (word === 0n) return '';
  let mark = '';
  for (let rest = word; rest !== 0n; rest >>= BYTE_BITS) {
    mark += String.fromCharCode(Number(rest & 0xffn));
  }
  return /^[A-Za-z0-9]{8}$/.test(mark) ? mark : null;
}
