import {
  bigint,
  bytes,
  dictionary,
  flag,
  list,
  MessageReader,
  MessageWriter,
  nullable,
  number,
  oneOf,
  type Part,
  record,
  scalar,
  struct,
  text,
  variant,
} from '../codec/parts.ts';
import type { Taker } from '../format/holder-note.ts';
import { type PaxosLeader, paxosLeader } from '../format/leader.ts';
import type { LeaseError, LeaseErrorCode } from '../lease/lease-error.ts';
import type { KnownLease } from '../lease/recover.ts';
import type {
  AnnouncedEvent,
  AreaAddress,
  FromLeaseProcess,
  HeldLease,
  HostRecord,
  HostSignal,
  IndexTask,
  JoinRequest,
  LeaseAnswer,
  LeaseCommand,
  LeaseCommandResult,
  LeaseOwner,
  ResourceName,
  ToLeaseProcess,
  WantedSizes,
} from './messages.ts';

// The bytes of the messages between the front and its lease processes.

const bytesOrNull = nullable(bytes);
const numberOrNull = nullable(number);
const bigintOrNull = nullable(bigint);
const empty = record<object>({}, {});

const area = record<AreaAddress>({ path: text, offset: number }, {});
const name = record<ResourceName>({ lockspaceName: text, resourceName: text }, {});
const sizes = nullable(record<WantedSizes>({ sectorSize: number, areaBytes: number }, {}));
const leader = struct(paxosLeader) as Part<PaxosLeader>;
const event = record<AnnouncedEvent>({ generation: bigint, number: bigint, data: bigint }, {});
const hold = record<HeldLease>(
  {
    ...{ number, lver: bigint, generation: bigint },
    ...{ shared: flag, sectorSize: number, areaBytes: number },
  },
  {},
);

const facts: Part<LeaseError['facts']> = dictionary(scalar as Part<string | number | bigint>);
const error = record<LeaseError>(
  { code: text as Part<LeaseErrorCode>, during: text, facts },
  { errno: number },
);

const join = {
  ...{ lockspaceName: text, hostId: number, path: text, offset: number, hostName: text },
  ...{ ioTimeoutS: number, renewalReadExtendMs: number, sharedRetries: number },
};
const resume = record<NonNullable<JoinRequest['resume']>>(
  {
    ...{ generation: bigint, timestampS: number },
    ...{ claimedBootMs: number, refusedUntilMs: numberOrNull },
  },
  {},
);

const known = record<KnownLease>(
  {
    mode: oneOf(['none', 'ex', 'sh']),
    lver: bigintOrNull,
    begun: oneOf(['nothing', 'toShared', 'toExclusive', 'release']),
  },
  {},
);

const task = variant<IndexTask, 'kind'>('kind', {
  format: record({ sizes, maxResources: number }, {}),
  create: record({ name: text }, {}),
  delete: record({ name: text, offset: number }, {}),
  lookup: record({ name: text, offset: number }, {}),
  update: record({ name: text, offset: number, remove: flag }, {}),
  rebuild: empty,
  recover: empty,
});

const taker = record<Taker>({ pid: number, clientName: text, command: text, uuid: text }, {});

const command = variant<LeaseCommand, 'op'>('op', {
  acquire: record(
    {
      ...{ area, name, shared: flag, ownerNowait: flag, wantedLver: bigintOrNull },
      ...{ newNumHosts: numberOrNull, readLvb: flag },
    },
    { taker },
  ),
  recover: record({ area, name, known, readLvb: flag }, {}),
  release: record({ hold: number, lvb: bytesOrNull, rename: nullable(text) }, {}),
  convert: record({ hold: number, toShared: flag, ownerNowait: flag, lvb: bytesOrNull }, { taker }),
  request: record({ area, name, lver: bigint, forceMode: number, nextLver: flag }, {}),
  readRequest: record({ hold: number }, {}),
  readLockspace: record({ area, name: text, hostId: number, sectorSize: numberOrNull }, {}),
  readResource: record({ area, name, sectorSize: numberOrNull }, {}),
  readOwners: record({ area, name, sizes }, {}),
  writeLockspace: record(
    { area, name: text, sizes, ioTimeoutS: number, writeTimeoutMs: number },
    {},
  ),
  writeResource: record(
    { area, name, sizes, numHosts: number, clear: flag, writeTimeoutMs: number },
    {},
  ),
  align: record({ area }, {}),
  index: record({ area, lockspaceName: text, writeTimeoutMs: number, task }, {}),
});

