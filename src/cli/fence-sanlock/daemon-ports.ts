import type { ByteString } from '../../base/bytes.ts';
import { ERRNO } from '../../base/errno.ts';
import {
  callOnce,
  openLink,
  type SanlockEndpoint,
  type SanlockLink,
} from '../../client/sanlock-link.ts';
import { align } from '../../wire/sanlock/area-calls.ts';
import type { SanlockCall } from '../../wire/sanlock/call.ts';
import {
  addLockspace,
  register,
  removeLockspace,
  setConfig,
  status,
} from '../../wire/sanlock/daemon-calls.ts';
import { acquire, killpath, release, restrict } from '../../wire/sanlock/lease-calls.ts';
import { textField } from '../../wire/sanlock/records.ts';
import { CONFIG_COMMANDS, RESTRICT_FLAGS, STATE_TYPES } from '../../wire/sanlock/socket.ts';
import type { StateRecord } from '../../wire/sanlock/types.ts';
import type { FenceSanlock } from './daemon.ts';
import type { FenceStart } from './start-message.ts';
import { FENCE_LOCKSPACE, fenceLockspace, ownLease, wrongArea } from './storage.ts';

type Answer = (failure: string | null) => void;

const QUICK_MS = 10_000;
/** The end of this program does not hang on a disk that does. */
const UNDO_MS = 60_000;
/** What REM_LOCKSPACE says of one that is gone, or on its way out. */
const LEAVING: readonly number[] = [-ERRNO.ENOENT, -ERRNO.EINPROGRESS, -ERRNO.EAGAIN];

/** The local sanlock. `lost`: its connection ended while this process was registered. */
export function sanlockOf(
  endpoint: SanlockEndpoint,
  of: { readonly start: FenceStart; readonly killpath: ByteString; readonly lost: () => void },
): FenceSanlock {
  const { path, hostId } = of.start;
  const lockspace = fenceLockspace(path, hostId);
  const lease = ownLease(path, hostId);
  let link: SanlockLink | null = null;
  const once = (call: SanlockCall<number>, timeoutMs: number | undefined, answer: Answer): void => {
    callOnce(endpoint, call, timeoutMs, (result) =>
      answer(result.ok ? null : result.error.message),
    );
  };
  const onLink = (
    call: SanlockCall<number>,
    timeoutMs: number | undefined,
    answer: Answer,
  ): void => {
    if (link === null) answer(`${call.name}: not registered with sanlock`);
    else {
      link.call(call, timeoutMs, (result) => answer(result.ok ? null : result.error.message));
    }
  };
  const registerOn = (opened: SanlockLink, answer: Answer): void => {
    link = opened;
    opened.onClosed(of.lost);
    opened.call(register(), QUICK_MS, () => {});
    const program = { path: of.killpath, args: '-1' };
    onLink(killpath(program), QUICK_MS, (failure) => {
      if (failure !== null) answer(failure);
      else onLink(restrict(RESTRICT_FLAGS.SIGKILL), QUICK_MS, answer);
    });
  };
  return {
    register: (answer) =>
      fitness(endpoint, path, (unfit) => {
        if (unfit !== null) {
          answer(unfit);
          return;
        }
        openLink(endpoint, { during: 'register' }, (opened) => {
          if (opened.ok) registerOn(opened.value, answer);
          else answer(opened.error.message);
        });
      }),
    join: (answer) => once(addLockspace(lockspace), undefined, answer),
    keepForOrphans: (answer) =>
      once(setConfig(FENCE_LOCKSPACE, CONFIG_COMMANDS.USED_BY_ORPHANS), QUICK_MS, answer),
    acquire: (answer) => onLink(acquire([lease]), undefined, answer),
    release: (answer) => onLink(release([lease]), UNDO_MS, answer),
    leave: (answer) => {
      const call = removeLockspace(lockspace, { async: true });
      callOnce(endpoint, call, UNDO_MS, (result) => {
        const isLeaving = result.ok || LEAVING.includes(result.error.code);
        answer(isLeaving ? null : result.error.message);
      });
    },
  };
}

/**
 * Whether fencing by this sanlock and this storage can be relied on. Others take our lease
 * 8t + 60 s after sanlock's last renewal; without a watchdog of its own, a sanlock that was
 * killed would leave this host running at that time.
 */
function fitness(endpoint: SanlockEndpoint, path: ByteString, answer: Answer): void {
  callOnce(endpoint, status(STATE_TYPES.DAEMON), QUICK_MS, (found) => {
    if (!found.ok) {
      answer(found.error.message);
      return;
    }
    if (!usesWatchdog(found.value)) {
      answer('sanlock runs without wdmd (-w 0): nothing would reset this host when it fails');
      return;
    }
    callOnce(endpoint, align({ path, offset: 0n }), undefined, (areas) =>
      answer(areas.ok ? wrongArea(areas.value) : areas.error.message),
    );
  });
}

function usesWatchdog(records: readonly StateRecord[]): boolean {
  const daemon = records.find(({ type }) => type === STATE_TYPES.DAEMON);
  return daemon !== undefined && textField(daemon, 'use_watchdog') === '1';
}
