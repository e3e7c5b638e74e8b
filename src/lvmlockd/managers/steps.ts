import { assert } from '../../base/assert.ts';
import type { ByteString } from '../../base/bytes.ts';

/**
 * A lock manager's part of a request, as a straight line. It yields effects and is given a reply to
 * each; the core starts it and takes its outcome, and reads neither effects nor replies.
 */
export type ManagerSteps<T> = Generator<ManagerEffect, T, ManagerReply>;

/**
 * A call in the protocol of one lock manager: a request on a socket, or on a device. Only the
 * manager that makes it and the program that carries it know its type.
 */
interface ProtocolCall {
  /** Whose protocol it is: chooses the carrier. */
  readonly protocol: string;
  readonly call: unknown;
  readonly deadlineMs: number;
}

/** Each is answered once, a call (or calls) at the latest at its deadline. */
export type ManagerEffect =
  /** `session`: over the connection that belongs to a lockspace; null: over any. */
  | ({ readonly kind: 'call'; readonly session: number | null } & ProtocolCall)
  /** At the same time, over connections of no lockspace; `calls` as `call` above. */
  | {
      readonly kind: 'calls';
      readonly protocol: string;
      readonly calls: readonly unknown[];
      readonly deadlineMs: number;
    }
  /** Opens the connection that belongs to a lockspace; the call is the first one on it. */
  | ({ readonly kind: 'openSession'; readonly session: number } & ProtocolCall)
  | { readonly kind: 'closeSession'; readonly session: number; readonly protocol: string }
  | { readonly kind: 'sleep'; readonly forMs: number }
  /** Does the device exist, and with which sector sizes? */
  | { readonly kind: 'device'; readonly path: ByteString }
  /** Sectors of a device that may hang: for what the lock manager has no message. */
  | {
      readonly kind: 'sectors';
      readonly path: ByteString;
      readonly offset: number;
      readonly length: number;
      readonly deadlineMs: number;
    }
  /** Which LVs does this host have active? */
  | { readonly kind: 'activeLvs' }
  | ({ readonly kind: 'program' } & ProgramOrder)
  | MapperEffect;

/** Device-mapper of this host (ports/device-mapper.ts). */
export type MapperEffect =
  | { readonly kind: 'mappedDevices' }
  /** Device numbers of which nothing is left here are answered, too. */
  | {
      readonly kind: 'mappedTables';
      readonly uuids: readonly ByteString[];
      readonly deadlineMs: number;
    }
  /** An error table in the place of each, level by level; those that are late go on. */
  | {
      readonly kind: 'failDevices';
      readonly levels: readonly (readonly FailedReply[])[];
      readonly deadlineMs: number;
    }
  | { readonly kind: 'removeDevice'; readonly uuid: ByteString; readonly deadlineMs: number }
  /** Which processes have these devices open, or files of a file system on them? */
  | { readonly kind: 'deviceUsers'; readonly devices: readonly UsedDevice[] }
  | {
      readonly kind: 'signalUsers';
      readonly users: readonly DeviceUser[];
      readonly signal: 'SIGTERM' | 'SIGKILL';
    };

/** The effects that the carrier of a protocol applies. */
export type SessionEffect = Extract<ManagerEffect, { protocol: string }>;

export type ManagerReply =
  /** The answer as the call decodes it, or the failure of the call. */
  | { readonly kind: 'answer'; readonly answer: unknown }
  /** One for each of the calls, in their order. */
  | { readonly kind: 'answers'; readonly answers: readonly unknown[] }
  | { readonly kind: 'sessionClosed' }
  | { readonly kind: 'slept' }
  | ({ readonly kind: 'device' } & DeviceReply)
  /** null: not read. */
  | { readonly kind: 'sectors'; readonly bytes: Uint8Array | null }
  | { readonly kind: 'activeLvs'; readonly lvs: readonly ActiveLvReply[] | null }
  | ({ readonly kind: 'program' } & ProgramReply)
  | { readonly kind: 'mappedDevices'; readonly devices: readonly MappedReply[] | null }
  /** Those that were answered in time. */
  | { readonly kind: 'mappedTables'; readonly tables: ReadonlyMap<ByteString, TableReply> }
  /** By uuid: 0 or an errno. One that is missing has not answered in time. */
  | { readonly kind: 'mapperDone'; readonly results: ReadonlyMap<ByteString, number> }
  /** null: it cannot be known. */
  | { readonly kind: 'deviceUsers'; readonly users: readonly DeviceUser[] | null }
  | { readonly kind: 'signalled' };

/** As the ports have them (ports/device-mapper.ts, ports/device-users.ts). */
export interface MappedReply {
  readonly kernelName: string;
  readonly number: string;
  readonly name: ByteString;
  readonly uuid: ByteString;
  readonly sectors: bigint;
  readonly slaves: readonly string[];
  readonly holders: readonly string[];
}

export interface TableReply {
  readonly types: readonly string[];
  readonly isSuspended: boolean;
  readonly isReadOnly: boolean;
  readonly openCount: number;
  /** Numbers of devices that its lines name and that are not there any more. */
  readonly gone: readonly string[];
}

