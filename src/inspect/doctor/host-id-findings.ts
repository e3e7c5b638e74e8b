import { shellWord } from '../../base/plain-text.ts';
import { isSameNode } from '../../wire/sanlock/host-name.ts';
import { type Diagnosis, diagnosis, manual } from './diagnosis.ts';
import { type DoctorFacts, type HostLease, type LeaseArea, lvmSettingsOf } from './facts.ts';

const MAX_HOST_ID = 2000;
/** The clock is read a moment after the disk, and whole seconds are written there. */
const CLOCK_SLACK_S = 5;

/** Whether the number of this host is set, possible, and nobody else's: on the disk, too. */
export function hostIdFindings(facts: DoctorFacts): readonly Diagnosis[] {
  const lvm = lvmSettingsOf(facts);
  const found: Diagnosis[] = [];
  if (lvm !== null) {
    if (lvm.hostId === null && usesSanlockVgs(facts)) found.push(unset(facts));
    else if (lvm.hostId !== null) found.push(...outOfRange(facts, lvm.hostId));
  }
  for (const area of facts.areas) {
    found.push(...ofArea(facts, area), ...damages(area));
  }
  return found;
}

function usesSanlockVgs(facts: DoctorFacts): boolean {
  const { vgs } = facts.snapshot;
  if (vgs.length > 0) return vgs.some(({ lockType }) => lockType === 'sanlock');
  return lvmSettingsOf(facts)?.usesLvmlockd === true;
}

const CHANGE_WHY = 'which numbers are free, and whose this one is, only you can know';

function setHostId(folder: string): Diagnosis['plan'][number] {
  return manual(
    `set local { host_id = N } in ${folder}/lvmlocal.conf, another N on every host`,
    `$EDITOR ${folder}/lvmlocal.conf`,
    CHANGE_WHY,
  );
}

function unset({ config }: DoctorFacts): Diagnosis {
  return diagnosis('hostIdUnset', {
    about: `${config.lvmFolder}/lvmlocal.conf`,
    found: 'this host has no host id',
    evidence: ['lvmconfig: local/host_id is not set'],
    plan: [setHostId(config.lvmFolder)],
  });
}

function outOfRange({ config, areas }: DoctorFacts, hostId: number): readonly Diagnosis[] {
  const { lvmFolder } = config;
  const seen = `lvmconfig: local/host_id=${hostId}`;
  if (hostId < 1 || hostId > MAX_HOST_ID) {
    return [
      diagnosis('hostIdOutOfRange', {
        about: `${lvmFolder}/lvmlocal.conf`,
        found: `host id ${hostId} is none: they are 1 to ${MAX_HOST_ID}`,
        evidence: [seen],
        plan: [setHostId(lvmFolder)],
      }),
    ];
  }
  return areas.flatMap(({ lockspace, path, read }) => {
    const maxHosts = read.kind === 'done' ? read.space.maxHosts : null;
    if (maxHosts === null || hostId <= maxHosts) return [];
    return [
      diagnosis('hostIdOutOfRange', {
        about: lockspace,
        found: `lockspace ${lockspace} has room for ${maxHosts} hosts, and this is host ${hostId}`,
        evidence: [seen, `${path}: at most ${maxHosts} hosts`],
        plan: [setHostId(lvmFolder)],
      }),
    ];
  });
}

function ofArea(facts: DoctorFacts, area: LeaseArea): readonly Diagnosis[] {
  const { joined, read } = area;
  const configured = area.vg === null ? null : (lvmSettingsOf(facts)?.hostId ?? null);
  const hostId = joined?.hostId ?? configured;
  // sanlock is finding out itself.
  const isJoining = facts.snapshot.lockspaces.some(({ name }) => name === area.lockspace);
  if (joined === null && isJoining) return [];
  if (read.kind !== 'done' || hostId === null) return [];
  const own = read.space.hosts.find((host) => host.hostId === hostId);
  if (own === undefined || own.damage !== null) return [];
  const ownName = facts.sanlock?.hostName ?? facts.snapshot.host.name;
  if (joined !== null && own.generation === joined.generation) {
    return isSameNode(own.hostName, ownName) ? ahead(area, own) : taken(area, own, ownName);
  }
  if (joined !== null) return taken(area, own, ownName);
  return isSameNode(own.hostName, ownName) ? [] : ofOther(area, own, ownName);
}

function evidenceOf({ lockspace, path, offsetBytes }: LeaseArea, own: HostLease, ownName: string) {
  const { hostId, hostName, generation, timestampS, isRenewed, watchedS } = own;
  const watched = isRenewed === null ? '' : isRenewed ? ', renewed' : ', not renewed';
  const ending = watched === '' ? '' : `${watched} in the ${watchedS} s it was watched`;
  return [
    `lockspace ${lockspace}, ${path}:${offsetBytes}, host id ${hostId}: ` +
      `host name ${hostName}, generation ${generation}, timestamp ${timestampS}${ending}`,
    `this host is named ${ownName}`,
  ];
}

