import { unreachable } from '../../../base/assert.ts';
import { concatBytes, nameToText } from '../../../base/bytes.ts';
import { ERRNO } from '../../../base/errno.ts';
import { ok, type Result } from '../../../base/result.ts';
import { askLvmlockd } from '../../../client/lvmlockd.ts';
import { openLink } from '../../../client/sanlock-link.ts';
import { ByteQueue } from '../../../codec/byte-queue.ts';
import { decode } from '../../../codec/struct.ts';
import type { DaemonName, RunningDaemon } from '../../../inspect/restart/host-facts.ts';
import { formatRequest, numberOf } from '../../../wire/lvmlockd/libdaemon.ts';
import { LD_RESULT, resultName } from '../../../wire/lvmlockd/numbers.ts';
import type { Refusal } from '../../../wire/sanlock/call.ts';
import { handOver, version } from '../../../wire/sanlock/daemon-calls.ts';
import type { SanlockFailure } from '../../../wire/sanlock/failure.ts';
import { SM_CMD, type SmHeader } from '../../../wire/sanlock/socket.ts';
import {
  HAND_OVER_ANSWER,
  WDMD_CMD,
  WDMD_MESSAGE_BYTES,
  type WdmdMessage,
  wdmdMessage,
  wdmdMessageBytes,
} from '../../../wire/wdmd/socket.ts';
import { type DaemonPorts, hasEnded, until } from '../../observe/daemons.ts';

/** What a daemon says to the order to end and to leave everything to its successor. */
export type HandOver =
  /** It ends now. */
  | { readonly kind: 'ends' }
  /** It goes on as before. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** It does not know the order: the original, or a holdfast from before there was one. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'unreachable'; readonly reason: string };

const CONNECT_MS = 5000;
const ANSWER_MS = 15_000;
/** Between the end of its connection and its own. */
const LOST_ANSWER_MS = 5000;
const POLL_MS = 50;
/** lvmlockd first waits 10 s for commands that have locks. */
const LVMLOCKD_MS = 25_000;
/** sanlock waits for commands under way, as long as a renewal may be late. */
const SANLOCK_MS = 60_000;
/** The answer of a daemon that does not know a request. */
const NOT_KNOWN = -95;

/** Its end may be faster than its answer, or a crash faster than the order: both have a successor. */
export async function orderEnd(
  ports: DaemonPorts,
  name: DaemonName,
  daemon: RunningDaemon,
): Promise<HandOver> {
  const answer = await askHandOver(ports, name);
  if (answer.kind !== 'unreachable') return answer;
  const within = { ms: LOST_ANSWER_MS, everyMs: POLL_MS };
  const isGone = await until(ports.clock, () => hasEnded(ports.processes, daemon), within);
  return isGone ? { kind: 'ends' } : answer;
}

function askHandOver(ports: DaemonPorts, name: DaemonName): Promise<HandOver> {
  switch (name) {
    case 'wdmd':
      return askWdmd(ports);
    case 'sanlock':
      return askSanlock(ports);
    case 'lvmlockd':
      return askLvm(ports);
    default:
      return unreachable(name);
  }
}

/** A status request follows: a wdmd that answers it first has dropped the order. */
function askWdmd({ sockets, clock, paths }: DaemonPorts): Promise<HandOver> {
  return new Promise((resolve) => {
    sockets.connect(paths.wdmd, CONNECT_MS, (opened) => {
      if (!opened.ok) {
        const at = nameToText(paths.wdmd);
        resolve({ kind: 'unreachable', reason: `nothing serves ${at} (errno ${opened.errno})` });
        return;
      }
      const { connection } = opened;
      const arrived = new ByteQueue();
      const end = (answer: HandOver): void => {
        deadline.cancel();
        connection.close();
        resolve(answer);
      };
      const silent = { kind: 'unreachable', reason: 'wdmd does not answer' } as const;
      const deadline = clock.after(ANSWER_MS, () => end(silent));
      // Its end may be faster than its answer; whoever asked sees whether it has ended.
      connection.onClosed(() => end({ kind: 'ends' }));
      connection.onData((bytes) => {
        arrived.push(bytes);
        if (arrived.length < WDMD_MESSAGE_BYTES) return;
        end(wdmdAnswer(decode(wdmdMessage, arrived.take(WDMD_MESSAGE_BYTES))));
      });
      connection.send(wdmdMessageBytes({ cmd: WDMD_CMD.HAND_OVER }));
      connection.send(wdmdMessageBytes({ cmd: WDMD_CMD.STATUS }));
    });
  });
}

