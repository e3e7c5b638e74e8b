import { SECOND_MS } from '../../base/units.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import type { DaemonName, HostFacts, LockspaceFacts, WdmdClient } from './host-facts.ts';

/**
 * May these daemons be restarted now? A restart takes a second or two, and everything is lost if
 * it takes longer than 8·t after the last renewal, or longer than an expiry of wdmd: so half of
 * that time has to be left, and nothing may be on its way that a restart would cut.
 */
export interface Verdict {
  /** None: go on. */
  readonly obstacles: readonly Obstacle[];
  /** It passes by itself within moments: worth another look. */
  readonly isPassing: boolean;
  /** Until the first thing is lost; null: nothing depends on them. */
  readonly marginS: number | null;
}

export type Obstacle =
  | { readonly kind: 'notRunning'; readonly daemon: DaemonName }
  /** Its end could not be seen. */
  | { readonly kind: 'unseen'; readonly daemon: DaemonName }
  | { readonly kind: 'original'; readonly daemon: DaemonName; readonly pid: number }
  | { readonly kind: 'foreignClient'; readonly client: string; readonly pid: number }
  | WatchdogObstacle
  | {
      readonly kind: 'lockspaceMoves';
      readonly lockspace: string;
      readonly phase: 'joining' | 'leaving' | 'failing';
    }
  | ({ readonly kind: 'renewedLongAgo'; readonly lockspace: string } & TimeLeft)
  | ({ readonly kind: 'expiryNear'; readonly client: string } & TimeLeft)
  | { readonly kind: 'clientDied'; readonly client: string; readonly leftS: number }
  | {
      readonly kind: 'leasesMove';
      readonly lockspace: string;
      readonly lease: string;
      readonly others: number;
    };

/** It may hang: it would not obey, or not find the successor of another one. */
interface Silence {
  readonly kind: 'silent';
  readonly daemon: DaemonName;
  readonly pid: number;
}

/** Why the watchdog would reset this host though sanlock has a successor. */
export type WatchdogObstacle =
  | Silence
  | { readonly kind: 'wdmdAbsent' }
  | { readonly kind: 'wdmdOriginal'; readonly pid: number };

/** Of the seconds that a renewal protects. */
export interface TimeLeft {
  readonly wholeS: number;
  readonly leftS: number;
  readonly wantedS: number;
}

const LEAST_SHARE = 1 / 2;

export function judge(facts: HostFacts, wanted: readonly DaemonName[]): Verdict {
  const lasting = [
    ...facts.silent.map(silence),
    ...wanted.flatMap((name) => ofDaemon(facts, name)),
    ...(wanted.some((name) => name !== 'lvmlockd') ? ofWdmdClients(facts) : []),
    ...(wanted.includes('sanlock') ? ofWatchdogUnder(facts).filter(isNotSilence) : []),
    ...(facts.sanlock?.lockspaces ?? []).flatMap((space) => ofLockspace(space)),
    ...(facts.wdmd?.clients ?? []).flatMap((client) => ofDuty(client)),
  ];
  const passing = ofCommands(facts);
  return {
    obstacles: [...lasting, ...passing],
    isPassing: lasting.length === 0 && passing.length > 0,
    marginS: marginOf(facts),
  };
}

function ofDaemon(facts: HostFacts, daemon: DaemonName): readonly Obstacle[] {
  const found = facts[daemon];
  if (found === null) {
    return isSilent(facts, daemon) ? [] : [{ kind: 'notRunning', daemon }];
  }
  const { pid, identity, isOriginal } = found.daemon;
  if (identity === null) return [{ kind: 'unseen', daemon }];
  return isOriginal ? [{ kind: 'original', daemon, pid }] : [];
}

function isSilent({ silent }: Pick<HostFacts, 'silent'>, daemon: DaemonName): boolean {
  return silent.some(({ name }) => name === daemon);
}

/** An original gives up when wdmd or sanlock is gone; its expiry stands, and passes. */
function ofWdmdClients({ wdmd }: HostFacts): readonly Obstacle[] {
  const relying = (wdmd?.clients ?? []).filter(
    ({ isDead, isOurs, hasRefcount, expiry }) =>
      !isDead && !isOurs && (hasRefcount || expiry !== null),
  );
  return relying.map(({ name, pid }) => ({ kind: 'foreignClient', client: name, pid }));
}

/** None: it would not, or sanlock does not say what it relies on. */
export function ofWatchdogUnder(facts: Omit<HostFacts, 'lvmlockd'>): readonly WatchdogObstacle[] {
  const { wdmd, sanlock } = facts;
  if (sanlock === null || !sanlock.usesWatchdog || sanlock.lockspaces.length === 0) return [];
  if (wdmd === null) {
    const hung = facts.silent.find(({ name }) => name === 'wdmd');
    return [hung === undefined ? { kind: 'wdmdAbsent' } : silence(hung)];
  }
  return wdmd.daemon.isOriginal ? [{ kind: 'wdmdOriginal', pid: wdmd.daemon.pid }] : [];
}

/** They are all said already. */
function isNotSilence({ kind }: WatchdogObstacle): boolean {
  return kind !== 'silent';
}

function silence({ name, pid }: HostFacts['silent'][number]): Silence {
  return { kind: 'silent', daemon: name, pid };
}

function ofLockspace(space: LockspaceFacts): readonly Obstacle[] {
  const { name: lockspace, phase } = space;
  if (phase !== 'joined') return [{ kind: 'lockspaceMoves', lockspace, phase }];
  const wholeS = claimS(space);
  const left = timeLeft(wholeS - space.ageS, wholeS);
  return left === null ? [] : [{ kind: 'renewedLongAgo', lockspace, ...left }];
}

function ofDuty({ name: client, isDead, expiry }: WdmdClient): readonly Obstacle[] {
  if (expiry === null) return [];
  if (isDead) return [{ kind: 'clientDied', client, leftS: Math.max(0, expiry.leftS) }];
  const left = timeLeft(expiry.leftS, expiry.wholeS);
  return left === null ? [] : [{ kind: 'expiryNear', client, ...left }];
}

/** null: enough. */
function timeLeft(leftS: number, wholeS: number): TimeLeft | null {
  const wantedS = Math.ceil(wholeS * LEAST_SHARE);
  return leftS >= wantedS ? null : { wholeS, leftS: Math.max(0, leftS), wantedS };
}

function ofCommands({ sanlock }: HostFacts): readonly Obstacle[] {
  const moving = (sanlock?.leases ?? []).filter(({ isHeld }) => !isHeld);
  const [first] = moving;
  if (first === undefined) return [];
  const { lockspace, name: lease } = first;
  return [{ kind: 'leasesMove', lockspace, lease, others: moving.length - 1 }];
}

function marginOf({ wdmd, sanlock }: HostFacts): number | null {
  const claims = (sanlock?.lockspaces ?? []).map((space) => claimS(space) - space.ageS);
  const expiries = (wdmd?.clients ?? []).flatMap(({ expiry }) => expiry?.leftS ?? []);
  const all = [...claims, ...expiries];
  return all.length === 0 ? null : Math.min(...all);
}

/** 8·t: so long a renewal protects. */
function claimS({ ioTimeoutS }: LockspaceFacts): number {
  return ioTimeoutS === 0 ? 0 : leaseTimes(ioTimeoutS).renewalFailMs / SECOND_MS;
}
