import { isDaemonName } from '../restart/host-facts.ts';
import { neededDaemons, seeWhy, startStep } from './daemon-findings.ts';
import { type Diagnosis, diagnosis, manual, type Step, safe } from './diagnosis.ts';
import { type DoctorFacts, lvmSettingsOf, type UnitSeen } from './facts.ts';
import { activeLvs, namesText } from './in-use.ts';

const STARTS_VGS = 'lvmlocks.service';

/** Whether what is needed now is there after the next boot, too; and the kernel's part. */
export function unitFindings(facts: DoctorFacts): readonly Diagnosis[] {
  return [...ofUnits(facts), ...ofKernel(facts)];
}

function ofUnits(facts: DoctorFacts): readonly Diagnosis[] {
  const { units, snapshot } = facts;
  if (units === null) return [];
  const needed = new Set([...neededDaemons(facts)].map((name) => `${name}.service`));
  if (snapshot.vgs.some(({ lockType }) => lockType === 'sanlock')) needed.add(STARTS_VGS);
  return units.flatMap((unit) => [
    ...(unit.active === 'failed' ? [failed(facts, unit)] : []),
    ...(needed.has(unit.name) ? atBoot(unit) : []),
  ]);
}

function failed(facts: DoctorFacts, { name, result }: UnitSeen): Diagnosis {
  return diagnosis('unitFailed', {
    about: name,
    found: `${name} has failed`,
    evidence: [`systemctl show ${name}: ActiveState=failed Result=${result}`],
    plan: [seeWhy(name), startAgain(facts, name)],
  });
}

function startAgain(facts: DoctorFacts, unit: string): Step {
  const daemon = unit.replace(/\.service$/, '');
  if (isDaemonName(daemon)) return startStep(facts, daemon);
  const active = activeLvs(facts, null);
  if (active.length === 0) return safe(`start ${unit}`, { kind: 'startUnit', unit });
  const why = `it starts VGs, and ${namesText(active)} may be in use: their locks would be given away`;
  return manual(`start ${unit}`, `systemctl start ${unit}`, why);
}

function atBoot(unit: UnitSeen): readonly Diagnosis[] {
  const { name, load, isEnabled } = unit;
  if (load === 'absent') {
    if (name !== STARTS_VGS) return []; // its daemon is told of
    const plan = [
      manual(
        'install the unit of the package, then enable it',
        `systemctl enable ${name}`,
        'it may be that shared VGs are started by something else here',
      ),
    ];
    const evidence = [`systemctl show ${name}: LoadState=not-found`];
    return [diagnosis('unitAbsent', { about: name, found: `there is no ${name}`, evidence, plan })];
  }
  if (isEnabled) return [];
  const step: Step =
    load === 'masked'
      ? manual(`unmask ${name}`, `systemctl unmask ${name}`, 'somebody masked it with a purpose')
      : safe(`enable ${name}`, { kind: 'enableUnit', unit: name });
  return [
    diagnosis('unitDisabled', {
      about: name,
      found: `${name} is not started at boot`,
      evidence: [`systemctl is-enabled ${name}: ${load === 'masked' ? 'masked' : 'disabled'}`],
      plan: [step],
    }),
  ];
}

function ofKernel(facts: DoctorFacts): readonly Diagnosis[] {
  const { mappings, snapshot, clock } = facts;
  const found: Diagnosis[] = [];
  const activates = lvmSettingsOf(facts)?.activates === true;
  if (mappings === null && activates && snapshot.vgs.length > 0) {
    found.push(
      diagnosis('deviceMapperAbsent', {
        found: 'the kernel has no device-mapper',
        evidence: ['/sys/class/misc/device-mapper is not there'],
        plan: [safe('load it', { kind: 'loadModule', module: 'dm_mod' })],
      }),
    );
  }
  if (clock.isSynchronised === false) {
    found.push(
      diagnosis('clockUnsynchronised', {
        found: 'the wall clock of this host is not synchronised',
        evidence: ['timedatectl show: NTPSynchronized=no (STA_UNSYNC of the kernel)'],
        plan: [manual('run chrony or systemd-timesyncd', null, 'which one is a choice of yours')],
      }),
    );
  }
  return found;
}
