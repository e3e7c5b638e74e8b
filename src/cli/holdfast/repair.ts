import { randomUUID } from 'node:crypto';
import { textToName } from '../../base/bytes.ts';
import { plain, plainJson } from '../../base/plain-text.ts';
import { ok, type Result } from '../../base/result.ts';
import { type DeltaPlace, readLockspaceSizes } from '../../lease/delta-acquire.ts';
import type { LeaseError } from '../../lease/lease-error.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import type { ResourceWish } from '../../lease/read.ts';
import { findDamagedBlocks, type Repaired, repairBlock } from '../../lease/repair.ts';
import { mistakeText } from '../frame/help.ts';
import { type CommandPage, JSON_OPTION } from '../frame/page.ts';
import { readWords } from '../frame/words.ts';
import { leaseCode, OpenFailure, openDisk, runDirectly } from '../sanlock/direct-disk.ts';
import { leaderDamage, repairLeader } from './repair-leader.ts';
import { resourceTarget, type WhoTarget } from './who/target.ts';
import { volumeTarget } from './who/volumes.ts';

export const REPAIR_PAGE = {
  name: 'holdfast repair',
  about: 'empties damaged blocks of dead hosts that keep every host from a lease (-214)',
  forms: ['VG/LV', 'LOCKSPACE:RESOURCE:PATH:OFFSET'],
  operands: 'lv',
  counts: { least: 1, most: 1 },
  options: [
    {
      ...{ name: 'lockspace', value: 'PATH[:OFFSET]', operand: 'device' },
      about: 'where the lockspace is, if not at offset 0 of the same device',
    },
    JSON_OPTION,
  ],
  text: [
    'Empties damaged host blocks of one lease, each of which keeps every host from it, if their hosts ' +
      'are surely gone: the host id is taken for a moment, which needs 8 × io timeout + 60 s without ' +
      'a renewal of it. Sound blocks and hosts that live are left alone.',
    'Of a damaged leader of an LV’s lease the disk does not show who holds it: lvmlockd is asked to ' +
      'write the lease anew, which it does if the VG is started on no other host.',
  ],
  examples: [
    { line: 'holdfast repair vg1/data', about: 'the lease of an LV' },
    {
      line: 'holdfast repair LS1:vm7:/dev/sdc:1048576',
      about: 'a lease of another program, with the lockspace LS1 at the start of the device',
    },
  ],
  exits: {
    0: 'every block is sound now',
    1: 'one is not: its host lives, or the disk refused it',
    2: 'wrong words, or the lease could not be found or read',
  },
  schema: 'holdfast.repair/1',
  seeAlso: ['holdfast-who(8)', 'lvmlockctl(8)'],
} as const satisfies CommandPage;

const IO_TIMEOUT_S = 10;

/** Empties the damaged blocks of a lease whose hosts are gone. @returns the exit status */
export async function repair(args: readonly string[]): Promise<number> {
  const words = readWords(REPAIR_PAGE, args);
  if (!words.ok) {
    process.stderr.write(mistakeText(REPAIR_PAGE, words.error));
    return 2;
  }
  const { operands, value, has } = words.value;
  const complain = (text: string) => void process.stderr.write(`holdfast repair: ${plain(text)}\n`);
  const target = await targetOf(operands[0] ?? '', value('lockspace'));
  if (!target.ok) {
    complain(target.error);
    return 2;
  }
  const say = (text: string) => {
    if (!has('json')) process.stdout.write(`${plain(text)}\n`);
  };
  try {
    const repairs = await repairTarget(target.value, say);
    if (has('json')) {
      const { schema } = REPAIR_PAGE;
      const json = { schema, lease: target.value.label, ...repairs };
      process.stdout.write(`${plainJson(json)}\n`);
    }
    if (repairs.code !== null && repairs.blocks.length === 0) return 2;
    return repairs.isSound ? 0 : 1;
  } catch (thrown) {
    if (!(thrown instanceof OpenFailure)) throw thrown;
    complain(`${target.value.label}: ${thrown.message}`);
    return 2;
  }
}

