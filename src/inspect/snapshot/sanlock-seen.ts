import { nameToText } from '../../base/bytes.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import { hostNameIn, hostRecordOf, textField } from '../../wire/sanlock/records.ts';
import { HOST_STATES, RES_FLAGS, STATE_TYPES } from '../../wire/sanlock/socket.ts';
import type { Host, StateRecord } from '../../wire/sanlock/types.ts';
import { lockspaceFacts } from '../restart/host-facts.ts';
import type { HeldLease, LockspaceSeen, MemberSeen, MemberState, RenewalSeen } from './snapshot.ts';

/** What sanlock answered to the calls that one look makes. */
export interface SanlockAnswers {
  /** STATUS: the daemon, its clients, lockspaces and resources. */
  readonly records: readonly StateRecord[];
  /** Of each lockspace by its name: HOST_STATUS, GET_HOSTS and RENEWAL; empty where it was silent. */
  readonly spaces: ReadonlyMap<string, SpaceAnswers>;
}

export interface SpaceAnswers {
  readonly hostRecords: readonly StateRecord[];
  readonly hosts: readonly Host[];
  readonly renewals: readonly StateRecord[];
}

const SILENT: SpaceAnswers = { hostRecords: [], hosts: [], renewals: [] };

/** @param commandOf the program of a process on this host; null: not known */
export function lockspacesSeen(
  { records, spaces }: SanlockAnswers,
  commandOf: (pid: number) => string | null,
): readonly LockspaceSeen[] {
  const head = records.find(({ type }) => type === STATE_TYPES.DAEMON);
  const nowS = head === undefined ? 0 : numberIn(head, 'monotime');
  const leases = records.filter(({ type }) => type === STATE_TYPES.RESOURCE);
  return records
    .filter(({ type }) => type === STATE_TYPES.LOCKSPACE)
    .map((record) => {
      const answers = spaces.get(record.name) ?? SILENT;
      const held = leases.filter(({ resource }) => resource?.lockspaceName === record.name);
      return lockspaceSeen(record, answers, {
        nowS,
        leases: held.map((lease) => heldLease(lease, commandOf)),
      });
    });
}

function lockspaceSeen(
  record: StateRecord,
  { hostRecords, hosts, renewals }: SpaceAnswers,
  { nowS, leases }: { readonly nowS: number; readonly leases: readonly HeldLease[] },
): LockspaceSeen {
  const seen = renewals.map(renewalSeen);
  const facts = lockspaceFacts(record, { nowS, renewedS: seen.at(-1)?.timestampS });
  const hostId = Number(record.lockspace?.hostId ?? record.data32);
  return {
    ...facts,
    hostId,
    path: nameToText(record.lockspace?.path ?? ''),
    offsetBytes: Number(record.lockspace?.offset ?? 0n),
    sectorSize: numberIn(record, 'sector_size'),
    areaBytes: numberIn(record, 'align_size'),
    failS: facts.ioTimeoutS > 0 ? leaseTimes(facts.ioTimeoutS).renewalFailMs / 1000 : 0,
    renewals: seen,
    members: hosts.map((host) => memberSeen(host, { hostRecords, nowS, hostId })),
    leases,
  };
}

function renewalSeen(record: StateRecord): RenewalSeen {
  return {
    timestampS: numberIn(record, 'timestamp'),
    readMs: numberIn(record, 'read_ms'),
    writeMs: numberIn(record, 'write_ms'),
    timeouts: numberIn(record, 'next_timeouts'),
    errors: numberIn(record, 'next_errors'),
  };
}

const HOST_STATE_MASK = 0xf;
const STATES: ReadonlyMap<number, MemberState> = new Map([
  [HOST_STATES.FREE, 'free'],
  [HOST_STATES.LIVE, 'live'],
  [HOST_STATES.FAIL, 'fail'],
  [HOST_STATES.DEAD, 'dead'],
]);

function memberSeen(
  { hostId: id, generation, flags, ioTimeoutS }: Host,
  of: {
    readonly hostRecords: readonly StateRecord[];
    readonly nowS: number;
    readonly hostId: number;
  },
): MemberSeen {
  const hostId = Number(id);
  const record = hostRecordOf(of.hostRecords, hostId);
  const liveS = record === undefined ? 0 : numberIn(record, 'last_live');
  const name = nameToText(hostNameIn(of.hostRecords, hostId));
  return {
    hostId,
    generation: Number(generation),
    name: name === '' ? null : name,
    state: STATES.get(flags & HOST_STATE_MASK) ?? 'unknown',
    isThisHost: hostId === of.hostId,
    ioTimeoutS: ioTimeoutS === 0 ? DEFAULT_IO_TIMEOUT_S : ioTimeoutS,
    ageS: liveS === 0 ? null : Math.max(0, of.nowS - liveS),
  };
}

/** A host lease without one is read so (spec 10 §6). */
const DEFAULT_IO_TIMEOUT_S = 10;

function heldLease(record: StateRecord, commandOf: (pid: number) => string | null): HeldLease {
  const disk = record.resource?.disks[0];
  const list = textField(record, 'list');
  const pid = list === 'orphan' || record.data32 <= 0 ? null : record.data32;
  return {
    name: nameToText(record.name),
    path: nameToText(disk?.path ?? ''),
    offsetBytes: Number(disk?.offset ?? 0n),
    isShared: ((record.resource?.flags ?? 0) & RES_FLAGS.SHARED) !== 0,
    isHeld: list === 'held' || list === 'orphan',
    pid,
    command: pid === null ? null : commandOf(pid),
  };
}

function numberIn(record: StateRecord, key: string): number {
  return Number(textField(record, key) ?? 0);
}
