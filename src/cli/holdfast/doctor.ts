import '../../platform/more-threads.ts';
import { needsAttention } from '../../base/finding.ts';
import { afterSteps } from '../../inspect/doctor/after-steps.ts';
import { doctorFindings } from '../../inspect/doctor/findings.ts';
import { MonotonicClock } from '../../platform/clock.ts';
import { daemonSockets } from '../../platform/daemon-sockets.ts';
import { FreshReads } from '../../platform/fresh-reads.ts';
import { PathProbe } from '../../platform/path-probe.ts';
import { mistakeText } from '../frame/help.ts';
import { type CommandPage, JSON_OPTION } from '../frame/page.ts';
import { readWords } from '../frame/words.ts';
import { daemonPaths, REAL_PROCESSES } from '../observe/daemons.ts';
import { reportedLvs } from '../observe/snapshot.ts';
import { doctorJson, doctorText, fixedText } from './doctor/doctor-text.ts';
import { type DoctorWorld, doctorFacts } from './doctor/facts.ts';
import { type Fixed, fixAll } from './doctor/fix.ts';
import { endBesideHungCalls } from './end-now.ts';
import { paintFor } from './status/paint.ts';

export const DOCTOR_PAGE = {
  name: 'holdfast doctor',
  about: 'what is wrong with this host, why, and what to do about it',
  forms: [''],
  options: [
    { name: 'fix', about: 'perform the steps that are safe, then look again' },
    JSON_OPTION,
  ],
  text: [
    'Looks at the configuration, the daemons (ours or those of C), the watchdog, the units, the ' +
      'storage under the leases, the leases themselves, the shared VGs and what is active of ' +
      'them. Each finding says what was seen, why it is so, and the steps to take. Findings that ' +
      'need somebody stand first. docs/operations/findings.md describes every kind.',
    'Nothing is changed without --fix. With it, a step is performed only if it releases no lock ' +
      'and stops nothing that works; every other step says why it is left to you.',
    'What hangs is waited for some seconds; lvm is asked to take no lock.',
  ],
  examples: [
    { line: 'holdfast doctor', about: 'look' },
    { line: 'holdfast doctor --fix', about: 'do what is safe, and look again' },
    { line: 'holdfast doctor --json | jq .findings', about: 'for programs' },
  ],
  exits: {
    0: 'nothing needs attention, or notes alone',
    1: 'something does: it is shown',
    2: 'a mistake in the words, or the host could not be looked at',
  },
  schema: 'holdfast.doctor/1',
  seeAlso: ['holdfast-status(8)', 'holdfast-explain(8)', 'holdfast-guard(8)'],
} as const satisfies CommandPage;

const LOOK_S = 10;
const MS = 1000;

/** @returns the exit status */
export async function doctor(args: readonly string[]): Promise<number> {
  const words = readWords(DOCTOR_PAGE, args);
  if (!words.ok) {
    process.stderr.write(mistakeText(DOCTOR_PAGE, words.error));
    return 2;
  }
  if (process.geteuid?.() !== 0) {
    process.stderr.write('holdfast doctor: only root may look at all that matters\n');
    return 2;
  }
  const world = realWorld();
  let facts = await doctorFacts(world);
  let findings = doctorFindings(facts);
  let fixed: readonly Fixed[] | null = null;
  if (words.value.has('fix')) {
    const { observe: ports, beside, sleep } = world;
    fixed = await fixAll({ ports, beside, sleep }, findings);
    if (fixed.length > 0) {
      facts = afterSteps(facts, await doctorFacts(world));
      findings = doctorFindings(facts);
    }
  }
  const { stdout } = process;
  const paint = paintFor(stdout, process.env);
  if (words.value.has('json')) {
    stdout.write(doctorJson(findings, { schema: DOCTOR_PAGE.schema, facts, fixed }));
  } else {
    if (fixed !== null) stdout.write(fixedText(fixed, paint));
    stdout.write(doctorText(findings, { paint, facts }));
  }
  const isWhole = facts.snapshot.unread.length === 0;
  const status = needsAttention(findings) || !isWhole ? 1 : 0;
  if (world.reads.hangs || world.probe.hangs || !isWhole) await endBesideHungCalls(status);
  return status;
}

function realWorld(): DoctorWorld {
  const clock = new MonotonicClock();
  const reads = new FreshReads(LOOK_S * MS);
  return {
    reads,
    deadlineS: LOOK_S,
    beside: __dirname,
    probe: new PathProbe(),
    nowS: () => clock.nowMs() / MS,
    sleep: (forMs) => new Promise<void>((resolve) => clock.after(forMs, resolve)),
    progress: (text) => {
      if (process.stderr.isTTY === true) process.stderr.write(text);
    },
    observe: {
      sockets: daemonSockets(),
      clock,
      reads,
      paths: daemonPaths(process.env),
      processes: REAL_PROCESSES,
      wallMs: () => Date.now(),
      lvs: reportedLvs,
    },
  };
}
