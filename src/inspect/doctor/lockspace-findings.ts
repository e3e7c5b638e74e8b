import { shellWord } from '../../base/plain-text.ts';
import { SECOND_MS } from '../../base/units.ts';
import { LATE_SHARE, marginS } from '../snapshot/attention.ts';
import type { LockspaceSeen, RenewalSeen, VgSeen } from '../snapshot/snapshot.ts';
import { type Diagnosis, diagnosis, manual } from './diagnosis.ts';
import type { DoctorFacts } from './facts.ts';

/** Whether the lockspaces of this host live, and what is left of hosts and processes that do not. */
export function lockspaceFindings({ snapshot }: DoctorFacts): readonly Diagnosis[] {
  const { lockspaces, vgs } = snapshot;
  return [
    ...lockspaces.flatMap((space) => [
      ...ofPhase(
        space,
        vgs.find(({ lockspace }) => lockspace === space.name),
      ),
      ...ofRenewals(space),
      ...orphans(space),
    ]),
    ...vgs.flatMap(deadHolders),
  ];
}

const STORAGE_FIRST = manual(
  'see to the storage: when it answers again, nothing more is lost',
  'dmesg',
  'the storage is not of this program',
);

function ofPhase(space: LockspaceSeen, vg: VgSeen | undefined): readonly Diagnosis[] {
  const { name, path, phase, ageS, failS } = space;
  const evidence = [
    `sanlock client status: lockspace ${name} in ${path} is ${phase}`,
    `the last renewal began ${Math.round(ageS)} s ago; the users are stopped after ${failS} s`,
  ];
  if (phase === 'failing') {
    const stop =
      vg === undefined
        ? 'stop what uses its leases: sanlock sends SIGTERM, then SIGKILL'
        : `stop what uses the LVs of ${vg.name}, and deactivate them: then the watchdog stays calm`;
    return [
      diagnosis('lockspaceFailing', {
        about: name,
        found: `lockspace ${name} is lost on this host`,
        evidence,
        plan: [
          STORAGE_FIRST,
          manual(
            stop,
            vg === undefined ? null : `lvchange -an ${vg.name}`,
            'it ends the users of the data',
          ),
          manual(
            'wait: with lvmlockd of holdfast the LVs get I/O errors and the VG comes back by itself',
            'holdfast doctor',
            'neither kill -9 nor a reboot is needed; a kill of sanlock would have the host reset',
          ),
        ],
      }),
    ];
  }
  if (phase !== 'joined') {
    return [
      diagnosis('lockspaceMoving', {
        about: name,
        found: `this host is ${phase} lockspace ${name}`,
        evidence: [evidence[0] ?? ''],
        plan: [manual('wait, and look again', 'holdfast doctor', 'it takes its time')],
      }),
    ];
  }
  if ((marginS(space) ?? failS) >= failS * LATE_SHARE) return [];
  return [
    diagnosis('lockspaceLate', {
      about: name,
      found: `lockspace ${name} was not renewed for ${Math.round(ageS)} s`,
      evidence,
      plan: [STORAGE_FIRST],
    }),
  ];
}

/** One alone may be of a moment in which this host was busy. */
const LEAST_SLOW = 2;
const SLOW_SHARE = 0.05;

function ofRenewals({ name, renewals, ioTimeoutS }: LockspaceSeen): readonly Diagnosis[] {
  const plan = [
    manual(
      'see to the storage: its latency, its paths, and what else writes there',
      `sanlock client renewal -s ${shellWord(name)}`,
      'the storage is not of this program',
    ),
  ];
  const before = renewals.filter(({ timeouts, errors }) => timeouts + errors > 0);
  const found: Diagnosis[] = [];
  if (before.length > 0) {
    const timeouts = sum(before.map((one) => one.timeouts));
    const errors = sum(before.map((one) => one.errors));
    found.push(
      diagnosis('renewalTimeouts', {
        about: name,
        found: `renewals of lockspace ${name} timed out or failed`,
        evidence: [
          `after ${before.length} of the last ${renewals.length} renewals the next one had ` +
            `${timeouts} timeouts and ${errors} errors in all, most lately ${at(before)}`,
        ],
        plan,
      }),
    );
  }
  const halfMs = (ioTimeoutS * SECOND_MS) / 2;
  const slow = renewals.filter((one) => slowerMs(one) > halfMs);
  if (slow.length >= LEAST_SLOW && slow.length >= renewals.length * SLOW_SHARE) {
    found.push(
      diagnosis('renewalSlow', {
        about: name,
        found: `renewals of lockspace ${name} are slow`,
        evidence: [
          `for a read or a write, ${slow.length} of the last ${renewals.length} renewals took more ` +
            `than ${halfMs} ms, half of the io timeout: up to ${Math.max(...slow.map(slowerMs))} ms, ` +
            `most lately ${at(slow)}`,
        ],
        plan,
      }),
    );
  }
  return found;
}

function slowerMs({ readMs, writeMs }: RenewalSeen): number {
  return Math.max(readMs, writeMs);
}

function at(renewals: readonly RenewalSeen[]): string {
  return `at ${renewals.at(-1)?.timestampS ?? 0} s of CLOCK_MONOTONIC`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

const MOST_NAMED = 8;

function orphans({ name, leases }: LockspaceSeen): readonly Diagnosis[] {
  const left = leases.filter(({ pid, isHeld }) => pid === null && isHeld);
  if (left.length === 0) return [];
  return [
    diagnosis('orphanLease', {
      about: name,
      found: `${left.length} leases of lockspace ${name} are held for processes that have ended`,
      evidence: left
        .slice(0, MOST_NAMED)
        .map((lease) => `sanlock client status: r ${name}:${lease.name}:${lease.path} ORPHAN`),
      plan: [
        manual(
          'of LVs: start lvmlockd, which adopts them (the original: lvmlockd --adopt 1)',
          'systemctl start lvmlockd',
          'the LVs may be active and in use: to release their leases lets other hosts write there',
        ),
        manual(
          'of what is surely unused: stop the VG or remove the lockspace, which releases them',
          null,
          'it releases locks',
        ),
      ],
    }),
  ];
}

/** A note: others may have them now. */
function deadHolders({ name, lvs }: VgSeen): readonly Diagnosis[] {
  const held = lvs.flatMap((lv) =>
    (lv.holders ?? [])
      .filter(({ state }) => state === 'dead')
      .map(({ hostId, hostName }) => ({ lv: `${name}/${lv.name}`, hostId, hostName })),
  );
  if (held.length === 0) return [];
  return [
    diagnosis('hostDead', {
      about: name,
      found: `LVs of ${name} are recorded as held by hosts that are gone`,
      evidence: held
        .slice(0, MOST_NAMED)
        .map(
          ({ lv, hostId, hostName }) => `${lv}: host id ${hostId} (${hostName ?? 'no name'}), dead`,
        ),
      plan: [
        manual(
          'activate them where they are wanted: the lease is taken over',
          `lvchange -aey ${held[0]?.lv ?? ''}`,
          'where they are to be used is your choice',
        ),
      ],
    }),
  ];
}