function wdmdAnswer({ cmd, flags, name }: WdmdMessage): HandOver {
  if (cmd !== WDMD_CMD.HAND_OVER) return { kind: 'unknown' };
  switch (flags) {
    case HAND_OVER_ANSWER.ENDS:
      return { kind: 'ends' };
    case HAND_OVER_ANSWER.RESET_NEAR:
      return refused('a test of wdmd fails, or is about to: this host may be reset at any moment');
    case HAND_OVER_ANSWER.NOT_RECORDED:
      return refused('the expiries that it watches are not written down (is /run full?)');
    case HAND_OVER_ANSWER.CLIENT_STAYS:
      return refused(`its client ${nameToText(name)} would not find the next wdmd: end it first`);
    default:
      return refused('only root may order it');
  }
}

function refused(reason: string): HandOver {
  return { kind: 'refused', reason };
}

/**
 * A version request follows: a sanlock that answers it first has dropped the order. Both in one
 * write: to write to a sanlock that has ended meanwhile would lose its answer.
 */
function askSanlock({ sockets, clock, paths }: DaemonPorts): Promise<HandOver> {
  const endpoint = { sockets, clock, socketPath: paths.sanlock };
  const request = concatBytes([handOver().request, version().request]);
  const order = { ...handOver(), request, decode: answeredCommand };
  return new Promise((resolve) => {
    openLink(endpoint, { during: order.name, timeoutMs: CONNECT_MS }, (opened) => {
      if (!opened.ok) {
        resolve({ kind: 'unreachable', reason: opened.error.message });
        return;
      }
      const link = opened.value;
      link.call(order, SANLOCK_MS, (result) => {
        resolve(sanlockAnswer(result));
        link.close();
      });
    });
  });
}

/** The result of the order; null: it is the answer to another command. */
function answeredCommand({ cmd, data }: SmHeader): Result<number | null, Refusal> {
  return ok(cmd === SM_CMD.HAND_OVER ? data : null);
}

function sanlockAnswer(result: Result<number | null, SanlockFailure>): HandOver {
  if (!result.ok) return { kind: 'unreachable', reason: result.error.message };
  switch (result.value) {
    case 0:
      return { kind: 'ends' };
    case null:
      return { kind: 'unknown' };
    case -ERRNO.EPERM:
      return refused('only root may order it');
    case -ERRNO.EBUSY:
      return refused('it is about to end for good');
    default:
      return refused(`sanlock answers ${result.value}`);
  }
}

async function askLvm({ sockets, clock, paths }: DaemonPorts): Promise<HandOver> {
  const endpoint = { sockets, clock, socketPath: paths.lvmlockd };
  const answered = await askLvmlockd(endpoint, formatRequest('hand_over'), LVMLOCKD_MS);
  if (!answered.ok) return { kind: 'unreachable', reason: answered.error };
  if (numberOf(answered.value, 'op_result', 0) === NOT_KNOWN) return { kind: 'unknown' };
  const result = numberOf(answered.value, 'result', 0);
  if (result === 0) return { kind: 'ends' };
  if (result === LD_RESULT.BUSY)
    return refused('an lvm command has had a global or VG lock for 10 s');
  return refused(`lvmlockd answers ${resultName(result)}`);
}
