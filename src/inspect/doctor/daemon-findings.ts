import type { DaemonName } from '../restart/host-facts.ts';
import type { DaemonSeen } from '../snapshot/snapshot.ts';
import { type Diagnosis, diagnosis, manual, type Step, safe } from './diagnosis.ts';
import { type DaemonProcess, type DoctorFacts, lvmSettingsOf, type RunFile } from './facts.ts';
import { activeLvs, namesText } from './in-use.ts';

/** Whether the daemons run, once each, answer, and may do what they must. */
export function daemonFindings(facts: DoctorFacts): readonly Diagnosis[] {
  const { daemons } = facts.snapshot;
  const needed = neededDaemons(facts);
  const isAbsent = (wanted: DaemonName) =>
    daemons.some(({ name, state }) => name === wanted && state === 'absent');
  const crashGuard = facts.runFiles.find(({ kind, isUsed }) => kind === 'crashGuard' && !isUsed);
  return [
    ...daemons
      .filter(({ name, state }) => state === 'absent' && needed.has(name))
      .map(({ name }) => absent(facts, name)),
    ...(crashGuard === undefined ? [] : [uncleanEnd(facts, crashGuard)]),
    ...daemons.filter(({ state }) => state === 'silent').map(silent),
    ...daemons.flatMap((daemon) => twice(facts, daemon)),
    ...facts.runFiles
      .filter(({ of, isUsed }) => of === 'lvmlockd' && !isUsed && isAbsent(of))
      .map(stale),
    ...replaced(facts),
    ...weaknesses(facts),
  ];
}

/** What the shared VGs of this host need, as far as lvm is set to use them. */
export function neededDaemons(facts: DoctorFacts): ReadonlySet<DaemonName> {
  const { snapshot, sanlock } = facts;
  const needed = new Set<DaemonName>();
  const isShared = snapshot.vgs.some(({ lockType }) => lockType === 'sanlock');
  const usesLvmlockd = lvmSettingsOf(facts)?.usesLvmlockd === true;
  if (isShared || usesLvmlockd) needed.add('lvmlockd').add('sanlock');
  if (isShared && sanlock?.usesWatchdog !== false) needed.add('wdmd');
  if (sanlock?.usesWatchdog === true) needed.add('wdmd');
  return needed;
}

/** With systemd the unit is started, unless that could cost a lock; else it is said how. */
export function startStep(facts: DoctorFacts, name: DaemonName): Step {
  const unit = facts.units?.find((one) => one.name === `${name}.service`);
  const typed = name === 'sanlock' ? 'sanlock daemon' : name;
  if (unit?.load !== 'loaded') {
    const why = 'it is started by something else than systemd here, or is not installed';
    return manual(`start ${name}`, typed, why);
  }
  const risk = beginsSanlock(facts, name) ? riskOfStart(facts) : null;
  if (risk !== null) return manual(`start ${unit.name}`, `systemctl start ${unit.name}`, risk);
  return safe(`start ${unit.name}`, { kind: 'startUnit', unit: unit.name });
}

/** The unit of lvmlockd wants that of sanlock, too. */
function beginsSanlock({ snapshot }: DoctorFacts, name: DaemonName): boolean {
  const isAbsent = snapshot.daemons.some((one) => one.name === 'sanlock' && one.state === 'absent');
  return name === 'sanlock' || (name === 'lvmlockd' && isAbsent);
}

/** That of holdfast resumes, the original begins anew: what the last one held counts as free then. */
function riskOfStart(facts: DoctorFacts): string | null {
  const active = activeLvs(facts, null);
  if (active.length > 0) {
    return (
      `${namesText(active)} may be in use: an original that starts gives their locks away; ` +
      'sanlock of holdfast goes on with them'
    );
  }
  return null;
}

const OF_DAEMONS: Readonly<Record<DaemonName, string>> = {
  wdmd: 'sanlock joins no lockspace',
  sanlock: 'no lease can be taken, and no shared VG be started',
  lvmlockd: 'lvm takes no lock, and changes nothing of a shared VG',
};

function absent(facts: DoctorFacts, name: DaemonName): Diagnosis {
  const fails = facts.units?.find((unit) => unit.name === `${name}.service`)?.active === 'changing';
  const shared = facts.snapshot.vgs.map((vg) => `VG ${vg.name} has lock type ${vg.lockType}`);
  return diagnosis('daemonAbsent', {
    about: name,
    found: `${name} does not run: ${OF_DAEMONS[name]}`,
    evidence: [
      `nobody serves the socket of ${name}`,
      ...(fails ? [`systemctl show ${name}.service: it is being started, or started again`] : []),
      ...leftOf(facts, name),
      ...shared,
    ],
    plan: fails ? [seeWhy(`${name}.service`), startStep(facts, name)] : [startStep(facts, name)],
  });
}

export function seeWhy(unit: string): Step {
  return manual('see why', `journalctl -b -n 30 -u ${unit}`, READ_WHY);
}

/** Some leave their pid file at every end. */
function leftOf({ runFiles }: DoctorFacts, name: DaemonName): readonly string[] {
  return runFiles
    .filter(({ of, kind, isUsed }) => of === name && kind === 'pidFile' && !isUsed)
    .map(({ path, pid }) => `${path} names pid ${pid ?? 0}, which is no ${name} now`);
}

