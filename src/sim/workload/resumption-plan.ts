import { leaseTimes } from '../../lease/lease-times.ts';
import type { RacePlan } from '../cluster/start-race.ts';
import type { Dice } from '../kernel/dice.ts';
import type { JournalFault } from '../kernel/journal-faults.ts';

/**
 * Who else takes the host lease while the daemon is down: nobody; a copy of the machine with its
 * host name and host id; or a host that was given the host id by mistake.
 */
export type Usurper = 'copy' | 'mistaken' | null;

/** How the watchdog of the owner is served. */
export type WatchdogPlan = 'none' | 'wdmd' | 'original';

/** What one run does to the daemon of a host, from its seed. */
export interface ResumptionPlan {
  readonly ioTimeoutS: number;
  readonly watchdog: WatchdogPlan;
  /** So many times the daemon dies, each time after so many more things that it does. */
  readonly crashes: readonly CrashPlan[];
  readonly usurper: Usurper;
  /** It comes while processes of the host hold leases. */
  readonly meetsUsers: boolean;
  /** The journal of the daemon that died, as the next one finds it. */
  readonly journal: 'whole' | 'full' | 'damaged' | JournalFault;
  /** The machine is reset when the daemon dies: its journal is one of another boot. */
  readonly isRebooted: boolean;
  /** The share of writes that the storage refuses, and carries out later, before the crash. */
  readonly refusesWrites: number;
}

/** wdmd is killed: so long after the daemon died, or before; another one is started so much later. */
export interface WdmdKill {
  readonly afterMs: number;
  readonly downMs: number;
}

export interface CrashPlan {
  readonly wdmd: WdmdKill | null;
  readonly acts: number;
  readonly isBefore: boolean;
  /** Of its lease process: it ends by itself, or is killed too, then or a moment later. */
  readonly leaseProcess: 'ends' | 'killed' | 'killedLater';
  /** What the lease process has sent by then lands so much later. */
  readonly lingersMs: number;
  readonly downMs: number;
  /** Of these the machine sleeps so long. */
  readonly sleepsMs: number;
  /** Another daemon is started beside the next one. */
  readonly hasSecond: boolean;
  /** How several are started at one moment; null: one is. */
  readonly race: RacePlan | null;
}

const IO_TIMEOUTS_S = [1, 2, 3, 10] as const;
/** wdmd tests each 10 s: a claim of 8 s would always be near its end. */
const WITH_WATCHDOG_S = [2, 3, 10] as const;
/** With this many acts a daemon with a few clients does all it has to do for some seconds. */
const MOST_ACTS = 120;
/** A daemon that starts so long after 8·t stops the users before other hosts take their leases. */
const STOPPABLE_MS = 20_000;
/** wdmd is killed at most so long before the daemon, or after the next one came. */
const WDMD_BEFORE_MS = 4000;
/** A wdmd that is back so soon is not missed. */
const MOST_CALM_MS = 2000;
/** Longer than the device waits. */
const LONG_DOWN_MS = 70_000;
const RACED_DOWN_SHARE = 0.7;
/** Beyond the age of the last renewal: what a start, a join and a renewal take. */
const MARGIN_MS = 2000;

const JOURNAL_FAULTS = ['line', 'line', 'line', 'runTogether', 'unreadable', 'removed'] as const;

/** Of a run in which nothing is too rare to be tried. */
function harshPlanOf(dice: Dice): ResumptionPlan {
  const fair = planOf(dice);
  const themes = ['journal', 'journal', 'usurper', 'wdmd', 'sleep', 'wdmd'] as const;
  const theme = dice.fork('theme').pick(themes);
  if (theme === 'journal') return harshJournal(dice.fork('journal'), fair);
  if (theme === 'usurper') return harshUsurper(dice.fork('usurper'), fair);
  return theme === 'wdmd'
    ? withoutWdmd(dice.fork('wdmd'), watched(fair))
    : asleep(dice.fork('sleep'), watched(fair));
}

/** Of a run in which each successor has rivals. */
function racedPlanOf(dice: Dice): ResumptionPlan {
  const plan = dice.chance(0.5) ? planOf(dice.fork('fair')) : harshPlanOf(dice.fork('harsh'));
  // Nothing may be lost there: what a race takes is not left of the time.
  const share = isSmooth(plan) ? RACED_DOWN_SHARE : 1;
  const crashes = plan.crashes.map((crash) => ({
    ...crash,
    hasSecond: false,
    race: raceOf(dice),
    downMs: share * crash.downMs,
    sleepsMs: share * crash.sleepsMs,
  }));
  return { ...plan, crashes };
}