const anotherId = (hostId: number) =>
  manual(
    `give this host another number than ${hostId}; the other host keeps its own`,
    '$EDITOR /etc/lvm/lvmlocal.conf',
    CHANGE_WHY,
  );

function taken(area: LeaseArea, own: HostLease, ownName: string): readonly Diagnosis[] {
  const found = `host id ${own.hostId} of this host was taken by ${own.hostName} while it is joined here`;
  return [
    diagnosis('hostIdInUse', {
      about: area.lockspace,
      found,
      evidence: evidenceOf(area, own, ownName),
      plan: [
        manual(
          'let sanlock stop the users: it does so within 8 io timeouts',
          null,
          'the leases that they use may be those of another host by now',
        ),
        anotherId(own.hostId),
      ],
    }),
  ];
}

function ofOther(area: LeaseArea, own: HostLease, ownName: string): readonly Diagnosis[] {
  const { hostId, hostName, isRenewed } = own;
  const evidence = evidenceOf(area, own, ownName);
  if (isRenewed === true) {
    return [
      diagnosis('hostIdInUse', {
        about: area.lockspace,
        found: `host id ${hostId} is used by another host, ${hostName}, which is alive`,
        evidence,
        plan: [anotherId(hostId)],
      }),
    ];
  }
  if (own.timestampS === 0) return []; // it was left: whoever joins next may have it
  return [
    diagnosis('hostIdUsedBefore', {
      about: area.lockspace,
      found: `host id ${hostId} was last used by a host named ${hostName}, not by this one`,
      evidence,
      plan: [
        manual(
          'if this host had that name, start the VG: sanlock waits until the lease is surely free',
          `vgchange --lockstart ${area.vg ?? ''}`.trimEnd(),
          CHANGE_WHY,
        ),
        anotherId(hostId),
      ],
    }),
  ];
}

function ahead(area: LeaseArea, own: HostLease): readonly Diagnosis[] {
  const aheadS = own.timestampS - area.readAtS;
  if (aheadS <= CLOCK_SLACK_S) return [];
  return [
    diagnosis('timestampAhead', {
      about: area.lockspace,
      found: `this host's last renewal is ${Math.round(aheadS)} s in the future of its clock`,
      evidence: [
        `${area.path}:${area.offsetBytes}, host id ${own.hostId}: timestamp ${own.timestampS}`,
        `CLOCK_MONOTONIC: ${Math.round(area.readAtS)}`,
      ],
      plan: [
        manual(
          'deactivate the LVs, stop and start the VG: the host joins in a new generation',
          `vgchange --lockstop ${area.vg ?? ''}`.trimEnd(),
          'it releases the locks of this host',
        ),
      ],
    }),
  ];
}

/** Each damaged record of the lockspace. */
function damages({ lockspace, path, offsetBytes, read }: LeaseArea): readonly Diagnosis[] {
  if (read.kind !== 'done') return [];
  const { hosts, damagedBlocks } = read.space;
  const ofHosts = hosts.flatMap(({ hostId, damage }) => {
    if (damage === null) return [];
    return [
      diagnosis('hostLeaseDamaged', {
        about: lockspace,
        found: `the host lease of host id ${hostId} in ${lockspace} is damaged`,
        evidence: [`${path}:${offsetBytes}, host id ${hostId}: ${damage}`],
        plan: [
          manual(
            `until then: give the host of that number another one; host id ${hostId} cannot join`,
            null,
            CHANGE_WHY,
          ),
          manual(
            'when every host has left the lockspace, format it anew',
            `sanlock client init -s ${shellWord(`${lockspace}:0:${path}:${offsetBytes}`)}`,
            'it takes the host lease of every host: all that is locked would be lost',
          ),
        ],
      }),
    ];
  });
  const ofBlocks = damagedBlocks.map(({ lease, resource, lv, offsetBytes: at, hostId, damage }) =>
    diagnosis('hostBlockDamaged', {
      about: lease,
      found: `the block of host id ${hostId} in the lease of ${lease} is damaged`,
      evidence: [`${path}:${at}, block of host id ${hostId}: ${damage}`],
      plan: [
        manual(
          `once host ${hostId} is surely gone: it waits 8 io timeouts and 60 s, then empties it`,
          `holdfast repair ${shellWord(lv ?? `${lockspace}:${resource}:${path}:${at}`)}`,
          'that host may hold the lease: only its end makes it safe',
        ),
      ],
    }),
  );
  return [...ofHosts, ...ofBlocks];
}
