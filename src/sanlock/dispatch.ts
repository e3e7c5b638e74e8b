import { ERRNO } from '../base/errno.ts';
import type { LogFields } from '../base/log-fields.ts';
import { decode } from '../codec/struct.ts';
import { SANLOCK_RELEASE } from '../wire/sanlock/release.ts';
import {
  killpathBody,
  RESTRICT_FLAGS,
  SM_CMD,
  SM_HEADER_BYTES,
  SM_MAGIC,
  SM_PROTO,
  type SmHeader,
} from '../wire/sanlock/socket.ts';
import { endConnection } from './clients.ts';
import { acquireCommand } from './commands/acquire.ts';
import {
  alignCommand,
  examineLockspaceCommand,
  examineResourceCommand,
  readLockspaceCommand,
  readOwnersCommand,
  readResourceCommand,
  requestCommand,
  writeLockspaceCommand,
  writeResourceCommand,
} from './commands/areas.ts';
import { convertCommand } from './commands/convert.ts';
import { endEventAnswer, regEventAnswer, setEventCommand } from './commands/events.ts';
import {
  type Answer,
  getHostsAnswer,
  getLockspacesAnswer,
  hostStatusAnswer,
  renewalAnswer,
  statusAnswer,
} from './commands/info.ts';
import { getLvbCommand, inquireCommand, releaseCommand, setLvbCommand } from './commands/leases.ts';
import {
  addLockspaceCommand,
  inqLockspaceCommand,
  remLockspaceCommand,
  removeAll,
  setConfigCommand,
  setHostCommand,
} from './commands/lockspaces.ts';
import {
  createResourceCommand,
  deleteResourceCommand,
  formatIndexCommand,
  lookupIndexCommand,
  rebuildIndexCommand,
  updateIndexCommand,
} from './commands/rindex.ts';
import { log, send } from './effects.ts';
import type { Front } from './front.ts';
import { holdRequest, wakeHeld } from './held-requests.ts';
import { recordRegistered, recordStopping } from './holder-journal.ts';
import { claimAll } from './inherited-clients.ts';
import { keepsLeases } from './kept-leases.ts';
import { isUnasked } from './lost-lockspaces.ts';
import { type Request, replyBytes } from './request.ts';
import type { Client, Reply } from './state.ts';
import { handOverCommand } from './successor.ts';

type Later = (front: Front, request: Request, reply: Reply) => void;
type AtOnce = (front: Front, request: Request) => Answer;
type ForClient = (front: Front, request: Request, client: Client, reply: Reply) => void;

/** Answered in the same event; an unregistered connection closes behind the answer. */
const AT_ONCE: Readonly<Record<number, AtOnce>> = {
  [SM_CMD.STATUS]: statusAnswer,
  [SM_CMD.GET_LOCKSPACES]: getLockspacesAnswer,
  [SM_CMD.GET_HOSTS]: getHostsAnswer,
  [SM_CMD.HOST_STATUS]: hostStatusAnswer,
  [SM_CMD.RENEWAL]: renewalAnswer,
  [SM_CMD.REG_EVENT]: regEventAnswer,
  [SM_CMD.END_EVENT]: endEventAnswer,
  [SM_CMD.SET_CONFIG]: (front, request) => {
    let result = 0;
    setConfigCommand(front, request, (value) => {
      result = value;
    });
    return { result };
  },
};

/** The connection waits for the answer; other connections are served meanwhile. */
const LATER: Readonly<Record<number, Later>> = {
  [SM_CMD.ADD_LOCKSPACE]: addLockspaceCommand,
  [SM_CMD.REM_LOCKSPACE]: remLockspaceCommand,
  [SM_CMD.INQ_LOCKSPACE]: inqLockspaceCommand,
  [SM_CMD.READ_LOCKSPACE]: readLockspaceCommand,
  [SM_CMD.READ_RESOURCE]: readResourceCommand,
  [SM_CMD.READ_RESOURCE_OWNERS]: readOwnersCommand,
  [SM_CMD.WRITE_LOCKSPACE]: writeLockspaceCommand,
  [SM_CMD.WRITE_RESOURCE]: writeResourceCommand,
  [SM_CMD.ALIGN]: alignCommand,
  [SM_CMD.REQUEST]: requestCommand,
  [SM_CMD.EXAMINE_LOCKSPACE]: examineLockspaceCommand,
  [SM_CMD.EXAMINE_RESOURCE]: examineResourceCommand,
  [SM_CMD.SET_LVB]: setLvbCommand,
  [SM_CMD.GET_LVB]: getLvbCommand,
  [SM_CMD.SHUTDOWN_WAIT]: shutdownWait,
  [SM_CMD.HAND_OVER]: handOverCommand,
  [SM_CMD.SET_EVENT]: setEventCommand,
  [SM_CMD.SET_HOST]: setHostCommand,
  [SM_CMD.FORMAT_RINDEX]: formatIndexCommand,
  [SM_CMD.REBUILD_RINDEX]: rebuildIndexCommand,
  [SM_CMD.UPDATE_RINDEX]: updateIndexCommand,
  [SM_CMD.LOOKUP_RINDEX]: lookupIndexCommand,
  [SM_CMD.CREATE_RESOURCE]: createResourceCommand,
  [SM_CMD.DELETE_RESOURCE]: deleteResourceCommand,
};