/** In a harsh run nothing is too rare; in a raced one each daemon is started together with others. */
export const PLANS = { fair: planOf, harsh: harshPlanOf, raced: racedPlanOf } as const;

function raceOf(dice: Dice): RacePlan {
  return {
    contenders: 2 + dice.below(2),
    killed: dice.pick([0, 0.3]),
    cut: dice.pick([0, 0.5]),
    removed: dice.pick([null, null, 'pidFile', 'socket'] as const),
  };
}

/** With a watchdog, and a membership that may go on. */
function watched(fair: ResumptionPlan): ResumptionPlan {
  if (fair.watchdog !== 'none' && fair.journal === 'whole' && fair.usurper === null) return fair;
  const ioTimeoutS = Math.max(fair.ioTimeoutS, WITH_WATCHDOG_S[0]);
  const crashes = fair.crashes.map((crash) => ({ ...crash, sleepsMs: 0 }));
  return { ...fair, ioTimeoutS, crashes, watchdog: 'wdmd', journal: 'whole', usurper: null };
}

/** wdmd sleeps too: in time only the next daemon stops the users of a claim that is over. */
function asleep(dice: Dice, of: ResumptionPlan): ResumptionPlan {
  const { renewalFailMs } = leaseTimes(of.ioTimeoutS);
  const isLong = dice.chance(0.5);
  const planned = isLong ? of.crashes.slice(0, 1) : of.crashes;
  const mostMs = (renewalFailMs + STOPPABLE_MS) / planned.length;
  const crashes = planned.map((crash) => {
    const downMs = isLong ? dice.between(renewalFailMs, mostMs) : Math.min(crash.downMs, mostMs);
    return { ...crash, downMs, sleepsMs: dice.between(isLong ? 0.7 : 0, 1) * downMs };
  });
  return { ...of, crashes };
}

/** An original is not started again: the reset comes. */
function withoutWdmd(dice: Dice, of: ResumptionPlan): ResumptionPlan {
  const isCalm = dice.chance(0.6);
  const calmMs = calmDownMs(of.ioTimeoutS, of.crashes.length);
  const crashes = of.crashes.map((crash) => {
    const downMs = isCalm ? Math.min(crash.downMs, dice.between(0, calmMs)) : crash.downMs;
    const lingersMs = isCalm ? 0 : crash.lingersMs;
    const atOnce = dice.chance(0.3);
    const afterMs = atOnce ? 0 : dice.between(-WDMD_BEFORE_MS, downMs + WDMD_BEFORE_MS);
    const wdmd = { afterMs, downMs: dice.between(0, isCalm ? MOST_CALM_MS : LONG_DOWN_MS) };
    return { ...crash, downMs, lingersMs, wdmd };
  });
  return isCalm ? { ...of, crashes, watchdog: 'wdmd', refusesWrites: 0 } : { ...of, crashes };
}

/** Where nothing else is promised, the next daemon comes in time to stop the users. */
function harshUsurper(dice: Dice, fair: ResumptionPlan): ResumptionPlan {
  const usurper = dice.pick(['copy', 'mistaken'] as const);
  const { renewalFailMs, hostDeadMs } = leaseTimes(fair.ioTimeoutS);
  const isWatched = fair.watchdog !== 'none';
  const mistakenMs = isWatched ? 2 * hostDeadMs : renewalFailMs + STOPPABLE_MS;
  const downMs = dice.between(0, usurper === 'copy' ? 1.1 * renewalFailMs : mistakenMs);
  const crashes = fair.crashes.slice(0, 1).map((crash) => ({
    ...crash,
    ...{ downMs, lingersMs: 0, sleepsMs: 0 },
  }));
  return { ...fair, crashes, usurper, meetsUsers: true, journal: 'whole', refusesWrites: 0 };
}

function harshJournal(dice: Dice, fair: ResumptionPlan): ResumptionPlan {
  if (fair.usurper !== null) return fair;
  // Writes of a membership that is not resumed are not waited for (docs/reliability.md).
  const of = { ...fair, refusesWrites: 0 };
  const what = dice.next();
  if (what < 0.25) return { ...of, journal: 'older' };
  if (what < 0.4) {
    const crashes = fair.crashes.slice(0, 1).map((crash) => ({ ...crash, lingersMs: 0 }));
    return { ...of, crashes, journal: 'whole', isRebooted: true };
  }
  return { ...of, journal: fair.watchdog === 'none' ? 'line' : dice.pick(JOURNAL_FAULTS) };
}

