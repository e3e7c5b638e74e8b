import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { textToName } from '../../base/bytes.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { type DeltaPlace, readLockspaceSizes } from '../../lease/delta-acquire.ts';
import type { LeaseError } from '../../lease/lease-error.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import type { ResourceWish } from '../../lease/read.ts';
import { findDamagedBlocks, type Repaired, repairBlock } from '../../lease/repair.ts';
import { reasonOf } from '../../platform/system-error.ts';
import { leaseCode, OpenFailure, openDisk, runDirectly } from '../sanlock/direct-disk.ts';
import { leaderDamage, repairLeader } from './repair-leader.ts';
import { resourceTarget, volumeTarget, type WhoTarget } from './who-target.ts';

export const REPAIR_USAGE = `holdfast repair <vg>/<lv>
holdfast repair <lockspace>:<resource>:<path>:<offset>
    [--lockspace <path>[:<offset>]]  where the lockspace is (offset 0 of the same device)

Empties damaged host blocks of one lease, each of which keeps every host from it (error -214), if
their hosts are surely gone: the host id is taken for a moment, which needs 8 × io timeout + 60 s
without a renewal of it. Sound blocks and hosts that live are left alone.

Of a damaged leader of an LV's lease the disk does not show who holds it: lvmlockd is asked to
write the lease anew, which it does if the VG is started on no other host.
`;

const IO_TIMEOUT_S = 10;

/** Empties the damaged blocks of a lease whose hosts are gone. */
export async function repair(args: readonly string[]): Promise<number> {
  const target = await targetOf(args);
  if (!target.ok) {
    process.stderr.write(`holdfast repair: ${target.error}\n\n${REPAIR_USAGE}`);
    return 1;
  }
  try {
    const damage = leaderDamage(target.value);
    const vgName = /^([^:/]+)\/[^:/]+$/.exec(target.value.label)?.[1];
    if (damage !== 0 && vgName !== undefined) {
      process.stdout.write(
        `${target.value.label}: the leader of the lease is damaged (${damage})\n`,
      );
      return await repairLeader(target.value, vgName, {
        print: (text) => process.stdout.write(text),
        complain: (text) => process.stderr.write(text),
      });
    }
    return repairLease(target.value, (text) => void process.stdout.write(`${text}\n`));
  } catch (thrown) {
    if (!(thrown instanceof OpenFailure)) throw thrown;
    process.stderr.write(`holdfast repair: ${target.value.label}: ${thrown.message}\n`);
    return 1;
  }
}

async function targetOf(args: readonly string[]): Promise<Result<WhoTarget, string>> {
  let given: { readonly target: string; readonly lockspace: string | undefined };
  try {
    const options = { lockspace: { type: 'string' } } as const;
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options });
    if (positionals.length !== 1) return fail('give one lease');
    given = { target: positionals[0] ?? '', lockspace: values.lockspace };
  } catch (thrown) {
    return fail(reasonOf(thrown));
  }
  const isVolume = /^[^:/]+\/[^:/]+$/.test(given.target);
  const found = isVolume ? await volumeTarget(given.target) : resourceTarget(given.target);
  if (!found.ok || given.lockspace === undefined) return found;
  const place = /^(.*?)(?::(\d+))?$/s.exec(given.lockspace);
  const spacePath = textToName(place?.[1] ?? given.lockspace);
  return ok({ ...found.value, spacePath, spaceOffset: Number(place?.[2] ?? 0) });
}

/** @returns the exit status: 0 when every block is sound now */
export function repairLease(target: WhoTarget, say: (text: string) => void): number {
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
    return 1;
  }
  if (found.value.hosts.length === 0) say(`${label}: every host block is sound`);
  let status = 0;
  for (const hostId of found.value.hosts) {
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
    if (!ended.ok) status = 1;
    const outcome = ended.ok ? OUTCOMES[ended.value] : `not repaired, ${reason(ended.error)}`;
    say(`${label}: the block of host ${hostId} is ${outcome}`);
  }
  return status;
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