export interface FailedReply {
  readonly uuid: ByteString;
  readonly sectors: bigint;
  readonly isReadOnly: boolean;
}

export interface UsedDevice {
  readonly number: string;
  readonly kernelName: string;
  readonly name: ByteString;
}

export interface DeviceUser {
  readonly pid: number;
  /** With the pid: tells it from a later process of that pid. */
  readonly identity: string;
  readonly command: string;
  /** `vg-lv`, or the mount point of a file system on it. */
  readonly uses: string;
}

/** As device-mapper has it (ports/active-lvs.ts). */
export interface ActiveLvReply {
  readonly deviceName: ByteString;
  readonly deviceUuid: ByteString;
  readonly vgUuid: ByteString;
  readonly lvUuid: ByteString;
  readonly sizeBytes: number | null;
  readonly isHeld: boolean;
}

/** A program of this host, found by PATH, and its words (ports/programs.ts). */
export interface ProgramOrder {
  readonly words: readonly ByteString[];
  /** It is killed then. */
  readonly deadlineMs: number;
}

export interface ProgramReply {
  /** null: it has not ended by itself. */
  readonly status: number | null;
  readonly output: ByteString;
  /** What it wrote to stderr, or why it was not run or not awaited; shortened. */
  readonly trouble: ByteString;
}

export interface DeviceReply {
  readonly exists: boolean;
  /** Bytes; null when sysfs does not say. */
  readonly physicalBytes: number | null;
  readonly logicalBytes: number | null;
  /** Of the whole device. */
  readonly sizeBytes: number | null;
}

export function* deviceAt(path: ByteString): ManagerSteps<DeviceReply> {
  const reply: ManagerReply = yield { kind: 'device', path };
  assert(reply.kind === 'device', 'a device question gets a device answer');
  return reply;
}

/** null: the device did not give them in time. */
export function* readSectors(
  at: { readonly path: ByteString; readonly offset: number; readonly length: number },
  deadlineMs: number,
): ManagerSteps<Uint8Array | null> {
  const reply: ManagerReply = yield { kind: 'sectors', ...at, deadlineMs };
  assert(reply.kind === 'sectors', 'a question for sectors gets them, or nothing');
  return reply.bytes;
}

/** null: it is not known. */
export function* activeLvs(): ManagerSteps<readonly ActiveLvReply[] | null> {
  const reply: ManagerReply = yield { kind: 'activeLvs' };
  assert(reply.kind === 'activeLvs', 'a question for active LVs gets their list');
  return reply.lvs;
}

/** Runs a program to its end, without a shell. */
export function* runProgram(order: ProgramOrder): ManagerSteps<ProgramReply> {
  const reply: ManagerReply = yield { kind: 'program', ...order };
  assert(reply.kind === 'program', 'a program gets its end');
  return reply;
}

/** null: it is not known. */
export function* mappedDevices(): ManagerSteps<readonly MappedReply[] | null> {
  const reply: ManagerReply = yield { kind: 'mappedDevices' };
  assert(reply.kind === 'mappedDevices', 'a question for mapped devices gets their list');
  return reply.devices;
}

/** By uuid; a device that is missing is gone, or has not answered in time. */
export function* mappedTables(
  uuids: readonly ByteString[],
): ManagerSteps<ReadonlyMap<ByteString, TableReply>> {
  if (uuids.length === 0) return new Map();
  const reply: ManagerReply = yield { kind: 'mappedTables', uuids, deadlineMs: TABLES_MS };
  assert(reply.kind === 'mappedTables', 'a question for tables gets tables');
  return reply.tables;
}

/** The kernel has them in memory; only a lock that another caller holds can make this long. */
const TABLES_MS = 3000;

/** By uuid: 0 or an errno; missing: it has not answered in time. */
export function* mapperDone(
  effect: Extract<MapperEffect, { kind: 'failDevices' | 'removeDevice' }>,
): ManagerSteps<ReadonlyMap<ByteString, number>> {
  const reply: ManagerReply = yield effect;
  assert(reply.kind === 'mapperDone', 'an order to device-mapper gets its results');
  return reply.results;
}

/** null: it cannot be known. */
export function* deviceUsers(
  devices: readonly UsedDevice[],
): ManagerSteps<readonly DeviceUser[] | null> {
  const reply: ManagerReply = yield { kind: 'deviceUsers', devices };
  assert(reply.kind === 'deviceUsers', 'a question for users gets users');
  return reply.users;
}

export function* signalUsers(
  users: readonly DeviceUser[],
  signal: 'SIGTERM' | 'SIGKILL',
): ManagerSteps<void> {
  yield { kind: 'signalUsers', users, signal };
}

export function* sleep(forMs: number): ManagerSteps<void> {
  yield { kind: 'sleep', forMs };
}

/** Steps without effects. */
export function* done<T>(value: T): ManagerSteps<T> {
  yield* [];
  return value;
}
