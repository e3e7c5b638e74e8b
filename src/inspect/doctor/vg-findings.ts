import { adviceText, findingText } from '../leases/vg-lease-text.ts';
import { compareLeases } from '../leases/vg-leases.ts';
import type { VgSeen } from '../snapshot/snapshot.ts';
import { type Diagnosis, diagnosis, manual, type Step, safe } from './diagnosis.ts';
import { type DoctorFacts, lvmSettingsOf, type SlotsOfVg } from './facts.ts';
import { activeLvs, namesText } from './in-use.ts';

/** What is particular to the VGs of one lock type; one that no daemon here serves has none yet. */
const OF_LOCK_TYPES: Readonly<
  Record<string, (facts: DoctorFacts, vg: VgSeen) => readonly Diagnosis[]>
> = { sanlock: ofSanlock };

/** Whether the shared VGs are started, have their locks, and metadata that fit them. */
export function vgFindings(facts: DoctorFacts): readonly Diagnosis[] {
  const { vgs } = facts.snapshot;
  return [
    ...facts.clusteredVgs.map(clustered),
    ...vgs.flatMap((vg) => OF_LOCK_TYPES[vg.lockType]?.(facts, vg) ?? []),
    ...globalLock(vgs.filter(({ lockType }) => lockType === 'sanlock')),
    ...facts.slots.flatMap((one) => [...slots(one), ...full(facts, one)]),
  ];
}

const CONVERT_WHY = 'the VG must be stopped on all hosts, and its LVs be inactive';

function clustered(name: string): Diagnosis {
  return diagnosis('vgClustered', {
    about: name,
    found: `VG ${name} is of clvm`,
    evidence: [`vgs: Skipping clustered VG ${name}`],
    plan: [
      manual(
        'when no host uses it: take the old flag away, then give it leases',
        `vgchange --lock-type none --lock-opt force ${name} && vgchange --lock-type sanlock ${name}`,
        CONVERT_WHY,
      ),
    ],
  });
}

/** `1.0.0:lvmlock` */
const SANLOCK_ARGS = /^\d+\.\d+\.\d+:\S+$/;

function ofSanlock(facts: DoctorFacts, vg: VgSeen): readonly Diagnosis[] {
  const { name, lockArgs, trouble, isStarted } = vg;
  if (!SANLOCK_ARGS.test(lockArgs)) {
    return [
      diagnosis('vgLockArgsWrong', {
        about: name,
        found: `VG ${name} does not say where its leases are`,
        evidence: [`vgs: lock_type="sanlock" lock_args="${lockArgs}"`],
        plan: [
          manual(
            'give it new leases',
            `vgchange --lock-type none --lock-opt force ${name} && vgchange --lock-type sanlock ${name}`,
            CONVERT_WHY,
          ),
        ],
      }),
    ];
  }
  if (trouble === 'killed' || trouble === 'detached') return [lost(vg, trouble)];
  if (trouble === 'returning' || trouble === 'reattaching') return [returning(vg, trouble)];
  if (!isStarted && trouble === null && mayStart(facts)) return [notStarted(facts, vg)];
  return [];
}

function lost({ name }: VgSeen, trouble: 'killed' | 'detached'): Diagnosis {
  const isKilled = trouble === 'killed';
  const plan: Step[] = isKilled
    ? [
        manual(
          'stop what uses its LVs, and deactivate them',
          `lvchange -an ${name}`,
          'it ends users',
        ),
        manual('then have the locks dropped', `lvmlockctl --drop ${name}`, 'it releases locks'),
        manual(
          'neither kill -9 nor a reboot is needed; when the storage is back, start the VG',
          `vgchange --lockstart ${name}`,
          'it is refused as long as locks are left',
        ),
      ]
    : [
        manual(
          'start sanlock again: lvmlockd attaches its locks by itself',
          'systemctl start sanlock',
          'if it ran already, another program has the lockspace',
        ),
      ];
  return diagnosis('vgLost', {
    about: name,
    found: isKilled
      ? `VG ${name} has lost its leases on this host`
      : `VG ${name} has lost its sanlock`,
    // No command of the original shows the first.
    evidence: [
      isKilled ? `lvmlockd: kill_vg=1 of VG ${name}` : `lvmlockctl -i: ST ${name} ${trouble}`,
    ],
    plan,
  });
}

function returning({ name }: VgSeen, trouble: string): Diagnosis {
  return diagnosis('vgReturning', {
    about: name,
    found: `VG ${name} comes back on this host`,
    evidence: [`lvmlockctl -i: ST ${name} ${trouble}`],
    plan: [
      manual(
        'see to the storage; the VG needs nothing',
        'lvmlockctl -i',
        'the storage is not of this program',
      ),
    ],
  });
}