const toLeaseProcess = variant<ToLeaseProcess, 'kind'>('kind', {
  join: record<JoinRequest>(join, { resume }),
  leave: record({ release: flag }, {}),
  announce: record({ hostIds: list(number), event: nullable(event) }, {}),
  refuse: empty,
  run: record({ id: number, command }, {}),
  cancel: record({ id: number }, {}),
});

const owner = record<LeaseOwner>({ hostId: number, generation: bigint, timestampS: bigint }, {});
const geometry = { sectorSize: number, areaBytes: number };

const answer = variant<LeaseAnswer, 'op'>('op', {
  acquire: record({ hold, lvb: bytesOrNull }, {}),
  recover: record({ hold: nullable(hold), lvb: bytesOrNull }, {}),
  release: empty,
  convert: record({ hold }, {}),
  request: record({ ownerId: number, ownerGeneration: bigint }, {}),
  readRequest: record({ lver: bigint, forceMode: number }, {}),
  readLockspace: record({ name: text, hostId: number, ...geometry, ioTimeoutS: number }, {}),
  readResource: record({ leader, ...geometry }, {}),
  readOwners: record({ leader, ...geometry, owners: list(owner), shared: flag }, {}),
  writeLockspace: empty,
  writeResource: empty,
  align: record({ areaBytes: number }, {}),
  index: record({ name: text, offset: number, differs: flag }, {}),
});

type Refused = Extract<LeaseCommandResult, { ok: false }>;
const refused = record<Omit<Refused, 'ok'>>(
  { step: oneOf(['open', 'run']), error, leader: nullable(leader) },
  {},
);

const result: Part<LeaseCommandResult> = {
  write: (to, value) => {
    flag.write(to, value.ok);
    if (value.ok) answer.write(to, value);
    else refused.write(to, value);
  },
  read: (from) =>
    flag.read(from) ? { ok: true, ...answer.read(from) } : { ok: false, ...refused.read(from) },
};

const host = record<HostRecord>(
  {
    ...{ hostId: number, ownerId: number, generation: bigint, timestampS: bigint },
    ...{ ioTimeoutS: number, hostName: text, firstCheckS: number, lastLiveS: number },
  },
  {},
);
const signal = record<HostSignal>(
  { fromHostId: number, fromGeneration: bigint, event: nullable(event) },
  {},
);

const fromLeaseProcess = variant<FromLeaseProcess, 'kind'>('kind', {
  joined: record(
    {
      ...{ generation: bigint, timestampS: number, claimedBootMs: number },
      ...{ ...geometry, maxHosts: number },
    },
    {},
  ),
  joinFailed: record({ error }, {}),
  renewed: record(
    { timestampS: number, claimedBootMs: number, readMs: number, writeMs: number },
    {},
  ),
  renewalFailed: record({ error, overwritten: flag }, {}),
  hosts: record(
    { sentS: number, checkedS: number, changed: list(host), signals: list(signal) },
    {},
  ),
  lagged: record({ lagMs: number }, {}),
  ran: record({ id: number, result }, { unfinished: flag as Part<true> }),
  finished: record({ id: number }, {}),
  leaveUnsure: record({ untilMs: number }, {}),
  left: record({ released: flag }, {}),
});

const writer = new MessageWriter();

/** @returns the message's bytes, valid until the next one is encoded */
export function encodeToLease(message: ToLeaseProcess): Uint8Array {
  return writer.encode(toLeaseProcess, message);
}

/** @throws BrokenInvariant where the bytes are no message of this release */
export function decodeToLease(from: Uint8Array): ToLeaseProcess {
  return MessageReader.decode(toLeaseProcess, from);
}

/** @returns the message's bytes, valid until the next one is encoded */
export function encodeFromLease(message: FromLeaseProcess): Uint8Array {
  return writer.encode(fromLeaseProcess, message);
}

/** @throws BrokenInvariant where the bytes are no message of this release */
export function decodeFromLease(from: Uint8Array): FromLeaseProcess {
  return MessageReader.decode(fromLeaseProcess, from);
}