/** About a registered process: that of the connection, or the one whose pid the request names. */
const FOR_CLIENT: Readonly<Record<number, ForClient>> = {
  [SM_CMD.ACQUIRE]: acquireCommand,
  [SM_CMD.RELEASE]: releaseCommand,
  [SM_CMD.CONVERT]: convertCommand,
  [SM_CMD.INQUIRE]: (front, _request, client, reply) => inquireCommand(front, client, reply),
  [SM_CMD.KILLPATH]: (front, request, client, reply) => {
    const { path, args } = decode(killpathBody, request.body);
    const killpathPid = (request.header.cmdFlags & 1) !== 0;
    client.active = 0;
    reply(stopsBy(front, client, { killpath: path, killargs: args, killpathPid }));
  },
};

/** What status shows for a connection that is no registered process (spec 20 §5). */
const SHOWN_NAMES: Readonly<Record<number, string>> = {
  [SM_CMD.ADD_LOCKSPACE]: 'add_lockspace',
  [SM_CMD.INQ_LOCKSPACE]: 'inq_lockspace',
  [SM_CMD.REM_LOCKSPACE]: 'rem_lockspace',
  [SM_CMD.STATUS]: 'status',
  [SM_CMD.HOST_STATUS]: 'host_status',
  [SM_CMD.RENEWAL]: 'renewal',
  [SM_CMD.LOG_DUMP]: 'log_dump',
  [SM_CMD.GET_LOCKSPACES]: 'get_lockspaces',
  [SM_CMD.GET_HOSTS]: 'get_hosts',
  [SM_CMD.REG_EVENT]: 'reg_event',
  [SM_CMD.END_EVENT]: 'end_event',
  [SM_CMD.SET_CONFIG]: 'set_config',
  [SM_CMD.SHUTDOWN]: 'shutdown',
};

/** Whether the command exists: any other header is dropped without a word (spec 20 §2). */
export function knownCommand(cmd: number): boolean {
  const inline: readonly number[] = [
    SM_CMD.REGISTER,
    SM_CMD.RESTRICT,
    SM_CMD.VERSION,
    SM_CMD.SHUTDOWN,
    SM_CMD.LOG_DUMP,
  ];
  return inline.includes(cmd) || cmd in AT_ONCE || cmd in LATER || cmd in FOR_CLIENT;
}

/** A header that is dropped in silence, and what the log says of it; null: it is served. */
export function droppedRequest(
  front: Front,
  connection: number,
  header: SmHeader,
): { readonly event: string; readonly fields: LogFields } | null {
  const client = front.clients.get(connection);
  if (client === undefined) return null; // it is not served any more
  if (header.magic !== SM_MAGIC) {
    const fields = { client: client.slot, magic: header.magic };
    return { event: 'request.badMagic', fields };
  }
  const reason = dropReason(client, header);
  return reason === null ? null : { event: 'request.dropped', fields: { cmd: header.cmd, reason } };
}

function dropReason(client: Client, header: SmHeader): string | null {
  if (client.restricted & RESTRICT_FLAGS.ALL) return 'the connection is restricted';
  const newer = header.version >>> 16 > SM_PROTO >>> 16;
  if (newer && header.cmd !== SM_CMD.VERSION) return 'a newer protocol';
  return knownCommand(header.cmd) ? null : 'an unknown command';
}

/** Serves one request. @returns true when the connection has to wait for the answer. */
export function serve(front: Front, request: Request): boolean {
  return holdRequest(front, request) || serveNow(front, request);
}

/** Serves requests that waited for what an earlier daemon had. */
export function serveHeld(front: Front): void {
  wakeHeld(front, {
    serve: (request) => {
      const { client } = request;
      if (serve(front, request) || client.dead) return;
      front.effects.push({ kind: 'resume', connection: client.connection });
    },
    refuse: (request, result) => replyTo(front, request)(result),
  });
}

