import { ERRNO } from '../../base/errno.ts';
import {
  addLockspace,
  getHosts,
  getLockspaces,
  inquireLockspace,
  logDump,
  removeLockspace,
  setConfig,
  setEvent,
  setHostDead,
  shutdown,
  shutdownWait,
  version,
} from '../../wire/sanlock/daemon-calls.ts';
import { SANLOCK_RELEASE } from '../../wire/sanlock/release.ts';
import { CONFIG_COMMANDS, HOST_STATES, LSF_FLAGS } from '../../wire/sanlock/socket.ts';
import { exportPath } from '../../wire/sanlock/strings.ts';
import type { Host, Lockspace } from '../../wire/sanlock/types.ts';
import { atoi, ioTimeoutOption, lockspaceOption, u64Option } from './command-line.ts';
import { type Action, type ClientContext, codeOf } from './context.ts';

const CLIENT_PROTO = 1;
const DEFAULT_IO_TIMEOUT_S = 10;

export const addLockspaceAction: Action = async (context) => {
  const ioTimeoutS = ioTimeoutOption(context.line);
  const isDefault = ioTimeoutS === DEFAULT_IO_TIMEOUT_S;
  context.print(isDefault ? 'add_lockspace\n' : `add_lockspace_timeout ${ioTimeoutS}\n`);
  const options = isDefault ? {} : { ioTimeoutS };
  const call = addLockspace(lockspaceOption(context.line), options);
  const result = codeOf(await context.client.call(call));
  context.print(`${isDefault ? 'add_lockspace' : 'add_lockspace_timeout'} done ${result}\n`);
  return result;
};

export const inquireLockspaceAction: Action = async (context) => {
  context.print('inq_lockspace\n');
  const call = inquireLockspace(lockspaceOption(context.line));
  const result = codeOf(await context.client.call(call));
  context.print(`inq_lockspace done ${result}\n`);
  return result;
};

export const removeLockspaceAction: Action = async (context) => {
  context.print('rem_lockspace\n');
  const call = removeLockspace(lockspaceOption(context.line));
  const result = codeOf(await context.client.call(call));
  context.print(`rem_lockspace done ${result}\n`);
  return result;
};

export const showLockspaces: Action = async (context) => {
  const answered = await context.client.call(getLockspaces());
  if (!answered.ok) {
    context.print(`gets error ${answered.error.code}\n`);
    return answered.error.code;
  }
  for (const lockspace of answered.value) {
    context.print(lockspaceLine(lockspace));
    if (atoi(context.line.words.h) !== 0) await printHosts(context, lockspace);
  }
  return 0;
};

function lockspaceLine(lockspace: Lockspace): string {
  const flags = lockspace.flags ?? 0;
  const list = flags & LSF_FLAGS.ADD ? 'ADD ' : flags & LSF_FLAGS.REM ? 'REM ' : '';
  const { name, hostId, offset } = lockspace;
  return `s ${name}:${hostId}:${exportPath(lockspace.path)}:${offset} ${list}\n`;
}

async function printHosts(context: ClientContext, lockspace: Lockspace): Promise<void> {
  const answered = await context.client.call(getHosts(lockspace.name));
  if (answered.ok) for (const host of answered.value) context.print(hostLine(host));
  else if (answered.error.code === -ERRNO.EAGAIN) context.print('hosts not ready\n');
  else context.print(`hosts error ${answered.error.code}\n`);
}

function hostLine(host: Host): string {
  const state = Object.entries(HOST_STATES).find(([, number]) => number === host.flags)?.[0];
  const { hostId, generation, timestampS } = host;
  return `h ${hostId} gen ${generation} timestamp ${timestampS} ${state ?? 'UNKNOWN'}\n`;
}

export const setEventAction: Action = async (context) => {
  const { line, print } = context;
  const event = {
    hostId: u64Option(line, 'i'),
    generation: u64Option(line, 'g'),
    event: u64Option(line, 'e'),
    data: u64Option(line, 'd'),
  };
  const numbers = `event 0x${event.event.toString(16)} data 0x${event.data.toString(16)}`;
  print(`set_event ${event.hostId} ${event.generation} ${numbers}\n`);
  const call = setEvent(lockspaceOption(line).name, event);
  const result = codeOf(await context.client.call(call));
  print(`set_event done ${result}\n`);
  return result;
};

/** Of the later generation; another word than DEAD_EXT is reported and is no failure (spec 21 §3). */
export const setHostAction: Action = async (context) => {
  const { line, print } = context;
  const host = { hostId: u64Option(line, 'i'), generation: u64Option(line, 'g') };
  const operation = line.words.F ?? '';
  if (operation !== 'DEAD_EXT') {
    print('set_host unknown operation\n');
    return 0;
  }
  print(`set_host ${host.hostId} ${host.generation} ${operation}\n`);
  const result = codeOf(await context.client.call(setHostDead(lockspaceOption(line), host)));
  print(`set_host done ${result}\n`);
  return result;
};

export const setConfigAction: Action = async (context) => {
  const { u, O } = context.line.words;
  let command = 0;
  if (u !== undefined) command = atoi(u) ? CONFIG_COMMANDS.USED : CONFIG_COMMANDS.UNUSED;
  if (O !== undefined) {
    const { USED_BY_ORPHANS, UNUSED_BY_ORPHANS } = CONFIG_COMMANDS;
    command = atoi(O) ? USED_BY_ORPHANS : UNUSED_BY_ORPHANS;
  }
  const { name } = lockspaceOption(context.line);
  context.print(`set_config ${name} ${command}\n`);
  const result = codeOf(await context.client.call(setConfig(name, command)));
  context.print(`set_config done ${result}\n`);
  return result;
};

/** The log text; the status is 1 even so, as the C program's final result is the text's length. */
export const dumpLog: Action = async (context) => {
  const answered = await context.client.call(logDump());
  if (!answered.ok) return answered.error.code;
  context.print(`${answered.value}\n`);
  return answered.value.length;
};

export const shutdownAction: Action = async (context) => {
  const force = Number(BigInt.asIntN(32, u64Option(context.line, 'f')));
  const wait = atoi(context.line.words.w);
  context.print(`shutdown force ${force} wait ${wait}\n`);
  const call = wait ? shutdownWait(force) : shutdown(force);
  const result = codeOf(await context.client.call(call));
  context.print(`shutdown done ${result}\n`);
  return result;
};

export const showVersions: Action = async (context) => {
  const answered = await context.client.call(version());
  const daemon = answered.ok ? answered.value : { proto: 0, release: 0 };
  if (!answered.ok) context.print(`daemon version error ${answered.error.code}\n`);
  context.print(`client version ${releaseText(SANLOCK_RELEASE.number)}\n`);
  context.print(`daemon version ${releaseText(daemon.release)}\n`);
  context.print(`client socket protocol ${protoText(CLIENT_PROTO)}\n`);
  context.print(`daemon socket protocol ${protoText(daemon.proto)}\n`);
  return 0;
};

function releaseText(release: number): string {
  const numbers = [release >>> 24, (release >>> 16) & 0xff, (release >>> 8) & 0xff];
  return `${numbers.join('.')} (0x${release.toString(16).padStart(8, '0')})`;
}

function protoText(proto: number): string {
  return `${proto >>> 16}.${proto & 0xffff}`;
}
