import { nameToText } from '../../base/bytes.ts';
import { decode } from '../../codec/struct.ts';
import { deltaLeader, paxosLeader } from '../../format/leader.ts';
import { DiskFailure } from '../../platform/disk-direct.ts';
import { SANLOCK_CODES } from '../../wire/sanlock/codes.ts';
import { type CommandLine, lockspaceOption, resourceOption } from './command-line.ts';
import { byteOffset, OpenFailure, openDisk } from './direct-disk.ts';

const RECORD_BYTES = 4096;

/** `the lease there is LS:R9, not LS:R1` for −226 and −227; null where that is not what failed. */
export function wrongNameOnDisk(line: CommandLine, code: number): string | null {
  const { LEADER_LOCKSPACE, LEADER_RESOURCE } = SANLOCK_CODES;
  if (code !== LEADER_LOCKSPACE && code !== LEADER_RESOURCE) return null;
  try {
    const [found, wanted] = line.words.s === undefined ? ofResource(line) : ofLockspace(line);
    return `the lease there is ${nameToText(found)}, not ${nameToText(wanted)}`;
  } catch (thrown) {
    if (thrown instanceof DiskFailure || thrown instanceof OpenFailure) return null;
    throw thrown;
  }
}

function ofLockspace(line: CommandLine): readonly [string, string] {
  const { name, path, offset } = lockspaceOption(line);
  const disk = openDisk(path, 'lockspace');
  return [decode(deltaLeader, disk.read(byteOffset(offset), RECORD_BYTES)).spaceName, name];
}

function ofResource(line: CommandLine): readonly [string, string] {
  const { lockspaceName, name, disks } = resourceOption(line);
  const disk = openDisk(disks[0]?.path ?? '', 'resource');
  const bytes = disk.read(byteOffset(disks[0]?.offset ?? 0n), RECORD_BYTES);
  const leader = decode(paxosLeader, bytes);
  return [`${leader.spaceName}:${leader.resourceName}`, `${lockspaceName}:${name}`];
}