/** Not beside LVs that are active: their locks would be given away. */
export function startVg(facts: DoctorFacts, name: string): Step {
  const active = activeLvs(facts, name);
  if (active.length === 0) return safe(`start VG ${name}`, { kind: 'startVg', vg: name });
  return manual(
    `deactivate its LVs (lvchange -an ${name}), then start VG ${name}`,
    `vgchange --lockstart ${name}`,
    `${namesText(active)} may be in use: the join is a new generation, and other hosts may have their locks`,
  );
}

/** What keeps it from starting is told of by itself. */
function mayStart(facts: DoctorFacts): boolean {
  const { snapshot } = facts;
  const runs = (wanted: string) =>
    snapshot.daemons.some(({ name, state }) => name === wanted && state === 'running');
  const hostId = lvmSettingsOf(facts)?.hostId ?? null;
  return runs('sanlock') && runs('lvmlockd') && hostId !== null;
}

function notStarted(facts: DoctorFacts, { name, lockArgs }: VgSeen): Diagnosis {
  return diagnosis('vgNotStarted', {
    about: name,
    found: `VG ${name} is not started on this host`,
    evidence: [`vgs: lock_type="sanlock" lock_args="${lockArgs}"`, `lvmlockctl -i: no VG ${name}`],
    plan: [startVg(facts, name)],
  });
}

function globalLock(vgs: readonly VgSeen[]): readonly Diagnosis[] {
  const known = vgs.filter(({ hasGlobalLock }) => hasGlobalLock !== null);
  const having = known.filter(({ hasGlobalLock }) => hasGlobalLock === true);
  // A VG that is not started here may have it.
  if (having.length === 0 && known.length > 0 && known.length === vgs.length) {
    return [noGlobalLock(known)];
  }
  if (having.length < 2) return [];
  const [kept, ...others] = having;
  return [
    diagnosis('twoGlobalLocks', {
      found: `${having.length} VGs carry an enabled global lock`,
      evidence: having.map(({ name }) => `the global lock of VG ${name} is enabled`),
      plan: others.map(({ name }) =>
        manual(
          `keep that of ${kept?.name ?? ''}, and disable the others`,
          `lvmlockctl --gl-disable ${name}`,
          'which one is kept must be the same choice on all hosts: doctor may run on two at once',
        ),
      ),
    }),
  ];
}

function noGlobalLock(vgs: readonly VgSeen[]): Diagnosis {
  return diagnosis('noGlobalLock', {
    found: 'no VG that is started here carries the global lock',
    evidence: vgs.map(({ name }) => `the global lock of VG ${name} is disabled`),
    plan: [
      manual(
        'enable it in one VG',
        `lvmlockctl --gl-enable ${vgs[0]?.name ?? ''}`,
        'a VG that this host does not see may carry it: then there would be two',
      ),
    ],
  });
}

const MOST_NAMED = 10;

function slots({ vg, leases }: SlotsOfVg): readonly Diagnosis[] {
  const found = compareLeases(leases);
  if (found.length === 0) return [];
  const more = found.length - MOST_NAMED;
  const mendable = found.filter(({ mending }) => mending !== null);
  const left = found.filter(({ mending }) => mending === null);
  const plan: Step[] = [];
  if (mendable.length > 0) {
    const does = 'have lvmlockd mend, under the VG lock, what nobody can hold';
    plan.push(safe(does, { kind: 'mendSlots', vg }));
  }
  for (const text of new Set(left.map(adviceText))) {
    plan.push(
      manual(text, `vgchange --lock-type none --lock-opt force ${vg}`, 'every LV must be inactive'),
    );
  }
  return [
    diagnosis('leaseSlotsWrong', {
      about: vg,
      found: `leases and metadata of VG ${vg} do not agree`,
      evidence: [
        ...found.slice(0, MOST_NAMED).map((one) => findingText(one, leases)),
        ...(more > 0 ? [`and ${more} more`] : []),
      ],
      plan,
    }),
  ];
}

/** With a slot free, or room for lvmlock to grow, lvm goes on by itself. */
function full(facts: DoctorFacts, { vg, leases, freeMib }: SlotsOfVg): readonly Diagnosis[] {
  const isFree = leases.slots.some(
    ({ holds }) => holds.kind === 'free' || holds.kind === 'unwritten',
  );
  const extendMib = lvmSettingsOf(facts)?.lockLvExtendMib ?? null;
  const grows = extendMib === null || (extendMib > 0 && (freeMib === null || freeMib >= extendMib));
  if (isFree || grows) return [];
  return [
    diagnosis('leaseAreaFull', {
      about: vg,
      found: `VG ${vg} has no slot left for the lock of another LV`,
      evidence: [
        `${leases.slots.length} slots up to the end of lvmlock, none is free`,
        `lvmconfig: global/sanlock_lv_extend=${extendMib}; ${freeMib ?? '?'} MiB of the VG are free`,
      ],
      plan: [
        manual(
          'set global/sanlock_lv_extend = 256, and let the VG have as much free',
          '$EDITOR /etc/lvm/lvm.conf',
          'lvmlock takes that room from the VG',
        ),
      ],
    }),
  ];
}
