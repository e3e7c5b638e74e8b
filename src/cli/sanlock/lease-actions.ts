import { ERRNO } from '../../base/errno.ts';
import { MIB } from '../../base/units.ts';
import {
  align,
  readLockspace,
  readResource,
  readResourceOwners,
  writeLockspace,
  writeResource,
} from '../../wire/sanlock/area-calls.ts';
import {
  acquire,
  convert,
  examineLockspace,
  examineResource,
  inquire,
  release,
  request,
} from '../../wire/sanlock/lease-calls.ts';
import { RES_FLAGS } from '../../wire/sanlock/socket.ts';
import { parseState, printResource } from '../../wire/sanlock/strings.ts';
import { type Resource, sizesOfFlags } from '../../wire/sanlock/types.ts';
import {
  atoi,
  type CommandLine,
  ioTimeoutOption,
  lockspaceOption,
  resourceOption,
  u64Option,
} from './command-line.ts';
import { type Action, type ClientContext, codeOf } from './context.ts';

/** -p; −1 (the calling process itself) when absent. */
function pidOption(line: CommandLine): number {
  return line.words.p === undefined ? -1 : atoi(line.words.p);
}

function isSet(word: string | undefined): boolean {
  return atoi(word) !== 0;
}

/** All -r, persistent with -P 1. */
export function resourcesToAcquire(line: CommandLine): readonly Resource[] {
  const extra = isSet(line.words.P) ? RES_FLAGS.PERSISTENT : 0;
  const withHosts = line.words.n === undefined ? 0 : RES_FLAGS.NUM_HOSTS;
  const data32 = atoi(line.words.n);
  return line.resources.map((resource) => ({
    ...resource,
    flags: resource.flags | extra | withHosts,
    data32,
  }));
}

export const acquireAction: Action = async (context) => {
  const { line, print } = context;
  const target = pidOption(line);
  print(`acquire pid ${target}\n`);
  const call = acquire(resourcesToAcquire(line), { target, orphan: isSet(line.words.O) });
  const result = codeOf(await context.client.call(call));
  print(`acquire done ${result}\n`);
  return result;
};

export const convertAction: Action = async (context) => {
  const { line, print } = context;
  const target = pidOption(line);
  print(`convert pid ${target}\n`);
  const resource = line.resources[0];
  if (resource === undefined) return refused(context, 'convert', -ERRNO.EINVAL);
  const call = convert(resource, { target });
  const result = codeOf(await context.client.call(call));
  print(`convert done ${result}\n`);
  return result;
};

function refused(context: ClientContext, action: string, result: number): number {
  context.print(`${action} done ${result}\n`);
  return result;
}

export const releaseAction: Action = async (context) => {
  const { line, print } = context;
  const target = pidOption(line);
  print(`release pid ${target}\n`);
  const orphan = isSet(line.words.O);
  const lockspaceName = lockspaceOption(line).name;
  const allOrphans = { ...resourceOption(line), lockspaceName, name: '' };
  const resources = orphan && lockspaceName !== '' ? [allOrphans] : line.resources;
  const call = release(resources, { target, orphan, all: isSet(line.words.a) });
  const result = codeOf(await context.client.call(call));
  print(`release done ${result}\n`);
  return result;
};

export const inquireAction: Action = async (context) => {
  const { line, print } = context;
  const target = pidOption(line);
  print(`inquire pid ${target}\n`);
  const answered = await context.client.call(inquire(target));
  const result = codeOf(answered);
  const count = answered.ok ? answered.value.count : 0;
  print(`inquire done ${result} res_count ${count}\n`);
  if (!answered.ok) return result;
  const state = answered.value.state;
  print(`"${state ?? '(null)'}"\n`);
  if (line.debug && state !== null) printParsed(context, state);
  return result;
};

/** -D: what the state string means, and the string made anew from that. */
function printParsed(context: ClientContext, state: string): void {
  const parsed = parseState(state);
  const resources = parsed.ok ? parsed.value : [];
  const result = parsed.ok ? 0 : parsed.error;
  context.print(`\nstate_to_args done ${result} res_count ${resources.length}\n`);
  for (const { lockspaceName, name, disks, lver } of resources) {
    const places = disks.map((disk) => `:${disk.path}:${disk.offset}`).join('');
    context.print(`"${lockspaceName}:${name}${places}:${lver}"\n`);
  }
  const again = resources.map((resource) => printResource(resource)).join(' ');
  context.print(`\nargs_to_state done ${result}\n"${again}"\n`);
}

