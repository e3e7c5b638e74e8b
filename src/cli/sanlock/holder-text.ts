import { type ByteString, nameToText } from '../../base/bytes.ts';
import { MIB } from '../../base/units.ts';
import { holderHere } from '../../client/lease-holder.ts';
import type { SanlockClient } from '../../client/sanlock.ts';
import { geometryOf } from '../../format/geometry.ts';
import { readLockspace, readResource, readResourceOwners } from '../../wire/sanlock/area-calls.ts';
import { getLockspaces, hostStatus, status } from '../../wire/sanlock/daemon-calls.ts';
import { hostNameIn } from '../../wire/sanlock/records.ts';
import { RES_FLAGS, STATE_TYPES } from '../../wire/sanlock/socket.ts';
import { type Lockspace, type Resource, sizesOfFlags } from '../../wire/sanlock/types.ts';

/**
 * What the refusal lacked, asked after it: of the daemon, or of the disk by another process.
 * Nothing here may keep the command waiting, so each question has its time and null is an answer.
 */
const ASK_MS = 3000;
const DISK_MS = 3000;
const MAX_NAMED = 8;

type Client = Pick<SanlockClient, 'call'>;

/** `host 2, node7,` of the owner, or of the first sharer; null where no host has it in that mode. */
export async function ownerOnDisk(
  client: Client,
  resource: Resource,
  mode: 'shared' | 'any',
): Promise<string | null> {
  const read = await client.call(readResourceOwners(resource), { timeoutMs: ASK_MS });
  const host = read.ok ? read.value.hosts[0] : undefined;
  if (!read.ok || host === undefined) return null;
  const isShared = (read.value.resource.flags & RES_FLAGS.SHARED) !== 0;
  if (mode === 'shared' && !isShared) return null;
  const hosts = await client.call(hostStatus(resource.lockspaceName), { timeoutMs: ASK_MS });
  const name = hosts.ok ? hostNameIn(hosts.value, Number(host.hostId)) : '';
  return name === '' ? `host ${host.hostId}` : `host ${host.hostId}, ${nameToText(name)},`;
}

/** `process 4711 (vm7) of this host`. */
export async function holderHereText(client: Client, resource: Resource): Promise<string | null> {
  const holder = await holderHere((call, options) => client.call(call, options), resource);
  if (holder === null) return null;
  const { pid, name } = holder;
  const called = name === '' || name === `${pid}` ? '' : ` (${nameToText(name)})`;
  return `process ${pid}${called} of this host`;
}

/** The lockspaces that are joined, and the processes that hold leases; null: none, or no daemon. */
export async function usersOfDaemon(client: Client): Promise<string | null> {
  const joined = await client.call(getLockspaces(), { timeoutMs: ASK_MS });
  if (!joined.ok || joined.value.length === 0) return null;
  const names = listed(joined.value.map(({ name }) => nameToText(name)));
  const answered = await client.call(status(), { timeoutMs: ASK_MS });
  const leases = answered.ok ? answered.value : [];
  const pids = new Set(
    leases.filter(({ type }) => type === STATE_TYPES.RESOURCE).map(({ data32 }) => data32),
  );
  const held = pids.size === 0 ? '' : `, with leases of the processes ${listed([...pids])}`;
  return `the lockspaces ${names} are joined${held}`;
}

function listed(words: readonly (string | number)[]): string {
  const shown = words.slice(0, MAX_NAMED).join(', ');
  return words.length > MAX_NAMED ? `${shown} and ${words.length - MAX_NAMED} more` : shown;
}

/** The names of the lease that is there, whatever was asked for. */
export async function namesOnDisk(
  client: Client,
  at: { readonly lockspace: Lockspace | null; readonly resource: Resource | null },
): Promise<{ readonly lockspaceName: ByteString; readonly name: ByteString | null } | null> {
  if (at.resource !== null) {
    const anyName = { ...at.resource, lockspaceName: '', name: '' };
    const read = await client.call(readResource(anyName), { timeoutMs: ASK_MS });
    return read.ok ? { lockspaceName: read.value.lockspaceName, name: read.value.name } : null;
  }
  if (at.lockspace === null) return null;
  const read = await client.call(readLockspace({ ...at.lockspace, name: '', hostId: 1n }), {
    timeoutMs: ASK_MS,
  });
  return read.ok ? { lockspaceName: read.value.lockspace.name, name: null } : null;
}

/** The largest host id there is room for. */
export async function largestHostId(client: Client, lockspace: Lockspace): Promise<number | null> {
  const first = { ...lockspace, hostId: 1n };
  const read = await client.call(readLockspace(first), { timeoutMs: ASK_MS });
  if (!read.ok) return null;
  const { sectorSize, areaMib } = sizesOfFlags(read.value.lockspace.flags ?? 0);
  return geometryOf(sectorSize, areaMib * MIB)?.maxHosts ?? null;
}

/**
 * The name of the host that wrote a host lease. Only the disk has it while the lockspace is not
 * joined here, and a hung disk holds its reader: a child of ours reads, and may outlive this one.
 */
export function hostNameOnDisk(lockspaceText: string): Promise<string | null> {
  const program = process.argv[1];
  if (program === undefined) return Promise.resolve(null);
  const args = [program, 'direct', 'read_leader', '-s', lockspaceText];
  const { spawn } = process.getBuiltinModule('node:child_process'); // few commands need it
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  return new Promise((resolve) => {
    let text = '';
    const end = (): void => {
      clearTimeout(deadline);
      child.kill('SIGKILL');
      child.stdout.destroy();
      child.unref();
      resolve(/^resource_name (.+)$/m.exec(text)?.[1] ?? null);
    };
    const deadline = setTimeout(end, DISK_MS);
    child.stdout.on('data', (bytes: Buffer) => {
      text += bytes.toString('utf8');
    });
    child.stdout.on('close', end);
    child.on('error', end);
  });
}