function serveNow(front: Front, request: Request): boolean {
  const { client, header } = request;
  client.lastCommand = header.cmd;
  const shown = SHOWN_NAMES[header.cmd]; // also in place of a registered client's name
  if (shown !== undefined || !client.registered) client.ownerName = shown ?? `cmd${header.cmd}`;
  const atOnce = AT_ONCE[header.cmd];
  if (atOnce !== undefined) {
    answerAtOnce(front, request, atOnce(front, request));
    return false;
  }
  const later = LATER[header.cmd];
  if (later !== undefined) {
    client.suspended = true;
    later(front, request, replyTo(front, request));
    return client.suspended;
  }
  if (header.cmd in FOR_CLIENT) {
    client.suspended = true;
    forClient(front, request);
    return client.suspended;
  }
  inline(front, request);
  return false;
}

function answerAtOnce(front: Front, { client, header }: Request, answer: Answer): void {
  const length = answer.bareLength === true ? { length: SM_HEADER_BYTES } : {};
  const { result, data2 = 0, body = new Uint8Array(0) } = answer;
  send(front, client.connection, replyBytes(header, { result, data2, body, ...length }));
  if (!client.registered && answer.staysOpen !== true) endConnection(front, client);
}

function replyTo(front: Front, { client, header }: Request): Reply {
  let answered = false;
  return (result, data2 = 0, body = new Uint8Array(0)) => {
    if (answered) return;
    answered = true;
    client.suspended = false;
    send(front, client.connection, replyBytes(header, { result, data2, body }));
    front.effects.push({ kind: 'resume', connection: client.connection });
  };
}

/** One such command at a time for each process, whichever connection sent it (spec 20 §6). */
function forClient(front: Front, request: Request): void {
  const { client, header } = request;
  const reply = replyTo(front, request);
  const target = header.data2 === -1 ? client : front.clientByPid(header.data2);
  if (target === null) {
    reply(-ERRNO.ESRCH);
    return;
  }
  const killed = header.cmd === SM_CMD.ACQUIRE && target.killCount > 0;
  // A process that could not be stopped is granted nothing (spec 20 §6).
  const isUnseen = target.process === null;
  if (!target.registered || isUnseen || target.dead || target.active !== 0 || killed) {
    reply(-ERRNO.EBUSY);
    return;
  }
  target.active = header.cmd;
  FOR_CLIENT[header.cmd]?.(front, request, target, reply);
}

function inline(front: Front, request: Request): void {
  const { client, header } = request;
  switch (header.cmd) {
    case SM_CMD.REGISTER:
      client.registered = true;
      client.pid = client.process?.pid ?? 0;
      client.ownerName = `${client.pid}`;
      if (client.process === null) {
        log(front, 'warn', 'client.unseen', { client: client.slot, pid: client.pid });
      } else front.awaitIdentity(client.process, () => isKnown(front, client));
      return; // no reply, by protocol
    case SM_CMD.RESTRICT:
      send(
        front,
        client.connection,
        replyBytes(header, { result: stopsBy(front, client, { restricted: header.cmdFlags }) }),
      );
      return;
    case SM_CMD.VERSION: {
      const echo = { ...header, cmdFlags: 0, seq: 0 };
      const reply = replyBytes(echo, { result: 0, data2: SANLOCK_RELEASE.number });
      send(front, client.connection, reply);
      return;
    }
    case SM_CMD.LOG_DUMP: {
      front.effects.push({ kind: 'sendLog', connection: client.connection, header });
      break;
    }
    case SM_CMD.SHUTDOWN:
      if (mayEnd(front, header.data)) beginEnd(front);
      break;
    default: // no other command is answered here
  }
  if (!client.registered) endConnection(front, client);
}

/** It has registered, and its process can be distinguished from later ones of its pid. */
function isKnown(front: Front, client: Client): void {
  if (client.dead) return;
  recordRegistered(front, client);
  claimAll(front, client);
}

/** Changes how a process is stopped; a change that cannot be recorded is refused. */
function stopsBy(
  front: Front,
  client: Client,
  changed: Partial<Pick<Client, 'killpath' | 'killargs' | 'killpathPid' | 'restricted'>>,
): number {
  const { killpath, killargs, killpathPid, restricted } = client;
  Object.assign(client, changed);
  if (recordStopping(front, client)) return 0;
  Object.assign(client, { killpath, killargs, killpathPid, restricted });
  return -ERRNO.EAGAIN;
}

/** Survivors of an earlier daemon count: when they expire only this daemon stops them. */
function mayEnd(front: Front, force: number): boolean {
  if (keepsLeases(front)) return false;
  const isUnused = front.lockspaces.every((space) => isUnasked(front, space));
  return force !== 0 || (isUnused && front.survivors.length === 0);
}

/** Removes every lockspace; the daemon ends with the last one. */
export function beginEnd(front: Front): void {
  front.ending = true;
  removeAll(front);
}

function shutdownWait(front: Front, request: Request, reply: Reply): void {
  if (!mayEnd(front, request.header.data)) {
    reply(-ERRNO.EBUSY);
    return;
  }
  front.shutdownWaiters.add(request.client.connection);
  beginEnd(front);
}
