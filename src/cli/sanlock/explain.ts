import { type ByteString, nameToText } from '../../base/bytes.ts';
import { ERRNO } from '../../base/errno.ts';
import type { SanlockClient } from '../../client/sanlock.ts';
import { explanationOf } from '../../inspect/explain/sanlock-results.ts';
import { codeName, SANLOCK_CODES } from '../../wire/sanlock/codes.ts';
import { RES_FLAGS } from '../../wire/sanlock/socket.ts';
import { exportPath } from '../../wire/sanlock/strings.ts';
import type { Lockspace, Resource } from '../../wire/sanlock/types.ts';
import { type CommandLine, lockspaceOption, resourceOption } from './command-line.ts';
import {
  holderHereText,
  hostNameOnDisk,
  largestHostId,
  namesOnDisk,
  ownerOnDisk,
  usersOfDaemon,
} from './holder-text.ts';

export interface FailedAction {
  /** `client` or `direct`. */
  readonly command: string;
  readonly action: string;
  readonly line: CommandLine;
  /** Negative. */
  readonly code: number;
  /** The daemon was never reached. */
  readonly unreached: boolean;
  /** The failure's own text, where it has more than its number. */
  readonly known: string | null;
}

/** One sentence: what was attempted, on what, what was found, and what to do. */
export function sentence(failed: FailedAction, found: string | null): string {
  const { command, action, line, code, unreached } = failed;
  const explanation = explanationOf(code, { action, unreached });
  const of = targetText(line);
  const attempted = `sanlock ${command} ${action}${of === '' ? '' : ` of ${of}`}`;
  const because = found ?? failed.known ?? explanation.found;
  const number = code < 0 ? ` (${code} ${codeName(code)})` : '';
  return `${attempted}: ${because}${number}; ${explanation.todo}`;
}

function targetText(line: CommandLine): string {
  const { s, x, e } = line.words;
  const parts = line.resources.map((resource) => nameToText(resourceText(resource)));
  if (s !== undefined) parts.unshift(s);
  if (x !== undefined) parts.push(e === undefined ? x : `${e} in ${x}`);
  return parts.join(', ');
}

/** As it is typed. */
function resourceText({ lockspaceName, name, disks, flags, lver }: Resource): ByteString {
  const places = disks.map(({ path, offset }) => `:${exportPath(path)}:${offset}`).join('');
  const version = (flags & RES_FLAGS.LVER) === 0 ? '' : `:${lver}`;
  const mode = (flags & RES_FLAGS.SHARED) === 0 ? version : ':SH';
  return `${lockspaceName}:${name}${places}${mode}`;
}

/**
 * Whether the result is an answer, and nothing went wrong: scripts look names up to learn whether
 * they exist, and the suite of the original wants nothing on stderr then.
 */
export function isAnswer({ command, action, code, unreached }: FailedAction): boolean {
  return command === 'client' && action === 'lookup' && code === -ERRNO.ENOENT && !unreached;
}

/** What else can be found out about a failed call; null: nothing more than its number. */
export async function inspectCause(
  client: Pick<SanlockClient, 'call'>,
  failed: FailedAction,
): Promise<string | null> {
  const { action, code, line } = failed;
  if (failed.unreached) return null;
  const resource = line.resources[0] === undefined ? null : resourceOption(line);
  const lockspace = line.words.s === undefined ? null : lockspaceOption(line);
  if (code === -ERRNO.EBUSY && action === 'shutdown') return await usersOfDaemon(client);
  if (resource !== null && isHeldElsewhere(action, code)) {
    const mode = code === -ERRNO.EAGAIN ? 'shared' : 'any';
    const owner = await ownerOnDisk(client, resource, mode);
    return owner === null ? null : `${owner} holds it`;
  }
  if (resource !== null && code === -ERRNO.EEXIST) {
    const holder = await holderHereText(client, resource);
    return holder === null ? null : `${holder} holds it already`;
  }
  if (code === SANLOCK_CODES.LEADER_LOCKSPACE || code === SANLOCK_CODES.LEADER_RESOURCE) {
    return await wrongName(client, { lockspace, resource });
  }
  if (lockspace === null) return null;
  if (code === SANLOCK_CODES.HOSTID_BUSY) {
    const name = await hostNameOnDisk(line.words.s ?? '');
    return name === null ? null : `the host ${name} uses the host id ${lockspace.hostId}`;
  }
  if (code === SANLOCK_CODES.ADDLS_INVALID_HOSTID) {
    const largest = await largestHostId(client, lockspace);
    const found = `host id ${lockspace.hostId}`;
    return largest === null ? null : `${found} is larger than ${largest}, the largest there`;
  }
  return null;
}

const HELD_ELSEWHERE: ReadonlySet<number> = new Set([
  SANLOCK_CODES.ACQUIRE_IDLIVE,
  SANLOCK_CODES.ACQUIRE_OWNED,
  SANLOCK_CODES.ACQUIRE_OTHER,
  SANLOCK_CODES.ACQUIRE_OWNED_RETRY,
]);

function isHeldElsewhere(action: string, code: number): boolean {
  const isTaking = ['acquire', 'command', 'convert'].includes(action);
  return isTaking && (HELD_ELSEWHERE.has(code) || code === -ERRNO.EAGAIN);
}

async function wrongName(
  client: Pick<SanlockClient, 'call'>,
  at: { readonly lockspace: Lockspace | null; readonly resource: Resource | null },
): Promise<string | null> {
  const found = await namesOnDisk(client, at);
  if (found === null) return null;
  const text = (lockspaceName: string, name: string | null) =>
    nameToText(name === null ? lockspaceName : `${lockspaceName}:${name}`);
  const wanted =
    at.resource === null
      ? text(at.lockspace?.name ?? '', null)
      : text(at.resource.lockspaceName, at.resource.name);
  return `the lease there is ${text(found.lockspaceName, found.name)}, not ${wanted}`;
}
