import { SECOND_MS } from '../../../base/units.ts';
import { leaseTimes } from '../../../lease/lease-times.ts';
import type { DaemonName } from './daemons.ts';
import type { HostFacts, LockspaceFacts, WdmdClient } from './facts.ts';

/**
 * May these daemons be restarted now? A restart takes a second or two, and everything is lost if
 * it takes longer than 8·t after the last renewal, or longer than an expiry of wdmd: so half of
 * that time has to be left, and nothing may be on its way that a restart would cut.
 */
export interface Verdict {
  /** Each one clear sentence; none: go on. */
  readonly refusals: readonly string[];
  /** It passes by itself within moments: worth another look. */
  readonly isPassing: boolean;
  /** Until the first thing is lost; null: nothing depends on them. */
  readonly marginS: number | null;
}

type WatchdogFacts = Pick<HostFacts, 'wdmd' | 'sanlock'>;

const LEAST_SHARE = 1 / 2;

export function judge(facts: HostFacts, wanted: readonly DaemonName[]): Verdict {
  const lasting = [
    ...wanted.flatMap((name) => ofDaemon(facts, name)),
    ...(wanted.some((name) => name !== 'lvmlockd') ? ofWdmdClients(facts) : []),
    ...(wanted.includes('sanlock') ? ofWatchdogUnder(facts) : []),
    ...ofLockspaces(facts),
    ...ofDuties(facts),
  ];
  const passing = ofCommands(facts);
  return {
    refusals: [...lasting, ...passing],
    isPassing: lasting.length === 0 && passing.length > 0,
    marginS: marginOf(facts),
  };
}

function ofDaemon(facts: HostFacts, name: DaemonName): readonly string[] {
  const found = facts[name];
  if (found === null) return [`${name} does not run here`];
  if (!found.daemon.isOriginal) return [];
  return [
    `the ${name} that runs (pid ${found.daemon.pid}) is the original, which loses everything at a ` +
      'restart: exchange it as docs/operations/exchange.md says',
  ];
}

/** An original gives up when wdmd or sanlock is gone; its expiry stands, and passes. */
function ofWdmdClients({ wdmd }: HostFacts): readonly string[] {
  const relying = (wdmd?.clients ?? []).filter(
    ({ isDead, isOurs, hasRefcount, expiry }) =>
      !isDead && !isOurs && (hasRefcount || expiry !== null),
  );
  return relying.map(
    ({ name, pid }) =>
      `${name} (pid ${pid}), a client of wdmd that is not of holdfast, would give up, and this ` +
      'host be reset: end it first',
  );
}

/** Why the watchdog would reset this host when sanlock is restarted; none: it would not. */
export function ofWatchdogUnder({ wdmd, sanlock }: WatchdogFacts): readonly string[] {
  if (sanlock === null || !sanlock.usesWatchdog || sanlock.lockspaces.length === 0) return [];
  if (wdmd === null) return ['wdmd does not run, and sanlock relies on it: see its log'];
  return wdmd.daemon.isOriginal
    ? [
        `the wdmd under sanlock (pid ${wdmd.daemon.pid}) is the original, which resets this host ` +
          'when sanlock is restarted: exchange it as docs/operations/exchange.md says',
      ]
    : [];
}

function ofLockspaces({ sanlock }: HostFacts): readonly string[] {
  return (sanlock?.lockspaces ?? []).flatMap((space) => ofLockspace(space));
}

function ofLockspace(space: LockspaceFacts): readonly string[] {
  const { name, phase, ageS } = space;
  if (phase === 'failing') return [`lockspace ${name} is being lost: see the log of sanlock`];
  if (phase === 'joining') return [`lockspace ${name} is being joined or resumed: wait for it`];
  if (phase === 'leaving') return [`lockspace ${name} is being left: wait for it`];
  const wholeS = claimS(space);
  const leftS = wholeS - ageS;
  if (leftS >= wholeS * LEAST_SHARE) return [];
  return [
    `lockspace ${name} was renewed ${ageS} s ago, ${leftText(leftS, wholeS)}: its storage is slow ` +
      'or gone',
  ];
}

function ofDuties({ wdmd }: HostFacts): readonly string[] {
  return (wdmd?.clients ?? []).flatMap((client) => ofDuty(client));
}

function ofDuty({ name, isDead, expiry }: WdmdClient): readonly string[] {
  if (expiry === null) return [];
  const { leftS, wholeS } = expiry;
  if (isDead) {
    return [
      `wdmd resets this host in ${Math.max(0, leftS)} s unless ${name} comes back: wait for it`,
    ];
  }
  if (leftS >= wholeS * LEAST_SHARE) return [];
  return [
    `the expiry of ${name} at wdmd was renewed ${wholeS - leftS} s ago, ${leftText(leftS, wholeS)}`,
  ];
}

function leftText(leftS: number, wholeS: number): string {
  const wantedS = Math.ceil(wholeS * LEAST_SHARE);
  return `${Math.max(0, leftS)} s of ${wholeS} are left, and a restart wants ${wantedS}`;
}

function ofCommands({ sanlock }: HostFacts): readonly string[] {
  const busy = (sanlock?.leases ?? []).filter(({ isHeld }) => !isHeld);
  const [first] = busy;
  if (first === undefined) return [];
  const more = busy.length === 1 ? '' : ` and ${busy.length - 1} more`;
  return [
    `the lease ${first.lockspace}:${first.name}${more} is being acquired, recovered or released`,
  ];
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