function uncleanEnd({ processes }: DoctorFacts, { path }: RunFile): Diagnosis {
  const sanlocks = processes.filter(({ name, role }) => name === 'sanlock' && role === 'daemon');
  return diagnosis('wdmdUncleanEnd', {
    about: 'wdmd',
    found: 'wdmd was not ended in order, and does not run',
    evidence: [`${path} is there, and no wdmd`],
    plan: [
      manual(
        'start wdmd of holdfast: it goes on with what the last one watched',
        'systemctl start wdmd',
        'the watchdog of the last one may be running: only its successor knows',
      ),
      manual(
        sanlocks.length === 0
          ? 'with the original: remove the file, if no watchdog is running (it would have fired)'
          : 'with the original: stop the VGs and sanlock first, then remove the file',
        `rm ${path}`,
        'a wdmd that starts anew would keep a reset away that other hosts count on',
      ),
    ],
  });
}

function silent({ name, pid }: DaemonSeen): Diagnosis {
  const who = pid === 0 ? name : `${name} (pid ${pid})`;
  return diagnosis('daemonSilent', {
    about: name,
    found: `${name} runs and does not answer`,
    evidence: [`${who}: no answer on its socket in 5 s`],
    plan: [
      manual('see what it waits for', `cat /proc/${pid}/status /proc/${pid}/wchan`, READ_WHY),
      manual(
        'if it was stopped, let it go on',
        `kill -CONT ${pid}`,
        'someone stopped it, and may have had a reason',
      ),
      manual(
        'if it hangs: leave it; the watchdog resets this host when its leases expire',
        null,
        'kill -9 would end it with the locks that it holds: other hosts would wait for them',
      ),
    ],
  });
}

const READ_WHY = 'what it says is for a person to judge';

function twice({ processes }: DoctorFacts, serving: DaemonSeen): readonly Diagnosis[] {
  const { name } = serving;
  const all = processes.filter((one) => one.name === name && one.role === 'daemon');
  if (all.length < 2) return [];
  const spare = all.filter(({ pid }) => pid !== serving.pid);
  return [
    diagnosis('daemonTwice', {
      about: name,
      found: `${all.length} of ${name} run on this host`,
      evidence: all.map(
        ({ pid, commandLine }) =>
          `pid ${pid}${pid === serving.pid ? ', which serves the socket' : ''}: ${commandLine}`,
      ),
      plan: [
        manual(
          'look what the other one holds, then end it in order',
          `kill ${spare.map(({ pid }) => pid).join(' ')}`,
          'clients that connected before may hold locks through it',
        ),
      ],
    }),
  ];
}

function stale({ path, of, kind, pid }: RunFile): Diagnosis {
  const names = kind === 'pidFile' ? `names pid ${pid ?? '?'}, which is no ${of}` : 'nobody serves';
  return diagnosis('staleRunFile', {
    about: path,
    found: `${path} is left of a ${of} that has ended`,
    evidence: [kind === 'pidFile' ? `${path} ${names}` : `${path}: ${names} this socket`],
    plan: [safe(`remove ${path}`, { kind: 'removeRunFile', path })],
  });
}

function replaced({ processes }: DoctorFacts): readonly Diagnosis[] {
  return processes
    .filter(({ role, isReplaced }) => role === 'daemon' && isReplaced)
    .map(({ name, pid, commandLine }) =>
      diagnosis('programReplaced', {
        about: name,
        found: `${name} is of an earlier release than the program that is installed`,
        evidence: [`pid ${pid}: ${commandLine}: its file was replaced since it started`],
        plan: [
          manual(
            'restart it when it suits; what it holds is carried over',
            `holdfast upgrade ${name}`,
            'a restart is yours to time',
          ),
        ],
      }),
    );
}

function weaknesses({ processes, sanlock }: DoctorFacts): readonly Diagnosis[] {
  const ofSanlock = processes.filter(({ name, role }) => name === 'sanlock' && role === 'daemon');
  if (sanlock === null) return [];
  const { wantsPriority, mlockLevel } = sanlock;
  return ofSanlock.flatMap((daemon) => [
    ...(wantsPriority && !daemon.isRealtime ? [weak('priorityLow', daemon)] : []),
    ...(mlockLevel > 0 && daemon.lockedBytes === 0 ? [weak('memoryNotLocked', daemon)] : []),
  ]);
}

const WEAK = {
  priorityLow: {
    found: 'sanlock runs at an ordinary priority',
    seen: 'high_priority=1, and the policy is not SCHED_RR',
    limit: 'LimitRTPRIO=infinity',
  },
  memoryNotLocked: {
    found: 'sanlock has not locked its memory',
    seen: 'mlock_level is not 0, and VmLck is 0 kB',
    limit: 'LimitMEMLOCK=infinity',
  },
} as const;

function weak(kind: keyof typeof WEAK, { pid }: DaemonProcess): Diagnosis {
  const { found, seen, limit } = WEAK[kind];
  return diagnosis(kind, {
    about: 'sanlock',
    found,
    evidence: [`sanlock (pid ${pid}): ${seen}`],
    plan: [
      manual(
        `put ${limit} into a drop-in of the unit, and start sanlock as root`,
        'systemctl edit sanlock',
        'a file of yours; it counts from the next start on',
      ),
      manual('then restart it', 'holdfast upgrade sanlock', 'a restart is yours to time'),
    ],
  });
}
