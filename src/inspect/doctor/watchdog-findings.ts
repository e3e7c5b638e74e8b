import { neededDaemons } from './daemon-findings.ts';
import { type Diagnosis, diagnosis, manual, type Step, safe } from './diagnosis.ts';
import type { DoctorFacts, WatchdogDevice } from './facts.ts';

/** As the kernel's softdog calls itself in sysfs. */
export const SOFTDOG = 'Software Watchdog';

/** Whether a host that loses its leases and hangs is reset. */
export function watchdogFindings(facts: DoctorFacts): readonly Diagnosis[] {
  const { sanlock, snapshot, watchdogs } = facts;
  const found: Diagnosis[] = [];
  if (sanlock !== null && !sanlock.usesWatchdog) found.push(off(facts));
  const wdmd = snapshot.daemons.find(({ name }) => name === 'wdmd');
  if (wdmd?.state === 'absent' && neededDaemons(facts).has('wdmd')) {
    if (watchdogs.length === 0) found.push(noDevice());
    else found.push(...held(watchdogs));
  }
  if (wdmd !== undefined && wdmd.state !== 'absent') found.push(...software(watchdogs, wdmd.pid));
  return [...found, ...dutiesOfDead(facts)];
}

function off({ processes }: DoctorFacts): Diagnosis {
  const daemon = processes.find(({ name, role }) => name === 'sanlock' && role === 'daemon');
  const evidence = [
    'sanlock client status -D: use_watchdog=0',
    ...(daemon === undefined ? [] : [`pid ${daemon.pid}: ${daemon.commandLine}`]),
  ];
  return diagnosis('watchdogOff', {
    about: 'sanlock',
    found: 'sanlock runs without a watchdog',
    evidence,
    plan: [
      manual(
        'take "-w 0" out of /etc/default/sanlock (Debian sets it) and use_watchdog = 0 out of sanlock.conf',
        '$EDITOR /etc/default/sanlock',
        'a file of yours; a host without a watchdog device cannot run with it',
      ),
      manual(
        'deactivate the LVs and stop the VGs, then start both daemons',
        'systemctl restart wdmd sanlock',
        'sanlock reads it at its start, and gives up what it holds',
      ),
    ],
  });
}

function noDevice(): Diagnosis {
  return diagnosis('watchdogDeviceAbsent', {
    found: 'there is no watchdog device',
    evidence: ['/dev/watchdog*: none', '/sys/class/watchdog: none'],
    plan: [
      safe('load the watchdog of the kernel', { kind: 'loadModule', module: 'softdog' }),
      manual(
        'better: load the driver of the hardware (iTCO_wdt, i6300esb, ipmi_watchdog …)',
        'modprobe iTCO_wdt',
        'which one this machine has cannot be seen from here',
      ),
    ],
  });
}

function held(watchdogs: readonly WatchdogDevice[]): readonly Diagnosis[] {
  const isFree = watchdogs.some(({ holders }) => holders.length === 0);
  if (isFree) return [];
  return watchdogs.flatMap(({ path, holders }) => {
    const [holder] = holders;
    if (holder === undefined) return [];
    const { pid, name } = holder;
    const isSystemd = pid === 1;
    const step: Step = isSystemd
      ? manual(
          'set RuntimeWatchdogSec=0 in /etc/systemd/system.conf, then',
          'systemctl daemon-reexec',
          'a setting of yours: systemd itself would no longer be watched over',
        )
      : manual(`end ${name}, or give it another device`, null, 'a program of yours');
    return [
      diagnosis('watchdogHeld', {
        about: path,
        found: `${path} is held by ${isSystemd ? 'systemd' : name}`,
        evidence: [`/proc/${pid}/fd: ${name} (pid ${pid}) has ${path} open`],
        plan: [step],
      }),
    ];
  });
}

/** A caution where hardware is there and not used. */
function software(watchdogs: readonly WatchdogDevice[], wdmdPid: number): readonly Diagnosis[] {
  const used = watchdogs.find(({ holders }) => holders.some(({ pid }) => pid === wdmdPid));
  if (used?.identity !== SOFTDOG) return [];
  const hardware = watchdogs.find(
    ({ identity }) => identity !== null && identity !== SOFTDOG && identity !== '',
  );
  const evidence = [`wdmd (pid ${wdmdPid}) has ${used.path} open: ${SOFTDOG}`];
  if (hardware !== undefined) evidence.push(`${hardware.path}: ${hardware.identity}, not used`);
  const does =
    hardware === undefined
      ? 'load the driver of a hardware watchdog, if the machine has one, before wdmd starts'
      : `start wdmd with -w ${hardware.path}`;
  return [
    diagnosis('watchdogSoftware', {
      about: used.path,
      weight: hardware === undefined ? 'note' : 'caution',
      found: 'the watchdog is one of the kernel itself',
      evidence,
      plan: [manual(does, null, 'which device wdmd is to use is a setting of yours')],
    }),
  ];
}

function dutiesOfDead({ watchdogClients }: DoctorFacts): readonly Diagnosis[] {
  return watchdogClients.flatMap(({ name, pid, isDead, leftS }) => {
    if (!isDead || leftS === null) return [];
    return [
      diagnosis('watchdogDutyDead', {
        about: name,
        found: `this host is reset about ${Math.max(0, leftS) + 60} s from now`,
        evidence: [`wdmd -d: client ${name}, pid ${pid}, dead, expires in ${leftS} s`],
        plan: [
          manual(
            'start sanlock of holdfast again: it takes the expiry over, with the leases',
            'systemctl start sanlock',
            'the original cannot: then stop the users now, and let the host be reset',
          ),
        ],
      }),
    ];
  });
}
