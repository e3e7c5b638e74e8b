import { nameToText, textToName } from '../../../base/bytes.ts';
import { plain } from '../../../base/plain-text.ts';
import { SanlockClient } from '../../../client/sanlock.ts';
import type { SanlockEndpoint } from '../../../client/sanlock-link.ts';
import type {
  HostLeaseSeen,
  LockspaceSeen,
  SanlockSeen,
} from '../../../guard/check/sanlock-findings.ts';
import { sanlockFacts } from '../../../inspect/restart/host-facts.ts';
import { type LockspaceFound, readLockspace } from '../../../lease/read.ts';
import type { PathProbe } from '../../../platform/path-probe.ts';
import { status } from '../../../wire/sanlock/daemon-calls.ts';
import { isSameNode } from '../../../wire/sanlock/host-name.ts';
import { textField } from '../../../wire/sanlock/records.ts';
import { STATE_TYPES } from '../../../wire/sanlock/socket.ts';
import type { StateRecord } from '../../../wire/sanlock/types.ts';
import { GUEST_LOCKSPACE } from '../../guard/paths.ts';
import { ioTimeoutS, renewalSeenWithinS } from '../who/times.ts';

const ANSWER_MS = 5000;
const READ_MS = 5000;
const LOOK_MS = 1000;
const UNKNOWN_DAEMON = { pid: 0, identity: null, isOriginal: false };

/** What sanlock says of itself, and of the lockspace of the guests. */
export async function seeSanlock(endpoint: SanlockEndpoint): Promise<SanlockSeen> {
  const answer = await new SanlockClient(endpoint).call(status(), { timeoutMs: ANSWER_MS });
  if (!answer.ok) {
    const { outcome, message } = answer.error;
    return outcome === 'unsent' ? { kind: 'absent' } : { kind: 'silent', text: message };
  }
  const records = answer.value;
  const daemon = records.find(({ type }) => type === STATE_TYPES.DAEMON);
  const { usesWatchdog } = sanlockFacts(UNKNOWN_DAEMON, records, new Map());
  const hostName = nameToText((daemon && textField(daemon, 'our_host_name')) ?? '');
  return { kind: 'answers', hostName, usesWatchdog, lockspace: lockspaceIn(records) };
}

function lockspaceIn(records: readonly StateRecord[]): LockspaceSeen | null {
  const name = textToName(GUEST_LOCKSPACE);
  const record = records.find((one) => one.type === STATE_TYPES.LOCKSPACE && one.name === name);
  if (record?.lockspace == null) return null;
  const [facts] = sanlockFacts(UNKNOWN_DAEMON, [record], new Map()).lockspaces;
  const { hostId, path } = record.lockspace;
  return { hostId: Number(hostId), path: nameToText(path), phase: facts?.phase ?? 'leaving' };
}

/** By what the host lease is read and watched. */
export interface WatchWorld {
  readonly probe: PathProbe;
  readonly sleep: (forMs: number) => Promise<void>;
  readonly progress: (text: string) => void;
}

/**
 * Who has a host id, by the lockspace's file; one of another host is watched for as long as a
 * renewal takes. Nothing is written. null: nobody, or it could not be read.
 */
export async function seeHostLease(
  world: WatchWorld,
  of: { readonly path: string; readonly hostId: number; readonly ownName: string },
): Promise<HostLeaseSeen | null> {
  const first = await readHostLease(world.probe, of);
  if (first === null || first.leader.timestampS === 0n) return null;
  const hostName = nameToText(first.leader.hostName);
  if (isSameNode(hostName, of.ownName)) return { hostName, isRenewed: null, watchedS: 0 };
  const withinS = renewalSeenWithinS(ioTimeoutS(first.leader));
  world.progress(
    `watching for ${withinS} s whether host ${plain(hostName)} renews host id ${of.hostId}\n`,
  );
  for (let watchedS = 1; watchedS <= withinS; watchedS++) {
    await world.sleep(LOOK_MS);
    const now = await readHostLease(world.probe, of);
    if (now === null) break;
    if (now.leader.timestampS !== first.leader.timestampS) {
      return { hostName, isRenewed: now.leader.timestampS !== 0n, watchedS };
    }
  }
  return { hostName, isRenewed: false, watchedS: withinS };
}

async function readHostLease(
  probe: PathProbe,
  { path, hostId }: { readonly path: string; readonly hostId: number },
): Promise<LockspaceFound | null> {
  const wish = { offset: 0, name: textToName(GUEST_LOCKSPACE), hostId, timeoutMs: READ_MS };
  const steps = readLockspace(wish);
  let turn = steps.next();
  while (turn.done !== true) {
    const effect = turn.value;
    if (effect.op !== 'read') return null;
    const { offset, length } = effect;
    const read = await probe.read(path, { offset, length });
    if (read.kind !== 'done' || read.value.length < length) return null;
    turn = steps.next({ outcome: 'done', bytes: read.value, nowMs: 0 });
  }
  return turn.value.ok ? turn.value.value : null;
}
