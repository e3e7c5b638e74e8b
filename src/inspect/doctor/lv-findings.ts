import { hasOwnLock } from '../snapshot/attention.ts';
import type { LvSeen, VgSeen } from '../snapshot/snapshot.ts';
import { type Diagnosis, diagnosis, manual, safe } from './diagnosis.ts';
import type { DoctorFacts, Mapping } from './facts.ts';
import { startVg } from './vg-findings.ts';

/** Whether what is active on this host is locked, and is what the metadata say. */
export function lvFindings(facts: DoctorFacts): readonly Diagnosis[] {
  const mappings = facts.mappings ?? [];
  return [
    ...facts.snapshot.vgs.flatMap((vg) => vg.lvs.flatMap((lv) => ofLv(facts, vg, lv))),
    ...mappings.filter(({ isLv, lv, vg }) => isLv && lv === null && vg !== null).map(ghost),
    ...mappings
      .filter(({ isLv, lv, isErrorTable }) => isLv && lv !== null && isErrorTable === true)
      .map(cutOff),
  ];
}

function ofLv(facts: DoctorFacts, vg: VgSeen, lv: LvSeen): readonly Diagnosis[] {
  const name = `${vg.name}/${lv.name || lv.uuid}`;
  const mapping = (facts.mappings ?? []).find((one) => one.isLv && one.lv === name);
  const isCutOff = mapping?.isErrorTable === true;
  const isUnlocked = lv.isActiveHere === true && hasOwnLock(lv) && isHeldByNobody(facts, lv);
  return [
    ...(!isCutOff && (lv.trouble === 'activeUnlocked' || isUnlocked)
      ? [unlocked(facts, vg, name)]
      : []),
    ...(isCutOff ? [] : ofSize(name, lv, mapping)),
  ];
}

/** Where lvmlockd does not say, or sanlock has the lease without it, the lock may well be there. */
function isHeldByNobody({ snapshot }: DoctorFacts, { uuid, lockHere }: LvSeen): boolean {
  const lvmlockd = snapshot.daemons.find(({ name }) => name === 'lvmlockd');
  const leases = snapshot.lockspaces.flatMap((space) => space.leases);
  const isHeld = leases.some(({ name, isHeld: isHeldHere }) => name === uuid && isHeldHere);
  return lvmlockd?.state === 'running' && lockHere === null && !isHeld;
}

/**
 * lvmlockd of ours says it of LVs that are active on several hosts, the original of none; what was
 * refreshed since is as it should be.
 */
function ofSize(name: string, lv: LvSeen, mapping: Mapping | undefined): readonly Diagnosis[] {
  const other = mapping?.isShared === true ? mapping.otherSize : null;
  if (mapping?.isErrorTable === false && other === null) return [];
  const evidence = [
    ...(other === null ? [] : [`dmsetup table ${mapping?.name}: ${other.bytes} bytes`]),
    ...(other === null ? [] : [`lvs: ${name} has ${other.wantedBytes} bytes`]),
    ...(lv.trouble === 'otherSize' ? [`lvmlockctl -i: ${name} has another size here`] : []),
  ];
  if (evidence.length === 0) return [];
  return [
    diagnosis('lvOtherSize', {
      about: name,
      found: `${name} has another size on this host than in the metadata`,
      evidence,
      plan: [
        manual(
          'load its new table',
          `lvchange --refresh ${name}`,
          'I/O to it is held back meanwhile',
        ),
      ],
    }),
  ];
}

function unlocked(facts: DoctorFacts, vg: VgSeen, name: string): Diagnosis {
  const deactivate = manual(
    'or deactivate it, if it is not to be used here',
    `lvchange -an ${name}`,
    'it ends users of the LV',
  );
  const take = vg.isStarted
    ? safe('take its lock, if no other host has it', { kind: 'lockLv', lv: name })
    : startVg(facts, vg.name);
  return diagnosis('lvActiveUnlocked', {
    about: name,
    found: `${name} is active on this host, which has no lock of it`,
    evidence: [`the kernel has a mapping of ${name}; lvmlockctl -i: no LK LV of it`],
    plan: [take, deactivate],
  });
}

function ghost({ name, uuid, vg, isOpen }: Mapping): Diagnosis {
  const step = isOpen
    ? manual(
        'end what has it open, then remove the mapping',
        `dmsetup remove ${name}`,
        'something uses it: it reads and writes blocks that may be of another LV',
      )
    : safe(`remove the mapping ${name}`, { kind: 'removeMapping', name, uuid });
  return diagnosis('lvMappingGhost', {
    about: name,
    found: `the kernel has a mapping of an LV that VG ${vg ?? ''} has no more`,
    evidence: [`dmsetup info ${name}: ${uuid}${isOpen ? ', open' : ''}`, 'lvs -a: no such LV'],
    plan: [step],
  });
}

function cutOff({ name, lv, isOpen }: Mapping): Diagnosis {
  const of = lv ?? name;
  const step = isOpen
    ? manual(
        'still open: load its table anew, if this host has its lock (lvmlockctl -i: LK LV ex)',
        `lvchange --refresh ${of}`,
        'a file system that saw errors wants to be unmounted and checked first',
      )
    : manual(
        'deactivate and activate it',
        `lvchange -an ${of} && lvchange -aey ${of}`,
        'it gives its lock back for a moment: another host may have it then',
      );
  return diagnosis('lvCutOff', {
    about: of,
    found: `all I/O of ${of} fails on this host`,
    evidence: [`dmsetup table ${name}: error`],
    plan: [step],
  });
}