function planOf(dice: Dice): ResumptionPlan {
  const watchdog = dice.pick(['none', 'none', 'none', 'wdmd', 'wdmd', 'wdmd', 'original'] as const);
  const ioTimeoutS = dice.pick(watchdog === 'none' ? IO_TIMEOUTS_S : WITH_WATCHDOG_S);
  const usurper = dice.chance(0.85) ? null : dice.pick(['copy', 'mistaken'] as const);
  const count = usurper === null ? dice.pick([1, 1, 2, 3]) : 1;
  const of = { ioTimeoutS, usurper, watchdog, count };
  const crashes = Array.from({ length: count }, () => crashOf(dice, of));
  // A lost line may have named a process that only a watchdog stops.
  const damage = watchdog === 'none' ? 'full' : 'damaged';
  const journal = dice.pick([
    'whole',
    'whole',
    'whole',
    'whole',
    'whole',
    'whole',
    'full',
    damage,
  ] as const);
  const wanted = dice.pick([0, 0, 0, 0.1, 0.3]);
  // Who joins anew, or as a copy, does not wait a minute for what was refused (docs/reliability.md).
  const isResumed = usurper === null && isQuick({ ioTimeoutS, crashes });
  const refusesWrites = isResumed ? wanted : 0;
  return { ...of, crashes, journal, refusesWrites, isRebooted: false, meetsUsers: false };
}

function crashOf(
  dice: Dice,
  of: Pick<ResumptionPlan, 'ioTimeoutS' | 'usurper' | 'watchdog'> & { readonly count: number },
): CrashPlan {
  const { renewalFailMs } = leaseTimes(of.ioTimeoutS);
  const hasWatchdog = of.watchdog !== 'none';
  const downMs = downOf(dice, of);
  return {
    acts: dice.below(dice.chance(0.5) ? 20 : MOST_ACTS),
    isBefore: dice.chance(0.5),
    leaseProcess: dice.pick(['ends', 'ends', 'killed', 'killedLater'] as const),
    lingersMs: dice.chance(0.2) ? dice.between(0, renewalFailMs / 2) : 0,
    downMs,
    // wdmd and its device sleep with the machine, and then reset it too late for other hosts.
    sleepsMs: !hasWatchdog && dice.chance(0.4) ? dice.between(0, downMs) : 0,
    hasSecond: dice.chance(0.2),
    race: null,
    wdmd: null,
  };
}

function downOf(
  dice: Dice,
  of: Pick<ResumptionPlan, 'ioTimeoutS' | 'usurper' | 'watchdog'> & { readonly count: number },
): number {
  const { renewalFailMs, hostDeadMs } = leaseTimes(of.ioTimeoutS);
  if (of.usurper === 'mistaken') return hostDeadMs + dice.between(0, hostDeadMs);
  // A copy finds its own name, and waits only until a living host would have renewed.
  if (of.usurper === 'copy') return dice.between(0.7, 1.1) * renewalFailMs;
  if (dice.chance(0.8)) return dice.between(0, renewalFailMs / (4 * of.count));
  // Without a watchdog only the next daemon stops the users of a claim that is over.
  const mostMs = of.watchdog === 'none' ? renewalFailMs + STOPPABLE_MS : 2 * renewalFailMs;
  return dice.between(0, mostMs / of.count);
}

/**
 * Whether nothing may be lost: every crash is over before the claim nearly is, and no old renewal
 * that was refused lands over a later one.
 */
export function isSmooth(plan: ResumptionPlan): boolean {
  const isServed =
    plan.watchdog !== 'original' &&
    plan.journal === 'whole' &&
    plan.usurper === null &&
    !plan.isRebooted;
  const isWatched = plan.crashes.every(({ wdmd }) => wdmd === null || wdmd.downMs < MOST_CALM_MS);
  return isServed && isWatched && plan.refusesWrites === 0 && isQuick(plan);
}

/** Whether only a person, or a reboot, opens the lockspace again. */
export function isClosing({ journal }: ResumptionPlan): boolean {
  return ['line', 'runTogether', 'unreadable', 'removed'].includes(journal);
}

function isQuick({ ioTimeoutS, crashes }: Pick<ResumptionPlan, 'ioTimeoutS' | 'crashes'>): boolean {
  const mostMs = calmDownMs(ioTimeoutS, crashes.length);
  return crashes.every(({ downMs, lingersMs }) => downMs + lingersMs < mostMs);
}

function calmDownMs(ioTimeoutS: number, crashes: number): number {
  const { renewalFailMs, renewalIntervalMs } = leaseTimes(ioTimeoutS);
  return (renewalFailMs - renewalIntervalMs - MARGIN_MS) / (crashes + 1);
}
