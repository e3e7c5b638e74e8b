import { unreachable } from '../base/assert.ts';
import { ok } from '../base/result.ts';
import type {
  SanlockAnswer,
  SanlockCommand,
  SanlockLease,
} from '../lvmlockd/managers/sanlock/asks.ts';
import {
  readLockspace,
  readResource,
  writeLockspace,
  writeResource,
} from '../wire/sanlock/area-calls.ts';
import type { SanlockCall } from '../wire/sanlock/call.ts';
import {
  addLockspace,
  getHosts,
  getLockspaces,
  register,
  removeLockspace,
  setConfig,
  status,
  version,
} from '../wire/sanlock/daemon-calls.ts';
import {
  acquire,
  convert,
  getLvb,
  killpath,
  release,
  restrict,
  setLvb,
} from '../wire/sanlock/lease-calls.ts';
import { textField } from '../wire/sanlock/records.ts';
import { CONFIG_COMMANDS, RES_FLAGS, RESTRICT_FLAGS, STATE_TYPES } from '../wire/sanlock/socket.ts';
import type { StateRecord } from '../wire/sanlock/types.ts';

/** What lvmlockd asks of sanlock, as calls of the client library, and their answers. */

export const EMPTY_ANSWER: SanlockAnswer = {
  kind: 'sanlock',
  code: 0,
  answered: true,
  name: '',
  flags: 0,
  bytes: new Uint8Array(0),
  hosts: [],
  areas: [],
  leases: [],
  dying: [],
};

/** The daemon closes the connection after these (spec 20 §4). */
export const CLOSING_CALLS: ReadonlySet<SanlockCommand['call']> = new Set([
  'status',
  'getHosts',
  'getLockspaces',
  'usedByOrphans',
]);

export type Command = Exclude<SanlockCommand, { call: 'hangUp' }>;

export function callOf(command: Command): SanlockCall<SanlockAnswer> {
  switch (command.call) {
    case 'version':
      return answering(version(), () => ({}));
    case 'register':
      return answering(register(), () => ({}));
    case 'restrictSigkill':
      return numbered(restrict(RESTRICT_FLAGS.SIGKILL));
    case 'killpath':
      return numbered(killpath(command));
    case 'addLockspace':
      return numbered(addLockspace(command.area, { ioTimeoutS: command.ioTimeoutS }));
    case 'remLockspace':
      return numbered(removeLockspace(command.area, { onlyUnused: command.onlyUnused }));
    case 'readLockspace':
      return answering(readLockspace(command.area), ({ lockspace }) => ({
        name: lockspace.name,
        flags: lockspace.flags ?? 0,
      }));
    case 'writeLockspace':
      return numbered(writeLockspace(command.area, { ioTimeoutS: command.ioTimeoutS }));
    case 'readResource':
      return answering(readResource(command.resource), ({ name, flags }) => ({ name, flags }));
    case 'writeResource':
      return numbered(writeResource(command.resource));
    case 'status':
      return answering(status(), statusAnswer);
    case 'getHosts':
      return answering(getHosts(command.name), (hosts) => ({
        hosts: hosts.map(({ hostId, flags }) => ({ hostId, state: flags & HOST_STATE_MASK })),
      }));
    case 'getLockspaces':
      return answering(getLockspaces(), (areas) => ({
        areas: areas.map((area) => ({ ...area, flags: area.flags ?? 0 })),
      }));
    case 'usedByOrphans':
      return numbered(setConfig(command.name, CONFIG_COMMANDS.USED_BY_ORPHANS));
    case 'acquire':
    case 'convert':
    case 'release':
    case 'releaseAll':
    case 'getLvb':
    case 'setLvb':
      return leaseCallOf(command);
    default:
      return unreachable(command);
  }
}

type LeaseCommand = Extract<
  Command,
  { call: 'acquire' | 'convert' | 'release' | 'releaseAll' | 'getLvb' | 'setLvb' }
>;

function leaseCallOf(command: LeaseCommand): SanlockCall<SanlockAnswer> {
  switch (command.call) {
    case 'acquire': {
      const { lvb, orphan } = command;
      return numbered(acquire([command.resource], { lvb, orphan, ownerNowait: true }));
    }
    case 'convert':
      return numbered(convert(command.resource, { ownerNowait: true }));
    case 'release':
      return numbered(release(command.resources, { rename: command.rename }));
    case 'releaseAll':
      return numbered(release([], { all: true }));
    case 'getLvb':
      return answering(getLvb(command.resource, command.length), (bytes) => ({ bytes }));
    case 'setLvb':
      return numbered(setLvb(command.resource, command.lvb));
    default:
      return unreachable(command);
  }
}

const HOST_STATE_MASK = 0xf;

function answering<T>(
  call: SanlockCall<T>,
  fill: (value: T) => Partial<SanlockAnswer>,
): SanlockCall<SanlockAnswer> {
  return {
    ...call,
    decode: (header, body) => {
      const decoded = call.decode(header, body);
      return decoded.ok ? ok({ ...EMPTY_ANSWER, ...fill(decoded.value) }) : decoded;
    },
  };
}

function numbered(call: SanlockCall<number>): SanlockCall<SanlockAnswer> {
  return answering(call, (code) => ({ code }));
}

function statusAnswer(records: readonly StateRecord[]): Partial<SanlockAnswer> {
  const dying: string[] = [];
  const leases: SanlockLease[] = [];
  for (const record of records) {
    if (record.type === STATE_TYPES.LOCKSPACE && isDying(record)) dying.push(record.name);
    if (record.type !== STATE_TYPES.RESOURCE || record.resource === null) continue;
    const shared = (record.flags & 1) !== 0 || textFlag(record) ? RES_FLAGS.SHARED : 0;
    const { resource } = record;
    const flags = (resource.flags & ~RES_FLAGS.SHARED) | shared;
    leases.push({ resource: { ...resource, flags }, list: textField(record, 'list') ?? '' });
  }
  return { dying, leases };
}

/** RESOURCE text `flags` bit 1: shared (spec 20 §11). */
function textFlag(record: StateRecord): boolean {
  return (Number.parseInt(textField(record, 'flags') ?? '0', 16) & 1) !== 0;
}

function isDying(record: StateRecord): boolean {
  const number = (key: string) => Number(textField(record, key) ?? '0');
  return (
    textField(record, 'list') === 'rem' || number('space_dead') > 0 || number('killing_pids') > 0
  );
}