/** What was found, and what was done about it. */
export interface Repairs {
  readonly isSound: boolean;
  /** sanlock's number for the damage of the leader; null: it is sound. */
  readonly leaderDamage: number | null;
  readonly blocks: readonly BlockRepair[];
  /** Why the lease could not be read. */
  readonly code: number | null;
}

interface BlockRepair {
  readonly hostId: number;
  readonly outcome: Repaired | 'failed';
  /** Why it was not repaired. */
  readonly code: number | null;
}

async function repairTarget(target: WhoTarget, say: (text: string) => void): Promise<Repairs> {
  const { label } = target;
  const damage = leaderDamage(target);
  const vgName = /^([^:/]+)\/[^:/]+$/.exec(label)?.[1];
  if (damage === 0 || vgName === undefined) return repairLease(target, say);
  say(`${label}: the leader of the lease is damaged (${damage})`);
  const isSound = await repairLeader(target, vgName, {
    say,
    complain: (text) => void process.stderr.write(text),
  });
  return { isSound, leaderDamage: damage, blocks: [], code: null };
}

async function targetOf(
  lease: string,
  lockspace: string | null,
): Promise<Result<WhoTarget, string>> {
  const isVolume = /^[^:/]+\/[^:/]+$/.test(lease);
  const found = isVolume ? await volumeTarget(lease) : resourceTarget(lease);
  if (!found.ok || lockspace === null) return found;
  const place = /^(.*?)(?::(\d+))?$/s.exec(lockspace);
  const spacePath = textToName(place?.[1] ?? lockspace);
  return ok({ ...found.value, spacePath, spaceOffset: Number(place?.[2] ?? 0) });
}

/** Of a lease whose leader can be read. */
export function repairLease(target: WhoTarget, say: (text: string) => void): Repairs {
  const { expected, label } = target;
  const resource = {
    offset: target.offset,
    lockspaceName: expected?.lockspaceName ?? '',
    resourceName: expected?.name ?? '',
    timeoutMs: leaseTimes(IO_TIMEOUT_S).ioTimeoutMs,
  };
  const disks = {
    resource: openDisk(target.path, 'resource'),
    lockspace: openDisk(target.spacePath, 'lockspace'),
  };
  const found = runDirectly(findDamagedBlocks(resource), disks);
  if (!found.ok) {
    say(`${label}: ${reason(found.error)}`);
    return { isSound: false, leaderDamage: null, blocks: [], code: leaseCode(found.error) };
  }
  if (found.value.hosts.length === 0) say(`${label}: every host block is sound`);
  const blocks = found.value.hosts.map((hostId): BlockRepair => {
    say(`${label}: the block of host ${hostId} is damaged; waiting until that host is surely gone`);
    const host = {
      lockspaceName: resource.lockspaceName,
      offset: target.spaceOffset,
      hostId,
      hostName: `repair-${randomUUID()}`, // no host has it, so nothing is taken without the wait
      ioTimeoutS: IO_TIMEOUT_S,
      aborted: () => false,
    };
    const ended = repairOne(host, resource, disks);
    const outcome = ended.ok ? OUTCOMES[ended.value] : `not repaired, ${reason(ended.error)}`;
    say(`${label}: the block of host ${hostId} is ${outcome}`);
    return ended.ok
      ? { hostId, outcome: ended.value, code: null }
      : { hostId, outcome: 'failed', code: leaseCode(ended.error) };
  });
  const isSound = blocks.every(({ outcome }) => outcome !== 'failed');
  return { isSound, leaderDamage: null, blocks, code: null };
}

function repairOne(
  host: DeltaPlace,
  resource: ResourceWish,
  disks: Parameters<typeof runDirectly>[1],
): Result<Repaired, LeaseError> {
  const sizes = runDirectly(readLockspaceSizes(host), disks);
  if (!sizes.ok) return sizes;
  return runDirectly(repairBlock({ host, lockspaceGeometry: sizes.value, resource }), disks);
}

const OUTCOMES: Readonly<Record<Repaired, string>> = {
  cleared: 'emptied',
  sound: 'sound by now: nothing was written',
};

function reason(error: LeaseError): string {
  const { code, during } = error;
  if (code === 'HOSTID_BUSY') return 'that host lives: let it leave the lockspace first';
  return `${during} failed with ${leaseCode(error)} (${code})`;
}