export const requestAction: Action = async (context) => {
  context.print('request\n');
  const resource = resourceOption(context.line);
  const forceMode = Number(BigInt.asUintN(32, u64Option(context.line, 'f')));
  const result =
    context.line.resources.length === 0
      ? -ERRNO.EINVAL
      : codeOf(await context.client.call(request(resource, { forceMode })));
  context.print(`request done ${result}\n`);
  return result;
};

export const examineAction: Action = async (context) => {
  const { line, print } = context;
  print('examine\n');
  const lockspace = lockspaceOption(line);
  const hasResource = line.resources.length > 0;
  const call = hasResource ? examineResource(resourceOption(line)) : examineLockspace(lockspace);
  const missing = !hasResource && (lockspace.name === '' || lockspace.path === '');
  const result = missing ? -ERRNO.EINVAL : codeOf(await context.client.call(call));
  print(`examine done ${result}\n`);
  return result;
};

export const alignAction: Action = async (context) => {
  context.print('align\n');
  const { path, offset } = lockspaceOption(context.line);
  const result = codeOf(await context.client.call(align({ path, offset })));
  context.print(`align done ${result}\n`);
  return result;
};

/** init and write: formats a lockspace when -s has a path, else a resource. */
export const initAction: Action = async (context) => {
  const { line, print } = context;
  print('init\n');
  const lockspace = lockspaceOption(line);
  const result = lockspace.path === '' ? await initResource(context) : await initLockspace(context);
  print(`init done ${result}\n`);
  return result;
};

async function initLockspace(context: ClientContext): Promise<number> {
  const { line } = context;
  const options = { maxHosts: atoi(line.words.m), ioTimeoutS: ioTimeoutOption(line) };
  return codeOf(await context.client.call(writeLockspace(lockspaceOption(line), options)));
}

async function initResource(context: ClientContext): Promise<number> {
  const { line } = context;
  const resource = resourceOption(line);
  if (resource.disks.length === 0) return -ERRNO.EINVAL;
  const options = {
    maxHosts: atoi(line.words.m),
    numHosts: atoi(line.words.n),
    clear: line.words.z !== undefined,
  };
  return codeOf(await context.client.call(writeResource(resource, options)));
}

export const readAction: Action = async (context) => {
  const { line } = context;
  const isLockspace = lockspaceOption(line).path !== '';
  const read = isLockspace ? printLockspaceOnDisk : printResourceOnDisk;
  const result = await read(context);
  if (result !== 0) context.print(`read error ${result}\n`);
  return result;
};

async function printLockspaceOnDisk(context: ClientContext): Promise<number> {
  const wanted = lockspaceOption(context.line);
  const answered = await context.client.call(readLockspace(wanted));
  if (!answered.ok) return answered.error.code;
  const { name, hostId, offset, path, flags } = answered.value.lockspace;
  context.print(`s ${name}:${hostId}:${path}:${offset}\n`);
  if (context.line.debug) context.print(`io_timeout ${answered.value.ioTimeoutS}\n`);
  printSizes(context, flags ?? 0);
  return 0;
}

async function printResourceOnDisk(context: ClientContext): Promise<number> {
  const { line, print } = context;
  const wanted = resourceOption(line);
  if (wanted.disks.length === 0) return -ERRNO.EINVAL;
  if (!isSet(line.words.h)) {
    const answered = await context.client.call(readResource(wanted));
    if (!answered.ok) return answered.error.code;
    print(`r ${printResource(answered.value)}\n`);
    printSizes(context, answered.value.flags);
    return 0;
  }
  const answered = await context.client.call(readResourceOwners(wanted));
  if (!answered.ok) return answered.error.code;
  print(`r ${printResource(answered.value.resource)}\n`);
  printSizes(context, answered.value.resource.flags);
  for (const host of answered.value.hosts) {
    const since = host.timestampS === 0n ? '' : ` timestamp ${host.timestampS}`;
    print(`h ${host.hostId} gen ${host.generation}${since}\n`);
  }
  return 0;
}

function printSizes(context: ClientContext, flags: number): void {
  if (!context.line.debug) return;
  const { sectorSize, areaMib } = sizesOfFlags(flags);
  context.print(`sector_size ${sectorSize}\nalign_size ${areaMib * MIB}\n`);
}
